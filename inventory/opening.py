"""Lets whoever started an embedded inventory in by a link that is good once."""

from __future__ import annotations

import getpass

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode
from django.views.decorators.http import require_safe

from inventory import audit

__all__ = ["enter", "path_for_owner"]


class _Keys(PasswordResetTokenGenerator):
    """Keys that end with the first use: the time of the last sign-in is part of them."""

    key_salt = "inventory.opening"


_KEYS = _Keys()


def path_for_owner() -> str:
    """The path that signs this machine's user in as administrator, once; makes the account at first.

    The account has no password: nobody signs in by guessing one.
    """
    try:
        name = getpass.getuser()[:150]
    except (KeyError, OSError):
        name = "owner"
    with transaction.atomic():
        user = User.objects.filter(username=name, is_superuser=True, is_active=True).first()
        if user is None:
            taken = User.objects.filter(username=name).exists()
            user = User(username=f"{name[:140]}-owner" if taken else name, is_staff=True, is_superuser=True)
            user.set_unusable_password()
            user.save()
            audit.record("command", "create-admin", f"user {user.username}")
    return f"/open/{urlsafe_base64_encode(str(user.pk).encode())}/{_KEYS.make_token(user)}"


@require_safe
def enter(request: HttpRequest, name: str, key: str) -> HttpResponse:
    """Sign in whoever has the key, where this is an inventory of one machine."""
    if not settings.EMBEDDED:
        raise Http404
    try:
        number = int(urlsafe_base64_decode(name).decode("ascii"))
        user = User.objects.filter(pk=number, is_active=True).first()
    except (ValueError, OverflowError):
        user = None
    if user is None or not _KEYS.check_token(user, key):
        return HttpResponse(
            "This link has been used or is too old: camcensus inventory serve --open makes a new one.\n",
            status=403,
            content_type="text/plain; charset=utf-8",
        )
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponseRedirect("/")
