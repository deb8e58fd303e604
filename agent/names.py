"""Vendor keys as the last part of a field name.

Vendors write ``DeviceSN`` or ``IPv4SubnetMask``; the vocabulary says ``device-sn`` and
``ipv4-subnet-mask``.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["kebab"]

_JOINT: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def kebab(key: str) -> str:
    """`key` in kebab case; ``IPv4`` and ``IPv6`` stay one word."""
    return _JOINT.sub("-", key.replace("IPv", "Ipv").replace("PoE", "Poe")).lower()
