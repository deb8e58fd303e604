"""A small knowledge folder for tests: two makers, a badge, a mixed badge."""

from __future__ import annotations

import shutil
from pathlib import Path

from fingerprints.rules import HERE, Knowledge, load_knowledge

__all__ = ["ACME", "OTHER", "small_folder", "small_knowledge"]

ACME = """
[manufacturer]
name = "Acme"
jurisdiction = "CN"
aliases = ["ACME Digital"]
source = "test"

[[brand]]
name = "Badge"
kind = "oem"
confidence = "high"
source = "test"

[[brand]]
name = "Mixed"
kind = "oem"
confidence = "high"
mixed = true
source = "test"

[[rule]]
id = "acme.sadp.answer"
field = "sadp.types"
exact = "inquiry"
class = "proof"
status = "stable"
claims = { manufacturer = "Acme" }
source = "test"
examples = ["inquiry"]

[[rule]]
id = "acme.http.server"
field = "http.server"
prefix = "acme-webs"
class = "strong"
status = "stable"
claims = { manufacturer = "Acme" }
source = "test"
examples = ["Acme-Webs/1.0"]
not = ["webs"]

[[rule]]
id = "acme.http.title"
field = "http.title"
regex = '^Acme (?P<model>[A-Z0-9-]{3,20})$'
class = "strong"
status = "stable"
claims = { manufacturer = "Acme" }
source = "test"
examples = [{ text = "Acme AC-100T", expect = { model = "AC-100T" } }]

[[rule]]
id = "acme.onvif.badge"
field = "onvif.scope"
contains = "/name/Badge"
class = "strong"
status = "stable"
claims = { brand = "Badge" }
source = "test"
examples = ["onvif://www.onvif.org/name/Badge"]

[[rule]]
id = "acme.onvif.mixed"
field = "onvif.scope"
contains = "/name/Mixed"
class = "strong"
status = "stable"
claims = { brand = "Mixed" }
source = "test"
examples = ["onvif://www.onvif.org/name/Mixed"]

[[rule]]
id = "acme.oui"
field = "oui.organisation"
prefix = "Hangzhou Hikvision"
class = "strong"
status = "stable"
claims = { manufacturer = "Acme" }
source = "test"
examples = ["Hangzhou Hikvision Digital Technology Co.,Ltd."]

[[model]]
regex = '^AC-\\d{3}T$'
device_class = "camera"
line = "thermal"
source = "test"
examples = ["AC-100T"]
"""

OTHER = """
[manufacturer]
name = "Other"
jurisdiction = "SE"
source = "test"

[[rule]]
id = "other.http.server"
field = "http.server"
exact = "other"
class = "strong"
status = "stable"
claims = { manufacturer = "Other" }
source = "test"
examples = ["other"]

[[rule]]
id = "other.guess"
field = "http.title"
exact = "guess"
class = "strong"
status = "experimental"
claims = { manufacturer = "Other" }
source = "test"
examples = ["guess"]
"""


def small_folder(folder: Path, **files: str) -> Path:
    """Write a knowledge folder; `files` are manufacturer files by stem, the two above by default."""
    (folder / "manufacturers").mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "fields.toml", folder / "fields.toml")
    for stem, text in (files or {"acme": ACME, "other": OTHER}).items():
        (folder / "manufacturers" / f"{stem}.toml").write_text(text, encoding="utf-8")
    return folder


def small_knowledge(folder: Path, **files: str) -> Knowledge:
    """Load the folder that `small_folder` writes."""
    return load_knowledge(small_folder(folder, **files))
