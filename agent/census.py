"""Keeps what every host said, then tells the devices among them.

Pure: it opens nothing, prints nothing, asks no clock. `Tally.feed` takes Messages in any
order; `Tally.report` judges. A host is told apart by (VLAN, MAC, address). At the end a MAC
gathers the addresses that are its own: those that ARP, ND or DHCP bound to it or, where no
such proof was seen, a few private ones that its frames carried. A MAC whose frames carry many
addresses is a router's, and says nothing of the hosts behind it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from ipaddress import ip_address
from typing import Any, Final

from agent.wire import MAX_PAYLOAD, OPEN_PORT, SIGHTING, Malformed, Message, Probe
from fingerprints.judge import Judge
from fingerprints.model import (
    MAX_TEXT,
    Conflict,
    Device,
    Fact,
    Observation,
    Problem,
    Report,
    Speaker,
    Verdict,
)
from fingerprints.oui import normalise_mac
from fingerprints.policy import Policy, apply_policies

__all__ = ["Tally", "provenance"]

_MAX_HOSTS: Final = 131_072
_MAX_FACTS: Final = 512
_MAX_HOST_TEXT: Final = 512 * 1024
_MAX_PROBLEMS: Final = 2_000
_MAX_REMEMBERED: Final = 262_144
_OWN_ADDRESSES: Final = 2
"""A MAC without ARP or DHCP proof whose frames carry more private IPv4 addresses is a router's."""
_MAX_ADDRESSES: Final = 64
"""Most addresses that are kept of one MAC, of each kind."""

_HOSTNAMES: Final = frozenset({"dhcp.hostname", "mdns.hostname", "onvif.hostname"})
_CLAIMED_ADDRESS: Final = frozenset({"sadp.ipv4-address", "dhip.ipv4-address", "dahua-legacy.ipv4-address"})
_BINDING: Final = frozenset({"arp", "dhcp", "nd"})

_Key = tuple[tuple[int, ...], str | None, str | None]


@dataclass(slots=True)
class _Host:
    """What one (VLAN, MAC, address) said itself, what was said to it, and when."""

    said: dict[Fact, Observation] = field(default_factory=dict)
    heard: dict[Fact, Observation] = field(default_factory=dict)
    ports: set[int] = field(default_factory=set)
    problems: dict[Problem, None] = field(default_factory=dict)
    length: int = 0
    first: float | None = None
    last: float | None = None

    def seen(self, at: float | None) -> None:
        if at is not None:
            self.first = at if self.first is None else min(self.first, at)
            self.last = at if self.last is None else max(self.last, at)


class Tally:
    """The census of one run: feed it Messages, then ask for the Report.

    Hosts with a private address, or seen on the link itself, are devices of the report; public
    ones only where `wanted` says so. `own` are the addresses of the scanner itself. Where there
    are more than `max_hosts`, those that said least and were seen longest ago are forgotten.
    """

    def __init__(
        self,
        judge: Judge,
        policies: Sequence[Policy],
        probes: Sequence[Probe],
        *,
        site: str | None = None,
        own: Iterable[str] = (),
        wanted: Callable[[str], bool] = lambda _: False,
        max_hosts: int = _MAX_HOSTS,
    ) -> None:
        self._judge = judge
        self._policies = tuple(policies)
        self._probes = tuple(probes)
        self._by_name = {name: probe for probe in probes for name in (probe.name, *probe.aliases)}
        self._site = site
        self._own = frozenset(own)
        self._wanted = wanted
        self._max_hosts = max_hosts
        self._hosts: dict[_Key, _Host] = {}
        self._bound: dict[str, set[str]] = {}
        self._carried: dict[str, set[str]] = {}
        self._remembered: set[int] = set()
        self._messages: Counter[str] = Counter()
        self._malformed: Counter[str] = Counter()
        self._problems: dict[Problem, None] = {}
        self._evicted = 0

    def feed(self, message: Message) -> bool:
        """Take one Message: what it says is kept under whoever it describes. Whether it said anything new."""
        sender = self._host(message.sender)
        if sender is not None:
            sender.seen(message.at)
            self._carry(message.sender, strong=message.via == "scan")
        if message.protocol in {SIGHTING, OPEN_PORT}:
            if message.protocol == OPEN_PORT and sender is not None and message.sender.port is not None:
                sender.ports.add(message.sender.port)
            return sender is not None
        # Hashes of bytes are keyed anew in each process: nobody can make two messages meet.
        memory = hash((message.sender, message.protocol, message.payload, message.asked))
        if memory in self._remembered:
            return False
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered.add(memory)
        return any(self._dissect(probe, message) for probe in self._candidates(message))

    def note(self, problem: Problem) -> None:
        """Keep a Problem of the run; identical ones once, and not without end."""
        if len(self._problems) < _MAX_PROBLEMS:
            self._problems.setdefault(problem)

    def verdict_of(self, ip: str) -> Verdict:
        """Judge what one address has said up to now."""
        facts: list[Fact] = []
        for (_, mac, address), host in self._hosts.items():
            if address == ip:
                facts += [*host.said, *([Fact("mac", mac)] if mac else [])]
        return self._judge.judge(facts)

    def _candidates(self, message: Message) -> Iterable[Probe]:
        if message.protocol:
            probe = self._by_name.get(message.protocol)
            return (probe,) if probe is not None else ()
        streams = {"tcp", "tls"}
        return (
            probe
            for probe in self._probes
            if (probe.transport == message.transport or {probe.transport, message.transport} <= streams)
            and probe.mine(message.payload)
        )

    def _dissect(self, probe: Probe, message: Message) -> bool:
        said = False
        try:
            for fact in probe.dissect(message.payload[:MAX_PAYLOAD], message.asked[:MAX_PAYLOAD]):
                self._learn(fact, probe, message)
                said = True
        except Malformed as error:
            self._malformed[probe.name] += 1
            if message.whole:
                self._blame(probe, message, error)
            said = True
        if said:
            self._messages[probe.name] += 1
        return said

    def _blame(self, probe: Probe, message: Message, error: Malformed) -> None:
        place = message.sender.ip or message.sender.mac or "?"
        if message.sender.port is not None:
            place = f"{place} port {message.sender.port}"
        if message.via and message.via != "scan":
            place = f"{message.via}{f' frame {message.frame}' if message.frame else ''}, {place}"
        problem = Problem(place, f"{probe.name}: {error}", "malformed")
        host = self._host(message.sender)
        if host is not None and len(host.problems) < 8:
            host.problems.setdefault(problem)
        self.note(problem)

    def _learn(self, fact: Fact, probe: Probe, message: Message) -> None:
        subject = message.sender
        if fact.about == "listener":
            subject = message.receiver
        elif fact.about != "speaker":
            mac = normalise_mac(fact.about)
            if mac is None or len(mac) != 17:
                return
            ip = message.sender.ip if message.sender.mac == mac else None
            subject = Speaker(ip=ip, mac=mac, vlan=message.sender.vlan)
        host = self._host(subject)
        if host is None or len(host.said) + len(host.heard) >= _MAX_FACTS:
            return
        text = fact.text[:MAX_TEXT]
        if host.length + len(text) > _MAX_HOST_TEXT:
            return
        if probe.name in _BINDING and fact.field in {"ip.address", "dhcp.requested-address"}:
            self._bind(subject.mac, text)
            if fact.field == "ip.address" and subject.mac is not None:
                self._host(replace(subject, ip=_address(text)))
        kept = replace(fact, text=text, about="speaker")
        shelf = host.heard if fact.about == "listener" else host.said
        if kept not in shelf:
            host.length += len(text)
            shelf[kept] = Observation(kept, subject, probe.name, message.at, message.via, message.frame)
        host.seen(message.at)

    def _host(self, speaker: Speaker) -> _Host | None:
        """The host of a Speaker, new or known; None for what is no single host."""
        ip, mac = _address(speaker.ip), _unicast(speaker.mac)
        if ip is None and mac is None:
            return None
        key = (speaker.vlan, mac, ip)
        host = self._hosts.get(key)
        if host is None:
            if len(self._hosts) >= self._max_hosts:
                self._forget()
            host = self._hosts[key] = _Host()
        return host

    def _forget(self) -> None:
        """Make room, a sixteenth at once: hosts that only showed themselves go first, the oldest before others."""

        def worth(item: tuple[_Key, _Host]) -> tuple[bool, float]:
            host = item[1]
            return bool(host.said or host.ports), host.last or 0.0

        going = sorted(self._hosts.items(), key=worth)[: self._max_hosts // 16 + 1]
        for key, _ in going:
            del self._hosts[key]
        self._evicted += len(going)
        left = {mac for _, mac, _ in self._hosts}
        for table in (self._bound, self._carried):
            for mac in [mac for mac in table if mac not in left]:
                del table[mac]

    def _carry(self, speaker: Speaker, *, strong: bool) -> None:
        ip, mac = _address(speaker.ip), _unicast(speaker.mac)
        if ip is not None and mac is not None:
            _add(self._carried.setdefault(mac, set()), ip)
            if strong:
                self._bind(mac, ip)

    def _bind(self, mac: str | None, ip: str) -> None:
        address = _address(ip)
        if mac is not None and address is not None:
            _add(self._bound.setdefault(mac, set()), address)

    def _addresses_of(self, mac: str) -> frozenset[str]:
        """The addresses that belong to a MAC, as told at the top of this file."""
        bound = self._bound.get(mac, set())
        carried = self._carried.get(mac, set())
        private = {ip for ip in carried if _is_private(ip)}
        local = {ip for ip in private if _is_link_local(ip)}
        if bound:
            return frozenset(bound | local)
        near = {ip for ip in private if ":" not in ip and ip not in local}
        if len(near) > _OWN_ADDRESSES:
            return frozenset(local)
        return frozenset(private)

    def _groups(self) -> dict[object, list[tuple[_Key, _Host]]]:
        """Hosts that are one device, in the order in which they were first seen."""
        own = {mac: self._addresses_of(mac) for mac in {*self._bound, *self._carried}}
        owners: dict[str, set[str]] = {}
        for owner, addresses in own.items():
            for address in addresses:
                owners.setdefault(address, set()).add(owner)
        groups: dict[object, list[tuple[_Key, _Host]]] = {}
        for key, host in self._hosts.items():
            vlan, mac, ip = key
            name: object = (vlan, ip)
            if mac is not None and (ip is None or ip in own.get(mac, ())):
                name = mac
            elif mac is None and ip is not None:
                possible = owners.get(ip, set())
                name = next(iter(possible)) if len(possible) == 1 else name
            groups.setdefault(name, []).append((key, host))
        return groups

    def report(
        self,
        *,
        coverage: Mapping[str, Any] | None = None,
        run: Mapping[str, Any] | None = None,
        on: date | None = None,
        problems: Iterable[Problem] = (),
    ) -> Report:
        """Judge every host and say what was and was not seen; `on` is the day policies apply."""
        devices = []
        remote = 0
        for name, members in self._groups().items():
            addresses = tuple(sorted({ip for (_, _, ip), _ in members if ip}, key=_sort_key))
            if self._own.intersection(addresses):
                continue
            if not self._is_listed(name, addresses):
                remote += 1
                continue
            devices.append(self._device(name, members, addresses, on))
        devices.sort(
            key=lambda device: (_sort_key(device.addresses[0]) if device.addresses else (9,), device.id)
        )
        for problem in problems:
            self.note(problem)
        return Report(
            tuple(devices), self._coverage(devices, remote, coverage), tuple(self._problems), run or {}
        )

    def _is_listed(self, name: object, addresses: tuple[str, ...]) -> bool:
        if not addresses or isinstance(name, str):
            return True
        return any(_is_private(ip) or self._wanted(ip) for ip in addresses)

    def _device(
        self, name: object, members: list[tuple[_Key, _Host]], addresses: tuple[str, ...], on: date | None
    ) -> Device:
        said: dict[Fact, Observation] = {}
        heard: dict[Fact, Observation] = {}
        for _, host in members:
            said |= host.said
            heard |= host.heard
        ports = sorted({port for _, host in members for port in host.ports})
        macs = tuple(sorted({mac for (_, mac, _), _ in members if mac})) if isinstance(name, str) else ()
        facts = [*(Fact("mac", mac) for mac in macs), *(Fact("tcp.port", str(port)) for port in ports), *said]
        if said or ports:
            # What a client asked for describes a host only once that host has spoken itself,
            # and its own answer to the same path says more.
            answered = {fact.text.rpartition(" ")[0] for fact in said if fact.field == "http.path"}
            facts += [fact for fact in heard if fact.field != "http.path" or fact.text not in answered]
        verdict = self._judge.judge(facts)
        moved = tuple(self._moved(said.values(), addresses))
        if moved:
            verdict = replace(verdict, conflicts=(*verdict.conflicts, *moved))
        times = [at for _, host in members for at in (host.first, host.last) if at is not None]
        vlans = sorted({tag for (vlan, _, _), _ in members for tag in vlan})
        names = [fact.text for fact in said if fact.field in _HOSTNAMES]
        return Device(
            id=macs[0] if macs else f"{addresses[0]}{f'@vlan{vlans[-1]}' if vlans else ''}",
            verdict=verdict,
            finding=apply_policies(verdict, self._policies, self._judge.knowledge, on),
            addresses=addresses,
            macs=macs,
            hostnames=tuple(dict.fromkeys(names)),
            ports=tuple(ports),
            vlans=tuple(vlans),
            first_seen=min(times, default=None),
            last_seen=max(times, default=None),
            site=self._site,
            observations=tuple(
                said.get(fact) or heard.get(fact) or Observation(fact, Speaker()) for fact in facts
            ),
            problems=tuple(problem for _, host in members for problem in host.problems),
        )

    @staticmethod
    def _moved(observations: Iterable[Observation], addresses: tuple[str, ...]) -> Iterable[Conflict]:
        """An address claimed inside that the packets did not come from: the packet is believed."""
        for observation in observations:
            fact = observation.fact
            claimed = _address(fact.text) if fact.field in _CLAIMED_ADDRESS else None
            if claimed is not None and addresses and claimed not in addresses:
                yield Conflict("address", addresses[0], claimed, (fact.field,))

    def _coverage(
        self, devices: Sequence[Device], remote: int, given: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        levels = Counter(device.finding.status for device in devices)
        return {
            "incomplete": False,
            **(given or {}),
            "hosts": len(devices),
            "identified": sum(device.verdict.level != "unknown" for device in devices),
            "unidentified": levels["unidentified"],
            "flagged": levels["flagged"],
            "suspected": levels["suspected"],
            "without_mac": sum(not device.macs for device in devices),
            "remote_addresses_left_out": remote,
            "messages_read": dict(sorted(self._messages.items())),
            "messages_malformed": dict(sorted(self._malformed.items())),
            "hosts_forgotten": self._evicted,
        }


def provenance(judge: Judge, policies: Sequence[Policy]) -> dict[str, Any]:
    """Which knowledge, registry and policies stand behind a report, for its `run` section."""
    registry = judge.registry
    return {
        "knowledge": judge.knowledge.version,
        "oui": None if registry is None else {"source": registry.source, "date": registry.date},
        "policies": [
            {
                "id": policy.id,
                "title": policy.title,
                "in_force_from": policy.in_force_from.isoformat(),
                "source": policy.source,
                "note": policy.note,
            }
            for policy in policies
        ],
    }


def _add(addresses: set[str], ip: str) -> None:
    if len(addresses) < _MAX_ADDRESSES:
        addresses.add(ip)


def _address(text: str | None) -> str | None:
    """A single host's address in canonical text; None for none, unspecified, multicast or broadcast."""
    if not text:
        return None
    try:
        address = ip_address(text.split("%", 1)[0])
    except ValueError:
        return None
    if address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255":
        return None
    return str(address)


def _unicast(mac: str | None) -> str | None:
    if not mac or mac == "00:00:00:00:00:00" or int(mac[:2], 16) & 1:
        return None
    return mac


def _is_private(ip: str) -> bool:
    address = ip_address(ip)
    return address.is_private or address.is_link_local


def _is_link_local(ip: str) -> bool:
    return ip_address(ip).is_link_local


def _sort_key(ip: str) -> tuple[int, int]:
    address = ip_address(ip)
    return address.version, int(address)
