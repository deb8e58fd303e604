"""Tests of Dahua's CGI answers."""

from __future__ import annotations

from agent.probes.dahua_cgi import DAHUA_CGI
from tests.probe_cases import only_malformed, three_ways

# As recorders answered (a DH-NVR4216-HDS2; one with Hikvision cameras), serials and MACs changed.
_SLOT = b"table.RemoteDevice.uuid:System_CONFIG_NETCAMERA_INFO_%d.%s=%s\r\n"
REMOTE = b"".join(
    _SLOT % row
    for row in (
        (0, b"Name", b"Front"),
        (0, b"Enable", b"true"),
        (0, b"Address", b"192.168.252.25"),
        (0, b"Mac", b"08:ed:ed:00:00:01"),
        (0, b"Vendor", b"Private"),
        (0, b"ProtocolType", b"Dahua2"),
        (0, b"DeviceType", b"IPC-HDW1025C"),
        (0, b"VideoInputs[0].Name", b"Front"),
        (1, b"Enable", b"true"),
        (1, b"Address", b"192.168.252.26"),
        (1, b"Mac", b"ff:ff:ff:ff:ff:ff"),
        (1, b"SerialNo", b"DS-2CD1143G0-I20211208AAWRJ00000001"),
        (1, b"DeviceType", b"DS-2CD1143G0-I"),
        (1, b"Vendor", b"Onvif"),
        (1, b"Version", b"V5.7.1 build 211102"),
        (2, b"Enable", b"false"),
        (2, b"Address", b"192.168.252.28"),
        (2, b"DeviceType", b"IPC-HDW1235C"),
        (3, b"Enable", b"true"),
        (3, b"Address", b"192.168.0.0"),
        (4, b"Enable", b"true"),
        (4, b"Address", b"192.168.252.30"),
        (4, b"DeviceType", b"IP Camera"),
    )
)
# rroller/dahua#9 and #59.
SYSTEM = b"serialNumber=4F07335PAZ00000\r\ndeviceType=31\r\nprocessor=ST7108\r\nupdateSerial=NVR2X-4KS3\r\n"


def facts(payload: bytes) -> list[tuple[str, str, str]]:
    found = DAHUA_CGI.dissect(payload, b"")
    return [(fact.about, fact.field.removeprefix("details."), fact.text) for fact in found]


def test_what_stands_on_each_channel() -> None:
    """An enabled slot with an address is a camera; fillers are neither its MAC nor its model."""
    assert DAHUA_CGI.mine(REMOTE)
    assert facts(REMOTE) == [
        ("channel:1", "class", "attached"),
        ("channel:1", "name", "Front"),
        ("channel:1", "model", "IPC-HDW1025C"),
        ("channel:1", "mac", "08:ed:ed:00:00:01"),
        ("channel:1", "address", "192.168.252.25"),
        ("channel:1", "protocol", "Dahua2"),
        ("channel:2", "class", "attached"),
        ("channel:2", "model", "DS-2CD1143G0-I"),
        ("channel:2", "serial", "DS-2CD1143G0-I20211208AAWRJ00000001"),
        ("channel:2", "firmware", "V5.7.1 build 211102"),
        ("channel:2", "address", "192.168.252.26"),
        ("channel:5", "class", "attached"),
        ("channel:5", "address", "192.168.252.30"),
    ]


def test_the_other_spelling() -> None:
    """Some firmware numbers the slots in brackets."""
    assert facts(b"table.RemoteDevice[3].Enable=true\ntable.RemoteDevice[3].Address=192.0.2.4\n") == [
        ("channel:4", "class", "attached"),
        ("channel:4", "address", "192.0.2.4"),
    ]


def test_what_the_device_is() -> None:
    """The answers of magicBox are about the device; the number 31 is no model."""
    assert DAHUA_CGI.mine(SYSTEM)
    assert facts(SYSTEM) == [("speaker", "serial", "4F07335PAZ00000"), ("speaker", "model", "NVR2X-4KS3")]
    assert facts(b"version=4.001.0000005.0,build:2020-11-17\r\n") == [
        ("speaker", "firmware", "4.001.0000005.0,build:2020-11-17")
    ]
    assert facts(b"vendor=Dahua\r\nclass=NVR\r\ntype=31\r\n") == [
        ("speaker", "manufacturer", "Dahua"),
        ("speaker", "class", "NVR"),
    ]


def test_other_answers() -> None:
    """A refusal in words says nothing."""
    assert not DAHUA_CGI.mine(b"Error\r\nBad Request!\r\n")
    assert facts(b"Error\r\nBad Request!\r\n") == []


def test_bears_anything() -> None:
    """Cut anywhere, with a tail, and changed bytes: nothing uncertain, nothing but Malformed."""
    three_ways(DAHUA_CGI, REMOTE)
    three_ways(DAHUA_CGI, SYSTEM)
    only_malformed(DAHUA_CGI, REMOTE, SYSTEM)
