"""Tests of the API, through the real server: reports in, lists out, nobody sees what is not theirs."""

from __future__ import annotations

import gzip
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from inventory import tokens
from inventory.models import ApiToken, Device, Organisation
from tests.inventory.making import START, agent, camera, document, report, site
from tests.inventory.serving import Served, serving


@pytest.fixture
def served(database: dict[str, Any], tmp_path: Path) -> Generator[Served]:
    """The inventory, served."""
    with serving(
        database, tmp_path / "state", CAMCENSUS_MAX_BODY="200000", CAMCENSUS_MAX_REPORT="2000000"
    ) as it:
        yield it


def _token(**more: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.issue(agent(), **more)[1]}"}


def _body(*numbers: int) -> bytes:
    return json.dumps(document([camera(number) for number in numbers])).encode()


REPORT = "/api/v1/reports?site=school-1&report=r1"


def test_a_report_is_answered_device_by_device(served: Served) -> None:
    """Plain, then again as gzip: the same devices, each with its answer; a refused one says why."""
    site()
    token = _token()
    first = served.ask("POST", REPORT, _body(1, 2), token)
    assert first.status == 200, first.body
    again = served.ask("POST", REPORT, gzip.compress(_body(1, 2)), {**token, "Content-Encoding": "gzip"})
    assert [row["change"] for row in json.loads(first.body)["devices"]] == ["new", "new"]
    assert [row["change"] for row in json.loads(again.body)["devices"]] == ["same", "same"]
    wrong = json.dumps(document([camera(3, site="school-2")])).encode()
    answer = json.loads(served.ask("POST", REPORT.replace("r1", "r2"), wrong, token).body)
    assert (answer["accepted"], answer["devices"][0]["reason"]) == (0, "names another site than the report")


def test_what_is_not_a_report_is_refused(served: Served) -> None:
    """Each with the status that HTTP has for it, nothing stored, the server alive."""
    site()
    token = _token()
    packed = {**token, "Content-Encoding": "gzip"}
    for status, body, headers in (
        (400, b"{", token),
        (400, b"[" * 100_000, token),
        (400, b"no gzip", packed),
        (400, gzip.compress(_body(1))[:-20], packed),
        (413, b" " * 200_001, token),
        (413, gzip.compress(b" " * 2_000_001), packed),
        (415, b"{}", {**token, "Content-Encoding": "br"}),
        (422, b'{"schema": 2, "devices": []}', token),
        (422, b"[]", token),
        (401, _body(1), {}),
        (401, _body(1), {"Authorization": "Bearer cci_" + "x" * 43}),
    ):
        assert served.ask("POST", REPORT, body, headers).status == status
    assert served.ask("GET", "/readyz").status == 200
    assert Device.objects.count() == 0


def test_half_a_surrogate_is_replaced(served: Served) -> None:
    """A text that no encoding can hold does not cost the report."""
    site()
    body = _body(1).replace(b"DS-2CD2042WD-I", b"DS\\ud800")
    assert served.ask("POST", REPORT, body, _token()).status == 200
    assert Device.objects.get().model == "DS?"


def test_a_token_reports_for_its_own_sites_alone(served: Served) -> None:
    """Another site, another organisation, no such site: one and the same answer."""
    elsewhere = Organisation.objects.create(name="Hospital")
    site(), site("school-2"), site("ward", elsewhere)
    token = _token(sites=[site()])
    codes = ("school-2", "ward", "nowhere")
    answers = [served.ask("POST", REPORT.replace("school-1", code), _body(1), token) for code in codes]
    assert [answer.status for answer in answers] == [403] * 3
    assert len({answer.body for answer in answers}) == 1


def test_expired_revoked_and_rotated_tokens(served: Served) -> None:
    """A renewed token works beside the old one until that has run out; a revoked one at once no more."""
    site()
    token, old = tokens.issue(agent())
    _, new = tokens.rotate(token)
    for text in (old, new):
        assert served.ask("POST", REPORT, _body(1), {"Authorization": f"Bearer {text}"}).status == 200
    ApiToken.objects.filter(pk=token.pk).update(expires=START)
    assert served.ask("POST", REPORT, _body(1), {"Authorization": f"Bearer {old}"}).status == 401
    ApiToken.objects.update(revoked=START)
    assert served.ask("POST", REPORT, _body(1), {"Authorization": f"Bearer {new}"}).status == 401


def test_lists_come_in_pages_with_chosen_fields(served: Served) -> None:
    """A filter, two fields, a cursor: every device once."""
    report(
        "r1", [camera(number, manufacturer="Dahua" if number == 3 else "Hikvision") for number in range(7)]
    )
    token = _token(may_read=True)
    seen, cursor = [], 0
    while cursor is not None:
        path = f"/api/v1/devices?manufacturer=Hikvision&fields=id,address&limit=4&cursor={cursor}"
        page = json.loads(served.ask("GET", path, headers=token).body)
        seen += page["items"]
        cursor = page["next"]
    assert len(seen) == 6
    assert all(set(row) == {"id", "address"} for row in seen)
    assert served.ask("GET", "/api/v1/devices?fields=password", headers=token).status == 422


def test_everything_is_given_as_csv_and_ndjson(served: Served) -> None:
    """Every list in each form; what would be a formula in a spreadsheet is none."""
    report("r1", [camera(1, model="=HYPERLINK(1)"), camera(2)])
    token = _token(may_read=True)
    for name in ("devices", "sites", "runs", "findings", "verdicts", "sightings", "timeline"):
        for form in ("json", "ndjson", "csv"):
            answer = served.ask("GET", f"/api/v1/{name}?format={form}", headers=token)
            assert answer.status == 200, (name, form)
        assert json.loads(served.ask("GET", f"/api/v1/{name}", headers=token).body)["items"]
    assert b"'=HYPERLINK(1)" in served.ask("GET", "/api/v1/devices?format=csv", headers=token).body


def test_nobody_reads_what_is_not_theirs(served: Served) -> None:
    """A token without the right to read, or for other sites, lists nothing; without one nothing is told."""
    report("r1", [camera(1)])
    other = _token(may_read=True, sites=[site("school-2")])
    for name in ("devices", "runs", "findings", "verdicts", "sightings", "timeline"):
        assert json.loads(served.ask("GET", f"/api/v1/{name}", headers=other).body)["items"] == []
        assert json.loads(served.ask("GET", f"/api/v1/{name}", headers=_token()).body)["items"] == []
        assert served.ask("GET", f"/api/v1/{name}").status == 401
    sites = json.loads(served.ask("GET", "/api/v1/sites", headers=other).body)["items"]
    assert [row["code"] for row in sites] == ["school-2"]


def test_the_machine_around_it_can_look(served: Served) -> None:
    """Alive, ready, counted, described; with the headers that browsers want."""
    assert served.ask("GET", "/readyz").status == 200
    assert b"camcensus_inventory_reports_total" in served.ask("GET", "/metrics").body
    described = served.ask("GET", "/api/v1/openapi.json")
    assert "/api/v1/reports" in json.loads(described.body)["paths"]
    assert "default-src 'none'" in described.headers["content-security-policy"]
    assert described.headers["x-content-type-options"] == "nosniff"
