"""``camcensus agent``: scheduled scans on a machine of its own, with results that are never lost."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer

from agent.cli.exits import DONE, FAILED, INCOMPLETE
from agent.cli.options import FormatOption, OutputFormat
from agent.cli.places import agent_file, agent_state
from agent.config import ConfigError
from agent.schedule.settings import AgentSettings, ScopePlan, read_settings
from reporters.text import visible

__all__ = ["app"]

app = typer.Typer(
    help="Scan at set times, on a machine of its own, and bring every result to the inventory.",
    no_args_is_help=True,
)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The agent's settings. Default: agent.toml of this user."),
]
_OLD_SECONDS: Final = 120.0
_WIDTH: Final = 80


def _settings(config: Path | None) -> AgentSettings:
    return read_settings(config or agent_file(), agent_state())


def program() -> list[str]:
    """The words that start this command line again; what they start finds our packages where we did."""
    home = str(Path(__file__).resolve().parents[2])
    os.environ["PYTHONPATH"] = os.pathsep.join(
        dict.fromkeys([home, *filter(None, [os.environ.get("PYTHONPATH")])])
    )
    return [sys.executable, "-P", "-m", "agent.cli"]


@app.command("check")
def check(config: ConfigOption = None) -> None:
    """Read the settings and say what would be scanned when; nothing is sent."""
    settings = _settings(config)
    now = datetime.now(UTC)
    where = settings.central.url if settings.central is not None else "nowhere: there is no [inventory]"
    typer.echo(f"{settings.path}: agent {settings.name}, results go to {where}")
    for plan in settings.scopes:
        typer.echo(f"  {plan.id}: {', '.join(plan.settings.targets)} ({plan.settings.profile})")
        typer.echo(f"    {_times(plan, now)}")
    for listening in settings.listening:
        typer.echo(f"  {listening.site}: listens on {', '.join(listening.interfaces)}")


def _times(plan: ScopePlan, now: datetime) -> str:
    if plan.cron is None:
        return "no schedule: scanned when it is asked for"
    times = []
    after: datetime | None = now
    for _ in range(3):
        after = plan.cron.after(after) if after is not None else None
        if after is None:
            break
        times.append(after.strftime("%a %Y-%m-%d %H:%M %Z"))
    return "next: " + (", ".join(times) or "never")


@app.command("run")
def run(config: ConfigOption = None) -> None:
    """Run until told to stop: scan at the set times, listen, send results, do what the centre asks for."""
    _log_to_stderr()
    settings = _settings(config)
    from agent.outbox import OutboxError  # noqa: PLC0415 - what the other commands do not want
    from agent.schedule.keeper import Keeper, KeeperError, locked  # noqa: PLC0415 - as above
    from agent.schedule.ledger import LedgerError  # noqa: PLC0415 - as above

    try:
        with locked(settings.state):
            keeper = Keeper(settings, program())
            signal.signal(signal.SIGTERM, lambda *_: keeper.stop())
            signal.signal(signal.SIGINT, lambda *_: keeper.stop())
            signal.signal(signal.SIGHUP, lambda *_: keeper.reload())
            keeper.run()
    except (KeeperError, OutboxError, LedgerError, OSError) as error:
        _give_up(error)


@app.command("once")
def once(
    scope: Annotated[
        list[str] | None, typer.Argument(metavar="[SCOPE]...", help="Scopes by name. Default: all.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Scan every scope now, one after the other, send what waits, and end: for cron."""
    _log_to_stderr()
    settings = _settings(config)
    known = {name for plan in settings.scopes for name in (plan.id, plan.name)}
    for name in scope or ():
        if name not in known:
            raise ConfigError(
                f"{name!r} is no scope of {settings.path}; there are {', '.join(sorted(known))}"
            )
    from agent.outbox import OutboxError  # noqa: PLC0415 - what the other commands do not want
    from agent.schedule.keeper import Keeper, KeeperError, locked  # noqa: PLC0415 - as above
    from agent.schedule.ledger import LedgerError  # noqa: PLC0415 - as above

    code = DONE
    try:
        with locked(settings.state):
            keeper = Keeper(settings, program())
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: keeper.stop())
            for name, told in keeper.once(scope or ()).items():
                typer.echo(f"{name}: {told.outcome}{f': {visible(told.word)}' if told.word else ''}")
                code = max(code, {"failed": FAILED, "done": DONE}.get(told.outcome, INCOMPLETE))
    except (KeeperError, OutboxError, LedgerError, OSError) as error:
        _give_up(error)
    raise typer.Exit(code)


@app.command("status")
def status(config: ConfigOption = None, form: FormatOption = None) -> None:
    """Say how the agent is: last and next scans, what waits to be sent, what is wrong."""
    settings = _settings(config)
    path = settings.state / "status.json"
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        _give_up(f"{path}: there is none: this agent has not run yet")
    except (OSError, ValueError) as error:
        _give_up(f"{path}: {error}")
    age = time.time() - datetime.fromisoformat(found["at"]).timestamp()
    if found["state"] == "running" and age > _OLD_SECONDS:
        found["state"] = "dead"
        found["problems"]["agent"] = f"says that it runs, but was last heard of {age / 60:.0f} minutes ago"
    if form in {OutputFormat.JSON, OutputFormat.JSONL}:
        typer.echo(json.dumps(found, indent=None if form is OutputFormat.JSONL else 2))
    else:
        _show(found)
    raise typer.Exit(DONE if not found["problems"] else FAILED)


@app.command("install")
def install(
    config: Annotated[
        Path, typer.Option("--config", "-c", help="The settings that the service reads.")
    ] = Path("/etc/camcensus/agent.toml"),
    user: Annotated[
        str, typer.Option(help="Whom the service runs as; made where there is none.")
    ] = "camcensus",
    root: Annotated[Path, typer.Option(help="Write below this folder, as packages do.")] = Path("/"),
) -> None:
    """Write a service for systemd: its own user, one capability, nothing else; say what was done."""
    from agent.schedule import units  # noqa: PLC0415 - what the other commands do not want

    if not config.is_absolute():
        raise ConfigError(f"--config: {config} is not a whole path")
    home = Path(__file__).resolve().parents[2]
    what = units.Installation(home, " ".join(program()), config, user, root=root)
    try:
        units.install(what, typer.echo)
    except units.InstallError as error:
        _give_up(error)


@app.command("enrol")
def enrol(
    url: Annotated[str, typer.Argument(help="The inventory, such as https://inventory.example.")],
    code: Annotated[str, typer.Option(help="The code that the inventory's team has given you.")],
    state: Annotated[
        Path | None, typer.Option(help="The agent's folder. Default: that of this user.")
    ] = None,
    ca: Annotated[Path | None, typer.Option(help="Authorities to believe (PEM).")] = None,
) -> None:
    """Make this machine an agent: a key is made here, and its public half goes to the inventory."""
    from agent.outbox.https import Https, HttpsError, Link  # noqa: PLC0415 - what the other commands do not want
    from exchange.keys import BadKey, SigningKey  # noqa: PLC0415 - as above

    folder = state or agent_state()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = SigningKey(folder / "agent.key")
        answer = Https(Link(url, ca=ca)).post("api/v1/enrol", {"code": code, "public_key": key.public})
        name, token, central = (str(answer[word]) for word in ("agent", "token", "inventory_key"))
        _keep(folder / "token", token)
        _keep(folder / "inventory.pub", central)
    except (HttpsError, BadKey, OSError, KeyError, TypeError) as error:
        _give_up(
            error if isinstance(error, HttpsError | BadKey | OSError) else "the inventory's answer is none"
        )
    sites = ", ".join(answer.get("sites") or ()) or "every site of its organisation"
    typer.echo(f"this is agent {name}, for {sites}. Put this into agent.toml:")
    typer.echo(f'\n[agent]\nname = "{name}"\nstate = "{folder}"')
    typer.echo(f'\n[inventory]\nurl = "{url}"\ntoken-file = "{folder / "token"}"')


def _keep(path: Path, text: str) -> None:
    """Write a file for its owner alone, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)
    part.replace(path)


def _show(found: dict[str, Any]) -> None:
    outbox, link = found["outbox"], found["link"]
    typer.echo(f"{found['name']} (camcensus {found['version']}): {found['state']} at {found['at']}")
    for scope in found["scopes"]:
        now = "scanning now" if scope["running"] else f"next {scope['next'] or 'when asked for'}"
        last = f"last {scope['last']} {scope['outcome']}" if scope["last"] else "not scanned yet"
        typer.echo(f"  {scope['scope']:<28}  {last}, {now}")
        if scope["outcome"] == "failed":
            typer.echo(f"    {visible(scope['word'].splitlines()[-1])}")
    size = f"{outbox['parts']} parts of {outbox['reports']} reports, {outbox['size'] / 1e6:.1f} MB"
    oldest = f", the oldest {outbox['oldest'] / 3600:.1f} h old" if outbox["oldest"] else ""
    typer.echo(f"  outbox: {size}{oldest}")
    for name, text in (
        ("aside", "parts set aside: the inventory cannot take them"),
        ("refused", "devices the inventory refused"),
        ("lost_unchanged", "unchanged sightings let go of, for the outbox was full"),
        ("lost_changed", "changed devices let go of, for the outbox was full"),
    ):
        if outbox[name]:
            typer.echo(f"  outbox: {outbox[name]} {text}")
    typer.echo(
        f"  link: {visible(link['state'])}"
        + (f", last sent {link['last_sent']}" if link["last_sent"] else "")
    )
    for what, problem in found["problems"].items():
        typer.echo(f"  problem: {visible(what)}: {visible(problem)}")


def _give_up(error: object) -> NoReturn:
    sys.stderr.write(f"camcensus: {error}\n")
    raise typer.Exit(FAILED)


def _log_to_stderr() -> None:
    """A line an event; the journal of systemd adds the time by itself."""
    own = "JOURNAL_STREAM" not in os.environ
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format=f"{'%(asctime)s ' if own else ''}%(levelname)s %(message)s",
    )
    for noisy in ("apscheduler", "httpx", "httpcore", "nats"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
