"""Writes a report as one page that is handed to somebody: printable, without scripts, in one file.

It says first what was found, then where those devices are with the reasons, then what was not
seen. Nothing is loaded from anywhere. Headings, captions and headers of rows and columns tell a
screen reader what a sighted reader sees; colour never says anything alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final, TextIO

from fingerprints.explain import place_in_words
from fingerprints.model import Device, Evidence, Report, Status
from reporters.provenance import oui_date, policy_dates, rules_version
from reporters.text import shortened
from reporters.words import ORDER, blind_spots, finding_in_words, maker_in_words, rank, size_in_words

__all__ = ["write"]

_MOST_ROWS: Final = 5_000
_MOST_LINES: Final = 200
_LONGEST: Final = 300
_REASONS: Final = 3
_MEANS: Final[Mapping[str, str]] = {
    "flagged": "A policy names the maker, and the evidence is strong.",
    "suspected": "A policy names the likely maker; the evidence is not strong yet: look at it on site.",
    "clear": "The maker is known, and no policy names it.",
    "unidentified": "Nothing that it said tells who made it: look at it on site.",
}
_STYLE: Final = """
:root { color-scheme: light; font: 16px/1.45 Arial, Helvetica, sans-serif; color: #0b0c0c; background: #fff }
body { max-width: 75rem; margin: 0 auto; padding: 1.5rem 1rem 3rem }
h1 { font-size: 2rem; margin: 0 } h2 { font-size: 1.4rem; margin: 2.2rem 0 .6rem }
p, li { max-width: 46rem } .when { color: #505a5f; margin-top: .2rem }
.answer { font-size: 1.35rem; font-weight: bold; border-left: .6rem solid #1d70b8; padding: .4rem 1rem }
.answer.found { border-color: #aa2a16 }
.warning { border: 3px solid #0b0c0c; padding: .6rem 1rem; font-weight: bold; max-width: 46rem }
.scroll { overflow-x: auto; margin-bottom: 1.6rem }
table { border-collapse: collapse; font-size: .9rem } table.wide { width: 100%; min-width: 66rem } caption { text-align: left; font-weight: bold }
th, td { text-align: left; vertical-align: top; padding: .4rem 1rem .4rem 0; border-bottom: 1px solid #b1b4b6 }
td { overflow-wrap: anywhere } th, td.whole { white-space: nowrap } td.number, th.number { text-align: right }
ul.why { margin: 0; padding-left: 1.1rem } .scroll:focus { outline: 3px solid #0b0c0c }
footer { margin-top: 2.5rem; border-top: 1px solid #b1b4b6; font-size: .85rem }
@media print { body { padding: 0; font-size: 11px } table.wide { min-width: 0 } .scroll { overflow: visible } thead { display: table-header-group }
tr { break-inside: avoid } h2 { break-after: avoid } }
""".strip()


def write(report: Report, out: TextIO) -> None:
    """Put the page on `out`, as UTF-8 text."""
    out.writelines(f"{line}\n" for line in _page(report))


def _page(report: Report) -> Iterator[str]:
    found = Counter(device.finding.status for device in report.devices)
    yield '<!DOCTYPE html>\n<html lang="en-GB">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    yield f"<title>Camera census: {_answer(report, found)}</title>\n<style>\n{_STYLE}\n</style>"
    yield '</head>\n<body>\n<header>\n<h1>Camera census</h1>\n<p class="when">'
    yield f"{_occasion(report)}</p>\n</header>\n<main>"
    yield f'<p class="answer{" found" if found["flagged"] else ""}">{_answer(report, found)}</p>'
    if not report.complete:
        yield '<p class="warning">Incomplete: not everything that was asked for was covered.</p>'
    yield from _counts(found)
    yield from _makers(report.devices)
    for status in ORDER:
        rows = sorted((row for row in report.devices if row.finding.status == status), key=_place)
        yield from _devices(status, rows)
    yield from _phone_home(report)
    yield from _not_seen(report)
    yield from _problems(report)
    yield f"</main>\n<footer>\n<p>{_basis(report)}</p>\n</footer>\n</body>\n</html>"


def _text(value: object, longest: int = _LONGEST) -> str:
    """What anybody wrote, harmless: cut, unprintable characters shown, markup escaped."""
    return escape(shortened(str(value), longest))


def _occasion(report: Report) -> str:
    run = report.run
    when = str(run.get("finished") or run.get("started") or "")
    try:
        at = datetime.fromisoformat(when).astimezone(UTC)
        when = f"{at.day} {at:%B %Y, %H:%M} UTC"
    except (ValueError, OverflowError):
        when = _text(when)
    sites = sorted({device.site for device in report.devices if device.site})
    place = (
        f", {_text(', '.join(sites[:5]))}{f' and {len(sites) - 5} more' if len(sites) > 5 else ''}"
        if sites
        else ""
    )
    return f"Made {when or 'at an unknown time'}{place}"


def _answer(report: Report, found: Counter[Status]) -> str:
    count = len(report.devices)
    if not count:
        return "No device was seen."
    flagged = found["flagged"]
    if not flagged:
        return f"None of {count} device{'' if count == 1 else 's'} is flagged."
    return (
        f"{flagged} of {count} device{'' if count == 1 else 's'} {'is' if flagged == 1 else 'are'} flagged."
    )


def _table(
    caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], *, wide: bool = False
) -> Iterator[str]:
    """A table whose cells are HTML already; the first one of a row is its header."""
    kinds = {"Devices": "number", "Times": "number", "Sent": "number", "MAC": "whole", "How sure": "whole"}
    marks = [f' class="{kinds[head]}"' if head in kinds else "" for head in heads]
    yield f'<div class="scroll" role="region" aria-label="{escape(caption)}" tabindex="0">'
    yield '<table class="wide">' if wide else "<table>"
    yield f"<caption>{escape(caption)}</caption>\n<thead><tr>"
    yield "".join(
        f'<th scope="col"{mark}>{escape(head)}</th>' for head, mark in zip(heads, marks, strict=True)
    )
    yield "</tr></thead>\n<tbody>"
    for first, *others in rows:
        cells = "".join(f"<td{mark}>{cell}</td>" for cell, mark in zip(others, marks[1:], strict=True))
        yield f'<tr><th scope="row">{first}</th>{cells}</tr>'
    yield "</tbody>\n</table>\n</div>"


def _counts(found: Counter[Status]) -> Iterator[str]:
    rows = [(status.capitalize(), str(found[status]), _MEANS[status]) for status in ORDER]
    yield from _table("What was found", ("Finding", "Devices", "What that means"), rows)


def _makers(devices: Iterable[Device]) -> Iterator[str]:
    for status in ORDER[:2]:
        makers = Counter(maker_in_words(row) for row in devices if row.finding.status == status)
        if makers:
            rows = [(_text(name), str(count)) for name, count in makers.most_common()]
            caption = f"{status.capitalize()}, by maker (the name it is sold under in brackets)"
            yield from _table(caption, ("Maker", "Devices"), rows)


def _place(device: Device) -> tuple[object, ...]:
    return (
        device.site or "",
        *rank(device),
        [part.zfill(3) for part in device.addresses[0].split(".")] if device.addresses else [],
    )


def _devices(status: Status, devices: Sequence[Device]) -> Iterator[str]:
    if not devices:
        return
    yield f"<h2>{status.capitalize()}</h2>"
    sites = any(device.site for device in devices)
    heads = [
        "Address",
        *(["Site"] if sites else []),
        "MAC",
        "Made by",
        "Model",
        "Serial number",
        "Where",
        "How sure",
        "Why",
    ]
    caption = f"{status.capitalize()}: {len(devices)} device{'' if len(devices) == 1 else 's'}"
    yield from _table(
        caption, heads, (_row(device, sites=sites) for device in devices[:_MOST_ROWS]), wide=True
    )
    if len(devices) > _MOST_ROWS:
        yield f"<p>And {len(devices) - _MOST_ROWS} more: the CSV and JSON forms have all.</p>"


def _row(device: Device, *, sites: bool) -> list[str]:
    verdict = device.verdict
    addresses = "<br>".join(_text(address) for address in device.addresses[:8]) or _text(device.id)
    kind = "" if verdict.device_class == "unknown" else f"<br>{_text(verdict.device_class)}"
    firmware = f"<br>firmware {_text(verdict.firmware)}" if verdict.firmware else ""
    return [
        addresses,
        *([_text(device.site or "-")] if sites else []),
        _text(verdict.mac or "-"),
        f"{_text(maker_in_words(device))}{kind}",
        f"{_text(verdict.model or '-')}{firmware}",
        _text(verdict.serial or "-"),
        _where(device),
        _text(finding_in_words(device)),
        _why(device),
    ]


def _where(device: Device) -> str:
    told = []
    if device.location is not None:
        told.append(_text(place_in_words(device.location)))
    told += [
        f"behind {_text(row.recorder)}, channel {_text(', '.join(row.channels))}" for row in device.behind[:3]
    ]
    told += [f"VLAN {vlan}" for vlan in device.vlans[:5]]
    told += [_text(name) for name in device.hostnames[:2]]
    return "<br>".join(told) or "-"


def _why(device: Device) -> str:
    """The strongest evidence, or what it said where nothing is known by it; then what is to be noted."""
    reasons = sorted(device.verdict.evidence, key=_weight, reverse=True)
    # One saying is one reason, however many rules know it.
    said = list(dict.fromkeys((row.field, row.text) for row in reasons))[:_REASONS]
    said = (
        said or list(dict.fromkeys((row.fact.field, row.fact.text) for row in device.observations))[:_REASONS]
    )
    lines = [f"{_text(field)}: “{_text(text, 80)}”" for field, text in said]
    lines += [_text(note) for note in (*device.verdict.notes, *device.finding.notes)[:_REASONS]]
    return (
        f'<ul class="why">{"".join(f"<li>{line}</li>" for line in lines)}</ul>'
        if lines
        else "It said nothing."
    )


def _weight(row: Evidence) -> tuple[bool, float]:
    return row.proof, row.weight


def _phone_home(report: Report) -> Iterator[str]:
    if not report.phone_home:
        return
    names = {row.id: row.addresses[0] if row.addresses else row.id for row in report.devices}
    calls = sorted(report.phone_home, key=lambda row: (-row.count, row.device, row.name))
    yield "<h2>Calls to the clouds of makers</h2>"
    rows = [
        (
            _text(names.get(row.device, row.device)),
            _text(row.maker),
            _text(row.name),
            str(row.count),
            size_in_words(row.bytes_sent) if row.bytes_sent is not None else "not known",
        )
        for row in calls[:_MOST_LINES]
    ]
    heads = ("Device", "Maker", "Name that was called", "Times", "Sent")
    yield from _table("Which devices call whom", heads, rows)
    if len(calls) > _MOST_LINES:
        yield f"<p>And {len(calls) - _MOST_LINES} more: the JSON form has all.</p>"


def _not_seen(report: Report) -> Iterator[str]:
    yield "<h2>What was not seen</h2>"
    spots = list(blind_spots(report.coverage))
    if not spots:
        yield "<p>No blind spot is known.</p>"
        return
    rows = [(_text(what), _text(step)) for what, step in spots[:_MOST_LINES]]
    yield from _table("Blind spots, and the step that would close each", ("What", "Step"), rows)
    if len(spots) > _MOST_LINES:
        yield f"<p>And {len(spots) - _MOST_LINES} more: the JSON form has all.</p>"


def _problems(report: Report) -> Iterator[str]:
    if not report.problems:
        return
    yield "<h2>Problems</h2>\n<ul>"
    for problem in report.problems[:_MOST_LINES]:
        yield f"<li>{_text(problem.where)}: {_text(problem.what)}</li>"
    yield "</ul>"
    if len(report.problems) > _MOST_LINES:
        yield f"<p>And {len(report.problems) - _MOST_LINES} more: the JSON form has all.</p>"


def _basis(report: Report) -> str:
    """What the report rests on."""
    run = report.run
    made = f"{_text(run.get('tool', 'camcensus'))} {_text(run.get('version', ''))} {_text(run.get('command', ''))}".strip()
    return (
        f"By {made}. Rules {_text(rules_version(run))}; MAC registry of {_text(oui_date(run))}; "
        f"policies: {_text(policy_dates(run))}. A finding is about who made a device, by what the device says; "
        "no password was guessed, and nothing was changed."
    )
