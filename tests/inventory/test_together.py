"""Tests that reports stored together are stored as one after the other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from inventory.ingest import service
from inventory.ingest.service import ReportRefused, Submission, receive, receive_together
from inventory.models import Agent, Device, Finding, Identity, Run, RunPart, Sighting, SiteTally, Verdict
from tests.inventory.making import DAY, START, agent, camera, document, site


def contents() -> dict[str, Any]:
    """Everything that reports leave in the database, but for the ids of rows."""
    return {
        "devices": sorted(
            Device.objects.values_list(
                "site__code", "mac", "serial", "address", "firmware", "first_seen", "last_seen"
            )
        ),
        "identities": sorted(Identity.objects.values_list("key", "device__mac")),
        "sightings": sorted(
            Sighting.objects.values_list("device__mac", "site__code", "address", "first_seen", "last_seen")
        ),
        "verdicts": sorted(Verdict.objects.values_list("device__mac", "since", "digest")),
        "findings": sorted(Finding.objects.values_list("device__mac", "since", "digest")),
        "runs": sorted(
            Run.objects.values_list(
                "site__code", "report", "parts_received", "accepted", "refused", "complete"
            )
        ),
        "parts": sorted(RunPart.objects.values_list("run__report", "number", "accepted")),
        "tallies": sorted(SiteTally.objects.values_list("site__code", "finding", "manufacturer", "count")),
        "agents": sorted(Agent.objects.values_list("name", "version")),
    }


def submissions(days: int = 2) -> list[list[Submission]]:
    """A few days of four sites: what stays, what changes, what moves to another site, what is no report."""
    found = []
    for day in range(days):
        at = START + day * DAY
        rows = []
        for number in range(4):
            devices = [camera(number * 100 + place, at) for place in range(5)]
            devices[0]["firmware"] = f"V{day}"
            if day and number == 2:
                # A camera of the site before hangs here now.
                devices.append(camera(104, at))
            where = site(f"school-{number}")
            rows.append(Submission(f"r{number}-{day}", where, document(devices, at), agent(f"box-{number}")))
        rows.append(Submission(f"bad-{day}", site("school-9"), {"schema": 99}, agent("box-9")))
        rows.append(Submission(f"none-{day}", site("school-8"), document([], at), agent("box-8")))
        found.append(rows)
    return found


def test_together_is_as_one_by_one(database: dict[str, Any]) -> None:
    """The same rows, whichever way; what is no report is refused alone."""
    assert database
    for rows in submissions():
        results = receive_together(rows)
        assert [type(result) for result in results[:4]] == [service.Receipt] * 4
        assert isinstance(results[4], ReportRefused)
    together = contents()
    for model in (Finding, Verdict, Sighting, Identity, RunPart, Run, SiteTally, Device):
        model.objects.all().delete()
    for rows in submissions():
        for row in rows:
            try:
                receive(row)
            except ReportRefused:
                continue
    assert contents() == together
    # And again, as after an answer that was lost: nothing is there twice.
    for rows in submissions():
        receive_together(rows)
    assert contents() == together


def test_one_device_of_two_reports(database: dict[str, Any]) -> None:
    """A device that two reports of a batch tell of is one device, seen at both sites."""
    assert database
    rows = [
        Submission("a", site("school-1"), document([camera(7)]), agent("box-1")),
        Submission("b", site("school-2"), document([camera(7, START + timedelta(hours=1))]), agent("box-2")),
    ]
    receive_together(rows)
    device = Device.objects.get()
    assert device.site.code == "school-2"
    assert Sighting.objects.filter(device=device).count() == 2


def test_two_parts_of_one_report(database: dict[str, Any]) -> None:
    """Parts of one report in one batch make one run."""
    assert database
    rows = [Submission("a", site(), document([camera(number)]), agent(), number, 3) for number in (1, 2, 3)]
    receive_together(rows)
    run = Run.objects.get()
    assert (run.parts_received, run.accepted, run.complete) == (3, 3, True)


def test_a_site_is_counted_with_the_last_part(database: dict[str, Any]) -> None:
    """Until then what stood before stands, and the site is known to be uncounted."""
    assert database
    for number in (1, 2, 3):
        receive(Submission("a", site(), document([camera(number)]), agent(), number, 3))
        assert sum(SiteTally.objects.values_list("count", flat=True)) == (3 if number == 3 else 0)
        assert site().stale is (number < 3)
