"""Writes and compares what a capture must give: facts with verdicts, and no counters.

    python tests/golden.py pcaps/*.pcap        write NAME.expected.json beside each capture

Read the difference before committing it: a golden file is a claim about a recording.
"""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from agent.capture import Replay
from agent.census import Tally
from agent.probes import ALL
from fingerprints.judge import Judge
from fingerprints.matcher import Matchers
from fingerprints.model import Device, Report
from fingerprints.oui import Registry
from fingerprints.policy import load_policies
from fingerprints.rules import load_knowledge

__all__ = ["expectation", "expected_path", "replayed"]

_DAY = date(2026, 1, 1)


def replayed(path: Path, *, unfiltered: bool = False) -> Report:
    """The report on one capture with the shipped knowledge and the default policies."""
    knowledge = load_knowledge()
    tally = Tally(Judge(Matchers(knowledge), Registry.packaged()), load_policies(knowledge), ALL)
    capture = Replay(path, ALL, unfiltered=unfiltered)
    for message in capture:
        tally.feed(message)
    return tally.report(on=_DAY, problems=capture.problems)


def expectation(report: Report) -> list[dict[str, Any]]:
    """What a golden file holds of a report: a row a device, in a stable order."""
    return [_row(device) for device in report.devices]


def _row(device: Device) -> dict[str, Any]:
    verdict = device.verdict
    facts: dict[str, list[str]] = {}
    for observation in device.observations:
        texts = facts.setdefault(observation.fact.field, [])
        text = observation.fact.text
        shown = text if len(text) <= 160 else f"{text[:160]}… ({len(text)} characters)"
        if shown not in texts:
            texts.append(shown)
    return {
        "id": device.id,
        "addresses": list(device.addresses),
        "ports": list(device.ports),
        "vlans": list(device.vlans),
        "manufacturer": verdict.manufacturer,
        "brand": verdict.brand,
        "device_class": verdict.device_class,
        "model": verdict.model,
        "level": verdict.level,
        "finding": device.finding.status,
        "rules": sorted({item.rule for item in verdict.evidence}),
        "conflicts": sorted(f"{row.claim}: {row.against}" for row in verdict.conflicts),
        "facts": {field: sorted(texts) for field, texts in sorted(facts.items())},
    }


def expected_path(capture: Path) -> Path:
    """Where the golden file of a capture stands."""
    return capture.with_name(f"{capture.name.split('.')[0]}.expected.json")


def main(names: list[str]) -> None:
    """Write the golden file of each capture named."""
    for name in names:
        path = Path(name)
        rows = expectation(replayed(path))
        expected_path(path).write_text(
            json.dumps(rows, indent=1, ensure_ascii=True, sort_keys=True) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
