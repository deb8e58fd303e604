"""Tests of captures that many workers read: real schedulers, real worker processes, a real object store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent import __version__
from agent.cli import fanout
from agent.cli.app import run
from agent.cli.wiring import prepare
from bench.camera_network import size_of, write
from tests.places import REPO

PCAPS = REPO / "pcaps"
MANY = 24


def replayed(*words: str, **more: str) -> tuple[int, dict[str, Any], str]:
    """The exit code, the report without what every run has of its own, and stderr, of one replay."""
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli", "replay", "--format", "json", *words],
        cwd=REPO,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.stdout, done.stderr
    return done.returncode, told(json.loads(done.stdout)), done.stderr


def told(report: dict[str, Any]) -> dict[str, Any]:
    """A report without what every run has of its own."""
    for name in ("started", "finished", "files"):
        del report["run"][name]
    return report


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of captures, the same network at many times."""
    folder = tmp_path_factory.mktemp("archive")
    for turn in range(MANY):
        write(folder / f"day-{turn:02}.pcap", size_of("400k"), turn=turn)
    return folder


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler on loopback with two workers, each a process."""
    where = tmp_path / "scheduler.json"
    log = (tmp_path / "dask.log").open("wb")
    env = {**os.environ, "PYTHONPATH": str(REPO)}

    def started(*words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", *words, "--scheduler-file", str(where)],
            cwd=tmp_path,
            env=env,
            stdout=log,
            stderr=log,
        )

    plain = ("--host", "127.0.0.1", "--no-dashboard")
    scheduler = started("distributed.cli.dask_scheduler", *plain, "--port", "0")
    workers: list[subprocess.Popen[bytes]] = []
    try:
        end = time.monotonic() + 60
        while not where.exists():
            assert time.monotonic() < end
            time.sleep(0.1)
        worker = ("distributed.cli.dask_worker", *plain, "--no-nanny", "--nthreads", "1")
        workers = [started(*worker, "--name", str(number)) for number in range(2)]
        from distributed import Client  # noqa: PLC0415 - slow

        address = json.loads(where.read_text())["address"]
        with Client(address, set_as_default=False) as client:  # type: ignore[no-untyped-call]  # it has no types
            client.wait_for_workers(2, timeout=60)
        yield address, workers
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()
        log.close()


def test_workers_here_tell_the_same() -> None:
    """Two processes of this machine give the report that one replay gives, and say how far they are."""
    code, report, said = replayed(str(PCAPS), "--dask", "2")
    assert (code, report) == replayed(str(PCAPS))[:2]
    assert "9 of 9 captures, 1,506 frames read" in said


def test_a_worker_that_is_killed_loses_nothing(
    archive: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    """Half way one of two workers dies: the other reads what it had, and the report is that of one replay."""
    address, workers = cluster
    argv = [sys.executable, "-m", "agent.cli", "replay", "--format", "json", str(archive), "--dask", address]
    with subprocess.Popen(
        argv, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        assert f"of {MANY} captures" in first
        workers[0].kill()
        out, said = process.communicate(timeout=110)
    assert process.returncode == 0, said
    assert f"{MANY} of {MANY} captures" in said
    report = told(json.loads(out))
    assert len(report["coverage"]["captures"]) == MANY
    assert report == replayed(str(archive))[1]


def test_one_capture_does_not_cost_the_others(tmp_path: Path) -> None:
    """What is cut, missing or no capture is named, with exit code 4; everything else is read."""
    (tmp_path / "cut.pcap").write_bytes((PCAPS / "dahua.pcap").read_bytes()[:-7])
    (tmp_path / "odd.pcap").write_bytes(b"nothing that is a capture")
    names = [str(tmp_path / name) for name in ("cut.pcap", "odd.pcap", "gone.pcap")]
    code, report, _ = replayed(*names, str(PCAPS / "hikvision.pcap"), "--dask", "1")
    by_hand = replayed(*names, str(PCAPS / "hikvision.pcap"))
    assert (code, report["devices"]) == (4, by_hand[1]["devices"])
    assert {row["where"].partition("@")[0] for row in report["problems"]} == set(names)
    assert "Hikvision" in {row["manufacturer"] for row in report["devices"]}


def test_an_object_store_is_read(tmp_path: Path) -> None:
    """A prefix of an S3 bucket gives its captures, by a server on loopback; what is not there is named."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - slow

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        env = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "us-east-1",
            "HOME": str(tmp_path),
        }
        put = (
            "import sys, s3fs; store = s3fs.S3FileSystem(); store.mkdir('bucket');"
            "[store.put(path, 'bucket/hill/' + path.rpartition('/')[2]) for path in sys.argv[1:]]"
        )
        files = [str(PCAPS / name) for name in ("hikvision.pcap", "dahua.pcap", "README.md")]
        subprocess.run([sys.executable, "-c", put, *files], env={**os.environ, **env}, check=True, timeout=60)
        code, report, _ = replayed("s3://bucket/hill/", "s3://bucket/gone.pcap", "--dask", "1", **env)
    finally:
        server.stop()
    assert code == 4
    assert [row["name"] for row in report["coverage"]["captures"]] == [
        "s3://bucket/hill/dahua.pcap",
        "s3://bucket/hill/hikvision.pcap",
    ]
    assert [row["where"] for row in report["problems"]] == ["s3://bucket/gone.pcap"]
    by_hand = replayed(*files[:2])[1]["devices"]
    assert [row["id"] for row in report["devices"]] == [row["id"] for row in by_hand]
    assert [row["finding"] for row in report["devices"]] == [row["finding"] for row in by_hand]


def test_ctrl_c_tells_what_is_known(
    archive: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    """Interrupted half way, what was merged by then is reported as incomplete."""
    argv = [sys.executable, "-m", "agent.cli", "replay", "-f", "json", str(archive), "--dask", cluster[0]]
    with subprocess.Popen(
        argv, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=60)
    assert process.returncode == 4, said
    report = json.loads(out)
    assert report["coverage"]["interrupted"]
    assert 0 < len(report["coverage"]["captures"]) < MANY
    assert report["devices"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("x", "--dask", "many"), "'many' is no scheduler"),
        (("x", "--dask", "0"), "'0' is no scheduler"),
        (("x", "--dask", "tcp://127.0.0.1:1"), "no scheduler answers at tcp://127.0.0.1:1"),
        (("x", "--dask", "2", "--follow"), "does not go with --follow"),
        (("-", "--dask", "1"), "workers cannot read standard input"),
        (("s3://bucket/x.pcap",), "captures of a store are read with --dask"),
    ],
)
def test_what_cannot_be_is_said(
    words: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, exit code 2."""
    monkeypatch.setattr(fanout, "_CONNECT_SECONDS", 2)
    assert run(["replay", *words]) == 2
    assert why in capsys.readouterr().err


def test_without_the_packages(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has not installed them hears which they are."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert run(["replay", "x.pcap", "--dask", "2"]) == 2
    assert "pip install 'camcensus[dask]'" in capsys.readouterr().err


class _Done:
    """A task as `distributed` gives it, which returned something."""

    status = "finished"

    def __init__(self, returned: bytes) -> None:
        self._returned = returned

    def result(self) -> bytes:
        return self._returned


@pytest.mark.parametrize(
    "returned",
    [
        b"",
        b"rubbish",
        zlib.compress(b"{"),
        zlib.compress(b"[]"),
        zlib.compress(b'{"version": "0.0.1"}'),
        zlib.compress(json.dumps({"version": __version__, "problems": [], "captures": []}).encode()),
        zlib.compress(
            json.dumps(
                {"version": __version__, "problems": [], "captures": [], "state": {"hosts": 7}}
            ).encode()
        ),
    ],
)
def test_what_a_worker_returns_is_not_believed(returned: bytes) -> None:
    """Rubbish, or the state of another version, is a Problem of its capture; nothing of it is kept."""
    tally = prepare(None, None).tally()
    captures, problems = fanout._take_in(_Done(returned), "a.pcap", tally)
    assert captures == []
    assert [row.where for row in problems] == ["a.pcap"]


def test_a_task_says_what_one_capture_tells() -> None:
    """What a worker returns is the census of the capture as JSON, small enough to send."""
    returned = fanout.read_one("a name", str(PCAPS / "hikvision.pcap"))
    found = json.loads(zlib.decompress(returned))
    assert [row["name"] for row in found["captures"]] == ["a name"]
    assert found["problems"] == []
    assert len(returned) < 100_000
