"""The command line: parses, wires the rooms together, sets the exit code.

Exit codes: 0 done; 1 failed; 2 usage or configuration; 3 done, and ``--fail-on`` found some;
4 done, but incomplete. Machine formats go to stdout alone, everything else to stderr.
"""

from __future__ import annotations

import gc
from typing import Final

__all__ = ["main"]

_CYCLES: Final = 20_000
"""New containers between two looks for unreachable cycles. Start-up makes tens of thousands, all to
stay, and Python's 700 has them looked at again and again: a tenth of a short run."""


def main() -> None:
    """Run the program; the one place where an error becomes a line for people and an exit code."""
    gc.set_threshold(_CYCLES, 20, 20)
    from agent.cli.app import run  # noqa: PLC0415 - keeps `import agent.cli` free

    code = run()
    # The process ends, and its memory with it: no last look for cycles.
    gc.freeze()
    raise SystemExit(code)
