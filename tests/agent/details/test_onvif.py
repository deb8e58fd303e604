"""Tests of ONVIF with a login against a camera that nobody here wrote."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.netns import run_apart

_SCRIPT = """
import asyncio, json, subprocess, sys, tempfile, time, socket
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
from ipaddress import ip_network
from pathlib import Path
from ipycam import CameraConfig, IPCamera
from agent.credentials import Attempts, Credentials, Login, Secret
from agent.details import Details, Place, Subject, read_details
from agent.pace import PROFILES, Pace
from agent.probes import probe_named

config = Path(tempfile.mkdtemp()) / "camera.json"
config.write_text(json.dumps({"local_ip": "127.0.0.1", "onvif_port": 8080, "username": "viewer", "password": "right"}))
camera = IPCamera(CameraConfig.load(str(config)))
assert camera.start()
found = {}
for password in ("right", "wrong"):
    messages, problems, details = [], [], Details()
    login = Login("cameras", (ip_network("127.0.0.1"),), "viewer", Secret(password))
    subject = Subject("127.0.0.1", None, True, (Place("127.0.0.1", 8080),))
    known, pace = Credentials((login,)), Pace(PROFILES["gentle"])
    asyncio.run(
        read_details([subject], known, Attempts(), messages.append, problems.append, details, pace=pace)
    )
    probe = probe_named("onvif")
    facts = [[fact.field, fact.text] for message in messages for fact in probe.dissect(message.payload, b"")]
    found[password] = {"facts": facts, "details": details.to_json(), "problems": [row.what for row in problems]}
sys.stdout.write("FOUND " + json.dumps(found) + chr(10))
sys.stdout.flush()
import os
os._exit(0)
"""


@pytest.fixture(scope="module")
def found() -> Any:
    """What reading ipycam gave with the right and the wrong password, in a network namespace of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to make a network namespace")
    done = run_apart(_SCRIPT)
    line = next((line for line in done.stdout.splitlines() if line.startswith("FOUND ")), None)
    assert line is not None, done.stderr[-2000:]
    return json.loads(line.removeprefix("FOUND "))


def test_a_real_camera_lets_the_login_in(found: Any) -> None:
    """The right login reads what the camera is; it is no recorder, so it has no list of channels."""
    right = found["right"]
    assert right["problems"] == []
    assert right["details"]["read"] == 1
    assert ["onvif.manufacturer", "PythonCam"] in right["facts"]
    assert ["onvif.serial", "PY-000001"] in right["facts"]


def test_a_real_camera_refuses_a_wrong_one(found: Any) -> None:
    """A wrong password is a refusal, said as such, and nothing is learned."""
    wrong = found["wrong"]
    assert wrong["details"]["refused"] == 1
    assert wrong["facts"] == []
    assert wrong["problems"] == ["details: the device refused 'cameras' by ONVIF"]
