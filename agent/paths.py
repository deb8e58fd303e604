"""Request paths without the logins that clients put into them."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["masked", "path_of"]

# A value ends at the next parameter, however it is joined: recorded clients write
# `user=a&password=b&channel=1`, `user=a_password=b_channel=1` and `user=a/password=b`.
_SECRETS: Final = re.compile(
    r"(?<![a-z0-9])((?:user|usr|login|pass|pwd|auth|token|sess|sid|sso|secret|key|sign|ticket|hash)[a-z]{0,12})="
    r"(?:(?![_/?][a-z]{2,20}=)[^&;#\s])*",
    re.IGNORECASE,
)
_AUTHORITY: Final = re.compile(r"[a-z]{2,8}://(?:\S*@)?[^/?\s]*", re.IGNORECASE)


def masked(path: str) -> str:
    """`path` with the value of every parameter that may carry a login replaced by two dots."""
    return _SECRETS.sub(r"\1=..", path)


def path_of(url: str) -> str:
    """What follows host and port in a URL, masked; a login before the host goes with them.

    Passwords are written unescaped now and then, so everything up to the last ``@`` counts
    as the login.
    """
    return masked(_AUTHORITY.sub("", url, count=1))
