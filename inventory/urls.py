"""Every address of the inventory; the pages add theirs here."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

__all__ = ["urlpatterns"]

urlpatterns: list[URLPattern | URLResolver] = []
