"""Reads one uncompressed capture file the quickest way that gives the same Messages.

libpcap filters, in C; Python sees only frames that can matter. A large file is read in parts by
several threads: the first part and everything that has to be put together is the caller's
thread's; the others scout ahead, and hand over the frames of their part when it is whole. A
scout does not know which answers its part begins in the middle of, so it starts some way ahead
of its part. Where a part turns out not to begin or end where it was thought to, or where too
much of it matters for threads to pay, the caller's thread reads on by itself. Where libpcap
gives up, the plain reader goes on at that byte, and says what is wrong.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from agent.capture.bulk import Bulk
from agent.capture.decode import Packet, decode
from agent.capture.filter import WHOLE, Share, Wanted, program
from agent.capture.libpcap import Broken, LibpcapMissing, Savefile, Window, has_streams
from agent.capture.reading import Reading
from agent.capture.savefile import Frame, SaveFileError, read_frames
from agent.capture.split import Places
from agent.capture.streams import MAX_HUNGRY, Streams
from agent.processors import processors
from agent.wire import Message, Probe

__all__ = ["is_dense", "read_recorded"]

_BATCH: Final = 256
_SPLIT_FROM: Final = 2 << 30
"""Of less, threads save no more than they cost: Python looks twice into what scouts find."""
_SEAM: Final = 16 * 1024 * 1024
"""How far ahead of its part a scout begins."""
_MOST_THREADS: Final = 4
_MOST_SCOUTED: Final = 8 * 1024 * 1024
"""Bytes of frames that a scout may hold."""
_SAMPLE: Final = 2_048
"""Frames by which it is judged how much of a capture matters."""
_DENSE: Final = 1_024
"""Bytes of the file for one frame that matters, below which frames are taken in bulk."""
_SPARSE: Final = 4_096
"""Likewise, above which they no longer are: a frame in vain costs 2 microseconds in bulk, 0.2 in the filter."""
_PATIENCE: Final = 16
"""Frames that may pass in vain before the filter forgets a direction: each patch costs as much as a few."""
_TCP: Final = 6


def read_recorded(
    path: Path,
    probes: Sequence[Probe],
    reading: Reading,
    *,
    threads: int | None = None,
    share: Share = WHOLE,
) -> Iterator[Message]:
    """The Messages of `path`, in order, by way of `reading`, which is left open.

    `threads` is by default one for each processor, and one for files of moderate size. Raises
    LibpcapMissing before the first Message where the plain reader must do it all, SaveFileError
    where the file breaks. A `share` of it is read by one thread, and as far as libpcap reads:
    who reads the others must know of it all the same.
    """
    size = path.stat().st_size
    if share != WHOLE:
        threads = 1
    if threads is None:
        threads = min(_MOST_THREADS, processors()) if size > _SPLIT_FROM else 1
    parts = _parts(path, size, threads) if threads > 1 and has_streams() else None
    try:
        if parts is None:
            savefile = Savefile(path)
            try:
                yield from _Reader(savefile, probes, reading, share).messages()
            finally:
                savefile.close()
        else:
            yield from _in_parts(path, probes, reading, *parts)
    except Broken as broken:
        if share != WHOLE:
            raise SaveFileError(broken.what, broken.offset) from None
        with path.open("rb") as stream:
            for frame in read_frames(stream, broken.offset):
                yield from reading.frame(frame)


def is_dense(path: Path, probes: Sequence[Probe]) -> bool:
    """Whether so many frames of a file's beginning matter that several processes pay, each with a `Share`.

    False too where libpcap cannot read the file, or its frames cannot be told apart by a filter.
    """
    size = _SAMPLE * _DENSE
    if not has_streams() or path.stat().st_size <= size:
        return False
    window = Window(path, b"", 0, size)
    count = 0

    def take(_: Frame) -> bool:
        nonlocal count
        count += 1
        return count >= _SAMPLE

    try:
        savefile = Savefile(window)
        try:
            chosen = program(probes, savefile.link_type)
            if chosen is None:
                return False
            savefile.set_filter(chosen.code)
            return savefile.read(take)
        finally:
            savefile.close()
    except (Broken, LibpcapMissing):
        # Cut where the sample ends, at the latest.
        return False
    finally:
        window.close()


class _Chooser:
    """Keeps the filter of a savefile in step with what is hungry."""

    def __init__(
        self, savefile: Savefile, probes: Sequence[Probe], streams: Streams, share: Share = WHOLE
    ) -> None:
        self._savefile = savefile
        self._streams = streams
        self._program = program(probes, savefile.link_type, MAX_HUNGRY, share=share)
        if self._program is None and share != WHOLE:
            raise LibpcapMissing("no filter tells the frames of this link apart")
        self._changes = self._additions = -1
        self._late = 0
        self.refresh()

    def refresh(self) -> None:
        """Patch the filter: at once where more is wanted, after some frames where less is."""
        streams = self._streams
        if streams.changes == self._changes or self._program is None:
            return
        self._late += 1
        if streams.additions == self._additions and self._late < _PATIENCE:
            return
        self._late, self._changes, self._additions = 0, streams.changes, streams.additions
        self._savefile.set_filter(self._program.hungry(streams.hungry))


class _Reader:
    """One savefile whose frames go through a Reading."""

    def __init__(
        self, savefile: Savefile, probes: Sequence[Probe], reading: Reading, share: Share = WHOLE
    ) -> None:
        self._savefile = savefile
        self._reading = reading
        self._probes = probes
        self._share = share
        self._chooser = _Chooser(savefile, probes, reading.streams, share)
        self._said: list[Message] = []
        self._bulk: Bulk | None = None
        self._dense = self._sparse = False
        self._count = self._place = 0

    def messages(self) -> Iterator[Message]:
        """What the savefile's frames say, to its end."""
        more = True
        while more:
            broken = None
            try:
                if self._bulk is None:
                    more = self._savefile.read(self._take)
                else:
                    more = self._savefile.read_many(self._take_many)
            except Broken as error:
                # What came before it counts.
                more, broken = False, error
            if self._bulk is not None and (self._sparse or not more):
                self._said += self._bulk.finish()
                self._bulk, self._sparse = None, False
                self._chooser = _Chooser(self._savefile, self._probes, self._reading.streams, self._share)
            elif self._dense:
                self._dense = False
                self._bulk = self._in_bulk()
            said, self._said = self._said, []
            yield from said
            if broken is not None:
                raise broken

    def _take(self, frame: Frame) -> bool:
        self._said += self._reading.frame(frame)
        self._chooser.refresh()
        self._count += 1
        if self._count == _SAMPLE:
            here = self._savefile.place()
            self._dense = here - self._place < _SAMPLE * _DENSE
            self._count, self._place = 0, here
        return self._dense or len(self._said) >= _BATCH

    def _in_bulk(self) -> Bulk | None:
        """Take what follows in bulk, all TCP segments with data, if the savefile's link allows it."""
        every = program(self._probes, self._savefile.link_type, every_word=True, share=self._share)
        if every is None or not has_streams():
            return None
        self._savefile.set_filter(every.code)
        return Bulk(self._reading, self._savefile.link_type, self._probes)

    def _take_many(self, records: bytes) -> bool:
        bulk = self._bulk
        assert bulk is not None  # noqa: S101 - it is what called for this
        self._said += bulk.take(records)
        if bulk.useful >= _SAMPLE or self._savefile.place() - self._place > _SAMPLE * _SPARSE:
            here = self._savefile.place()
            self._sparse = here - self._place > bulk.useful * _SPARSE
            bulk.useful, self._place = 0, here
        return self._sparse or len(self._said) >= _BATCH


def _parts(path: Path, size: int, count: int) -> tuple[bytes, list[tuple[int, int]]] | None:
    """The head that every part needs, and for each part after the first where to scout from and begin."""
    found = []
    try:
        with path.open("rb") as stream:
            places = Places(stream)
            for number in range(1, count):
                begin = places.near(size * number // count)
                ahead = None if begin is None else places.near(max(len(places.head), begin - _SEAM))
                if begin is None or ahead is None or ahead > begin:
                    return None
                found.append((ahead, begin))
    except SaveFileError:
        return None
    return places.head, found


def _in_parts(
    path: Path, probes: Sequence[Probe], reading: Reading, head: bytes, parts: list[tuple[int, int]]
) -> Iterator[Message]:
    size = path.stat().st_size
    ends = [*(begin for _, begin in parts[1:]), size]
    scouts = [_Scout(path, probes, head, *part, end) for part, end in zip(parts, ends, strict=True)]
    window = Window(path, b"", 0, parts[0][1])
    try:
        savefile = Savefile(window)
        try:
            for scout in scouts:
                scout.start()
            reader = _Reader(savefile, probes, reading)
            alone = None
            try:
                yield from reader.messages()
            except Broken as broken:
                # The first part does not end where it was thought to: what follows was cut wrongly.
                alone = broken.offset
            for scout in scouts:
                if alone is None and not scout.is_whole():
                    alone = scout.begin
                if alone is not None:
                    window.at, window.end = alone, size
                    savefile.go_on()
                    yield from reader.messages()
                    return
                for frame in scout.take_frames():
                    yield from reading.frame(frame)
        finally:
            for scout in scouts:
                scout.stop()
            savefile.close()
    finally:
        window.close()


class _Scout:
    """Reads one part of a file in a thread of its own, and keeps the frames that may matter."""

    def __init__(
        self, path: Path, probes: Sequence[Probe], head: bytes, ahead: int, begin: int, end: int
    ) -> None:
        self.begin = begin
        self._path, self._probes, self._head = path, probes, head
        self._ahead, self._end = ahead, end
        self._begins = Wanted.of(probes).begins
        self._frames: list[Frame] = []
        self._held = 0
        self._stopped = False
        self._whole = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Read no further."""
        self._stopped = True
        if self._thread.ident is not None:
            self._thread.join()

    def is_whole(self) -> bool:
        """Whether the part was read from its beginning exactly to its end; waits until that is known."""
        self._thread.join()
        return self._whole

    def take_frames(self) -> list[Frame]:
        """The frames of the part, which are then forgotten here."""
        frames, self._frames = self._frames, []
        return frames

    def _run(self) -> None:
        streams = Streams(self._begins)
        try:
            self._read(self._ahead, self.begin, streams, self._follow)
            self._whole = not self._read(self.begin, self._end, streams, self._keep)
        except (Broken, LibpcapMissing, OSError):
            self._whole = False
        if not self._whole:
            self._frames = []

    def _read(self, at: int, end: int, streams: Streams, take: Callable[[Frame, Streams], bool]) -> bool:
        """Read from `at` to `end`; True when it was broken off."""
        window = Window(self._path, self._head, at, end)
        try:
            savefile = Savefile(window)
            try:
                chooser = _Chooser(savefile, self._probes, streams)

                def each(frame: Frame) -> bool:
                    stop = take(frame, streams)
                    chooser.refresh()
                    return stop

                return savefile.read(each)
            finally:
                savefile.close()
        finally:
            window.close()

    def _follow(self, frame: Frame, streams: Streams) -> bool:
        """Learn what is hungry."""
        try:
            packet = decode(frame.data, frame.link_type)
        except (IndexError, ValueError, struct.error):
            return self._stopped
        if isinstance(packet, Packet) and packet.protocol == _TCP and (packet.payload or packet.flags & 7):
            streams.add(packet, None, 0)
        return self._stopped

    def _keep(self, frame: Frame, streams: Streams) -> bool:
        self._frames.append(frame)
        self._held += len(frame.data)
        return self._follow(frame, streams) or self._held > _MOST_SCOUTED
