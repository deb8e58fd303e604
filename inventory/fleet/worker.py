"""The worker that brings parcels from JetStream into the database.

Any number of workers share one durable consumer. A parcel is acknowledged after its transaction,
and a receipt goes to its agent before that; whatever is killed in between comes again, and
changes nothing twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.db import connection

from exchange.nats_credentials import nats_credentials
from exchange.parcel import Parcel, ParcelError, Receipt
from exchange.subjects import (
    JOBS,
    KNOWLEDGE,
    KNOWLEDGE_STREAM,
    RECEIPTS,
    REPORTS,
    jobs_of,
    receipts_of,
    word,
)
from inventory.fleet import jobs
from inventory.fleet.distribution import distribute
from inventory.fleet.taking import Again, take_together
from inventory.models import Agent, Job, JobState

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js import JetStreamContext

__all__ = ["Source", "Worker", "streams"]

_GROUP: Final = "inventory"
_AT_ONCE: Final = 32
_FETCH_SECONDS: Final = 2.0
_JOBS_SECONDS: Final = 15.0
_KNOWLEDGE_SECONDS: Final = 60.0
_AGAIN_SECONDS: Final = 5.0
_LONGEST_PAUSE: Final = 30.0
_DAY: Final = 86_400

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """Where parcels come from: servers (with commas), a credentials file of NATS, an authority to believe, the domain of JetStream."""

    url: str
    credentials: Path | None = None
    ca: Path | None = None
    domain: str = ""


def streams() -> list[dict[str, Any]]:
    """The streams that the fleet needs, as JetStream's own API has them; times in seconds."""
    return [
        {
            "name": "CAMCENSUS_REPORTS",
            "subjects": [f"{REPORTS}.>"],
            "retention": "workqueue",
            "duplicate_window": 3_600,
            "max_age": 30 * _DAY,
        },
        {
            "name": "CAMCENSUS_RECEIPTS",
            "subjects": [f"{RECEIPTS}.>"],
            "retention": "limits",
            "max_age": 30 * _DAY,
        },
        {
            "name": "CAMCENSUS_JOBS",
            "subjects": [f"{JOBS}.>", f"{JOBS}-answers.>"],
            "retention": "workqueue",
            "max_age": 7 * _DAY,
        },
        {
            "name": KNOWLEDGE_STREAM,
            "subjects": [f"{KNOWLEDGE}.>"],
            "retention": "limits",
            "max_msgs_per_subject": 1,
            "allow_direct": True,
        },
    ]


@dataclass(slots=True)
class Worker:
    """One worker process. `done` counts the parcels that are in the database by it."""

    source: Source
    done: int = 0
    refused: int = 0
    again: int = 0
    redeliver_after: float = 60.0
    """Seconds after which a parcel that a worker took and did not acknowledge goes to another one."""
    replicas: int = 1
    """On how many servers of a cluster the streams are kept, where this worker makes them."""
    until_idle: bool = False
    """End when nothing waits any more."""
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "database"))

    async def run(self) -> None:
        """Work until a signal says stop; a link that goes down is taken up again."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, self._stopping.set)
        pause = 1.0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                await self._session()
            except Exception as error:  # noqa: BLE001 - whatever the library raises, the link is gone
                _log.warning("NATS: %s", " ".join(str(error).split()) or type(error).__name__)
            if self._stopping.is_set():
                break
            pause = 1.0 if time.monotonic() - began > _LONGEST_PAUSE else min(pause * 2, _LONGEST_PAUSE)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
        self._thread.shutdown()

    async def _session(self) -> None:
        client = await _connected(self.source)
        try:
            context = client.jetstream(timeout=30, domain=self.source.domain or None)
            await _prepared(context, self.replicas)
            waiting = await context.pull_subscribe(
                f"{REPORTS}.>",
                durable=_GROUP,
                stream="CAMCENSUS_REPORTS",
                config=_consumer(self.redeliver_after),
            )
            beside = [
                asyncio.create_task(self._relay_jobs(context)),
                asyncio.create_task(self._relay_knowledge(context)),
            ]
            try:
                await self._work(client, context, waiting)
            finally:
                for task in beside:
                    task.cancel()
        finally:
            await client.close()

    async def _work(self, client: Client, context: JetStreamContext, waiting: Any) -> None:
        loop = asyncio.get_running_loop()
        coming = asyncio.create_task(_fetched(waiting))
        try:
            while not self._stopping.is_set() and not client.is_closed:
                messages = await coming
                # The next ones come while these are being stored.
                coming = asyncio.create_task(_fetched(waiting))
                if not messages:
                    if self.until_idle:
                        self._stopping.set()
                    if not client.is_connected:
                        return
                    continue
                results = await loop.run_in_executor(self._thread, _stored, [_read(m) for m in messages])
                await self._answer(context, messages, results)
        finally:
            coming.cancel()

    async def _answer(
        self,
        context: JetStreamContext,
        messages: Sequence[Msg],
        results: Sequence[tuple[str, Receipt | None]],
    ) -> None:
        receipts = [
            context.publish(receipts_of(agent), json.dumps(receipt.to_json()).encode())
            for agent, receipt in results
            if receipt is not None and agent
        ]
        # An agent that gets no receipt sends again; so receipts go first, then the parcel is let go of.
        await asyncio.gather(*receipts)
        for message, (_, receipt) in zip(messages, results, strict=True):
            if receipt is None:
                self.again += 1
                await message.nak(_AGAIN_SECONDS)
            elif receipt.stored:
                self.done += 1
                await message.ack()
            else:
                self.refused += 1
                await message.term()

    async def _relay_jobs(self, context: JetStreamContext) -> None:
        """Put jobs on their sites' queues, and take what agents say of theirs."""
        loop = asyncio.get_running_loop()
        answers = await context.pull_subscribe(
            f"{JOBS}-answers.>", durable=f"{_GROUP}-answers", stream="CAMCENSUS_JOBS"
        )
        while True:
            for site, body, key in await loop.run_in_executor(self._thread, _jobs_to_publish):
                await context.publish(jobs_of(site), body, headers={"Nats-Msg-Id": key})
                await loop.run_in_executor(self._thread, _job_published, key)
            for message in await _fetched(answers):
                await loop.run_in_executor(self._thread, _job_answered, message.data, message.subject)
                await message.ack()
            await asyncio.sleep(_JOBS_SECONDS)

    async def _relay_knowledge(self, context: JetStreamContext) -> None:
        """Have the newest pack in JetStream."""
        while True:
            try:
                await distribute(context, self._thread)
            except Exception as error:  # noqa: BLE001 - the next round tries again; reports go on meanwhile
                _log.warning("knowledge: %s", " ".join(str(error).split()) or type(error).__name__)
            await asyncio.sleep(_KNOWLEDGE_SECONDS)


async def _connected(source: Source) -> Client:
    import ssl  # noqa: PLC0415 - beside its use

    import nats  # noqa: PLC0415 - slow
    from nats.aio.client import RawCredentials  # noqa: PLC0415 - slow

    more: dict[str, Any] = {}
    if source.credentials is not None:
        more["user_credentials"] = RawCredentials(nats_credentials(source.credentials))
    if source.ca is not None:
        more["tls"] = ssl.create_default_context(cafile=str(source.ca))
    return await nats.connect(
        source.url.split(","),
        name="camcensus inventory",
        max_reconnect_attempts=3,
        connect_timeout=10,
        **more,
    )


async def _prepared(context: JetStreamContext, replicas: int) -> None:
    """Make the streams that are not there; what somebody made otherwise is left as it is."""
    from nats.js.api import StreamConfig  # noqa: PLC0415 - slow
    from nats.js.errors import BadRequestError, NotFoundError  # noqa: PLC0415 - slow

    for stream in streams():
        try:
            await context.stream_info(stream["name"])
        except NotFoundError:
            # Another worker may be making it at this moment.
            with contextlib.suppress(BadRequestError):
                await context.add_stream(StreamConfig(**stream, num_replicas=replicas))


def _consumer(redeliver_after: float) -> Any:
    from nats.js.api import AckPolicy, ConsumerConfig  # noqa: PLC0415 - slow

    return ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, ack_wait=redeliver_after, max_ack_pending=4_096)


async def _fetched(waiting: Any) -> list[Msg]:
    with contextlib.suppress(TimeoutError):
        return list(await waiting.fetch(_AT_ONCE, timeout=_FETCH_SECONDS))
    return []


def _read(message: Msg) -> Parcel | Receipt:
    """The parcel of a message, or the receipt that says why it is none."""
    headers = message.headers or {}
    try:
        return Parcel.from_headers(headers, message.data)
    except ParcelError as error:
        return Receipt(headers.get("Camcensus-Site", ""), "", 0, stored=False, reason=str(error))


def _stored(parcels: Sequence[Parcel | Receipt]) -> list[tuple[str, Receipt | None]]:
    """What became of each, with its agent's name; None where the database is away."""
    results: list[tuple[str, Receipt | None]] = [
        ("", each) if isinstance(each, Receipt) else (each.agent, None) for each in parcels
    ]
    for group in _groups(parcels):
        try:
            receipts = take_together([parcel for _, parcel in group])
        except Again as error:
            _log.warning("the database is away: %s", error)
            _forget_connection()
            break
        for (place, parcel), receipt in zip(group, receipts, strict=True):
            results[place] = (parcel.agent, receipt)
    return results


def _groups(parcels: Sequence[Parcel | Receipt]) -> list[list[tuple[int, Parcel]]]:
    """Parcels by place, each group with one of a site at most, in the order of each site."""
    groups: list[list[tuple[int, Parcel]]] = []
    turns: dict[str, int] = {}
    for place, parcel in enumerate(parcels):
        if isinstance(parcel, Parcel):
            turn = turns.get(parcel.site, 0)
            turns[parcel.site] = turn + 1
            if turn == len(groups):
                groups.append([])
            groups[turn].append((place, parcel))
    return groups


def _forget_connection() -> None:
    with contextlib.suppress(Exception):
        connection.close()


def _jobs_to_publish() -> list[tuple[str, bytes, str]]:
    jobs.expire()
    waiting = Job.objects.select_related("site").filter(state=JobState.WAITING, published=None)
    found = []
    for job in waiting.order_by("created")[:100]:
        body = {
            "id": str(job.pk),
            "site": job.site.code,
            "scope": job.scope,
            "targets": job.targets,
            "profile": job.profile,
        }
        found.append((job.site.code, json.dumps(body).encode(), str(job.pk)))
    return found


def _job_published(key: str) -> None:
    Job.objects.filter(pk=key).update(published=datetime.now(UTC))


def _job_answered(data: bytes, subject: str) -> None:
    try:
        said = json.loads(data[:100_000])
        job = Job.objects.select_related("site__organisation").filter(pk=said["job"]).first()
        agent = Agent.objects.filter(name=said["agent"]).first()
        words = [str(said.get(name, "")) for name in ("state", "reason", "report")]
    except (ValueError, KeyError, TypeError, RecursionError):
        return
    except Exception as error:  # noqa: BLE001 - an id that is none is refused by the database's own error
        _log.warning("an answer to a job cannot be read: %s", type(error).__name__)
        return
    # An agent may write to the subject of its own name alone.
    if job is not None and agent is not None and subject.endswith(f".{word(agent.name)}"):
        jobs.answer(job, agent, *words)
