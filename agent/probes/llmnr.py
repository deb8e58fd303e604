"""LLMNR: the name that a host answers to, or claims before it uses it.

Messages after RFC 4795 section 2.1, which are DNS messages with other flags. Whoever answers for
a name says that it is his own; before that he asks for it with type ANY, to learn whether it is
taken (section 4.1). A question of another type is about another host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agent import dns_wire
from agent.wire import Malformed, Probe
from fingerprints.model import Fact

__all__ = ["LLMNR"]

_ANY: Final = 255
_ADDRESSES: Final = frozenset({dns_wire.A, dns_wire.AAAA})
_ERROR_OR_CONFLICT: Final = 0x040F
"""Result code, with the bit that says: more than one host answered to this name."""
_NAME: Final = re.compile(r"[^\s.]{1,63}")


def _mine(payload: bytes) -> bool:
    """An answer, or a claim; who asks for another host's name is none of ours."""
    message = dns_wire.read(payload)
    if message is None or message.opcode != 0 or message.counts[0] != 1:
        return False
    if message.is_answer:
        return True
    try:
        return not any(message.counts[1:3]) and any(question.kind == _ANY for question in message.questions())
    except Malformed:
        return False


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    message = dns_wire.read(payload)
    if message is None or not _mine(payload) or int.from_bytes(payload[2:4]) & _ERROR_OR_CONFLICT:
        return
    asked = [question.name for question in message.questions()]
    if not message.is_answer:
        yield from _name(asked[0])
        return
    for record in message.records():
        if record.kind in _ADDRESSES and record.name in asked:
            yield from _name(record.name)
            return


def _name(labels: tuple[str, ...]) -> Iterator[Fact]:
    # A host's name is one label here; the rest of the world's names are not asked for this way.
    if len(labels) == 1 and _NAME.fullmatch(labels[0]):
        yield Fact("llmnr.name", labels[0])


LLMNR: Final = Probe(
    name="llmnr",
    transport="udp",
    ports=(5355,),
    fields=("llmnr.name",),
    mine=_mine,
    dissect=_dissect,
    unicast=False,
    source="RFC 4795; recorded claims of Windows, no answer is recorded",
    says="the name that a host answers to on its link",
)
