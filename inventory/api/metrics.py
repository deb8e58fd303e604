"""What this process counts, for Prometheus."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter

__all__ = ["DEVICES", "REPORTS"]

DEVICES: Final = Counter(
    "camcensus_inventory_devices_reported_total", "Devices that reports brought.", ["answer"]
)
REPORTS: Final = Counter("camcensus_inventory_reports_total", "Reports, or parts of them, that were taken.")
