"""The program: every command under its name, every error as one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from agent.cli import demo, doctor, explain, identify, replay, rules, scan
from agent.cli.exits import DONE, FAILED, INCOMPLETE, USAGE

__all__ = ["app", "run"]

_HELP: Final = "Find the IP cameras, recorders and doorbells on a network, and say who made them."

app = typer.Typer(
    name="camcensus",
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata  # noqa: PLC0415 - only for --version

        try:
            typer.echo(f"camcensus {metadata.version('camcensus')}")
        except metadata.PackageNotFoundError:
            typer.echo("camcensus (not installed as a package)")
        raise typer.Exit


@app.callback()
def _root(
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command("scan")(scan.scan)
app.command("replay")(replay.replay)
app.command("identify")(identify.identify)
app.command("explain")(explain.explain)
app.add_typer(rules.app, name="rules")
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code; no traceback reaches the user."""
    try:
        app(list(argv) if argv is not None else None)
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else DONE
    except KeyboardInterrupt:
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
    mistakes = {"ScopeError", "ConfigError", "RuleError", "RegistryError", "CodecError", "PackError"}
    text = " ".join(str(error).split())
    if type(error).__name__ in mistakes:
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
