"""The program: every command under its name, every error as one line.

Only the command that is called gets imported, so ``camcensus --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from keyword import iskeyword
from types import MappingProxyType
from typing import Annotated, Final

import typer
from typer.main import get_command

from agent import __version__
from agent.cli.coercion import read_plainly
from agent.cli.exits import DONE, FAILED, INCOMPLETE, USAGE

__all__ = ["COMMANDS", "build", "run"]

_HELP: Final = "Find the IP cameras, recorders and doorbells on a network, and say who made them."

COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "scan": "Ask the hosts of a network what they are.",
        "listen": "Listen to what a network says by itself: nothing is sent.",
        "replay": "Read recorded captures: the same verdicts as live, offline.",
        "import": "Read what switches, DHCP servers and other tools know: who is there, on which port.",
        "identify": "Say who made each recorded device: one line out for each line in, in order.",
        "report": "Hand over what is known: the inventory, or one report, as a document.",
        "explain": "Say why: the evidence rule by rule, and what would change the verdict.",
        "rules": "Look at the rules, check them, prove them by their examples.",
        "agent": "Scan at set times, on a machine of its own, and bring every result to the inventory.",
        "outbox": "Bring results to the inventory by hand, where there is no link.",
        "inventory": "Keep the central inventory: one list of every camera, and how they come down.",
        "demo": "Scan a simulated site on this machine, for real.",
        "doctor": "Say what this machine can and cannot do, and the fix for each.",
    }
)
"""Every command with the first line of its help; ``agent/cli/<name>.py`` holds it (``import_.py``: a keyword)."""


def build(wanted: str | None) -> typer.Typer:
    """The program with the command `wanted` in it; the others are there by name."""
    app = typer.Typer(
        help=_HELP,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_root)
    for name, line in COMMANDS.items():
        if name != wanted:
            app.command(name, help=line)(_not_loaded)
            continue
        function = f"{name}_" if iskeyword(name) else name
        module = import_module(f"agent.cli.{function}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, function))
    return app


def _not_loaded() -> None:
    raise RuntimeError("a command was called that was not asked for")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"camcensus {__version__}")
        raise typer.Exit


def _root(
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code; no traceback reaches the user."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        command = get_command(build(next((word for word in words if not word.startswith("-")), None)))
        read_plainly(command)
        with command.make_context("camcensus", words) as context:
            command.invoke(context)
        sys.stdout.flush()
    except typer.Exit as exit_:
        return exit_.exit_code
    except (typer.Abort, KeyboardInterrupt):
        sys.stderr.write("camcensus: interrupted\n")
        return INCOMPLETE
    except BrokenPipeError:
        # Whoever read our output went away: no more is wanted, and nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:  # noqa: BLE001 - the last line before the user
        return _say(error)
    return DONE


def _say(error: Exception) -> int:
    """One line for one error: ours and the user's mistakes by name, anything else as a fault."""
    if os.environ.get("CAMCENSUS_TRACEBACK"):
        import traceback  # noqa: PLC0415 - only when asked for

        traceback.print_exception(error)
    if isinstance(error, typer.TyperException):
        text = error.format_message()
        # A group that is called without a command says its whole help.
        sys.stderr.write(f"{text}\n" if "\n" in text else f"camcensus: {text} (--help says more)\n")
        return USAGE
    text = " ".join(str(error).split())
    if isinstance(error, _mistakes()):
        sys.stderr.write(f"camcensus: {text}\n")
        return USAGE
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"camcensus: {name}{error.strerror or text}\n")
        return FAILED
    sys.stderr.write(
        f"camcensus: failed: {type(error).__name__}: {text[:300]}\n"
        "Set CAMCENSUS_TRACEBACK=1 to see where, and please report it.\n"
    )
    return FAILED


def _mistakes() -> tuple[type[Exception], ...]:
    """What users can mend: wrong rules, registry, report, pack, targets or settings."""
    # They live in rooms that a command which went well may never have entered.
    from agent.config import ConfigError  # noqa: PLC0415
    from agent.journal import JournalError  # noqa: PLC0415
    from agent.scope import ScopeError  # noqa: PLC0415
    from fingerprints.codec import CodecError  # noqa: PLC0415
    from fingerprints.oui import RegistryError  # noqa: PLC0415
    from fingerprints.pack import PackError  # noqa: PLC0415
    from fingerprints.rules import RuleError  # noqa: PLC0415

    return (CodecError, ConfigError, JournalError, PackError, RegistryError, RuleError, ScopeError)
