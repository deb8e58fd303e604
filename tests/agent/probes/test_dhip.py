"""Tests of Dahua's DHIP."""

from __future__ import annotations

import itertools
import json
import struct

import pytest

from agent.probes.dhip import DAHUA_DVRIP, DHIP
from agent.wire import Malformed, Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import only_malformed, three_ways

# The form of a recorded answer, with its own numbers changed.
BODY = (
    b'{"mac": "4c:11:bf:00:00:01", "method": "client.notifyDevInfo", "params": {"deviceInfo": {"DeviceClass": "IPC",'
    b' "DeviceType": "IPC-HDW5421S", "HttpPort": 80, "SerialNo": "1F006E4PAX00000", "Vendor": "Dahua", "Version": "2.400.0.8",'
    b' "IPv4Address": {"IPAddress": "192.0.2.7", "SubnetMask": "255.255.255.0"}, "Novelty": 1,'
    b' "IPv6Address": {"LinkLocalAddress": "fe80::1"}}}}\n'
)
CHALLENGE = (
    b'{"result": false, "params": {"realm": "Login to 0000000000000000", "random": "1"}, "session": 1}'
)


def framed(body: bytes) -> bytes:
    return struct.pack("<I4s6I", 32, b"DHIP", 0, 0, len(body), 0, len(body), 0) + body


def facts(payload: bytes) -> list[tuple[str, str]]:
    return [(fact.field, fact.text) for fact in DHIP.dissect(payload, b"")]


EXPECTED = [
    ("dhip.mac", "4c:11:bf:00:00:01"),
    ("dhip.method", "client.notifyDevInfo"),
    ("dhip.device-class", "IPC"),
    ("dhip.device-type", "IPC-HDW5421S"),
    ("dhip.http-port", "80"),
    ("dhip.serial-no", "1F006E4PAX00000"),
    ("dhip.vendor", "Dahua"),
    ("dhip.version", "2.400.0.8"),
    ("dhip.ipv4-address", "192.0.2.7"),
    ("dhip.ipv6-address", "fe80::1"),
]


@pytest.mark.parametrize("payload", [framed(BODY), BODY], ids=["datagram", "body"])
def test_an_answer_gives_the_device_info(payload: bytes) -> None:
    """With its header or without, an answer gives the declared keys and the addresses inside."""
    assert facts(payload) == EXPECTED
    assert DHIP.mine(payload)


@pytest.mark.parametrize(
    "payload", [framed(BODY), BODY, framed(CHALLENGE)], ids=["datagram", "body", "challenge"]
)
def test_three_ways(payload: bytes) -> None:
    """Whole, cut at every byte and with a tail, the answer never tells more than it says."""
    three_ways(DHIP, payload)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(DHIP, framed(BODY), BODY)
    only_malformed(DAHUA_DVRIP, framed(CHALLENGE))


def test_a_fragment_is_read_as_far_as_it_goes() -> None:
    """The inside of an object, as a log quotes it, still gives its facts."""
    assert facts(b'"DeviceClass": "NVR", "Vendor": "Lorex", "Vers') == [
        ("dhip.device-class", "NVR"),
        ("dhip.vendor", "Lorex"),
    ]


@pytest.mark.parametrize("payload", [framed(CHALLENGE), CHALLENGE, framed(b'{"id":1}') + framed(CHALLENGE)])
def test_a_login_challenge_names_the_device(payload: bytes) -> None:
    """The realm of a session's first answer is read, alone or behind another frame."""
    assert facts(payload) == [("dahua-dvrip.realm", "Login to 0000000000000000")]
    assert [fact.text for fact in DAHUA_DVRIP.dissect(payload, b"")] == ["Login to 0000000000000000"]


@pytest.mark.parametrize(
    "payload",
    [
        framed(b'{"method":"DHDiscover.search","params":{"mac":"","uni":1}}\n'),
        framed(b'{"method":"DHDiscover.setConfig","params":{"deviceInfo":{"DeviceType":"x"}}}'),
        framed(b'{"method":"global.login","params":{"userName":"x","password":""}}'),
        framed(b""),
        b"",
        b'{"method": "other", "params": {}}',
        b"<DeviceClass>x</DeviceClass>",
    ],
)
def test_what_is_not_an_answer_says_nothing(payload: bytes) -> None:
    """Requests, reading or writing, say nothing of who sent them; other JSON is not DHIP."""
    assert facts(payload) == []


def test_the_only_question_is_a_search() -> None:
    """DHIP writes as well: the one request built here is DHDiscover.search."""
    assert DHIP.hello is not None
    for ip, uni in (("192.0.2.7", 1), ("239.255.255.251", 0), ("255.255.255.255", 0)):
        (ask,) = DHIP.hello(Target(ip, 37810))
        size, magic, *numbers = struct.unpack_from("<I4s6I", ask.payload)
        body = ask.payload[32:]
        assert (size, magic, numbers) == (32, b"DHIP", [0, 0, len(body), 0, len(body), 0])
        assert json.loads(body) == {"method": "DHDiscover.search", "params": {"mac": "", "uni": uni}}
        assert facts(ask.payload) == []


def test_the_session_protocol_is_never_asked() -> None:
    """Provoking the realm would take a login attempt: there is no question for it."""
    assert DAHUA_DVRIP.hello is None


@needs_shared
def test_recorded_answer_that_lacks_a_quote() -> None:
    """The recorded answer is not valid JSON: what stands before its broken version is read, then it is named."""
    payload = (SHARED / "replies" / "dahua2.bin").read_bytes()
    reading = DHIP.dissect(payload, b"")
    found = [(fact.field, fact.text) for fact in itertools.islice(reading, 14)]
    with pytest.raises(Malformed) as caught:
        next(reading)
    assert payload[caught.value.offset :].startswith(b"VideoInputChannels")
    assert found == [
        ("dhip.mac", "00:11:22:33:44:55"),
        ("dhip.method", "client.notifyDevInfo"),
        ("dhip.alarm-input-channels", "0"),
        ("dhip.alarm-output-channels", "0"),
        ("dhip.device-class", "V"),
        ("dhip.device-type", "Virtual (JSON)"),
        ("dhip.http-port", "80"),
        ("dhip.ipv4-address", "240.0.4.0"),
        ("dhip.ipv6-address", "fe80::1/64"),
        ("dhip.machine-name", "Virtual"),
        ("dhip.port", "37777"),
        ("dhip.remote-video-input-channels", "0"),
        ("dhip.serial-no", "123456789"),
        ("dhip.vendor", "General"),
    ]


@needs_shared
def test_recorded_challenge() -> None:
    """The login challenge recorded from an Imou camera gives its realm."""
    for line in (SHARED / "corpus" / "train.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["id"] == "rroller6-imou-ranger2":
            payload = bytes.fromhex(row["observations"][0]["payload_hex"])
            break
    assert facts(payload) == [("dahua-dvrip.realm", "Login to 907F3C6C73FEDA77")]
    three_ways(DAHUA_DVRIP, payload)


def test_an_older_session_names_the_device() -> None:
    """Behind the binary header the realm's line is read; a client's question, a cut line and a refusal are not."""
    text = b"Realm:Login to 0000000000000000\r\nRandom:1\r\n\r\n"
    answer = b"\xb0\1\0\x78" + len(text).to_bytes(4, "little") + bytes(24) + text
    assert DAHUA_DVRIP.mine(answer)
    said = [(fact.field, fact.text) for fact in DAHUA_DVRIP.dissect(answer, b"")]
    assert said == [("dahua-dvrip.realm", "Login to 0000000000000000")]
    three_ways(DAHUA_DVRIP, answer)
    only_malformed(DAHUA_DVRIP, answer)
    for other in (b"\xa0" + answer[1:], answer[:60], answer[:32]):
        assert not DAHUA_DVRIP.mine(other)
        assert list(DAHUA_DVRIP.dissect(other, b"")) == []
