"""``camcensus demo``: a simulated site on loopback, scanned for real."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Annotated

import typer

from agent.ask import DEFAULT_PORTS
from agent.census import Tally
from agent.cli.exits import FAILED, exit_code
from agent.cli.options import (
    FailOnOption,
    FormatOption,
    OuiOption,
    OutputFormat,
    OutputOption,
    PolicyOption,
    QuietOption,
    VerboseOption,
)
from agent.cli.progress import Form
from agent.cli.recording import record
from agent.cli.scanning import Outcome, Survey, survey
from agent.cli.watch import Watch
from agent.cli.wiring import deliver, opened, prepare, run_facts, say
from agent.scope import Scope
from fingerprints.model import Device, Report
from reporters.text import fitted
from simulator.site import Host, Site

__all__ = ["demo"]

ListOption = Annotated[
    bool, typer.Option("--list", help="Show what stands at each address beside what the scan said of it.")
]

InventoryOption = Annotated[
    bool, typer.Option("--inventory", help="Then serve an inventory with what was found, until interrupted.")
]
BrowserOption = Annotated[
    bool, typer.Option("--browser/--no-browser", help="Open the inventory in the browser.")
]
PortOption = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="The port to serve on. Default: any that is free.")
]


def demo(
    show_list: ListOption = False,
    form: FormatOption = None,
    output: OutputOption = None,
    policy: PolicyOption = None,
    oui: OuiOption = None,
    fail_on: FailOnOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = 0,
    inventory: InventoryOption = False,
    browser: BrowserOption = True,
    port: PortOption = 0,
) -> None:
    """Scan a simulated site on this machine, for real."""
    if inventory and find_spec("granian") is None:
        raise typer.BadParameter(
            "needs more packages: pip install 'camcensus[inventory]'", param_hint="--inventory"
        )
    if show_list and form not in {None, OutputFormat.TABLE}:
        raise typer.BadParameter("is for people, and has no other format", param_hint="--list")
    started = datetime.now(UTC)
    bench = prepare(policy, oui)
    site = Site()
    # Loopback answers for addresses where nobody stands: that is this machine itself.
    tally = bench.tally(site="demo", own=("127.0.0.1",))
    if verbose:
        say(", ".join(host.device.id for host in site.hosts), quiet=quiet)
    say(f"{len(site.hosts)} simulated devices stand on {site.network}, on this machine alone", quiet=quiet)
    watch = Watch(tally, bench.policies, bench.judge.knowledge, thorough=True)
    outcome = _scanned(site, tally, watch, quiet=quiet)
    report = tally.report(
        coverage=outcome.coverage,
        run=run_facts(bench, "demo", started),
        on=started.date(),
        problems=outcome.problems,
    )
    found = {address: device for device in report.devices for address in device.addresses}
    right = sum(_is_right(host, found.get(host.address)) for host in site.hosts)
    if show_list:
        with opened(output) as out:
            out.writelines(f"{line.rstrip()}\n" for line in _listed(site, found))
        leaving = typer.Exit(exit_code(report, fail_on.value if fail_on else None))
    else:
        leaving = deliver(report, form, output, fail_on, quiet=quiet)
    say(f"{right} of {len(site.hosts)} were called what they are", quiet=quiet)
    if inventory:
        _open_inventory(report, port, browser=browser, quiet=quiet)
    raise leaving


def _open_inventory(report: Report, port: int, *, browser: bool, quiet: bool) -> None:
    """Serve an inventory of its own with the report in it, until interrupted; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="camcensus-demo-") as folder:
        # Nobody's real inventory shall hold simulated devices.
        os.environ.pop("CAMCENSUS_DATABASE_URL", None)
        os.environ["XDG_STATE_HOME"] = folder
        if not record(report, "Demonstration", quiet=True):
            raise typer.Exit(FAILED)
        from inventory.serving import serve_locally  # noqa: PLC0415 - it loads Django

        serve_locally(port, browser=browser, tell=lambda text: say(text, quiet=quiet))


@contextlib.contextmanager
def _standing(site: Site) -> Iterator[None]:
    """The site, answering in a thread of its own while the scan runs in this one; raises OSError."""
    started: Future[asyncio.AbstractEventLoop] = Future()
    over = asyncio.Event()

    async def stand() -> None:
        async with site:
            started.set_result(asyncio.get_running_loop())
            await over.wait()

    def perform() -> None:
        try:
            asyncio.run(stand())
        except OSError as error:
            started.set_exception(error)

    thread = threading.Thread(target=perform, name="demo site", daemon=True)
    thread.start()
    loop = started.result()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


def _scanned(site: Site, tally: Tally, watch: Watch, *, quiet: bool) -> Outcome:
    first, last = site.hosts[0].address, site.hosts[-1].address
    with _standing(site):
        ports = tuple(dict.fromkeys([*site.ports.values(), *DEFAULT_PORTS]))
        # Loopback has no groups and no MACs, so no interface is used.
        plan = Survey(Scope.parse([f"{first}-{last}"]), (), ports=ports)
        return survey(plan, tally, watch, progress=Form.NONE if quiet else Form.AUTO)


def _is_right(host: Host, said: Device | None) -> bool:
    """Whether the maker is named or, where its answers tell nobody, no policy is thrown at it."""
    if said is None:
        return False
    if host.device.manufacturer is None:
        return said.finding.status in {"clear", "unidentified"}
    return said.verdict.manufacturer == host.device.manufacturer


def _listed(site: Site, found: Mapping[str, Device]) -> Iterator[str]:
    yield f"{'ADDRESS':<12} {'WHAT STANDS THERE':<31} {'WHAT THE SCAN SAYS':<31} "
    for host in site.hosts:
        truth, device = host.device, found.get(host.address)
        said = "nothing: it was not found"
        if device is not None:
            said = _named(device.verdict.manufacturer, device.verdict.brand, device.verdict.model)
        stands = _named(truth.manufacturer, truth.brand, truth.model)
        mark = "" if _is_right(host, device) else "NO"
        yield f"{host.address:<12} {fitted(stands, 31)} {fitted(said, 31)} {mark}"


def _named(maker: str | None, brand: str | None, model: str | None) -> str:
    badge = f"({brand})" if brand not in {None, maker} else ""
    return " ".join(part for part in (maker or "?", badge, model or "") if part)
