"""Reports survive being written and read; anything else is refused by name."""

from __future__ import annotations

import contextlib
import json
from types import MappingProxyType
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprints.codec import (
    SCHEMA,
    CodecError,
    device_from_json,
    device_to_json,
    dumps,
    report_from_json,
    report_to_json,
    schema,
)
from fingerprints.model import (
    CloudContact,
    Conflict,
    Contact,
    Device,
    Evidence,
    Fact,
    Finding,
    Location,
    Observation,
    PolicyMatch,
    Problem,
    Report,
    Speaker,
    Verdict,
)

EVIDENCE = Evidence(
    rule="hikvision.http.server",
    family="http",
    field="http.server",
    text="App-webs/",
    claims=MappingProxyType({"manufacturer": "Hikvision"}),
    weight=6.125,
    proof=True,
)
DEVICE = Device(
    id="28:57:be:00:00:01",
    verdict=Verdict(
        "Hikvision", "Annke", "camera", "DS-1", "V5", "S1", "28:57:be:00:00:01", 0.998, "confirmed",
        (EVIDENCE,), (Conflict("manufacturer", "Hikvision", "Axis", ("axis.x",)),), ("a note",), "thermal", 16,
    ),
    finding=Finding("flagged", (PolicyMatch("uk", "Hikvision", "read", "2022-11-24"),)),
    addresses=("192.0.2.7",),
    macs=("28:57:be:00:00:01",),
    hostnames=("cam",),
    ports=(80, 554),
    vlans=(20,),
    first_seen=1_700_000_000.0,
    last_seen=1_700_000_060.0,
    site="School",
    location=Location("sw-hall", "Gi1/0/7", "door 4", 10, 2, 6.25, 3),
    problems=(Problem("192.0.2.7", "what"),),
    observations=(Observation(Fact("http.server", "App-webs/"), Speaker(), "http", frame=7),),
)  # fmt: skip
REPORT = Report(
    (DEVICE,),
    {
        "incomplete": False,
        "hosts": 1,
        "blind_spots": [{"kind": "remote", "count": 1, "what": "1 public address left out", "step": "name it"}],
    },
    (Problem("x.pcap@12", "cut"),),
    {"tool": "camcensus"},
    (Contact("192.0.2.20", "28:57:be:00:00:01", ("http", "rtsp"), 1_700_000_000.0, 1_700_000_060.0),),
    (
        CloudContact(
            "28:57:be:00:00:01", "Hikvision", "dev.hik-connect.com", ("203.0.113.7",), ("tls.sni",), 3,
            1_700_000_000.0, 1_700_000_060.0, 2, 1_200, 40_000,
        ),
        CloudContact("28:57:be:00:00:01", "Hikvision", "hik-connect.com", (), ("dns.query",), 1),
    ),
)  # fmt: skip


def test_there_and_back() -> None:
    """What is written is read back the same, through JSON text."""
    document = json.loads(dumps(report_to_json(REPORT)))
    again = report_from_json(document)
    assert report_to_json(again) == document
    assert (again.contacts, again.phone_home) == (REPORT.contacts, REPORT.phone_home)
    assert again.devices[0].verdict == Verdict(
        **{**_fields(DEVICE.verdict), "notes": ("a note",)},
    )


def _fields(verdict: Verdict) -> dict[str, Any]:
    return {name: getattr(verdict, name) for name in Verdict.__slots__}


def test_reports_fit_their_schema() -> None:
    """The shipped JSON Schema accepts what the codec writes, and only the known number."""
    document = json.loads(dumps(report_to_json(REPORT)))
    jsonschema.validate(document, schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "schema": SCHEMA + 1}, schema())


def test_who_records_whom_is_said_in_words_of_its_own() -> None:
    """A contact tells whether it was for video; whoever reads it need not know the protocols."""
    document = report_to_json(REPORT)
    (row,) = document["contacts"]
    assert (row["from"], row["to"], row["records"]) == ("192.0.2.20", DEVICE.id, True)
    assert document["phone_home"][0]["first_seen"] == "2023-11-14T22:13:20Z"


def test_a_device_is_the_identify_contract() -> None:
    """The keys that other programs rely on are there under their names."""
    row = device_to_json(DEVICE)
    assert row["finding"] == "flagged"
    assert row["policies"] == ["uk"]
    assert row["first_seen"] == "2023-11-14T22:13:20Z"
    assert row["evidence"][0]["weight"] == 6.125


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": 99}, "schema 99"),
        ({"devices": {}}, "report.devices is not a list"),
        ({"devices": [7]}, "devices[0] is not"),
        ({"devices": [{"confidence": 2}]}, "devices[0].confidence"),
        ({"devices": [{"level": "sure"}]}, "devices[0].level"),
        ({"devices": [{"ports": ["80"]}]}, "devices[0].ports"),
        ({"devices": [{"evidence": [{"claims": []}]}]}, "devices[0].evidence"),
        ({"devices": [{"observations": [{"field": "mac"}]}]}, "devices[0].observations"),
        ({"coverage": []}, "coverage and run"),
        ({"contacts": [7]}, "contacts holds"),
        ({"contacts": [{"protocols": "rtsp"}]}, "contacts.protocols"),
        ({"phone_home": [{"count": "3"}]}, "phone_home.count"),
    ],
)
def test_wrong_reports_are_refused(change: dict[str, Any], says: str) -> None:
    """Each wrong place is named."""
    with pytest.raises(CodecError) as caught:
        report_from_json({"schema": SCHEMA, "devices": [], **change})
    assert says in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "ports", "level", "evidence", "claims", "confidence"]), inner
        )
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["devices", "coverage", "problems", "run", "contacts", "phone_home"]), JSON
    )
)
def test_only_codec_errors_escape(document: dict[str, Any]) -> None:
    """Whatever the file holds, it is read or refused with the one error."""
    with contextlib.suppress(CodecError):
        report_from_json({"schema": SCHEMA, **document})


@pytest.mark.parametrize(
    ("place", "named"),
    [
        ("Gi1/0/7", "location is not"),
        ({"switch": "a"}, "`switch` and `port`"),
        ({"switch": "a", "port": "b", "poe_watts": "x"}, "poe_watts"),
    ],
)
def test_a_location_is_read_strictly(place: object, named: str) -> None:
    """A location that is none is refused by its place."""
    with pytest.raises(CodecError, match=named):
        device_from_json({"id": "x", "location": place})
