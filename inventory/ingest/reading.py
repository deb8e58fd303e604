"""Reads the device objects of a report: bounded, checked, with a reason for each that is refused.

The shape is that of `fingerprints.codec`. A report of thousands is read in two steps, because most
devices say what they said last time: `Said` is what is needed to find the device again, `details`
is all of it, read only where the digest tells that something is new.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from ipaddress import ip_address
from typing import Any, Final

import orjson

from fingerprints.codec import MAX_OBSERVATION, MAX_OBSERVATIONS
from fingerprints.model import DEVICE_CLASSES
from inventory.clean import bounded, is_plain, shown

__all__ = ["Details", "Refused", "Said", "address_of", "day", "details", "digest", "moment", "said"]

_MAX_LIST: Final = 64
_MAX_ADDRESSES: Final = 16
_MAX_TEXT: Final = 2_048
_MAX_NAME: Final = 200
_MAX_JSON: Final = 32_768
_MAX_POLICIES: Final = 500
_MAX_VLAN: Final = 4_095
_MAX_PORT: Final = 65_535
_AHEAD: Final = timedelta(days=1)
_OLDEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MAC: Final = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_IPV4: Final = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}", re.ASCII)
_NO_MAC: Final = frozenset({"00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"})
# What devices say where a serial number was never written.
_NO_SERIAL: Final = re.compile(
    r"(?:null|none|unknown|default|n/?a|not.?set|0+|1+|x+|123456789?0?)", re.IGNORECASE
)
_MIN_SERIAL: Final = 5
_LEVELS: Final = frozenset({"confirmed", "probable", "possible", "unknown"})
_STATUSES: Final = frozenset({"flagged", "suspected", "clear", "unidentified"})
_CLASSES: Final = frozenset(DEVICE_CLASSES)
_WHEN: Final = ("first_seen", "last_seen")


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """A device is not taken: says why, in words for whoever runs the agent."""


@dataclass(slots=True)
class Said:
    """What a report says of one device that tells which it is and where it was."""

    id: str
    strong: tuple[str, ...]
    """Keys that follow the device anywhere, the surest first."""
    weak: tuple[str, ...]
    """Keys of its addresses at the site."""
    addresses: tuple[str, ...]
    vlan: int | None
    mac: str
    first: datetime
    last: datetime
    manufacturer: str
    digest: str
    row: Mapping[str, Any]
    bytes_digest: str | None = None
    """That of `inventory.ingest.glance`, where it could be told."""


@dataclass(slots=True)
class Details:
    """All that is kept of one device, clean; JSON as text."""

    hostname: str
    serial: str
    manufacturer: str
    brand: str
    device_class: str
    model: str
    firmware: str
    confidence: float
    level: str
    finding: str
    policies: str
    """Those that the finding is by, each between commas."""
    verdict: str
    verdict_digest: str
    matches: str
    finding_digest: str
    observations: str
    hostnames: str
    ports: str
    location: str | None
    behind: str | None


def digest(value: Any) -> str:
    """32 hexadecimal digits that tell `value`, JSON-shaped, from any other."""
    return blake2b(orjson.dumps(value), digest_size=16).hexdigest()


def moment(text: object, now: datetime, name: str) -> datetime | None:
    """The time that `text` gives, whole seconds in UTC; raises `Refused` for one that cannot be."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise Refused(f"{name} is not a time")
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not UTC:
            at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        if at.microsecond:
            at = at.replace(microsecond=0)
    except (ValueError, OverflowError):
        raise Refused(f"{name} is not a time") from None
    if at > now + _AHEAD:
        raise Refused(f"{name} lies in the future: is the clock of the agent right?")
    if at < _OLDEST:
        raise Refused(f"{name} lies before the year 2000")
    return at


def said(row: object, site: int, default: datetime, now: datetime) -> Said:
    """Read who and where; `site` is the id that scopes addresses. Raises `Refused`."""
    if not isinstance(row, dict):
        raise Refused("is not a JSON object")
    name = row.get("id")
    if not isinstance(name, str) or not name:
        raise Refused("has no id")
    last = moment(row.get("last_seen"), now, "last_seen") or default
    first = moment(row.get("first_seen"), now, "first_seen") or last
    if first > last:
        raise Refused("first_seen is after last_seen")
    addresses = tuple(address_of(item) for item in _texts(row, "addresses", _MAX_ADDRESSES))
    vlan = next(iter(_numbers(row, "vlans", _MAX_VLAN)), None)
    maker = _name(row, "manufacturer")
    mac = row.get("mac")
    macs = dict.fromkeys(([mac] if mac is not None else []) + _texts(row, "macs", _MAX_ADDRESSES))
    strong = []
    serial = row.get("serial")
    if isinstance(serial, str) and maker and len(serial) >= _MIN_SERIAL and not _NO_SERIAL.fullmatch(serial):
        strong.append(shown(f"serial:{maker}/{serial}", 255))
    known = [item for item in macs if _checked_mac(item) not in _NO_MAC]
    # A locally administered address is nobody's: it says which device only where it was seen.
    strong += [f"mac:{site}/{item}" if int(item[1], 16) & 2 else f"mac:{item}" for item in known]
    strong += _endpoints(row)
    content = {key: value for key, value in row.items() if key not in _WHEN}
    return Said(
        shown(name, _MAX_NAME),
        tuple(strong),
        # A hidden camera's address is one of its recorder's own network, which many sites have alike.
        (shown(f"attached:{site}/{name}", 255),)
        if row.get("hidden") is True
        else tuple(f"address:{site}/{item}" for item in addresses),
        addresses,
        vlan,
        known[0] if known else "",
        first,
        last,
        maker,
        digest(content),
        row,
    )


def _checked_mac(text: Any) -> str:
    if not isinstance(text, str) or not _MAC.fullmatch(text):
        raise Refused("a MAC is not written like 28:57:be:00:00:01")
    return text


def address_of(text: str) -> str:
    """An address in its one way of writing; raises `Refused` for what is none."""
    if _IPV4.fullmatch(text):
        return text
    try:
        return str(ip_address(text.partition("%")[0][:64]))
    except ValueError:
        raise Refused("addresses holds something else than addresses") from None


def _endpoints(row: Mapping[str, Any]) -> list[str]:
    observations = row.get("observations") or ()
    if not isinstance(observations, list | tuple):
        raise Refused("observations is not a list")
    return [
        shown(f"endpoint:{fact['text']}", 255)
        for fact in observations[:MAX_OBSERVATIONS]
        if isinstance(fact, dict)
        and fact.get("field") == "onvif.endpoint"
        and isinstance(fact.get("text"), str)
    ][:1]


def _texts(row: Mapping[str, Any], key: str, most: int) -> list[str]:
    value = row.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value[:most]):
        raise Refused(f"{key} is not a list of texts")
    return value[:most]


def _numbers(row: Mapping[str, Any], key: str, highest: int) -> list[int]:
    value = row.get(key)
    if not value:
        return []
    if not isinstance(value, list) or not all(
        isinstance(item, int) and not isinstance(item, bool) and 0 <= item <= highest
        for item in value[:_MAX_LIST]
    ):
        raise Refused(f"{key} is not a list of numbers up to {highest}")
    return value[:_MAX_LIST]


def _name(row: Mapping[str, Any], key: str, most: int = _MAX_NAME) -> str:
    value = row.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refused(f"{key} is not a text")
    return shown(value, most)


def _rows(row: Mapping[str, Any], key: str, most: int, needed: tuple[str, ...]) -> list[Any]:
    """The objects of a list, each with the texts it needs."""
    value = row.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Refused(f"{key} is not a list")
    rows = value[:most]
    for item in rows:
        if not isinstance(item, dict):
            raise Refused(f"{key} holds something else than objects")
        for name in needed:
            if not isinstance(item.get(name), str):
                raise Refused(f"{key} holds an entry without {', '.join(needed)}")
    return rows


def _one_of(row: Mapping[str, Any], key: str, known: frozenset[str], absent: str) -> str:
    value = row.get(key, absent)
    if not isinstance(value, str) or value not in known:
        raise Refused(f"{key} is none of {', '.join(sorted(known))}")
    return value


def details(one: Said) -> Details:
    """Read the rest of what a report says of `one`; raises `Refused`."""
    row = one.row
    confidence = row.get("confidence", 0.0)
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        raise Refused("confidence is not a number from 0 to 1")
    evidence = _rows(row, "evidence", _MAX_LIST, ("rule", "family", "field", "text"))
    for item in evidence:
        if not isinstance(item.get("claims", {}), dict) or not isinstance(
            item.get("weight", 0.0), int | float
        ):
            raise Refused("evidence holds claims or weights that are none")
    matches = _rows(row, "policy_matches", _MAX_LIST, ("policy",))
    conflicts = _rows(row, "conflicts", _MAX_LIST, ("claim",))
    channels = row.get("channels")
    named = {
        key: _name(row, key) or None
        for key in ("manufacturer", "brand", "model", "line", "firmware", "serial", "mac")
    }
    device_class = named["device_class"] = _one_of(row, "device_class", _CLASSES, "unknown")
    level = named["level"] = _one_of(row, "level", _LEVELS, "unknown")
    status = _one_of(row, "finding", _STATUSES, "unidentified")
    essence = [
        named,
        round(confidence, 2),
        sorted({str(item["rule"]) for item in evidence}),
        sorted({f"{item['claim']}={item.get('kept')}/{item.get('against')}" for item in conflicts}),
    ]
    verdict = {
        **named,
        "channels": channels if isinstance(channels, int) and abs(channels) < 2**31 else None,
        "confidence": float(confidence),
        "evidence": evidence,
        "conflicts": conflicts,
        "notes": _texts(row, "notes", _MAX_LIST),
        "problems": _rows(row, "problems", _MAX_LIST, ("where", "what")),
    }
    observations = _rows(row, "observations", MAX_OBSERVATIONS, ("field", "text"))
    ports = _numbers(row, "ports", _MAX_PORT)
    hostnames = [shown(item, _MAX_NAME) for item in _texts(row, "hostnames", _MAX_LIST)]
    return Details(
        hostnames[0] if hostnames else "",
        named["serial"] or "",
        named["manufacturer"] or "",
        named["brand"] or "",
        device_class,
        named["model"] or "",
        named["firmware"] or "",
        float(confidence),
        level,
        status,
        _policies(matches),
        _json(verdict, _MAX_TEXT),
        digest(essence),
        _json(matches, _MAX_TEXT),
        digest([status, matches]),
        _json(observations, MAX_OBSERVATION),
        _json(hostnames, _MAX_NAME),
        orjson.dumps(ports).decode(),
        _location(row),
        _behind(row),
    )


def _location(row: Mapping[str, Any]) -> str | None:
    """The switch port, as text for its column; a number that is none is left out."""
    value = row.get("location")
    if value is None:
        return None
    if not isinstance(value, dict) or not all(isinstance(value.get(key), str) for key in ("switch", "port")):
        raise Refused("location has no switch with a port")
    found: dict[str, Any] = {key: _name(value, key) for key in ("switch", "port", "description")}
    for key in ("vlan", "macs", "poe_class", "poe_watts"):
        number = value.get(key)
        kinds = (int, float) if key == "poe_watts" else (int,)
        if isinstance(number, kinds) and not isinstance(number, bool) and 0 <= number <= _MAX_PORT:
            found[key] = number
    return orjson.dumps(found).decode()


def _behind(row: Mapping[str, Any]) -> str | None:
    """The recorders that a camera is attached to, as text for its column."""
    rows = _rows(row, "behind", _MAX_LIST, ("recorder",))
    if not rows:
        return None
    recorders = [
        {
            "recorder": _name(item, "recorder"),
            "channels": [shown(text, 40) for text in _texts(item, "channels", _MAX_LIST)],
        }
        for item in rows
    ]
    return orjson.dumps({"hidden": row.get("hidden") is True, "recorders": recorders}).decode()


def _policies(matches: list[Any]) -> str:
    names = sorted({shown(item["policy"], 100).replace(",", " ") for item in matches})
    text = f",{','.join(names)}," if names else ""
    return text if len(text) <= _MAX_POLICIES else text[: text.rindex(",", 0, _MAX_POLICIES) + 1]


def _json(value: Any, most: int) -> str:
    """`value` as JSON text, clean and bounded; what is plain and short enough is written as it is."""
    text = orjson.dumps(value)
    if len(text) > _MAX_JSON or not is_plain(text):
        text = orjson.dumps(bounded(value, most, MAX_OBSERVATIONS))
    return text.decode()


def day(text: object) -> date | None:
    """The day that `text` gives, or None."""
    try:
        return date.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
