"""Tests of taking reports in: nothing doubled, nothing lost, whatever order or hurry they come in."""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from inventory.ingest.service import ReportRefused, Submission, receive
from inventory.models import (
    Alert,
    Device,
    Facts,
    Finding,
    Identity,
    Plan,
    PlanChange,
    Run,
    Sighting,
    SiteTally,
    Subnet,
    Verdict,
)
from tests.inventory.making import DAY, START, agent, camera, document, report, site, stamp

pytestmark = pytest.mark.usefixtures("database")


def _counts() -> dict[str, int]:
    tables: tuple[Any, ...] = (Device, Identity, Sighting, Verdict, Finding, Facts, PlanChange)
    return {table.__name__: table.objects.count() for table in tables}


def test_a_report_becomes_devices_with_everything_known_of_them() -> None:
    """A first report: each device is new, found, with its verdict, finding, facts, keys, place."""
    receipt = report("r1", [camera(1), camera(2)])
    assert [outcome.change for outcome in receipt.outcomes] == ["new", "new"]
    device = Device.objects.get(mac="28:57:be:00:00:01")
    assert (device.manufacturer, device.finding, device.plan_state) == ("Hikvision", "flagged", "found")
    assert device.verdicts.get().said["evidence"][0]["rule"] == "hikvision.http-server.app-webs"
    assert device.findings.get().matches[0]["policy"] == "uk-2022-sensitive-sites"
    assert device.facts.observations[0]["text"] == "App-webs/"
    assert device.identities.count() == 3
    assert device.sightings.get().first_seen == START
    assert SiteTally.objects.get().count == 2
    run = Run.objects.get()
    assert (run.complete, run.accepted, run.refused, run.covered) == (True, 2, 0, ["10.0.0.0/8"])


def test_the_same_report_twice_changes_nothing() -> None:
    """Every table is as it was, the run counts its devices once, each device is called the same."""
    report("r1", [camera(1), camera(2)])
    before = _counts()
    receipt = report("r1", [camera(1), camera(2)])
    assert _counts() == before
    assert [outcome.change for outcome in receipt.outcomes] == ["same", "same"]
    assert Run.objects.get().accepted == 2


def test_scans_that_find_the_same_grow_no_table_but_the_runs() -> None:
    """Ten days of scans: one interval a device, one verdict."""
    for day in range(10):
        report(f"r{day}", [camera(1, START + day * DAY)], START + day * DAY)
        if day == 0:
            before = _counts()
    assert _counts() == before
    interval = Sighting.objects.get()
    assert (interval.first_seen, interval.last_seen) == (START, START + 9 * DAY)


def _history() -> dict[str, Any]:
    device = Device.objects.get()
    return {
        "current": (device.firmware, device.first_seen, device.last_seen),
        "verdicts": [(row.since, row.said["firmware"]) for row in device.verdicts.order_by("since")],
        "sightings": [
            (row.first_seen, row.last_seen, row.address) for row in device.sightings.order_by("first_seen")
        ],
    }


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_of_reports_does_not_matter(order: tuple[int, ...]) -> None:
    """A device that changed its firmware and back: the same history in whichever order it is told."""
    told = ("V1", "V2", "V1")
    for day in order:
        at = START + day * DAY
        report(f"r{day}", [camera(1, at, firmware=told[day])], at)
    assert _history() == {
        "current": ("V1", START, START + 2 * DAY),
        "verdicts": [(START, "V1"), (START + DAY, "V2"), (START + 2 * DAY, "V1")],
        "sightings": [(START, START + 2 * DAY, "10.0.0.1")],
    }


def test_a_device_keeps_its_name_when_its_address_changes() -> None:
    """The MAC tells that it is the same: two intervals, at two addresses, of one device."""
    report("r1", [camera(1)])
    report("r2", [camera(1, START + DAY, addresses=["10.0.0.99"], serial=None)], START + DAY)
    device = Device.objects.get()
    assert device.address == "10.0.0.99"
    assert sorted(row.address for row in device.sightings.all()) == ["10.0.0.1", "10.0.0.99"]


def test_another_mac_at_an_address_is_another_device() -> None:
    """A camera that was swapped for another of the same maker is new; the old one is no longer seen."""
    report("r1", [camera(1)])
    report("r2", [camera(2, START + DAY, addresses=["10.0.0.1"])], START + DAY)
    assert Device.objects.count() == 2


def test_a_remote_device_without_keys_is_known_by_its_address() -> None:
    """Behind a router no MAC is seen: the same maker at the same address is the same device."""
    report("r1", [camera(1)])
    seen = camera(1, START + DAY, mac=None, macs=[], serial=None)
    report("r2", [seen], START + DAY)
    assert Device.objects.count() == 1


def test_two_devices_with_one_mac_stay_two_and_are_marked() -> None:
    """A cloned MAC is a conflict that is shown; scan after scan each stays who it was."""
    pair = [camera(1, serial=None), camera(2, serial=None, mac="28:57:be:00:00:01", macs=[])]
    first = report("r1", pair)
    second = report("r2", pair)
    assert Device.objects.count() == 2
    assert [row.device for row in first.outcomes] == [row.device for row in second.outcomes]
    assert Device.objects.filter(conflicted=True).count() == 2


def test_the_serial_outweighs_the_mac() -> None:
    """Serial of one device, MAC of another: the serial decides, both are marked."""
    report("r1", [camera(1), camera(2)])
    mixed = camera(1, START + DAY, mac="28:57:be:00:00:02", macs=[])
    receipt = report("r2", [mixed], START + DAY)
    assert Device.objects.filter(pk=receipt.outcomes[0].device or 0, serial=camera(1)["serial"]).exists()
    assert Device.objects.filter(conflicted=True).count() == 2


def test_a_report_of_a_hundred_thousand_devices_is_taken() -> None:
    """Chunk after chunk, each device once."""
    # SQLite takes all of them; what is left to see on PostgreSQL shows with fewer.
    count = 100_000 if connections["default"].vendor == "sqlite" else 10_000
    receipt = report("big", [camera(number) for number in range(count)])
    assert receipt.accepted == count
    assert Device.objects.count() == count


def test_a_device_of_ten_thousand_facts_is_cut() -> None:
    """It is taken with as many facts as a report carries."""
    facts = [{"field": "http.header", "text": f"x-{number}: 1"} for number in range(10_000)]
    report("r1", [camera(1, observations=facts, hostnames=["h"] * 5000, ports=list(range(9000)))])
    kept = Facts.objects.get()
    assert (len(kept.observations), len(kept.hostnames), len(kept.ports)) == (128, 64, 64)


def test_text_of_strangers_is_kept_without_what_cannot_be_seen() -> None:
    """Markup stays as it is for pages to escape; control and direction characters become words."""
    said: dict[str, Any] = {
        "model": "<b>x</b>\u202egnp.exe\x00",
        "hostnames": ["a\x1b[31m"],
        "notes": ["\u2066n"],
    }
    report("r1", [camera(1, **said)])
    device = Device.objects.get()
    assert device.model == "<b>x</b><U+202E>gnp.exe<U+0000>"
    assert device.hostname == "a<U+001B>[31m"
    assert device.verdicts.get().said["notes"] == ["<U+2066>n"]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"last_seen": "2199-01-01T00:00:00Z"}, "future"),
        ({"first_seen": "1970-01-01T00:00:00Z"}, "before the year 2000"),
        ({"first_seen": "2026-03-02T00:00:00Z"}, "after last_seen"),
        ({"last_seen": "yesterday"}, "not a time"),
        ({"site": "hospital-9"}, "another site"),
        ({"mac": "28-57-BE-00-00-01"}, "MAC"),
        ({"addresses": ["10.0.0.999"]}, "addresses"),
        ({"vlans": [5000]}, "vlans"),
        ({"finding": "guilty"}, "finding"),
        ({"confidence": 7}, "confidence"),
        ({"evidence": [{}]}, "evidence"),
        ({"evidence": "x"}, "evidence"),
        ({"id": None}, "no id"),
        ({"observations": {"a": 1}}, "observations"),
        ({"ports": 3}, "ports"),
        ({"vlans": "x"}, "vlans"),
        ({"location": "rack 3"}, "location"),
        ({"location": {"switch": "sw", "port": 3}}, "location"),
        ({"behind": [{"channels": []}]}, "behind"),
        ({"behind": [{"recorder": "x", "channels": 3}]}, "channels"),
    ],
)
def test_a_wrong_device_is_refused_alone(more: dict[str, Any], reason: str) -> None:
    """The others are taken; the answer says why this one was not; the run proves no absence."""
    receipt = report("r1", [camera(1), camera(2, **more), camera(3)])
    assert [outcome.accepted for outcome in receipt.outcomes] == [True, False, True]
    assert reason in receipt.outcomes[1].reason
    assert Device.objects.count() == 2
    assert not Run.objects.get().complete


@pytest.mark.parametrize("row", [None, 7, "x", [], {}])
def test_what_is_no_device_is_refused(row: object) -> None:
    """Nothing that stands among the devices breaks the report."""
    assert [outcome.accepted for outcome in report("r1", [row, camera(1)]).outcomes] == [False, True]


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"schema": True},
        {"devices": {}},
        {"run": []},
        {"run": {"started": "2026-03-02T00:00:00Z", "finished": "2026-03-01T00:00:00Z"}},
        {"run": {"finished": "2199-01-01T00:00:00Z"}},
    ],
)
def test_a_report_of_another_shape_is_refused_whole(change: dict[str, Any]) -> None:
    """An unknown schema or a broken frame is refused before anything is stored."""
    with pytest.raises(ReportRefused):
        receive(Submission("r1", site(), {**document([camera(1)]), **change}, agent()))
    assert Run.objects.count() == Device.objects.count() == 0


def test_parts_make_one_run() -> None:
    """A report in three parts is complete when the last one has come, in any order, one twice."""
    for part in (3, 1, 1, 2):
        assert not Run.objects.filter(complete=True).exists()
        receive(Submission("r1", site(), document([camera(part)]), agent(), part, 3))
    run = Run.objects.get()
    assert (run.complete, run.accepted, run.parts_received) == (True, 3, 3)


def test_a_report_of_another_agent_is_not_added_to() -> None:
    """The id of a report belongs to the agent that began it."""
    report("r1", [camera(1)])
    with pytest.raises(ReportRefused, match="another agent"):
        receive(Submission("r1", site(), document([camera(2)]), agent("other")))


def _together(*deeds: Callable[[], object]) -> list[BaseException]:
    faults: list[BaseException] = []
    gate = threading.Barrier(len(deeds))

    def run(deed: Callable[[], object]) -> None:
        try:
            gate.wait(10)
            deed()
        except BaseException as fault:  # noqa: BLE001 - handed to the test
            faults.append(fault)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(deed,)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return faults


def test_two_agents_at_once_on_one_site_make_each_device_once() -> None:
    """Both see the same new cameras at the same time: no double, no fault."""
    where, first, second = site(), agent("a"), agent("b")
    devices = [camera(number) for number in range(1200)]
    faults = _together(
        lambda: receive(Submission("ra", where, document(devices), first)),
        lambda: receive(Submission("rb", where, document(list(reversed(devices))), second)),
    )
    assert faults == []
    assert _counts()["Device"] == _counts()["Sighting"] == _counts()["Verdict"] == 1200


def test_cameras_that_change_places_are_counted_at_both() -> None:
    """Two sites take over each other's cameras at the same time: each is counted once, where it is now."""
    first, second = site("school-1"), site("school-2")
    mine, yours = [camera(number) for number in range(200)], [camera(number) for number in range(200, 400)]
    report("a0", mine, START, first)
    report("b0", yours, START, second)
    for day in range(1, 5):
        at = START + day * DAY
        mine, yours = ([{**row, "last_seen": stamp(at)} for row in rows] for rows in (yours, mine))
        deeds = [
            Submission(f"a{day}", first, document(mine, at)),
            Submission(f"b{day}", second, document(yours, at)),
        ]
        assert _together(*(functools.partial(receive, deed) for deed in deeds)) == []
        counts = SiteTally.objects.values_list("site__code", "count").order_by("site")
        assert list(counts) == [("school-1", 200), ("school-2", 200)]


def _removed(device: Device) -> None:
    Plan.objects.create(device=device, state="removed", removed_at=START + DAY / 2)
    Device.objects.filter(pk=device.pk).update(plan_state="removed")


def test_a_removed_device_is_verified_gone_by_scans_that_looked_there() -> None:
    """Three complete scans of its address miss it; what covered something else does not count."""
    report("r1", [camera(1), camera(2)])
    device = Device.objects.get(mac="28:57:be:00:00:01")
    _removed(device)
    at = START
    for number, targets in enumerate([("192.168.0.0/16",), ("10.0.0.0/24",), ("10.0.0.0-10.0.0.9",)]):
        at += DAY
        report(f"s{number}", [camera(2, at)], at, targets=targets)
    report("s3", [camera(2, at)], at + DAY, incomplete=True)
    device.refresh_from_db()
    assert device.plan_state == "removed"
    report("s4", [camera(2, at)], at + 2 * DAY)
    device.refresh_from_db()
    assert device.plan_state == device.plan.state == "verified-gone"
    assert PlanChange.objects.filter(device=device, after="verified-gone").count() == 1


def test_a_vlan_that_was_not_looked_at_proves_nothing() -> None:
    """A device of VLAN 12 is missed only by scans of that VLAN, named or known by its subnet."""
    report("r1", [camera(1, vlans=[12])])
    _removed(Device.objects.get())
    for day in range(1, 5):
        report(f"s{day}", [], START + day * DAY, vlans=[7] if day % 2 else None)
    assert Device.objects.get().plan_state == "removed"
    Subnet.objects.create(site=site(), range="10.0.0.0/24", vlan=12)
    report("s5", [], START + 5 * DAY, vlans=[12])
    assert Device.objects.get().plan_state == "verified-gone"


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_device_that_comes_back_raises_an_alert(elsewhere: bool) -> None:
    """Seen again after its removal, here or at another site: it has returned."""
    report("r1", [camera(1)])
    _removed(Device.objects.get())
    again = camera(1, START + 2 * DAY)
    report("r2", [again], START + 2 * DAY, site("school-2") if elsewhere else None)
    device = Device.objects.get()
    assert device.plan_state == device.plan.state == "returned"
    assert Alert.objects.get().kind == "returned"


def test_an_old_report_that_comes_late_does_not_bring_a_device_back() -> None:
    """What was seen before the removal says nothing of after it."""
    report("r1", [camera(1)])
    _removed(Device.objects.get())
    report("r0", [camera(1, START - DAY)], START - DAY)
    assert Device.objects.get().plan_state == "removed"
    assert Device.objects.get().first_seen == START - DAY


def test_times_of_devices_default_to_the_end_of_the_run() -> None:
    """A device without times was seen when the run ended."""
    report("r1", [camera(1, first_seen=None, last_seen=None)], START)
    assert stamp(Device.objects.get().last_seen) == stamp(START)
