"""Makes the operator, account and users of a NATS server that keeps them as signed tokens.

The claims are those of NATS's JWT version 2 (https://github.com/nats-io/jwt): ed25519 keys in
base32 (nkeys), `alg` is "ed25519-nkey", each token signed by the one above it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import nkeys

from inventory.fleet.permissions import Allowed

__all__ = ["Operator"]

_NO_LIMIT = -1


class _Key:
    """One key pair; `prefix` tells whose kind."""

    def __init__(self, prefix: int) -> None:
        self.seed: bytes = nkeys.encode_seed(os.urandom(32), prefix)
        self._pair = nkeys.from_seed(bytearray(self.seed))
        self.public: str = self._pair.public_key.decode().rstrip("=")

    def token(self, subject: str, name: str, nats: dict[str, Any]) -> str:
        """A token about `subject`, signed by this key."""
        claims = {
            "iat": int(time.time()),
            "iss": self.public,
            "name": name,
            "sub": subject,
            "nats": {**nats, "version": 2},
        }
        digest = hashlib.sha256(json.dumps(claims).encode()).digest()
        claims["jti"] = base64.b32encode(digest).decode().rstrip("=")
        head = _packed({"typ": "JWT", "alg": "ed25519-nkey"})
        signed = f"{head}.{_packed(claims)}"
        return f"{signed}.{_text(self._pair.sign(signed.encode()))}"


class Operator:
    """An operator with the account FLEET, whose users it makes."""

    def __init__(self) -> None:
        self._key = _Key(nkeys.PREFIX_BYTE_OPERATOR)
        self._fleet, system = (_Key(nkeys.PREFIX_BYTE_ACCOUNT) for _ in range(2))
        limits = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), _NO_LIMIT)
        stores = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), _NO_LIMIT)
        everywhere = {**limits, "wildcards": True}
        kind = {"type": "account"}
        fleet = self._key.token(self._fleet.public, "FLEET", {**kind, "limits": {**everywhere, **stores}})
        none = self._key.token(system.public, "SYS", {**kind, "limits": everywhere})
        said = self._key.token(
            self._key.public, "camcensus", {"type": "operator", "system_account": system.public}
        )
        self.settings = (
            f"operator: {said}\nresolver: MEMORY\nsystem_account: {system.public}\n"
            f"resolver_preload: {{\n  {self._fleet.public}: {fleet}\n  {system.public}: {none}\n}}"
        )
        """The lines of a server that believes this operator."""

    def user(self, path: Path, name: str, may: Allowed | None = None) -> Path:
        """A credentials file of a user of FLEET, who may do all if nothing is said."""
        key = _Key(nkeys.PREFIX_BYTE_USER)
        pub, sub = ({"allow": list(may.publish)}, {"allow": list(may.subscribe)}) if may else ({}, {})
        limits = dict.fromkeys(("subs", "data", "payload"), _NO_LIMIT)
        token = self._fleet.token(key.public, name, {"type": "user", "pub": pub, "sub": sub, **limits})
        path.touch(0o600)
        path.write_text(
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            "************************* IMPORTANT *************************\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{key.seed.decode()}\n------END USER NKEY SEED------\n"
        )
        return path


def _packed(value: dict[str, Any]) -> str:
    return _text(json.dumps(value, separators=(",", ":")).encode())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
