"""Every address of the pages."""

from __future__ import annotations

from django.urls import URLPattern, path

from inventory.pages import device, devices, overview, signin

__all__ = ["urlpatterns"]

urlpatterns: list[URLPattern] = [
    path("sign-in", signin.sign_in, name="sign-in"),
    path("sign-out", signin.sign_out, name="sign-out"),
    path("account", signin.account, name="account"),
    path("", overview.overview, name="overview"),
    path("devices", devices.devices, name="devices"),
    path("devices/<int:key>", device.device, name="device"),
    path("devices/views", devices.keep_view, name="keep-view"),
    path("devices/step", devices.bulk, name="bulk"),
]
