"""Tests that devices told by their bytes are stored as those that are read."""

from __future__ import annotations

import json
import random
from typing import Any

import orjson
import pytest

from inventory.ingest import store
from inventory.ingest.service import Submission, receive
from inventory.models import Device, Finding, Identity, Run, RunPart, Sighting, SiteTally, Verdict
from inventory.unpacking import BodyError, read_report
from tests.inventory.making import DAY, START, agent, camera, document, report, site, stamp
from tests.inventory.test_together import contents

MODELS = (Finding, Verdict, Sighting, Identity, RunPart, Run, SiteTally, Device)


def as_sent(told: dict[str, Any]) -> Any:
    """A report as it is read off the wire."""
    return read_report(json.dumps(told).encode())


def weeks(seed: int) -> list[Submission]:
    """Days in which cameras stay, move, share a MAC or a serial, change, come twice, come late."""
    draw = random.Random(seed)  # noqa: S311 - the same days each time
    found = []
    for day in range(12):
        late = draw.random() < 0.2
        at = START + (day - (3 if late else 0)) * DAY
        devices: list[dict[str, Any]] = []
        for number in draw.sample(range(8), 6):
            row = camera(number, at)
            if draw.random() < 0.15:
                row["macs"] = [camera((number + 1) % 8)["mac"], row["mac"]]
            if draw.random() < 0.1:
                row["serial"] = camera((number + 1) % 8)["serial"]
            if draw.random() < 0.15:
                row["addresses"] = [f"10.0.0.{draw.randrange(8)}"]
            if draw.random() < 0.3:
                row.update(macs=[], mac=None, serial=None)
            if draw.random() < 0.1:
                row["firmware"] = "V6"
            devices.append(row)
        if draw.random() < 0.3:
            devices.append(dict(devices[0]))
        where = site(f"school-{draw.randrange(2)}")
        found.append(Submission(f"r{day}", where, as_sent(document(devices, at)), agent()))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_bytes_tell_what_reading_tells(
    database: dict[str, Any], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """The same rows are stored where no device is told by its bytes."""
    assert database
    changes = [outcome.change for told in weeks(seed) for outcome in receive(told).outcomes]
    by_bytes = contents(), sorted(Device.objects.values_list("conflicted", "mac"))
    for model in MODELS:
        model.objects.all().delete()
    monkeypatch.setattr(store, "glance", lambda *_: None)
    assert [outcome.change for told in weeks(seed) for outcome in receive(told).outcomes] == changes
    assert (contents(), sorted(Device.objects.values_list("conflicted", "mac"))) == by_bytes


def test_what_is_said_again_is_not_read(database: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The second day moves the times on without looking a key up."""
    assert database
    receive(Submission("r1", site(), as_sent(document([camera(1), camera(2)])), agent()))
    monkeypatch.setattr(store, "said", None)
    later = document([camera(1, START + DAY), camera(2, START + DAY)], START + DAY)
    receipt = receive(Submission("r2", site(), as_sent(later), agent()))
    assert [outcome.change for outcome in receipt.outcomes] == ["same", "same"]
    assert {stamp(row.last_seen) for row in Device.objects.all()} == {stamp(START + DAY)}
    assert {stamp(row.last_seen) for row in Sighting.objects.all()} == {stamp(START + DAY)}


def test_a_text_that_looks_like_a_time_is_not_left_out(database: dict[str, Any]) -> None:
    """What a device writes into its own name cannot hide that it says something else."""
    assert database
    for day, name in enumerate(('x"last_seen": "1"', 'x"last_seen": "2"')):
        told = document([camera(1, START + day * DAY, hostnames=[name])], START + day * DAY)
        receipt = receive(Submission(f"r{day}", site(), as_sent(told), agent()))
    assert receipt.outcomes[0].change == "changed"


def test_whoever_begins_to_share_a_key_is_noticed(database: dict[str, Any]) -> None:
    """A camera that said the same all along is in doubt once another says that it has its MAC."""
    assert database
    report("r1", [camera(1), camera(2)])
    report("r2", [camera(2, START + DAY, macs=[camera(2)["mac"], camera(1)["mac"]])], START + DAY)
    report("r3", [camera(1, START + 2 * DAY)], START + 2 * DAY)
    assert Device.objects.filter(conflicted=True).count() >= 1
    assert Device.objects.get(mac=camera(1)["mac"]).said_bytes is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"schema": 1, "devices": [{"id": "a"}, 7, null], "run": {"a": [1]}}',
        b'{"devices": {"id": 1}}',
        b'{"devices": null, "x": 1.5}',
        b"[1, 2]",
        b'{"a": "\\ud83d"}',
    ],
)
def test_a_report_is_read_as_json(body: bytes) -> None:
    """All but the devices is what any reader makes of it, and so are they."""
    found = read_report(body)
    if isinstance(found, dict) and isinstance(found.get("devices"), list):
        found["devices"] = [orjson.loads(bytes(row)) for row in found["devices"]]
    assert found == json.loads(body.replace(b"\\ud83d", b"?"))


@pytest.mark.parametrize("body", [b"", b"{", b'{"devices": [}', b'{"a": \xff}', b"[" * 100_000])
def test_what_is_not_json_is_refused(body: bytes) -> None:
    """A broken body is refused whole."""
    with pytest.raises(BodyError):
        read_report(body)


def test_a_device_that_is_no_text_is_refused_alone(database: dict[str, Any]) -> None:
    """Bytes that are no UTF-8 within one device do not stop the others."""
    assert database
    body = json.dumps(document([camera(1), camera(2, model="?!")])).encode().replace(b"?!", b"\xff\xfe")
    receipt = receive(Submission("r1", site(), read_report(body), agent()))
    assert [outcome.reason for outcome in receipt.outcomes] == ["", "is not JSON"]
