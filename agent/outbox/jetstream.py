"""Brings parcels to NATS JetStream, which holds them for the inventory's workers (nats-py).

The stream takes a parcel over; it stays in the outbox until a worker's receipt says that it is in
the database. Both sides forget a parcel that comes twice: the stream by its name, the inventory by
what it says.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent.outbox.sending import Answer, Outcome
from exchange.nats_credentials import nats_credentials
from exchange.parcel import Parcel, ParcelError, Receipt
from exchange.subjects import receipts_of, reports_of, word

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js import JetStreamContext

__all__ = ["JetStream", "NatsLink", "connected"]

_CONNECT_SECONDS: Final = 10
_ACK_SECONDS: Final = 20.0
_AT_ONCE: Final = 256
_MAX_RECEIPT: Final = 1 << 20
_RECEIPTS_STREAM: Final = "CAMCENSUS_RECEIPTS"


@dataclass(frozen=True, slots=True)
class NatsLink:
    """How to reach NATS: `url` (several with commas), our `agent` name, a credentials file, TLS files."""

    url: str
    agent: str
    credentials: Path | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    domain: str = ""
    """The domain of JetStream at the centre, where a leaf node stands between."""


async def connected(link: NatsLink, noticed: Callable[[Exception], Awaitable[None]]) -> Client:
    """A connection under the agent's own name; `noticed` hears of errors.

    Raises BadCredentials, and what the library raises.
    """
    import nats  # noqa: PLC0415 - slow, and only agents that report want it
    from nats.aio.client import RawCredentials  # noqa: PLC0415 - slow

    more: dict[str, Any] = {}
    if link.credentials is not None:
        more["user_credentials"] = RawCredentials(nats_credentials(link.credentials))
    if link.ca is not None or link.certificate is not None:
        context = ssl.create_default_context(cafile=str(link.ca) if link.ca else None)
        if link.certificate is not None:
            context.load_cert_chain(link.certificate, link.key)
        more["tls"] = context
    return await nats.connect(
        link.url.split(","),
        name=f"camcensus agent {link.agent}",
        connect_timeout=_CONNECT_SECONDS,
        allow_reconnect=False,
        # Answers come to subjects of its own: permissions tell agents apart by them.
        inbox_prefix=f"_INBOX_{word(link.agent)}",
        error_cb=noticed,
        **more,
    )


class JetStream:
    """A courier through JetStream; it connects when there is something to do, and again after it failed."""

    def __init__(self, link: NatsLink) -> None:
        """Nothing is sent yet."""
        self._link = link
        self._runner = asyncio.Runner()
        self._client: Client | None = None
        self._context: JetStreamContext | None = None
        self._why = ""
        self._heard = ""
        """What the server said by itself since it was asked: of what it does not allow, it answers nothing."""
        self._taken: list[Msg] = []
        """Receipts that whoever asked last has by now acted on."""

    def send(self, parcel: Parcel) -> Answer:
        """Hand one parcel over to the stream."""
        return self._runner.run(self._send(parcel))

    def receipts(self) -> Sequence[Receipt]:
        """What the workers have said since the last time."""
        return self._runner.run(self._receipts())

    def close(self) -> None:
        """Leave."""
        self._runner.run(self._leave())
        self._runner.close()

    async def _stream(self) -> JetStreamContext | None:
        if self._client is not None and self._client.is_connected and self._context is not None:
            return self._context
        await self._leave()
        try:
            self._client = await connected(self._link, self._noticed)
        except Exception as error:  # noqa: BLE001 - whatever the library raises, the link is down
            self._why = f"NATS cannot be reached: {_plain(error)}"
            return None
        self._context = self._client.jetstream(timeout=_ACK_SECONDS, domain=self._link.domain or None)
        return self._context

    async def _noticed(self, error: Exception) -> None:
        self._heard = _plain(error)

    async def _send(self, parcel: Parcel) -> Answer:
        from nats.errors import MaxPayloadError  # noqa: PLC0415 - slow

        self._heard = ""
        stream = await self._stream()
        if stream is None:
            return Answer(Outcome.LATER, self._why)
        headers = {**parcel.headers(), "Nats-Msg-Id": parcel.name}
        try:
            await stream.publish(reports_of(parcel.site), parcel.body, timeout=_ACK_SECONDS, headers=headers)
        except MaxPayloadError:
            return Answer(Outcome.TOO_LARGE, "NATS takes no message of this size")
        except Exception as error:  # noqa: BLE001 - whatever the library raises, it was not taken
            await self._leave()
            return Answer(Outcome.LATER, f"the stream did not take it: {self._heard or _plain(error)}")
        return Answer(Outcome.HANDED_OVER)

    async def _receipts(self) -> list[Receipt]:
        self._heard = ""
        stream = await self._stream()
        found: list[Receipt] = []
        if stream is None:
            return found
        try:
            waiting = await stream.pull_subscribe(
                receipts_of(self._link.agent),
                durable=f"agent-{word(self._link.agent)}",
                stream=_RECEIPTS_STREAM,
            )
            for message in self._taken:
                await message.ack()
            self._taken.clear()
            while messages := await _fetched(waiting):
                for message in messages:
                    # Acknowledged the next time: until it is acted on, it has to come again.
                    self._taken.append(message)
                    with contextlib.suppress(ParcelError, ValueError, RecursionError):
                        if len(message.data) <= _MAX_RECEIPT:
                            found.append(Receipt.from_json(json.loads(message.data)))
            await waiting.unsubscribe()
        except Exception as error:  # noqa: BLE001 - receipts come another time
            self._why = f"receipts cannot be read: {self._heard or _plain(error)}"
            await self._leave()
        return found

    async def _leave(self) -> None:
        client, self._client, self._context = self._client, None, None
        self._taken.clear()
        if client is not None:
            with contextlib.suppress(Exception):
                await client.close()


async def _fetched(waiting: JetStreamContext.PullSubscription) -> list[Any]:
    with contextlib.suppress(TimeoutError):
        return list(await waiting.fetch(_AT_ONCE, timeout=0.5))
    return []


def _plain(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
