"""A switch that answers wrongly holds nobody up: a server of our own that lies, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from pyasn1.codec.ber import decoder, encoder
from pysnmp.proto.api import v2c

from agent.credentials import Secret, SnmpCommunity
from agent.switches.walk import Bounds, Session, Unanswered

BASE = (1, 3, 6, 1, 2, 1, 2, 2, 1, 2)
GRANT = SnmpCommunity("lab", (ipaddress.ip_network("127.0.0.0/8"),), Secret("lab"))
Answer = Callable[[bytes], bytes]


def bindings(*oids: tuple[int, ...]) -> Answer:
    """A server that gives these identifiers, whatever it is asked for."""

    def answer(question: bytes) -> bytes:
        message, _ = decoder.decode(question, asn1Spec=v2c.Message())
        pdu = v2c.apiMessage.get_pdu(message)
        response = v2c.GetResponsePDU()
        v2c.apiPDU.set_defaults(response)
        v2c.apiPDU.set_request_id(response, v2c.apiPDU.get_request_id(pdu))
        v2c.apiPDU.set_varbinds(response, [(v2c.ObjectIdentifier(oid), v2c.OctetString("x")) for oid in oids])
        v2c.apiMessage.set_pdu(message, response)
        return bytes(encoder.encode(message))

    return answer


@contextlib.contextmanager
def serving(answer: Answer) -> Iterator[int]:
    """A UDP server on loopback; its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(0.1)
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    question, asker = sock.recvfrom(4096)
                    sock.sendto(answer(question), asker)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(sock.getsockname()[1])
        finally:
            stop.set()
            thread.join()


def walked(port: int) -> tuple[dict[tuple[int, ...], bytes | int], str]:
    """What a walk of one column gives, with the bound that ended it."""

    async def walk() -> tuple[dict[tuple[int, ...], bytes | int], str]:
        session = Session("127.0.0.1", GRANT, Bounds(wait=0.5, tries=1, seconds=20), port=port)
        try:
            await session.open()
            return await session.column(BASE), session.cut
        finally:
            session.close()

    return asyncio.run(walk())


def test_a_walk_that_goes_round_ends() -> None:
    """A switch that gives the same cell again and again is left, with that cell."""
    with serving(bindings((*BASE, 1))) as port:
        assert walked(port) == ({(1,): b"x"}, "order")


def test_a_walk_that_goes_back_ends() -> None:
    """As is one whose next cell stands before the last."""
    with serving(bindings((*BASE, 7), (*BASE, 3))) as port:
        assert walked(port) == ({(7,): b"x"}, "order")


def test_another_table_ends_a_walk() -> None:
    """Cells behind the column are no cells of it."""
    with serving(bindings((*BASE, 7), (1, 3, 6, 1, 2, 1, 2, 2, 1, 3, 1))) as port:
        assert walked(port) == ({(7,): b"x"}, "")


@pytest.mark.parametrize(
    "answer",
    [b"", b"no SNMP at all", b"\x30\x84\xff\xff\xff\xff", bytes(1400)],
    ids=["empty", "text", "long", "nought"],
)
def test_bytes_that_are_no_snmp_are_no_answer(answer: bytes) -> None:
    """They end in Unanswered like silence, whose text has nothing of the credentials."""
    with serving(lambda _: answer) as port, pytest.raises(Unanswered) as caught:
        walked(port)
    assert "lab" not in str(caught.value)
