"""Takes Messages in any order and keeps what they tell, until a Report is asked for.

Pure: it opens nothing, prints nothing, asks no clock. Whatever is kept is a sum, a set, a
smallest or a largest, so that a folder of captures gives one and the same report however it is
ordered or divided among workers (as long as no bound was reached; what had to go is counted).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

from agent.census.addresses import host_address, host_mac, is_private
from agent.census.attached import Attached, cameras_of, meet
from agent.census.clouds import Clouds, MakerOf
from agent.census.counts import Counts
from agent.census.coverage import Seen, coverage_of
from agent.census.devices import Bench, Names, cloud_contacts, contacts, device_of, hidden_device
from agent.census.hosts import Host, Hosts, Key
from agent.census.identity import Group, groups
from agent.census.state import read, write
from agent.census.talk import Party, Talk
from agent.census.times import believable
from agent.tables import Row
from agent.wire import ASKED, MAX_PAYLOAD, OPEN_PORT, SIGHTING, Malformed, Message, Probe
from fingerprints.judge import Judge
from fingerprints.model import (
    ATTACHED,
    MAX_TEXT,
    Device,
    Fact,
    Observation,
    Problem,
    Report,
    Speaker,
    Verdict,
)
from fingerprints.oui import is_locally_administered, normalise_mac
from fingerprints.policy import Policy

__all__ = ["Tally"]

MAX_HOSTS: Final = 131_072
_MAX_REMEMBERED: Final = 32_768
_LONGEST_FRESH: Final = 4_096
"""Longest message in which what is new each time is looked for: announcements have one or two kilobytes."""
_BINDING: Final = frozenset({"arp", "dhcp", "nd"})
_WORDLESS: Final = frozenset({SIGHTING, OPEN_PORT, ASKED})
_CLOUD_FIELDS: Final = frozenset({"dns.query", "tls.sni", "http.host"})
_ANSWER_FIELD: Final = "dns.answer"
_AGENT_FIELDS: Final = ("http.user-agent", "rtsp.user-agent")
_SCANNING_AGENTS: Final = ("camcensus", "nmap", "masscan", "zgrab", "nessus", "openvas", "nikto", "nuclei")

_PUBLIC, _CHANGING, _QUIET, _TELLING = range(4)


_Rank = tuple[tuple[float, str, int], int, int]
"""Where a message was read (time, capture, frame), then the ports of its sender and its receiver."""


class _Ask(NamedTuple):
    asker: Party
    asked: Party
    protocol: str
    port: int | None


class _Call(NamedTuple):
    key: Key
    name: str
    maker: str
    field: str
    address: str | None


class _Effect(NamedTuple):
    """What a Message changes each time it is heard; `rank` is the earliest place it was read at.

    `told` are hosts other than the sender that it shows to be there; `telling` is whether anything is
    kept of it.
    """

    rank: _Rank
    probe: str | None
    malformed: bool = False
    told: tuple[Key, ...] = ()
    asks: tuple[_Ask, ...] = ()
    calls: tuple[_Call, ...] = ()
    telling: bool = False


class Tally:
    """The census of one run: feed it Messages, then ask for the Report.

    Hosts with a private address, or seen on the link itself, are devices of the report; public
    ones only where `wanted`, the scope of a scan, says so. `own` are the addresses of the scanner
    itself, or its MAC where it speaks in several VLANs at once. `maker_of` knows makers' clouds by
    name. At most `max_hosts` hosts are kept.
    """

    def __init__(
        self,
        judge: Judge,
        policies: Sequence[Policy],
        probes: Sequence[Probe],
        *,
        site: str | None = None,
        own: Iterable[str] = (),
        wanted: Callable[[str], bool] | None = None,
        maker_of: MakerOf = lambda _: None,
        max_hosts: int = MAX_HOSTS,
    ) -> None:
        self._judge = judge
        self._policies = tuple(policies)
        self._probes = tuple(probes)
        self._by_name = {name: probe for probe in probes for name in (probe.name, *probe.aliases)}
        self._site = site
        self._own = frozenset(own)
        self._wanted = wanted
        self._maker_of = maker_of
        self._max_hosts = max_hosts
        self._hosts = Hosts(max_hosts, self._worth)
        self._talk = Talk()
        self._clouds = Clouds()
        self._attached = Attached()
        self._counts = Counts()
        self._remembered: dict[int, _Effect] = {}
        self._evicted = 0
        self._worths: dict[Key, tuple[int, int]] = {}

    # Taking in

    def feed(self, message: Message) -> bool:
        """Take one Message: what it says is kept under whoever it describes. Whether it said anything new."""
        at = message.at
        if at is not None and not believable(at) and message.moved is None:
            self._counts.times += message.count
        key = _key(message.sender)
        if key is not None:
            host = self._hosts.host(key)
            host.spoke = True
            host.times.seen(at)
            if message.via == "scan":
                host.scanned = True
        protocol = message.protocol
        if protocol in _WORDLESS:
            self._glimpse(message, at)
            return key is not None
        mark = (math.inf if at is None else at, message.via, message.frame or 0)
        if self._hosts.evicted != self._evicted:
            # Hosts that were forgotten may say everything once more.
            self._evicted = self._hosts.evicted
            self._remembered.clear()
        name, exact = self._names(message)
        known = effect = self._remembered.get(name) or self._remembered.get(exact)
        rank = (mark, message.sender.port or 0, message.receiver.port or 0)
        if effect is None or rank < effect.rank:
            # An equal one from an earlier time is read again: the first place of a fact is kept.
            effect = self._read(message, rank, at)
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[exact if effect.malformed else name] = effect
        if message.moved is not None:
            self._weigh(effect, message.moved, message.count)
            return False
        self._apply(effect, at, message.count)
        return known is None and effect.telling

    def tell(self, row: Row) -> None:
        """Take what a table says of a host: it is listed, though nothing was heard of it."""
        key = _key(Speaker(row.ip, row.mac))
        if key is None:
            return
        host = self._hosts.host(key)
        host.times.seen(row.at)
        for port in row.open_ports:
            host.open(port)
        address = (Fact("ip.address", key[2]),) if key[2] is not None and key[1] is not None else ()
        for fact in (*address, *row.facts):
            speaker = Speaker(key[2], key[1])
            kept = Fact(fact.field, fact.text[:MAX_TEXT])
            self._hosts.learn(key, Observation(kept, speaker, row.table, row.at, row.via, row.line))

    def verdict_of(self, ip: str, mac: str | None = None) -> Verdict:
        """Judge what the host at one address (and MAC, where it has one) has said up to now."""
        facts = [Fact("mac", mac)] if mac is not None else []
        for key in dict.fromkeys((((), None, ip), ((), mac, ip))):
            host = self._hosts.get(key)
            if host is not None:
                facts += host.facts()
        return self._judge.judge(facts)

    def note(self, problem: Problem) -> None:
        """Keep a Problem of the run; identical ones once, and not without end."""
        self._counts.note(problem)

    def state(self) -> dict[str, Any]:
        """What is known so far as JSON, for a Tally in another process to `merge`."""
        return write(self._hosts, self._talk, self._clouds, self._counts, self._attached)

    def merge(self, state: Mapping[str, Any]) -> None:
        """Take in what another Tally's `state()` tells; raises ValueError where it is none."""
        hosts, talk, clouds, counts, attached = read(state)
        for key, host in hosts.items():
            self._hosts.merge(key, host)
        self._talk.merge(talk)
        self._clouds.merge(clouds)
        self._counts.merge(counts)
        self._attached.merge(attached)

    def _glimpse(self, message: Message, at: float | None) -> None:
        """Take a Message without payload: an open port of the sender's, or one that it asked for."""
        asker, asked = message.sender, message.receiver
        if message.protocol == OPEN_PORT:
            asker, asked = asked, asker
            key = _key(asked)
            if key is None or asked.port is None:
                return
            self._hosts.host(key).open(asked.port)
        if message.protocol != SIGHTING:
            for ask in self._asks(asker, asked, "tcp", message.via):
                self._talk.ask(*ask, at)

    def _apply(self, effect: _Effect, at: float | None, count: int) -> None:
        if effect.probe is not None:
            self._counts.messages[effect.probe] += count
            if effect.malformed:
                self._counts.malformed[effect.probe] += count
        for key in effect.told:
            host = self._hosts.host(key)
            host.spoke = True
            host.times.seen(at)
        for ask in effect.asks:
            self._talk.ask(*ask, at)
        for key, name, maker, field, address in effect.calls:
            call = self._clouds.call(key, name, maker)
            if call is None:
                continue
            if field != _ANSWER_FIELD:
                call.count += count
                call.times.seen(at)
                call.fields.add(field)
            if address is not None:
                call.reach((address,))

    def _weigh(self, effect: _Effect, moved: tuple[int, int], count: int) -> None:
        """Count the bytes of connections for the name that they were opened with, if that is a cloud's."""
        # A resolver that is asked for a name is not who has it.
        named = next((call for call in effect.calls if not call.field.startswith("dns.")), None)
        if named is not None:
            self._clouds.weigh(named.key, named.name, named.maker, moved, count)

    def _names(self, message: Message) -> tuple[int, int]:
        """What stands for a Message in memory: by all that facts can depend on, and by everything.

        The higher port is a client's (RFC 6335 section 6), new with each connection, so the first name
        leaves it out: in a capture of control traffic 13 of 14 TCP messages differ in nothing else.
        """
        sender, receiver, payload = message.sender, message.receiver, message.payload
        probe = self._by_name.get(message.protocol)
        if probe is not None and probe.fresh is not None and len(payload) <= _LONGEST_FRESH:
            payload = probe.fresh.sub(b"", payload)
        serves = _serves(message)
        lower = sender.port if serves else receiver.port
        # Hashes of bytes are keyed anew in each process: nobody can make two messages meet.
        said = hash((message.protocol, payload, len(message.payload), message.asked))
        ends = (sender.ip, sender.mac, sender.vlan, receiver.ip, receiver.mac, receiver.vlan)
        return hash((said, *ends, serves, lower)), hash((said, *ends, sender.port, receiver.port))

    def _read(self, message: Message, rank: _Rank, at: float | None) -> _Effect:
        """Dissect a Message by whichever probe knows it, and learn what it says."""
        for probe in self._candidates(message):
            facts: list[Fact] = []
            malformed = False
            try:
                for fact in probe.dissect(message.payload[:MAX_PAYLOAD], message.asked[:MAX_PAYLOAD]):
                    # One by one: what was said before the break stands.
                    facts.append(fact)  # noqa: PERF402 - see above
            except Malformed as error:
                malformed = True
                if message.whole:
                    self._counts.blame(
                        _key(message.sender), message.sender.port, f"{probe.name}: {error}", rank[0]
                    )
            if facts or malformed:
                return self._learnt(probe, message, facts, rank, at, malformed=malformed)
            if message.protocol and _is_group(message.receiver):
                # Nothing is said of the sender by a question to everybody, except that it asks.
                party = _party(message.sender)
                if party is not None and message.via != "scan":
                    self._talk.search(party, probe.name)
        return _Effect(rank, None)

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

    def _learnt(
        self,
        probe: Probe,
        message: Message,
        facts: Sequence[Fact],
        rank: _Rank,
        at: float | None,
        *,
        malformed: bool,
    ) -> _Effect:
        calls: list[_Call] = []
        told: dict[Key, None] = {}
        asking = False
        key = _key(message.sender)
        for fact in facts:
            if fact.field == _ANSWER_FIELD:
                # Of all that resolvers tell, only where clouds are is kept.
                calls += self._told(fact, message)
                continue
            asking |= fact.about == "listener" or fact.field in _AGENT_FIELDS
            told |= dict.fromkeys(self._learn(fact, probe, message, at))
            if fact.field in _CLOUD_FIELDS and fact.about == "speaker" and key is not None:
                cloud = self._maker_of(fact.text)
                if cloud is not None:
                    address = None if fact.field == "dns.query" else host_address(message.receiver.ip)
                    calls.append(_Call(key, fact.text[:253], cloud.maker, fact.field, address))
        if key is not None:
            told.pop(key, None)
        asks: list[_Ask] = []
        if asking:
            asks += self._asks(message.sender, message.receiver, probe.name, message.via)
        elif message.asked and message.transport in {"tcp", "tls"} and _serves(message):
            asks += self._asks(message.receiver, message.sender, probe.name, message.via)
        telling = malformed or bool(calls) or any(fact.field != _ANSWER_FIELD for fact in facts)
        return _Effect(rank, probe.name, malformed, tuple(told), tuple(asks), tuple(calls), telling)

    def _told(self, fact: Fact, message: Message) -> Iterator[_Call]:
        """Where a cloud is that a device asked for."""
        key = _key(message.receiver)
        name, _, address = fact.text.partition(" ")
        cloud = self._maker_of(name) if key is not None else None
        if key is not None and cloud is not None:
            yield _Call(key, name[:253], cloud.maker, fact.field, host_address(address))

    @staticmethod
    def _asks(asker: Speaker, asked: Speaker, protocol: str, via: str) -> Iterable[_Ask]:
        """The question of one host of the site to another; our own scan's are no news."""
        one, other = _party(asker), _party(asked)
        if (
            via != "scan"
            and one is not None
            and other is not None
            and is_private(one[1])
            and is_private(other[1])
        ):
            yield _Ask(one, other, protocol, asked.port)

    def _learn(self, fact: Fact, probe: Probe, message: Message, at: float | None) -> Iterator[Key]:
        """Keep a Fact under whom it describes; hosts that it shows to be there, beside the sender."""
        subject = message.sender
        asker = None
        if fact.about.startswith(ATTACHED):
            self._learn_attached(fact, probe, message, at)
            return
        if fact.about == "listener":
            subject, asker = message.receiver, message.sender.ip or message.sender.mac or "?"
        elif fact.about != "speaker":
            mac = normalise_mac(fact.about)
            if mac is None or len(mac) != 17:
                return
            own = message.sender.mac == mac and probe.name not in _BINDING
            subject = Speaker(message.sender.ip if own else None, mac, None, message.sender.vlan)
        key = _key(subject)
        if key is None:
            return
        kept = Fact(fact.field, fact.text[:MAX_TEXT])
        speaker = Speaker(key[2], key[1], subject.port, key[0])
        row = Observation(kept, speaker, probe.name, at, message.via, message.frame)
        self._hosts.learn(key, row, asker)
        if asker is None:
            yield key
            address = host_address(fact.text) if fact.field == "ip.address" else None
            if address is not None and probe.name in _BINDING and key[1] is not None:
                yield key[0], key[1], address

    def _learn_attached(self, fact: Fact, probe: Probe, message: Message, at: float | None) -> None:
        """Keep what a recorder says of the camera on one of its channels."""
        key = _key(message.sender)
        host = self._attached.channel(key, fact.about[len(ATTACHED) :][:16]) if key is not None else None
        if key is not None and host is not None:
            kept = Fact(fact.field, fact.text[:MAX_TEXT])
            speaker = Speaker(key[2], key[1], message.sender.port, key[0])
            host.learn(Observation(kept, speaker, probe.name, at, message.via, message.frame))

    def _worth(self, key: Key, host: Host) -> int:
        """How much a host matters when room is short: a maker's sign most, a stranger of the internet least."""
        told = sum(map(len, host.said.values()))
        known = self._worths.get(key)
        if known is not None and known[0] == told:
            return known[1]
        _, mac, ip = key
        matchers = self._judge.matchers
        facts = [*host.facts(), *([Fact("mac", mac)] if mac else [])]
        owner = self._judge.registry.organisation(mac) if mac and self._judge.registry else None
        if owner is not None:
            facts.append(Fact("oui.organisation", owner))
        if any(
            "manufacturer" in item.claims or "brand" in item.claims
            for fact in facts
            for item in matchers.match(fact)
        ):
            worth = _TELLING
        elif ip is not None and not is_private(ip):
            worth = _PUBLIC
        else:
            worth = _CHANGING if mac is None or is_locally_administered(mac) else _QUIET
        if len(self._worths) >= 2 * self._max_hosts:
            # As many as are there, with as many that are forgotten.
            self._worths.clear()
        self._worths[key] = told, worth
        return worth

    # Giving out

    def report(
        self,
        *,
        coverage: Mapping[str, Any] | None = None,
        run: Mapping[str, Any] | None = None,
        on: date | None = None,
        problems: Iterable[Problem] = (),
    ) -> Report:
        """Judge every host and say what was and was not seen; `on` is the day policies apply."""
        for problem in problems:
            self.note(problem)
        self._hosts.trim()
        alive = {(vlan, ip) for (vlan, _, ip), host in self._hosts.items() if ip is not None and host.spoke}
        scanners = self._talk.scanners(self._scanning_agents(), alive)
        found = groups(self._hosts)
        names = Names(found)
        asking = frozenset(scanner.party for scanner in scanners)
        bench = Bench(self._judge, self._policies, names.ids, asking, self._site, on)
        blames = self._counts.blames_by_host()
        devices: list[Device] = []
        remote = 0
        ids = {key: name for name, group in zip(names.ids, found, strict=True) for key, _ in group.members}
        met, hidden = meet(cameras_of(self._attached, ids), found, names.ids)
        for place, group in enumerate(found):
            if self._own.intersection((*group.addresses, *group.macs)):
                continue
            if not self._is_listed(group):
                remote += 1
                continue
            devices.append(device_of(group, names.ids[place], bench, tuple(blames.of(group)), met.get(place)))
        listed = {device.id for device in devices}
        devices += [hidden_device(camera, bench) for camera in hidden if listed & set(camera.behind)]
        devices.sort(key=names.rank)
        calls = cloud_contacts(self._clouds, names, {device.id for device in devices})
        pairs = contacts(self._talk, names, {device.id for device in devices})
        seen = Seen(
            devices=tuple(devices),
            contacts=pairs,
            scanners=tuple(scanners),
            remote=remote,
            counts=self._counts,
            forgotten=self._hosts.evicted + self._counts.forgotten,
            channel_facts_left_out=self._attached.forgotten,
            wanted=self._wanted,
        )
        return Report(
            tuple(devices),
            coverage_of(seen, coverage or {}),
            self._counts.problems_of_run(),
            run or {},
            pairs,
            calls,
        )

    def _scanning_agents(self) -> dict[Party, tuple[str, ...]]:
        """Hosts whose requests name scanning software, with that name."""
        found: dict[Party, set[str]] = {}
        for (vlan, _, ip), host in self._hosts.items():
            for field in _AGENT_FIELDS:
                for row in host.said.get(field, {}).values():
                    text = row.fact.text
                    if ip is not None and any(word in text.lower() for word in _SCANNING_AGENTS):
                        found.setdefault((vlan, ip), set()).add(text[:80])
        return {party: tuple(sorted(texts)) for party, texts in found.items()}

    def _is_listed(self, group: Group) -> bool:
        if group.macs or not group.addresses:
            return True
        wanted = self._wanted
        return any(is_private(ip) or (wanted is not None and wanted(ip)) for ip in group.addresses)


def _key(speaker: Speaker) -> Key | None:
    """The host of a Speaker; None for what is no single host."""
    ip, mac = host_address(speaker.ip), host_mac(speaker.mac)
    return None if ip is None and mac is None else (speaker.vlan, mac, ip)


def _party(speaker: Speaker) -> Party | None:
    ip = host_address(speaker.ip)
    return None if ip is None else (speaker.vlan, ip)


def _serves(message: Message) -> bool:
    """Whether the sender is the server: a client's port is the higher one (RFC 6335 section 6)."""
    ours, theirs = message.sender.port, message.receiver.port
    return ours is None or theirs is None or ours < theirs


def _is_group(speaker: Speaker) -> bool:
    """Whether bytes went to a multicast group or to everybody."""
    return speaker.ip is not None and host_address(speaker.ip) is None
