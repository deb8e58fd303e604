"""Tests of the service that systemd runs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.schedule.settings import read_settings
from agent.schedule.units import Installation, install, service

WHAT = Installation(Path("/opt/camcensus"), "/opt/camcensus/.venv/bin/python -P -m agent.cli")


def test_what_it_writes_and_says(tmp_path: Path) -> None:
    """Below another root: the service with example settings that are sound; each step is said; again changes nothing."""
    said: list[str] = []
    what = Installation(WHAT.home, WHAT.command, root=tmp_path)
    install(what, said.append)
    unit, settings = what.unit, tmp_path / "etc/camcensus/agent.toml"
    assert [line.split(":")[0] for line in said] == [f"wrote {settings}", f"wrote {unit}"]
    assert read_settings(settings, tmp_path).scopes[0].id == "site-1.all"
    settings.write_text("# mine\n")
    said.clear()
    install(what, said.append)
    assert said == [f"{unit} is there and as it should be"]
    assert settings.read_text() == "# mine\n"


def test_it_may_do_little() -> None:
    """One capability, no way to more, nothing to write but its own folders."""
    text = service(WHAT)
    for line in (
        "CapabilityBoundingSet=CAP_NET_RAW",
        "AmbientCapabilities=CAP_NET_RAW",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "User=camcensus",
        "Type=notify",
    ):
        assert f"{line}\n" in text
    assert len(re.findall(r"CAP_\w+", text)) == 2


def test_a_checkout_below_home_can_be_read() -> None:
    """What lies in somebody's home stays readable, and no more than that."""
    assert "ProtectHome=yes\n" in service(WHAT)
    assert "ProtectHome=read-only\n" in service(Installation(Path("/home/x/camcensus"), "/home/x/c"))


def test_systemd_takes_it(tmp_path: Path) -> None:
    """Systemd itself finds nothing wrong with it, and rates what it may do as safe."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("missing tool: systemd-analyze (Debian package systemd)")
    unit = tmp_path / "camcensus-agent.service"
    # Its own program has to be there to be verified.
    unit.write_text(service(Installation(Path("/usr"), "/bin/true")))
    done = subprocess.run(
        [program, "verify", "--man=no", "--recursive-errors=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run(
        [program, "security", "--offline=true", "--threshold=30", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-600:]
