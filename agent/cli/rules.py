"""``camcensus rules``: everything a user does with the knowledge itself."""

from __future__ import annotations

import fnmatch
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.devices import devices_called
from agent.cli.exits import DONE, USAGE
from agent.cli.options import OutputFormat, OutputOption
from agent.cli.places import installed_knowledge, installed_or_shipped, trusted_keys
from agent.cli.wiring import opened, say
from agent.probes import ALL
from agent.protocols import protocols
from fingerprints.catalogue import catalogue
from fingerprints.clouds import load_clouds
from fingerprints.codec import dumps
from fingerprints.lint import Fault, check, matrix, prove
from fingerprints.pack import build, install
from fingerprints.policy import load_policies
from fingerprints.rules import Knowledge, Rule, RuleError, load_knowledge
from fingerprints.skeleton import skeleton

__all__ = ["app"]

app = typer.Typer(help="Look at the rules, check them, prove them by their examples.", no_args_is_help=True)

FolderOption = Annotated[
    Path | None, typer.Option("--folder", help="A knowledge folder instead of the one that is shipped.")
]
PatternArgument = Annotated[
    str, typer.Argument(metavar="[ID]", help="A rule id, or a pattern such as 'hikvision.*'.")
]
RuleFormat = Annotated[OutputFormat, typer.Option("--format", "-f", help="table, or json lines.")]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but faults.")]


@app.command("list")
def list_rules(
    pattern: PatternArgument = "*",
    folder: FolderOption = None,
    form: RuleFormat = OutputFormat.TABLE,
    output: OutputOption = None,
) -> None:
    """List the rules, one a line."""
    rules = _chosen(load_knowledge(folder or installed_or_shipped()), pattern)
    table = form is OutputFormat.TABLE
    _print((_listed(rule) if table else dumps(_as_json(rule)) for rule in rules), output)


@app.command("show")
def show(
    pattern: PatternArgument = "*",
    folder: FolderOption = None,
    form: RuleFormat = OutputFormat.TABLE,
    output: OutputOption = None,
) -> None:
    """Show rules whole: what they look for, what they claim, who says so."""
    rules = _chosen(load_knowledge(folder or installed_or_shipped()), pattern)
    table = form is OutputFormat.TABLE
    _print((_shown(rule) if table else dumps(_as_json(rule)) for rule in rules), output)


@app.command("check")
def check_rules(folder: FolderOption = None, quiet: QuietFlag = False) -> None:
    """Check the files: names, sources, examples, slow patterns."""
    knowledge = load_knowledge(folder or installed_or_shipped())
    if (knowledge.folder / "clouds.toml").exists():
        load_clouds(knowledge.folder, knowledge.manufacturers)
    _finish(check(knowledge), f"{_counted(knowledge)}: nothing wrong", quiet=quiet)


@app.command("test")
def prove_rules(
    folder: FolderOption = None,
    quiet: QuietFlag = False,
    show_matrix: Annotated[
        bool, typer.Option("--matrix", help="Print who wins the examples of each maker.")
    ] = False,
) -> None:
    """Judge every example against all rules: another maker must never win it."""
    knowledge = load_knowledge(folder or installed_or_shipped())
    examples = sum(len(rule.examples) + len(rule.negatives) for rule in knowledge.rules)
    done = f"{_counted(knowledge)}, {examples} examples: each is won by its own maker"
    if show_matrix:
        for maker, winners in matrix(knowledge).items():
            others = "  ".join(f"{name} {count}" for name, count in winners.items() if name != maker)
            sys.stdout.write(f"{maker:<28.28} own {winners.get(maker, 0):>5}  {others}\n")
    _finish([*check(knowledge), *prove(knowledge)], done, quiet=quiet)


def _print(lines: Iterable[str], output: Path | None) -> None:
    with opened(output) as out:
        out.writelines(f"{line}\n" for line in lines)


def _listed(rule: Rule) -> str:
    test = f"{rule.matcher} {rule.patterns[0]}"
    return f"{rule.id:<44.44} {rule.field:<22.22} {test:.60}"


def _shown(rule: Rule) -> str:
    claims = ", ".join(f"{key} = {value}" for key, value in rule.claims.items()) or "what it captures"
    rows = [
        ("looks at", f"{rule.field} ({rule.family})"),
        ("for", f"{rule.matcher} {' | '.join(rule.patterns)}"),
        ("claims", claims),
        ("weighs", f"{rule.weight:.2f} nats{', proof' if rule.proof else ''} ({rule.status})"),
        ("source", rule.source),
        ("seen", rule.seen.isoformat() if rule.seen else "-"),
        ("example", rule.examples[0].text.replace("\n", " ")[:200]),
        ("stands in", f"{rule.path}:{rule.line}"),
    ]
    if rule.note:
        rows.append(("note", rule.note))
    return f"{rule.id}\n" + "".join(f"  {name:<10}{text}\n" for name, text in rows)


def _counted(knowledge: Knowledge) -> str:
    makers = len(knowledge.manufacturers)
    brands = len({edge.name for edges in knowledge.brands.values() for edge in edges})
    fields = len(Counter(rule.field for rule in knowledge.rules))
    return f"{len(knowledge.rules)} rules on {fields} fields, {makers} makers, {brands} brands"


def _finish(faults: list[Fault], done: str, *, quiet: bool) -> None:
    for fault in faults:
        say(str(fault))
    if faults:
        say(f"{len(faults)} faults")
        raise typer.Exit(USAGE)
    say(done, quiet=quiet)
    raise typer.Exit(DONE)


def _chosen(knowledge: Knowledge, pattern: str) -> list[Rule]:
    rules = [rule for rule in knowledge.rules if fnmatch.fnmatchcase(rule.id, pattern)]
    if not rules:
        raise RuleError("rules", 0, "", f"no rule is called {pattern!r}")
    return rules


def _as_json(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.id,
        "field": rule.field,
        "family": rule.family,
        rule.matcher: list(rule.patterns),
        "claims": dict(rule.claims),
        "weight": rule.weight,
        "proof": rule.proof,
        "status": rule.status,
        "source": rule.source,
        "seen": rule.seen.isoformat() if rule.seen else None,
        "note": rule.note,
        "examples": [example.text for example in rule.examples],
        "not": list(rule.negatives),
        "file": f"{rule.path}:{rule.line}",
    }


@app.command("new")
def new(
    source: Annotated[Path, typer.Option("--from", help="A JSON report with the device in it.")],
    device: Annotated[str, typer.Option("--device", help="Its id, address, MAC, serial or host name.")],
    maker: Annotated[str, typer.Option("--manufacturer", help="Who made it, if you know.")] = "MAKER",
    output: OutputOption = None,
) -> None:
    """Print the beginning of rules for a device that nobody knows, personal data masked."""
    found = devices_called(source, device)
    knowledge = load_knowledge(installed_or_shipped())
    _print(skeleton(found[0], knowledge, maker), output)


@app.command("update")
def update(
    pack: Annotated[Path, typer.Argument(metavar="PACK", help="A signed knowledge pack (.ccpack).")],
    key: Annotated[
        list[Path] | None, typer.Option("--key", help="Public key (PEM) to trust, beside those installed.")
    ] = None,
    quiet: QuietFlag = False,
) -> None:
    """Install a signed knowledge pack, without any network."""
    keys = [path.read_bytes() for path in [*(key or ()), *sorted(trusted_keys().glob("*.pem"))]]
    folder = installed_knowledge()
    folder.parent.mkdir(parents=True, exist_ok=True)
    knowledge = install(pack, keys, folder)
    say(f"{_counted(knowledge)} now in use, from {pack.name}", quiet=quiet)


@app.command("pack")
def make_pack(
    out: Annotated[Path, typer.Argument(metavar="PACK", help="The pack to write.")],
    key: Annotated[Path, typer.Option("--key", help="Private ed25519 key (PEM).")],
    number: Annotated[int, typer.Option("--number", min=1, help="Higher than that of every earlier pack.")],
    folder: FolderOption = None,
) -> None:
    """Write a signed knowledge pack of a knowledge folder."""
    build(folder or installed_or_shipped(), number, key.read_bytes(), out)


@app.command("catalogue")
def write_catalogue(folder: FolderOption = None, output: OutputOption = None) -> None:
    """Print the catalogue of makers, badges, rules and gaps as Markdown."""
    knowledge = load_knowledge(folder or installed_or_shipped())
    ids = sorted(path.stem for path in (knowledge.folder / "policies").glob("*.toml"))
    _print(catalogue(knowledge, load_policies(knowledge, ids)), output)


@app.command("protocols")
def write_protocols(folder: FolderOption = None, output: OutputOption = None) -> None:
    """Print the list of protocols with what is sent, their fields and sources as Markdown."""
    knowledge = load_knowledge(folder or installed_or_shipped())
    _print(protocols(ALL, knowledge.fields), output)
