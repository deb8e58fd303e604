"""Knowledge packs are installed only when they are signed, whole, newer and right."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fingerprints.pack import PackError, build, current_folder, install, shipped_number
from fingerprints.rules import HERE, load_knowledge
from tests.small_knowledge import ACME, OTHER, small_folder


def key_pair() -> tuple[bytes, bytes]:
    """A new private and public key as PEM."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private, public


PRIVATE, PUBLIC = key_pair()


def packed(tmp_path: Path, number: int, **files: str) -> Path:
    """A pack of the small knowledge."""
    out = tmp_path / f"{number}.ccpack"
    build(small_folder(tmp_path / f"source{number}", **files), number, PRIVATE, out)
    return out


def test_a_newer_signed_pack_is_used(tmp_path: Path) -> None:
    """After installing, its folder is the current one; before, the shipped one is."""
    installed = tmp_path / "knowledge"
    assert current_folder(installed) == HERE
    install(packed(tmp_path, shipped_number() + 1), [PUBLIC], installed)
    assert current_folder(installed) == installed
    assert set(load_knowledge(installed).manufacturers) == {"Acme", "Other"}
    install(packed(tmp_path, shipped_number() + 2, acme=ACME), [PUBLIC], installed)
    assert set(load_knowledge(installed).manufacturers) == {"Acme"}


def test_a_missing_or_odd_folder_holds_no_pack(tmp_path: Path) -> None:
    """A file where the folder should be, or nothing at all, leaves the shipped knowledge in use."""
    (tmp_path / "file").write_text("x", encoding="utf-8")
    assert current_folder(tmp_path / "file") == HERE
    assert current_folder(tmp_path / "nothing") == HERE


def test_an_older_or_equal_pack_is_refused(tmp_path: Path) -> None:
    """Knowledge never goes back."""
    installed = tmp_path / "knowledge"
    install(packed(tmp_path, 9), [PUBLIC], installed)
    for number in (8, 9):
        with pytest.raises(PackError, match="number 9 is in use"):
            install(packed(tmp_path, number), [PUBLIC], installed)


def test_foreign_and_missing_keys_are_refused(tmp_path: Path) -> None:
    """Another's signature is none; without a trusted key nothing is installed."""
    pack = packed(tmp_path, 9)
    with pytest.raises(PackError, match="not signed by a trusted key"):
        install(pack, [key_pair()[1]], tmp_path / "knowledge")
    with pytest.raises(PackError, match="no key is trusted"):
        install(pack, [], tmp_path / "knowledge")
    assert not (tmp_path / "knowledge").exists()


def rewritten(pack: Path, change: dict[str, bytes | None]) -> Path:
    """The pack with files replaced, added or (None) taken out."""
    out = pack.with_suffix(".changed")
    with zipfile.ZipFile(pack) as old, zipfile.ZipFile(out, "w") as new:
        contents = {name: old.read(name) for name in old.namelist()}
        for name, data in {**contents, **change}.items():
            if data is not None:
                new.writestr(name, data)
    return out


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"manufacturers/acme.toml": b"x = 1"}, "was changed after signing"),
        ({"manufacturers/acme.toml": None}, "not those of its manifest"),
        ({"manufacturers/more.toml": b""}, "not those of its manifest"),
        ({"../evil.toml": b""}, "which no pack has"),
        ({"manifest.sig": b"0" * 64}, "not signed"),
        ({"manifest.json": b"{}"}, "not signed"),
    ],
)
def test_changed_packs_are_refused(tmp_path: Path, change: dict[str, bytes | None], says: str) -> None:
    """Any change to the archive is noticed and nothing is installed."""
    pack = rewritten(packed(tmp_path, 9), change)
    with pytest.raises(PackError, match=says):
        install(pack, [PUBLIC], tmp_path / "knowledge")
    assert not (tmp_path / "knowledge").exists()


def test_wrong_rules_are_refused_however_well_signed(tmp_path: Path) -> None:
    """A pack whose rules fail their own examples leaves the old knowledge in place."""
    installed = tmp_path / "knowledge"
    install(packed(tmp_path, 9), [PUBLIC], installed)
    broken = ACME.replace('examples = ["inquiry"]', 'examples = ["enquiry"]')
    with pytest.raises(PackError, match="fail their own examples"):
        install(packed(tmp_path, 10, acme=broken, other=OTHER), [PUBLIC], installed)
    with pytest.raises(PackError, match="its knowledge is wrong"):
        install(packed(tmp_path, 11, acme="[manufacturer]\n"), [PUBLIC], installed)
    assert shipped_number(installed) == 9


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"hello", b"PK\x05\x06" + b"\0" * 18])
def test_rubbish_is_refused(tmp_path: Path, data: bytes) -> None:
    """What is no pack is refused by name."""
    pack = tmp_path / "x.ccpack"
    pack.write_bytes(data)
    with pytest.raises(PackError, match=r"x\.ccpack"):
        install(pack, [PUBLIC], tmp_path / "knowledge")
