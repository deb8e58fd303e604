"""Writes what a Tally knows as JSON, reads it back, so that captures can be read by many workers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from agent.census.attached import Attached
from agent.census.clouds import Clouds
from agent.census.counts import Counts
from agent.census.hosts import Host, Hosts, Key, Shelf
from agent.census.talk import Party, Talk
from agent.census.times import Times
from fingerprints.model import Fact, Observation, Problem, Speaker

__all__ = ["read", "write"]

_FORMAT: Final = 2


def write(hosts: Hosts, talk: Talk, clouds: Clouds, counts: Counts, attached: Attached) -> dict[str, Any]:
    """The state as JSON: bounded, because every table in it is."""
    hosts.trim()
    return {
        "census": _FORMAT,
        "hosts": [[_key_out(key), _host_out(host)] for key, host in hosts.items()],
        "attached": [[_key_out(key), channel, _host_out(host)] for (key, channel), host in attached.items()],
        "pairs": [
            [
                _party_out(one),
                _party_out(other),
                sorted(pair.protocols),
                sorted(pair.ports),
                pair.times.first,
                pair.times.last,
            ]
            for (one, other), pair in talk.pairs.items()
        ],
        "searches": [[_party_out(party), sorted(names)] for party, names in talk.searches.items()],
        "calls": [
            [
                _key_out(key),
                name,
                call.maker,
                call.count,
                call.times.first,
                call.times.last,
                sorted(call.addresses),
                sorted(call.fields),
                [call.measured, call.sent, call.received],
            ]
            for (key, name), call in clouds.calls.items()
        ],
        "messages": dict(counts.messages),
        "malformed": dict(counts.malformed),
        "times": counts.times,
        "forgotten": {
            "hosts": hosts.evicted + counts.forgotten,
            "pairs": talk.evicted,
            "calls": clouds.evicted,
            "attached": attached.forgotten,
        },
        "problems": [[row.where, row.what, row.kind] for row in counts.problems],
        "blames": [
            [None if key is None else _key_out(key), port, what, _finite(mark[0]), mark[1], mark[2]]
            for (key, port, what), mark in counts.blames.items()
        ],
    }


def read(state: Mapping[str, Any]) -> tuple[dict[Key, Host], Talk, Clouds, Counts, Attached]:
    """What `write` wrote; raises ValueError where it is something else."""
    if state.get("census") != _FORMAT:
        raise ValueError(f"not the state of a census of format {_FORMAT}")
    try:
        return _read(state)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"not the state of a census: {error!r}") from None


def _read(state: Mapping[str, Any]) -> tuple[dict[Key, Host], Talk, Clouds, Counts, Attached]:
    hosts = {}
    for raw, row in state["hosts"]:
        key = _key_in(raw)
        hosts[key] = _host_in(key, row)
    talk, clouds = Talk(), Clouds()
    for one, other, protocols, ports, first, last in state["pairs"]:
        for protocol in protocols:
            pair = talk.ask(_party_in(one), _party_in(other), protocol, None, first)
            pair.times.seen(last)
            pair.add((), ports)
    for party, names in state["searches"]:
        for name in names:
            talk.search(_party_in(party), name)
    for raw, name, maker, count, first, last, addresses, fields, moved in state["calls"]:
        call = clouds.call(_key_in(raw), name, maker)
        if call is not None:
            call.count += count
            measured, sent, received = moved
            call.measured += measured
            call.sent += sent
            call.received += received
            call.times.seen(first)
            call.times.seen(last)
            call.reach(addresses)
            call.fields.update(fields)
    forgotten = state["forgotten"]
    attached = Attached()
    attached.forgotten = int(forgotten["attached"])
    for raw, channel, row in state["attached"]:
        host = attached.channel(_key_in(raw), channel)
        if host is not None:
            host.merge(_host_in(_key_in(raw), row))
    talk.evicted += forgotten["pairs"]
    clouds.evicted += forgotten["calls"]
    counts = Counts(
        Counter(state["messages"]), Counter(state["malformed"]), int(state["times"]), int(forgotten["hosts"])
    )
    for where, what, kind in state["problems"]:
        counts.note(Problem(where, what, kind))
    for raw, port, what, at, via, frame in state["blames"]:
        mark = (math.inf if at is None else at, via, frame)
        counts.blame(None if raw is None else _key_in(raw), port, what, mark)
    return hosts, talk, clouds, counts, attached


def _finite(at: float) -> float | None:
    return None if math.isinf(at) else at


def _key_out(key: Key) -> list[Any]:
    return [list(key[0]), key[1], key[2]]


def _key_in(raw: Any) -> Key:
    vlan, mac, ip = raw
    return tuple(vlan), mac, ip


def _party_out(party: Party) -> list[Any]:
    return [list(party[0]), party[1]]


def _party_in(raw: Any) -> Party:
    vlan, ip = raw
    return tuple(vlan), ip


def _host_out(host: Host) -> dict[str, Any]:
    return {
        "said": _shelf_out(host.said),
        "heard": _shelf_out(host.heard),
        "ports": sorted(host.ports),
        "first": host.times.first,
        "last": host.times.last,
        "spoke": host.spoke,
        "scanned": host.scanned,
    }


def _shelf_out(shelf: Shelf) -> list[list[Any]]:
    return [
        [row.fact.field, row.fact.text, asker, row.protocol, row.subject.port, row.at, row.via, row.frame]
        for rows in shelf.values()
        for (_, asker), row in rows.items()
    ]


def _host_in(key: Key, row: Mapping[str, Any]) -> Host:
    host = Host(times=Times(row["first"], row["last"]), spoke=row["spoke"], scanned=row["scanned"])
    for name in ("said", "heard"):
        for field, text, asker, protocol, port, at, via, frame in row[name]:
            speaker = Speaker(key[2], key[1], port, key[0])
            seen = Observation(Fact(field, text), speaker, protocol, at, via, frame)
            host.learn(seen, asker if name == "heard" else None)
    for port in row["ports"]:
        host.open(port)
    return host
