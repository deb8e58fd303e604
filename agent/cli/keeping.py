"""Keeps the frames of recorded captures that were evidence."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from agent.capture import Replay
from agent.capture.evidence import Evidence
from agent.census import Tally
from agent.cli.wiring import whole_file
from agent.config import ConfigError

__all__ = ["keeping", "read_keeping"]


@contextlib.contextmanager
def keeping(path: Path | None, names: Sequence[str]) -> Iterator[Evidence | None]:
    """Where evidence goes: a file that appears whole at the end, or not at all; None where none is kept.

    Raises ConfigError where the file is among the captures that are read, under `names`; OSError
    where it cannot be written.
    """
    if path is None:
        yield None
        return
    target = path.resolve()
    for name in names:
        if target.is_relative_to(Path(name).resolve()):
            raise ConfigError(f"--write: {path} is among what is read: {name}")
    try:
        with whole_file(target) as out:
            evidence = Evidence(lambda: out)
            yield evidence
            evidence.close()
    except OSError as error:
        # A disk that is full does not say for which file.
        error.filename = error.filename or str(path)
        raise


def read_keeping(capture: Replay, tally: Tally, evidence: Evidence) -> None:
    """Read a capture into a census, and keep the frames that told it anything new."""
    for frame, messages in capture.frames():
        news = [message for message in messages if tally.feed(message)]
        if frame is not None:
            evidence.offer(frame, capture.name, news)
        else:
            evidence.finish(capture.name, news)
    evidence.forget()
