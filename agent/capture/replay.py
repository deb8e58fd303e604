"""Turns one recorded capture into Messages, in the order of its frames.

Who is there is looked up in the first frames of a capture, whatever they carry: a camera that does
nothing but send video says nothing that a protocol is read from, and its MAC is worth knowing.
"""

from __future__ import annotations

import contextlib
import gzip
import sys
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from agent.capture.evidence import HEAD
from agent.capture.filter import WHOLE, Share
from agent.capture.libpcap import LibpcapMissing
from agent.capture.reading import CaptureStats, Reading
from agent.capture.recorded import read_recorded
from agent.capture.savefile import Frame, SaveFileError, read_frames
from agent.capture.sources import Source, find_captures
from agent.wire import Message, Probe
from fingerprints.model import Problem

__all__ = ["Replay"]

_Said = TypeVar("_Said")

_LOOKED_AT: Final = 256
"""How many frames are looked at for who is there: a fraction of a second's reading.

All are in a file of evidence: of many captures it has the first frames of each.
"""


class Replay:
    """The Messages of one capture; iterate once, then look at `problems` and `stats`.

    `unfiltered` leaves libpcap's filter out; the Messages are the same. Of a file that `is_dense` it
    can be a `share` alone; if there are `problems` then, all of it is to be read anew, by one.
    """

    def __init__(
        self,
        source: Source | Path,
        probes: Sequence[Probe],
        *,
        unfiltered: bool = False,
        share: Share = WHOLE,
    ) -> None:
        self.problems: list[Problem] = []
        if isinstance(source, Path):
            source = next(find_captures([str(source)], self.problems.append), Source("", None))
        self.name = source.name
        self._source = source
        self._probes = tuple(probes)
        self._unfiltered = unfiltered
        self._share = share
        self._reading = Reading(probes, source.name)

    @property
    def stats(self) -> CaptureStats:
        """What the capture held, as far as it was read."""
        return self._reading.stats

    def __iter__(self) -> Iterator[Message]:
        if not self._source.name:
            return
        yield from self._until_it_breaks(self._messages())
        yield from self._reading.close()

    def frames(self) -> Iterator[tuple[Frame | None, list[Message]]]:
        """Every frame with what it says, at last None with what was not finished: the same Messages, read slowly.

        Instead of iterating, and once as well.
        """
        if not self._source.name:
            return
        yield from self._until_it_breaks(self._frame_by_frame())
        yield None, list(self._reading.close())

    def _until_it_breaks(self, said: Iterator[_Said]) -> Iterator[_Said]:
        try:
            yield from said
        except SaveFileError as error:
            self.problems.append(Problem(f"{self.name}@{error.offset}", error.what, "truncated"))
        except (OSError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            self.problems.append(Problem(self.name, f"reading stopped: {error}", "truncated"))

    def _messages(self) -> Iterator[Message]:
        source, reading = self._source, self._reading
        left = self._looked_at() if self._share.number == 0 else 0
        if source.path is not None and not source.compressed:
            with source.path.open("rb") as stream, contextlib.suppress(SaveFileError):
                # Where the file breaks is told by whoever reads on to there.
                for frame in islice(read_frames(stream), left):
                    yield from reading.sight(frame)
            left = 0
        if source.path is not None and not source.compressed and not self._unfiltered:
            found = read_recorded(source.path, self._probes, reading, share=self._share)
            try:
                first = next(found, None)
            except LibpcapMissing as error:
                if self._share != WHOLE:
                    raise SaveFileError(str(error), 0) from None
            else:
                self.stats.filtered = True
                if first is not None:
                    yield first
                    yield from found
                return
        # A stream is read but once.
        for _, said in self._frame_by_frame(left):
            yield from said

    def _frame_by_frame(self, left: int | None = None) -> Iterator[tuple[Frame, list[Message]]]:
        reading = self._reading
        left = self._looked_at() if left is None else left
        with self._source.open() as stream:
            for number, frame in enumerate(read_frames(stream)):
                seen = reading.sight(frame) if number < left else []
                yield frame, seen + reading.frame(frame)

    def _looked_at(self) -> int:
        """In how many of the first frames it is looked up who is there."""
        path = self._source.path
        if path is not None and not self._source.compressed:
            with path.open("rb") as stream:
                if stream.read(len(HEAD)) == HEAD:
                    return sys.maxsize
        return _LOOKED_AT
