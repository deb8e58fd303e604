"""Asks one switch by SNMP v2c or v3, within bounds, through pysnmp.

Whatever a switch sends: rows, bytes and seconds end a walk, and so does an identifier that is not
behind the last one, for a walk would then go round for ever. Only GET and GETBULK are sent.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent.credentials import SnmpCommunity, SnmpUser
from agent.switches.mibs import Oid

__all__ = ["Bounds", "Session", "Unanswered"]

_AUTHENTICATION: Final[Mapping[str, str]] = {
    "md5": "USM_AUTH_HMAC96_MD5",
    "sha": "USM_AUTH_HMAC96_SHA",
    "sha224": "USM_AUTH_HMAC128_SHA224",
    "sha256": "USM_AUTH_HMAC192_SHA256",
    "sha384": "USM_AUTH_HMAC256_SHA384",
    "sha512": "USM_AUTH_HMAC384_SHA512",
}
_PRIVACY: Final[Mapping[str, str]] = {
    "des": "USM_PRIV_CBC56_DES",
    "aes": "USM_PRIV_CFB128_AES",
    "aes192": "USM_PRIV_CFB192_AES",
    "aes256": "USM_PRIV_CFB256_AES",
}
_REFUSALS: Final = (
    "WrongDigest",
    "UnknownUserName",
    "UnsupportedSecurityLevel",
    "AuthenticationFailure",
    "DecryptionError",
)
_LONGEST: Final = 65_536


class Unanswered(Exception):  # noqa: N818 - it says what a switch did
    """A switch that did not answer; `refused` where it said no to the credentials."""

    def __init__(self, what: str, *, refused: bool = False) -> None:
        super().__init__(what)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Bounds:
    """Most rows of one column, bytes and seconds of one switch; `wait` seconds for an answer, `tries` in all."""

    rows: int = 65_536
    bytes: int = 32 * 1024 * 1024
    seconds: float = 120.0
    wait: float = 2.0
    tries: int = 3
    repetitions: int = 25


class Session:
    """One switch, asked one thing at a time. `cut` says whether a bound ended something early."""

    def __init__(self, ip: str, grant: SnmpCommunity | SnmpUser, bounds: Bounds, *, port: int = 161) -> None:
        self._address = (ip, port)
        self._grant = grant
        self._bounds = bounds
        self._ends = time.monotonic() + bounds.seconds
        self._left = bounds.bytes
        self._engine: Any = None
        self._target: Any = None
        self.cut = ""

    async def open(self) -> None:
        """Prepare; nothing is sent yet."""
        from pysnmp.hlapi.v3arch import asyncio as hlapi  # noqa: PLC0415 - 0.15 s, only for switches

        kind = hlapi.Udp6TransportTarget if ":" in self._address[0] else hlapi.UdpTransportTarget
        self._engine = hlapi.SnmpEngine()
        self._target = await kind.create(
            self._address, timeout=self._bounds.wait, retries=self._bounds.tries - 1
        )

    def close(self) -> None:
        """Close the socket."""
        if self._engine is not None:
            self._engine.close_dispatcher()
            self._engine = None

    async def get(self, oids: Mapping[str, Oid]) -> dict[str, bytes | int | Oid]:
        """Single values by name; what the switch has not is left out. Raises Unanswered."""
        names = {oid: name for name, oid in oids.items()}
        found: dict[str, bytes | int | Oid] = {}
        for oid, value in await self._ask("get_cmd", (), tuple(oids.values()), None):
            plain = _plain(value)
            if plain is not None and oid in names:
                found[names[oid]] = plain
        return found

    async def column(self, base: Oid, vlan: int | None = None) -> dict[Oid, bytes | int]:
        """Every cell of a column by its index, as far as bounds allow; of the instance of one VLAN.

        Raises Unanswered.
        """
        cells: dict[Oid, bytes | int] = {}
        last = base
        while True:
            if time.monotonic() > self._ends or self._left <= 0:
                self.cut = "seconds" if self._left > 0 else "bytes"
                return cells
            bindings = await self._ask("bulk_cmd", (0, self._bounds.repetitions), (last,), vlan)
            for oid, value in bindings:
                plain = _plain(value)
                if oid[: len(base)] != base or plain is None:
                    return cells
                if oid <= last:
                    self.cut = "order"
                    return cells
                if len(cells) >= self._bounds.rows:
                    self.cut = "rows"
                    return cells
                last = oid
                if not isinstance(plain, tuple):
                    cells[oid[len(base) :]] = plain
                    self._left -= len(oid) + (len(plain) if isinstance(plain, bytes) else 8)
            if not bindings:
                return cells

    async def _ask(
        self, command: str, numbers: tuple[int, ...], oids: tuple[Oid, ...], vlan: int | None
    ) -> list[tuple[Oid, Any]]:
        """One request with its answer; raises Unanswered."""
        from pysnmp.error import PySnmpError  # noqa: PLC0415 - see `open`
        from pysnmp.hlapi.v3arch import asyncio as hlapi  # noqa: PLC0415 - see `open`

        named = isinstance(self._grant, SnmpUser) and vlan is not None
        context = hlapi.ContextData(contextName=f"vlan-{vlan}".encode() if named else b"")
        objects = [hlapi.ObjectType(hlapi.ObjectIdentity(oid)) for oid in oids]
        access = self._access(hlapi, "" if vlan is None else f"@{vlan}")
        try:
            answer = await getattr(hlapi, command)(
                self._engine, access, self._target, context, *numbers, *objects, lookupMib=False
            )
            return self._bindings(answer)
        except PySnmpError as error:
            # What it makes of bytes that are no SNMP; its words may hold what was sent.
            raise Unanswered(f"answers what is no SNMP ({type(error).__name__})") from None

    def _access(self, hlapi: Any, instance: str = "") -> Any:
        grant = self._grant
        if isinstance(grant, SnmpCommunity):
            return hlapi.CommunityData(f"{grant.community.reveal()}{instance}", mpModel=1)
        passwords = {}
        if grant.authentication is not None and grant.authentication_password is not None:
            passwords["authKey"] = grant.authentication_password.reveal()
            passwords["authProtocol"] = getattr(hlapi, _AUTHENTICATION[grant.authentication])
        if grant.privacy is not None and grant.privacy_password is not None:
            passwords["privKey"] = grant.privacy_password.reveal()
            passwords["privProtocol"] = getattr(hlapi, _PRIVACY[grant.privacy])
        return hlapi.UsmUserData(grant.username, **passwords)

    def _bindings(self, answer: Any) -> list[tuple[Oid, Any]]:
        """Identifiers with their values out of an answer of pysnmp; raises Unanswered."""
        indication, status, _, bindings = answer
        if indication:
            kind = type(indication).__name__
            refused = kind in _REFUSALS
            what = "refuses the credentials" if refused else "does not answer SNMP with these credentials"
            raise Unanswered(f"{what} ({kind})", refused=refused)
        if int(status):
            raise Unanswered(f"answers with the error {int(status)} of RFC 3416")
        return [(tuple(binding[0]), binding[1]) for binding in bindings]


def _plain(value: Any) -> bytes | int | Oid | None:
    """A value as bytes, number or identifier; None for the end of a table and what is not there."""
    from pyasn1.type import univ  # noqa: PLC0415 - comes with pysnmp
    from pysnmp.proto import rfc1905  # noqa: PLC0415 - see above

    if isinstance(value, rfc1905.EndOfMibView | rfc1905.NoSuchInstance | rfc1905.NoSuchObject):
        return None
    if isinstance(value, univ.OctetString):
        return bytes(value.asOctets()[:_LONGEST])
    if isinstance(value, univ.ObjectIdentifier):
        return tuple(value)
    return int(value) if isinstance(value, univ.Integer) else None
