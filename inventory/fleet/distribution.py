"""Lays the newest knowledge pack into JetStream, for agents that have no other link.

A pack is larger than a message may be, so it goes in parts; who is the newest is said when all of
them are there. The pack before it stays, for agents that are reading it.
"""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Final

from exchange.subjects import KNOWLEDGE, KNOWLEDGE_STREAM, NEWEST_KNOWLEDGE, knowledge_part
from inventory.models import KnowledgePack

if TYPE_CHECKING:
    from nats.js import JetStreamContext

__all__ = ["distribute"]

_PART: Final = 512 * 1024
"""Half of what a NATS server takes as one message by default."""


async def distribute(context: JetStreamContext, database: Executor) -> bool:
    """Bring the stream up to the newest pack of the inventory; whether there was anything to bring.

    Raises what the library raises. Several workers may do it at once: they lay down the same.
    """
    loop = asyncio.get_running_loop()
    there = await _number(context)
    found = await loop.run_in_executor(database, _newer_than, there)
    if found is None:
        return False
    number, digest, content = found
    parts = [content[start : start + _PART] for start in range(0, len(content), _PART)]
    for place, part in enumerate(parts):
        await context.publish(knowledge_part(number, place), part)
    told = {"number": number, "sha256": digest, "parts": len(parts)}
    await context.publish(NEWEST_KNOWLEDGE, json.dumps(told).encode())
    for old in {int(subject.split(".")[2]) for subject in await _subjects(context)} - {number, there}:
        await context.purge_stream(KNOWLEDGE_STREAM, subject=f"{KNOWLEDGE}.{old}.>")
    return True


async def _number(context: JetStreamContext) -> int:
    """The number of the pack in the stream; 0 for none."""
    from nats.js.errors import NotFoundError  # noqa: PLC0415 - slow

    try:
        message = await context.get_msg(KNOWLEDGE_STREAM, subject=NEWEST_KNOWLEDGE, direct=True)
        return int(json.loads(message.data or b"")["number"])
    except (NotFoundError, KeyError, TypeError, ValueError):
        return 0


async def _subjects(context: JetStreamContext) -> list[str]:
    """The subjects of all parts that are there."""
    info = await context.stream_info(KNOWLEDGE_STREAM, subjects_filter=f"{KNOWLEDGE}.*.*")
    return list(info.state.subjects or ())


def _newer_than(number: int) -> tuple[int, str, bytes] | None:
    newest = KnowledgePack.objects.defer("content").first()
    if newest is None or newest.number <= number:
        return None
    return newest.number, newest.sha256, bytes(newest.content)
