"""What Tuya's devices announce of themselves every few seconds: UDP 6666 in clear, 6667 encrypted.

A message has four bytes 000055aa, number, command, length and a return code before its JSON,
a checksum and 0000aa55 behind it. On 6667 the JSON is AES-128-ECB under a key that is the same
for all devices: it hides nothing, and is read here. Layout and key as in jasonacox/tinytuya
(core.py, scanner.py); announcements of thirteen devices are recorded in nDPI's tuya_lp.pcap. Plugs,
lamps and cameras announce alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

from agent import json
from agent.wire import Malformed, Probe
from fingerprints.model import Fact

__all__ = ["TUYA"]

_START: Final = bytes.fromhex("000055aa")
_END: Final = bytes.fromhex("0000aa55")
_LENGTH_AT: Final = 12
_HEADER: Final = 20
_TRAILER: Final = 8
_BLOCK: Final = 16
_MOST: Final = 4_096
_SHARED_SECRET: Final = b"yGAdlopoPVldABfn"
_KEYS: Final = {
    "ip": "discovery.tuya.ipv4-address",
    "gwId": "discovery.tuya.id",
    "productKey": "discovery.tuya.product-key",
    "version": "discovery.tuya.protocol-version",
}


def _end(payload: bytes) -> int:
    """Where the message says that it ends."""
    return _LENGTH_AT + 4 + int.from_bytes(payload[_LENGTH_AT : _LENGTH_AT + 4])


def _mine(payload: bytes) -> bool:
    end = _end(payload)
    return payload.startswith(_START) and end > _HEADER + _TRAILER and payload[end - 4 : end] == _END


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    body = payload[_HEADER : _end(payload) - _TRAILER][:_MOST]
    try:
        for path, text in json.leaves(body if body[:1] == b"{" else _clear(body)):
            field = _KEYS.get(path[-1]) if path else None
            if field is not None and text:
                yield Fact(field, text)
    except Malformed as error:
        raise Malformed(error.what, _HEADER) from None


def _clear(body: bytes) -> bytes:
    """The text of an encrypted body."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415 - slow to load

    key = hashlib.md5(_SHARED_SECRET, usedforsecurity=False).digest()
    reading = Cipher(algorithms.AES128(key), modes.ECB()).decryptor()  # noqa: S305 - the devices' choice
    return reading.update(body[: len(body) // _BLOCK * _BLOCK])


TUYA: Final = Probe(
    name="tuya",
    transport="udp",
    ports=(6667, 6666),
    fields=tuple(_KEYS.values()),
    mine=_mine,
    dissect=_dissect,
    unicast=False,
    prefixes=(_START,),
    source="jasonacox/tinytuya core.py, scanner.py; announcements recorded in ntop/nDPI tuya_lp.pcap",
    says="Tuya plugs, lamps and cameras: id, product, address",
)
