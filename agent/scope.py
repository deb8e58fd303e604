"""Who may be touched: the allow-list of a scan.

Every packet the scanner sends goes to an address that its `Scope` holds, or to a group on a
link where it holds some.

What is meant must be written exactly: a net with host bits, a shortened address or a range
that runs backwards is refused, because half of such slips name somebody else's network.
"""

from __future__ import annotations

import hashlib
import ipaddress
import itertools
import re
import socket
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from netaddr import IPSet

__all__ = ["LIMIT", "LeftOut", "Resolve", "Scope", "ScopeError", "Span", "resolve_name"]

LIMIT: Final = 1 << 20
"""Most addresses of one scope, unless the caller says otherwise."""

_WIDEST_V6: Final = 256
_MAX_FILE: Final = 4 * 1024 * 1024
_MAX_TOKENS: Final = 65_536
_MAX_LINE: Final = 300
_MAX_ADDRESSES: Final = 16

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Addresses that nobody on the internet has: RFC 1918, 1122, 3927, 5737, 2544, 4291, 4193, 3849.
_LOCAL: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "192.0.2.0/24",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "198.18.0.0/15",
        "::1/128",
        "fe80::/10",
        "fc00::/7",
        "2001:db8::/32",
    )
)
# Addresses that no single host has (RFC 1122 section 3.2.1.3, RFC 5771, RFC 4291).
_NO_HOST: Final[tuple[tuple[_Network, str], ...]] = tuple(
    (ipaddress.ip_network(text), why)
    for text, why in (
        ("0.0.0.0/8", "no host has such an address"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved, or broadcast"),
        ("::/128", "no host has such an address"),
        ("ff00::/8", "multicast"),
    )
)

_SHORT_RANGE: Final = re.compile(r"((?:\d{1,3}\.){3})(\d{1,3})-(\d{1,3})", re.ASCII)
_LOOKS_NUMERIC: Final = re.compile(r"[\d.\-/]*\d[\d.\-/]*|\d+\.\d+[.\-/].*|.*[:/%@].*", re.ASCII)
_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?",
    re.ASCII | re.IGNORECASE,
)
_ZONE: Final = re.compile(r"[\w.@-]{1,15}", re.ASCII)

Resolve = Callable[[str], Sequence[str]]
"""The addresses of a host name, as canonical text; raises OSError where it has none."""


class ScopeError(Exception):
    """A target that must not, or cannot, be scanned; the text names the token as the user wrote it."""


def resolve_name(name: str) -> tuple[str, ...]:
    """Ask the system's resolver; raises OSError where the name has no address."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Addresses of one family from `first` to `last`, both included, as integers."""

    version: Literal[4, 6]
    first: int
    last: int

    @property
    def size(self) -> int:
        """How many addresses that is (more than `len` could say, for IPv6)."""
        return self.last - self.first + 1

    def __str__(self) -> str:
        first, last = _text(self.version, self.first), _text(self.version, self.last)
        if first == last:
            return first
        start, end = ipaddress.ip_address(first), ipaddress.ip_address(last)
        nets = list(itertools.islice(_summarize(start, end), 2))
        return str(nets[0]) if len(nets) == 1 else f"{first}-{last}"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Addresses that a target named and that are not asked, with the reason."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class _Token:
    """One target as the user wrote it: `place` is empty, or ``@file line 3: ``."""

    text: str
    place: str = ""

    def error(self, why: str) -> ScopeError:
        return ScopeError(f"{self.place}{self.text!r}: {why}")


@dataclass(frozen=True, slots=True)
class Scope:
    """The addresses that may be asked: an allow-list, merged and sorted.

    Iteration gives every address once, as canonical text (with its zone where it is
    link-local), in an order that jumps over all subnets and is the same in every run.
    `names` tells the host name that an address was resolved from.
    """

    spans: tuple[Span, ...]
    left_out: tuple[LeftOut, ...] = ()
    names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    zones: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def parse(
        cls,
        tokens: Iterable[str],
        *,
        exclude: Iterable[str] = (),
        allow_public: Iterable[str] = (),
        own: Iterable[str] = (),
        limit: int = LIMIT,
        resolve: Resolve = resolve_name,
    ) -> Scope:
        """The scope that `tokens` name, without `exclude` and the scanner's `own` addresses.

        A token is an address, a CIDR, a range (``192.0.2.10-20``, ``192.0.2.10-192.0.2.40``),
        a host name or ``@file`` with one of these a line (``#`` begins a comment). A public
        range counts only if `allow_public` names the very same range again. `own` are
        addresses with their prefix (``192.0.2.7/24``): the address, its network and its
        broadcast address are left out.

        Raises ScopeError, naming the token, for anything that is not exactly one of these,
        for more than `limit` addresses, and where nothing is left to ask.
        """
        reader = _Reader(resolve)
        twice = {span for token in _expand(allow_public) for span in reader.spans(token)}
        left: dict[LeftOut, None] = {}
        wanted: list[Span] = []
        widest: tuple[int, _Token] | None = None
        for token in _expand(tokens):
            for span in reader.spans(token):
                hosts = _hosts(token, span, left)
                if any(not _is_local(part) for part in hosts) and span not in twice:
                    raise token.error(
                        "public addresses; if they are yours, name the same range with --allow-public, too"
                    )
                wanted += hosts
                if widest is None or span.size > widest[0]:
                    widest = span.size, token
        unwanted = [span for token in _expand(exclude) for span in reader.spans(token, bounded=False)]
        mine = _own_spans(own)
        spans = _without(wanted, [*unwanted, *mine])
        left |= dict.fromkeys(_cut(wanted, unwanted, "excluded"))
        for span, why in mine.items():
            left |= dict.fromkeys(_cut(wanted, [span], why))
        if not spans:
            reasons = "; ".join(f"{item.what}: {item.why}" for item in itertools.islice(left, 4))
            raise ScopeError(f"no address is left to ask{f' ({reasons})' if reasons else ''}")
        total = sum(span.size for span in spans)
        if total > limit and widest is not None:
            raise widest[1].error(
                f"{total:,} addresses are more than {limit:,} in one scan; scan them in parts"
            )
        return cls(spans, tuple(left), MappingProxyType(reader.names), MappingProxyType(reader.zones))

    def __len__(self) -> int:
        return sum(span.size for span in self.spans)

    def __iter__(self) -> Iterator[str]:
        return self.shuffled()

    def shuffled(self, seed: int = 0) -> Iterator[str]:
        """Every address once, in the pseudo-random order of `seed`, with no list of them in memory."""
        for version, number in self._numbered(self.spans, seed):
            text = _text(version, number)
            zone = self.zones.get(text) if self.zones else None
            yield f"{text}%{zone}" if zone else text

    def numbers(self, seed: int = 0) -> Iterator[int]:
        """Every IPv4 address once as an integer, in the order of `seed`."""
        spans = tuple(span for span in self.spans if span.version == 4)
        return (number for _, number in self._numbered(spans, seed))

    @staticmethod
    def _numbered(spans: Sequence[Span], seed: int) -> Iterator[tuple[int, int]]:
        ends = list(itertools.accumulate(span.size for span in spans))
        for index in _permuted(ends[-1] if ends else 0, seed):
            at = bisect_right(ends, index)
            yield spans[at].version, spans[at].last - (ends[at] - 1 - index)

    def subnets(self, most: int = 4_096) -> tuple[str, ...]:
        """The parts of the scope in each /24, as they are; IPv6 spans whole; at most `most`."""
        found: list[str] = []
        for span in self.spans:
            first = span.first
            while first <= span.last and len(found) < most:
                end = span.last if span.version == 6 else min(span.last, first | 0xFF)
                found.append(str(Span(span.version, first, end)))
                first = end + 1
        return tuple(found)

    def split(self, networks: Iterable[str]) -> tuple[Scope, Scope]:
        """The part of the scope in these networks (CIDRs, host bits ignored), then the rest."""
        nets = [ipaddress.ip_network(text, strict=False) for text in networks]
        cut = [_span(net.network_address, net.broadcast_address) for net in nets]
        inside = [part for span in self.spans for net in cut if (part := _common(span, net))]
        return (
            replace(self, spans=_merged(inside), left_out=()),
            replace(self, spans=_minus(self.spans, inside), left_out=()),
        )

    def allows(self, ip: str) -> bool:
        """Whether this address, in any spelling, may be asked; False for what is no address."""
        try:
            address = ipaddress.ip_address(ip.partition("%")[0])
        except ValueError:
            return False
        at = bisect_right(
            self.spans, (address.version, int(address)), key=lambda span: (span.version, span.first)
        )
        return at > 0 and (
            self.spans[at - 1].version == address.version and int(address) <= self.spans[at - 1].last
        )

    def within(self, other: Scope) -> bool:
        """Whether `other` has every address of this scope."""
        return not _minus(self.spans, other.spans)

    def overlaps(self, network: str) -> bool:
        """Whether any address of the scope lies in `network` (CIDR, host bits ignored)."""
        net = ipaddress.ip_network(network.partition("%")[0] if "/" not in network else network, strict=False)
        first, last = int(net.network_address), int(net.broadcast_address)
        return any(
            span.version == net.version and span.first <= last and first <= span.last for span in self.spans
        )

    def describe(self) -> str:
        """One line for people: how many addresses, which ranges, what was left out."""
        shown = ", ".join(str(span) for span in self.spans[:6]) + (", ..." if len(self.spans) > 6 else "")
        count = len(self)
        text = f"{count:,} address{'es' if count != 1 else ''}: {shown}"
        if self.left_out:
            text += f"; left out: {', '.join(f'{item.what} ({item.why})' for item in self.left_out[:6])}"
            text += ", ..." if len(self.left_out) > 6 else ""
        return text


def _expand(tokens: Iterable[str]) -> Iterator[_Token]:
    """Every token, with the lines of ``@file`` in the place of the file."""
    count = 0
    for text in tokens:
        inner = _lines(text) if text.startswith("@") else iter((_Token(text.strip()),))
        for token in inner:
            count += 1
            if count > _MAX_TOKENS:
                raise token.error(f"more than {_MAX_TOKENS:,} targets; write them as ranges")
            yield token


def _lines(text: str) -> Iterator[_Token]:
    path = Path(text[1:])
    try:
        with path.open("rb") as opened:
            content = opened.read(_MAX_FILE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ScopeError(f"{text!r}: cannot be read: {reason}") from None
    if len(content) > _MAX_FILE:
        raise ScopeError(f"{text!r}: longer than {_MAX_FILE >> 20} MiB")
    for number, raw in enumerate(content.splitlines(), 1):
        line = raw.decode("utf-8", "backslashreplace").partition("#")[0].strip().removeprefix("\ufeff")
        token = _Token(line[:_MAX_LINE], f"{text} line {number}: ")
        if len(line) > _MAX_LINE:
            raise token.error("too long for a target")
        if line.startswith("@"):
            raise token.error("a file of targets cannot name another file")
        if line:
            yield token


class _Reader:
    """Reads tokens; remembers which names and zones it met."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._resolved: dict[str, tuple[Span, ...]] = {}
        self.names: dict[str, str] = {}
        self.zones: dict[str, str] = {}

    def spans(self, token: _Token, *, bounded: bool = True) -> tuple[Span, ...]:
        """What the token names; `bounded` refuses IPv6 ranges too wide to sweep. Raises ScopeError."""
        text = token.text
        if not text:
            raise token.error("an empty target")
        if "/" in text:
            span = _net(token)
        elif "-" in text.partition("%")[0] and _LOOKS_NUMERIC.fullmatch(text):
            span = _range(token)
        elif _LOOKS_NUMERIC.fullmatch(text):
            span = self._single(token)
        else:
            return self._named(token)
        if bounded and span.version == 6 and span.size > _WIDEST_V6:
            raise token.error(
                "too wide to sweep: IPv6 hosts are found by asking the groups of their link; name the"
                " single addresses, a range up to /120, or the IPv4 subnet of the same link"
            )
        return (span,)

    def _single(self, token: _Token) -> Span:
        text, percent, zone = token.text.partition("%")
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            raise token.error("not an address, a net, a range or a host name") from None
        local = address.version == 6 and address.is_link_local
        if percent and not (local and _ZONE.fullmatch(zone)):
            raise token.error("only a link-local IPv6 address has an interface behind a %")
        if local and not percent:
            raise token.error(f"link-local: say on which interface, such as {address}%eth0")
        if percent:
            self.zones[str(address)] = zone
        return _span(address, address)

    def _named(self, token: _Token) -> tuple[Span, ...]:
        name = token.text.lower()
        if name in self._resolved:
            return self._resolved[name]
        if not _NAME.fullmatch(name):
            raise token.error("not an address, a net, a range or a host name")
        try:
            texts = tuple(self._resolve(name))[:_MAX_ADDRESSES]
            addresses = [ipaddress.ip_address(text) for text in texts]
        except (OSError, ValueError, UnicodeError):
            addresses = []
        usable = [address for address in addresses if not (address.version == 6 and address.is_link_local)]
        if not usable:
            raise token.error("no address was found for this name")
        for address in usable:
            self.names.setdefault(str(address), token.text)
        self._resolved[name] = tuple(_span(address, address) for address in usable)
        return self._resolved[name]


def _net(token: _Token) -> Span:
    try:
        net = ipaddress.ip_network(token.text)
    except ValueError:
        try:
            meant = ipaddress.ip_network(token.text, strict=False)
        except ValueError:
            raise token.error("not a net in CIDR notation, such as 192.0.2.0/24") from None
        raise token.error(
            f"has host bits; the net is {meant}, the address {token.text.partition('/')[0]}"
        ) from None
    if not token.text.partition("/")[2].isdecimal():
        raise token.error(f"write the prefix length: {net}")
    if net.version == 6 and net.is_link_local:
        raise token.error("link-local addresses cannot be a net; name each with its interface")
    return _span(net.network_address, net.broadcast_address)


def _range(token: _Token) -> Span:
    short = _SHORT_RANGE.fullmatch(token.text)
    first, _, last = token.text.partition("-")
    if short:
        last = f"{short[1]}{short[3]}"
    try:
        start, end = ipaddress.ip_address(first), ipaddress.ip_address(last)
    except ValueError:
        raise token.error("not a range, such as 192.0.2.10-20 or 192.0.2.10-192.0.2.40") from None
    if start.version != end.version:
        raise token.error("a range between two address families")
    if int(start) > int(end):
        raise token.error(f"runs backwards; meant is perhaps {end}-{start}")
    if start.version == 6 and (start.is_link_local or end.is_link_local):
        raise token.error("link-local addresses cannot be a range; name each with its interface")
    return _span(start, end)


def _span(first: _Address, last: _Address) -> Span:
    return Span(4 if first.version == 4 else 6, int(first), int(last))


def _hosts(token: _Token, span: Span, left: dict[LeftOut, None]) -> list[Span]:
    """The part of `span` that hosts can have; what they cannot goes to `left`."""
    if "/" in token.text and span.version == 4 and span.size > 2:
        left[LeftOut(_text(4, span.first), "network address")] = None
        left[LeftOut(_text(4, span.last), "broadcast address")] = None
        span = Span(4, span.first + 1, span.last - 1)
    parts = [span]
    for net, why in _NO_HOST:
        never = _span(net.network_address, net.broadcast_address)
        if any(_common(part, never) for part in parts):
            left |= dict.fromkeys(_cut(parts, [never], why))
            parts = list(_without(parts, [never]))
    return parts


def _own_spans(own: Iterable[str]) -> dict[Span, str]:
    """The scanner's addresses, with the network and broadcast addresses of its links."""
    found: dict[Span, str] = {}
    for text in own:
        face = ipaddress.ip_interface(text)
        net = face.network
        found[_span(face.ip, face.ip)] = "the scanner's own address"
        if net.version == 4 and net.num_addresses > 2 and not net.is_loopback:
            found.setdefault(_span(net.network_address, net.network_address), "network address")
            found.setdefault(_span(net.broadcast_address, net.broadcast_address), "broadcast address")
    return found


def _without(wanted: Iterable[Span], unwanted: Iterable[Span]) -> tuple[Span, ...]:
    """`wanted` merged, without `unwanted`."""
    return _spans_of(_gathered(wanted) - _gathered(unwanted))


def _gathered(spans: Iterable[Span]) -> IPSet:
    from netaddr import IPAddress, IPRange, IPSet  # noqa: PLC0415 - 0.07 s, only when something is scanned

    return IPSet(
        IPRange(IPAddress(span.first, span.version), IPAddress(span.last, span.version)) for span in spans
    )


def _spans_of(addresses: IPSet) -> tuple[Span, ...]:
    return tuple(
        sorted(
            Span(4 if part.version == 4 else 6, int(part.first), int(part.last))
            for part in addresses.iter_ipranges()
        )
    )


def _cut(spans: Iterable[Span], away: Iterable[Span], why: str) -> Iterator[LeftOut]:
    """What `away` takes from `spans`, for the list of what was left out."""
    return (LeftOut(str(span), why) for span in _spans_of(_gathered(spans) & _gathered(away)))


def _common(one: Span, other: Span) -> Span | None:
    if one.version != other.version:
        return None
    first, last = max(one.first, other.first), min(one.last, other.last)
    return Span(one.version, first, last) if first <= last else None


def _merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Sorted, those that overlap or touch made one."""
    found: list[Span] = []
    for span in sorted(spans):
        last = found[-1] if found else None
        if last is not None and last.version == span.version and span.first <= last.last + 1:
            found[-1] = Span(last.version, last.first, max(last.last, span.last))
        else:
            found.append(span)
    return tuple(found)


def _minus(spans: Iterable[Span], away: Iterable[Span]) -> tuple[Span, ...]:
    """`spans` without `away`, both merged and sorted."""
    found: list[Span] = []
    cuts = _merged(away)
    for span in spans:
        first = span.first
        for cut in cuts:
            if cut.version != span.version or cut.last < first or cut.first > span.last:
                continue
            if cut.first > first:
                found.append(Span(span.version, first, cut.first - 1))
            first = cut.last + 1
        if first <= span.last:
            found.append(Span(span.version, first, span.last))
    return tuple(found)


def _is_local(span: Span) -> bool:
    return any(
        net.version == span.version
        and int(net.network_address) <= span.first
        and span.last <= int(net.broadcast_address)
        for net in _LOCAL
    )


def _text(version: int, number: int) -> str:
    return str(ipaddress.IPv4Address(number) if version == 4 else ipaddress.IPv6Address(number))


def _summarize(first: _Address, last: _Address) -> Iterator[_Network]:
    if isinstance(first, ipaddress.IPv4Address) and isinstance(last, ipaddress.IPv4Address):
        return ipaddress.summarize_address_range(first, last)
    if isinstance(first, ipaddress.IPv6Address) and isinstance(last, ipaddress.IPv6Address):
        return ipaddress.summarize_address_range(first, last)
    return iter(())


def _permuted(count: int, seed: int) -> Iterator[int]:
    """Every number below `count` once: a Feistel network over the next power of four.

    Whatever the round function is, such a network is a permutation of its domain; numbers
    from `count` on are passed over. The domain is less than four times `count`.
    """
    half = max(1, ((count - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    digest = hashlib.blake2b(seed.to_bytes(16, "big", signed=True), digest_size=16).digest()
    keys = [int.from_bytes(digest[at : at + 4]) for at in range(0, 16, 4)]
    for index in range(1 << (2 * half)):
        left, right = index >> half, index & mask
        for key in keys:
            mixed = ((right + key) * 0x9E3779B1) & 0xFFFFFFFF
            left, right = right, left ^ ((mixed ^ mixed >> 15) >> 3 & mask)
        number = left << half | right
        if number < count:
            yield number
