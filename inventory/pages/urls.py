"""Every address of the pages."""

from __future__ import annotations

from django.urls import URLPattern, path

from inventory.pages import (
    agents,
    audit,
    device,
    devices,
    overview,
    people,
    plan,
    policies,
    progress,
    runs,
    sheet,
    signin,
    sites,
)

__all__ = ["urlpatterns"]

urlpatterns: list[URLPattern] = [
    path("sign-in", signin.sign_in, name="sign-in"),
    path("sign-in/single", signin.sign_on, name="sign-on"),
    path("sign-in/return", signin.sign_on_return, name="sign-on-return"),
    path("sign-out", signin.sign_out, name="sign-out"),
    path("account", signin.account, name="account"),
    path("", overview.overview, name="overview"),
    path("devices", devices.devices, name="devices"),
    path("devices/<int:key>", device.device, name="device"),
    path("devices/views", devices.keep_view, name="keep-view"),
    path("devices/step", devices.bulk, name="bulk"),
    path("sites", sites.sites, name="sites"),
    path("sites/<int:key>", sites.site, name="site"),
    path("plan", plan.board, name="plan"),
    path("plan/calendar", plan.calendar, name="calendar"),
    path("plan/progress", progress.progress, name="progress"),
    path("plan/overdue", progress.late, name="late"),
    path("plan/sheet", sheet.sheet, name="sheet"),
    path("plan/publication", progress.published, name="published"),
    path("policies", policies.policies, name="policies"),
    path("runs", runs.runs, name="runs"),
    path("runs/<int:key>", runs.run, name="run"),
    path("agents", agents.agents, name="agents"),
    path("agents/<int:key>", agents.agent, name="agent"),
    path("people", people.people, name="people"),
    path("people/<int:key>", people.person, name="person"),
    path("audit", audit.log, name="audit"),
]
