"""Keys of either side: made once for their owner alone, signing what travels (ed25519, RFC 8032)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

__all__ = ["BadKey", "PublicKey", "SigningKey"]

_HEX: Final = re.compile(r"[0-9a-f]{64}")
_MAX_FILE: Final = 10_000


class BadKey(Exception):  # noqa: N818 - a key, not a fault
    """A key that cannot be used; the text names the file."""


class PublicKey:
    """What tells that a key of ours has signed: 32 bytes, written as 64 hex digits."""

    __slots__ = ("_verify", "text")

    def __init__(self, text: str) -> None:
        """Raises BadKey where `text` is no public key."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - heavy
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - heavy

        if not _HEX.fullmatch(text):
            raise BadKey("a public key is 64 hex digits")
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
        self.text = text

        def verify(signature: str, data: bytes) -> bool:
            try:
                key.verify(bytes.fromhex(signature), data)
            except (InvalidSignature, ValueError):
                return False
            return True

        self._verify: Callable[[str, bytes], bool] = verify

    def signed(self, signature: str, data: bytes) -> bool:
        """Whether `signature` (hex) was made over `data` by this key."""
        return self._verify(signature, data)


class SigningKey:
    """A private key in a file that is its owner's alone (PEM, PKCS 8)."""

    __slots__ = ("_sign", "public")

    def __init__(self, path: Path) -> None:
        """Read the key, or make it where there is none; raises BadKey."""
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - heavy
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - heavy

        try:
            content = _read(path)
            if content is None:
                made = Ed25519PrivateKey.generate().private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
                _write(path, made)
                content = _read(path) or b""
            key = serialization.load_pem_private_key(content, None)
        except OSError as error:
            raise BadKey(f"{path}: {error.strerror or error}") from None
        except (ValueError, TypeError):
            raise BadKey(f"{path}: holds no private key") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise BadKey(f"{path}: holds a key of another kind than ed25519")
        self._sign: Callable[[bytes], bytes] = key.sign
        raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.public = raw.hex()
        """The public key, as hex digits."""

    def sign(self, data: bytes) -> str:
        """The signature over `data`, as hex digits."""
        return self._sign(data).hex()


def _read(path: Path) -> bytes | None:
    try:
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(opened, "rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise BadKey(f"{path}: others may read it; chmod 600 it, or better make a new one")
        return file.read(_MAX_FILE)


def _write(path: Path, content: bytes) -> None:
    """Write it whole or not at all; where somebody was quicker, theirs stays."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    opened = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(opened, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(part, path)
        except FileExistsError:
            return
    finally:
        part.unlink(missing_ok=True)
