"""Holds words that are read plainly to what Typer makes of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from agent.cli.app import COMMANDS, build
from agent.cli.coercion import read_plainly
from tests.places import REPO


def _read(words: list[str], *, plainly: bool) -> dict[str, Any] | str:
    """The values that a command gets for these words, or what is said against them."""
    group: Any = get_command(build(words[0]))
    if plainly:
        read_plainly(group)
    parent = typer.Context(group, info_name="camcensus", **group.context_settings)
    command = group.commands[words[0]]
    rest = words[1:]
    if hasattr(command, "commands"):
        parent = typer.Context(command, parent=parent, info_name=words[0])
        command = command.commands[words[1]]
        rest = words[2:]
    try:
        return dict(command.make_context(words[0], rest, parent=parent).params)
    except typer.TyperException as error:
        return error.format_message()


@pytest.mark.parametrize(
    "words",
    [
        "replay a.pcap",
        "replay",
        "replay a b - --policy one --policy two --format json -q -vv --site x --oui here.csv -o out",
        "replay a --format JSON",
        "replay a --fail-on flagged",
        "replay a --fail-on nothing",
        "replay a --output {folder}",
        "replay a --output {folder}/below/it",
        "scan 192.0.2.0/24 -x 192.0.2.1 --profile gentle --ports 80,554 --time-limit 90s --config c",
        "scan --profile rude",
        "scan",
        "identify - --format jsonl",
        "explain 192.0.2.7 --nonsense",
        "rules list a --format csv",
        "rules pack out --key k --number 3",
        "rules pack out --key k --number 0",
        "rules pack out --key k --number three",
        "rules update pack --key a --key b",
    ],
)
def test_words_mean_what_typer_makes_of_them(words: str, tmp_path: Path) -> None:
    """Every command gets the same values, and the user the same refusal, as by Typer alone."""
    line = words.format(folder=tmp_path).split()
    plain = _read(list(line), plainly=True)
    assert plain == _read(list(line), plainly=False)
    if isinstance(plain, dict):
        assert {name: type(value) for name, value in plain.items()} == {
            name: type(value)
            for name, value in _read(list(line), plainly=False).items()  # type: ignore[union-attr]
        }


def test_an_unreadable_path_is_still_refused(tmp_path: Path) -> None:
    """A path that is there must be readable, as Typer wants it."""
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    line = ["replay", "a", "--oui", str(loop)]
    assert _read(list(line), plainly=True) == _read(list(line), plainly=False)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_option_can_be_read_plainly(name: str) -> None:
    """What this module leans on is there in the Typer that is installed: each option gets its reader."""
    group: Any = get_command(build(name))
    read_plainly(group)
    context = typer.Context(group, **group.context_settings)
    commands = [group.commands[name], *getattr(group.commands[name], "commands", {}).values()]
    for command in commands:
        for parameter in command.get_params(context):
            typers_own = parameter.type_descriptor.parameter_info.min is not None
            assert (type(parameter.get_runtime_param()).__name__ == "_Reader") is not typers_own


def test_replaying_loads_no_validator() -> None:
    """The usual command line is read without pydantic, which takes longer than a small capture."""
    code = (
        "import sys\nfrom agent.cli.app import run\n"
        f"run(['replay', {str(REPO / 'pcaps' / 'no-cameras.pcap')!r}, '-q', '--format', 'json', '-o', '/dev/null'])\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, timeout=60, check=True
    )
    names = set(done.stdout.split())
    assert "agent" in names
    heavy = {
        "asyncio",
        "aiooui",
        "cryptography",
        "email",
        "httpx",
        "netaddr",
        "pydantic",
        "rich",
        "scapy",
        "ssl",
    }
    assert not names & heavy
