"""Tells which (VLAN, MAC, address) are one device: a graph of MACs, serials, endpoint ids, addresses.

Each of them can lie, so each joins only what nothing stronger keeps apart:

1. A MAC gathers the addresses that are its own: those that ARP, ND, DHCP or a scan on the link
   bound to it or, without such proof, a few private ones that its frames carried. A MAC whose
   frames carry many is a router's. Two of its addresses that state different serials are two
   devices that carry the same MAC; a filler such as 00:11:22:33:44:55 joins no two IPv4 addresses.
   An IPv6 address that is built of a MAC that several carry is all of theirs: it joins nothing.
2. An equal serial, then an equal endpoint id, joins what is seen on two interfaces or at two
   addresses in turn. One that more than two addresses state at the same time is a filler.
3. A MAC that a device names in its own answer, or of which its IPv6 address is built, joins an
   address without a MAC to the one that has it. The frame's own MAC is believed before a claim.

What was kept apart although it claims to be the same is a `Clash`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final, Literal

from agent.census.addresses import (
    eui64_mac,
    host_address,
    host_mac,
    is_invented,
    is_link_local,
    is_private,
    sort_key,
)
from agent.census.hosts import Host, Key
from agent.tables import BINDING_TABLES
from fingerprints.oui import normalise_mac

__all__ = ["Clash", "Group", "groups", "serials_of"]

_OWN_ADDRESSES: Final = 2
"""A MAC without ARP or DHCP proof whose frames carry more private IPv4 addresses is a router's."""
_OWN_IPV6: Final = 4
"""As above, for IPv6: hosts have several, since those that protect privacy change."""
_MOST_BOUND: Final = 16
"""A MAC that answers ARP for more IPv4 addresses does so for others (proxy ARP): none of them is its own."""
_MOST_STATING: Final = 256
"""An id that more state belongs to nobody; nor are more of them compared."""
_MOST_CLASHES: Final = 64
"""Most hosts that are named in the clash over one id."""
_BINDING: Final = frozenset({"arp", "dhcp", "nd"}) | BINDING_TABLES
_BOUND_FIELDS: Final = ("ip.address", "dhcp.requested-address")
_SAME_TIME: Final = 300.0
"""Seconds within which two addresses count as there at once: a lease moves more slowly."""
_AT_ONCE: Final = 2
"""A device has two interfaces; an id at more IPv4 addresses at once belongs to nobody."""

_SERIAL: Final = frozenset({"serial", "serial-no", "device-sn"})
_MODEL: Final = frozenset({"model", "model-number", "device-type", "device-description", "hardware"})
_ENDPOINTS: Final = ("onvif.endpoint", "upnp.udn")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FILLERS: Final = ("0123456789", "1234567890", "123456", "001122334455", "ABCDEF", "DEFAULT", "UNKNOWN")
_SHORTEST: Final = 6

Kind = Literal["mac", "serial", "endpoint"]


@dataclass(frozen=True, slots=True)
class Clash:
    """An id that another device states as well: which, and the other's place in the list of groups."""

    kind: Kind
    text: str
    other: int


@dataclass(frozen=True, slots=True)
class Group:
    """Hosts that are one device, with the MACs that its own frames carried."""

    members: tuple[tuple[Key, Host], ...]
    macs: tuple[str, ...]
    clashes: tuple[Clash, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its addresses in the order of their numbers."""
        return tuple(sorted({ip for (_, _, ip), _ in self.members if ip}, key=sort_key))


@dataclass(slots=True)
class _Cluster:
    """What is one device so far, with what it states of itself."""

    members: list[tuple[Key, Host]] = field(default_factory=list)
    macs: set[str] = field(default_factory=set)
    claimed: set[str] = field(default_factory=set)
    serials: dict[str, set[str]] = field(default_factory=dict)
    endpoints: dict[str, set[str]] = field(default_factory=dict)
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)

    def add(self, key: Key, host: Host) -> None:
        """Take in a host."""
        self.members.append((key, host))
        ip = key[2]
        if ip is not None:
            self._span(ip, _span(host))
            mac = eui64_mac(ip)
            if mac is not None and not is_invented(mac):
                self.claimed.add(mac)
        for name, texts in serials_of([(name, text) for name, rows in host.said.items() for text, _ in rows]):
            self.serials.setdefault(name, set()).update(map(_plain, texts))
        for name, rows in host.said.items():
            last = name.rpartition(".")[2]
            for text, _ in rows:
                if name in _ENDPOINTS and (endpoint := _endpoint(text)):
                    self.endpoints.setdefault(name, set()).add(endpoint)
                elif last == "mac" and (mac := normalise_mac(text)) and len(mac) == 17:
                    own = host_mac(mac)
                    if own is not None and not is_invented(own):
                        self.claimed.add(own)

    def join(self, other: _Cluster) -> None:
        """Become one with another."""
        self.members += other.members
        self.macs |= other.macs
        self.claimed |= other.claimed
        for mine, theirs in ((self.serials, other.serials), (self.endpoints, other.endpoints)):
            for name, texts in theirs.items():
                mine.setdefault(name, set()).update(texts)
        for ip, span in other.spans.items():
            self._span(ip, span)

    def _span(self, ip: str, span: tuple[float, float]) -> None:
        first, last = self.spans.get(ip, span)
        self.spans[ip] = min(first, span[0]), max(last, span[1])

    def ids(self, kind: Kind) -> set[str]:
        """Every serial, endpoint id or MAC that it states."""
        if kind == "mac":
            return self.macs | self.claimed
        return set().union(*(self.serials if kind == "serial" else self.endpoints).values())

    def disown(self) -> None:
        """Count nothing that is stated from there: several devices share the address."""
        self.claimed.clear()
        self.serials.clear()
        self.endpoints.clear()

    def has_ipv4(self) -> bool:
        """Whether it has an IPv4 address."""
        return any(":" not in ip for ip in self.spans)


def groups(hosts: Mapping[Key, Host]) -> list[Group]:
    """The devices among `hosts`, in a fixed order, each with what it clashes over."""
    clusters, of_mac = _clusters(hosts)
    graph = _Graph(clusters)
    for mac, members in sorted(of_mac.items()):
        graph.link_mac(mac, members)
    whole = {mac: {graph.root(at) for at in members} for mac, members in of_mac.items()}
    for kind in ("serial", "endpoint"):
        graph.link_ids(kind)
    graph.link_claims()
    # What a MAC said without an address: it is of the device, if there is one device with it.
    for key, host in _of_macs_alone(hosts):
        mac = key[1] or ""
        roots = {graph.root(at) for at in whole.get(mac, ())}
        if len(roots) == 1:
            clusters[roots.pop()].members.append((key, host))
        elif not roots:
            clusters.append(_alone(key, host))
            graph.grow()
    return graph.result()


def _of_macs_alone(hosts: Mapping[Key, Host]) -> list[tuple[Key, Host]]:
    return [(key, hosts[key]) for key in _sorted(hosts) if key[2] is None]


def _alone(key: Key, host: Host) -> _Cluster:
    cluster = _Cluster(macs={key[1]} if key[1] else set())
    cluster.add(key, host)
    return cluster


def _sorted(hosts: Mapping[Key, Host]) -> list[Key]:
    return sorted(hosts, key=lambda key: (sort_key(key[2]) if key[2] else (0, 0), key[1] or "", key[0]))


def _clusters(hosts: Mapping[Key, Host]) -> tuple[list[_Cluster], dict[str, list[int]]]:
    """One cluster for each address of each MAC that owns it, or for an address alone."""
    own = _own_addresses(hosts)
    owners: dict[tuple[tuple[int, ...], str], set[str]] = {}
    for vlan, mac, ip in hosts:
        if mac is not None and ip is not None and ip in own.get(mac, ()):
            owners.setdefault((vlan, ip), set()).add(mac)
    places: dict[object, int] = {}
    clusters: list[_Cluster] = []
    of_mac: dict[str, list[int]] = {}
    for key in _sorted(hosts):
        vlan, mac, ip = key
        if ip is None:
            continue
        if mac is None or ip not in own.get(mac, ()):
            possible = owners.get((vlan, ip), set()) if mac is None else set()
            mac = next(iter(possible)) if len(possible) == 1 else None
        name: object = (vlan, ip) if mac is None else (mac, ip)
        at = places.get(name)
        if at is None:
            at = places[name] = len(clusters)
            clusters.append(_Cluster())
            if mac is not None:
                clusters[at].macs.add(mac)
                of_mac.setdefault(mac, []).append(at)
        clusters[at].add(key, hosts[key])
    return clusters, of_mac


def _own_addresses(hosts: Mapping[Key, Host]) -> dict[str, frozenset[str]]:
    """The addresses that belong to each MAC, as told at the top of this file."""
    carried: dict[str, set[str]] = {}
    bound: dict[str, set[str]] = {}
    for (_, mac, ip), host in hosts.items():
        if mac is None:
            continue
        if ip is not None and host.spoke:
            carried.setdefault(mac, set()).add(ip)
            if host.scanned:
                bound.setdefault(mac, set()).add(ip)
        for name in _BOUND_FIELDS:
            for (text, _), row in host.said.get(name, {}).items():
                address = host_address(text) if row.protocol in _BINDING else None
                if address is not None:
                    bound.setdefault(mac, set()).add(address)
    return {mac: _belonging(bound.get(mac, set()), carried.get(mac, set())) for mac in {*carried, *bound}}


def _belonging(bound: set[str], carried: set[str]) -> frozenset[str]:
    """Of the addresses that were bound to a MAC or only carried by its frames, those that are its own.

    ARP tells of IPv4 alone, ND often of the link-local address alone: each family is told by itself.
    """
    private = {ip for ip in carried if is_private(ip)}
    local = {ip for ip in private if is_link_local(ip)}
    bound4 = {ip for ip in bound if ":" not in ip}
    bound6 = {ip for ip in bound if ":" in ip}
    near4 = {ip for ip in private - local if ":" not in ip}
    near6 = {ip for ip in private - local if ":" in ip}
    if len(bound4) > _MOST_BOUND:
        return frozenset(local)
    own4 = bound4 or (near4 if len(near4) <= _OWN_ADDRESSES else set())
    told6 = any(not is_link_local(ip) for ip in bound6)
    routes = not near4 <= own4
    own6 = set() if told6 or routes or len(near6) > _OWN_IPV6 else near6
    return frozenset(own4 | bound6 | own6 | local)


class _Graph:
    """Clusters that are joined two by two, unless something keeps them apart."""

    def __init__(self, clusters: list[_Cluster]) -> None:
        self.clusters = clusters
        self._parents = list(range(len(clusters)))
        self._clashes: dict[tuple[int, int], tuple[Kind, str]] = {}

    def grow(self) -> None:
        """A cluster was added."""
        self._parents.append(len(self._parents))

    def root(self, at: int) -> int:
        """The cluster that one has become part of."""
        while self._parents[at] != at:
            self._parents[at] = at = self._parents[self._parents[at]]
        return at

    def link_mac(self, mac: str, members: Iterable[int]) -> None:
        """Join the addresses of one MAC, unless several devices turn out to carry it."""
        every = sorted(set(members))
        with_ipv4 = [at for at in every if self.clusters[at].has_ipv4()]
        self.link_pairs("mac", mac, with_ipv4, _one_mac(mac))
        if len({self.root(at) for at in with_ipv4}) < 2:
            self.link_pairs("mac", mac, every, _one_mac(mac))
            return
        for at in set(every).difference(with_ipv4):
            if any(eui64_mac(ip) == mac for ip in self.clusters[at].spans):
                self.clusters[at].disown()
        self._clash("mac", mac, sorted({self.root(at) for at in every}))

    def link_pairs(
        self, kind: Kind, text: str, members: Iterable[int], one: Callable[[_Cluster, _Cluster], bool]
    ) -> None:
        """Join those that are one by `one`; the rest clash over the id."""
        roots: list[int] = []
        for at in sorted({self.root(at) for at in members}):
            into = next((root for root in roots if one(self.clusters[root], self.clusters[at])), None)
            if into is None:
                roots.append(at)
            else:
                self._parents[at] = into
                self.clusters[into].join(self.clusters[at])
        self._clash(kind, text, roots)

    def _clash(self, kind: Kind, text: str, roots: list[int]) -> None:
        for pair in combinations(sorted(roots)[:_MOST_CLASHES], 2):
            self._clashes.setdefault(pair, (kind, text))

    def link_ids(self, kind: Kind) -> None:
        """Join what states an equal id, unless too many state it at once."""
        stating: dict[str, list[int]] = {}
        for at, cluster in enumerate(self.clusters):
            if self.root(at) == at:
                for text in cluster.ids(kind):
                    stating.setdefault(text, []).append(at)
        for text, members in sorted(stating.items()):
            roots = sorted({self.root(at) for at in members})
            if len(roots) > 1:
                nobodys = len(roots) > _MOST_STATING
                if nobodys or _at_once(self.clusters[at] for at in roots) > _AT_ONCE:
                    self._clash(kind, text, roots)
                else:
                    self.link_pairs(kind, text, roots, _agree)

    def link_claims(self) -> None:
        """Join an address without a MAC to what has or states the MAC that it names."""
        stating: dict[str, list[int]] = {}
        for at, cluster in enumerate(self.clusters):
            if self.root(at) == at:
                for text in cluster.ids("mac"):
                    stating.setdefault(text, []).append(at)
        for text, members in sorted(stating.items()):
            roots = {self.root(at) for at in members}
            if len(roots) > 1:
                # Whoever has the MAC comes first, so that the others are compared with it.
                first = sorted(roots, key=lambda at: (text not in self.clusters[at].macs, at))
                self._link_claim(text, first)

    def _link_claim(self, text: str, members: list[int]) -> None:
        head, *rest = members
        for at in rest[:_MOST_STATING]:
            if len(rest) < _MOST_STATING and _one_claim(self.clusters[head], self.clusters[at]):
                self._parents[at] = head
                self.clusters[head].join(self.clusters[at])
        self._clash("mac", text, [head, *(at for at in rest if self.root(at) != self.root(head))])

    def result(self) -> list[Group]:
        """The clusters that are left, with their clashes by place."""
        roots = [at for at in range(len(self.clusters)) if self.root(at) == at]
        places = {at: place for place, at in enumerate(roots)}
        clashes: dict[int, set[Clash]] = {}
        for (one, other), (kind, text) in self._clashes.items():
            first, second = self.root(one), self.root(other)
            if first != second:
                clashes.setdefault(first, set()).add(Clash(kind, text, places[second]))
                clashes.setdefault(second, set()).add(Clash(kind, text, places[first]))
        return [
            Group(
                tuple(self.clusters[at].members),
                tuple(sorted(self.clusters[at].macs)),
                tuple(sorted(clashes.get(at, ()), key=lambda row: (row.kind, row.text, row.other))),
            )
            for at in roots
        ]


def _one_mac(mac: str) -> Callable[[_Cluster, _Cluster], bool]:
    def one(left: _Cluster, right: _Cluster) -> bool:
        if _differ(left.serials, right.serials):
            return False
        if is_invented(mac) and left.has_ipv4() and right.has_ipv4():
            return bool(left.ids("serial") & right.ids("serial"))
        return True

    return one


def _agree(left: _Cluster, right: _Cluster) -> bool:
    """Whether two that state an equal id state nothing that differs."""
    return not (_differ(left.serials, right.serials) or _differ(left.endpoints, right.endpoints))


def _one_claim(left: _Cluster, right: _Cluster) -> bool:
    if (left.macs and right.macs) or not _agree(left, right):
        return False
    if left.macs or right.macs:
        return True
    return not (left.has_ipv4() and right.has_ipv4()) or _at_once((left, right)) < 2


def _differ(left: Mapping[str, set[str]], right: Mapping[str, set[str]]) -> bool:
    """Whether both state ids in one field, and none of them is the same."""
    return any(left[name].isdisjoint(right[name]) for name in left.keys() & right.keys())


def _span(host: Host) -> tuple[float, float]:
    """When a host was there; at any time, where that is not known or one scan met it with all others."""
    first, last = host.times.first, host.times.last
    if host.scanned or first is None or last is None:
        return -math.inf, math.inf
    return first - _SAME_TIME / 2, last + _SAME_TIME / 2


def _at_once(clusters: Iterable[_Cluster]) -> int:
    """Most clusters with an IPv4 address that were there at the same time."""
    edges = []
    for cluster in clusters:
        spans = [span for ip, span in cluster.spans.items() if ":" not in ip]
        if spans:
            edges += [(min(first for first, _ in spans), 0), (max(last for _, last in spans), 1)]
    most = now = 0
    for _, end in sorted(edges):
        now += -1 if end else 1
        most = max(most, now)
    return most


def serials_of(facts: Sequence[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """Each field of `facts` (field, text) with the texts in it that can be one device's serial."""
    models = {_plain(text) for name, text in facts if name.rpartition(".")[2] in _MODEL}
    found: dict[str, list[str]] = {}
    for name, text in facts:
        if name.rpartition(".")[2] in _SERIAL and _is_serial(text, models):
            found.setdefault(name, []).append(text)
    yield from found.items()


def _plain(text: str) -> str:
    return "".join(letter for letter in text.upper() if letter.isalnum())


def _is_serial(text: str, models: set[str]) -> bool:
    """Whether a stated serial can be one device's own: long enough, no filler, not the model's name."""
    plain = _plain(text)
    return (
        len(plain) >= _SHORTEST
        and len(set(plain)) > 2
        and any(letter.isdigit() for letter in plain)
        and plain not in models
        and not any(plain == filler or (plain.startswith(filler) and len(plain) < 13) for filler in _FILLERS)
    )


def _endpoint(text: str) -> str | None:
    found = _UUID.search(text.lower())
    return found[0] if found and len(set(found[0])) > 3 else None
