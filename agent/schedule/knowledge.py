"""Fetches new knowledge from the inventory: our own command installs it, if a trusted key has signed it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from agent.outbox.https import Https, HttpsError
from agent.schedule.child import run_command

__all__ = ["KnowledgeUpdates"]

_MAX_PACK: Final = 64 * 1024 * 1024


class KnowledgeUpdates:
    """Looks for packs over an HTTPS link; `folder` is the agent's, `program` starts our command line."""

    def __init__(self, link: Https, program: Sequence[str], folder: Path) -> None:
        """Nothing is asked yet; what a process that was killed had fetched goes."""
        self._link, self._program, self._folder = link, tuple(program), folder
        for left in folder.glob("knowledge-*.ccpack"):
            left.unlink(missing_ok=True)
        self._tried = 0

    def look(self, stop: Callable[[], bool]) -> str:
        """Install the newest pack, if it was not tried before; what went wrong, empty if nothing did."""
        try:
            newest = self._link.get("api/v1/knowledge")
            number, digest = int(newest["number"]), str(newest["sha256"])
            if number <= self._tried:
                return ""
            content = self._link.fetch(f"api/v1/knowledge/{number}", _MAX_PACK)
        except HttpsError as error:
            return str(error)
        except (KeyError, TypeError, ValueError):
            return "the inventory's word on knowledge cannot be read"
        if hashlib.sha256(content).hexdigest() != digest:
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
