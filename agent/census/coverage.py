"""Says what was seen and what was not, each blind spot with the step that would close it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, Final

from agent.census.addresses import host_address
from agent.census.counts import Counts
from agent.census.devices import claimed_address
from agent.census.talk import Scanner
from fingerprints.model import Contact, Device, Fact

__all__ = ["Seen", "coverage_of"]

_LISTED: Final = 64
_SHOWN: Final = 120
_FACTS: Final = 6
_IPV4_BITS: Final = 24
_IPV6_BITS: Final = 64
_TOLD_BY_SUBNET: Final = frozenset({"asked_by_subnet", "subnets_wanted"})
_FACTORY: Final[Mapping[str, str]] = {"192.168.1.64": "Hikvision", "192.168.1.108": "Dahua"}
"""Addresses that devices have before anybody set them up (makers' quick-start guides)."""

_LOGINS: Final = (
    (
        "login-refused",
        "refused",
        "refused the login given",
        "look at the account on the device: each was tried once, and is not tried again",
    ),
    (
        "details-unread",
        "silent",
        "with a login could not be read",
        "see the problems of the report; the web service or ONVIF may be turned off there",
    ),
    (
        "details-not-reached",
        "not_reached",
        "with a login not read in the time that was given",
        "give more time, or name them as targets",
    ),
)
"""What reading devices with the user's logins left open: name, count in the coverage, words, step."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the census knows when it reports; `wanted` is the scope, where there was one."""

    devices: tuple[Device, ...]
    contacts: tuple[Contact, ...]
    scanners: tuple[Scanner, ...]
    remote: int
    counts: Counts
    forgotten: int
    channel_facts_left_out: int
    wanted: Callable[[str], bool] | None


def coverage_of(seen: Seen, given: Mapping[str, Any]) -> dict[str, Any]:
    """The coverage section: what the command itself knows (`given`), with the census's part."""
    devices = seen.devices
    met = tuple(device for device in devices if not device.hidden)
    status = Counter(device.finding.status for device in devices)
    unidentified = [device for device in met if device.finding.status == "unidentified"]
    lists = _lists(given)
    recorders = [
        _recorder(device, seen, lists) for device in devices if device.verdict.device_class == "recorder"
    ]
    outside = list(_outside(seen))
    found: dict[str, Any] = {
        "incomplete": False,
        **{key: value for key, value in given.items() if key not in _TOLD_BY_SUBNET},
        "hosts": len(met),
        "hidden": len(devices) - len(met),
        "identified": sum(device.verdict.level != "unknown" for device in devices),
        "unidentified": len(unidentified),
        "flagged": status["flagged"],
        "suspected": status["suspected"],
        "without_mac": sum(not device.macs for device in met),
        "remote_addresses_left_out": seen.remote,
        "messages_read": dict(sorted(seen.counts.messages.items())),
        "messages_malformed": dict(sorted(seen.counts.malformed.items())),
        "messages_without_time": seen.counts.times,
        "hosts_forgotten": seen.forgotten,
        "channel_facts_left_out": seen.channel_facts_left_out,
        "subnets": _subnets(met, given),
        "silent_subnets": _silent(met, given),
        "unidentified_hosts": [_told(device) for device in unidentified[:_LISTED]],
        "recorders": recorders[:_LISTED],
        "scanners": [_scanner(row) for row in seen.scanners[:_LISTED]],
        "out_of_scope": outside[:_LISTED],
    }
    found["blind_spots"] = [
        {"kind": kind, "count": count, "what": what, "step": step}
        for kind, count, what, step in _blind_spots(found, recorders, outside, seen)
        if count
    ]
    return found


def _subnets(devices: Sequence[Device], given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Per subnet: hosts, how many are known, which protocols they answered; asked and timed out if told."""
    rows: dict[str, dict[str, Any]] = {}
    for device in devices:
        for subnet in dict.fromkeys(map(_subnet, device.addresses)):
            row = rows.setdefault(
                subnet, {"hosts": 0, "identified": 0, "without_mac": 0, "vlans": set(), "answered": Counter()}
            )
            row["hosts"] += 1
            row["identified"] += device.verdict.level != "unknown"
            row["without_mac"] += not device.macs
            row["vlans"].update(device.vlans)
            row["answered"].update({item.protocol for item in device.observations if item.protocol})
    asked = given.get("asked_by_subnet")
    told = asked if isinstance(asked, Mapping) else {}
    return [
        {
            "subnet": subnet,
            **{key: row[key] for key in ("hosts", "identified", "without_mac")},
            "vlans": sorted(row["vlans"]),
            "answered": dict(sorted(row["answered"].items())),
            **(dict(told[subnet]) if isinstance(told.get(subnet), Mapping) else {}),
        }
        for subnet, row in sorted(rows.items(), key=lambda item: (-item[1]["hosts"], item[0]))[:_LISTED]
    ]


def _silent(devices: Sequence[Device], given: Mapping[str, Any]) -> list[str]:
    """The parts of the scope, by /24, in which nobody was met."""
    wanted = given.get("subnets_wanted")
    if not isinstance(wanted, Sequence):
        return []
    met = {_subnet(ip) for device in devices for ip in device.addresses}
    return [part for part in wanted if isinstance(part, str) and _subnet(_first(part)) not in met]


def _first(part: str) -> str:
    """The first address of what a Span is called: an address, a net or a range."""
    return part.partition("/")[0].partition("-")[0]


def _subnet(ip: str) -> str:
    bits = _IPV4_BITS if ip_address(ip).version == 4 else _IPV6_BITS
    return str(ip_network(f"{ip}/{bits}", strict=False))


def _told(device: Device) -> dict[str, Any]:
    """A host that nobody could name, with the beginning of what it did say."""
    said = [row.fact for row in device.observations if row.fact.field not in {"mac", "tcp.port"}]
    return {
        "id": device.id,
        "addresses": list(device.addresses),
        "ports": list(device.ports[:_LISTED]),
        "said": [f"{fact.field}: {fact.text[:_SHOWN]}" for fact in said[:_FACTS]],
    }


def _lists(given: Mapping[str, Any]) -> Mapping[str, int]:
    """By address, how many channels a recorder's own list holds, where it was read with credentials."""
    details = given.get("details")
    lists = details.get("channels_listed") if isinstance(details, Mapping) else None
    return lists if isinstance(lists, Mapping) else {}


def _recorder(device: Device, seen: Seen, lists: Mapping[str, int]) -> dict[str, Any]:
    """A recorder's channels beside those of its cameras that were identified.

    Its own list, read with credentials, is exact. Without one, what it states of its channels
    stands beside the cameras that it was seen to ask.
    """
    attached = [row for row in seen.devices if any(place.recorder == device.id for place in row.behind)]
    counts = [lists[ip] for ip in device.addresses if ip in lists]
    if attached or counts:
        named = [row for row in attached if row.verdict.manufacturer]
        channels = [(row, place) for row in attached for place in row.behind if place.recorder == device.id]
        return {
            "id": device.id,
            "manufacturer": device.verdict.manufacturer,
            "channels": max([*counts, sum(len(place.channels) for _, place in channels)]),
            "cameras": sum(len(place.channels) for row, place in channels if row in named),
            "listed": True,
        }
    known = {
        row.id
        for row in seen.devices
        if row.verdict.device_class in {"camera", "doorbell", "encoder"} and row.verdict.manufacturer
    }
    asked = {row.asked for row in seen.contacts if row.asker == device.id}
    return {
        "id": device.id,
        "manufacturer": device.verdict.manufacturer,
        "channels": device.verdict.channels,
        "cameras": len(asked & known),
        "listed": False,
    }


def _scanner(row: Scanner) -> dict[str, Any]:
    return {
        "address": row.party[1],
        "hosts": row.hosts,
        "ports": row.ports,
        "searches": list(row.searches),
        "agents": list(row.agents),
    }


def _outside(seen: Seen) -> Iterator[dict[str, Any]]:
    """Devices that answered from outside the scope, or that state an address outside it."""
    if seen.wanted is None:
        return
    for device in seen.devices:
        if device.hidden:
            continue
        strange = [ip for ip in device.addresses if not seen.wanted(ip)]
        if device.addresses and len(strange) == len(device.addresses):
            for ip in strange:
                yield _stranger(device, ip, "answered from it")
        for row in device.observations:
            stated = claimed_address(row.fact) or _further_address(row.fact)
            if stated is not None and stated not in device.addresses and not seen.wanted(stated):
                yield _stranger(device, stated, f"states it in {row.fact.field}")


def _further_address(fact: Fact) -> str | None:
    """An IPv4 address that a device announces beside its own; IPv6 hosts have several by nature."""
    stated = host_address(fact.text) if fact.field == "ip.address" else None
    return stated if stated is not None and ip_address(stated).version == 4 else None


def _stranger(device: Device, ip: str, how: str) -> dict[str, Any]:
    return {"address": ip, "device": device.id, "how": how, "factory_address_of": _FACTORY.get(ip)}


def _blind_spots(
    found: Mapping[str, Any],
    recorders: Sequence[Mapping[str, Any]],
    outside: Sequence[Mapping[str, Any]],
    seen: Seen,
) -> Iterator[tuple[str, int, str, str]]:
    """Kind, how many, what it is, the step that would close it."""
    yield from _not_reached(found)
    count = found["unidentified"]
    yield (
        "unidentified",
        count,
        f"{_some(count, 'host')} unidentified: nothing said there tells the maker",
        "scan with --profile thorough, or go and look",
    )
    hidden = [row for row in recorders if (row["channels"] or 0) > row["cameras"]]
    count = sum(row["channels"] - row["cameras"] for row in hidden)
    yield (
        "channels",
        count,
        f"{_some(count, 'channel')} of {_some(len(hidden), 'recorder')} not matched to a camera",
        "give read-only credentials of the recorder, or look at what its own ports feed",
    )
    count = sum(row["channels"] is None for row in recorders)
    yield (
        "recorders",
        count,
        f"{_some(count, 'recorder')} not saying how many channels there are",
        "give read-only credentials of the recorder",
    )
    details = found.get("details")
    told = details if isinstance(details, Mapping) else {}
    for name, key, what, step in _LOGINS:
        count = int(told.get(key, 0))
        yield name, count, f"{_some(count, 'device')} {what}", step
    factory = sum(row["factory_address_of"] is not None for row in outside)
    yield (
        "out-of-scope",
        len(outside),
        f"{_some(len(outside), 'address', 'addresses')} seen, out of scope, {factory} as set in the factory",
        "name them as targets, and give this machine an address in their subnet",
    )
    count = found["without_mac"]
    yield (
        "without-mac",
        count,
        f"{_some(count, 'host')} without a MAC address (behind a router, or never speaking)",
        "scan from their own subnet, or give the router's ARP table (--with, --switch)",
    )
    count = len(seen.scanners)
    yield (
        "scanners",
        count,
        f"{_some(count, 'host')} going round asking: what a scanner asks for counts for nobody",
        "capture once more while nobody scans",
    )
    count = found["remote_addresses_left_out"]
    yield (
        "remote",
        count,
        f"{_some(count, 'public address', 'public addresses')} left out",
        "name as targets those that are yours",
    )
    count = found["messages_without_time"]
    yield (
        "times",
        count,
        f"{_some(count, 'message')} with a time that no clock shows",
        "set the clock of whatever recorded them",
    )
    count = found["hosts_forgotten"]
    yield (
        "forgotten",
        count,
        f"{_some(count, 'host')} forgotten, because there were too many to keep",
        "read fewer networks at a time",
    )


def _not_reached(found: Mapping[str, Any]) -> Iterator[tuple[str, int, str, str]]:
    """What a scan did not get to, and the protocols in which it heard nothing at all."""
    trunk = found.get("trunk")
    strange = trunk.get("vlans_heard_not_listed") if isinstance(trunk, Mapping) else None
    if isinstance(strange, list):
        yield (
            "vlans",
            len(strange),
            f"{_some(len(strange), 'VLAN')} heard and not asked: {', '.join(map(str, strange[:_LISTED]))}",
            "list them with --vlans, too",
        )
    silent_subnets = found["silent_subnets"]
    yield (
        "silent-subnets",
        len(silent_subnets),
        f"nobody answered in {_few(silent_subnets)}",
        "see that a route leads there and no filter stands between, or scan from within",
    )
    left_out = found.get("interfaces_left_out")
    unused = [
        f"{row.get('name')} ({row.get('why')})"
        for row in (left_out if isinstance(left_out, Sequence) else ())
        if isinstance(row, Mapping) and row.get("why") != "loopback"
    ]
    yield (
        "interfaces",
        len(unused),
        f"{_some(len(unused), 'interface')} not used: {_few(unused)}",
        "name one with --interface if cameras may stand there",
    )
    sweep, asking = found.get("sweep"), found.get("asking")
    count = sweep.get("not_swept") if isinstance(sweep, Mapping) else None
    if isinstance(count, int):
        yield (
            "not-swept",
            count,
            f"{_some(count, 'address', 'addresses')} not looked for before the end",
            "give more time, or name fewer targets",
        )
    if not isinstance(asking, Mapping):
        return
    count = asking.get("unfinished_hosts")
    if isinstance(count, int):
        yield "unfinished", count, f"{_some(count, 'host')} not asked everything", "give more time"
    groups, answered = asking.get("group_questions"), asking.get("answered")
    if isinstance(groups, Mapping) and isinstance(answered, Mapping):
        silent = sorted(str(name) for name in groups if name not in answered)
        yield (
            "silent",
            len(silent),
            f"no answer in {', '.join(silent)}",
            "scan from within each VLAN, too: questions to a group end at a router",
        )


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _FACTS} more" if len(names) > _FACTS else ""
    return f"{', '.join(names[:_FACTS])}{more}"


def _some(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or f'{one}s'}"
