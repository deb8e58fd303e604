"""Publishes knowledge packs, for agents to fetch."""

from __future__ import annotations

import hashlib
from pathlib import Path

from django.db import transaction

from fingerprints.pack import MAX_PACK, PackError, number_of
from inventory import audit
from inventory.models import KnowledgePack

__all__ = ["publish"]


def publish(path: Path, who: str) -> KnowledgePack:
    """Keep a pack for every agent; raises PackError for what is none, or not newer than the last one."""
    number = number_of(path)
    content = path.read_bytes()
    if len(content) > MAX_PACK:
        raise PackError(f"{path}: is larger than a pack may be")
    with transaction.atomic():
        last = KnowledgePack.objects.order_by("-number").values_list("number", flat=True).first()
        if last is not None and number <= last:
            raise PackError(f"{path}: is number {number}; number {last} is published by now")
        made = KnowledgePack.objects.create(
            number=number, content=content, sha256=hashlib.sha256(content).hexdigest()
        )
        audit.record(who, "publish knowledge", str(made), after={"sha256": made.sha256})
    return made
