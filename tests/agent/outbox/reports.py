"""Makes reports as scans write them, for tests of what carries them."""

from __future__ import annotations

from typing import Any

__all__ = ["camera", "document"]


def camera(number: int, **more: Any) -> dict[str, Any]:
    """A device with keys of its own."""
    address = f"10.7.{number >> 8 & 255}.{number & 255}"
    mac = f"44:19:b6:00:{number >> 8 & 255:02x}:{number & 255:02x}"
    return {
        "id": mac,
        "mac": mac,
        "addresses": [address],
        "manufacturer": "Hikvision",
        "brand": "Hikvision",
        "device_class": "camera",
        "confidence": 0.999,
        "level": "confirmed",
        "finding": "flagged",
        "policies": ["uk-2022-sensitive-sites"],
        "evidence": [],
        "conflicts": [],
        "problems": [],
        "first_seen": "2026-03-01T06:00:00Z",
        "last_seen": "2026-03-01T06:00:00Z",
        **more,
    }


def document(devices: list[dict[str, Any]], **run: Any) -> dict[str, Any]:
    """A report of these devices."""
    facts = {"started": "2026-03-01T06:00:00Z", "finished": "2026-03-01T06:01:00Z", "mode": "scan", **run}
    return {"schema": 1, "devices": devices, "coverage": {"incomplete": False}, "problems": [], "run": facts}
