"""The log of every change, for administrators, to read and to take along."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.db.models import Q
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.urls import reverse

from inventory import rights
from inventory.api.lists import Listing, PageQuery, answer, selected
from inventory.models import AuditEntry, Role
from inventory.pages.frame import Visitor, page, show
from inventory.pages.paging import page_of

__all__ = ["log"]

SIZE: Final = 50
ENTRIES: Final = Listing(
    AuditEntry.objects.all,
    "organisation_id",
    {name: name for name in ("id", "at", "who", "action", "what", "before", "after")}
    | {"organisation": "organisation_id"},
)


class LogFilter(forms.Form):
    """Which entries."""

    who = forms.CharField(required=False, max_length=200)
    action = forms.CharField(required=False, max_length=60, label="What was done")
    what = forms.CharField(required=False, max_length=200, label="To what", help_text="Such as device 12")
    since = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}))


def changes(entry: AuditEntry) -> list[tuple[str, Any, Any]]:
    """What was changed: name, before, after."""
    before, after = entry.before or {}, entry.after or {}
    names = [*before, *(name for name in after if name not in before)]
    both = ((name, before.get(name), after.get(name)) for name in names)
    return [(name, old, new) for name, old, new in both if old != new and (old or new) not in {None, ""}][:50]


@page()
def log(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    """The log, the latest first; ``format=csv`` or ``ndjson`` gives all of it."""
    if not visitor.administers:
        return show(request, visitor, "refused.html", "audit", {"role": "administrator"}, 403)
    form = LogFilter(request.GET)
    form.is_valid()
    asked = {name: value for name, value in form.cleaned_data.items() if value not in {None, ""}}
    columns = {"since": "at__date__gte", "until": "at__date__lte"}
    condition = Q(**{columns.get(name, name): value for name, value in asked.items()})
    reach = None
    if not visitor.user.is_superuser:
        reach = rights.organisations(visitor.user, Role.ADMINISTRATOR).values("pk")
    wanted = request.GET.get("format", "")
    if wanted in {"csv", "ndjson"} and not form.errors:
        return answer(ENTRIES, reach, PageQuery.model_validate({"format": wanted}), condition)
    shown = page_of(
        selected(ENTRIES, reach, condition).select_related("organisation"),
        "-id",
        request.GET.get("cursor", ""),
        SIZE,
    )
    exports = []
    for name, title in (("csv", "CSV"), ("ndjson", "NDJSON")):
        query = QueryDict(mutable=True)
        query.update({**{key: str(value) for key, value in asked.items()}, "format": name})
        exports.append((title, f"{reverse('audit')}?{query.urlencode()}"))
    context = {
        "form": form,
        "page": shown,
        "rows": [(entry, changes(entry)) for entry in shown.rows],
        "exports": exports,
        "filtered": bool(asked),
    }
    return show(request, visitor, "audit.html", "audit", context, 422 if form.errors else 200)
