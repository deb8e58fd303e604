"""The list of protocols in the documentation is the one that the records give."""

from __future__ import annotations

from agent.probes import ALL
from agent.protocols import protocols
from agent.wire import Ask, Probe
from fingerprints.rules import load_knowledge
from tests.places import REPO

FIELDS = load_knowledge().fields


def test_docs_protocols_is_current() -> None:
    """docs/protocols.md is what `camcensus rules protocols` prints today."""
    text = "\n".join(protocols(ALL, FIELDS)) + "\n"
    assert (REPO / "docs" / "protocols.md").read_text(encoding="utf-8") == text


def shown(*asks: Ask) -> list[str]:
    """The list of one protocol that asks this."""
    number = iter(range(1_000))

    def hello(_target: object) -> tuple[Ask, ...]:
        # `#` stands for what a protocol makes anew each time.
        return tuple(
            Ask(ask.payload.replace(b"#", b"%c" % (next(number) % 90 + 35)), ask.what) for ask in asks
        )

    probe = Probe("x", "udp", (9,), ("mac",), bool, lambda *_: iter(()), hello, says="all", source="a book")
    return list(protocols([probe], FIELDS))


def test_bytes_are_shown_in_hexadecimal() -> None:
    """Runs of one byte are counted; what is new each time is not shown."""
    lines = shown(Ask(b"\1\2#\3" + bytes(9) + b"\4", "search"))
    assert "01 02 ·· 03 00*9 04" in lines
    assert "Sent: search (14 bytes, `··` new each time)" in lines


def test_text_is_shown_as_it_is() -> None:
    """A text stands beneath its first bytes, its lines apart."""
    lines = shown(Ask(b"GET /\r\nid: #\r\n", "page"))
    start = lines.index("47 45 54 20 2f 0d 0a 69 64 3a 20 ·· 0d 0a")
    assert lines[start + 1 : start + 4] == ["GET /", "id: ··", "```"]


def test_a_protocol_without_a_question_says_so() -> None:
    """What is only heard has its fields all the same."""
    probe = Probe("y", "ethernet", (), ("mac",), bool, lambda *_: iter(()), ethertypes=frozenset({0x8033}))
    lines = list(protocols([probe], FIELDS))
    assert "No first question." in lines
    assert any("Ethernet 0x8033" in line for line in lines)
    assert any(line.startswith("| `mac` |") for line in lines)
