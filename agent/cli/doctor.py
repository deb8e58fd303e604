"""``camcensus doctor``: what this machine can do, what it cannot, how to mend it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import resource
import shutil
import socket
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

import typer

from agent import interfaces
from agent.capture import libpcap
from agent.cli.exits import DONE, FAILED
from agent.cli.options import (
    FormatOption,
    OuiOption,
    OutputFormat,
    OutputOption,
    PolicyOption,
    QuietOption,
    VerboseOption,
)
from agent.cli.places import installed_or_shipped
from agent.cli.wiring import opened, prepare
from fingerprints.codec import dumps

__all__ = ["Check", "doctor"]

State = Literal["good", "limited", "broken"]

_WIDTH: Final = 80
_FILES: Final = 1024
_NO_KEYRING: Final = "give passwords by the file of --credentials (mode 0600) or the environment"
_MARKS: Final = {"good": "ok", "limited": "!!", "broken": "NO"}


@dataclass(frozen=True, slots=True)
class Check:
    """One ability of this machine: what was found, what that limits, the command or step that mends it."""

    name: str
    state: State
    found: str
    fix: str = ""


def doctor(
    form: FormatOption = None,
    output: OutputOption = None,
    policy: PolicyOption = None,
    oui: OuiOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Say what this machine can and cannot do, and the fix for each."""
    checks = [check for look in _LOOKS for check in look()]
    checks += _knowledge(policy, oui)
    shown = [check for check in checks if not quiet or check.state != "good"]
    with opened(output) as out:
        if form in {None, OutputFormat.TABLE}:
            out.writelines(line + "\n" for check in shown for line in _lines(check))
        elif form is OutputFormat.CSV:
            raise typer.BadParameter("the findings are a text or JSON", param_hint="--format")
        else:
            out.writelines(dumps(asdict(check)) + "\n" for check in shown)
    if verbose and form in {None, OutputFormat.TABLE}:
        sys.stderr.write(f"{len(checks)} checks, {sum(check.state == 'good' for check in checks)} good\n")
    raise typer.Exit(FAILED if any(check.state == "broken" for check in checks) else DONE)


def _lines(check: Check) -> Iterator[str]:
    text = f"{_MARKS[check.state]}  {check.name:<11} {check.found}"
    yield from textwrap.wrap(text, _WIDTH, subsequent_indent=" " * 16)
    if check.fix:
        yield from textwrap.wrap(check.fix, _WIDTH, initial_indent=" " * 16, subsequent_indent=" " * 18)


def _python() -> Iterator[Check]:
    yield Check("python", "good", f"{platform.python_version()} at {sys.executable}")


def _raw_refused() -> str | None:
    """Why raw sockets cannot be used, empty where the system has none; None where they can."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    except AttributeError:
        return ""
    except OSError as error:
        return error.strerror or str(error)
    return None


def _raw_sockets() -> Iterator[Check]:
    refused = _raw_refused()
    if refused is None:
        yield Check("raw sockets", "good", "allowed: ARP sweeps and live capture can be used")
    elif not refused:
        yield Check(
            "raw sockets", "limited", "this system has none; hosts are found by TCP, UDP and multicast"
        )
    else:
        yield Check(
            "raw sockets",
            "limited",
            f"not allowed ({refused}): hosts are found by TCP, UDP and multicast; the MACs of the own "
            "subnets come from the kernel's table",
            f"if you want more: sudo {_called_as()}",
        )


def _vlans() -> Iterator[Check]:
    ports = [face.name for face in interfaces.interfaces() if face.up and face.ethernet and face.mac]
    refused = _raw_refused()
    if not ports:
        yield Check("vlan trunk", "limited", "there is no Ethernet interface that is up")
    elif refused is None:
        # Tags are written by ourselves: the kernel needs neither 8021q nor interfaces of its own for it.
        yield Check("vlan trunk", "good", f"--vlans can be used where {', '.join(ports)} is on a trunk port")
    else:
        yield Check(
            "vlan trunk",
            "limited",
            f"--vlans cannot be used: {f'raw sockets are not allowed ({refused})' if refused else 'this system has no raw sockets'}",
            f"sudo {_called_as()}, or cap_net_raw" if refused else "",
        )


def _extras() -> Iterator[Check]:
    """What the user's credentials can be used for, and where their passwords may lie."""
    if importlib.util.find_spec("pysnmp") is not None:
        version = importlib.metadata.version("pysnmp")
        yield Check("snmp", "good", f"pysnmp {version}: switches and routers can be read with --switch")
    else:
        fix = "pip install pysnmp"
        yield Check("snmp", "limited", "pysnmp is not installed: --switch cannot be used", fix)
    if all(importlib.util.find_spec(name) is not None for name in ("httpx", "onvif")):
        yield Check("logins", "good", "recorders can be read with a login (ISAPI, Dahua's CGI, ONVIF)")
    else:
        fix = "pip install 'camcensus[details]'"
        yield Check("logins", "limited", "recorders cannot be read with a login", fix)
    yield _keyring()


def _keyring() -> Check:
    if importlib.util.find_spec("keyring") is None:
        found = "not installed: passwords come from a file or the environment"
        return Check("keyring", "limited", found, "pip install 'camcensus[keyring]'")
    import keyring  # noqa: PLC0415 - an extra, which few need

    try:
        backend = keyring.get_keyring()
        priority = backend.priority
        name = f"{type(backend).__module__}.{type(backend).__name__}"
    except Exception as error:  # noqa: BLE001 - whatever a backend raises, it is of no use
        return Check("keyring", "limited", f"cannot be used ({type(error).__name__})", _NO_KEYRING)
    if priority <= 0:
        return Check("keyring", "limited", "this session has none", _NO_KEYRING)
    if priority < 1:
        # keyring's own line between what it recommends and what it does not.
        return Check("keyring", "limited", f"{name} protects passwords little", _NO_KEYRING)
    return Check("keyring", "good", f"{name}: passwords can lie there")


def _called_as() -> str:
    program = Path(sys.argv[0])
    return str(program) if program.name == "camcensus" else "./camcensus scan"


def _libpcap() -> Iterator[Check]:
    if libpcap.available():
        yield Check("libpcap", "good", "found: captures are filtered before they are decoded")
        return
    fix = "sudo apt install libpcap0.8" if shutil.which("apt-get") else "install the library libpcap"
    yield Check("libpcap", "limited", "not found: captures are read all the same, several times slower", fix)


def _interfaces() -> Iterator[Check]:
    every = interfaces.interfaces()
    used, left = interfaces.choose(every)
    for face in used:
        reach = "multicast" if face.multicast else "no multicast: devices are found by their addresses alone"
        state: State = "good" if face.multicast else "limited"
        yield Check("interface", state, f"{face.name}: {', '.join(face.addresses)}; {reach}")
    for name, why in left:
        yield Check("interface", "good", f"{name} is left out: {why}")
    subnets = interfaces.private_subnets(used)
    if subnets:
        yield Check("subnets", "good", f"a scan without targets asks {', '.join(subnets)}")
    else:
        yield Check(
            "subnets",
            "limited",
            "no private IPv4 network is on any interface",
            "name what to scan: camcensus scan 192.0.2.0/24",
        )


def _files() -> Iterator[Check]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= _FILES:
        yield Check("open files", "good", f"{soft} at once")
    else:
        yield Check(
            "open files",
            "limited",
            f"only {soft} at once: large scans go slower",
            f"ulimit -n {min(hard, 4 * _FILES) if hard > 0 else 4 * _FILES}",
        )


def _terminal() -> Iterator[Check]:
    encoding = (sys.stdout.encoding or "ascii").lower()
    size = shutil.get_terminal_size()
    kind = (
        f"a terminal of {size.columns} columns" if sys.stdout.isatty() else "no terminal: no colour, no bar"
    )
    if encoding.replace("-", "") == "utf8":
        yield Check("output", "good", f"{kind}, {encoding}")
    else:
        yield Check(
            "output", "limited", f"{kind}, {encoding}: other letters are escaped", "export LANG=C.UTF-8"
        )


def _knowledge(policy: list[str] | None, oui: Path | None) -> Iterator[Check]:
    """The rules, the registry, the policies; what cannot be loaded raises, naming the file."""
    folder = installed_or_shipped()
    bench = prepare(policy, oui)
    knowledge = bench.judge.knowledge
    yield Check(
        "rules",
        "good",
        f"{len(knowledge.rules)} on {len(knowledge.manufacturers)} makers, version {knowledge.version}, "
        f"from {folder}",
    )
    registry = bench.judge.registry
    if registry is not None:
        whole = "missing" not in registry.source
        yield Check(
            "registry",
            "good" if whole else "limited",
            f"of {registry.date}, {registry.source}",
            "" if whole else "install the whole lock file, or give your own IEEE file with --oui",
        )
    for row in bench.policies:
        yield Check("policy", "good", f"{row.id}: {row.title}, in force from {row.in_force_from.isoformat()}")


_LOOKS: Final[tuple[Callable[[], Iterator[Check]], ...]] = (
    _python,
    _raw_sockets,
    _vlans,
    _libpcap,
    _interfaces,
    _files,
    _extras,
    _terminal,
)
