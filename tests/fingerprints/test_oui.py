"""MAC addresses lead to the registered owner of their block."""

from __future__ import annotations

import asyncio
from importlib import metadata
from pathlib import Path

import aiooui
import pytest

from fingerprints import oui
from fingerprints.oui import REGISTRY_DATES, Registry, RegistryError, is_locally_administered, normalise_mac


@pytest.mark.parametrize(
    ("text", "mac"),
    [
        ("28-57-BE-00-00-01", "28:57:be:00:00:01"),
        ("2857.be00.0001", "28:57:be:00:00:01"),
        ("2857be", "28:57:be"),
        ("2857be000001", "28:57:be:00:00:01"),
        ("2857be0", None),
        ("28:57:be:00:00:0g", None),
        ("", None),
    ],
)
def test_spellings(text: str, mac: str | None) -> None:
    """Every usual spelling becomes one; anything else is refused."""
    assert normalise_mac(text) == mac


def test_packaged_registry_knows_large_and_small_blocks() -> None:
    """24-bit owners come from one package, 28- and 36-bit owners from the other."""
    registry = Registry.packaged()
    assert (registry.organisation("28:57:be:00:00:01") or "").startswith("Hangzhou Hikvision")
    assert (registry.organisation("58:e8:76:00:00:01") or "").startswith("Zhuhai Raysharp")
    assert registry.organisation("58:e8:76") is None


def test_the_table_gives_what_its_package_gives() -> None:
    """Read in place, the table of aiooui has the owner that aiooui itself finds, or none where it has none."""
    asyncio.run(aiooui.async_load())
    table = oui._table()
    assert table is not None
    keys = table[0].tolist()
    assert len(keys) > 30_000
    lookup = oui._lookup()
    asked = {near for key in keys[::7] for near in (key - 1, key, key + 1)} | {0, keys[0], keys[-1], 0xFFFFFF}
    for number in asked:
        assert lookup(f"{number:06x}") == aiooui.get_vendor(f"{number:06x}")


def test_small_blocks_are_kept(tmp_path: Path) -> None:
    """The 28- and 36-bit blocks are the same when taken up from an earlier run."""
    anew = dict(oui._small(None))
    assert anew == oui._small(tmp_path)
    oui._small.cache_clear()
    assert anew == oui._small(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["blocks"]


def test_registry_dates_are_those_of_the_locked_packages() -> None:
    """The month printed in reports belongs to the package that is installed."""
    for package in ("aiooui", "scapy"):
        assert f"{package} {metadata.version(package)}" in REGISTRY_DATES


def test_local_bit() -> None:
    """The second bit of the first byte decides."""
    assert is_locally_administered("2a:57:be:00:00:01")
    assert not is_locally_administered("28:57:be:00:00:01")


@pytest.mark.parametrize(
    "text",
    [
        'Registry,Assignment,Name,Address\nMA-L,2857BE,"Someone, Ltd",Addr\nMA-M,58E8760,Small,Addr\n',
        "28-57-BE   (hex)\t\tSomeone, Ltd\n2857BE     (base 16)\t\tSomeone, Ltd\n58-E8-76   (hex)\t\tSmall\n",
        "28:57:BE\tSome\tSomeone, Ltd\n58:E8:76:00:00:00/28\tSmall\tSmall\n",
    ],
)
def test_users_own_file_replaces_the_packages(tmp_path: Path, text: str) -> None:
    """The IEEE's CSV and text layouts, as well as Wireshark's, are read; the report names the file."""
    path = tmp_path / "oui.txt"
    path.write_text(text, encoding="utf-8")
    registry = Registry.from_file(path)
    assert registry.organisation("28:57:be:00:00:01") == "Someone, Ltd"
    assert registry.organisation("58:e8:76:01:02:03") == "Small"
    assert registry.organisation("00:40:8c:00:00:01") is None
    assert registry.source == str(path)


def test_a_useless_file_is_refused(tmp_path: Path) -> None:
    """A file with no block in it, or none at all, is refused by name."""
    path = tmp_path / "notes.txt"
    path.write_text("hello\n", encoding="utf-8")
    with pytest.raises(RegistryError, match=r"notes\.txt"):
        Registry.from_file(path)
    with pytest.raises(RegistryError, match=r"missing\.csv"):
        Registry.from_file(tmp_path / "missing.csv")
