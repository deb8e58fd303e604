"""Makes, enters and removes the network namespaces of the lab.

Their names begin with ``camlab-<pid>-<start>-``: the process they belong to, with the moment
it started. What a killed process left behind is recognised by that and removed by the next lab.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

__all__ = ["enter", "inside", "ip", "prefix", "remove", "remove_stale"]

_FOLDER: Final = Path("/run/netns")
_NAME: Final = re.compile(r"camlab-(\d+)-(\d+)-")
_CLONE_NEWNET: Final = 0x40000000
_libc: Final = ctypes.CDLL(None, use_errno=True)


def prefix() -> str:
    """How the names of this process's namespaces begin."""
    return f"camlab-{os.getpid()}-{_started(os.getpid())}-"


def ip(commands: Iterable[str], namespace: str | None = None) -> None:
    """Give `commands` to one ``ip -batch``, in `namespace`. Raises CalledProcessError."""
    where = [] if namespace is None else ["-n", namespace]
    text = "\n".join(commands) + "\n"
    subprocess.run(["ip", *where, "-batch", "-"], input=text, text=True, check=True, capture_output=True)


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Have this thread in `namespace`: sockets opened here stay there."""
    with Path("/proc/thread-self/ns/net").open("rb") as home:
        enter(namespace)
        try:
            yield
        finally:
            _setns(home.fileno())


def enter(namespace: str) -> None:
    """Move this thread to `namespace` for good."""
    with (_FOLDER / namespace).open("rb") as there:
        _setns(there.fileno())


def remove(name_prefix: str) -> None:
    """Kill what runs in the namespaces whose names begin so, then delete them."""
    names = [path.name for path in _listed() if path.name.startswith(name_prefix)]
    inodes = {_FOLDER.joinpath(name).stat().st_ino for name in names}
    for _ in range(50):
        left = _processes(inodes)
        if not left:
            break
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    if names:
        ip(f"netns del {name}" for name in names)


def remove_stale() -> None:
    """Remove what labs of processes that are no more left behind."""
    for found in {match[0]: match for path in _listed() if (match := _NAME.match(path.name))}.values():
        if _started(int(found[1])) != found[2]:
            remove(found[0])


def _listed() -> list[Path]:
    return sorted(_FOLDER.iterdir()) if _FOLDER.is_dir() else []


def _started(pid: int) -> str | None:
    """When `pid` started, in clock ticks since boot; None if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


def _processes(inodes: set[int]) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if (entry / "ns" / "net").stat().st_ino in inodes:
                    found.append(int(entry.name))
    return found


def _setns(descriptor: int) -> None:
    # os.setns came with Python 3.12.
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
