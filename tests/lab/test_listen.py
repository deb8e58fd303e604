"""Tests of ``camcensus listen`` on real links between network namespaces."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.capture.live import LiveByScapy, LiveError
from agent.cli.app import run
from agent.cli.wiring import prepare
from agent.probes import ALL
from bench.camera_network import write
from tests.lab import namespaces
from tests.lab.network import missing_tools
from tests.places import REPO

pytestmark = [pytest.mark.lab]

CAPTURES = sorted((REPO / "pcaps").glob("*.pcap"))
MTU = 9_000
PATIENCE = 30.0
QUIET = "link set eth0 addrgenmode none up"
"""Up, but without an IPv6 address: the kernel says nothing on it by itself."""


class Link:
    """A cable between two namespaces: what is sent on one end is heard on the other."""

    def __init__(self) -> None:
        self.sender = f"{namespaces.prefix()}talk"
        self.listener = f"{namespaces.prefix()}hear"

    def lay(self) -> None:
        """Connect both, as `eth0` each."""
        namespaces.ip(
            [
                f"link add eth0 mtu {MTU} type veth peer name eth0 mtu {MTU} netns {self.listener}",
                QUIET,
            ],
            self.sender,
        )
        namespaces.ip([QUIET], self.listener)

    def send(self, capture: Path, rate: str = "500") -> None:
        """Put every frame of a capture on the cable, so many a second."""
        argv = ["ip", "netns", "exec", self.sender, "tcpreplay", "-q", "-i", "eth0", "--pps", rate]
        subprocess.run([*argv, str(capture)], check=True, capture_output=True, timeout=60)

    @contextlib.contextmanager
    def listening(self, *options: str, before: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
        """``camcensus listen`` on the other end, once it has begun."""
        argv = ["ip", "netns", "exec", self.listener, *before, sys.executable, "-m", "agent.cli"]
        argv += ["listen", "eth0", "--format", "json", "-v", *options]
        with subprocess.Popen(
            argv, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stderr is not None
                assert "listening on eth0" in process.stderr.readline()
                yield process
            finally:
                process.kill()


@pytest.fixture
def link() -> Iterator[Link]:
    """Two namespaces with a cable, and no way out of them."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    if shutil.which("tcpreplay") is None:
        pytest.skip("missing tool: tcpreplay")
    namespaces.remove_stale()
    cable = Link()
    try:
        namespaces.ip([f"netns add {cable.sender}", f"netns add {cable.listener}"])
        cable.lay()
        yield cable
    finally:
        namespaces.remove(cable.sender)
        namespaces.remove(cable.listener)


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The report of a listener that is told to end; it must end well."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode in {0, 4}, err
    assert "Traceback" not in err
    found: dict[str, Any] = json.loads(out)
    return found


def verdicts(report: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    """What a report says of each device."""
    keys = (
        "manufacturer",
        "brand",
        "model",
        "device_class",
        "finding",
        "level",
        "vlans",
        "addresses",
        "ports",
    )
    return {row["id"]: tuple(row[key] for key in keys) for row in report["devices"]}


def replayed(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What replay says of a capture."""
    capsys.readouterr()
    assert run(["replay", str(path), "--format", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def until(happened: Callable[[], bool]) -> None:
    """Wait for something to happen; it must, in the end."""
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_live_is_recorded(
    link: Link, capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Frames on a cable give the verdicts that replay gives, and so does the evidence that was kept of them."""
    evidence = tmp_path / "evidence.pcapng"
    with link.listening("--write", str(evidence)) as process:
        link.send(capture)
        time.sleep(0.5)
        live = ended(process)
    expected = verdicts(replayed(capture, capsys))
    assert verdicts(live) == expected
    assert verdicts(replayed(evidence, capsys)) == expected
    assert live["coverage"]["captures"][0]["frames_dropped"] == 0


def test_video_is_no_evidence(link: Link, tmp_path: Path) -> None:
    """Among video every planted device is found, and what is kept of it is a small part."""
    capture, evidence = tmp_path / "network.pcap", tmp_path / "evidence.pcapng"
    planted = write(capture, 8_000_000)
    with link.listening("--write", str(evidence)) as process:
        link.send(capture, "20000")
        time.sleep(0.5)
        live = ended(process)
    found = {row["mac"]: row for row in live["devices"]}
    wrong = [
        truth
        for truth in planted
        if truth.manufacturer and found[truth.mac]["manufacturer"] != truth.manufacturer
    ]
    assert wrong == []
    assert {tuple(found[truth.mac]["vlans"]) for truth in planted if truth.vlan} == {(30,)}
    assert evidence.stat().st_size < capture.stat().st_size / 4
    capinfos = shutil.which("capinfos")
    if capinfos is not None:
        told = subprocess.run(
            [capinfos, "-c", "-M", str(evidence)], capture_output=True, text=True, check=True
        )
        assert str(live["coverage"]["evidence_frames"]) in told.stdout


def test_an_interface_that_comes_back_is_heard_again(link: Link) -> None:
    """An interface is taken away and made anew: both times what it carries is heard, the loss is told."""
    with link.listening() as process:
        link.send(REPO / "pcaps" / "hikvision.pcap")
        time.sleep(0.5)
        namespaces.ip(["link del eth0"], link.sender)
        time.sleep(1.5)
        link.lay()
        time.sleep(2.5)
        link.send(REPO / "pcaps" / "dahua.pcap")
        time.sleep(0.5)
        live = ended(process)
    assert {"Hikvision", "Dahua"} <= {row["manufacturer"] for row in live["devices"]}
    assert live["coverage"]["captures"][0]["times_lost"] == 1
    assert live["coverage"]["incomplete"] is True
    assert [problem["where"] for problem in live["problems"]] == ["eth0", "eth0"]


def test_signals(link: Link, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SIGUSR1 writes a snapshot, SIGHUP goes on in a new file, and the time limit ends it."""
    output, evidence, moved = tmp_path / "report.json", tmp_path / "e.pcapng", tmp_path / "e.1.pcapng"
    with link.listening("--output", str(output), "--write", str(evidence), "--for", "2m") as process:
        link.send(REPO / "pcaps" / "hikvision.pcap")
        time.sleep(0.5)
        process.send_signal(signal.SIGUSR1)
        until(output.exists)
        snapshot = json.loads(output.read_text())
        assert snapshot["coverage"]["ended"] == "snapshot"
        assert "Hikvision" in {row["manufacturer"] for row in snapshot["devices"]}
        evidence.rename(moved)
        process.send_signal(signal.SIGHUP)
        until(evidence.exists)
        link.send(REPO / "pcaps" / "dahua.pcap")
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert json.loads(output.read_text())["coverage"]["ended"] == "interrupted"
    assert "Dahua" not in {row["manufacturer"] for row in replayed(moved, capsys)["devices"]}
    assert "Dahua" in {row["manufacturer"] for row in replayed(evidence, capsys)["devices"]}


def test_snapshots_come_by_themselves(link: Link, tmp_path: Path) -> None:
    """With --snapshot-every the report is on disk while listening goes on, and --for ends it."""
    output = tmp_path / "report.json"
    with link.listening("--output", str(output), "--snapshot-every", "1s", "--for", "4s") as process:
        until(output.exists)
        assert process.poll() is None
        assert process.wait(60) == 0
    assert json.loads(output.read_text())["coverage"]["ended"] == "time limit"


def test_by_way_of_scapy(link: Link) -> None:
    """Where there are no packet sockets scapy listens: what hosts say by themselves comes out the same."""
    tally = prepare(None, None).tally()
    with namespaces.inside(link.listener):
        with pytest.raises(LiveError, match="nothing0"):
            LiveByScapy("nothing0", ALL, tally.note)
        live = LiveByScapy("eth0", ALL, tally.note)
    try:
        link.send(REPO / "pcaps" / "announcements.pcap")
        time.sleep(1)
        while news := list(live.take()):
            for _, messages in news:
                for message in messages:
                    tally.feed(message)
    finally:
        for message in live.close():
            tally.feed(message)
    assert live.to_json()["frames_dropped"] == 0
    makers = {device.verdict.manufacturer for device in tally.report().devices}
    assert {"Axis", "TP-Link"} <= makers


def test_without_the_right_to_listen(link: Link) -> None:
    """Who may not capture is told how to be allowed, with exit 1."""
    if missing_tools():
        pytest.skip(f"missing tool: {', '.join(missing_tools())}")
    argv = ["ip", "netns", "exec", link.listener, "setpriv", "--inh-caps=-all", "--bounding-set=-all"]
    argv += ["--no-new-privs", sys.executable, "-m", "agent.cli", "listen", "eth0"]
    done = subprocess.run(argv, cwd=REPO, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "sudo" in done.stderr
    assert "setcap" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_link_that_goes_down_and_up(link: Link) -> None:
    """The same interface without a link for a while: what comes afterwards is heard."""
    with link.listening() as process:
        namespaces.ip(["link set eth0 down"], link.listener)
        time.sleep(2.5)
        namespaces.ip(["link set eth0 up"], link.listener)
        time.sleep(2.5)
        link.send(REPO / "pcaps" / "dahua.pcap")
        time.sleep(0.5)
        live = ended(process)
    assert "Dahua" in {row["manufacturer"] for row in live["devices"]}
    assert live["coverage"]["captures"][0]["times_lost"] == 1


def test_a_full_disk_ends_no_listening(link: Link) -> None:
    """Evidence that cannot be written any more is told; the devices are found all the same."""
    with link.listening("--write", "/dev/full") as process:
        link.send(REPO / "pcaps" / "hikvision.pcap")
        time.sleep(0.5)
        process.send_signal(signal.SIGUSR1)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 4, err
    # The snapshot stands before it.
    _, end = json.JSONDecoder().raw_decode(out)
    report = json.loads(out[end:])
    assert "Hikvision" in {row["manufacturer"] for row in report["devices"]}
    assert [problem["kind"] for problem in report["problems"]] == ["output"]
