"""Tests of a database that goes away while a report is stored."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from django.db import connections

from inventory import tokens
from inventory.models import Device, Sighting, Verdict
from tests.inventory.conftest import use
from tests.inventory.making import agent, camera, document, site
from tests.inventory.postgresql import Server
from tests.inventory.serving import Answer, serving

COUNT = 12_000


def test_a_database_that_goes_away_in_the_middle(postgresql_server: Server, tmp_path: Path) -> None:
    """The agent is told to send again; nothing is half-stored; when it does, nothing is doubled."""
    described = postgresql_server.described(postgresql_server.create_next("migrated"))
    use(described)
    site()
    token = {"Authorization": f"Bearer {tokens.issue(agent())[1]}"}
    body = json.dumps(document([camera(number) for number in range(COUNT)])).encode()
    path = "/api/v1/reports?site=school-1&report=r1"
    answers: list[Answer] = []
    with serving(described, tmp_path / "state", CAMCENSUS_MAX_BODY="99000000") as served:
        post = threading.Thread(target=lambda: answers.append(served.ask("POST", path, body, token)))
        post.start()
        while not Device.objects.exists():
            time.sleep(0.01)
        connections.close_all()
        postgresql_server.stop()
        post.join(60)
        assert (answers[0].status, answers[0].headers["retry-after"]) == (503, "10")
        assert served.ask("GET", "/readyz").status == 503
        assert served.ask("GET", "/healthz").status == 200
        postgresql_server.start()
        kept = Device.objects.count()
        assert 0 < kept < COUNT
        assert kept % 500 == 0
        assert Verdict.objects.count() == Sighting.objects.count() == kept
        assert served.ask("POST", path, body, token).status == 200
    assert Device.objects.count() == Verdict.objects.count() == Sighting.objects.count() == COUNT
    connections.close_all()
