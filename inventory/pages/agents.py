"""Agents: who reports, who has stopped, with which keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone

from inventory import audit, rights, tokens
from inventory.fleet import enrolment
from inventory.models import Agent, ApiToken, Organisation, Role, Site
from inventory.pages.frame import Visitor, page, show, whole
from inventory.pages.overview import SILENT, troubled
from inventory.pages.paging import page_of

__all__ = ["agent", "agents"]

SIZE: Final = 50


class CodeForm(forms.Form):
    """A new agent."""

    name = forms.CharField(max_length=100, help_text="What the machine is called here.")
    organisation = forms.ModelChoiceField(Organisation.objects.none(), empty_label=None)
    sites = forms.CharField(
        required=False,
        max_length=2_000,
        label="Site codes",
        help_text="Parted by commas. None: every site of the organisation.",
    )

    def __init__(self, *args: Any, mine: QuerySet[Organisation], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        self.fields["organisation"].queryset = mine.order_by("path")  # type: ignore[attr-defined]
        self.found: list[Site] = []

    def clean(self) -> dict[str, Any]:
        """The sites have to be the organisation's."""
        given = super().clean() or {}
        owner: Organisation | None = given.get("organisation")
        codes = {code.strip() for code in given.get("sites", "").split(",") if code.strip()}
        if owner is not None and codes and "\0" not in given["sites"]:
            self.found = list(Site.objects.filter(organisation__path__startswith=owner.path, code__in=codes))
            missing = codes - {site.code for site in self.found}
            if missing:
                self.add_error("sites", f"{owner} has no site {', '.join(sorted(missing))[:200]}")
        return given

    def clean_name(self) -> str:
        """A name that no agent of others has."""
        name: str = self.cleaned_data["name"].strip()
        holder = Agent.objects.filter(name=name).first()
        if (
            holder is not None
            and not self.fields["organisation"]
            .queryset.filter(  # type: ignore[attr-defined]
                pk=holder.organisation_id
            )
            .exists()
        ):
            raise forms.ValidationError("Choose another name: this one is taken")
        return name


def _administered(visitor: Visitor) -> QuerySet[Organisation]:
    return rights.organisations(visitor.user, Role.ADMINISTRATOR)


def _mine(visitor: Visitor) -> QuerySet[Agent]:
    every = Agent.objects.select_related("organisation")
    return every if visitor.user.is_superuser else every.filter(organisation__in=visitor.organisations)


@page("POST")
def agents(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    """The list, with those in trouble on top; administrators make codes for new ones."""
    now = timezone.now()
    form = CodeForm(request.POST or None, mine=_administered(visitor)) if visitor.administers else None
    code, status = "", 200
    if request.method == "POST":
        if form is None:
            return show(request, visitor, "refused.html", "agents", {"role": "administrator"}, 403)
        status = 422
        if form.is_valid():
            given = form.cleaned_data
            code = enrolment.code_for(
                given["name"], given["organisation"], form.found, who=visitor.user.get_username()
            )
            status = 200
    good = ApiToken.objects.filter(agent=OuterRef("pk"), revoked=None).order_by("-expires")
    rows = _mine(visitor).annotate(ends=Subquery(good.values("expires")[:1]))
    context = {
        "page": page_of(rows, "name", request.GET.get("cursor", ""), SIZE),
        "troubles": troubled(visitor, now)[:20],
        "late": now - SILENT,
        "now": now,
        "form": form,
        "code": code,
        "address": request.build_absolute_uri("/"),
    }
    return show(request, visitor, "agents.html", "agents", context, status)


@page("POST")
def agent(request: HttpRequest, visitor: Visitor, key: int) -> HttpResponseBase:
    """One agent with its keys."""
    if key >= 2**63:
        raise Http404
    found: Agent = get_object_or_404(_mine(visitor), pk=key)
    administers = _administered(visitor).filter(pk=found.organisation_id).exists()
    shown = ""
    if request.method == "POST":
        if not administers:
            return show(request, visitor, "refused.html", "agents", {"role": "administrator"}, 403)
        action, chosen = request.POST.get("action", ""), request.POST.get("token", "")
        if action == "revoke-agent":
            enrolment.revoke(found, visitor.user.get_username())
            messages.success(request, "From now on nothing of this agent is taken.")
            return redirect("agent", key)
        token = found.tokens.filter(pk=whole(chosen)).first()
        if action == "revoke" and token is not None:
            _revoke(token, found, visitor)
            messages.success(request, f"The token …{token.hint} is revoked.")
            return redirect("agent", key)
        if action == "rotate" and token is not None and token.revoked is None:
            shown = _rotate(token, found, visitor)
    mine = visitor.sites
    context = {
        "agent": found,
        "tokens": [
            (token, list(token.sites.filter(pk__in=mine.values("pk"))[:20]))
            for token in found.tokens.order_by("-created")[:50]
        ],
        "now": timezone.now(),
        "late": timezone.now() - SILENT,
        "runs": found.runs.filter(site__in=mine).select_related("site").order_by("-started")[:10],
        "administers": administers,
        "shown": shown,
    }
    return show(request, visitor, "agent.html", "agents", context)


def _revoke(token: ApiToken, found: Agent, visitor: Visitor) -> None:
    with transaction.atomic():
        ApiToken.objects.filter(pk=token.pk, revoked=None).update(revoked=timezone.now())
        audit.record(
            visitor.user.get_username(),
            "revoke-token",
            f"agent {found.name}",
            organisation=found.organisation,
            before={"token": token.hint},
        )


def _rotate(token: ApiToken, found: Agent, visitor: Visitor) -> str:
    with transaction.atomic():
        made, text = tokens.rotate(token, timedelta(days=7))
        audit.record(
            visitor.user.get_username(),
            "rotate-token",
            f"agent {found.name}",
            organisation=found.organisation,
            before={"token": token.hint},
            after={"token": made.hint, "expires": made.expires.isoformat()},
        )
    return text
