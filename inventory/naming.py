"""Finds the devices that a report speaks of by their names in it: MAC, address, or channel of a recorder."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from inventory.models import Identity

__all__ = ["named"]

_MAX_KEY: Final = 255


def named(names: Iterable[str], site: int) -> dict[str, int]:
    """The ids of devices at `site` by their names; of two that carry one key the one that was seen last."""
    wanted: dict[str, list[tuple[str, int | None]]] = {}
    for name in names:
        if "\0" in name:
            continue
        address, vlan = _address(name)
        for key in (
            f"mac:{name}",
            f"mac:{site}/{name}",
            f"attached:{site}/{name}",
            f"address:{site}/{address}",
        ):
            wanted.setdefault(key[:_MAX_KEY], []).append((name, vlan))
    known: dict[str, int] = {}
    if wanted:
        carriers = Identity.objects.filter(key__in=wanted, device__site_id=site).order_by("device__last_seen")
        for key, device, vlan in carriers.values_list("key", "device_id", "device__vlan"):
            known |= {name: device for name, asked in wanted[key] if asked in {None, vlan}}
    return known


def _address(name: str) -> tuple[str, int | None]:
    """The address that a name begins with, and the VLAN that it may end on: ``10.0.0.5@vlan20``."""
    address, _, tag = name.partition("@vlan")
    return address, int(tag) if tag.isascii() and tag.isdigit() and len(tag) <= 4 else None
