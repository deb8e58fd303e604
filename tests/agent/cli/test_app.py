"""Tests of the program as a whole: help, exit codes, one line for each error, nothing heavy for --help."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from agent.cli.app import COMMANDS, build, run
from tests.places import REPO
from tests.small_knowledge import small_folder


def camcensus(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "agent.cli", *words],
        cwd=REPO,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_help_loads_only_what_it_needs() -> None:
    """--help imports no rule, no probe and no big library: that is why it answers at once."""
    code = (
        "import sys\nfrom agent.cli.app import run\ncode = run(['--help'])\n"
        "print(code, len(sys.modules), *sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)\n"
        "print(*sorted(name for name in sys.modules if name.startswith(('agent.', 'fingerprints'))), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, timeout=60, check=True
    )
    first, ours = done.stderr.splitlines()
    exit_code, count, *names = first.split()
    assert exit_code == "0"
    assert int(count) < 300
    heavy = {"asyncio", "cryptography", "httpx", "netaddr", "pydantic", "rich", "scapy", "zeep", "zeroconf"}
    assert not heavy & set(names)
    assert ours.split() == ["agent.cli", "agent.cli.app", "agent.cli.coercion", "agent.cli.exits"]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_is_what_the_commands_say(name: str) -> None:
    """The line that --help shows for a command is the first line of the command's own help."""
    group = get_command(build(name))
    command = group.commands[name]  # type: ignore[attr-defined]
    assert command.help.splitlines()[0] == COMMANDS[name]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_the_common_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--help works for each, and each takes --format, --output, --quiet and -v."""
    group = get_command(build(name))
    command = group.commands[name]  # type: ignore[attr-defined]
    if name not in {"agent", "inventory", "outbox", "rules"}:
        assert {"--format", "--output", "--quiet", "-v"} <= {
            option for parameter in command.params for option in parameter.opts
        }
    assert run([name, "--help"]) == 0
    assert f"camcensus {name}" in capsys.readouterr().out


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Called with nothing it says what it can do, on stderr, as a usage error."""
    assert run([]) == 2
    said = capsys.readouterr()
    assert "Commands:" in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["scann"], "scann"),
        (["identify", "--no-such"], "--no-such"),
        (["identify"], "FILE"),
        (["identify", "x.jsonl", "--format", "pdf"], "pdf"),
        (["identify", "x.jsonl", "--policy", "nowhere"], "nowhere"),
        (["explain", "x", "--from", str(REPO / "pyproject.toml")], "pyproject.toml"),
        (["identify", os.devnull, "--oui", os.devnull], os.devnull),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_2(
    words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names what is wrong."""
    assert run(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert named in said.err


def test_a_file_that_is_not_there_is_one_line_and_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    """An error of the system names the file."""
    assert run(["identify", "/nowhere/x.jsonl"]) == 1
    assert capsys.readouterr().err == "camcensus: /nowhere/x.jsonl: No such file or directory\n"


def test_a_rule_error_names_file_rule_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong rule file is exit 2 with the place to mend."""
    folder = small_folder(tmp_path)
    path = folder / "manufacturers" / "acme.toml"
    path.write_text(path.read_text().replace('prefix = "acme-webs"', 'prefx = "acme-webs"'))
    assert run(["rules", "check", "--folder", str(folder)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "acme.toml" in said
    assert "acme.http.server" in said
    number = path.read_text().splitlines().index('id = "acme.http.server"') + 1
    assert any(str(line) in said for line in range(number - 1, number + 3))


def test_a_reader_that_goes_away_is_nothing_to_talk_about() -> None:
    """`camcensus rules list | head -1` ends quietly."""
    with subprocess.Popen(
        [sys.executable, "-m", "agent.cli", "rules", "show"],
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0


def test_a_fault_of_ours_shows_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even a bug is a sentence and exit 1."""
    monkeypatch.setattr("agent.cli.identify.prepare", lambda *_: 1 / 0)
    assert run(["identify", os.devnull]) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert said.startswith("camcensus: failed: ZeroDivisionError")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version names the program and a version number."""
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.split()[1][0].isdigit()


def test_machine_formats_stand_alone_on_stdout(tmp_path: Path) -> None:
    """What is said to people goes to stderr, whatever the locale."""
    path = tmp_path / "a.jsonl"
    path.write_text("broken\n")
    done = camcensus("identify", str(path), LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert done.returncode == 4
    assert done.stdout.startswith("{")
    assert done.stdout.count("\n") == 1
    assert "1 lines gave nothing" in done.stderr
