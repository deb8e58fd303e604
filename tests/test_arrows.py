"""Tests of the floors: imports go down, workers do not know each other, nothing heavy is loaded early."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter

import pytest

from tests.places import REPO

# Workers meet in the command line, by arguments; what else lies in agent/ are words for all of them.
WORKERS = {
    "ask",
    "capture",
    "census",
    "details",
    "importers",
    "leads",
    "observations",
    "outbox",
    "sweep",
    "switches",
    "trunk",
}
FLOORS = {
    "simulator": set[str](),
    "exchange": set[str](),
    "fingerprints": set[str](),
    "reporters": {"fingerprints"},
    "inventory": {"exchange", "fingerprints"},
    "words": {"fingerprints"},
    "probes": {"fingerprints", "words"},
    **{worker: {"exchange", "fingerprints", "words", "probes"} for worker in WORKERS},
    "cli": {
        "exchange",
        "fingerprints",
        "words",
        "probes",
        "reporters",
        "simulator",
        "schedule",
        "inventory",
        *WORKERS,
    },
    "schedule": {"exchange", "fingerprints", "words", "probes", "reporters", *WORKERS},
}
HEAVY = (
    "apscheduler",
    "cryptography",
    "dask",
    "distributed",
    "django",
    "fsspec",
    "httpx",
    "nats",
    "netaddr",
    "numpy",
    "pydantic",
    "pysnmp",
    "scapy",
    "zeep",
    "zeroconf",
)

MODULES = {
    path.relative_to(REPO).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__"): path
    for top in ("agent", "exchange", "fingerprints", "inventory", "reporters", "simulator")
    for path in sorted((REPO / top).rglob("*.py"))
}


def room(module: str) -> str:
    """The row of FLOORS that a module stands in."""
    top, _, rest = module.partition(".")
    if top != "agent":
        return top
    name = rest.split(".")[0]
    return name if name in FLOORS else "words"


def imports(module: str) -> Iterator[str]:
    """Our own modules that a module imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports by dots"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            found = name if name in MODULES else name.rpartition(".")[0]
            if found in MODULES and found != module:
                yield found


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module: str) -> None:
    """A module imports its own room and those that stand under it, nothing else of ours."""
    here = room(module)
    assert {room(other) for other in imports(module)} <= {here} | FLOORS[here]


def test_there_are_no_circles() -> None:
    """The modules can be put in an order in which each imports only earlier ones."""
    TopologicalSorter({module: set(imports(module)) for module in MODULES}).prepare()


def test_the_check_sees_wrong_imports() -> None:
    """The table is not empty talk: a probe's imports are found, and the command line would be refused."""
    assert "agent.wire" in set(imports("agent.probes.sadp"))
    assert "cli" not in FLOORS[room("agent.probes.sadp")] | {"probes"}


def test_nothing_heavy_is_loaded_early() -> None:
    """Importing every module of ours loads no big library: they are loaded where they are used."""
    ours = [
        name
        for name in MODULES
        if name.split(".")[0] not in {"simulator", "inventory"} and not name.endswith("__main__")
    ] + ["inventory", "inventory.environment"]
    code = (
        "import importlib, sys\n"
        f"for name in {ours!r}: importlib.import_module(name)\n"
        f"print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, check=True, capture_output=True, text=True, timeout=60
    )
    assert not done.stdout.strip()
