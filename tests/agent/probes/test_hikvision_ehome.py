"""EHome registrations are read; a platform's answer says nothing of the platform."""

from __future__ import annotations

from agent.probes.hikvision_ehome import HIKVISION_EHOME
from fingerprints.model import Fact
from tests.probe_cases import facts_of, only_malformed, three_ways

# The form of the recorded registration, with an invented device id.
REGISTER = (
    b'<?xml version="1.0" encoding="GB2312"?><PPVSPMessage><Version>2.0</Version><Sequence>1</Sequence>'
    b"<CommandType>REQUEST</CommandType><Command>REGISTER</Command><Params><DeviceID>560000000</DeviceID>"
    b"<FirmwareVersion>V5.4.5 build 170302</FirmwareVersion><LocalIP>192.0.2.1</LocalIP><DevType>31</DevType>"
    b"</Params></PPVSPMessage>"
)


def test_three_ways() -> None:
    """Whole, cut and with a tail."""
    three_ways(HIKVISION_EHOME, REGISTER)


def test_only_malformed_escapes() -> None:
    """Rubbish gives nothing or Malformed."""
    only_malformed(HIKVISION_EHOME, REGISTER)


def test_a_registration_says_firmware_and_type() -> None:
    """The keys become fields."""
    facts, _ = facts_of(HIKVISION_EHOME, REGISTER)
    assert Fact("discovery.hikvision-ehome.firmware-version", "V5.4.5 build 170302") in facts
    assert Fact("discovery.hikvision-ehome.command", "REGISTER") in facts


def test_an_answer_says_nothing() -> None:
    """The platform's side carries no facts about the platform."""
    assert facts_of(HIKVISION_EHOME, REGISTER.replace(b"REQUEST", b"RESPONSE")) == ([], False)
