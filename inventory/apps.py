"""Tells Django about the one application of this project."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["InventoryConfig"]


class InventoryConfig(AppConfig):
    """The inventory."""

    name = "inventory"
    label = "inventory"
    verbose_name = "camcensus inventory"
