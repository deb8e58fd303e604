"""Keeps accounts from being locked: a credential is tried once at a host, nothing after a refusal."""

from __future__ import annotations

from agent.credentials.grants import Grant

__all__ = ["Attempts"]


class Attempts:
    """What was tried where during one scan.

    A host that refused a credential gets no other one, and the same one never again, by whatever
    protocol. One that neither refused nor accepted (it fell silent) counts as tried: who knows
    what it counted. Only a credential that was accepted is used on.
    """

    def __init__(self) -> None:
        self._tried: set[tuple[str, str]] = set()
        self._accepted: set[tuple[str, str]] = set()
        self._refused: set[str] = set()

    def begin(self, host: str, grant: Grant) -> bool:
        """Whether `grant` may be sent to `host` now; if so, it counts as tried."""
        name = (host, grant.name)
        if name in self._accepted:
            return host not in self._refused
        if host in self._refused or name in self._tried:
            return False
        self._tried.add(name)
        return True

    def accepted(self, host: str, grant: Grant) -> None:
        """The host let it in."""
        self._accepted.add((host, grant.name))

    def refused(self, host: str) -> None:
        """The host said no: it is left alone from now on."""
        self._refused.add(host)

    @property
    def hosts_that_refused(self) -> tuple[str, ...]:
        """Hosts that said no, in the order of their text."""
        return tuple(sorted(self._refused))
