"""Knows whether a request comes from the device's account: HTTP digest or basic, WS-Security tokens."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from typing import Final

from simulator.device import Account

__all__ = ["challenge", "is_right", "token_is_right"]

_PAIR: Final = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')
_TOKEN: Final = re.compile(r"<(?:\w+:)?(Username|Password|Nonce|Created)\b[^>]*>([^<]*)</")


def challenge(account: Account) -> str:
    """The header line that asks for the login (RFC 7616, with the MD5 that cameras use)."""
    if account.basic:
        return f'WWW-Authenticate: Basic realm="{account.realm}"'
    return f'WWW-Authenticate: Digest realm="{account.realm}", qop="auth", nonce="{secrets.token_hex(16)}"'


def is_right(account: Account, method: str, target: str, authorization: str) -> bool:
    """Whether the Authorization that came with a request is this account's."""
    kind, _, rest = authorization.partition(" ")
    if account.basic:
        try:
            given = base64.b64decode(rest, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return False
        return kind.lower() == "basic" and given == f"{account.username}:{account.password}"
    told = {name: quoted or bare for name, quoted, bare in _PAIR.findall(rest)}
    if kind.lower() != "digest" or told.get("username") != account.username:
        return False
    whose = _md5(f"{account.username}:{account.realm}:{account.password}")
    what = _md5(f"{method}:{told.get('uri', '')}")
    middle = ":".join(told.get(name, "") for name in ("nonce", "nc", "cnonce", "qop"))
    right = _md5(f"{whose}:{middle}:{what}")
    return told.get("uri") == target and secrets.compare_digest(told.get("response", ""), right)


def token_is_right(account: Account, envelope: str) -> bool:
    """Whether the envelope has the account's UsernameToken (WS-Security UsernameToken Profile 1.0)."""
    told = dict(_TOKEN.findall(envelope))
    try:
        nonce = base64.b64decode(told.get("Nonce", ""), validate=True)
    except binascii.Error:
        return False
    whole = nonce + (told.get("Created", "") + account.password).encode()
    right = base64.b64encode(hashlib.sha1(whole, usedforsecurity=False).digest()).decode()
    return told.get("Username") == account.username and told.get("Password", "").strip() == right


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
