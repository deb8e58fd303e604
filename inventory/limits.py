"""Slows down whoever guesses passwords: so many failures in a quarter of an hour, then none is tried.

Counts stand in the database, because any of several server processes may be asked. A name is
counted together with the address it is tried from, so that nobody locks out a colleague; an address
and a name are counted by themselves too, with more room.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from inventory.models import SignInFailure

__all__ = ["WINDOW", "blocked", "failed", "forget", "origin"]

WINDOW: Final = timedelta(minutes=15)
_BOTH, _ADDRESS, _NAME = 5, 30, 50


def origin(request: HttpRequest) -> str:
    """The address that a request came from: what our own proxy says, or the peer itself.

    Of an IPv6 address the network counts, for its holder has all the addresses in it.
    """
    text = request.META.get("REMOTE_ADDR", "")
    if settings.SECURE_PROXY_SSL_HEADER:
        # The proxy adds the last one; those before it are the client's own claim.
        text = request.headers.get("X-Forwarded-For", text).rpartition(",")[2].strip()
    try:
        address = ip_address(text)
    except ValueError:
        return "unknown"
    return str(ip_network(f"{address}/64", strict=False)) if address.version == 6 else str(address)


def _limits(name: str, address: str) -> dict[str, int]:
    known = name.strip().casefold()
    texts = {f"both\0{known}\0{address}": _BOTH, f"address\0{address}": _ADDRESS, f"name\0{known}": _NAME}
    return {hashlib.sha256(text.encode("utf-8", "replace")).hexdigest(): most for text, most in texts.items()}


def blocked(name: str, address: str, now: datetime | None = None) -> bool:
    """Whether signing in as `name` from `address` is not even tried at this time."""
    limits = _limits(name, address)
    counted = SignInFailure.objects.filter(key__in=limits, since__gt=(now or timezone.now()) - WINDOW)
    return any(count >= limits[key] for key, count in counted.values_list("key", "count"))


def failed(name: str, address: str, now: datetime | None = None) -> None:
    """Count one failure."""
    now = now or timezone.now()
    with transaction.atomic():
        SignInFailure.objects.filter(since__lte=now - WINDOW).delete()
        for key in sorted(_limits(name, address)):
            SignInFailure.objects.get_or_create(key=key, defaults={"since": now})
            SignInFailure.objects.filter(key=key).update(count=F("count") + 1)


def forget(name: str, address: str) -> None:
    """Count anew for whoever has signed in; the address goes on being counted."""
    SignInFailure.objects.filter(key=next(iter(_limits(name, address)))).delete()
