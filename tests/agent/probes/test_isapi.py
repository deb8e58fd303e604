"""Tests of Hikvision's ISAPI documents."""

from __future__ import annotations

from agent.probes.isapi import ISAPI
from tests.probe_cases import only_malformed, three_ways

# As DS-7616NI-K2 and DS-7732NI-M4 answered (maciej-or/hikvision_next), addresses and serials changed.
INFO = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<DeviceInfo version="1.0" xmlns="http://www.hikvision.com/ver20/XMLSchema">\n'
    b"<deviceName>NVR</deviceName>\n<deviceID>48473931-3030-0000-0000-acb00f0000bd</deviceID>\n"
    b"<model>DS-7616NI-K2</model>\n<serialNumber>DS-7616NI-K21620200101CCRRG00000001WCVU</serialNumber>\n"
    b"<macAddress>28:57:be:00:00:01</macAddress>\n<firmwareVersion>V4.74.210</firmwareVersion>\n"
    b"<firmwareReleasedDate>build 240108</firmwareReleasedDate>\n<deviceType>NVR</deviceType>\n"
    b"<manufacturer>hikvision</manufacturer>\n</DeviceInfo>\n"
)
CHANNELS = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<InputProxyChannelList version="2.0" size="14" xmlns="http://www.isapi.org/ver20/XMLSchema">\n'
    b'<InputProxyChannel version="2.0"><id>1</id><name>Garage</name><sourceInputPortDescriptor>'
    b"<proxyProtocol>HIKVISION</proxyProtocol><addressingFormatType>ipaddress</addressingFormatType>"
    b"<ipAddress>192.168.254.2</ipAddress><managePortNo>8000</managePortNo><srcInputPort>1</srcInputPort>"
    b"<model>DS-2CD2055FWD-I</model><serialNumber>DS-2CD2055FWD-I20200101AAWR000000001</serialNumber>"
    b"<firmwareVersion>V5.6.6 build 210625</firmwareVersion><deviceID></deviceID>"
    b"</sourceInputPortDescriptor></InputProxyChannel>\n"
    b"<InputProxyChannel><id>9</id><name>Yard</name><sourceInputPortDescriptor>"
    b"<proxyProtocol>ONVIF</proxyProtocol><ipAddress>192.168.254.3</ipAddress>"
    b"<model>JVSWO708-PO300M2</model></sourceInputPortDescriptor></InputProxyChannel>\n"
    b"<InputProxyChannel><id>10</id><name>Gate</name><sourceInputPortDescriptor>"
    b"<model>IPC</model></sourceInputPortDescriptor></InputProxyChannel>\n"
    b"</InputProxyChannelList>\n"
)
STATUS = (
    b'<InputProxyChannelStatusList version="2.0" xmlns="http://www.isapi.org/ver20/XMLSchema">'
    b"<InputProxyChannelStatus><id>9</id><sourceInputPortDescriptor><ipAddress>192.168.254.3</ipAddress>"
    b"</sourceInputPortDescriptor><online>false</online></InputProxyChannelStatus></InputProxyChannelStatusList>"
)


def facts(payload: bytes) -> list[tuple[str, str, str]]:
    return [
        (fact.about, fact.field.removeprefix("details."), fact.text) for fact in ISAPI.dissect(payload, b"")
    ]


def test_what_the_device_is() -> None:
    """The device's own information is about the device."""
    assert ISAPI.mine(INFO)
    assert facts(INFO) == [
        ("speaker", "name", "NVR"),
        ("speaker", "model", "DS-7616NI-K2"),
        ("speaker", "serial", "DS-7616NI-K21620200101CCRRG00000001WCVU"),
        ("speaker", "mac", "28:57:be:00:00:01"),
        ("speaker", "firmware", "V4.74.210"),
        ("speaker", "class", "NVR"),
        ("speaker", "manufacturer", "hikvision"),
    ]


def test_what_stands_on_each_channel() -> None:
    """Each channel's camera is told of by itself; a word for any camera is no model, the size no count."""
    assert ISAPI.mine(CHANNELS)
    assert facts(CHANNELS) == [
        ("channel:1", "class", "attached"),
        ("channel:1", "name", "Garage"),
        ("channel:1", "protocol", "HIKVISION"),
        ("channel:1", "address", "192.168.254.2"),
        ("channel:1", "model", "DS-2CD2055FWD-I"),
        ("channel:1", "serial", "DS-2CD2055FWD-I20200101AAWR000000001"),
        ("channel:1", "firmware", "V5.6.6 build 210625"),
        ("channel:9", "class", "attached"),
        ("channel:9", "name", "Yard"),
        ("channel:9", "protocol", "ONVIF"),
        ("channel:9", "address", "192.168.254.3"),
        ("channel:9", "model", "JVSWO708-PO300M2"),
        ("channel:10", "class", "attached"),
        ("channel:10", "name", "Gate"),
    ]


def test_which_channels_are_connected() -> None:
    """The status list tells whether a channel's camera is there now, and adds no camera."""
    assert facts(STATUS) == [("channel:9", "address", "192.168.254.3"), ("channel:9", "online", "false")]


def test_a_part_of_the_list() -> None:
    """A long list comes in parts of whole channels."""
    part = CHANNELS[CHANNELS.index(b"<InputProxyChannel><id>9") : CHANNELS.index(b"</InputProxyChannelList")]
    assert ISAPI.mine(part)
    assert {about for about, _, _ in facts(part)} == {"channel:9", "channel:10"}


def test_other_documents() -> None:
    """Another root, and channels whose id is no number, say nothing."""
    assert not ISAPI.mine(b"<ResponseStatus><statusCode>4</statusCode></ResponseStatus>")
    assert facts(b"<ResponseStatus><model>x</model></ResponseStatus>") == []
    assert facts(CHANNELS[:200].replace(b"<id>1<", b"<id>../<")) == []


def test_bears_anything() -> None:
    """Cut anywhere, with a tail, and changed bytes: nothing uncertain, nothing but Malformed."""
    for payload in (INFO, CHANNELS, STATUS):
        three_ways(ISAPI, payload)
    only_malformed(ISAPI, INFO, CHANNELS)
