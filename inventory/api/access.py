"""Knows who asks: an agent by its token, a person by the session."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.http import HttpRequest
from ninja.security import HttpBearer, SessionAuth

from inventory import rights, tokens
from inventory.models import ApiToken

__all__ = ["Asker", "PersonAuth", "TokenAuth", "asker"]


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, with the sites that may be read (None: all)."""

    name: str
    sites: frozenset[int] | None
    token: ApiToken | None = None


class TokenAuth(HttpBearer):
    """``Authorization: Bearer cci_...``."""

    def authenticate(self, request: HttpRequest, token: str) -> Asker | None:  # noqa: ARG002 - ninja's signature
        """Who holds this token."""
        known = tokens.check(token)
        if known is None:
            return None
        reach = frozenset(tokens.sites_of(known)) if known.may_read else frozenset[int]()
        return Asker(f"agent:{known.agent.name}", reach, known)


class PersonAuth(SessionAuth):
    """Somebody who has signed in."""

    def authenticate(self, request: HttpRequest, key: str | None) -> Asker | None:  # noqa: ARG002 - ninja's signature
        """Who has signed in, with the sites that are theirs."""
        user = request.user
        if not isinstance(user, User) or not user.is_active:
            return None
        reach = None if user.is_superuser else frozenset(rights.sites(user).values_list("id", flat=True))
        return Asker(user.get_username(), reach)


def asker(request: HttpRequest) -> Asker:
    """Who asks; for endpoints that nobody else reaches."""
    found = getattr(request, "auth", None)
    if not isinstance(found, Asker):
        raise TypeError("an endpoint without authentication asks who asks")
    return found
