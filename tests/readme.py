"""Runs the commands of README.md, and compares or renews the output shown under each.

    .venv/bin/python -m tests.readme        writes the real outputs into README.md

A command stands in a block of ``console`` behind ``$``; what follows, up to the next one, is what
it prints. Read the difference before committing it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.places import REPO

__all__ = ["README", "Shown", "masked", "printed", "shown"]

README: Final = REPO / "README.md"
_BLOCK: Final = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CHANGING: Final = (
    # What a machine can do differs; what is looked at does not.
    (re.compile(r"(?m)(?:^(?:ok|!!|NO)  interface   .*\n(?: {16}.*\n)*)+"), "interface\n"),
    (re.compile(r"(?m)^(?:ok|!!|NO)  (.{11}) .*\n(?: {16}.*\n)*"), r"\1\n"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "<version of the rules>"),
    (re.compile(r"\.toml:\d+"), ".toml:<line>"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT[\d:.]+Z"), "<time>"),
    (re.compile(r"\b\d+(?:\.\d+)? s\b"), "<seconds>"),
    (re.compile(r"\b\d+ (rules|fields|makers|brands|examples)\b"), r"<some> \1"),
    (re.compile(r"\bof 20\d\d-\d\d\b"), "of <month>"),
)
"""What changes from run to run or with every new rule, and proves nothing."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One command of the README with the output under it, and where that stands in the text."""

    command: str
    output: str
    start: int
    end: int


def shown(text: str) -> Iterator[Shown]:
    """Every command, in order."""
    for block in _BLOCK.finditer(text):
        starts = [match.start() for match in re.finditer(r"^\$ ", block[1], re.MULTILINE)]
        for start, end in zip(starts, [*starts[1:], len(block[1])], strict=True):
            command, _, output = block[1][start:end].partition("\n")
            at = block.start(1) + start + len(command) + 1
            yield Shown(command.removeprefix("$ "), output, at, block.start(1) + end)


def printed(command: str) -> str:
    """What a command prints, stderr with stdout, run from the repository as a user runs it."""
    program = f"'{sys.executable}' -P -m agent.cli"
    done = subprocess.run(
        ["sh", "-c", command.replace("./camcensus", program)],
        cwd=REPO,
        env={**os.environ, "PYTHONPATH": str(REPO), "LC_ALL": "C.UTF-8", "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
    said = done.stdout.replace(str(REPO), "~/camcensus")
    return "".join(f"{line.rstrip()}\n" for line in said.splitlines())


def masked(output: str) -> str:
    """`output` without what may change."""
    for pattern, instead in _CHANGING:
        output = pattern.sub(instead, output)
    return " ".join(output.split())


def _main() -> None:
    text = README.read_text(encoding="utf-8")
    renewed = [(row, printed(row.command)) for row in shown(text)]
    for row, output in reversed(renewed):
        text = text[: row.start] + output + text[row.end :]
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    _main()
