"""Tests of knowledge packs that come to agents over JetStream."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from agent.outbox.jetstream import NatsLink
from agent.schedule.knowledge import NatsPacks, PacksAway
from exchange.keys import SigningKey
from inventory.fleet.permissions import Allowed, allowed
from inventory.models import KnowledgePack
from tests.fleet.nats import Nats
from tests.fleet.operator_keys import Operator
from tests.fleet.rig import Program, agent_settings, eventually, machine, words, worker_environment
from tests.places import REPO

WHOLE = 1_300_000


def kept(number: int) -> bytes:
    """Put bytes that are as long as three messages into the inventory as a pack; they are not one."""
    content = number.to_bytes(4) * (WHOLE // 4)
    digest = hashlib.sha256(content).hexdigest()
    KnowledgePack.objects.create(number=number, content=content, sha256=digest)
    return content


def test_a_pack_in_parts(central: dict[str, Any], guarded: Nats, operator: Operator, tmp_path: Path) -> None:
    """What is larger than a message comes whole, to agents alone that may read it; the one before last goes."""
    ingest = operator.user(tmp_path / "ingest.creds", "ingest")
    agent = operator.user(tmp_path / "jump-1.creds", "jump-1", allowed("jump-1", ["s"]))
    packs = NatsPacks(NatsLink(guarded.url, "jump-1", agent))
    command = words("inventory", "ingest", "--from", guarded.url, "--credentials", str(ingest))
    env = worker_environment(central, tmp_path / "centre")

    def newest() -> int:
        try:
            return packs.newest().number
        except PacksAway:
            return -1

    contents = {}
    for number in (7, 8, 9):
        contents[number] = kept(number)
        worker = Program(command, tmp_path / "worker.log", env)
        try:
            eventually(lambda number=number: newest() == number)  # type: ignore[misc]
        finally:
            worker.kill()
        found = packs.newest()
        assert found.parts == 3
        assert packs.content(found) == contents[number]
    parts = {number: packs.content(type(found)(number, "", 3)) for number in contents}
    assert parts == {7: b"", 8: contents[8], 9: contents[9]}
    none = operator.user(tmp_path / "none.creds", "none", Allowed(("nothing",), ("_INBOX_none.>",)))
    with pytest.raises(PacksAway, match=r"(?i)permissions violation"):
        NatsPacks(NatsLink(guarded.url, "none", none)).newest()


def test_from_the_centre_to_an_agent(
    central: dict[str, Any], guarded: Nats, operator: Operator, tmp_path: Path
) -> None:
    """An agent whose one link is NATS takes what a key that it trusts has signed, and nothing else."""
    env = worker_environment(central, tmp_path / "centre")
    good, bad = tmp_path / "good.pem", tmp_path / "bad.pem"
    folder, home = tmp_path / "box", tmp_path / "home"
    trusted = home / "config/camcensus/trusted-keys"
    trusted.mkdir(parents=True)
    SigningKey(bad)
    SigningKey(good)
    (trusted / "good.pem").write_bytes(_public(good))
    machine("jump-1", folder, ["s"])
    own = {"XDG_CONFIG_HOME": str(home / "config"), "XDG_DATA_HOME": str(home / "data")}
    creds = operator.user(tmp_path / "jump-1.creds", "jump-1", allowed("jump-1", ["s"]))
    ingest = operator.user(tmp_path / "ingest.creds", "ingest")
    config = agent_settings("jump-1", folder, "s", f'url = "{guarded.url}"\ncredentials = "{creds}"')
    packs, status = NatsPacks(NatsLink(guarded.url, "jump-1", creds)), folder / "status.json"

    def there(number: int) -> bool:
        try:
            return packs.newest().number == number
        except PacksAway:
            return False

    def said() -> str:
        return json.dumps(json.loads(status.read_text())["problems"]) if status.exists() else ""

    for number, key in ((9_000_001, bad), (9_000_002, good)):
        pack = tmp_path / f"{number}.ccpack"
        _run({}, "rules", "pack", str(pack), "--key", str(key), "--number", str(number))
        _run(env, "inventory", "publish", str(pack))
        command = words("inventory", "ingest", "--from", guarded.url, "--credentials", str(ingest))
        worker = Program(command, tmp_path / "worker.log", env)
        eventually(lambda number=number: there(number))  # type: ignore[misc]
        agent = Program(words("agent", "run", "--config", str(config)), tmp_path / "agent.log", own)
        try:
            if key is good:
                eventually((home / "data/camcensus/knowledge/pack.toml").exists)
                assert str(number) in (home / "data/camcensus/knowledge/pack.toml").read_text()
            else:
                eventually(lambda: "not signed by a trusted key" in said())
                assert not (home / "data/camcensus/knowledge/pack.toml").exists()
        finally:
            agent.kill()
            worker.kill()


def _run(env: dict[str, str], *more: str) -> None:
    done = subprocess.run(
        words(*more),
        env={**os.environ, "PYTHONPATH": str(REPO), **env},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _public(private: Path) -> bytes:
    """The public half of a key, as PEM."""
    key = serialization.load_pem_private_key(private.read_bytes(), None)
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
