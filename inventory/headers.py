"""Adds the headers to each answer that keep a browser from running what a device said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

__all__ = ["security_headers"]

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'{}; base-uri 'none'; frame-ancestors 'none'"
)


def security_headers(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: only our own scripts, styles, images; nothing of it in a shared cache."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        # Who signs out is sent on to the provider, which browsers count as the form's doing.
        provider = f" {settings.OIDC.origin}" if settings.OIDC else ""
        response.headers.setdefault("Content-Security-Policy", _POLICY.format(provider))
        response.headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        if not request.path.startswith("/static/"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    return answer
