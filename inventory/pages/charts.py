"""Draws charts as SVG that needs no style of its own, for pages that refuse any from elsewhere.

Colours are classes of the style sheet, so a chart prints, and follows what a reader set. Each chart
stands beside a table with the same figures: the drawing itself is hidden from screen readers.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

__all__ = ["bar"]


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
