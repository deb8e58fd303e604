"""Tests of the packages for places without internet: made here, set up in a namespace without a way out."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.places import REPO

pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("packages")]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which scripts/package left what it made."""
    for tool in ("git", "dpkg-deb"):
        if shutil.which(tool) is None:
            pytest.skip(f"missing tool: {tool}")
    if not (REPO / ".git").exists():
        pytest.skip("packages are made of what git knows: this is no checkout")
    out = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [str(REPO / "scripts" / "package"), str(out)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return out


def offline(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command where there is no network at all, as a new user."""
    if os.geteuid() != 0:
        pytest.skip("needs root: a network namespace without a way out")
    home = folder / "home"
    home.mkdir(exist_ok=True)
    clean = {"PATH": os.environ["PATH"], "HOME": str(home)}
    return subprocess.run(
        ["unshare", "--net", *command], env=clean, capture_output=True, text=True, check=False, timeout=600
    )


def test_checksums_are_right(packages: Path) -> None:
    """SHA256SUMS names all three files, with their sums."""
    lines = (packages / "SHA256SUMS").read_text().splitlines()
    rows = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert {path.name for path in packages.iterdir()} == {*rows, "SHA256SUMS"}
    assert {path.suffix for path in map(Path, rows)} == {".gz", ".json", ".deb"}
    for name, digest in rows.items():
        assert hashlib.sha256((packages / name).read_bytes()).hexdigest() == digest


def test_the_bill_names_every_package(packages: Path) -> None:
    """Each package of the environment stands in the bill with version, purl and hash."""
    bill = json.loads(next(packages.glob("*.cdx.json")).read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    rows = {row["name"]: row for row in bill["components"]}
    assert {"typer", "django", "httpx", "nats-py", "cryptography"} <= set(rows)
    for name, row in rows.items():
        assert row["purl"] == f"pkg:pypi/{name}@{row['version']}"
        assert len(row["hashes"][0]["content"]) == 64
    refs = {row["bom-ref"] for row in bill["components"]}
    assert refs == set(bill["dependencies"][0]["dependsOn"])


def test_the_archive_sets_itself_up_without_a_network(packages: Path, tmp_path: Path) -> None:
    """Unpacked on a machine without any network, the first use sets up, the second judges."""
    archive = next(packages.glob("*.tar.gz"))
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(tmp_path)], check=True)
    program = str(tmp_path / archive.name.removesuffix(".tar.gz") / "camcensus")
    done = offline([program, "--version"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("camcensus ")
    line = tmp_path / "one.jsonl"
    line.write_text('{"id": "x", "observations": [{"field": "http.server", "text": "App-webs/"}]}\n')
    done = offline([program, "identify", str(line)], tmp_path)
    assert json.loads(done.stdout)["manufacturer"] == "Hikvision"
    assert offline([program, "inventory", "--help"], tmp_path).returncode == 0
    assert offline([program, "agent", "--help"], tmp_path).returncode == 0


def test_the_debian_package(packages: Path, tmp_path: Path) -> None:
    """It says what it needs, puts everything below /opt, and the command where commands are."""
    deb = str(next(packages.glob("*.deb")))
    fields = subprocess.run(["dpkg-deb", "-f", deb], capture_output=True, text=True, check=True).stdout
    assert "Package: camcensus\n" in fields
    assert "python3 (>= 3.11), python3-venv, libpcap0.8" in fields
    subprocess.run(["dpkg-deb", "-R", deb, str(tmp_path)], check=True)
    assert (tmp_path / "usr/bin/camcensus").readlink() == Path("/opt/camcensus/camcensus")
    assert {path.name for path in (tmp_path / "opt/camcensus").iterdir()} >= {
        "agent",
        "wheels",
        "sbom.cdx.json",
    }
    assert not list(tmp_path.rglob("__pycache__"))
    for script in ("postinst", "prerm"):
        assert subprocess.run(["sh", "-n", str(tmp_path / "DEBIAN" / script)], check=False).returncode == 0
