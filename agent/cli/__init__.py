"""The command line: parses, wires the rooms together, sets the exit code.

Exit codes: 0 done; 1 failed; 2 usage or configuration; 3 done, and ``--fail-on`` found some;
4 done, but incomplete. Machine formats go to stdout alone, everything else to stderr.
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the program; the one place where an error becomes a line for people and an exit code."""
    from agent.cli.app import run  # noqa: PLC0415 - keeps `import agent.cli` free

    raise SystemExit(run())
