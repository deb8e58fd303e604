"""Holds what is kept from run to run to its promise: the same files or nothing, from us or nobody."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fingerprints.cache import identity, keep, recall, takes

VALUE = {"a": (1, 2.5, None, True), "b": ["text", b"bytes"]}


def _state(*paths: Path) -> bytes:
    state = identity(paths)
    assert state is not None
    return state


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_text("one")
    return path


@pytest.fixture
def kept(tmp_path: Path, source: Path) -> Path:
    """A folder in which `VALUE` is kept under ``it`` for the state of `source`."""
    folder = tmp_path / "cache" / "deep"
    keep(folder, "it", _state(source), VALUE)
    assert recall(folder, "it", _state(source)) == VALUE
    return folder


def test_nobody_else_may_look_or_write(kept: Path) -> None:
    """The folder and the file are open to their owner alone, and no part of a file is left behind."""
    assert kept.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in kept.iterdir()] == ["it"]
    assert (kept / "it").stat().st_mode & 0o777 == 0o600


def _edit(source: Path) -> None:
    source.write_text("other")


def _same_size_and_time(source: Path) -> None:
    before = source.stat()
    source.write_text("two")
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replaced(source: Path) -> None:
    before = source.stat()
    other = source.with_name("other")
    other.write_text("two")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(source)


@pytest.mark.parametrize("change", [_edit, _same_size_and_time, _replaced])
def test_a_changed_file_is_noticed(kept: Path, source: Path, change: Callable[[Path], None]) -> None:
    """However a file is changed, what was worked out from it is not given back."""
    change(source)
    assert recall(kept, "it", _state(source)) is None


def test_another_path_and_more_count(source: Path, tmp_path: Path) -> None:
    """The same bytes at another path, one file more and other words with it are other states."""
    linked = tmp_path / "linked"
    os.link(source, linked)
    states = {identity([source]), identity([linked]), identity([source, linked]), identity([source], "more")}
    assert len(states) == 4


def test_a_missing_file_has_no_state(tmp_path: Path) -> None:
    """Where a file is missing nothing can be kept."""
    assert identity([tmp_path / "missing"]) is None


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def _longer(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0")


def _flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)


def _foreign(file: Path) -> None:
    file.write_bytes(b"something else altogether, and long enough")


def _older_format(file: Path) -> None:
    file.write_bytes(b"camcens\0" + file.read_bytes()[8:])


def _others_may_write(file: Path) -> None:
    file.chmod(0o620)


def _link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


_DAMAGE = [
    _empty,
    _cut,
    _longer,
    _flipped,
    _foreign,
    _older_format,
    _others_may_write,
    _link,
    _pipe,
    _folder,
]


@pytest.mark.parametrize("damage", _DAMAGE)
def test_what_cannot_be_trusted_is_not_there(
    kept: Path, source: Path, damage: Callable[[Path], None]
) -> None:
    """A kept file that is broken, of another format, writable by others or no file gives nothing."""
    damage(kept / "it")
    assert recall(kept, "it", _state(source)) is None


@pytest.mark.parametrize("damage", [damage for damage in _DAMAGE if damage is not _folder])
def test_what_cannot_be_trusted_is_replaced(kept: Path, source: Path, damage: Callable[[Path], None]) -> None:
    """The next run puts a good file in the place of a bad one."""
    damage(kept / "it")
    keep(kept, "it", _state(source), VALUE)
    assert recall(kept, "it", _state(source)) == VALUE


@pytest.mark.skipif(os.geteuid() != 0, reason="missing tool: only root can give a file to another user")
def test_a_file_of_another_user_is_not_there(kept: Path, source: Path) -> None:
    """What somebody else owns is not read, though it is right to the last bit."""
    os.chown(kept / "it", 65534, 65534)
    assert recall(kept, "it", _state(source)) is None


def test_a_folder_that_others_may_write_takes_nothing(kept: Path, source: Path) -> None:
    """Where others could put a file of theirs in the place of ours, nothing is kept."""
    (kept / "it").unlink()
    kept.chmod(0o770)
    assert not takes(kept)
    keep(kept, "it", _state(source), VALUE)
    assert list(kept.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_no_failure(source: Path) -> None:
    """Without a place to keep things nothing is kept, silently."""
    folder = source / "below-a-file"
    assert not takes(folder)
    keep(folder, "it", _state(source), VALUE)
    assert recall(folder, "it", _state(source)) is None


def test_a_folder_that_can_be_made_takes_things(tmp_path: Path) -> None:
    """What is still to be made counts as good, and what was made as well."""
    assert takes(tmp_path / "deep" / "deeper")
    (tmp_path / "deep").mkdir(mode=0o700)
    assert takes(tmp_path / "deep")


def test_many_at_once_leave_one_whole_file(kept: Path, source: Path) -> None:
    """Those who keep and recall at the same time never see half a file."""
    state = _state(source)
    large = {str(number): "x" * number for number in range(400)}
    seen: list[object] = []

    def work() -> None:
        for _ in range(25):
            keep(kept, "it", state, large)
            seen.append(recall(kept, "it", state))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(seen) == 100
    assert all(value == large for value in seen)
    assert [path.name for path in kept.iterdir()] == ["it"]
