"""Tests of the launcher: first use, later uses, and every way in which setting up can fail."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.places import REPO

TOOLS = (
    *("cat", "cksum", "cmp", "cp", "env", "id", "kill", "mkdir", "mount", "mv", "readlink"),
    *("rm", "sh", "sleep", "touch", "tr", "true", "unshare"),
)

# Stands in for interpreters that cannot be had here: too old, or without the venv module.
FAKE_PYTHON = """#!/bin/sh
for last; do :; done
case "$*" in
*'sys.version_info <'*) [ -z "${FAKE_OLD:-}" ] || exit 1; echo "$0" ;;
*'import ensurepip'*) exit "${FAKE_WITHOUT_VENV:-0}" ;;
*'sys.version_info[0]'*) echo 3.13 ;;
*'-m venv'*) mkdir -p "$last/bin"; cp "$0" "$last/bin/python" ;;
*'-m pip'*) sleep "${FAKE_SECONDS:-0}" ;;
*) echo "ran: $*" ;;
esac
"""

PROGRAM = """
import sys
import tiny
print(tiny.NAME, sys.argv[1:])
"""


def wheel(folder: Path, name: str) -> tuple[Path, str]:
    """A package with one module that says `name`; its wheel and its SHA-256."""
    path = folder / "tiny-1.0-py3-none-any.whl"
    files = {
        "tiny.py": f"NAME = {name!r}\n",
        "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{file},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},{len(text)}\n"
        for file, text in files.items()
    )
    files["tiny-1.0.dist-info/RECORD"] = f"{record}tiny-1.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with spaces in its path: the real launcher, with a small program behind it."""
    folder = tmp_path / "a check out"
    (folder / "agent" / "cli").mkdir(parents=True)
    for name in ("__init__.py", "cli/__init__.py"):
        (folder / "agent" / name).touch()
    (folder / "agent" / "cli" / "__main__.py").write_text(PROGRAM)
    shutil.copy(REPO / "camcensus", folder)
    shutil.copytree(REPO / "scripts", folder / "scripts")
    lock(folder, *wheel(tmp_path, "first"))
    return folder


def lock(checkout: Path, package: Path, digest: str) -> None:
    (checkout / "requirements.lock").write_text(f"tiny @ {package.as_uri()} --hash=sha256:{digest}\n")


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with the few tools that the launcher needs, and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        if found is not None:
            (folder / name).symlink_to(found)
    return folder


def add_program(folder: Path, name: str, text: str = "#!/bin/sh\n") -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def launch(
    checkout: Path, tools: Path, *words: str, cwd: Path | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run the launcher with nothing else in its environment."""
    return subprocess.run(
        [checkout / "camcensus", *words],
        cwd=cwd or tools,
        env={"PATH": str(tools), "HOME": str(tools.parent), **env},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_first_use_sets_up_and_later_ones_start_at_once(checkout: Path, tools: Path, tmp_path: Path) -> None:
    """From any folder, through a symlink: the first call installs, the second says nothing, words arrive whole."""
    link = tmp_path / "link"
    link.mkdir()
    (link / "camcensus").symlink_to(f"../{checkout.name}/camcensus")
    (link / "agent").mkdir()
    (link / "agent" / "__init__.py").write_text("raise SystemExit('the wrong agent')")
    first = launch(link, tools, "a b", "*", cwd=link, CAMCENSUS_PYTHON=sys.executable)
    assert (first.returncode, first.stdout) == (0, "first ['a b', '*']\n"), first.stderr
    assert first.stderr.splitlines()[-1] == "camcensus: ready"
    later = launch(link, tools, "", cwd=link)
    assert (later.returncode, later.stdout, later.stderr) == (0, "first ['']\n", "")


def test_setting_up_compiles_our_code(checkout: Path, tools: Path) -> None:
    """Our own code is compiled with the packages, though runs keep no bytecode; a launcher named without a folder runs, too."""
    done = launch(checkout, tools, CAMCENSUS_PYTHON=sys.executable, PYTHONDONTWRITEBYTECODE="1")
    assert done.returncode == 0, done.stderr
    compiled = {path.name.partition(".")[0] for path in (checkout / "agent").rglob("*.pyc")}
    assert compiled == {"__init__", "__main__"}
    named = subprocess.run(
        ["sh", "camcensus", "x"],
        cwd=checkout,
        env={"PATH": str(tools), "HOME": str(tools.parent)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (named.returncode, named.stdout, named.stderr) == (0, "first ['x']\n", "")


def test_a_wrong_hash_is_refused_and_a_mended_lock_is_installed(
    checkout: Path, tools: Path, tmp_path: Path
) -> None:
    """What is not what was locked never runs; the next call with a right lock file does it all again."""
    package, digest = wheel(tmp_path, "second")
    lock(checkout, package, "0" * 64)
    refused = launch(checkout, tools, CAMCENSUS_PYTHON=sys.executable)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert "could not be installed" in refused.stderr
    lock(checkout, package, digest)
    mended = launch(checkout, tools, CAMCENSUS_PYTHON=sys.executable)
    assert (mended.returncode, mended.stdout) == (0, "second []\n"), mended.stderr
    assert not (checkout / ".venv.lock").exists()


def test_a_changed_lock_file_is_followed(checkout: Path, tools: Path) -> None:
    """The environment is brought up to a new lock file once, and then left alone."""
    add_program(tools, "python3", FAKE_PYTHON)
    assert "setting up" in launch(checkout, tools).stderr
    with (checkout / "requirements.lock").open("a") as lines:
        lines.write("# changed\n")
    changed = launch(checkout, tools)
    assert "installing" in changed.stderr
    assert "setting up" not in changed.stderr
    assert launch(checkout, tools).stderr == ""


def test_an_environment_of_somebody_else_is_not_touched(checkout: Path, tools: Path, tmp_path: Path) -> None:
    """A .venv that the launcher did not make stays as it is; ours goes to the cache."""
    add_program(tools, "python3", FAKE_PYTHON)
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "precious").touch()
    done = launch(checkout, tools, "x", XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert (done.returncode, done.stdout) == (0, "ran: -P -m agent.cli x\n"), done.stderr
    assert [path.name for path in (checkout / ".venv").iterdir()] == ["precious"]
    assert len(list((tmp_path / "cache" / "camcensus").iterdir())) == 1
    assert launch(checkout, tools, XDG_CACHE_HOME=str(tmp_path / "cache")).stderr == ""


def test_a_checkout_that_cannot_be_written(checkout: Path, tools: Path, tmp_path: Path) -> None:
    """A read-only checkout gets its environment in the user's cache."""
    add_program(tools, "python3", FAKE_PYTHON)
    cache = tmp_path / "cache"
    env = {"PATH": str(tools), "HOME": str(tmp_path), "XDG_CACHE_HOME": str(cache)}
    command = ["sh", "-c", 'exec "$0/camcensus" x', str(checkout)]
    if os.geteuid() == 0:
        # Root may write anywhere but to what is mounted read-only.
        mounts = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$0/camcensus" x'
        command = ["unshare", "--mount", "sh", "-c", mounts, str(checkout)]
    else:
        checkout.chmod(0o555)
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    checkout.chmod(0o755)
    assert (done.returncode, done.stdout) == (0, "ran: -P -m agent.cli x\n"), done.stderr
    assert not (checkout / ".venv").exists()
    assert len(list((cache / "camcensus").iterdir())) == 1


def test_two_at_once_do_not_clash(checkout: Path, tools: Path) -> None:
    """Of two first uses at the same time one sets up, and the other waits for it."""
    add_program(tools, "python3", FAKE_PYTHON)
    running = [
        subprocess.Popen(
            [checkout / "camcensus"],
            env={"PATH": str(tools), "HOME": str(tools), "FAKE_SECONDS": "2"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60) for process in running]
    assert [out for out, _ in said] == ["ran: -P -m agent.cli\n"] * 2
    assert sum("setting up" in err for _, err in said) == 1
    assert sum("waiting for another set-up" in err for _, err in said) == 1


def test_a_set_up_that_died_is_done_again(checkout: Path, tools: Path) -> None:
    """What an interrupted set-up left behind, its lock included, does not stand in the way."""
    add_program(tools, "python3", FAKE_PYTHON)
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / ".camcensus").touch()
    (checkout / ".venv.lock").mkdir()
    dead = subprocess.Popen(["true"])
    dead.wait()
    (checkout / ".venv.lock" / "pid").write_text(f"{dead.pid}\n")
    done = launch(checkout, tools)
    assert (done.returncode, done.stdout) == (0, "ran: -P -m agent.cli\n"), done.stderr
    assert not (checkout / ".venv.lock").exists()


def test_no_python_is_said_with_the_way_to_get_one(checkout: Path, tools: Path) -> None:
    """Where there is only an old Python, the message names what is needed and how to name another."""
    add_program(tools, "python3", FAKE_PYTHON)
    done = launch(checkout, tools, FAKE_OLD="1")
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr
    assert "CAMCENSUS_PYTHON=" in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_wrong_camcensus_python_is_refused(checkout: Path, tools: Path) -> None:
    """An interpreter that the user names is used or refused, never replaced by another."""
    add_program(tools, "python3", FAKE_PYTHON)
    done = launch(checkout, tools, CAMCENSUS_PYTHON="/nowhere/python")
    assert done.returncode == 2
    assert "CAMCENSUS_PYTHON is /nowhere/python" in done.stderr


def test_debian_without_venv_gets_the_one_command(checkout: Path, tools: Path) -> None:
    """Debian's Python without its venv package: the message is the command that mends it."""
    add_program(tools, "python3", FAKE_PYTHON)
    add_program(tools, "apt-get")
    done = launch(checkout, tools, FAKE_WITHOUT_VENV="1")
    assert done.returncode == 1
    assert "    sudo apt install python3.13-venv" in done.stderr.splitlines()[-1]


def test_the_scripts_are_clean() -> None:
    """The shell scripts are POSIX, and the shell's own linter finds nothing."""
    if shutil.which("shellcheck") is None:
        pytest.skip("missing tool: shellcheck")
    scripts = ["camcensus", "test", ".ci/run", "scripts/environment.sh", "scripts/lock"]
    done = subprocess.run(
        ["shellcheck", "-x", *scripts], cwd=REPO, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_lock_files_hold_what_the_project_asks_for() -> None:
    """Every dependency is pinned with its hashes, and no package index is named."""
    project = tomllib.loads((REPO / "pyproject.toml").read_text())
    groups = {
        "requirements.lock": project["project"]["dependencies"],
        "requirements-dev.lock": [
            *project["project"]["dependencies"],
            *project["dependency-groups"]["dev"],
        ],
    }
    for name, wanted in groups.items():
        text = (REPO / name).read_text()
        assert "://" not in text
        pinned = dict(
            line.split(" ")[0].split("==") for line in text.splitlines() if "==" in line.split(" ")[0]
        )
        for requirement in map(Requirement, wanted):
            version = pinned.get(requirement.name.lower().replace("_", "-"))
            assert version is not None, f"{name} lacks {requirement.name}: see CONTRIBUTING.md"
            assert requirement.specifier.contains(version), f"{name}: {requirement.name} {version}"
