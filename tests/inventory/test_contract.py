"""Tests that the served API is what its OpenAPI document says, whatever is sent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore

from inventory import tokens
from tests.inventory.making import agent, camera, report
from tests.inventory.serving import serving


def session_of(user: User) -> str:
    """The cookie of somebody who has signed in."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return f"sessionid={session.session_key}"


@pytest.mark.timeout(300)
def test_no_request_breaks_the_api(database: dict[str, Any], tmp_path: Path) -> None:
    """Schemathesis finds no crash, no answer that is not described, no shape other than described."""
    report("r1", [camera(1), camera(2)])
    csrf = "c" * 32
    cookie = f"{session_of(User.objects.create_superuser('root'))}; csrftoken={csrf}"
    bearer = tokens.issue(agent(), may_read=True)[1]
    with serving(database, tmp_path / "state") as served:
        url = f"http://127.0.0.1:{served.port}/api/v1/openapi.json"
        check(
            url,
            tmp_path,
            f"Authorization: Bearer {bearer}",
            *("--exclude-tag", "people", "--exclude-checks", "positive_data_acceptance"),
        )
        # The cookie is sent whatever the tool leaves out, so what it takes for a refusal cannot come.
        check(
            url,
            tmp_path,
            f"Cookie: {cookie}",
            *("--header", f"X-CSRFToken: {csrf}", "--include-tag", "people"),
            *("--exclude-checks", "negative_data_rejection,ignored_auth,positive_data_acceptance"),
        )


def check(url: str, folder: Path, header: str, *words: str) -> None:
    """Run schemathesis over the API that is described at `url`."""
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "schemathesis"), "run", url,
            "--header", header, "--max-examples", "4", "--seed", "7", "--no-color",
            "--phases", "examples,coverage,fuzzing", *words,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Tested: 0" not in done.stdout
