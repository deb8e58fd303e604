"""Tests that the allow-list holds what was meant, nothing else."""

from __future__ import annotations

import ipaddress
import itertools
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.scope import Scope, ScopeError

NAMES = {
    "cam-1.example": ("192.0.2.77",),
    "both.example": ("192.0.2.78", "2001:db8::78"),
    "out.example": ("8.8.8.8",),
}


def resolve(name: str) -> tuple[str, ...]:
    if name not in NAMES:
        raise OSError(name)
    return NAMES[name]


def parse(
    *tokens: str, exclude: tuple[str, ...] = (), public: tuple[str, ...] = (), own: tuple[str, ...] = ()
) -> Scope:
    return Scope.parse(tokens, exclude=exclude, allow_public=public, own=own, resolve=resolve)


@pytest.mark.parametrize(
    ("token", "first", "last", "count"),
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.7", 1),
        ("192.0.2.0/24", "192.0.2.1", "192.0.2.254", 254),
        ("192.0.2.8/31", "192.0.2.8", "192.0.2.9", 2),
        ("192.0.2.8/32", "192.0.2.8", "192.0.2.8", 1),
        ("192.0.2.10-20", "192.0.2.10", "192.0.2.20", 11),
        ("10.0.2.10-10.0.3.9", "10.0.2.10", "10.0.3.9", 256),
        ("2001:db8::7", "2001:db8::7", "2001:db8::7", 1),
        ("2001:db8::/120", "2001:db8::", "2001:db8::ff", 256),
        ("2001:db8::10-2001:db8::1f", "2001:db8::10", "2001:db8::1f", 16),
        ("fe80::1%br-lan", "fe80::1%br-lan", "fe80::1%br-lan", 1),
        ("cam-1.example", "192.0.2.77", "192.0.2.77", 1),
    ],
)
def test_every_spelling(token: str, first: str, last: str, count: int) -> None:
    """Each way to write a target gives the addresses it means."""
    scope = parse(token)
    every = sorted(scope, key=lambda ip: int(ipaddress.ip_address(ip.partition("%")[0])))
    assert (every[0], every[-1], len(every), len(scope)) == (first, last, count, count)


@pytest.mark.parametrize(
    ("token", "says"),
    [
        ("192.168.1", "not an address"),
        ("192.168.1.0/24x", "CIDR"),
        ("192.168.1.5/24", "the net is 192.168.1.0/24"),
        ("192.168.1.0/33", "CIDR"),
        ("192.168.1.0/255.255.255.0", "write the prefix length: 192.168.1.0/24"),
        ("192.168.1.20-10", "runs backwards"),
        ("192.168.1.20-192.168.1.10", "meant is perhaps 192.168.1.10-192.168.1.20"),
        ("192.168.1.1-256", "not a range"),
        ("192.168.1-2.5", "not a range"),
        ("192.168.01.5", "not an address"),
        ("192.168.1.*", "not an address"),
        ("10.0.0.1-2001:db8::1", "two address families"),
        ("2001:db8::/64", "name the single addresses"),
        ("2001:db8::1-2001:db8::ffff", "name the single addresses"),
        ("::/0", "too wide to sweep"),
        ("fe80::1", "on which interface"),
        ("192.0.2.1%eth0", "only a link-local"),
        ("fe80::/120", "with its interface"),
        ("nowhere.example", "no address was found"),
        ("http://192.0.2.1/", "CIDR"),
        ("user@192.0.2.1", "not an address"),
        ("8.8.8.8", "public"),
        ("out.example", "public"),
        ("10.0.0.0/8", "more than"),
        ("224.0.0.1", "multicast"),
        ("", "empty"),
    ],
)
def test_refused_with_the_token(token: str, says: str) -> None:
    """What is not exactly a target is refused; the error names the token, then what is wrong."""
    others = [] if says == "multicast" else ["192.0.2.1"]
    with pytest.raises(ScopeError) as error:
        parse(*others, token)
    assert token in str(error.value)
    assert says in str(error.value)


def test_public_only_when_named_twice() -> None:
    """A public range counts if --allow-public names the same range; a wider one does not do."""
    assert len(parse("8.8.8.0/24", public=("8.8.8.0/24",))) == 254
    assert len(parse("8.8.8.0-255", public=("8.8.8.0/24",))) == 256
    for other in ("0.0.0.0/0", "8.8.0.0/16", "8.8.8.8"):
        with pytest.raises(ScopeError, match="name the same range"):
            parse("8.8.8.0/24", public=(other,))
    with pytest.raises(ScopeError, match="public"):
        parse("9.255.255.250-10.0.0.5")


def test_what_is_left_out_is_listed() -> None:
    """Network, broadcast, excluded and own addresses are not asked, and are told with the reason."""
    scope = parse("192.0.2.0/24", exclude=("192.0.2.16/28",), own=("192.0.2.2/24",))
    asked = set(scope)
    told = {item.what: item.why for item in scope.left_out}
    assert told == {
        "192.0.2.0": "network address",
        "192.0.2.255": "broadcast address",
        "192.0.2.16/28": "excluded",
        "192.0.2.2": "the scanner's own address",
    }
    assert asked.isdisjoint({"192.0.2.0", "192.0.2.255", "192.0.2.2", "192.0.2.16", "192.0.2.31"})
    assert len(asked) == 254 - 16 - 1
    assert not scope.allows("192.0.2.20")
    assert "237 addresses" in scope.describe()
    assert "192.0.2.2 (the scanner's own address)" in scope.describe()


def test_own_broadcast_inside_a_range() -> None:
    """The broadcast address of the scanner's own net is not asked, however the target was written."""
    assert "192.0.2.255" not in set(parse("192.0.2.250-255", own=("192.0.2.2/24",)))


def test_nothing_left() -> None:
    """A scope without a single address is an error that says why."""
    with pytest.raises(ScopeError, match=r"no address is left to ask.*excluded"):
        parse("192.0.2.5", exclude=("192.0.2.0/24",))


def test_overlaps_are_merged() -> None:
    """An address that several targets name is asked once; a net's edge inside a wider net is a host."""
    scope = parse("10.0.0.0/24", "10.0.0.0/23", "10.0.0.250-10.0.1.5", "10.0.1.1")
    assert len(scope) == len(list(scope)) == len(set(scope)) == 510
    assert scope.allows("10.0.0.255")


def test_names_are_kept() -> None:
    """The name an address was resolved from is told; every address of a name is asked."""
    scope = parse("both.example")
    assert set(scope) == {"192.0.2.78", "2001:db8::78"}
    assert scope.names == {"192.0.2.78": "both.example", "2001:db8::78": "both.example"}


def test_file_of_targets(tmp_path: Path) -> None:
    """A file names one target a line; comments and empty lines count as nothing."""
    path = tmp_path / "targets.txt"
    path.write_text("\ufeff192.0.2.1\n# a comment\n\n192.0.2.2 # behind a target\r\ncam-1.example\n")
    assert set(parse(f"@{path}")) == {"192.0.2.1", "192.0.2.2", "192.0.2.77"}


@pytest.mark.parametrize("line", ["192.0.2.300", "@more.txt", "x" * 5000, "192.0.2.1 192.0.2.2"])
def test_file_error_names_the_line(tmp_path: Path, line: str) -> None:
    """A bad line is refused with file and line number."""
    path = tmp_path / "targets.txt"
    path.write_text(f"192.0.2.1\n{line}\n")
    with pytest.raises(ScopeError, match=r"targets\.txt line 2: "):
        parse(f"@{path}")


def test_file_is_bounded(tmp_path: Path) -> None:
    """A huge or missing file is one error, not a full memory."""
    with pytest.raises(ScopeError, match="cannot be read"):
        parse(f"@{tmp_path}/none")
    with pytest.raises(ScopeError, match="longer than"):
        parse("@/dev/zero")
    path = tmp_path / "many"
    path.write_text("192.0.2.1\n" * 70_000)
    with pytest.raises(ScopeError, match=r"line 65537: .*more than"):
        parse(f"@{path}")


@given(st.text(max_size=40))
@example("0.0.0.0/0")
@example("::/0")
@example("192.0.2.0/\uff12\uff14")
@example("-")
@example("1.2.3.4-")
@example("%")
@example("fe80::1%")
@example("\u0663.0.0.1")
def test_only_scope_error_escapes(token: str) -> None:
    """Whatever the token, it is a scope or a ScopeError."""
    if token.startswith("@"):
        token = "_" + token
    try:
        scope = parse(token, public=(token,))
    except ScopeError:
        return
    assert len(scope) > 0


@given(
    st.lists(
        st.tuples(st.integers(0, 600), st.integers(0, 40)).map(
            lambda pair: (
                f"10.0.0.0-10.0.{(pair[0] + pair[1]) // 256}.{(pair[0] + pair[1]) % 256}"
                if pair[0] == 0
                else f"10.0.{pair[0] // 256}.{pair[0] % 256}-10.0.{(pair[0] + pair[1]) // 256}.{(pair[0] + pair[1]) % 256}"
            )
        ),
        min_size=1,
        max_size=6,
    ),
    st.integers(-5, 2**40),
)
def test_permutation_visits_each_once(tokens: list[str], seed: int) -> None:
    """Every address of any scope is given exactly once under every seed, and all are allowed."""
    scope = parse(*tokens)
    every = list(scope.shuffled(seed))
    assert len(every) == len(set(every)) == len(scope)
    assert all(scope.allows(ip) for ip in every)


def test_order_jumps_over_subnets() -> None:
    """Of 16 subnets, any 64 addresses in a row touch most; the order is the same again."""
    scope = parse("10.0.0.0/20")
    every = list(scope)
    assert every == list(scope)
    assert every != list(scope.shuffled(1))
    for at in range(0, 4000, 256):
        assert len({ip.rpartition(".")[0] for ip in every[at : at + 64]}) >= 12


def test_memory_is_flat() -> None:
    """The first addresses of a million come without a list of the rest."""
    scope = parse("10.0.0.0/12")
    tracemalloc.start()
    first = list(itertools.islice(scope, 1000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(set(first)) == 1000
    assert peak < 1_000_000


@pytest.mark.parametrize(
    ("ip", "allowed"),
    [
        ("10.0.0.1", True),
        ("10.0.0.0", False),
        ("10.0.1.1", False),
        ("9.255.255.255", False),
        ("2001:DB8:0::5", True),
        ("2001:db8::6", False),
        ("fe80::1%eth1", False),
        ("nonsense", False),
        ("", False),
    ],
)
def test_allows(ip: str, allowed: bool) -> None:
    """Only addresses that were named are allowed, in any spelling."""
    assert parse("10.0.0.0/24", "2001:db8::5").allows(ip) is allowed


def test_overlap_with_a_link() -> None:
    """A link counts as touched when any of its addresses is in the scope."""
    scope = parse("10.0.0.5", "2001:db8::5")
    assert scope.overlaps("10.0.0.200/24")
    assert scope.overlaps("2001:db8::1/64")
    assert not scope.overlaps("10.0.1.1/24")
    assert not scope.overlaps("fe80::1/64")


def test_split_into_networks_and_the_rest() -> None:
    """Each address is on one side exactly once; network addresses of the scope stay left out."""
    scope = Scope.parse(["10.0.0.0/24", "10.0.2.0/24", "2001:db8::1"])
    inside, rest = scope.split(["10.0.0.128/25", "10.0.0.130/32", "10.9.0.0/16"])
    assert [str(span) for span in inside.spans] == ["10.0.0.128-10.0.0.254"]
    assert len(inside) + len(rest) == len(scope)
    assert set(inside) | set(rest) == set(scope)
    assert rest.split(["::/0"])[0].spans == Scope.parse(["2001:db8::1"]).spans


def test_numbers_are_the_same_addresses() -> None:
    """The integers are the IPv4 addresses of the scope, each once, and no others."""
    scope = Scope.parse(["10.0.0.0/24", "10.0.2.7", "2001:db8::1"])
    numbers = list(scope.numbers())
    assert len(numbers) == len(set(numbers))
    assert {str(ipaddress.IPv4Address(number)) for number in numbers} == {ip for ip in scope if ":" not in ip}


def test_the_parts_of_the_scope_by_subnet() -> None:
    """Each /24 that the scope touches is named by what of it is in the scope, and not without end."""
    scope = Scope.parse(["192.0.2.0/24", "10.9.0.7", "10.9.0.250-10.9.1.3", "2001:db8::1"])
    assert scope.subnets() == (
        "10.9.0.7",
        "10.9.0.250-10.9.0.255",
        "10.9.1.0/30",
        "192.0.2.1-192.0.2.254",
        "2001:db8::1",
    )
    assert len(Scope.parse(["10.0.0.0/12"], limit=1 << 20).subnets(most=50)) == 50
