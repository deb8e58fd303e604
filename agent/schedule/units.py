"""Writes the systemd service of an agent: its own user, one capability, a sealed file system.

What it may do beside reading its settings: send and hear raw frames (CAP_NET_RAW: ARP, the SYN sweep,
listening), write its own folder. systemd.exec(5) explains each line.
"""

from __future__ import annotations

import grp
import pwd
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["InstallError", "Installation", "install", "service"]

_NAME: Final = "camcensus-agent.service"
_SERVICE: Final = """\
[Unit]
Description=camcensus: the camera census of this site
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
NotifyAccess=main
User={user}
Group={user}
Environment=PYTHONPATH={home} PYTHONDONTWRITEBYTECODE=1 XDG_CACHE_HOME=/var/cache/camcensus-agent XDG_DATA_HOME=/var/lib/{state}/data XDG_CONFIG_HOME=/etc
ExecStart={command} agent run --config {config}
ExecReload=/bin/kill -HUP $MAINPID
WatchdogSec=120
Restart=on-failure
RestartSec=30
TimeoutStopSec=120
StateDirectory={state}
StateDirectoryMode=0700
CacheDirectory=camcensus-agent
CacheDirectoryMode=0700
UMask=0077
LimitNOFILE=16384
Nice=5

AmbientCapabilities=CAP_NET_RAW
CapabilityBoundingSet=CAP_NET_RAW
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome={protect_home}
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_PACKET AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
LockPersonality=yes
MemoryDenyWriteExecute=no
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""

Run = Callable[[Sequence[str]], None]


class InstallError(Exception):
    """The service cannot be installed; the text says what failed."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Where things go: `root` is ``/`` but for tests and packages; `home` the folder with our packages."""

    home: Path
    command: str
    config: Path = Path("/etc/camcensus/agent.toml")
    user: str = "camcensus"
    state: str = "camcensus"
    root: Path = Path("/")

    @property
    def unit(self) -> Path:
        """The file of the service."""
        return self.root / "etc/systemd/system" / _NAME


def service(what: Installation) -> str:
    """The text of the service."""
    # Below /home our own packages could not even be read.
    below_home = any(what.home.is_relative_to(folder) for folder in ("/home", "/root", "/run/user"))
    return _SERVICE.format(
        user=what.user,
        home=what.home,
        command=what.command,
        config=what.config,
        state=what.state,
        protect_home="read-only" if below_home else "yes",
    )


def install(what: Installation, say: Callable[[str], None], run: Run | None = None) -> None:
    """Make user, folders and service, and say each step; what is there stays. Raises InstallError."""
    do = run or _run
    try:
        if what.root == Path("/") and not _is_user(what.user):
            do(
                [
                    "useradd",
                    "--system",
                    "--user-group",
                    "--no-create-home",
                    "--shell",
                    "/usr/sbin/nologin",
                    what.user,
                ]
            )
            say(f"made the user {what.user}, who cannot sign in")
        settings = what.root / what.config.relative_to("/")
        settings.parent.mkdir(parents=True, exist_ok=True)
        if not settings.exists():
            settings.write_text(_EXAMPLE, encoding="utf-8")
            settings.chmod(0o640)
            say(f"wrote {settings}: change it before you start the service")
        if what.root == Path("/"):
            shutil.chown(settings, "root", what.user)
        what.unit.parent.mkdir(parents=True, exist_ok=True)
        text = service(what)
        if what.unit.exists() and what.unit.read_text(encoding="utf-8") == text:
            say(f"{what.unit} is there and as it should be")
        else:
            part = what.unit.with_name(f".{what.unit.name}.part")
            part.write_text(text, encoding="utf-8")
            part.chmod(0o644)
            part.replace(what.unit)
            say(f"wrote {what.unit}")
        if what.root == Path("/"):
            do(["systemctl", "daemon-reload"])
            say("systemd knows it; `systemctl enable --now camcensus-agent` starts it now and at every boot")
    except (OSError, LookupError) as error:
        raise InstallError(f"{error}") from None


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _run(command: Sequence[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)  # noqa: S603 - fixed words
    except subprocess.CalledProcessError as error:
        raise InstallError(f"{' '.join(command)}: {error.stderr.strip()}") from None
    except subprocess.TimeoutExpired:
        raise InstallError(f"{' '.join(command)}: did not end") from None


_EXAMPLE: Final = """\
# The settings of this agent; docs/deploy.md explains each. `camcensus agent check` reads them.
profile = "gentle"

[agent]
name = "jump-1"
state = "/var/lib/camcensus"

#[inventory]
#url = "https://inventory.example"
#token-file = "/etc/camcensus/token"

[[site]]
code = "site-1"
time-zone = "Europe/London"

[[site.scope]]
name = "all"
targets = ["192.168.1.0/24"]
schedule = "30 1 * * *"
jitter = "20m"
"""
