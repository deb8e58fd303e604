"""What a user may supply to read devices with: logins, SNMP communities, SNMP users."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final, Literal

from agent.credentials.secret import Secret

__all__ = [
    "SNMP_AUTHENTICATION",
    "SNMP_PRIVACY",
    "Credentials",
    "Grant",
    "Login",
    "Net",
    "SnmpCommunity",
    "SnmpUser",
]

Net = ipaddress.IPv4Network | ipaddress.IPv6Network

SNMP_AUTHENTICATION: Final = ("md5", "sha", "sha224", "sha256", "sha384", "sha512")
"""How SNMPv3 messages can be signed: RFC 3414 (the first two), RFC 7860."""

SNMP_PRIVACY: Final = ("des", "aes", "aes192", "aes256")
"""How SNMPv3 messages can be encrypted: RFC 3414, RFC 3826; the longer keys as makers have them."""


@dataclass(frozen=True, slots=True)
class Login:
    """A user name with its password, for HTTP digest or a WS-Security UsernameToken.

    `basic_in_clear` allows what is otherwise refused: to show the password to whoever listens,
    where a device offers nothing but basic authentication over HTTP without TLS.
    """

    name: str
    hosts: tuple[Net, ...]
    username: str
    password: Secret
    basic_in_clear: bool = False


@dataclass(frozen=True, slots=True)
class SnmpCommunity:
    """The community of SNMP v2c. It goes in clear with every question: that is how v2c is."""

    name: str
    hosts: tuple[Net, ...]
    community: Secret


@dataclass(frozen=True, slots=True)
class SnmpUser:
    """A user of SNMP v3: `authentication` is one of SNMP_AUTHENTICATION, `privacy` of SNMP_PRIVACY.

    Without a protocol there is no password for it, and no privacy without authentication.
    """

    name: str
    hosts: tuple[Net, ...]
    username: str
    authentication: str | None = None
    authentication_password: Secret | None = None
    privacy: str | None = None
    privacy_password: Secret | None = None

    @property
    def level(self) -> Literal["noAuthNoPriv", "authNoPriv", "authPriv"]:
        """The security level of RFC 3411 that this comes to."""
        if self.authentication is None:
            return "noAuthNoPriv"
        return "authNoPriv" if self.privacy is None else "authPriv"


Grant = Login | SnmpCommunity | SnmpUser


@dataclass(frozen=True, slots=True)
class Credentials:
    """Everything that the user supplied, in the order of the file.

    A host gets one grant of a kind: that with the narrowest net around it, the first of equals.
    """

    grants: tuple[Grant, ...] = ()

    @property
    def logins(self) -> tuple[Login, ...]:
        """The logins among them."""
        return tuple(grant for grant in self.grants if isinstance(grant, Login))

    def login(self, ip: str) -> Login | None:
        """What to log in to a host with; `ip` is canonical text, a zone is ignored."""
        found = self._nearest(ip, (Login,))
        return found if isinstance(found, Login) else None

    def snmp(self, ip: str) -> SnmpCommunity | SnmpUser | None:
        """What to ask a host by SNMP with; `ip` as for `login`."""
        found = self._nearest(ip, (SnmpCommunity, SnmpUser))
        return found if isinstance(found, SnmpCommunity | SnmpUser) else None

    def _nearest(self, ip: str, kinds: tuple[type, ...]) -> Grant | None:
        address = ipaddress.ip_address(ip.partition("%")[0])
        around = [
            (net.prefixlen, -place, grant)
            for place, grant in enumerate(self.grants)
            if isinstance(grant, kinds)
            for net in grant.hosts
            if address in net
        ]
        return max(around, key=lambda row: row[:2])[2] if around else None
