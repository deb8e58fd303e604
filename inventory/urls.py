"""Every address of the inventory."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from inventory import opening, operations
from inventory.api.v1 import api

__all__ = ["urlpatterns"]

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", operations.healthz, name="healthz"),
    path("readyz", operations.readyz, name="readyz"),
    path("metrics", operations.metrics, name="metrics"),
    path("open/<str:name>/<str:key>", opening.enter, name="open"),
    path("api/v1/", api.urls),
    path("", include("inventory.pages.urls")),
]
