"""Knowledge packs: a signed archive of knowledge files, checked before any of it is used.

A pack is a zip with ``manifest.json`` (format, number, SHA-256 of every file), the files
themselves, and ``manifest.sig``: an ed25519 signature of the manifest's bytes (RFC 8032).
`install` refuses a pack that is not signed by a trusted key, was changed, is not newer than
what is there, or whose rules do not load and pass their own examples. It needs no network.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tomllib
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fingerprints.lint import check, prove
from fingerprints.policy import load_policy
from fingerprints.rules import HERE, Knowledge, RuleError, load_knowledge

__all__ = ["MAX_PACK", "PackError", "build", "current_folder", "install", "number_of", "shipped_number"]

MAX_PACK: Final = 64 * 1024 * 1024
_MAX_FILES: Final = 2_000
_FORMAT: Final = 1
_NAME: Final = re.compile(r"(?:manufacturers/|policies/)?[a-z0-9][a-z0-9.-]{0,80}\.toml")
_MANIFEST: Final = "manifest.json"
_SIGNATURE: Final = "manifest.sig"
_NUMBER: Final = "pack.toml"


class PackError(Exception):
    """A pack is refused: names the file and why; nothing of it was installed."""


@dataclass(frozen=True, slots=True)
class _Manifest:
    number: int
    files: Mapping[str, str]


def shipped_number(folder: Path = HERE) -> int:
    """The number of the knowledge in `folder`; a newer pack has a higher one."""
    document = tomllib.loads((folder / _NUMBER).read_text(encoding="utf-8"))
    return int(document["number"])


def current_folder(installed: Path) -> Path:
    """The installed pack's folder where it is newer than the shipped knowledge, else the shipped one.

    A folder that cannot be looked into (another user's home) holds no pack for us.
    """
    try:
        newer = shipped_number(installed) > shipped_number()
    except OSError:
        return HERE
    return installed if newer else HERE


def number_of(pack: Path) -> int:
    """The number that a pack says it has; nothing of it is believed yet. Raises PackError."""
    return _manifest(pack, _read(pack).get(_MANIFEST, b"")).number


def build(source: Path, number: int, private_key: bytes, out: Path) -> None:
    """Write a pack of the knowledge in `source`, signed with an ed25519 key (PEM); raises PackError."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - heavy
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - heavy

    try:
        key = serialization.load_pem_private_key(private_key, None)
    except (ValueError, TypeError) as error:
        raise PackError(f"the private key cannot be read: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise PackError("the private key is not an ed25519 key")
    contents = {
        str(path.relative_to(source)): path.read_bytes()
        for path in sorted(source.rglob("*.toml"))
        if _NAME.fullmatch(str(path.relative_to(source))) and path.name != _NUMBER
    }
    contents[_NUMBER] = f"number = {number}\n".encode()
    manifest = json.dumps(
        {
            "format": _FORMAT,
            "number": number,
            "files": {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()},
        },
        indent=1,
        sort_keys=True,
    ).encode()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_MANIFEST, manifest)
        archive.writestr(_SIGNATURE, key.sign(manifest))
        for name, data in contents.items():
            archive.writestr(name, data)


def install(pack: Path, public_keys: Iterable[bytes], installed: Path) -> Knowledge:
    """Check `pack` against the trusted keys (PEM) and put it in `installed`; the knowledge it holds.

    Raises PackError and leaves what was installed as it was. The change of folders is the last
    step, so that a crash leaves either the old knowledge or the new.
    """
    contents = _read(pack)
    raw = contents.pop(_MANIFEST, b"")
    _verify(pack, raw, contents.pop(_SIGNATURE, b""), public_keys)
    manifest = _manifest(pack, raw)
    if set(contents) != set(manifest.files):
        raise PackError(f"{pack}: its files are not those of its manifest")
    for name, digest in manifest.files.items():
        if hashlib.sha256(contents[name]).hexdigest() != digest:
            raise PackError(f"{pack}: {name} was changed after signing")
    present = shipped_number(current_folder(installed))
    if manifest.number <= present:
        raise PackError(f"{pack}: is number {manifest.number}; number {present} is in use and not older")
    fresh = installed.with_name(installed.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    for name, data in contents.items():
        path = fresh / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    try:
        knowledge = _proven(pack, fresh)
        old = installed.with_name(installed.name + ".old")
        shutil.rmtree(old, ignore_errors=True)
        if installed.exists():
            installed.rename(old)
        fresh.rename(installed)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return knowledge


def _read(pack: Path) -> dict[str, bytes]:
    """Every file of the archive, within bounds; anything odd is refused."""
    try:
        with zipfile.ZipFile(pack) as archive:
            rows = archive.infolist()
            if len(rows) > _MAX_FILES or sum(row.file_size for row in rows) > MAX_PACK:
                raise PackError(f"{pack}: holds more than a pack may")
            for row in rows:
                if row.filename not in {_MANIFEST, _SIGNATURE} and not _NAME.fullmatch(row.filename):
                    raise PackError(f"{pack}: holds {row.filename[:100]!r}, which no pack has")
            contents = {}
            for row in rows:
                with archive.open(row) as stream:
                    data = stream.read(row.file_size + 1)
                if len(data) != row.file_size or row.filename in contents:
                    raise PackError(f"{pack}: {row.filename} is not what the archive says")
                contents[row.filename] = data
            return contents
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise PackError(f"{pack}: is not a readable pack: {error}") from None


def _verify(pack: Path, manifest: bytes, signature: bytes, public_keys: Iterable[bytes]) -> None:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - heavy
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - heavy
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - heavy

    known = 0
    for pem in public_keys:
        try:
            key = serialization.load_pem_public_key(pem)
        except ValueError as error:
            raise PackError(f"a trusted key cannot be read: {error}") from None
        if not isinstance(key, Ed25519PublicKey):
            raise PackError("a trusted key is not an ed25519 key")
        known += 1
        try:
            key.verify(signature, manifest)
        except InvalidSignature:
            continue
        return
    if known:
        raise PackError(f"{pack}: is not signed by a trusted key")
    raise PackError(f"{pack}: no key is trusted yet: name one with --key")


def _manifest(pack: Path, raw: bytes) -> _Manifest:
    try:
        document: Any = json.loads(raw)
        if document["format"] != _FORMAT:
            raise PackError(f"{pack}: is of format {document['format']!r}; {_FORMAT} is read")
        files = {str(name): str(digest) for name, digest in document["files"].items()}
        return _Manifest(int(document["number"]), files)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PackError(f"{pack}: its manifest cannot be read: {error}") from None


def _proven(pack: Path, folder: Path) -> Knowledge:
    try:
        knowledge = load_knowledge(folder)
        for path in sorted((folder / "policies").glob("*.toml")):
            load_policy(path, knowledge)
    except RuleError as error:
        raise PackError(f"{pack}: its knowledge is wrong: {error}") from None
    faults = [*check(knowledge), *prove(knowledge)]
    if faults:
        raise PackError(f"{pack}: {len(faults)} rules fail their own examples, first {faults[0]}")
    return knowledge
