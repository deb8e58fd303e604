"""Derives the capture filter from the protocols that are to be read.

`Wanted` is the choice in Python, applied to every decoded packet however it was read; `program`
is the same choice as instructions for the packet filter of libpcap or of the kernel, and
`expression` as a libpcap filter text, for tools that take nothing else. Both may let more pass
than `Wanted` does, never less. A protocol added to the probes adds its ports and beginnings here
by itself; what is neither TCP nor UDP passes, so that it is read or named.

A TCP protocol is known by its beginnings, on any port. What goes on behind them has no mark: the
directions that are waited for (`agent.capture.streams`) are patched into the program.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from agent.capture.bpf import INSTRUCTION, Assembler
from agent.wire import Probe

__all__ = ["LINK_TYPES", "WHOLE", "Program", "Share", "Wanted", "expression", "program"]

_VLANS: Final = 3
_VLAN_TAGS: Final = (0x8100, 0x88A8, 0x9100, 0x9200)
_TUNNEL_PORTS: Final = (4789, 8472, 6081, 37008)
_WORD: Final = 4
_PROTOCOL, _END, _SHARE, _KEPT = 0, 1, 2, 3
"""Places in the filter's memory."""
_TYPED: Final = {1: (12, 14), 113: (14, 16), 276: (0, 20)}
"""Where the ethertype stands, and what it announces, in Ethernet and both Linux cooked forms."""
_BARE: Final = {0: 4, 108: 4, 12: 0, 14: 0, 101: 0, 228: 0, 229: 0}
"""Where IP begins in link types without an ethertype."""

LINK_TYPES: Final = frozenset({*_TYPED, *_BARE})
"""Link types that `program` can look into; of others every frame must be read."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The choice in Python: which UDP payloads and which beginnings of TCP messages can matter."""

    ports: frozenset[int]
    prefixes: tuple[bytes, ...]
    words: frozenset[bytes]
    starts: tuple[bytes, ...]

    @classmethod
    def of(cls, probes: Iterable[Probe]) -> Wanted:
        """The choice that these protocols need."""
        probes = tuple(probes)
        udp = [probe for probe in probes if probe.transport == "udp"]
        tcp = {prefix for probe in probes if probe.transport in {"tcp", "tls"} for prefix in probe.prefixes}
        return cls(
            frozenset(port for probe in udp for port in probe.ports),
            tuple(prefix for probe in udp for prefix in probe.prefixes),
            frozenset(prefix[:_WORD] for prefix in tcp if len(prefix) >= _WORD),
            tuple(prefix for prefix in tcp if len(prefix) < _WORD),
        )

    def udp(self, source_port: int, target_port: int, payload: bytes) -> bool:
        """Whether a UDP datagram can matter."""
        return (
            source_port in self.ports
            or target_port in self.ports
            or (bool(self.prefixes) and payload.startswith(self.prefixes))
        )

    def begins(self, payload: bytes) -> bool:
        """Whether a TCP payload begins like a protocol: by its first four bytes, as a filter sees it."""
        return payload[:_WORD] in self.words or (len(payload) >= _WORD and payload.startswith(self.starts))


@dataclass(frozen=True, slots=True)
class Program:
    """Instructions with room for the port pairs of hungry directions; `slots` is where these are looked at."""

    code: bytes
    slots: tuple[int, ...]
    room: int

    def hungry(self, pairs: Sequence[int]) -> bytes:
        """The instructions with these port pairs (sender's in the upper 16 bits), at most `room`."""
        code = bytearray(self.code)
        size = INSTRUCTION.size
        for start in self.slots:
            # A jump stands first: over the room that is not used.
            struct.pack_into("=I", code, start * size + 4, self.room - len(pairs))
            for number, pair in enumerate(pairs, self.room - len(pairs) + 1):
                struct.pack_into("=I", code, (start + number) * size + 4, pair)
        return bytes(code)


@dataclass(frozen=True, slots=True)
class Share:
    """One of `count` shares of a capture's frames, by `number` from 0: together they are all, each frame in one.

    Both directions of a TCP connection in IPv4 are in one share, by the two hosts; so is what one host
    says by UDP, but for tunnels and fragments. All else is the first share's.
    """

    number: int
    count: int


WHOLE: Final = Share(0, 1)
"""All of it."""


def program(
    probes: Sequence[Probe],
    link_type: int,
    room: int = 0,
    *,
    every_word: bool = False,
    share: Share = WHOLE,
) -> Program | None:
    """The filter as instructions, or None for a link type outside `LINK_TYPES`.

    `room` is how many hungry directions can be patched in (at most 128). VLAN tags, three deep,
    are looked behind; frames with more, and all that is not TCP or UDP in IP, pass. `every_word`
    lets every TCP segment pass that says anything, so that nothing need be patched. Frames of other
    shares than `share` do not pass.
    """
    code = Assembler()
    if link_type in _TYPED:
        _typed(code, *_TYPED[link_type], share)
    elif link_type in _BARE:
        code.set_x(_BARE[link_type])
        code.load(1, _BARE[link_type])
        code.op(0x74, 4)
        code.go_if(4, "ipv4")
        code.go_if(6, "ipv6")
        _first_takes(code, share)
    else:
        return None
    chosen = Wanted.of(probes)
    _network(code, share)
    code.label("transport")
    code.recall(_PROTOCOL)
    code.go_if(6, "tcp")
    code.go_if(17, "udp")
    _first_takes(code, share)
    code.label("tcp")
    _only(code, share)
    code.load_indexed(1, 13)
    code.accept_if_any(0x07)
    if every_word:
        _accept_words(code)
    slots = _room(code, room)
    code.load_indexed(1, 12)
    code.add_to_x(0xF0, -2)
    code.load_indexed(4, 0)
    code.accept_if_in(_ranges([*chosen.words, *chosen.starts]))
    code.reject()
    code.label("udp")
    if share != WHOLE:
        for offset in (2, 0):
            code.load_indexed(2, offset)
            for port in _TUNNEL_PORTS:
                code.go_if(port, "tunnel")
        _only(code, share)
    ports = [(port, port) for port in (*chosen.ports, *_TUNNEL_PORTS)]
    code.load_indexed(2, 2)
    code.accept_if_in(ports)
    code.load_indexed(2, 0)
    code.accept_if_in(ports)
    code.load_indexed(4, 8)
    code.accept_if_in(_ranges(chosen.prefixes))
    code.reject()
    code.label("fragment")
    _only(code, share)
    code.accept()
    if share != WHOLE:
        code.label("tunnel")
        _first_takes(code, share)
    return Program(code.program(), slots, room)


def _first_takes(code: Assembler, share: Share) -> None:
    """What cannot be shared out is the first one's."""
    if share.number == 0:
        code.accept()
    else:
        code.reject()


def _only(code: Assembler, share: Share) -> None:
    """Go on with what is this share's."""
    if share != WHOLE:
        code.recall(_SHARE)
        code.op(0x15, share.number, 1, 0)
        code.reject()


def _share_out(code: Assembler, share: Share) -> None:
    """M[_SHARE] = whose the IPv4 packet at X is."""
    code.load_indexed(1, 9)
    code.go_if(6, "connection")
    code.go_if(17, "datagram")
    code.set_a(0)
    code.go("whose")
    code.label("connection")
    # The sum of both addresses is the same for both directions.
    code.load_indexed(4, 12)
    code.store(_SHARE)
    code.load_indexed(4, 16)
    code.add_stored(_SHARE, _KEPT)
    code.go("spread")
    code.label("datagram")
    code.load_indexed(2, 6)
    code.op(0x54, 0x3FFF)
    # Of a fragment nobody knows the ports, and so not whether it is of a tunnel.
    code.op(0x15, 0, 2, 0)
    code.set_a(0)
    code.go("whose")
    code.load_indexed(4, 12)
    code.label("spread")
    code.spread_over(share.count)
    code.label("whose")
    code.store(_SHARE)


def _typed(code: Assembler, kind_at: int, start: int, share: Share) -> None:
    """Find IP behind an ethertype and VLAN tags; X is where it begins."""
    for depth in range(_VLANS + 1):
        code.load(2, kind_at)
        code.set_x(start)
        code.go_if(0x0800, "ipv4")
        code.go_if(0x86DD, "ipv6")
        if depth < _VLANS:
            for tag in _VLAN_TAGS:
                code.go_if(tag, f"tagged{depth}")
        _first_takes(code, share)
        code.label(f"tagged{depth}")
        kind_at, start = start + 2, start + 4


def _network(code: Assembler, share: Share) -> None:
    """Pass what is not for the transport's part; X is where UDP or TCP begins."""
    code.label("ipv4")
    if share != WHOLE:
        _share_out(code, share)
    code.load_indexed(2, 6)
    code.go_if_any(0x3FFF, "fragment")
    code.load_indexed(1, 9)
    # The protocol waits in memory while X moves on, and so does the end of the packet.
    code.store(_PROTOCOL)
    code.load_indexed(2, 2)
    code.length_for_zero()
    code.store_sum_with_x(_END)
    code.load_indexed(1, 0)
    code.add_to_x(0x0F, 2)
    code.go("transport")
    code.label("ipv6")
    if share != WHOLE:
        code.set_a(0)
        code.store(_SHARE)
    code.load_indexed(1, 6)
    code.store(_PROTOCOL)
    code.load_indexed(2, 4)
    code.length_for_zero()
    code.op(0x04, 40)
    code.store_sum_with_x(_END)
    code.move_x(40)


def _room(code: Assembler, room: int) -> tuple[int, ...]:
    """Comparisons of the port pair, to be patched by `Program.hungry`; empty at first."""
    if not room:
        return ()
    code.load_indexed(4, 0)
    start = len(code)
    code.op(0x05, room)
    for number in range(room):
        # Each goes on behind the room, or to the next.
        code.op(0x15, 0, room - number, 0)
    code.go("not hungry")
    _accept_words(code)
    code.label("not hungry")
    return (start,)


def _accept_words(code: Assembler) -> None:
    """A bare acknowledgement says nothing: its packet ends where its data would begin."""
    code.load_indexed(1, 12)
    code.add_to_x(0xF0, -2)
    code.recall(_END)
    code.accept_if_above_x()
    code.reject()


def _ranges(prefixes: Iterable[bytes]) -> list[tuple[int, int]]:
    """First words that these beginnings can have."""
    return [
        (
            int.from_bytes(prefix[:_WORD].ljust(_WORD, b"\0")),
            int.from_bytes(prefix[:_WORD].ljust(_WORD, b"\xff")),
        )
        for prefix in prefixes
    ]


def expression(probes: Sequence[Probe]) -> str:
    """The filter as text for an Ethernet capture; VLAN tags, two deep, are looked behind.

    It knows no hungry directions: what goes on behind the beginning of a message does not pass.
    """
    chosen = Wanted.of(probes)
    ports = " or ".join(f"port {port}" for port in sorted({*chosen.ports, *_TUNNEL_PORTS}))
    udp = " or ".join([ports, *sorted({_compare("udp", "8", prefix) for prefix in chosen.prefixes})])
    starts = sorted({*chosen.words, *chosen.starts})
    tcp4 = " or ".join(_compare("tcp", "((tcp[12] & 0xf0) >> 2)", prefix) for prefix in starts)
    tcp6 = " or ".join(_compare("ip6", "40 + ((ip6[52] & 0xf0) >> 2)", prefix) for prefix in starts)
    base = (
        f"(udp and ({udp})) or (ip and tcp and (tcp[13] & 7 != 0{' or ' if tcp4 else ''}{tcp4})) or "
        f"(ip6 and ip6[6] = 6 and (ip6[53] & 7 != 0{' or ' if tcp6 else ''}{tcp6})) or "
        "(ip6 and ip6[6] != 6 and ip6[6] != 17) or "
        "(ip and (ip[6:2] & 0x3fff != 0 or (ip[9] != 6 and ip[9] != 17)))"
    )
    other = "not ip and not ip6"
    untagged = "not ether proto 0x8100 and not ether proto 0x88a8 and not ether proto 0x9100"
    # `vlan` moves every later offset, so the plain branch stands first.
    return (
        f"({base}) or ({other} and {untagged}) or "
        f"(vlan and (({base}) or ({other} and {untagged}) or (vlan and (({base}) or ({other})))))"
    )


def _compare(protocol: str, offset: str, prefix: bytes) -> str:
    size = _WORD if len(prefix) >= _WORD else 2 if len(prefix) >= 2 else 1
    return f"{protocol}[{offset}:{size}] = 0x{prefix[:size].hex()}"
