"""What templates may ask for, beside Django's own filters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from django import template
from django.http import QueryDict
from django.templatetags.static import static
from django.utils import timezone

from inventory.pages import words

__all__ = ["register"]

register = template.Library()
_STATIC: Final = Path(__file__).parent / "static"


@cache
def _version(name: str) -> str:
    return sha256((_STATIC / name).read_bytes()).hexdigest()[:12]


@register.simple_tag
def asset(name: str) -> str:
    """The address of one of our files, which changes with its content."""
    return f"{static(name)}?v={_version(name)}"


@register.filter
def state_words(state: str) -> str:
    """A state of removal."""
    return words.STATES.get(state, state)


@register.filter
def finding_words(finding: str) -> str:
    """A finding."""
    return words.FINDINGS.get(finding, finding)


@register.filter
def class_words(device_class: str) -> str:
    """What a device is."""
    return words.CLASSES.get(device_class, device_class)


@register.filter
def level_words(level: str) -> str:
    """How sure a verdict is."""
    return words.LEVELS.get(level, level)


@register.filter
def attribute(row: Any, name: str) -> Any:
    """The attribute `name` of `row`; parts are joined by two underscores."""
    for part in name.split("__"):
        row = getattr(row, part, "")
    return row


@register.filter
def get(row: Mapping[str, Any], name: str) -> Any:
    """What `row` has under `name`; 0 where nothing."""
    return row.get(name, 0)


@register.filter
def percent(share: float | None) -> str:
    """A share from 0 to 1 as per cent, never rounded up to all."""
    return "" if share is None else f"{min(share, 0.999) * 100:.1f} %"


@register.filter
def whole_percent(part: int, whole: int) -> int:
    """How many whole per cent `part` is of `whole`: 100 means all, 0 none."""
    return 0 if whole <= 0 else part * 100 // whole


@register.filter
def ago(at: datetime | None) -> str:
    """How long ago, in the largest unit that fits."""
    if at is None:
        return "never"
    seconds = int((timezone.now() - at).total_seconds())
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            number = seconds // size
            return f"{number:,} {name}{'s' if number != 1 else ''} ago"
    return "just now"


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **changed: object) -> str:
    """The query of this page with some of it changed; what is empty is left out, as is the cursor."""
    given: QueryDict = context["request"].GET.copy()
    given.pop("cursor", None)
    for name, value in changed.items():
        given.pop(name, None)
        if value not in {None, ""}:
            given[name] = str(value)
    return f"?{given.urlencode()}"
