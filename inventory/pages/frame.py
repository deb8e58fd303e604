"""Gives each page its visitor, its surroundings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from inventory import rights
from inventory.api.lists import Reach
from inventory.models import Organisation, Role, Site

__all__ = ["PAGES", "Visitor", "page", "show", "whole"]

Given = ParamSpec("Given")

PAGES: Final = (
    ("overview", "Overview"),
    ("devices", "Devices"),
    ("sites", "Sites"),
    ("plan", "Removal plan"),
    ("policies", "Policies"),
    ("runs", "Runs"),
    ("agents", "Agents"),
)
_FOR_ADMINISTRATORS: Final = (("people", "People"), ("audit", "Audit"))


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page, with what that person may see."""

    user: User
    sites: QuerySet[Site]
    may_plan: bool
    """Whether there is any site at all where this person may plan."""
    administers: bool

    @property
    def reach(self) -> Reach:
        """The sites that may be read, as lists take them."""
        return None if self.user.is_superuser else self.sites.values("pk")

    @property
    def organisations(self) -> QuerySet[Organisation]:
        """The organisations that may be seen."""
        return rights.organisations(self.user)

    def may(self, role: str, site: Site) -> bool:
        """Whether this person has at least `role` at `site`."""
        return rights.may(self.user, role, site)


def _visitor(user: User) -> Visitor:
    return Visitor(
        user,
        rights.sites(user),
        rights.organisations(user, Role.PLANNER).exists(),
        user.is_superuser or rights.organisations(user, Role.ADMINISTRATOR).exists(),
    )


def page(
    *methods: str,
) -> Callable[
    [Callable[Concatenate[HttpRequest, Visitor, Given], HttpResponseBase]],
    Callable[Concatenate[HttpRequest, Given], HttpResponseBase],
]:
    """Decorate a page: for who has signed in alone, with the visitor as its second argument."""

    def decorate(
        view: Callable[Concatenate[HttpRequest, Visitor, Given], HttpResponseBase],
    ) -> Callable[Concatenate[HttpRequest, Given], HttpResponseBase]:
        @require_http_methods(["GET", "HEAD", *methods])
        @login_required
        @wraps(view)
        def answer(request: HttpRequest, *args: Given.args, **kwargs: Given.kwargs) -> HttpResponseBase:
            if not isinstance(request.user, User):
                raise TypeError("whoever has signed in is a user")
            return view(request, _visitor(request.user), *args, **kwargs)

        return answer  # type: ignore[return-value]  # wraps() forgets the parameters

    return decorate


def show(
    request: HttpRequest,
    visitor: Visitor | None,
    template: str,
    here: str,
    context: Mapping[str, Any],
    status: int = 200,
) -> HttpResponse:
    """The page `template`, with its place in the navigation, which is `here`."""
    pages = () if visitor is None else (*PAGES, *(_FOR_ADMINISTRATORS if visitor.administers else ()))
    nav = [(reverse(name), title, name == here) for name, title in pages]
    return render(
        request, f"pages/{template}", {**context, "nav": nav, "visitor": visitor, "here": here}, status=status
    )


def whole(text: str) -> int:
    """The whole number, nought or more, that somebody sent; -1 for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else -1
