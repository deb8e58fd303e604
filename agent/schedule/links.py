"""Makes the way to the inventory that agent.toml asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Final

from agent.config import ConfigError
from agent.outbox import Courier
from agent.outbox.https import Https, HttpsError, Link
from agent.outbox.jetstream import JetStream, NatsLink
from agent.schedule.jobs import HttpsJobs, Jobs, NatsJobs
from agent.schedule.knowledge import HttpsPacks, NatsPacks, Packs
from agent.schedule.settings import AgentSettings, Central
from exchange.keys import BadKey, SigningKey
from exchange.parcel import Parcel

__all__ = ["courier", "https_of", "jobs_of", "load", "packs_of", "signer"]

_NATS: Final = ("nats://", "tls://")


def load(central: Central) -> None:
    """Import what the links need, before several threads do: nats-py's parts import each other in a circle."""
    if central.url.startswith(_NATS):
        import_module("nats.js.errors")


def courier(central: Central, name: str) -> Courier:
    """The courier of an inventory's address; raises ConfigError."""
    if central.url.startswith(_NATS):
        return JetStream(_nats(central, name))
    return https_of(central)


def https_of(central: Central) -> Https:
    """The HTTPS link of an inventory's address; raises ConfigError."""
    try:
        return Https(
            Link(
                central.url,
                central.token,
                central.ca,
                central.pinned,
                central.certificate,
                central.key,
                central.proxy,
            )
        )
    except HttpsError as error:
        raise ConfigError(str(error)) from None


def _nats(central: Central, name: str) -> NatsLink:
    return NatsLink(
        central.url,
        name,
        central.credentials,
        central.ca,
        central.certificate,
        central.key,
        central.domain,
    )


def jobs_of(central: Central, settings: AgentSettings) -> Jobs:
    """Where jobs come from; raises ConfigError."""
    sites = sorted({plan.site for plan in settings.scopes})
    if central.url.startswith(_NATS):
        return NatsJobs(_nats(central, settings.name), sites)
    return HttpsJobs(https_of(central), sites)


def packs_of(central: Central, name: str) -> Packs:
    """Where knowledge packs come from; raises ConfigError."""
    if central.url.startswith(_NATS):
        return NatsPacks(_nats(central, name))
    return HttpsPacks(https_of(central))


def signer(settings: AgentSettings, instance: str) -> Callable[[Parcel], Parcel]:
    """What makes a parcel this agent's own: its name, its instance, and its key's signature if it has one."""
    path: Path = settings.state / "agent.key"
    key: SigningKey | None = None
    if path.exists():
        try:
            key = SigningKey(path)
        except BadKey as error:
            raise ConfigError(str(error)) from None

    def sign(parcel: Parcel) -> Parcel:
        named = replace(parcel, agent=settings.name, instance=instance)
        return named if key is None else replace(named, signature=key.sign(named.signed_bytes()))

    return sign
