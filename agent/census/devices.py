"""Judges each group of hosts as one device, then names devices in what hosts did with each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from agent.census.addresses import host_address, sort_key
from agent.census.attached import Camera
from agent.census.clouds import Call, Clouds
from agent.census.hosts import Key, order, rows_of
from agent.census.identity import Clash, Group, serials_of
from agent.census.talk import Party, Talk
from agent.census.times import Times
from fingerprints.judge import Judge
from fingerprints.model import (
    CloudContact,
    Conflict,
    Contact,
    Device,
    Fact,
    Location,
    Observation,
    Problem,
    Speaker,
)
from fingerprints.policy import Policy, apply_policies

__all__ = ["Bench", "Names", "claimed_address", "cloud_contacts", "contacts", "device_of", "hidden_device"]

_CLAIMED_ADDRESS: Final = (".ipv4-address", "xiongmai.host-ip")
"""Ends of the fields in which a device states its own address."""
_HOSTNAMES: Final = frozenset({"dhcp.hostname", "dns.name", "mdns.hostname", "onvif.hostname"})
_ONE_SERIAL: Final = frozenset({"details.serial", "dhip.serial-no", "onvif.serial", "sadp.device-sn"})
"""Fields that a device fills with its own serial and nothing else's."""
_MAX_CLASHES: Final = 8
_PLACE: Final = frozenset(
    {
        "switch.macs",
        "switch.name",
        "switch.poe-class",
        "switch.poe-watts",
        "switch.port",
        "switch.port-description",
        "switch.vlan",
    }
)


def claimed_address(fact: Fact) -> str | None:
    """The address that a device states for itself in this fact, if it does."""
    return host_address(fact.text) if fact.field.endswith(_CLAIMED_ADDRESS) else None


class Names:
    """Ids for groups: the MAC where it is one device's alone, else the address with its VLAN."""

    def __init__(self, found: Sequence[Group]) -> None:
        uses: dict[str, int] = {}
        for group in found:
            for mac in group.macs[:1]:
                uses[mac] = uses.get(mac, 0) + 1
        self.ids = [_id(group, uses) for group in found]
        self._by_key: dict[Key, str] = {}
        self._by_party: dict[Party, set[str]] = {}
        for name, group in zip(self.ids, found, strict=True):
            for key, _ in group.members:
                self._by_key[key] = name
                if key[2] is not None:
                    self._by_party.setdefault((key[0], key[2]), set()).add(name)

    def of_key(self, key: Key) -> str | None:
        """The device that a host belongs to."""
        return self._by_key.get(key)

    def of_party(self, party: Party) -> str | None:
        """The device at an address, where it is only one."""
        names = self._by_party.get(party, set())
        return next(iter(names)) if len(names) == 1 else None

    @staticmethod
    def rank(device: Device) -> tuple[tuple[int, int], str]:
        """Devices in order of their addresses; those without one last."""
        return (sort_key(device.addresses[0]) if device.addresses else (9, 0)), device.id


def _id(group: Group, uses: dict[str, int]) -> str:
    addresses = group.addresses
    if group.macs and (uses[group.macs[0]] == 1 or not addresses):
        return group.macs[0]
    tags = sorted({tag for (vlan, _, _), _ in group.members for tag in vlan})
    return f"{addresses[0]}{f'@vlan{tags[-1]}' if tags else ''}"


@dataclass(frozen=True, slots=True)
class Bench:
    """What is the same for every device of a report: `names` are the ids of all groups."""

    judge: Judge
    policies: tuple[Policy, ...]
    names: Sequence[str]
    scanners: frozenset[Party]
    site: str | None
    on: date | None


def device_of(
    group: Group, name: str, bench: Bench, problems: tuple[Problem, ...], camera: Camera | None = None
) -> Device:
    """The verdict on a group, from what it said itself and, as `camera`, what recorders say of it."""
    addresses = group.addresses
    said = _earliest(row for _, host in group.members for row in rows_of(host.said))
    ports = sorted({port for _, host in group.members for port in host.ports})
    stated = [*(Fact("mac", mac) for mac in group.macs), *(Fact("tcp.port", str(port)) for port in ports)]
    answered = _earliest(_answered(group, said, bench.scanners))
    told = _earliest(camera.said if camera is not None else ())
    facts = list(dict.fromkeys([*stated, *said, *answered, *told]))
    verdict = bench.judge.judge(facts)
    conflicts = [
        *_moved(said.values(), addresses),
        *_serials(said),
        *_clashes(name, group.clashes, bench.names),
    ]
    verdict = replace(verdict, conflicts=(*verdict.conflicts, *conflicts))
    times = Times()
    for _, host in group.members:
        times.merge(host.times)
    vlans = sorted({tag for (vlan, _, _), _ in group.members for tag in vlan})
    hostnames = dict.fromkeys(fact.text for fact in said if fact.field in _HOSTNAMES)
    return Device(
        id=name,
        verdict=verdict,
        finding=apply_policies(verdict, bench.policies, bench.judge.knowledge, bench.on),
        addresses=addresses,
        macs=group.macs,
        hostnames=tuple(hostnames),
        ports=tuple(ports),
        vlans=tuple(vlans),
        first_seen=times.first,
        last_seen=times.last,
        site=bench.site,
        observations=tuple(
            said.get(fact) or answered.get(fact) or told.get(fact) or Observation(fact, Speaker())
            for fact in facts
        ),
        problems=problems,
        location=_location(group),
        behind=camera.attachments if camera is not None else (),
    )


def hidden_device(camera: Camera, bench: Bench) -> Device:
    """The verdict on a camera that nobody met, from what its recorders say of it."""
    said = _earliest(camera.said)
    verdict = bench.judge.judge(said)
    first = camera.attachments[0]
    times = Times()
    for row in camera.said:
        times.seen(row.at)
    return Device(
        id=f"{first.recorder}/channel-{first.channels[0]}",
        verdict=verdict,
        finding=apply_policies(verdict, bench.policies, bench.judge.knowledge, bench.on),
        addresses=camera.addresses,
        macs=camera.macs,
        first_seen=times.first,
        last_seen=times.last,
        site=bench.site,
        observations=tuple(said.values()),
        behind=camera.attachments,
        hidden=True,
    )


def _location(group: Group) -> Location | None:
    """Where the device is plugged in: of several interfaces, the port with fewest others on it."""
    found = []
    for _, host in group.members:
        said = {name: next(iter(rows), ("", ""))[0] for name, rows in host.said.items() if name in _PLACE}
        if "switch.name" in said and "switch.port" in said:
            watts = said.get("switch.poe-watts")
            found.append(
                Location(
                    said["switch.name"],
                    said["switch.port"],
                    said.get("switch.port-description"),
                    _whole(said.get("switch.vlan")),
                    _whole(said.get("switch.macs")),
                    None if watts is None else float(watts),
                    _whole(said.get("switch.poe-class")),
                )
            )
    return min(found, key=lambda place: (place.macs or 0, place.switch, place.port), default=None)


def _whole(text: str | None) -> int | None:
    return None if text is None else int(text)


def _earliest(rows: Iterable[Observation]) -> dict[Fact, Observation]:
    """Each Fact with its first observation, in order of time."""
    found: dict[Fact, Observation] = {}
    for row in sorted(rows, key=order):
        found.setdefault(row.fact, row)
    return found


def _answered(
    group: Group, said: dict[Fact, Observation], scanners: frozenset[Party]
) -> Iterator[Observation]:
    """Paths that clients asked for, of which the device's own answers leave no doubt that it serves them.

    It must have spoken itself, from the port that was asked or in that protocol, and the client
    be no scanner, which asks everybody everything; its answer to the very path says more.
    """
    speaks = {row.protocol for row in said.values()}
    ports = {row.subject.port for row in said.values()} - {None}
    known = {fact.text.rpartition(" ")[0] for fact in said if fact.field == "http.path"}
    for (vlan, _, _), host in group.members:
        for rows in host.heard.values():
            for (text, asker), row in rows.items():
                spoken = row.protocol in speaks or row.subject.port in ports
                if spoken and text not in known and (vlan, asker) not in scanners:
                    yield row


def _moved(observations: Iterable[Observation], addresses: tuple[str, ...]) -> Iterator[Conflict]:
    """An address claimed inside that the packets did not come from: the packet is believed."""
    for row in observations:
        claimed = claimed_address(row.fact)
        if claimed is not None and addresses and claimed not in addresses:
            yield Conflict("address", addresses[0], claimed, (row.fact.field,))


def _serials(said: Iterable[Fact]) -> Iterator[Conflict]:
    """One host that states several serials in one field: several devices behind one address, or a lie."""
    for field, texts in serials_of([(fact.field, fact.text) for fact in said if fact.field in _ONE_SERIAL]):
        for text in texts[1:_MAX_CLASHES]:
            yield Conflict("serial", texts[0], text, (field,))


def _clashes(name: str, clashes: Sequence[Clash], names: Sequence[str]) -> Iterator[Conflict]:
    """Another device states the same id, and they were kept apart."""
    for clash in clashes[:_MAX_CLASHES]:
        yield Conflict("identity", name, names[clash.other], (f"same {clash.kind} {clash.text}",))


def contacts(talk: Talk, names: Names, listed: set[str]) -> tuple[Contact, ...]:
    """Which device asked which, in the order of their ids."""
    found: dict[tuple[str, str], tuple[set[str], Times]] = {}
    for (one, other), pair in talk.pairs.items():
        asker, asked = names.of_party(one), names.of_party(other)
        if asker is None or asked is None or asker == asked or not listed.issuperset((asker, asked)):
            continue
        protocols, times = found.setdefault((asker, asked), (set(), Times()))
        protocols |= pair.protocols
        times.merge(pair.times)
    return tuple(
        Contact(asker, asked, _spoken(protocols), times.first, times.last)
        for (asker, asked), (protocols, times) in sorted(found.items(), key=lambda item: item[0])
    )


def _spoken(protocols: set[str]) -> tuple[str, ...]:
    """Protocols that were read; a connection alone only where nothing was."""
    return tuple(sorted(protocols - {"tcp"})) or ("tcp",)


def cloud_contacts(clouds: Clouds, names: Names, listed: set[str]) -> tuple[CloudContact, ...]:
    """Which device called which maker's cloud, in the order of their ids."""
    found: dict[tuple[str, str, str], Call] = {}
    for (key, name), call in clouds.calls.items():
        device = names.of_key(key)
        if device is not None and device in listed:
            found.setdefault((device, call.maker, name), Call(call.maker)).merge(call)
    return tuple(
        CloudContact(
            device,
            maker,
            name,
            tuple(sorted(call.addresses, key=sort_key)),
            tuple(sorted(call.fields)),
            call.count,
            call.times.first,
            call.times.last,
            call.measured,
            call.sent if call.measured else None,
            call.received if call.measured else None,
        )
        for (device, maker, name), call in sorted(found.items(), key=lambda item: item[0])
        # An answer to a question that was not seen is no call.
        if call.count
    )
