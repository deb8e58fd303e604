"""A parcel: one part of one report on its way from an agent to the inventory.

Whatever carries it (HTTPS, JetStream, a stick), the body is gzip of a report's JSON, and what
names it stands beside it. An agent that has a key signs both together (ed25519, RFC 8032).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

__all__ = ["MAX_BODY", "MAX_PARTS", "Parcel", "ParcelError", "Receipt"]

MAX_BODY: Final = 32 * 1024 * 1024
"""Most bytes of a body, as the inventory takes it by default."""
MAX_PARTS: Final = 10_000
_WORD: Final = re.compile(r"[\x21-\x7e]{1,64}")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_SITE, _REPORT, _PART, _PARTS, _AGENT, _SIGNATURE, _INSTANCE = (
    "Camcensus-Site",
    "Camcensus-Report",
    "Camcensus-Part",
    "Camcensus-Parts",
    "Camcensus-Agent",
    "Camcensus-Signature",
    "Camcensus-Instance",
)


class ParcelError(Exception):
    """What names a parcel cannot be: says which word and why."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """Part `part` of `parts` of report `report` of site `site`, sent by the agent named `agent`.

    `instance` tells one machine from another that has the same identity by mistake.
    """

    site: str
    report: str
    part: int
    parts: int
    body: bytes
    agent: str = ""
    instance: str = ""
    signature: str = ""

    @property
    def name(self) -> str:
        """The same for the same parcel whenever it is sent; for de-duplication on the way."""
        return f"{self.site}/{self.report}/{self.part}"

    def signed_bytes(self) -> bytes:
        """What a signature is made over."""
        words = ("camcensus-parcel-1", self.agent, self.instance, self.site, self.report)
        numbers = (str(self.part), str(self.parts), hashlib.sha256(self.body).hexdigest())
        return "\n".join((*words, *numbers)).encode()

    def headers(self) -> dict[str, str]:
        """The words beside the body, for a carrier that has headers."""
        said = {
            _SITE: self.site,
            _REPORT: self.report,
            _PART: str(self.part),
            _PARTS: str(self.parts),
            _AGENT: self.agent,
            _INSTANCE: self.instance,
            _SIGNATURE: self.signature,
        }
        return {name: value for name, value in said.items() if value}

    @classmethod
    def from_headers(cls, headers: Mapping[str, str], body: bytes) -> Self:
        """The parcel that was written with `headers`; raises ParcelError for words that cannot be."""
        site, report = _word(headers, _SITE), _word(headers, _REPORT)
        part, parts = _number(headers, _PART), _number(headers, _PARTS)
        if part > parts:
            raise ParcelError(f"part {part} of {parts} is none")
        if len(body) > MAX_BODY:
            raise ParcelError(f"the body is longer than {MAX_BODY >> 20} MiB")
        agent, instance = (_word(headers, name) if name in headers else "" for name in (_AGENT, _INSTANCE))
        signature = headers.get(_SIGNATURE, "")
        if not re.fullmatch(r"(?:[0-9a-f]{128})?", signature):
            raise ParcelError(f"{_SIGNATURE}: not 128 hex digits")
        return cls(site, report, part, parts, body, agent, instance, signature)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a parcel at the inventory: it is stored there, or refused for `reason` for good.

    `refused` names devices of a stored parcel that were not taken, each with why.
    """

    site: str
    report: str
    part: int
    stored: bool
    reason: str = ""
    refused: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, object]:
        """The same for a carrier."""
        return {
            "site": self.site,
            "report": self.report,
            "part": self.part,
            "stored": self.stored,
            "reason": self.reason,
            "refused": [list(row) for row in self.refused],
        }

    @classmethod
    def from_json(cls, value: object) -> Self:
        """The receipt that `to_json` wrote; raises ParcelError."""
        if not isinstance(value, dict):
            raise ParcelError("a receipt is a JSON object")
        site, report, part, stored = (value.get(name) for name in ("site", "report", "part", "stored"))
        if not (isinstance(site, str) and isinstance(report, str) and isinstance(stored, bool)):
            raise ParcelError("a receipt names its site and its report, and says whether it is stored")
        if not isinstance(part, int) or isinstance(part, bool):
            raise ParcelError("a receipt names its part by a number")
        refused = value.get("refused")
        rows = [
            (row[0][:100], row[1][:200])
            for row in (refused if isinstance(refused, list) else [])[:1_000]
            if isinstance(row, list) and len(row) == 2 and all(isinstance(text, str) for text in row)
        ]
        return cls(site, report, part, stored, str(value.get("reason", ""))[:500], tuple(rows))


def _word(headers: Mapping[str, str], name: str) -> str:
    text = headers.get(name, "")
    if not _WORD.fullmatch(text):
        raise ParcelError(f"{name}: {text[:40]!r} is not 1 to 64 plain characters")
    return text


def _number(headers: Mapping[str, str], name: str) -> int:
    text = headers.get(name, "")
    if not _NUMBER.fullmatch(text) or int(text) > MAX_PARTS:
        raise ParcelError(f"{name}: {text[:40]!r} is not a number from 1 to {MAX_PARTS}")
    return int(text)
