"""Fetches new knowledge from the inventory: our own command installs it, if a trusted key has signed it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from agent.outbox.https import Https, HttpsError
from agent.outbox.jetstream import NatsLink, connected
from agent.schedule.child import run_command
from exchange.subjects import KNOWLEDGE_STREAM, NEWEST_KNOWLEDGE, knowledge_part

__all__ = ["HttpsPacks", "KnowledgeUpdates", "NatsPacks", "Newest", "Packs", "PacksAway"]

_MAX_PACK: Final = 64 * 1024 * 1024
_MAX_PARTS: Final = 1_024
_ANSWER_SECONDS: Final = 20.0


class PacksAway(Exception):  # noqa: N818 - a link, not a fault
    """Packs cannot be had now; the text says why."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest pack: its number (0: there is none), the SHA-256 of its file, in how many parts it lies."""

    number: int
    sha256: str
    parts: int = 1

    @classmethod
    def from_json(cls, value: Any) -> Newest:
        """Read what the inventory says; raises PacksAway."""
        try:
            newest = cls(int(value["number"]), str(value["sha256"]), int(value.get("parts", 1)))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise PacksAway("the inventory's word on knowledge cannot be read") from None
        if not 0 <= newest.parts <= _MAX_PARTS:
            raise PacksAway(f"the newest knowledge has {newest.parts} parts, of at most {_MAX_PARTS}")
        return newest


class Packs(Protocol):
    """Where packs come from; every method raises PacksAway."""

    def newest(self) -> Newest:
        """Which pack is the newest."""
        ...

    def content(self, pack: Newest) -> bytes:
        """The file of a pack, not believed yet."""
        ...

    def close(self) -> None:
        """Let go of the link."""
        ...


class HttpsPacks:
    """Packs over HTTPS."""

    def __init__(self, link: Https) -> None:
        """Nothing is asked yet."""
        self._link = link

    def newest(self) -> Newest:
        """Which pack is the newest."""
        try:
            return Newest.from_json(self._link.get("api/v1/knowledge"))
        except HttpsError as error:
            raise PacksAway(str(error)) from None

    def content(self, pack: Newest) -> bytes:
        """The file of a pack."""
        try:
            return self._link.fetch(f"api/v1/knowledge/{pack.number}", _MAX_PACK)
        except HttpsError as error:
            raise PacksAway(str(error)) from None

    def close(self) -> None:
        """Close the connections."""
        self._link.close()


class NatsPacks:
    """Packs from JetStream, read part by part; each look is a connection of its own."""

    def __init__(self, link: NatsLink) -> None:
        """Nothing is asked yet."""
        self._link = link
        self._heard = ""

    def newest(self) -> Newest:
        """Which pack is the newest."""
        (told,) = self._read([NEWEST_KNOWLEDGE])
        if not told:
            return Newest(0, "")
        try:
            return Newest.from_json(json.loads(told[:10_000]))
        except (ValueError, RecursionError):
            raise PacksAway("the inventory's word on knowledge cannot be read") from None

    def content(self, pack: Newest) -> bytes:
        """The file of a pack."""
        return b"".join(self._read([knowledge_part(pack.number, part) for part in range(pack.parts)]))

    def close(self) -> None:
        """There is nothing to let go of."""

    def _read(self, subjects: Sequence[str]) -> list[bytes]:
        """The last message on each subject, empty where there is none."""
        self._heard = ""
        try:
            return asyncio.run(self._messages(subjects))
        except PacksAway:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the library raises, the link is down
            why = self._heard or " ".join(str(error).split())[:200] or type(error).__name__
            raise PacksAway(f"knowledge cannot be read from NATS: {why}") from None

    async def _messages(self, subjects: Sequence[str]) -> list[bytes]:
        from nats.js.errors import NotFoundError  # noqa: PLC0415 - slow

        client = await connected(self._link, self._noticed)
        found: list[bytes] = []
        size = 0
        try:
            stream = client.jetstream(timeout=_ANSWER_SECONDS, domain=self._link.domain or None)
            for subject in subjects:
                data = b""
                with contextlib.suppress(NotFoundError):
                    data = (await stream.get_msg(KNOWLEDGE_STREAM, subject=subject, direct=True)).data or b""
                found.append(data)
                size += len(data)
                if size > _MAX_PACK:
                    raise PacksAway(f"the newest knowledge is larger than {_MAX_PACK >> 20} MiB")
        finally:
            await client.close()
        return found

    async def _noticed(self, error: Exception) -> None:
        self._heard = " ".join(str(error).split())[:200]


class KnowledgeUpdates:
    """Looks for packs; `folder` is the agent's, `program` starts our command line."""

    def __init__(self, packs: Packs, program: Sequence[str], folder: Path) -> None:
        """Nothing is asked yet; what a process that was killed had fetched goes."""
        self._packs, self._program, self._folder = packs, tuple(program), folder
        for left in folder.glob("knowledge-*.ccpack"):
            left.unlink(missing_ok=True)
        self._tried = 0

    def look(self, stop: Callable[[], bool]) -> str:
        """Install the newest pack, if it was not tried before; what went wrong, empty if nothing did."""
        try:
            newest = self._packs.newest()
            if newest.number <= self._tried:
                return ""
            content = self._packs.content(newest)
        except PacksAway as error:
            return str(error)
        number = newest.number
        if hashlib.sha256(content).hexdigest() != newest.sha256:
            return f"knowledge pack {number} was changed on its way"
        path = self._folder / f"knowledge-{number}.ccpack"
        try:
            path.write_bytes(content)
            # A process of its own: what it loads to prove the rules goes with it.
            words = [*self._program, "rules", "update", str(path), "--quiet"]
            ended = run_command(words, self._folder / "logs" / "knowledge.log", stop)
        except OSError as error:
            return f"{path}: {error.strerror or error}"
        finally:
            path.unlink(missing_ok=True)
        self._tried = number
        return "" if ended.code == 0 or "in use and not older" in ended.words else ended.words
