"""Payloads out of recorded captures, by way of scapy rather than the reader under test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

__all__ = ["datagrams", "link_payloads", "streams"]

_MAX_STREAM = 65_536


def datagrams(capture: Path, *ports: int) -> Iterator[bytes]:
    """Payloads of the UDP datagrams from or to one of `ports`."""
    from scapy.layers.inet import UDP  # noqa: PLC0415 - slow to load, and few tests read captures
    from scapy.utils import PcapReader  # noqa: PLC0415

    with PcapReader(str(capture)) as frames:
        for frame in frames:
            if UDP in frame and {frame[UDP].sport, frame[UDP].dport} & set(ports):
                yield bytes(frame[UDP].payload)


def streams(capture: Path, *ports: int) -> Iterator[bytes]:
    """The beginning of each TCP direction from or to one of `ports`, as far as nothing is missing."""
    from scapy.layers.inet import IP, TCP  # noqa: PLC0415
    from scapy.utils import PcapReader  # noqa: PLC0415

    found: dict[tuple[str, int, str, int], dict[int, bytes]] = {}
    with PcapReader(str(capture)) as frames:
        for frame in frames:
            if TCP not in frame or IP not in frame or not {frame[TCP].sport, frame[TCP].dport} & set(ports):
                continue
            segment = frame[TCP]
            # Ethernet pads short frames: the payload ends where IP says.
            size = frame[IP].len - 4 * frame[IP].ihl - 4 * segment.dataofs
            if size > 0:
                key = (frame[IP].src, segment.sport, frame[IP].dst, segment.dport)
                found.setdefault(key, {}).setdefault(segment.seq, bytes(segment.payload)[:size])
    for segments in found.values():
        said, following = b"", min(segments)
        while following in segments and len(said) < _MAX_STREAM:
            said += segments[following]
            following += len(segments[following])
        yield said


def link_payloads(capture: Path, announced_by: bytes) -> Iterator[bytes]:
    """What stands behind an ethertype, or a whole SNAP header, in untagged Ethernet frames."""
    from scapy.utils import RawPcapReader  # noqa: PLC0415

    start = 12 if len(announced_by) == 2 else 14
    with RawPcapReader(str(capture)) as frames:
        for data, _ in frames:
            if data[start:].startswith(announced_by):
                # An 802.3 length leaves out what pads a short frame.
                end = len(data) if start == 12 else 14 + int.from_bytes(data[12:14])
                yield data[start + len(announced_by) : end]
