"""People: who has which role where; for administrators."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect

from inventory import people as accounts
from inventory import rights
from inventory.models import Membership, Organisation, Role
from inventory.pages.frame import Visitor, page, show, whole
from inventory.pages.paging import page_of

__all__ = ["people", "person"]

SIZE: Final = 50
ROLES: Final = {
    "viewer": "Viewer: reads everything there",
    "technician": "Site technician: describes sites, asks for scans, says what was removed",
    "planner": "Planner: schedules and exempts, too",
    "administrator": "Administrator: people, agents and the log, too",
}


class RoleForm(forms.Form):
    """A role in a part of the tree."""

    organisation = forms.ModelChoiceField(
        Organisation.objects.none(), empty_label=None, label="Organisation, with all below it"
    )
    role = forms.ChoiceField(choices=list(ROLES.items()))

    def __init__(self, *args: Any, mine: QuerySet[Organisation], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        self.fields["organisation"].queryset = mine.order_by("path")  # type: ignore[attr-defined]


class PersonForm(RoleForm):
    """A new person."""

    name = forms.CharField(max_length=150, label="User name")
    field_order = ("name", "organisation", "role")


def _mine(visitor: Visitor) -> QuerySet[Organisation]:
    return rights.organisations(visitor.user, Role.ADMINISTRATOR)


@page("POST")
def people(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    """Everybody with a role in the visitor's part of the tree; a form for one more."""
    if not visitor.administers:
        return show(request, visitor, "refused.html", "people", {"role": "administrator"}, 403)
    form = PersonForm(request.POST or None, mine=_mine(visitor))
    made: tuple[User, str] | None = None
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            made = accounts.make(visitor.user, given["name"], given["organisation"], given["role"])
        except ValidationError as error:
            form.add_error("name", error.messages[0])
        else:
            form = PersonForm(mine=_mine(visitor))
    held = Membership.objects.filter(organisation__in=_mine(visitor)).select_related("organisation")
    rows = accounts.visible(visitor.user).prefetch_related(
        Prefetch("memberships", held.order_by("organisation__path"), to_attr="held")
    )
    context = {
        "form": form,
        "made": made,
        "page": page_of(rows, "username", request.GET.get("cursor", ""), SIZE),
    }
    return show(request, visitor, "people.html", "people", context, 422 if form.errors else 200)


@page("POST")
def person(request: HttpRequest, visitor: Visitor, key: int) -> HttpResponseBase:
    """One person: roles, password, whether the account is active."""
    if not visitor.administers or key >= 2**31:
        raise Http404
    found: User = get_object_or_404(accounts.visible(visitor.user), pk=key)
    form = RoleForm(mine=_mine(visitor))
    password, status = "", 200
    if request.method == "POST":
        action = request.POST.get("action", "")
        try:
            if action == "grant":
                form = RoleForm(request.POST, mine=_mine(visitor))
                if form.is_valid():
                    accounts.grant(
                        visitor.user, found, form.cleaned_data["organisation"], form.cleaned_data["role"]
                    )
            elif action == "take-away":
                accounts.take_away(
                    visitor.user,
                    get_object_or_404(_held(found, visitor), pk=whole(request.POST.get("membership", ""))),
                )
            elif action == "new-password":
                password = accounts.new_password(visitor.user, found)
            elif action in {"activate", "deactivate"}:
                accounts.activate(visitor.user, found, active=action == "activate")
        except accounts.Refused as why:
            messages.error(request, f"{str(why).capitalize()}.")
            return redirect("person", key)
        if not form.errors and not password:
            messages.success(request, "It is done, and written in the log.")
            # Whose last role was taken away is not in sight any more.
            seen = accounts.visible(visitor.user).filter(pk=key).exists()
            return redirect("person", key) if seen else redirect("people")
        status = 422 if form.errors else 200
    context = {
        "person": found,
        "held": _held(found, visitor).order_by("organisation__path"),
        "rules": accounts.rules(visitor.user, found),
        "self": found.pk == visitor.user.pk,
        "form": form,
        "password": password,
    }
    return show(request, visitor, "person.html", "people", context, status)


def _held(found: User, visitor: Visitor) -> QuerySet[Membership]:
    return Membership.objects.filter(user=found, organisation__in=_mine(visitor)).select_related(
        "organisation", "user"
    )
