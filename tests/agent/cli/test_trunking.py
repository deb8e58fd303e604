"""Tests of ``camcensus scan --vlans`` as far as they need no trunk; ``tests/lab/test_vlans.py`` has one."""

from __future__ import annotations

import pytest

from agent.cli.app import run


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--vlans", "10"), "--interface"),
        (("--vlans", "10", "--interface", "lo", "--interface", "eth9"), "--interface"),
        (("--vlans", "10", "--interface", "eth9"), "eth9"),
        (("--vlans", "10", "--interface", "lo"), "Ethernet"),
        (("--vlans", "10", "--interface", "lo", "10.0.0.1"), "no target"),
        (("--vlans", "10", "--interface", "lo", "--plan"), "--plan"),
        (("--vlans", "5000", "--interface", "lo"), "5000"),
    ],
)
def test_vlans_are_asked_on_one_named_port(
    words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Anything that is not one Ethernet port with VLANs of 1 to 4094 is a usage error; nothing is sent."""
    assert run(["scan", *words]) == 2
    assert says in capsys.readouterr().err
