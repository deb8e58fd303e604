"""Tests of which devices are read with the user's logins, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.cli.recorders import WhichDetails, chosen_logins, subjects_of
from agent.config import ConfigError, Settings
from agent.details import Place
from agent.scope import Scope
from fingerprints.model import (
    Attachment,
    Device,
    DeviceClass,
    Fact,
    Finding,
    Level,
    Observation,
    Report,
    Speaker,
    Verdict,
)

SCOPE = Scope.parse(["192.0.2.0/24", "fe80::7%lo"])


def device(
    ip: str,
    kind: DeviceClass = "recorder",
    maker: str | None = "Dahua",
    *rows: tuple[str, str, str, int],
    level: Level = "probable",
    behind: tuple[Attachment, ...] = (),
) -> Device:
    said = tuple(
        Observation(Fact(field, text), Speaker(ip, None, port), name) for name, field, text, port in rows
    )
    verdict = Verdict(maker, device_class=kind, level=level)
    return Device(ip, verdict, Finding("clear"), (ip,), observations=said, behind=behind, hidden=bool(behind))


def test_recorders_or_all_in_the_scope() -> None:
    """Recorders are read, cameras only on request; nothing outside the scope or hidden ever is."""
    report = Report(
        (
            device("192.0.2.1"),
            device("192.0.2.2", "camera"),
            device("192.0.2.3", "not-surveillance"),
            device("198.51.100.1"),
            device("192.0.2.9", behind=(Attachment("192.0.2.1", ("1",)),)),
        )
    )
    assert [subject.ip for subject in subjects_of(report, SCOPE)] == ["192.0.2.1"]
    assert [subject.ip for subject in subjects_of(report, SCOPE, every=True)] == ["192.0.2.1", "192.0.2.2"]


def test_where_it_is_asked() -> None:
    """Where TLS was met comes first, then port 80; an announced ONVIF service is asked at the host itself."""
    rows = (
        ("http", "http.server", "x", 8080),
        ("http", "http.server", "x", 80),
        ("tls", "tls.subject", "CN=x", 443),
        ("tls", "tls.subject", "CN=x", 37777),
        ("ws-discovery", "onvif.xaddr", "http://203.0.113.9:8899/onvif/device_service", 3702),
    )
    (subject,) = subjects_of(Report((device("192.0.2.1", "recorder", "Dahua", *rows),)), SCOPE)
    assert [(place.port, place.tls) for place in subject.places] == [(443, True), (80, False), (8080, False)]
    assert subject.onvif == ((Place("192.0.2.1", 8899), "/onvif/device_service"),)
    (subject,) = subjects_of(Report((device("fe80::7"),)), SCOPE)
    assert subject.places == (Place("fe80::7%lo", 80),)
    assert subject.places[0].origin == "http://[fe80::7%lo]:80"


def test_a_doubtful_maker_decides_nothing() -> None:
    """A maker that is only possible does not choose the way to ask."""
    (subject,) = subjects_of(Report((device("192.0.2.1", level="possible"),)), SCOPE)
    assert subject.maker is None


def test_credentials_are_needed(tmp_path: Path) -> None:
    """Without logins nothing is read; asking for all details then is a mistake."""
    path = tmp_path / "c.toml"
    path.touch(0o600)
    path.write_text('[[snmp-community]]\nhosts = ["192.0.2.1"]\ncommunity = "x"\n')
    assert chosen_logins(Settings(), WhichDetails.RECORDERS) is None
    assert chosen_logins(Settings(credentials=path), WhichDetails.RECORDERS) is None
    for settings in (Settings(), Settings(credentials=path)):
        with pytest.raises(ConfigError, match="--details all"):
            chosen_logins(settings, WhichDetails.ALL)
    path.write_text('[[login]]\nhosts = ["192.0.2.1"]\nusername = "x"\npassword = "y"\n')
    assert chosen_logins(Settings(credentials=path), WhichDetails.NONE) is None
    assert chosen_logins(Settings(credentials=path), WhichDetails.ALL) is not None
