"""Reads a corpus of recorded observations with the truth beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.observations import read_sample
from agent.probes import ALL
from fingerprints.model import Fact
from fingerprints.rules import Knowledge

__all__ = ["FLAGGED_MAKERS", "Labelled", "Truth", "read_corpus"]

FLAGGED_MAKERS = frozenset({"Hikvision", "Dahua"})
_NO_CAMERA = "not-a-camera"


@dataclass(frozen=True, slots=True)
class Truth:
    """What the source states of a device; names are in our one spelling where we know them."""

    manufacturer: str
    brand: str | None
    model: str | None
    device_class: str | None
    is_camera: bool


@dataclass(frozen=True, slots=True)
class Labelled:
    """One device: its facts, its truth, the source group it came from."""

    id: str
    group: str
    facts: tuple[Fact, ...]
    truth: Truth
    telling: bool
    model_stated: bool


def read_corpus(path: Path, knowledge: Knowledge) -> list[Labelled]:
    """All lines of a corpus; raises OSError or ValueError where it is no corpus."""
    samples = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            row = json.loads(line)
            sample = read_sample(line, f"{path.name}:{number}", knowledge, ALL)
            samples.append(
                Labelled(
                    str(row["id"]),
                    str(row["group"]),
                    sample.facts,
                    _truth(row["truth"], knowledge),
                    bool(row["telling"]),
                    bool(row["model_stated"]),
                )
            )
    return samples


def _truth(row: Mapping[str, Any], knowledge: Knowledge) -> Truth:
    stated = row["manufacturer"]
    brand = row.get("brand")
    named = brand if stated == _NO_CAMERA else stated
    maker = knowledge.maker_named(named or "")
    if maker is None:
        edges = knowledge.brands_named(named or "")
        maker = edges[0].manufacturer if edges else str(named)
    return Truth(maker, brand, row.get("model"), row.get("device_class"), stated != _NO_CAMERA)
