"""Keeps whom devices spoke with, as a report tells it beside the devices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from inventory.clean import shown
from inventory.ingest.reading import Refused, moment
from inventory.models import CloudCall, Contact
from inventory.naming import named

__all__ = ["keep_contacts"]

_MOST: Final = 16_384
"""Most rows of each kind that one part of a report brings."""
_MAX_LIST: Final = 32
_MAX_COUNT: Final = 2**62


def keep_contacts(document: Mapping[str, Any], ids: Mapping[str, int], site: int, now: datetime) -> int:
    """Keep the `contacts` and `phone_home` of a report; gives how many, within the caller's transaction.

    `ids` are the devices of this part by what the report calls them. Each part says all that the report
    has of this kind, so whichever comes last finds the devices of the others: by the MAC, the address or the
    channel at `site` that their names are. Rows that name nobody known, or are none, are left out.
    """
    contacts = list(_rows(document, "contacts"))
    calls = list(_rows(document, "phone_home"))
    names = {row.get(key) for row in contacts for key in ("from", "to")} | {
        row.get("device") for row in calls
    }
    texts = {name for name in names if isinstance(name, str)}
    known = {name: ids[name] for name in texts if name in ids}
    known |= named(texts - set(known), site)
    return _keep_contacts(contacts, known, now) + _keep_calls(calls, known, now)


def _rows(document: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    rows = document.get(key)
    for row in rows[:_MOST] if isinstance(rows, list) else ():
        if isinstance(row, Mapping):
            yield row


def _times(row: Mapping[str, Any], now: datetime) -> tuple[datetime, datetime] | None:
    try:
        last = moment(row.get("last_seen"), now, "last_seen") or now
        first = moment(row.get("first_seen"), now, "first_seen") or last
    except Refused:
        return None
    return (first, last) if first <= last else None


def _texts(row: Mapping[str, Any], key: str) -> list[str]:
    value = row.get(key)
    texts = value[:_MAX_LIST] if isinstance(value, list) else ()
    return sorted({shown(text, 100) for text in texts if isinstance(text, str)})


def _number(row: Mapping[str, Any], key: str) -> int | None:
    value = row.get(key)
    return (
        value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_COUNT else None
    )


def _keep_contacts(rows: list[Mapping[str, Any]], known: Mapping[str, int], now: datetime) -> int:
    said: dict[tuple[int, int], Contact] = {}
    for row in rows:
        asker, asked, times = known.get(str(row.get("from"))), known.get(str(row.get("to"))), _times(row, now)
        if asker is not None and asked is not None and asker != asked and times is not None:
            said[asker, asked] = Contact(
                asker_id=asker,
                asked_id=asked,
                protocols=_texts(row, "protocols"),
                records=row.get("records") is True,
                first_seen=times[0],
                last_seen=times[1],
            )
    kept = {
        (row.asker_id, row.asked_id): row
        for row in Contact.objects.filter(asker__in={key[0] for key in said})
    }
    changed = []
    for key, new in said.items():
        old = kept.get(key)
        if old is None:
            continue
        merged = (
            sorted({*old.protocols, *new.protocols})[:_MAX_LIST],
            old.records or new.records,
            min(old.first_seen, new.first_seen),
            max(old.last_seen, new.last_seen),
        )
        if merged != (old.protocols, old.records, old.first_seen, old.last_seen):
            old.protocols, old.records, old.first_seen, old.last_seen = merged
            changed.append(old)
    Contact.objects.bulk_create(new for key, new in said.items() if key not in kept)
    Contact.objects.bulk_update(changed, ["protocols", "records", "first_seen", "last_seen"], batch_size=500)
    return len(said)


def _keep_calls(rows: list[Mapping[str, Any]], known: Mapping[str, int], now: datetime) -> int:
    said: dict[tuple[int, str], CloudCall] = {}
    for row in rows:
        device, name, times = known.get(str(row.get("device"))), row.get("name"), _times(row, now)
        maker = row.get("maker")
        if device is None or times is None or not isinstance(name, str) or not name:
            continue
        name = shown(name, 255)
        said[device, name] = CloudCall(
            device_id=device,
            maker=shown(maker, 200) if isinstance(maker, str) else "",
            name=name,
            addresses=_texts(row, "addresses"),
            count=_number(row, "count") or 0,
            bytes_sent=_number(row, "bytes_sent"),
            bytes_received=_number(row, "bytes_received"),
            first_seen=times[0],
            last_seen=times[1],
        )
    kept = {
        (row.device_id, row.name): row
        for row in CloudCall.objects.filter(device__in={key[0] for key in said})
    }
    changed = []
    for key, new in said.items():
        old = kept.get(key)
        if old is None:
            continue
        if new.last_seen > old.last_seen:
            # Counts of two reports may be of the same hours: the latest stands, nothing is added up.
            new.pk, new.first_seen = old.pk, min(old.first_seen, new.first_seen)
            changed.append(new)
        elif new.first_seen < old.first_seen:
            old.first_seen = new.first_seen
            changed.append(old)
    CloudCall.objects.bulk_create(new for key, new in said.items() if key not in kept)
    CloudCall.objects.bulk_update(
        changed,
        ["maker", "addresses", "count", "bytes_sent", "bytes_received", "first_seen", "last_seen"],
        batch_size=500,
    )
    return len(said)
