"""Draws charts as SVG that needs no style of its own, for pages that refuse any from elsewhere.

Colours are classes of the style sheet, so a chart prints, and follows what a reader set. Each chart
stands beside a table with the same figures: the drawing itself is hidden from screen readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

__all__ = ["Ahead", "bar", "burn_down"]


def bar(parts: Sequence[tuple[str, int]], whole: int, height: int = 12) -> SafeString:
    """One bar of `parts` (class, count) one after another; `whole` is what fills it."""
    at, pieces = 0.0, []
    for name, count in parts:
        width = 100 * count / whole if whole else 0
        if count:
            pieces.append((f"{at:.3f}", f"{width:.3f}", height, name))
        at += width
    drawn = format_html_join("", '<rect x="{}" y="0" width="{}" height="{}" class="fill-{}"></rect>', pieces)
    return format_html(
        '<svg class="bar" viewBox="0 0 100 {}" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '<rect x="0" y="0" width="100" height="{}" class="fill-none"></rect>{}</svg>',
        height,
        height,
        drawn,
    )


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is expected: the day when nothing is left, from `early` to `late` (None: without end)."""

    done: date
    early: date | None
    late: date | None


_WIDTH, _HEIGHT = 640, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 16, 14, 34
_LONGEST: Final = 3.0
"""The future is drawn for at most so many times the past."""


def burn_down(points: Sequence[tuple[date, int]], ahead: Ahead | None = None) -> SafeString:
    """How many are left by day, with what is expected from the last point on; empty without two points."""
    if len(points) < 2:
        return SafeString()
    first, today = points[0][0], points[-1][0]
    past = max(1, (today - first).days)
    horizon = today
    if ahead is not None:
        horizon = max(today, min(ahead.late or ahead.done, today + timedelta(days=round(past * _LONGEST))))
    days = max(1, (horizon - first).days)
    top = _nice(max(count for _, count in points))

    def x(day: date) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (day - first).days / days

    def y(count: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - count / top)

    grid = format_html_join(
        "",
        '<line class="grid-line" x1="{}" y1="{}" x2="{}" y2="{}"></line>'
        '<text x="{}" y="{}" text-anchor="end">{}</text>',
        (
            (
                _LEFT,
                f"{y(count):.1f}",
                _WIDTH - _RIGHT,
                f"{y(count):.1f}",
                _LEFT - 8,
                f"{y(count) + 4:.1f}",
                f"{count:,}",
            )
            for count in sorted({0, round(top / 2), top})
        ),
    )
    path = " ".join(f"{x(day):.1f},{y(count):.1f}" for day, count in points)
    area = f"{x(first):.1f},{y(0):.1f} {path} {x(today):.1f},{y(0):.1f}"
    drawn = format_html(
        '<polygon class="area" points="{}"></polygon><polyline class="line" points="{}"></polyline>',
        area,
        path,
    )
    labels = [(f"{x(first):.1f}", "start", f"{first:%-d %b %Y}")]
    if ahead is not None:
        start = f"{x(today):.1f},{y(points[-1][1]):.1f}"
        ends = [f"{x(day):.1f},{y(0):.1f}" for day in (ahead.early or ahead.done, ahead.late or horizon)]
        if ahead.late is None:
            ends[1] = f"{x(horizon):.1f},{y(0):.1f} {x(horizon):.1f},{y(points[-1][1]):.1f}"
        drawn = format_html(
            '<polygon class="band" points="{} {} {}"></polygon>{}'
            '<line class="forecast" x1="{}" y1="{}" x2="{}" y2="{}"></line>',
            start, *ends, drawn,
            f"{x(today):.1f}", f"{y(points[-1][1]):.1f}", f"{x(ahead.done):.1f}", f"{y(0):.1f}",
        )  # fmt: skip
    if (x(today) - _LEFT) > 125:
        labels.append(
            (f"{x(today):.1f}", "end" if horizon == today or x(today) > _WIDTH - 60 else "middle", "today")
        )
    if ahead is not None and ahead.done <= horizon and x(ahead.done) - x(today) > 90:
        labels.append((f"{min(x(ahead.done), _WIDTH - _RIGHT):.1f}", "end", f"{ahead.done:%b %Y}"))
    named = format_html_join(
        "",
        '<text x="{}" y="{}" text-anchor="{}">{}</text>',
        ((at, _HEIGHT - 10, side, text) for at, side, text in labels),
    )
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" aria-hidden="true" focusable="false">{}{}'
        '<line class="axis" x1="{}" y1="{}" x2="{}" y2="{}"></line>{}</svg>',
        _WIDTH, _HEIGHT, grid, drawn, _LEFT, f"{y(0):.1f}", _WIDTH - _RIGHT, f"{y(0):.1f}", named,
    )  # fmt: skip


def _nice(most: int) -> int:
    """A round number from `most` on, so that the scale reads well."""
    if most <= 4:
        return 4
    size = 10 ** (len(str(most)) - 1)
    return next(
        int(size * step)
        for step in (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10)
        if size * step >= most and size * step == int(size * step)
    )
