"""Version 1 of the API, put together."""

from __future__ import annotations

from typing import Any, Final

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from inventory.api import fleet, reads, removal, reports

__all__ = ["api"]


class _Api(NinjaAPI):
    """Says in the document of every endpoint that a request can be refused, in which shape."""

    def get_openapi_schema(self, **more: Any) -> OpenAPISchema:
        """The OpenAPI document."""
        document = super().get_openapi_schema(**more)
        for path in document["paths"].values():
            for operation in path.values():
                operation["responses"].setdefault("4XX", _REFUSED)
                if "format" in {row["name"] for row in operation.get("parameters", ())}:
                    told = operation["responses"][200]
                    told["content"] = {**_FORMS, **told.get("content", {})}
        return document


_REFUSED: Final = {
    "description": "The request is refused: `detail` says why, as a text or as a list of mistakes.",
    "content": {"application/json": {"schema": {"type": "object", "required": ["detail"]}}},
}

_FORMS: Final[dict[str, dict[str, Any]]] = {
    "application/json": {},
    "application/x-ndjson": {},
    "text/csv": {},
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": {},
}

api = _Api(
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
