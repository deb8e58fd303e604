"""Loads the knowledge files, refusing anything that is not exactly right.

`load_knowledge` reads ``fields.toml``, ``common.toml``, ``neighbours.toml`` and
``manufacturers/*.toml`` into one frozen `Knowledge`. Every mistake raises `RuleError`
naming file, line and rule. The format is described in ``docs/knowledge-format.md``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, Literal

from fingerprints.model import CLAIMS, DEVICE_CLASSES, DeviceClass

__all__ = [
    "CLASS_WEIGHTS",
    "HERE",
    "Brand",
    "Example",
    "Field",
    "Knowledge",
    "Manufacturer",
    "Matcher",
    "ModelFamily",
    "Rule",
    "RuleError",
    "knowledge_files",
    "load_knowledge",
]

HERE: Final = Path(__file__).parent

CLASS_WEIGHTS: Final[Mapping[str, float]] = {"proof": 8.0, "strong": 5.0, "medium": 2.5, "weak": 1.0}
"""Prior log-likelihood ratio, in nats, of a rule of each class, before the corpus has spoken."""

EXPERIMENTAL_LIMIT: Final = 1.0
"""Most that a rule may weigh whose fact nobody has recorded."""

Matcher = Literal["exact", "prefix", "contains", "regex", "number"]
_MATCHERS: Final[tuple[Matcher, ...]] = ("exact", "prefix", "contains", "regex", "number")
_STATUSES: Final = ("experimental", "tested", "stable")
_KINDS: Final = ("own", "subsidiary", "oem", "former-oem")
_MAX_FILE: Final = 4 * 1024 * 1024
_CAPTURES: Final = frozenset(CLAIMS) | {"maker", "badge"}
_LEGAL_FORMS: Final = frozenset(
    (
        "co",
        "ltd",
        "limited",
        "inc",
        "incorporated",
        "corp",
        "corporation",
        "company",
        "llc",
        "gmbh",
        "ag",
        "ab",
    )
)
_HEADER: Final = re.compile(r"^\s*\[\[?\s*([A-Za-z0-9_.\"-]+)\s*\]?\]")


class RuleError(Exception):
    """A knowledge file is wrong: says file, line, rule and what."""

    def __init__(self, path: Path | str, line: int, rule: str, what: str) -> None:
        place = f"{path}:{line}" if line else f"{path}"
        super().__init__(f"{place}: {rule}: {what}" if rule else f"{place}: {what}")
        self.path = str(path)
        self.line = line
        self.rule = rule
        self.what = what


@dataclass(frozen=True, slots=True)
class Field:
    """One name of the closed vocabulary; facts of one `family` are not independent.

    `also` are names that other tools' recordings use for it; `read_as` is the protocol whose
    reader understands the text, where the text is a piece of a message.
    """

    name: str
    family: str
    says: str
    also: tuple[str, ...] = ()
    read_as: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A recorded text that a rule must match, with the captures it must give."""

    text: str
    expect: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """One sign: a matcher on one field, with what it claims, why we believe it and its own proof."""

    id: str
    field: str
    family: str
    matcher: Matcher
    patterns: tuple[str, ...]
    case: bool
    claims: Mapping[str, str]
    weight: float
    proof: bool
    status: str
    source: str
    seen: date | None
    note: str
    examples: tuple[Example, ...]
    negatives: tuple[str, ...]
    owner: str | None
    path: str
    line: int

    @property
    def manufacturer(self) -> str | None:
        """The maker this rule always claims, if it claims one."""
        return self.claims.get("manufacturer")


@dataclass(frozen=True, slots=True)
class Brand:
    """A badge on a manufacturer's hardware: an edge with its dates, its source and how sure it is."""

    name: str
    manufacturer: str
    kind: str
    confidence: str
    mixed: bool
    aliases: tuple[str, ...]
    source: str
    valid_from: date | None = None
    valid_to: date | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ModelFamily:
    """A line of models of one maker, recognised by how the model name is built."""

    pattern: str
    device_class: DeviceClass
    line: str
    source: str
    examples: tuple[str, ...]

    def holds(self, model: str) -> bool:
        """Whether a model of this name is of the family."""
        return _compiled(self.pattern).search(model) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compiled when first tried: most makers are not met in a run."""
    return re.compile(pattern)


@dataclass(frozen=True, slots=True)
class Manufacturer:
    """Who makes the hardware; `jurisdiction` is an ISO 3166 code, empty where it is disputed."""

    name: str
    jurisdiction: str
    aliases: tuple[str, ...]
    parent: str
    source: str
    brands: tuple[Brand, ...]
    models: tuple[ModelFamily, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Everything the files say, ready to match against.

    `version` is a digest of the files in `folder`, printed in every report; `sharpness` scales scores
    so that the confidence is calibrated; `overridden` are the rules whose weight was set by hand.
    """

    version: str
    fields: Mapping[str, Field]
    manufacturers: Mapping[str, Manufacturer]
    rules: tuple[Rule, ...]
    folder: Path = HERE
    sharpness: float = 1.0
    overridden: frozenset[str] = frozenset()
    brands: Mapping[str, tuple[Brand, ...]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def field_named(self, name: str) -> Field | None:
        """The field of this name, or the one that others call so."""
        return self.fields.get(name) or next(
            (entry for entry in self.fields.values() if name in entry.also), None
        )

    def maker_named(self, text: str) -> str | None:
        """The manufacturer that `text` names, by its one spelling or an alias."""
        return self.names.get(_key(text))

    def sharpened(self, sharpness: float) -> Knowledge:
        """The same knowledge with another sharpness."""
        return replace(self, sharpness=sharpness)

    def brands_named(self, text: str) -> tuple[Brand, ...]:
        """The brand edges that `text` names, one for each maker behind the badge."""
        return self.brands.get(_key(text), ())


@lru_cache(maxsize=4096)
def _key(text: str) -> str:
    """A name without case, punctuation and the legal form of the company behind it."""
    words = re.sub(r"[\s_.,()-]+", " ", text).strip().casefold().split(" ")
    while len(words) > 1 and words[-1] in _LEGAL_FORMS:
        words.pop()
    return " ".join(words)


def load_knowledge(folder: Path | None = None, *, fitted: bool = True) -> Knowledge:
    """Read all knowledge files under `folder` (the shipped ones by default).

    `fitted` is False for whoever fits weights anew: rules then weigh what their class says.

    Raises `RuleError` naming file, line and rule at the first mistake.
    """
    folder = folder or HERE
    fields = _load_fields(folder / "fields.toml")
    weights, overrides, sharpness = _load_weights(folder / "weights.toml")
    weights = {**(weights if fitted else {}), **overrides}
    manufacturers: dict[str, Manufacturer] = {}
    rules: list[Rule] = []
    paths = _rule_files(folder)
    for path in paths:
        document, lines = _read(path)
        maker = _manufacturer(path, document, lines)
        if maker is not None:
            if maker.name in manufacturers:
                raise RuleError(path, 1, "", f"manufacturer {maker.name!r} has two files")
            manufacturers[maker.name] = maker
        rules += _rules(path, document, lines, fields, weights, maker)
    names, brands = _index(manufacturers)
    knowledge = Knowledge(
        _version(paths),
        fields,
        manufacturers,
        tuple(rules),
        folder=folder,
        sharpness=sharpness,
        overridden=frozenset(overrides),
        brands=brands,
        names=names,
    )
    _check_whole(knowledge)
    return knowledge


def _rule_files(folder: Path) -> list[Path]:
    shared = [folder / "common.toml", folder / "neighbours.toml"]
    makers = folder / "manufacturers"
    # os.listdir: a hundred names are put in order faster than a hundred paths, and every command waits for it.
    names = os.listdir(makers) if makers.is_dir() else []  # noqa: PTH208
    return [path for path in shared if path.exists()] + [
        makers / name for name in sorted(names) if name.endswith(".toml")
    ]


def knowledge_files(folder: Path) -> list[Path]:
    """Every file that `load_knowledge` reads in `folder`, in its order."""
    weights = folder / "weights.toml"
    return [folder / "fields.toml", *([weights] if weights.exists() else []), *_rule_files(folder)]


def _version(paths: Iterable[Path]) -> str:
    """Newest `seen` would age oddly: the version is a digest of the files themselves."""
    import hashlib  # noqa: PLC0415 - only needed here

    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _read(path: Path) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """The parsed file, and the line of each table header by name, in order."""
    import tomllib  # noqa: PLC0415 - not where everything was kept from an earlier run

    try:
        size = path.stat().st_size
        if size > _MAX_FILE:
            raise RuleError(path, 0, "", f"is {size} bytes long; {_MAX_FILE} is the most that is read")
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise RuleError(path, 0, "", f"cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        raise RuleError(path, int(found[1]) if found else 0, "", str(error)) from None
    lines: dict[str, list[int]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header:
            lines.setdefault(header[1].strip('"'), []).append(number)
    return document, lines


def _load_fields(path: Path) -> dict[str, Field]:
    document, lines = _read(path)
    fields = {}
    for name, entry in document.items():
        line = (lines.get(name) or [0])[0]
        row = _table(path, line, name, entry, {"family", "says"}, {"also", "read_as"})
        fields[name] = Field(
            name, row["family"], row["says"], tuple(row.get("also", ())), row.get("read_as", "")
        )
    return fields


def _load_weights(path: Path) -> tuple[dict[str, float], dict[str, float], float]:
    """Fitted weights, overrides by hand and the judge's sharpness, as ``bench/fit.py`` wrote them."""
    if not path.exists():
        return {}, {}, 1.0
    document, _ = _read(path)
    found: dict[str, dict[str, float]] = {"rule": {}, "override": {}}
    for table, weights in found.items():
        for rule, entry in document.get(table, {}).items():
            if not isinstance(entry, dict) or not isinstance(entry.get("weight"), int | float):
                raise RuleError(path, 0, rule, "a weight is a table with a number `weight`")
            if table == "override" and not entry.get("reason"):
                raise RuleError(path, 0, rule, "an override needs a `reason`")
            weights[rule] = float(entry["weight"])
    return found["rule"], found["override"], float(document.get("judge", {}).get("sharpness", 1.0))


def _texts(value: object) -> tuple[str, ...] | None:
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) and item for item in items):
        return None
    return tuple(items)


def _table(
    path: Path, line: int, name: str, entry: object, needed: set[str], allowed: set[str]
) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise RuleError(path, line, name, "must be a table")
    missing = sorted(needed - set(entry))
    if missing:
        raise RuleError(path, line, name, f"lacks {', '.join(f'`{key}`' for key in missing)}")
    unknown = sorted(set(entry) - needed - allowed)
    if unknown:
        raise RuleError(path, line, name, f"unknown key {', '.join(f'`{key}`' for key in unknown)}")
    return entry


def _date(path: Path, line: int, name: str, value: object) -> date | None:
    if value is None or isinstance(value, date):
        return value
    raise RuleError(path, line, name, f"{value!r} is not a date")


def _manufacturer(path: Path, document: dict[str, Any], lines: dict[str, list[int]]) -> Manufacturer | None:
    unknown = sorted(set(document) - {"manufacturer", "brand", "rule", "model"})
    if unknown:
        raise RuleError(path, (lines.get(unknown[0]) or [0])[0], "", f"unknown table `{unknown[0]}`")
    if "manufacturer" not in document:
        for stray in ("brand", "model"):
            if stray in document:
                raise RuleError(path, lines[stray][0], "", f"[[{stray}]] needs a [manufacturer] in the file")
        return None
    line = lines["manufacturer"][0]
    entry = _table(
        path,
        line,
        "manufacturer",
        document["manufacturer"],
        {"name", "jurisdiction", "source"},
        {"aliases", "parent", "notes", "note"},
    )
    name = entry["name"]
    brands = []
    for line, row in zip(lines.get("brand", []), document.get("brand", []), strict=False):
        title = str(row.get("name", "brand")) if isinstance(row, dict) else "brand"
        row = _table(  # noqa: PLW2901 - the checked table replaces the raw one
            path,
            line,
            title,
            row,
            {"name", "kind", "confidence", "source"},
            {"aliases", "mixed", "valid_from", "valid_to", "note"},
        )
        if row["kind"] not in _KINDS:
            raise RuleError(path, line, title, f"kind {row['kind']!r} is none of {', '.join(_KINDS)}")
        if row["confidence"] not in {"high", "medium"}:
            raise RuleError(path, line, title, "only edges of high or medium confidence ship")
        brands.append(
            Brand(
                row["name"],
                name,
                row["kind"],
                row["confidence"],
                bool(row.get("mixed", False)),
                tuple(row.get("aliases", ())),
                row["source"],
                _date(path, line, title, row.get("valid_from")),
                _date(path, line, title, row.get("valid_to")),
                row.get("note", ""),
            )
        )
    return Manufacturer(
        name,
        entry["jurisdiction"],
        tuple(entry.get("aliases", ())),
        entry.get("parent", ""),
        entry["source"],
        tuple(brands),
        tuple(_models(path, document, lines)),
        entry.get("notes", entry.get("note", "")),
    )


def _models(path: Path, document: dict[str, Any], lines: dict[str, list[int]]) -> Iterator[ModelFamily]:
    for line, row in zip(lines.get("model", []), document.get("model", []), strict=False):
        row = _table(  # noqa: PLW2901 - the checked table replaces the raw one
            path, line, "model", row, {"regex", "device_class", "source", "examples"}, {"line", "note"}
        )
        pattern = _regex(path, line, row["regex"], row["regex"])
        if row["device_class"] not in DEVICE_CLASSES:
            raise RuleError(path, line, row["regex"], f"unknown device class {row['device_class']!r}")
        for text in row["examples"]:
            if not pattern.search(text):
                raise RuleError(path, line, row["regex"], f"does not match its example {text!r}")
        yield ModelFamily(
            pattern.pattern, row["device_class"], row.get("line", ""), row["source"], tuple(row["examples"])
        )


def _regex(path: Path, line: int, rule: str, text: object) -> re.Pattern[str]:
    if not isinstance(text, str) or not text:
        raise RuleError(path, line, rule, "a regex is a text")
    try:
        return re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise RuleError(path, line, rule, f"regex {text!r}: {error}") from None


def _rules(
    path: Path,
    document: dict[str, Any],
    lines: dict[str, list[int]],
    fields: Mapping[str, Field],
    weights: Mapping[str, float],
    maker: Manufacturer | None,
) -> Iterator[Rule]:
    for line, entry in zip(lines.get("rule", []), document.get("rule", []), strict=False):
        rule_id = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(rule_id, str) or not re.fullmatch(r"[a-z0-9]+(?:[.-][a-z0-9]+)*", rule_id):
            raise RuleError(
                path, line, str(rule_id or "rule"), "`id` is lower-case words with dots and dashes"
            )
        row = _table(
            path,
            line,
            rule_id,
            entry,
            {"id", "field", "class", "status", "source", "examples"},
            {*_MATCHERS, "claims", "case", "seen", "note", "not", "family"},
        )
        if not rule_id.startswith(f"{path.stem}."):
            raise RuleError(path, line, rule_id, f"`id` begins with the file's name: {path.stem}.")
        if row["field"] not in fields:
            raise RuleError(path, line, rule_id, f"unknown field {row['field']!r}")
        if row["class"] not in CLASS_WEIGHTS:
            raise RuleError(
                path, line, rule_id, f"class {row['class']!r} is none of {', '.join(CLASS_WEIGHTS)}"
            )
        if row["status"] not in _STATUSES:
            raise RuleError(
                path, line, rule_id, f"status {row['status']!r} is none of {', '.join(_STATUSES)}"
            )
        if not isinstance(row["source"], str) or not row["source"].strip():
            raise RuleError(path, line, rule_id, "has no source")
        matcher, patterns = _matcher(path, line, rule_id, row)
        claims = _claims(path, line, rule_id, row, matcher, patterns)
        weight = weights.get(rule_id, CLASS_WEIGHTS[row["class"]])
        experimental = row["status"] == "experimental"
        yield Rule(
            id=rule_id,
            field=row["field"],
            family=row.get("family", fields[row["field"]].family),
            matcher=matcher,
            patterns=patterns,
            case=bool(row.get("case", False)),
            claims=claims,
            weight=min(weight, EXPERIMENTAL_LIMIT) if experimental else weight,
            proof=row["class"] == "proof" and not experimental,
            status=row["status"],
            source=row["source"],
            seen=_date(path, line, rule_id, row.get("seen")),
            note=row.get("note", ""),
            examples=tuple(_examples(path, line, rule_id, row)),
            negatives=_texts(row["not"]) or () if "not" in row else (),
            owner=maker.name if maker else None,
            path=path.name,
            line=line,
        )


def _matcher(path: Path, line: int, rule: str, row: dict[str, Any]) -> tuple[Matcher, tuple[str, ...]]:
    present: list[Matcher] = [kind for kind in _MATCHERS if kind in row]
    if len(present) != 1:
        raise RuleError(path, line, rule, f"needs exactly one of {', '.join(_MATCHERS)}")
    kind = present[0]
    value = row[kind]
    if kind == "number":
        numbers = value if isinstance(value, list) else [value]
        if not all(isinstance(number, int) for number in numbers):
            raise RuleError(path, line, rule, "`number` is an integer or a list of them")
        return kind, tuple(str(number) for number in numbers)
    patterns = _texts(value)
    if patterns is None:
        raise RuleError(path, line, rule, f"`{kind}` is a text or a list of texts")
    if kind == "regex":
        for pattern in patterns:
            compiled = _regex(path, line, rule, pattern)
            strange = sorted(set(compiled.groupindex) - _CAPTURES)
            if strange:
                raise RuleError(path, line, rule, f"unknown capture {', '.join(strange)}")
            if compiled.groups != len(compiled.groupindex):
                raise RuleError(path, line, rule, "has a group that is neither named nor (?:...)")
    return kind, patterns


def _claims(
    path: Path, line: int, rule: str, row: dict[str, Any], matcher: Matcher, patterns: tuple[str, ...]
) -> dict[str, str]:
    claims = row.get("claims", {})
    if not isinstance(claims, dict) or not all(isinstance(value, str) for value in claims.values()):
        raise RuleError(path, line, rule, "`claims` is a table of texts")
    unknown = sorted(set(claims) - set(CLAIMS))
    if unknown:
        raise RuleError(path, line, rule, f"claims unknown {', '.join(unknown)}")
    if claims.get("device_class", "unknown") not in DEVICE_CLASSES:
        raise RuleError(path, line, rule, f"unknown device class {claims['device_class']!r}")
    captures = any(re.compile(text).groupindex for text in patterns) if matcher == "regex" else False
    if not claims and not captures:
        raise RuleError(path, line, rule, "claims nothing")
    return dict(claims)


def _examples(path: Path, line: int, rule: str, row: dict[str, Any]) -> Iterator[Example]:
    examples = row["examples"]
    if not isinstance(examples, list) or not examples:
        raise RuleError(path, line, rule, "has no example")
    for example in examples:
        if isinstance(example, str):
            yield Example(example, {})
        elif isinstance(example, dict) and isinstance(example.get("text"), str):
            yield Example(example["text"], dict(example.get("expect", {})))
        else:
            raise RuleError(path, line, rule, "an example is a text, or a table with `text` and `expect`")


def _index(
    manufacturers: Mapping[str, Manufacturer],
) -> tuple[dict[str, str], dict[str, tuple[Brand, ...]]]:
    names: dict[str, str] = {}
    brands: dict[str, tuple[Brand, ...]] = {}
    for maker in manufacturers.values():
        for text in (maker.name, *maker.aliases):
            other = names.setdefault(_key(text), maker.name)
            if other != maker.name:
                raise RuleError("manufacturers", 0, "", f"{text!r} names both {other} and {maker.name}")
        for brand in maker.brands:
            for text in {_key(brand.name), *(_key(alias) for alias in brand.aliases)}:
                brands[text] = (*brands.get(text, ()), brand)
    return names, brands


def _check_whole(knowledge: Knowledge) -> None:
    """Refuse what only shows when all files are known: ids twice, names nobody introduced."""
    seen: dict[str, Rule] = {}
    spellings: dict[str, str] = {maker.casefold(): maker for maker in knowledge.manufacturers}
    for edges in knowledge.brands.values():
        for brand in edges:
            first = spellings.setdefault(_key(brand.name), brand.name)
            if first != brand.name and knowledge.maker_named(brand.name) is None:
                raise RuleError("manufacturers", 0, brand.name, f"is spelt {first!r} elsewhere")
    for rule in knowledge.rules:
        other = seen.setdefault(rule.id, rule)
        if other is not rule:
            raise RuleError(rule.path, rule.line, rule.id, f"stands in {other.path}:{other.line} too")
        maker = rule.claims.get("manufacturer")
        if maker is not None and maker not in knowledge.manufacturers:
            raise RuleError(rule.path, rule.line, rule.id, f"claims unknown manufacturer {maker!r}")
        badge = rule.claims.get("brand")
        if badge is not None and badge not in knowledge.manufacturers:
            edges = knowledge.brands_named(badge)
            if not edges:
                raise RuleError(rule.path, rule.line, rule.id, f"claims unknown brand {badge!r}")
            if all(edge.name != badge for edge in edges):
                raise RuleError(rule.path, rule.line, rule.id, f"brand {badge!r} is spelt {edges[0].name!r}")
