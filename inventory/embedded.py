"""Keeps a report of this machine in the inventory that the environment names: by default its own file."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from inventory import environment

__all__ = ["Kept", "NotKept", "keep", "ready"]

OWNER: Final = "This computer"
"""The organisation of sites that nobody has put anywhere."""
SITE: Final = "local"


class NotKept(Exception):  # noqa: N818 - an answer, not a fault
    """A report is not kept: says why."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a report."""

    site: str
    accepted: int
    refused: int


def ready() -> None:
    """Load Django and bring an SQLite inventory up to date; raises `NotKept`."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inventory.settings")
    try:
        if environment.embedded():
            environment.keep_secret_key()
        import django  # noqa: PLC0415 - slow, after the environment

        django.setup()
    except environment.EnvironmentMistake as mistake:
        raise NotKept(str(mistake)) from None
    from django.core.management import call_command  # noqa: PLC0415 - after the settings
    from django.db import connection  # noqa: PLC0415 - after the settings
    from django.db.migrations.executor import MigrationExecutor  # noqa: PLC0415 - after the settings

    executor = MigrationExecutor(connection)
    if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return
    if connection.vendor != "sqlite":
        raise NotKept("the database is of another version: run `camcensus inventory migrate` first")
    call_command("migrate", verbosity=0)


def keep(document: Mapping[str, Any], site: str | None) -> Kept:
    """Keep a report, laid out as `fingerprints.codec` does, under the name of its site.

    A site of that name or code is taken where there is one, else made. Raises `NotKept`, and what the
    database raises.
    """
    ready()
    from django.db import connections  # noqa: PLC0415 - after the settings

    from inventory.ingest.service import ReportRefused, Submission, receive  # noqa: PLC0415 - as above

    try:
        where = _site(site or SITE)
        # The name was this machine's to give: that it is the site's is settled here.
        devices = [{**row, "site": None} for row in document["devices"]]
        receipt = receive(Submission(uuid.uuid4().hex, where, {**document, "devices": devices}))
    except ReportRefused as why:
        raise NotKept(str(why)) from None
    finally:
        connections.close_all()
    return Kept(where.name, receipt.accepted, len(receipt.outcomes) - receipt.accepted)


def _site(name: str) -> Any:
    from django.db.models import Q  # noqa: PLC0415 - after the settings
    from django.utils.text import slugify  # noqa: PLC0415 - after the settings

    from inventory.clean import shown  # noqa: PLC0415 - after the settings
    from inventory.models import Organisation, Site  # noqa: PLC0415 - after the settings

    name = shown(name, 200)
    found = Site.objects.filter(Q(code=name) | Q(name=name)).order_by("pk").first()
    if found is not None:
        return found
    code = slugify(name)[:50]
    if not code or Site.objects.filter(code=code).exists():
        code = f"{code or 'site'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    # Two names that differ in what a slug leaves out are two sites.
    owner = Organisation.objects.filter(parent=None, name=OWNER).first()
    owner = owner or Organisation.objects.create(name=OWNER)
    return Site.objects.get_or_create(code=code, defaults={"name": name, "organisation": owner})[0]
