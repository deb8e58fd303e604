"""A bundle: parcels that travel by hand, with the receipts that travel back.

A tar file: ``manifest.json`` (format, agent, when, for each parcel its words, size, SHA-256),
``manifest.sig`` (ed25519 over the manifest's bytes, hex), then the bodies. Receipts are one JSON
document with its signature beside it. Every number is bounded; nothing is unpacked to the disk.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from exchange.keys import BadKey, PublicKey, SigningKey
from exchange.parcel import MAX_BODY, Parcel, ParcelError, Receipt

__all__ = ["Bundle", "BundleError", "opened", "read_receipts", "write", "write_receipts"]

_FORMAT: Final = 1
_MANIFEST: Final = "manifest.json"
_SIGNATURE: Final = "manifest.sig"
_MAX_MANIFEST: Final = 64 * 1024 * 1024
_MAX_PARCELS: Final = 100_000
_SIGNATURE_LENGTH: Final = 128


class BundleError(Exception):
    """A file is no bundle, or not one to be believed; the text names it. Nothing of it was taken."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose manifest is sound: who made it, and what it holds. `signed` by the key given, if any."""

    path: Path
    agent: str
    made: str
    rows: tuple[Mapping[str, Any], ...]

    def parcels(self) -> Iterator[Parcel]:
        """Each parcel, its body as the manifest says; raises BundleError where one is not."""
        try:
            with tarfile.open(self.path, "r:") as tar:
                for number, row in enumerate(self.rows, 1):
                    member = tar.getmember(f"parcel-{number}")
                    if not member.isreg() or member.size != row["size"]:
                        raise BundleError(f"{self.path}: parcel {number} is not as long as it should be")
                    held = tar.extractfile(member)
                    body = held.read(MAX_BODY + 1) if held is not None else b""
                    if hashlib.sha256(body).hexdigest() != row["sha256"]:
                        raise BundleError(f"{self.path}: parcel {number} was changed")
                    yield Parcel.from_headers(row["headers"], body)
        except (tarfile.TarError, OSError, KeyError, ParcelError, EOFError) as error:
            raise BundleError(f"{self.path}: {_plain(error)}") from None


def write(path: Path, parcels: Iterable[Parcel], agent: str, made: str, key: SigningKey) -> int:
    """Write a bundle whole or not at all; how many parcels it holds. Raises OSError."""
    bodies = path.with_name(f".{path.name}.bodies")
    part = path.with_name(f".{path.name}.part")
    rows: list[dict[str, Any]] = []
    try:
        with bodies.open("wb") as held:
            for parcel in parcels:
                if len(rows) == _MAX_PARCELS:
                    break
                held.write(parcel.body)
                digest = hashlib.sha256(parcel.body).hexdigest()
                rows.append({"headers": parcel.headers(), "size": len(parcel.body), "sha256": digest})
        document = {"format": _FORMAT, "agent": agent, "made": made, "parcels": rows}
        manifest = json.dumps(document, separators=(",", ":")).encode()
        with tarfile.open(part, "w:", format=tarfile.USTAR_FORMAT) as tar, bodies.open("rb") as held:
            _add(tar, _MANIFEST, manifest)
            _add(tar, _SIGNATURE, key.sign(manifest).encode())
            for number, row in enumerate(rows, 1):
                info = tarfile.TarInfo(f"parcel-{number}")
                info.size, info.mode = row["size"], 0o600
                tar.addfile(info, held)
        with part.open("rb") as done:
            os.fsync(done.fileno())
        part.replace(path)
    finally:
        bodies.unlink(missing_ok=True)
        part.unlink(missing_ok=True)
    return len(rows)


def opened(path: Path, key_of: Mapping[str, str] | None = None) -> Bundle:
    """Look at a bundle; `key_of` gives the public key of each agent, by which it has to be signed.

    Raises BundleError.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            manifest = _member(tar, _MANIFEST, _MAX_MANIFEST)
            signature = _member(tar, _SIGNATURE, _SIGNATURE_LENGTH).decode("ascii")
        document = json.loads(manifest)
        bundle = _checked(path, document)
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from None
    except (tarfile.TarError, OSError, ValueError, KeyError, EOFError, RecursionError) as error:
        raise BundleError(f"{path}: is no bundle: {_plain(error)}") from None
    if key_of is not None:
        try:
            known = PublicKey(key_of.get(bundle.agent, ""))
        except BadKey:
            raise BundleError(f"{path}: no agent called {bundle.agent!r} has enrolled") from None
        if not known.signed(signature, manifest):
            raise BundleError(f"{path}: is not signed by agent {bundle.agent}, or was changed")
    return bundle


def write_receipts(path: Path, receipts: Iterable[Receipt], sign: Any) -> None:
    """Write receipts, signed by the inventory's key: `sign` makes hex of bytes. Raises OSError."""
    text = json.dumps([receipt.to_json() for receipt in receipts], separators=(",", ":"))
    signed = {"format": _FORMAT, "receipts": text, "signature": sign(text.encode())}
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(json.dumps(signed), encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_receipts(path: Path, key: str) -> list[Receipt]:
    """The receipts in a file that the inventory of this public key has signed; raises BundleError."""
    try:
        with path.open("rb") as held:
            content = held.read(_MAX_MANIFEST + 1)
        if len(content) > _MAX_MANIFEST:
            raise BundleError(f"{path}: is too long")
        document = json.loads(content)
        text, signature = str(document["receipts"]), str(document["signature"])
        if not PublicKey(key).signed(signature, text.encode()):
            raise BundleError(f"{path}: is not signed by the inventory of this agent")
        return [Receipt.from_json(row) for row in json.loads(text)]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, ParcelError, BadKey) as error:
        raise BundleError(f"{path}: holds no receipts: {_plain(error)}") from None


def _checked(path: Path, document: Any) -> Bundle:
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise BundleError("is a bundle of another format")
    rows = document.get("parcels")
    if not isinstance(rows, list) or len(rows) > _MAX_PARCELS:
        raise BundleError("says of no number of parcels that can be")
    for number, row in enumerate(rows, 1):
        headers = row.get("headers") if isinstance(row, dict) else None
        size = row.get("size") if isinstance(row, dict) else None
        plain = isinstance(headers, dict) and all(isinstance(text, str) for text in headers.values())
        if not plain or not isinstance(size, int) or not 0 <= size <= MAX_BODY:
            raise BundleError(f"parcel {number} of the manifest is none")
        if not isinstance(row.get("sha256"), str):
            raise BundleError(f"parcel {number} of the manifest has no digest")
    return Bundle(path, str(document.get("agent", "")), str(document.get("made", "")), tuple(rows))


def _member(tar: tarfile.TarFile, name: str, most: int) -> bytes:
    member = tar.next()
    if member is None or member.name != name or not member.isreg() or member.size > most:
        raise BundleError(f"has no {name} where it should be")
    held = tar.extractfile(member)
    return held.read(most + 1) if held is not None else b""


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o600
    tar.addfile(info, io.BytesIO(content))


def _plain(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
