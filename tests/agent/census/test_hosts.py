"""The table of hosts stays within its bounds, and says how many had to go."""

from __future__ import annotations

from agent.census.hosts import Host, Hosts, Key
from fingerprints.model import Fact, Observation, Speaker


def row(field: str, text: str, at: float) -> Observation:
    """Something said at a time."""
    return Observation(Fact(field, text), Speaker(), "test", at)


def worth(_key: Key, host: Host) -> int:
    """Whoever said anything of HTTP matters."""
    return int("http.server" in host.said)


def test_the_texts_of_all_hosts_are_bounded() -> None:
    """Hosts that each say as much as one may end in eviction, the longest unseen first, never in a full memory."""
    hosts = Hosts(1_000_000, worth)
    text = "x" * 65_000
    for number in range(400):
        key: Key = ((), None, f"10.0.{number >> 8}.{number & 255}")
        hosts.host(key).times.seen(float(number))
        for part in range(9):
            hosts.learn(key, row(f"field.{part}", f"{number}.{part}.{text}", float(number)))
    assert hosts.length == sum(host.length for host in hosts.values()) <= 192 * 1024 * 1024
    assert hosts.evicted == 400 - len(hosts) > 0
    assert ((), None, "10.0.1.143") in hosts
    assert ((), None, "10.0.0.0") not in hosts


def test_what_a_host_says_first_stays() -> None:
    """Beyond the bound of a field its earliest texts stay, and other fields are not pushed out."""
    host = Host()
    for number in range(1_000):
        host.learn(row("dns.query", f"n{number}", 1_000.0 - number))
    host.learn(row("http.server", "acme-webs", 5_000.0))
    host.trim()
    assert sorted(item.at or 0 for item in host.said["dns.query"].values()) == [1.0 + at for at in range(64)]
    assert len(host.said["http.server"]) == 1


def test_evidence_outlives_recency() -> None:
    """Of two hosts the one without evidence goes, even though it was seen later."""
    hosts = Hosts(2, worth)
    old, new, newest = (((), None, f"10.0.0.{last}") for last in (1, 2, 3))
    hosts.learn(old, row("http.server", "x", 1.0))
    for key, at in ((old, 1.0), (new, 2.0), (newest, 3.0)):
        hosts.host(key).times.seen(at)
    assert set(hosts) == {old, newest}
    assert hosts.evicted == 1


def test_ports_are_bounded() -> None:
    """A host on which every port is open keeps the lowest."""
    host = Host()
    for port in range(65_536, 0, -1):
        host.open(port)
    assert host.ports == set(range(1, 1_025))


def test_of_texts_drawn_by_lot_the_earliest_is_kept() -> None:
    """A login's nonce is new each time: one text of each realm is enough, whatever the order."""
    rows = [
        row("http.www-authenticate", f'Digest realm="{realm}", nonce="{number:032x}"', number)
        for realm in ("one", "two")
        for number in range(100)
    ]
    host, other = Host(), Host()
    for each in rows:
        host.learn(each)
    for each in reversed(rows):
        other.learn(each)
    assert sorted(host.facts(), key=str) == sorted(other.facts(), key=str) == [rows[0].fact, rows[100].fact]
    assert host.length == other.length
