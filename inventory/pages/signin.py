"""Signs people in, out, lets them change their password."""

from __future__ import annotations

import logging
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate, login, logout, update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from inventory import audit, limits, people
from inventory.models import Membership, SignOnIdentity
from inventory.pages.frame import Visitor, page, show

__all__ = ["account", "sign_in", "sign_on", "sign_on_return", "sign_out"]

_log = logging.getLogger(__name__)
_TOO_MANY = "Too many attempts failed. Wait a quarter of an hour, then try again."


class SignInForm(forms.Form):
    """Name with password."""

    name = forms.CharField(
        max_length=150, label="User name", widget=forms.TextInput(attrs={"autocomplete": "username"})
    )
    password = forms.CharField(
        max_length=500,
        strip=False,
        label="Password",
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


def _next(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if ours else reverse("overview")


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """The page to sign in on."""
    if request.user.is_authenticated:
        return HttpResponseRedirect(_next(request))
    form = SignInForm(request.POST or None)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            name, address = form.cleaned_data["name"], limits.origin(request)
            if limits.blocked(name, address):
                form.add_error(None, _TOO_MANY)
                status = 429
            else:
                user = authenticate(request, username=name, password=form.cleaned_data["password"])
                if user is not None:
                    limits.forget(name, address)
                    login(request, user)
                    people.signed_in(user, "password")
                    return HttpResponseRedirect(_next(request))
                limits.failed(name, address)
                _log.warning("signing in as %r from %s failed", name[:150], address)
                form.add_error(None, "This name with this password is not known here.")
    context: dict[str, Any] = {
        "form": form,
        "next": request.POST.get("next") or request.GET.get("next") or "",
    }
    context |= {"nobody": not User.objects.exists(), "sign_on": settings.OIDC}
    return show(request, None, "sign_in.html", "sign-in", context, status)


@require_safe
def sign_on(request: HttpRequest) -> HttpResponse:
    """The way to the provider of single sign-on, where there is one."""
    if settings.OIDC is None:
        raise Http404
    from inventory.single_sign_on import Begin  # noqa: PLC0415 - an optional package

    way: HttpResponse = Begin.as_view()(request)
    return way


@require_safe
def sign_on_return(request: HttpRequest) -> HttpResponse:
    """The way back from there."""
    if settings.OIDC is None:
        raise Http404
    from inventory.single_sign_on import Return  # noqa: PLC0415 - an optional package

    way: HttpResponse = Return.as_view()(request)
    return way


@require_POST
def sign_out(request: HttpRequest) -> HttpResponseRedirect:
    """End the session; that at the provider, too."""
    away = ""
    if settings.OIDC is not None:
        from inventory.single_sign_on import farewell  # noqa: PLC0415 - an optional package

        away = farewell(request)
    logout(request)
    messages.success(request, "You have signed out.")
    return HttpResponseRedirect(away) if away else redirect("sign-in")


@sensitive_post_parameters()
@page("POST")
def account(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    """What the visitor may do where; a new password."""
    form = PasswordChangeForm(visitor.user, request.POST or None)
    form.label_suffix = ""
    form.fields["old_password"].widget.attrs.pop("autofocus", None)
    if request.method == "POST" and form.is_valid():
        form.save()
        update_session_auth_hash(request, visitor.user)
        audit.record(visitor.user.get_username(), "change-password", f"user {visitor.user.get_username()}")
        messages.success(request, "Your password is changed.")
        return redirect("account")
    roles = Membership.objects.filter(user=visitor.user).select_related("organisation")
    context = {
        "form": form,
        "roles": roles.order_by("organisation__path"),
        "has_password": visitor.user.has_usable_password(),
        "single": SignOnIdentity.objects.filter(user=visitor.user).exists(),
    }
    return show(request, visitor, "account.html", "account", context, 422 if form.errors else 200)
