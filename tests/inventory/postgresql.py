"""A private PostgreSQL: made in a temporary folder, on a Unix socket alone, gone afterwards."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Server", "installed"]

_FAST = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off -c shared_buffers=128MB"

_PATIENCE = 600
"""Seconds: one that holds millions of rows writes them down before it stops."""


def installed() -> Path | None:
    """The folder of PostgreSQL's programs, the newest there is."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    named = shutil.which("initdb")
    return next(iter(reversed(folders)), Path(named).resolve().parent if named else None)


def _own_null(folder: Path) -> tuple[str, ...]:
    """Words before a command that give it a /dev/null anybody may write: some containers have none."""
    null = folder / "null"
    os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    null.chmod(0o666)
    return ("unshare", "-m", "sh", "-c", f'mount --bind {null} /dev/null && exec "$@"', "sh")


@dataclass(slots=True)
class Server:
    """One running server; `folder` holds its socket."""

    folder: Path
    programs: Path
    as_user: tuple[str, ...]
    options: str = _FAST
    _numbers: Any = field(default_factory=itertools.count)

    @classmethod
    @contextlib.contextmanager
    def started(cls, options: str = _FAST, kept: Path | None = None) -> Generator[Server]:
        """Start one and stop it at the end; PostgreSQL refuses root, which lends it another user.

        Its folder goes at the end, unless it is one to be `kept`: what that holds already is there again.
        """
        programs = installed()
        assert programs is not None
        folder = Path(tempfile.mkdtemp(prefix="camcensus-pg-")) if kept is None else kept
        folder.mkdir(parents=True, exist_ok=True)
        as_user: tuple[str, ...] = ()
        if os.geteuid() == 0:
            user = next(row.pw_name for row in pwd.getpwall() if row.pw_name in {"postgres", "nobody"})
            shutil.chown(folder, user)
            as_user = ("setpriv", f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--clear-groups")
            if not Path("/dev/null").stat().st_mode & 0o002:
                as_user = (*_own_null(folder), *as_user)
        server = cls(folder, programs, as_user, options)
        try:
            if not (folder / "data").exists():
                words = ("-U", "camcensus", "-A", "trust", "-E", "UTF8", "-N")
                server.run("initdb", "-D", str(folder / "data"), *words)
            server.start()
            try:
                yield server
            finally:
                server.stop()
        finally:
            if kept is None:
                shutil.rmtree(folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, or start it again."""
        self.run(
            "pg_ctl", "start", "-w", "-t", str(_PATIENCE), "-D", str(self.folder / "data"), "-l", str(self.folder / "log"),
            "-o", f"-k {self.folder} -c listen_addresses= {self.options}",
        )  # fmt: skip

    def stop(self) -> None:
        """Stop it, whoever is connected: what was committed stays."""
        self.run("pg_ctl", "stop", "-m", "fast", "-t", str(_PATIENCE), "-D", str(self.folder / "data"))

    def run(self, program: str, *words: str) -> None:
        """Run one of its programs as the user whose server it is."""
        subprocess.run(
            [*self.as_user, str(self.programs / program), *words],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            timeout=_PATIENCE,
        )

    def create(self, name: str, template: str = "template0") -> None:
        """Make a database."""
        self._say(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')

    def create_next(self, template: str) -> str:
        """Make a database under a name of its own; gives the name."""
        name = f"test_{next(self._numbers)}"
        self.create(name, template)
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected."""
        self._say(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _say(self, statement: str) -> None:
        import psycopg  # noqa: PLC0415 - only where there is a server

        with psycopg.connect(
            host=str(self.folder), dbname="postgres", user="camcensus", autocommit=True
        ) as link:
            link.execute(statement)

    def described(self, name: str) -> dict[str, Any]:
        """The database `name` as Django wants it described."""
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": name,
            "USER": "camcensus",
            "HOST": str(self.folder),
            "OPTIONS": {},
        }
