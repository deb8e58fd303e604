"""Tests that the documents say what is true: commands with their output, options, links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.cli.app import COMMANDS
from tests.places import REPO
from tests.readme import README, Shown, masked, printed, shown

DOCUMENTS = [README, *sorted(REPO.glob("*.md")), *sorted((REPO / "docs").glob("*.md"))]
COMMANDS_SHOWN = list(shown(README.read_text(encoding="utf-8")))


@pytest.mark.parametrize("row", COMMANDS_SHOWN, ids=lambda row: row.command[:60])
def test_the_readme_shows_what_a_command_prints(row: Shown) -> None:
    """The output under a command is its real output, but for times and counts of rules."""
    assert masked(row.output) == masked(printed(row.command)), "renew it: .venv/bin/python -m tests.readme"


def test_every_command_is_shown() -> None:
    """The README shows each command at least once."""
    called = {word for row in COMMANDS_SHOWN for word in row.command.split()}
    assert called >= set(COMMANDS)


@pytest.mark.parametrize("path", sorted(set(DOCUMENTS)), ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """What a document links to inside the repository is there."""
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_the_changelog_begins_with_what_is_not_released() -> None:
    """The changelog keeps the layout of Keep a Changelog, newest first."""
    headings = re.findall(r"^## \[(.+?)\]", (REPO / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
