"""Tells systemd how we are, where it asks: sd_notify(3)."""

from __future__ import annotations

import contextlib
import os
import socket

__all__ = ["notify", "watchdog_seconds"]


def notify(*words: str) -> None:
    """Say words such as ``READY=1``; nothing happens where nobody asked."""
    where = os.environ.get("NOTIFY_SOCKET", "")
    if not where:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.connect("\0" + where[1:] if where.startswith("@") else where)
        link.sendall("\n".join(words).encode())


def watchdog_seconds() -> float | None:
    """How often systemd wants to hear from us, in seconds; None where it does not."""
    try:
        return int(os.environ["WATCHDOG_USEC"]) / 1_000_000
    except (KeyError, ValueError):
        return None
