"""Tests of signing in, out, of what stops who guesses."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory, override_settings
from django.utils import timezone

from inventory import limits
from inventory.models import AuditEntry, SignInFailure
from tests.inventory.pages.scene import PASSWORD

pytestmark = pytest.mark.usefixtures("database")


def _client() -> Client:
    return Client(SERVER_NAME="localhost", enforce_csrf_checks=False)


def _try(client: Client, password: str, **more: Any) -> int:
    answer = client.post("/sign-in", {"name": "ada", "password": password, **more})
    return int(answer.status_code)


def test_who_knows_the_password_comes_in_and_goes_where_they_wanted() -> None:
    """A page asks for a sign-in, then is shown; an address of others is never gone to."""
    User.objects.create_user("ada", password=PASSWORD)
    client = _client()
    asked = client.get("/devices?q=axis")
    assert (asked.status_code, asked["Location"]) == (302, "/sign-in?next=/devices%3Fq%3Daxis")
    answer = client.post("/sign-in", {"name": "ada", "password": PASSWORD, "next": "/devices?q=axis"})
    assert (answer.status_code, answer["Location"]) == (302, "/devices?q=axis")
    assert client.post("/sign-out").status_code == 302
    assert client.get("/devices").status_code == 302
    answer = client.post("/sign-in", {"name": "ada", "password": PASSWORD, "next": "https://evil.example/"})
    assert answer["Location"] == "/"


def test_guessing_is_slowed_down() -> None:
    """After five failures even the right password is not tried, until a quarter of an hour has passed."""
    User.objects.create_user("ada", password=PASSWORD)
    client = _client()
    assert [_try(client, "wrong") for _ in range(6)] == [422] * 5 + [429]
    assert _try(client, PASSWORD) == 429
    SignInFailure.objects.update(since=timezone.now() - limits.WINDOW - timedelta(seconds=1))
    assert _try(client, PASSWORD) == 302


def test_a_colleague_is_not_locked_out() -> None:
    """Failures from one address leave the name usable from another; many addresses together do not."""
    for _ in range(5):
        limits.failed("Ada", "192.0.2.1")
    assert limits.blocked("ada", "192.0.2.1")
    assert not limits.blocked("ada", "192.0.2.2")
    for number in range(45):
        limits.failed("ada", f"198.51.100.{number}")
    assert limits.blocked("ada", "192.0.2.2")
    assert not limits.blocked("eve", "192.0.2.2")


def test_where_a_request_comes_from() -> None:
    """The peer, or what our own proxy adds at the end; an IPv6 network counts as one."""
    asked = RequestFactory().get("/", REMOTE_ADDR="2001:db8::1", HTTP_X_FORWARDED_FOR="192.0.2.9, 192.0.2.1")
    assert limits.origin(asked) == "2001:db8::/64"
    with override_settings(SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https")):
        assert limits.origin(asked) == "192.0.2.1"


def test_a_newcomer_is_told_how_to_make_an_account() -> None:
    """Where nobody has one, the page names the command; nobody comes in without."""
    page = _client().get("/sign-in").content.decode()
    assert "camcensus inventory create-admin" in page
    assert not User.objects.exists()


def test_a_new_password_needs_the_old_one() -> None:
    """It is checked, changed, written down without its text."""
    user = User.objects.create_user("ada", password=PASSWORD)
    client = _client()
    client.force_login(user)
    new = {"new_password1": "a new long pass phrase", "new_password2": "a new long pass phrase"}
    assert client.post("/account", {"old_password": "wrong", **new}).status_code == 422
    assert client.post("/account", {"old_password": PASSWORD, **new}).status_code == 302
    assert client.get("/account").status_code == 200
    user.refresh_from_db()
    assert user.check_password("a new long pass phrase")
    entry = AuditEntry.objects.get(action="change-password")
    assert (entry.who, entry.before, entry.after) == ("ada", None, None)
