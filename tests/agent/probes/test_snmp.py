"""SNMP answers are read as BER and as JSON, and never the community."""

from __future__ import annotations

import pytest

from agent.probes.snmp import SNMP
from agent.wire import Malformed
from fingerprints.model import Fact


def tlv(tag: int, *parts: bytes) -> bytes:
    """One BER element with a short or long length."""
    body = b"".join(parts)
    size = bytes([len(body)]) if len(body) < 128 else b"\x82" + len(body).to_bytes(2)
    return bytes([tag]) + size + body


def variable(oid: bytes, value: bytes) -> bytes:
    """A variable binding."""
    return tlv(0x30, tlv(0x06, oid), value)


SYSDESCR = variable(bytes.fromhex("2b06010201010100"), tlv(0x04, b"Hikvision company products"))
SYSOBJECT = variable(
    bytes.fromhex("2b06010201010200"), tlv(0x06, bytes.fromhex("2b060104018386 51".replace(" ", "")))
)
PRIVATE = variable(bytes.fromhex("2b060104018386510103 00".replace(" ", "")), tlv(0x04, b"x" * 200))
ANSWER = tlv(
    0x30,
    tlv(0x02, b"\x01"),
    tlv(0x04, b"secret"),
    tlv(
        0xA2, tlv(0x02, b"\x07"), tlv(0x02, b"\0"), tlv(0x02, b"\0"), tlv(0x30, SYSDESCR, SYSOBJECT, PRIVATE)
    ),
)


def facts(payload: bytes) -> list[Fact]:
    """What is read before a break, if there is one."""
    found = []
    try:
        for fact in SNMP.dissect(payload, b""):
            found.append(fact)  # noqa: PERF402 - what came before the break counts
    except Malformed:
        pass
    return found


def test_a_response_gives_its_variables() -> None:
    """Description and object identifier have their own fields; others keep their number."""
    assert SNMP.mine(ANSWER)
    assert facts(ANSWER) == [
        Fact("snmp.sysdescr", "Hikvision company products"),
        Fact("snmp.sysobjectid", "1.3.6.1.4.1.50001"),
        Fact("snmp.oid", f"1.3.6.1.4.1.50001.1.3.0 = {'x' * 200}"),
    ]
    assert all("secret" not in fact.text for fact in facts(ANSWER))


def test_cut_anywhere_gives_a_beginning() -> None:
    """Every cut gives a beginning of the facts and nothing else."""
    whole = facts(ANSWER)
    for at in range(len(ANSWER)):
        some = facts(ANSWER[:at])
        assert some == whole[: len(some)]


@pytest.mark.parametrize("tag", [0xA0, 0xA1, 0xA3])
def test_questions_say_nothing(tag: int) -> None:
    """Only a response speaks."""
    assert facts(ANSWER.replace(b"\xa2", bytes([tag]), 1)) == []


def test_json_variables_are_read() -> None:
    """The form in which tools write them down."""
    assert facts(b'{"1.3.6.1.2.1.1.1.0": "NVR", "other": "x"}') == [Fact("snmp.sysdescr", "NVR")]


def test_others_bytes_are_left_alone() -> None:
    """Another protocol's bytes give nothing."""
    for payload in (b"", b"HTTP/1.1 200 OK\r\n\r\n", b'{"method": "x"}', b"\x30\x82"):
        assert not SNMP.mine(payload)
        assert facts(payload) == []
