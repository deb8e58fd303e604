"""Version 1 of the API, put together."""

from __future__ import annotations

from ninja import NinjaAPI

from inventory.api import fleet, reads, removal, reports

__all__ = ["api"]

api = NinjaAPI(
    title="camcensus inventory",
    version="1",
    description="Agents report what they found; programs read what the inventory knows.",
    urls_namespace="api-1",
    # Its pages load scripts from elsewhere, which our content security policy refuses.
    docs_url=None,
)
api.add_router("", reports.router)
api.add_router("", reads.router)
api.add_router("", removal.router)
api.add_router("", fleet.router)
