"""Tests of the cameras that recorders tell of: whose they are, and which were met anyway."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from agent.census import Tally
from agent.probes import ALL
from agent.wire import Message
from fingerprints.codec import device_from_json, device_to_json, report_to_json, schema
from fingerprints.explain import explain_device
from fingerprints.judge import Judge
from fingerprints.matcher import Matchers
from fingerprints.model import Attachment, Device, Report, Speaker
from fingerprints.oui import Registry
from fingerprints.policy import load_policies
from fingerprints.rules import load_knowledge
from tests.agent.probes.test_dahua_cgi import REMOTE
from tests.agent.probes.test_isapi import CHANNELS, STATUS

HIKVISION, DAHUA = "192.168.1.20", "192.168.252.5"


@pytest.fixture(scope="module")
def judge() -> Judge:
    """A judge over the shipped knowledge."""
    return Judge(Matchers(load_knowledge()), Registry.packaged())


@pytest.fixture
def tally(judge: Judge) -> Tally:
    """An empty census with the shipped policy."""
    return Tally(judge, load_policies(judge.knowledge, ["uk-2022-sensitive-sites"]), ALL)


def said(payload: bytes, ip: str, protocol: str, mac: str | None = None) -> Message:
    return Message("tcp", payload, Speaker(ip, mac, 80), Speaker(), protocol=protocol, at=1e9, via="scan")


def hidden(report: Report) -> dict[str, Device]:
    return {device.id: device for device in report.devices if device.hidden}


def recorder(report: Report, ip: str) -> Any:
    rows: Any = report.coverage["recorders"]
    named = {device.id for device in report.devices if ip in device.addresses and not device.hidden}
    return next(row for row in rows if row["id"] in named)


def test_each_becomes_a_device_behind_the_recorder(tally: Tally) -> None:
    """A hidden camera has its own maker, model, firmware and address; the recorder's never decide."""
    tally.feed(said(REMOTE, DAHUA, "dahua-cgi"))
    tally.feed(said(b"vendor=Dahua\nclass=NVR\nupdateSerial=NVR2X-4KS3\n", DAHUA, "dahua-cgi"))
    report = tally.report()
    found = hidden(report)
    assert list(found) == [f"{DAHUA}/channel-{number}" for number in (1, 2, 5)]
    assert [device.verdict.manufacturer for device in found.values()] == ["Dahua", "Hikvision", None]
    other = found[f"{DAHUA}/channel-2"]
    assert other.verdict.model == "DS-2CD1143G0-I"
    assert other.verdict.firmware == "V5.7.1 build 211102"
    assert other.addresses == ("192.168.252.26",)
    assert other.verdict.device_class == "camera"
    assert other.finding.status == "flagged"
    assert other.behind == (Attachment(DAHUA, ("2",)),)
    assert found[f"{DAHUA}/channel-1"].verdict.mac == "08:ed:ed:00:00:01"


def test_channels_without_an_identified_camera_are_counted(tally: Tally) -> None:
    """The coverage counts what the list holds beside what of it has a maker."""
    tally.feed(said(REMOTE, DAHUA, "dahua-cgi"))
    tally.feed(said(b"class=NVR\nvendor=Dahua\n", DAHUA, "dahua-cgi"))
    report = tally.report()
    row = recorder(report, DAHUA)
    assert (row["channels"], row["cameras"], row["listed"]) == (3, 2, True)
    spots: Any = report.coverage["blind_spots"]
    assert next(spot["count"] for spot in spots if spot["kind"] == "channels") == 1
    assert report.coverage["hosts"] == 1
    assert report.coverage["hidden"] == 3
    jsonschema.validate(json.loads(json.dumps(report_to_json(report))), schema())


def test_lenses_of_one_camera_are_one_device(tally: Tally) -> None:
    """Two channels with one address are one camera."""
    twice = CHANNELS.replace(b"192.168.254.3", b"192.168.254.2")
    tally.feed(said(twice, HIKVISION, "isapi"))
    found = hidden(tally.report())
    assert [device.behind[0].channels for device in found.values()] == [("1", "9"), ("10",)]


def test_a_camera_that_was_met_is_one_device(tally: Tally) -> None:
    """What answered by itself and is attached, too, is listed once, with both what it and the recorder say."""
    camera = b"<DeviceInfo><serialNumber>DS-2CD2055FWD-I20200101AAWR000000001</serialNumber></DeviceInfo>"
    tally.feed(said(CHANNELS, HIKVISION, "isapi"))
    tally.feed(said(camera, "192.168.7.7", "isapi"))
    report = tally.report()
    assert list(hidden(report)) == [f"{HIKVISION}/channel-9", f"{HIKVISION}/channel-10"]
    met = next(device for device in report.devices if "192.168.7.7" in device.addresses)
    assert met.behind == (Attachment(HIKVISION, ("1",)),)
    assert met.verdict.model == "DS-2CD2055FWD-I"
    assert not met.hidden


@pytest.mark.parametrize(("ip", "one"), [("192.168.254.20", True), ("192.168.1.20", False)])
def test_an_address_alone(tally: Tally, ip: str, one: bool) -> None:
    """An equal address is the same camera in the recorder's own subnet; elsewhere it may be another's."""
    tally.feed(said(CHANNELS, ip, "isapi"))
    tally.feed(said(b"<DeviceInfo><model>X</model></DeviceInfo>", "192.168.254.3", "isapi"))
    assert (f"{ip}/channel-9" not in hidden(tally.report())) == one


def test_an_address_with_another_serial(tally: Tally) -> None:
    """At an equal address stands another camera if its serial says so."""
    tally.feed(said(CHANNELS, "192.168.254.20", "isapi"))
    other = b"<DeviceInfo><serialNumber>DS-2CD2055FWD-I20200101AAWR000000002</serialNumber></DeviceInfo>"
    tally.feed(said(other, "192.168.254.2", "isapi"))
    assert "192.168.254.20/channel-1" in hidden(tally.report())


def test_a_camera_on_two_recorders_is_one(tally: Tally) -> None:
    """The serial joins what two recorders tell of one camera; a filler joins nothing."""
    tally.feed(said(CHANNELS, HIKVISION, "isapi"))
    again = REMOTE.replace(b"DS-2CD1143G0-I20211208AAWRJ00000001", b"DS-2CD2055FWD-I20200101AAWR000000001")
    tally.feed(said(again, DAHUA, "dahua-cgi"))
    both = [device for device in hidden(tally.report()).values() if len(device.behind) == 2]
    assert [device.behind for device in both] == [(Attachment(HIKVISION, ("1",)), Attachment(DAHUA, ("2",)))]


def test_in_any_order_and_by_many_workers(tally: Tally, judge: Judge) -> None:
    """The report is the same in another order, and when two workers read and a third merges."""
    messages = [
        said(CHANNELS, HIKVISION, "isapi"),
        said(STATUS, HIKVISION, "isapi"),
        said(REMOTE, DAHUA, "dahua-cgi"),
    ]
    for message in messages:
        tally.feed(message)
    whole = Tally(judge, (), ALL)
    for message in reversed(messages):
        worker = Tally(judge, (), ALL)
        worker.feed(message)
        whole.merge(json.loads(json.dumps(worker.state())))
    mine = [device_to_json(device) | {"finding": ""} for device in tally.report().devices]
    theirs = [device_to_json(device) | {"finding": ""} for device in whole.report().devices]
    for row in (*mine, *theirs):
        row["policies"] = row["policy_matches"] = []
    assert mine == theirs


def test_a_lying_recorder_is_bounded(tally: Tally) -> None:
    """A recorder that tells of very many channels is believed up to a bound, and that is counted."""
    for start in range(0, 2_000, 100):
        rows = b"".join(
            b"<InputProxyChannel><id>%d</id><name>x</name></InputProxyChannel>" % number
            for number in range(start, start + 100)
        )
        tally.feed(said(rows, HIKVISION, "isapi"))
    report = tally.report()
    assert len(hidden(report)) == 512
    assert report.coverage["channel_facts_left_out"] == 2 * (2_000 - 512)


def test_written_and_read_back(tally: Tally) -> None:
    """JSON keeps where a camera is attached; a device that is nowhere attached has no such keys."""
    tally.feed(said(CHANNELS, HIKVISION, "isapi"))
    for device in tally.report().devices:
        row = device_to_json(device)
        assert ("behind" in row) == device.hidden
        assert device_from_json(row).behind == device.behind
        assert device_from_json(row).hidden == device.hidden


def test_explained(tally: Tally, judge: Judge) -> None:
    """`explain` says behind what a camera is, and that only the recorder told of it."""
    tally.feed(said(CHANNELS, HIKVISION, "isapi"))
    device = hidden(tally.report())[f"{HIKVISION}/channel-9"]
    lines = list(explain_device(device, judge.knowledge))
    assert f"  behind: {HIKVISION}, channel 9 (nobody but the recorder told of it)" in lines
