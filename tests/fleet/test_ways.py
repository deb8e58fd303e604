"""Tests of every way between agent and inventory by the commands that people use."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from agent.outbox import Outbox
from exchange.bundle import BundleError, opened, read_receipts
from exchange.keys import SigningKey
from inventory.fleet import jobs
from inventory.models import Agent, Job, JobState, Organisation, Run, Site
from tests.fleet.nats import Nats
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
from tests.inventory.serving import serving
from tests.places import REPO


def run(env: dict[str, str], *more: str) -> subprocess.CompletedProcess[str]:
    """One command of ours, to its end."""
    return subprocess.run(
        words(*more),
        env={**os.environ, "PYTHONPATH": str(REPO), **env},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_from_a_code_to_a_report(central: dict[str, Any], tmp_path: Path) -> None:
    """A code makes a machine an agent once; what it scans reaches the inventory, signed; revoked, nothing does."""
    env = worker_environment(central, tmp_path / "centre")
    made = run(env, "inventory", "enrol-code", "jump-1", "--organisation", "Council", "--site", "s")
    code, folder = made.stdout.strip(), tmp_path / "box"
    assert len(code) == 29, made.stderr
    with serving(central, tmp_path / "centre") as served:
        url = f"http://127.0.0.1:{served.port}"
        done = run({}, "agent", "enrol", url, "--code", code.lower(), "--state", str(folder))
        assert done.returncode == 0, done.stderr
        assert 'name = "jump-1"' in done.stdout
        again = run({}, "agent", "enrol", url, "--code", code, "--state", str(tmp_path / "thief"))
        assert again.returncode == 1
        assert "was used" in again.stderr
        assert {path.name: path.stat().st_mode & 0o077 for path in folder.iterdir()} == {
            "agent.key": 0,
            "inventory.pub": 0,
            "token": 0,
        }
        config = agent_settings("jump-1", folder, "s", f'url = "{url}"\ntoken-file = "{folder}/token"')
        once = run({}, "agent", "once", "--config", str(config))
        assert once.returncode == 0, once.stderr
        assert len(stored()) == 1
        assert Run.objects.get().agent == Agent.objects.get(name="jump-1")
        assert run(env, "inventory", "revoke", "jump-1").returncode == 0
        run({}, "agent", "once", "--config", str(config))
        assert len(stored()) == 1
        status = json.loads((folder / "status.json").read_text())
        assert "401" in status["link"]["state"]
        assert status["outbox"]["parts"] == 1


def test_by_hand_with_receipts_back(central: dict[str, Any], tmp_path: Path) -> None:
    """A bundle goes out, is imported twice, its receipts come back: nothing is lost, nothing doubled."""
    env = worker_environment(central, tmp_path / "centre")
    folder = tmp_path / "box"
    machine("jump-1", folder, ["s"])
    config = str(agent_settings("jump-1", folder, "s", 'url = "https://nowhere.invalid"'))
    put(folder, "s", iter([("r1", 0, 700), ("r2", 700, 3)]))
    bundle, receipts = tmp_path / "out.bundle", tmp_path / "back.receipts"
    done = run({}, "outbox", "export", str(bundle), "--config", config)
    assert done.returncode == 0, done.stderr
    for _ in range(2):
        done = run(env, "inventory", "import", str(bundle), "--receipts", str(receipts))
        assert (done.returncode, done.stdout) == (0, f"{bundle}: 3 parts stored, 0 refused\n"), done.stderr
    assert stored() == {"r1": 700, "r2": 3}
    assert nothing_doubled()
    assert run({}, "outbox", "list", "--config", config).stdout.startswith("3 parts of 2 reports wait")
    refused = run({}, "outbox", "receipts", str(receipts), "--key", "0" * 64, "--config", config)
    assert refused.returncode == 1
    assert "not signed by the inventory" in refused.stderr
    (folder / "inventory.pub").write_text(_key_of(env))
    done = run({}, "outbox", "receipts", str(receipts), "--config", config)
    assert (done.returncode, done.stdout) == (0, "3 parts are with the inventory; 0 wait\n"), done.stderr


def _key_of(env: dict[str, str]) -> str:
    """The inventory's public key."""
    code = "from inventory.fleet.signing import public_key; print(public_key())"
    done = subprocess.run(
        [*words()[:1], "-c", code], env=env, cwd=REPO, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_bundles_that_are_not_to_be_believed(central: dict[str, Any], tmp_path: Path) -> None:
    """Changed, cut short, of a stranger, or no bundle at all: one line that names the file, nothing stored."""
    env = worker_environment(central, tmp_path / "centre")
    folder = tmp_path / "box"
    agent = machine("jump-1", folder, ["s"])
    config = str(agent_settings("jump-1", folder, "s", 'url = "https://nowhere.invalid"'))
    put(folder, "s", iter([("r1", 0, 3)]))
    bundle = tmp_path / "out.bundle"
    run({}, "outbox", "export", str(bundle), "--config", config)
    good = bundle.read_bytes()
    inside = good.index(b"\x1f\x8b") + 30
    spoilt = {
        "empty": b"",
        "rubbish": os.urandom(5000),
        "cut": good[:2600],
        "body": good.replace(b"parcel-1", b"parcel-2"),
        "manifest": good.replace(b'"agent":"jump-1"', b'"agent":"jump-2"'),
        "flipped": good[:inside] + bytes([good[inside] ^ 1]) + good[inside + 1 :],
    }
    for name, content in spoilt.items():
        path = tmp_path / name
        path.write_bytes(content)
        done = run(env, "inventory", "import", str(path))
        assert done.returncode == 1, name
        assert "Traceback" not in done.stderr
        assert f"camcensus: {path}: " in done.stderr
    agent.public_key = "11" * 32
    agent.save()
    assert "is not signed by agent jump-1" in run(env, "inventory", "import", str(bundle)).stderr
    assert stored() == {}


def test_a_bundle_of_devices_and_links(tmp_path: Path) -> None:
    """Nothing but plain members is read, and nothing is written to the disk."""
    path = tmp_path / "b"
    with tarfile.open(path, "w:") as tar:
        info = tarfile.TarInfo("manifest.json")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(BundleError, match=r"has no manifest.json where it should be"):
        opened(path)
    path.write_text("[" * 100_000)
    with pytest.raises(BundleError, match="holds no receipts"):
        read_receipts(path, "0" * 64)


def test_a_job_over_https(central: dict[str, Any], tmp_path: Path) -> None:
    """What the centre asks for is scanned soon and linked to its report; what is outside is refused, and said."""
    env = worker_environment(central, tmp_path / "centre")
    code = run(env, "inventory", "enrol-code", "jump-1", "--organisation", "Council", "--site", "s").stdout
    folder = tmp_path / "box"
    with serving(central, tmp_path / "centre") as served:
        url = f"http://127.0.0.1:{served.port}"
        run({}, "agent", "enrol", url, "--code", code.strip(), "--state", str(folder))
        link = f'url = "{url}"\ntoken-file = "{folder}/token"\npoll = "1s"'
        config = agent_settings("jump-1", folder, "s", link)
        _jobs_are_done(env, config, tmp_path)


def test_a_job_over_jetstream(central: dict[str, Any], nats: Nats, tmp_path: Path) -> None:
    """The same by the work queue of the site."""
    env = worker_environment(central, tmp_path / "centre")
    folder = tmp_path / "box"
    machine("jump-1", folder, ["s"])
    config = agent_settings("jump-1", folder, "s", f'url = "{nats.url}"\npoll = "1s"')
    worker = Program(words("inventory", "ingest", "--from", nats.url), tmp_path / "worker.log", env)
    try:
        _jobs_are_done(env, config, tmp_path)
    finally:
        worker.kill()


def _jobs_are_done(env: dict[str, str], config: Path, tmp_path: Path) -> None:
    inside = run(env, "inventory", "ask", "s", "127.77.9.1").stdout.strip()
    outside = run(env, "inventory", "ask", "s", "127.77.0.0/16").stdout.strip()
    agent = Program(words("agent", "run", "--config", str(config)), tmp_path / "agent.log")
    try:
        done = {JobState.DONE, JobState.REFUSED, JobState.FAILED}
        eventually(lambda: all(job.state in done for job in Job.objects.all()), 90)
        good, bad = Job.objects.get(pk=inside), Job.objects.get(pk=outside)
        assert good.state == JobState.DONE, good.reason
        assert bad.state == JobState.REFUSED
        assert "127.77.0.0/16 is outside of scope s.own" in bad.reason
        eventually(lambda: Run.objects.filter(report=good.report).exists())
    finally:
        agent.kill()


def test_a_job_that_nobody_takes(central: dict[str, Any]) -> None:
    """It ends when its time is over; one that was taken and never answered waits again after a day."""
    assert central
    council = Organisation.objects.create(name="Council")
    site = Site.objects.create(code="s", name="s", organisation=council)
    agent = Agent.objects.create(name="a", organisation=council)
    job = jobs.ask(site, "me", days=-1)
    assert jobs.take(site, agent) == []
    job.refresh_from_db()
    assert job.state == JobState.EXPIRED
    lost = jobs.ask(site, "me")
    assert [row.pk for row in jobs.take(site, agent)] == [lost.pk]
    assert jobs.take(site, agent) == []
    Job.objects.filter(pk=lost.pk).update(changed="2020-01-01T00:00:00Z")
    assert [row.pk for row in jobs.take(site, agent)] == [lost.pk]
    stranger = Agent.objects.create(name="b", organisation=council)
    lost.refresh_from_db()
    assert not jobs.answer(lost, stranger, "done")
    assert jobs.answer(lost, agent, "done", report="r1")
    assert not jobs.answer(lost, agent, "failed")


def test_poison_on_the_stream(central: dict[str, Any], nats: Nats, tmp_path: Path) -> None:
    """What is no parcel, or of nobody, is refused once, and holds nothing up; the agent hears why."""
    env = worker_environment(central, tmp_path / "centre")
    folder = tmp_path / "box"
    machine("jump-1", folder, ["s"])
    config = agent_settings("jump-1", folder, "elsewhere", f'url = "{nats.url}"')
    put(folder, "elsewhere", iter([("r1", 0, 3)]))
    put(folder, "s", iter([("r2", 10, 3)]))
    worker = Program(words("inventory", "ingest", "--from", nats.url), tmp_path / "worker.log", env)
    agent = Program(words("agent", "run", "--config", str(config)), tmp_path / "agent.log")
    try:
        eventually(lambda: stored() == {"r2": 3})
        outbox = Outbox(folder / "outbox.sqlite3")
        eventually(lambda: outbox.status().aside == 1)
        assert "may not report for that site" in outbox.asides()[0]["why"]
        eventually(lambda: outbox.status().parts == 0)
    finally:
        agent.kill()
        worker.kill()


def test_knowledge_from_the_centre(central: dict[str, Any], tmp_path: Path) -> None:
    """A pack that is published reaches the agent, which takes it if a key that it trusts has signed it."""
    env = worker_environment(central, tmp_path / "centre")
    good, bad = tmp_path / "good.pem", tmp_path / "bad.pem"
    packs = {}
    for number, key in ((9_000_001, bad), (9_000_002, good)):
        made = SigningKey(key)
        packs[number] = tmp_path / f"{number}.ccpack"
        done = run({}, "rules", "pack", str(packs[number]), "--key", str(key), "--number", str(number))
        assert done.returncode == 0, done.stderr
        assert made.public
    code = run(env, "inventory", "enrol-code", "jump-1", "--organisation", "Council", "--site", "s").stdout
    folder, home = tmp_path / "box", tmp_path / "home"
    trusted = home / "config/camcensus/trusted-keys"
    trusted.mkdir(parents=True)
    (trusted / "good.pem").write_bytes(_public(good))
    own = {"XDG_CONFIG_HOME": str(home / "config"), "XDG_DATA_HOME": str(home / "data")}
    with serving(central, tmp_path / "centre") as served:
        url = f"http://127.0.0.1:{served.port}"
        run({}, "agent", "enrol", url, "--code", code.strip(), "--state", str(folder))
        config = agent_settings("jump-1", folder, "s", f'url = "{url}"\ntoken-file = "{folder}/token"')
        status = folder / "status.json"
        for number, taken in ((9_000_001, False), (9_000_002, True)):
            done = run(env, "inventory", "publish", str(packs[number]))
            assert (done.returncode, done.stdout) == (0, f"pack {number} is published\n"), done.stderr
            # As if the agent had been killed while it installed one.
            (folder / "knowledge-9.ccpack").touch()
            agent = Program(words("agent", "run", "--config", str(config)), tmp_path / "agent.log", own)
            try:
                if taken:
                    eventually((home / "data/camcensus/knowledge/pack.toml").exists)
                    eventually(lambda: not list(folder.glob("*.ccpack")))
                else:
                    eventually(
                        lambda: status.exists() and "not signed by a trusted key" in status.read_text()
                    )
            finally:
                agent.kill()
        older = run(env, "inventory", "publish", str(packs[9_000_001]))
        assert older.returncode == 1
        assert "is published by now" in older.stderr


def _public(private: Path) -> bytes:
    """The public half of a key, as PEM."""
    key = serialization.load_pem_private_key(private.read_bytes(), None)
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
