"""Generated sites: whatever devices state, share or change, one device is one and two are two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from hypothesis import event, given, settings
from hypothesis import strategies as st

from agent.census import Tally
from agent.wire import Message, Probe
from fingerprints.explain import explain_device
from fingerprints.judge import Judge
from fingerprints.matcher import Matchers
from fingerprints.model import Fact, Report, Speaker
from tests.small_knowledge import small_knowledge

NOON = 1_700_000_000.0
INVENTED = "00:11:22:33:44:55"
CLONED = "28:57:be:00:00:99"
FILLER = "0123456789"


def read_lines(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    """``field=text`` a line."""
    for line in payload.decode().splitlines():
        field, _, text = line.partition("=")
        yield Fact(field, text)


LINES = Probe("lines", "tcp", (), (), lambda _: True, read_lines)
ARP = Probe("arp", "ethernet", (), (), lambda _: False, read_lines)


@cache
def judge() -> Judge:
    """A judge over the small knowledge."""
    with TemporaryDirectory() as folder:
        return Judge(Matchers(small_knowledge(Path(folder))), None)


@dataclass(frozen=True)
class Thing:
    """One device: `ips` with the MAC that frames from there carry (None behind a router)."""

    number: int
    nics: tuple[tuple[str, str | None], ...]
    serial: str | None
    endpoint: str | None
    in_turn: bool
    link_local: bool

    @property
    def ips(self) -> frozenset[str]:
        return frozenset(ip for ip, _ in self.nics)

    @property
    def one_by_rights(self) -> bool:
        """Whether what it states suffices to know it as one device, wherever it was seen."""
        macs = {mac for _, mac in self.nics}
        by_mac = len(macs) == 1 and not macs & {None, INVENTED, CLONED}
        return len(self.nics) == 1 or by_mac or self.serial not in {None, FILLER} or self.endpoint is not None


@st.composite
def things(draw: st.DrawFn, number: int) -> Thing:
    """A device of its own MACs, or of one that others carry as well."""
    count = draw(st.integers(1, 2))
    kind = draw(st.sampled_from(["own", "own", "two", "invented", "cloned", "routed"]))
    own = [f"28:57:be:00:{number:02x}:{at:02x}" for at in range(2)]
    macs: dict[str, list[str | None]] = {
        "own": [own[0], own[0]],
        "two": [own[0], own[1]],
        "invented": [INVENTED, INVENTED],
        "cloned": [CLONED, CLONED],
        "routed": [None, None],
    }
    # A clone is known only by what it states; nobody could tell two silent ones apart.
    serial = draw(st.sampled_from([None, "own", FILLER])) if kind != "cloned" else "own"
    return Thing(
        number,
        tuple((f"10.0.{at}.{number + 1}", macs[kind][at]) for at in range(count)),
        f"SN{number:04}X7" if serial == "own" else serial,
        f"urn:uuid:5f5a69c2-e0ae-504f-829b-0000000{number:05}" if draw(st.booleans()) else None,
        draw(st.booleans()),
        draw(st.booleans()),
    )


@dataclass(frozen=True)
class Site:
    """Devices, and whether one scan met them all or they were overheard for hours."""

    things: tuple[Thing, ...]
    scan: bool


sites = st.integers(1, 7).flatmap(
    lambda count: st.builds(Site, st.tuples(*(things(number) for number in range(count))), st.booleans())
)


def link_local(mac: str) -> str:
    """The address that an interface makes of its MAC (RFC 4291 appendix A)."""
    parts = bytearray.fromhex(mac.replace(":", ""))
    parts[0] ^= 2
    word = (parts[:3] + b"\xff\xfe" + parts[3:]).hex()
    return "fe80::" + ":".join(word[at : at + 4].lstrip("0") or "0" for at in range(0, 16, 4))


def messages(thing: Thing, *, scan: bool) -> Iterator[Message]:
    """What is heard of a device, at its addresses at once or in turn."""
    words = [f"sadp.device-sn={thing.serial}"] if thing.serial else []
    words += [f"onvif.endpoint={thing.endpoint}"] if thing.endpoint else []
    text = "\n".join(words or ["http.title=x"]).encode()
    via = "scan" if scan else "lan.pcap"
    for at, (ip, mac) in enumerate(thing.nics):
        when = NOON + (at * 4_000 if thing.in_turn and not scan else 0)
        speaker = Speaker(ip, mac, 80)
        yield Message("tcp", text, speaker, Speaker(), protocol="lines", at=when, via=via)
        if mac is not None:
            bound = f"ip.address={ip}".encode()
            yield Message("ethernet", bound, Speaker(None, mac), Speaker(), protocol="arp", at=when, via=via)
        if mac is not None and thing.link_local:
            beside = Speaker(link_local(mac), mac, 80)
            yield Message("tcp", text, beside, Speaker(), protocol="lines", at=when, via=via)


def report_of(site: Site) -> Report:
    tally = Tally(judge(), (), (LINES, ARP))
    for thing in site.things:
        for message in messages(thing, scan=site.scan):
            tally.feed(message)
    return tally.report()


def groups_of(report: Report) -> list[frozenset[str]]:
    found = (frozenset(ip for ip in device.addresses if ":" not in ip) for device in report.devices)
    return [group for group in found if group]


@settings(max_examples=300, deadline=None)
@given(sites)
def test_two_devices_are_never_one(site: Site) -> None:
    """No device of the report holds the addresses of two, whatever MAC, serial or address they share."""
    owners = {ip: thing.number for thing in site.things for ip in thing.ips}
    for group in groups_of(report_of(site)):
        assert len({owners[ip] for ip in group}) == 1, group


@settings(max_examples=300, deadline=None)
@given(sites)
def test_one_device_is_one(site: Site) -> None:
    """What shows by a MAC, serial or endpoint of its own that it is one device is listed once."""
    groups = groups_of(report_of(site))
    for thing in site.things:
        if thing.one_by_rights:
            event(f"{len(thing.nics)} addresses")
            assert thing.ips in groups, (thing, groups)


@settings(max_examples=100, deadline=None)
@given(sites, st.randoms(use_true_random=False))
def test_order_does_not_matter(site: Site, random: Random) -> None:
    """The same devices come out in whatever order the site was heard."""
    turned = list(site.things)
    random.shuffle(turned)
    assert set(groups_of(report_of(site))) == set(groups_of(report_of(replace(site, things=tuple(turned)))))


@settings(max_examples=100, deadline=None)
@given(sites)
def test_what_is_shared_is_explained(site: Site) -> None:
    """Two devices that carry one MAC each say so in `explain`: the other's name, the MAC."""
    for mac in (INVENTED, CLONED):
        owners = [thing for thing in site.things if mac in {own for _, own in thing.nics}]
        if len(owners) < 2:
            continue
        event("a shared MAC")
        for device in report_of(site).devices:
            if any(set(device.addresses) & thing.ips for thing in owners):
                lines = "\n".join(explain_device(device, judge().knowledge))
                assert f"shows the same mac {mac}; they are kept apart" in lines
