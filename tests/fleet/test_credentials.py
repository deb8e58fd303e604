"""Tests of NATS with operator keys: who comes in with which credentials file, and what it may do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from agent.config import ConfigError
from agent.outbox import Outbox
from agent.outbox.jetstream import JetStream, NatsLink
from agent.outbox.sending import Outcome
from agent.schedule.settings import read_settings
from exchange.nats_credentials import BadCredentials, nats_credentials
from exchange.parcel import Parcel
from inventory.fleet.permissions import allowed, nsc
from tests.fleet.nats import Nats
from tests.fleet.operator_keys import Operator
from tests.fleet.rig import (
    Program,
    agent_settings,
    eventually,
    machine,
    nothing_doubled,
    put,
    stored,
    words,
    worker_environment,
)


def worker(described: dict[str, Any], server: Nats, credentials: Path, folder: Path) -> Program:
    """A worker that comes in with a credentials file."""
    command = words("inventory", "ingest", "--from", server.url, "--credentials", str(credentials))
    return Program(command, folder / "worker.log", worker_environment(described, folder / "centre"))


def test_from_an_agent_to_the_database(
    central: dict[str, Any], guarded: Nats, operator: Operator, tmp_path: Path
) -> None:
    """With their files an agent sends, a worker takes, and the receipts empty the outbox."""
    folder = tmp_path / "box"
    machine("jump-1", folder, ["s"])
    own = operator.user(tmp_path / "jump-1.creds", "jump-1", allowed("jump-1", ["s"]))
    settings = f'url = "{guarded.url}"\ncredentials = "{own}"'
    config = agent_settings("jump-1", folder, "s", settings)
    put(folder, "s", iter([("r1", 0, 700)]))
    taking = worker(central, guarded, operator.user(tmp_path / "ingest.creds", "ingest"), tmp_path)
    agent = Program(words("agent", "run", "--config", str(config)), tmp_path / "agent.log")
    outbox = Outbox(folder / "outbox.sqlite3")
    try:
        eventually(lambda: stored() == {"r1": 700} and not outbox.status().parts, 90)
    finally:
        agent.kill()
        taking.kill()
    assert nothing_doubled()


def test_the_wrong_file_is_refused(guarded: Nats, tmp_path: Path) -> None:
    """Somebody else's signature lets nobody in: the agent says why, and its parcels stay."""
    folder = tmp_path / "box"
    stranger = Operator().user(tmp_path / "stranger.creds", "jump-1", allowed("jump-1", ["s"]))
    folder.mkdir()
    config = agent_settings("jump-1", folder, "s", f'url = "{guarded.url}"\ncredentials = "{stranger}"')
    put(folder, "s", iter([("r1", 0, 7)]))
    before = Outbox(folder / "outbox.sqlite3").status().parts
    agent = Program(words("agent", "run", "--config", str(config)), tmp_path / "agent.log")
    status = folder / "status.json"
    try:
        eventually(
            lambda: status.exists() and "Authorization" in json.loads(status.read_text())["link"]["state"], 60
        )
    finally:
        agent.kill()
    assert "NATS cannot be reached: nats: 'Authorization Violation'" in status.read_text()
    assert Outbox(folder / "outbox.sqlite3").status().parts == before > 0
    assert "Traceback" not in agent.said


def test_what_the_file_does_not_allow(
    central: dict[str, Any], guarded: Nats, operator: Operator, tmp_path: Path
) -> None:
    """An agent writes for its own site alone, and reads nobody else's receipts."""
    taking = worker(central, guarded, operator.user(tmp_path / "ingest.creds", "ingest"), tmp_path)
    file = operator.user(tmp_path / "jump-2.creds", "jump-2", allowed("jump-2", ["t"]))
    own = JetStream(NatsLink(guarded.url, "jump-2", file))
    thief = JetStream(NatsLink(guarded.url, "jump-1", file))
    try:
        eventually(lambda: own.send(Parcel("t", "r1", 1, 1, b"x")).outcome is Outcome.HANDED_OVER)
        answer = own.send(Parcel("s", "r1", 1, 1, b"x"))
        assert answer.outcome is Outcome.LATER
        assert "permissions violation for publish to" in answer.why.lower()
        assert thief.receipts() == []
        assert "permissions violation" in thief._why.lower()
    finally:
        own.close()
        thief.close()
        taking.kill()


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("-----BEGIN USER NKEY SEED-----\nSU\n", 0o600, "holds no token (JWT) of a user"),
        ("-----BEGIN NATS USER JWT-----\na.b.c\n---END NATS USER JWT---\n", 0o600, "no seed of a user's key"),
        ("", 0o644, "others may read"),
    ],
)
def test_what_is_no_credentials_file(text: str, mode: int, why: str, tmp_path: Path) -> None:
    """A file that cannot be used is named with the reason, also by the agent's settings."""
    bad = tmp_path / "bad.creds"
    bad.write_text(text)
    bad.chmod(mode)
    with pytest.raises(BadCredentials, match=re.escape(why)):
        nats_credentials(bad)
    config = agent_settings("jump-1", tmp_path, "s", f'url = "nats://127.0.0.1:9"\ncredentials = "{bad}"')
    with pytest.raises(ConfigError, match=f"line 6, credentials: .*{re.escape(why)}"):
        read_settings(config, tmp_path)


def test_the_command_for_nsc() -> None:
    """The command allows what a password's user is allowed, quoted for a shell."""
    said = nsc("jump-1", ["s"], "centre")
    assert said.startswith("nsc add user --account FLEET --name jump-1 --allow-pub 'camcensus.reports.s,")
    assert "$JS.centre.API.CONSUMER.MSG.NEXT.CAMCENSUS_RECEIPTS.agent-jump-1," in said
    assert said.endswith("--allow-sub '_INBOX_jump-1.>'")
