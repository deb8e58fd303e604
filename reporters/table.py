"""Writes a report for people: who made each device, what that means, what was not seen.

Eighty columns where nobody says how many there are; colour on a terminal alone. Everything
that a device wrote is made harmless before it is shown.
"""

from __future__ import annotations

import os
import shutil
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TextIO

from fingerprints.explain import place_in_words
from fingerprints.model import Device, Problem, Report
from reporters.provenance import oui_date, policy_dates, rules_version
from reporters.text import fitted, shortened, visible, width
from reporters.words import ORDER, blind_spots, finding_in_words, maker_in_words, rank, size_in_words

__all__ = ["write"]

_WIDTH: Final = 80
_WIDEST: Final = 140
_MAX_PROBLEMS: Final = 12
_ADDRESS: Final = 17
_MAC: Final = 17
_CLASS: Final = 9
_FINDING: Final = 13
_COLOURS: Final[Mapping[str, str]] = {
    "flagged": "\x1b[1;31m",
    "suspected": "\x1b[33m",
    "clear": "\x1b[32m",
    "unidentified": "\x1b[2m",
}
_PLAIN: Final = "\x1b[0m"
_CLASSES: Final[Mapping[str, str]] = {
    "access-control": "access",
    "not-surveillance": "other",
    "unknown": "-",
}

_MAX_SPOTS: Final = 5
_MAX_OTHERS: Final = 5
_MAX_CALLERS: Final = 6
_MAX_PLACES: Final = 40
_SAID_ELSEWHERE: Final = frozenset(
    {
        "blind_spots",
        "flagged",
        "hidden",
        "hosts",
        "hosts_forgotten",
        "identified",
        "incomplete",
        "messages_malformed",
        "messages_read",
        "messages_without_time",
        "out_of_scope",
        "recorders",
        "remote_addresses_left_out",
        "scanners",
        "silent_subnets",
        "subnets",
        "suspected",
        "unidentified",
        "unidentified_hosts",
        "without_mac",
    }
)
"""Parts of the coverage that blind spots or the summary tell of."""


def write(report: Report, out: TextIO) -> None:
    """Put the table, the summary, what was not seen and the problems on `out`."""
    terminal = out.isatty()
    columns = min(shutil.get_terminal_size((_WIDTH, 24)).columns, _WIDEST) if terminal else _WIDTH
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    columns = max(columns, _WIDTH)
    out.writelines(line.rstrip() + "\n" for line in _lines(report, columns, colour=colour))


def _lines(report: Report, columns: int, *, colour: bool) -> Iterator[str]:
    if report.devices:
        yield from _devices(report.devices, columns, colour=colour)
        yield ""
    yield from _places(report.devices, columns)
    yield from _summary(report.devices)
    yield from _phone_home(report, columns)
    yield from _not_seen(report, columns)
    yield from _problems(report.problems, columns)
    yield ""
    yield from _wrapped(
        f"Rules {rules_version(report.run)}; MAC registry of {oui_date(report.run)}; "
        f"policies: {policy_dates(report.run)}.",
        columns,
    )


def _devices(devices: Iterable[Device], columns: int, *, colour: bool) -> Iterator[str]:
    mac = _MAC if columns >= _WIDTH + _MAC + 1 else 0
    free = columns - _ADDRESS - _CLASS - _FINDING - 4 - (mac and mac + 1)
    maker, model = free - free * 17 // 37, free * 17 // 37
    yield " ".join(
        (
            fitted("ADDRESS", _ADDRESS),
            *([fitted("MAC", mac)] if mac else []),
            fitted("MAKER (BADGE)", maker),
            fitted("MODEL", model),
            fitted("CLASS", _CLASS),
            "FINDING",
        )
    )
    for device in sorted(devices, key=rank):
        verdict = device.verdict
        address = visible(device.addresses[0] if device.addresses else device.id)
        if width(address) > _ADDRESS:
            yield address
            address = ""
        finding = fitted(finding_in_words(device), _FINDING)
        if colour:
            finding = f"{_COLOURS[device.finding.status]}{finding}{_PLAIN}"
        yield " ".join(
            (
                fitted(address, _ADDRESS),
                *([fitted(verdict.mac or "-", mac)] if mac else []),
                fitted(maker_in_words(device), maker),
                fitted(verdict.model or "-", model),
                fitted(_CLASSES.get(verdict.device_class, verdict.device_class), _CLASS),
                finding,
            )
        )


def _summary(devices: tuple[Device, ...]) -> Iterator[str]:
    found = Counter(device.finding.status for device in devices)
    counts = ", ".join(f"{found[status]} {status}" for status in ORDER if found[status])
    total = f"{len(devices)} device{'' if len(devices) == 1 else 's'}"
    yield f"{total}: {counts}." if devices else "No device was seen."
    for status in ORDER[:2]:
        makers = Counter(maker_in_words(device) for device in devices if device.finding.status == status)
        for name, count in makers.most_common():
            yield f"  {status:<10} {count:>4}  {visible(name)}"


def _places(devices: Iterable[Device], columns: int) -> Iterator[str]:
    """Where flagged and suspected devices are plugged in, as far as switches tell."""
    known = [
        device
        for device in sorted(devices, key=rank)
        if device.location is not None and device.finding.status in ORDER[:2]
    ]
    if not known:
        return
    yield "Plugged in"
    for device in known[:_MAX_PLACES]:
        where = visible(device.addresses[0] if device.addresses else device.id)
        place = place_in_words(device.location) if device.location is not None else "?"
        yield from _wrapped(f"  {where}: {shortened(place, 200)}", columns)
    if len(known) > _MAX_PLACES:
        yield f"  and {len(known) - _MAX_PLACES} more (--format csv or json has all)"
    yield ""


def _phone_home(report: Report, columns: int) -> Iterator[str]:
    """Which devices call makers' clouds: a line for each device and maker, with the bytes that are known."""
    calls: dict[tuple[str, str], Counter[str]] = {}
    moved: Counter[tuple[str, str]] = Counter()
    for row in report.phone_home:
        calls.setdefault((row.device, row.maker), Counter())[row.name] += row.count
        moved[row.device, row.maker] += (row.bytes_sent or 0) + (row.bytes_received or 0)
    if not calls:
        return
    places = {device.id: device.addresses[0] if device.addresses else device.id for device in report.devices}
    yield ""
    yield "Calls to makers' clouds"
    ranked = sorted(calls.items(), key=lambda item: (-item[1].total(), item[0]))
    for (device, maker), names in ranked[:_MAX_CALLERS]:
        most = names.most_common(1)[0][0]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        times = f"{names.total()} time{'' if names.total() == 1 else 's'}"
        volume = moved[device, maker]
        size = f", {size_in_words(volume)}" if volume else ""
        where = visible(places.get(device, device))
        line = f"  {where}: {visible(maker)}, {shortened(most, 80)}{more}, {times}{size}"
        yield from _wrapped(line, columns)
    if len(ranked) > _MAX_CALLERS:
        yield f"  and {len(ranked) - _MAX_CALLERS} more (--format json has all)"


def _not_seen(report: Report, columns: int) -> Iterator[str]:
    lines = [] if report.complete else ["INCOMPLETE: not everything that was asked for was covered"]
    lines += _blind_spots(report.coverage)
    others = list(_other_coverage(report.coverage))
    lines += others[:_MAX_OTHERS]
    if len(others) > _MAX_OTHERS:
        lines.append(f"and {len(others) - _MAX_OTHERS} more counts (--format json has all)")
    if lines:
        yield ""
        yield "Coverage"
    for line in lines:
        yield from _wrapped(f"  {line}", columns)


def _blind_spots(coverage: Mapping[str, object]) -> Iterator[str]:
    spots = list(blind_spots(coverage))
    for what, step in spots[:_MAX_SPOTS]:
        yield shortened(f"{what}; {step}", 300)
    if len(spots) > _MAX_SPOTS:
        yield f"and {len(spots) - _MAX_SPOTS} more (--format json has all)"


def _other_coverage(coverage: Mapping[str, object]) -> Iterator[str]:
    """What a command itself says of its coverage: names of things, texts and counts that are not nought."""
    for key, value in coverage.items():
        if key in _SAID_ELSEWHERE or not value or isinstance(value, bool):
            continue
        name = visible(key.replace("_", " "))
        if isinstance(value, str | int | float):
            yield f"{name}: {visible(str(value))}"
        elif isinstance(value, Mapping):
            pairs = ", ".join(f"{item} {count}" for item, count in value.items() if isinstance(count, int))
            if pairs:
                yield f"{name}: {visible(pairs)}"
        elif isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            shown = ", ".join(value[:20]) + (f" and {len(value) - 20} more" if len(value) > 20 else "")
            yield f"{name}: {visible(shown)}"


def _problems(problems: tuple[Problem, ...], columns: int) -> Iterator[str]:
    if not problems:
        return
    yield ""
    yield "Problems"
    for problem in problems[:_MAX_PROBLEMS]:
        yield from _wrapped(f"  {shortened(problem.where, 200)}: {shortened(problem.what, 300)}", columns)
    if len(problems) > _MAX_PROBLEMS:
        yield f"  and {len(problems) - _MAX_PROBLEMS} more (--format json has all)"


def _wrapped(text: str, columns: int) -> list[str]:
    indent = " " * (len(text) - len(text.lstrip()))
    return textwrap.wrap(
        text.strip(),
        columns,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_on_hyphens=False,
    )
