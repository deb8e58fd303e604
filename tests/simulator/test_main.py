"""Tests that one device can be served from the command line."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from simulator.device import load_all
from tests import asking

COMMAND = (sys.executable, "-m", "simulator")


def test_it_lists_the_devices() -> None:
    """Without a device it lists every one."""
    listed = subprocess.run(COMMAND, capture_output=True, text=True, check=True).stdout
    assert listed.split() == [device.id for device in load_all()]


def test_it_serves_until_interrupted() -> None:
    """It answers at the address until SIGINT, then ends with 0."""
    argv = (*COMMAND, "web-server", "--address", "127.76.0.1", "--port", "80=18088")
    with subprocess.Popen(argv) as serving:
        try:
            assert b"Welcome to nginx!" in _patiently("127.76.0.1", 18088)
        finally:
            serving.send_signal(signal.SIGINT)
        assert serving.wait(10) == 0


def _patiently(address: str, port: int) -> bytes:
    for _ in range(100):
        try:
            return asking.over_tcp(address, port, asking.http("/"))
        except ConnectionRefusedError:
            time.sleep(0.1)
    pytest.fail("nothing ever answered")


@pytest.mark.parametrize("wrong", [["nobody"], ["web-server", "--port", "x"]])
def test_a_wrong_call_is_refused(wrong: list[str]) -> None:
    """An unknown device or a wrong port is a usage error, without a traceback."""
    refused = subprocess.run((*COMMAND, *wrong), capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
