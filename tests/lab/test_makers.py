"""Tests that hosts which answer their maker's discovery alone are found, on every link, and none is touched outside."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import Any, Final

import pytest

from agent.pace import PROFILES
from tests.netns import told_apart
from tests.places import SHARED, needs_shared
from tests.test_shared_replies import SAID

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make network namespaces"),
    pytest.mark.timeout(180),
    needs_shared,
]

# Reply, port asked, beginning of the question, where the answer goes (see tests.lab.makers).
ASKED: Final = (
    ("bosch-bin", 1757, "9939a427", "1758"),
    ("hanwha", 7701, "01", "7711"),
    ("panasonic", 10670, "0001", "*:10669"),
    ("sony", 2380, "02454e51", "*:"),
    ("vivotek", 10000, "014a5d8f1c", ""),
    ("foscam_cipher", 10000, "4d4f5f49", "*:10000"),
    ("ubiquiti", 10001, "01000000", ""),
    ("360vision", 3600, "444953", ""),
    ("vstarcam", 8600, "44480101", ""),
    ("nicevision", 2007, "4e494345", "*:2007"),
    ("gigevision", 3956, "4211", ""),
    ("eden", 8088, "444554454354", "*:8088"),
    ("lantronix", 30718, "000000f6", ""),
    ("gce", 30303, "446973", ""),
    ("eaton", 4679, "3c5343414e", ""),
    ("cyberpower", 53566, "110000", "53566"),
    ("advantech", 5048, "4d414441", ""),
    ("mssql", 1434, "02", ""),
    ("dahua1", 5050, "a3010001", ""),
)
# A camera as it comes from the factory, on a link of another subnet.
FACTORY: Final = (
    '<?xml version="1.0" encoding="utf-8"?><ProbeMatch><Uuid>0</Uuid><Types>inquiry</Types>'
    "<DeviceDescription>DS-2CD2032-I</DeviceDescription><DeviceSN>DS-2CD2032-I20140101CCWR000000001</DeviceSN>"
    "<MAC>28-57-be-00-00-64</MAC><IPv4Address>192.168.1.64</IPv4Address><Activated>false</Activated></ProbeMatch>"
)
_SCRIPT: Final = """
import json, socket, struct, subprocess, sys
rows, folder = json.loads(sys.argv[1]), sys.argv[2]
spaces = [subprocess.Popen(["unshare", "--net", "sleep", "170"]) for _ in range(2)]
def here(line): subprocess.run(line.split(), check=True)
def there(space, line): return ["nsenter", "-t", str(space.pid), "-n", *line.split()]
def inside(space, line): subprocess.run(there(space, line), check=True)
running = []
try:
    here("ip link set lo up")
    for number, space in enumerate(spaces, 1):
        # The namespace is there once the process has left ours.
        while subprocess.run(["readlink", f"/proc/{space.pid}/ns/net"], capture_output=True).stdout == \\
                subprocess.run(["readlink", "/proc/self/ns/net"], capture_output=True).stdout: pass
        here(f"ip link add near{number} type veth peer name far{number} netns {space.pid}")
        here(f"ip link set near{number} up")
        here(f"ip addr add 10.1{number}.0.1/24 dev near{number}")
        inside(space, f"ip link set far{number} up")
        inside(space, "sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2")
    # What containers make is left out, and nobody there is asked.
    here("ip link add docker0 type bridge"); here("ip addr add 172.17.0.1/16 dev docker0"); here("ip link set docker0 up")
    for at, row in enumerate(rows):
        space, link = spaces[row["link"] - 1], f"far{row['link']}"
        inside(space, f"ip link add link {link} name {row['interface']} address {row['mac']} type macvlan mode bridge")
        inside(space, f"ip addr add {row['ip']}/24 dev {row['interface']}")
        inside(space, f"ip link set {row['interface']} up")
    for number, space in enumerate(spaces, 1):
        mine = [row for row in rows if row["link"] == number]
        argv = [*there(space, sys.executable), "-m", "tests.lab.makers", folder, json.dumps(mine)]
        running.append(subprocess.Popen(argv, stdout=subprocess.PIPE))
        assert running[-1].stdout.readline() == b"ready\\n"
    wires = []
    for number in (1, 2):
        wires.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))
        wires[-1].setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
        wires[-1].bind((f"near{number}", 3))
        wires[-1].setblocking(False)
    scan = [sys.executable, "-m", "agent.cli", "scan", "--format", "json", "--quiet", "--ports", "80"]
    done = subprocess.run(scan, capture_output=True, text=True, timeout=120)
    # PACKET_STATISTICS: what the listeners on the wires could not keep would be missed below.
    lost = [struct.unpack("II", wire.getsockopt(263, 6, 8))[1] for wire in wires]
    assert lost == [0, 0], lost
    sent, asked, probes = set(), {"near1": set(), "near2": set()}, {"near1": [], "near2": []}
    for wire in wires:
        while True:
            try:
                frame, (name, _, kind, *_) = wire.recvfrom(2048)
            except BlockingIOError:
                break
            if kind != socket.PACKET_OUTGOING:
                continue
            if frame[12:14] == b"\\x08\\x00":
                sent.add(socket.inet_ntoa(frame[30:34]))
                if frame[23] == 17:
                    asked[name].add(int.from_bytes(frame[36:38], "big"))
                    if frame[30:34] == bytes([239, 255, 255, 250]) and frame[36:38] == b"\\x0e\\x76":
                        probes[name].append(frame[42:].decode())
            elif frame[12:14] == b"\\x08\\x06":
                sent.add(socket.inet_ntoa(frame[38:42]))
    print(json.dumps({"code": done.returncode, "err": done.stderr, "report": json.loads(done.stdout or "null"),
                      "sent": sorted(sent), "probes": probes, "asked": {name: sorted(ports) for name, ports in asked.items()}}))
finally:
    for process in (*running, *spaces):
        process.kill()
        process.wait()
"""


def rows() -> list[dict[str, Any]]:
    """A host for each reply, in turn on either link, with the camera from the factory on the first."""
    found: list[dict[str, Any]] = []
    for at, (name, port, question, answer) in enumerate(ASKED):
        link = 1 + at % 2
        ip = f"10.1{link}.0.{10 + at}"
        found.append(
            {"name": name, "ip": ip, "link": link, "port": port, "question": question, "answer": answer}
        )
    factory = {"name": "factory", "ip": "192.168.1.64", "link": 1, "port": 37020, "question": b"<?xml".hex()}
    found.append(factory | {"answer": "37020", "group": "239.255.255.250", "reply": FACTORY.encode().hex()})
    return [
        row | {"interface": f"host{at}", "mac": f"02:00:5e:00:01:{at:02x}"} for at, row in enumerate(found)
    ]


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What one scan without any target told, and what it sent."""
    found: dict[str, Any] = json.loads(told_apart(_SCRIPT, json.dumps(rows()), str(SHARED / "replies")))
    return found


@pytest.mark.parametrize("name", [name for name, *_ in ASKED])
def test_a_host_that_answers_its_maker_s_discovery_alone_is_named(told: dict[str, Any], name: str) -> None:
    """Asked on its link, heard at the port that its maker chose, named by what it says."""
    (ip,) = (row["ip"] for row in rows() if row["name"] == name)
    (device,) = (row for row in told["report"]["devices"] if ip in row["addresses"])
    _, maker, device_class = SAID[name]
    assert (device["manufacturer"], device["device_class"]) == (maker, device_class)


def test_each_link_is_asked(told: dict[str, Any]) -> None:
    """Both links hear every question to a group; the report says that both were asked."""
    ports = {port for _, port, *_ in ASKED} | {37020, 37810, 3702, 1900, 5353}
    assert {name: ports - set(asked) for name, asked in told["asked"].items()} == {
        "near1": set(),
        "near2": set(),
    }
    asking = told["report"]["coverage"]["asking"]
    assert asking["interfaces"] == ["near1", "near2"]
    assert set(asking["group_questions_by_interface"]) == {"near1", "near2"}


def test_ws_discovery_is_repeated_in_every_variant(told: dict[str, Any]) -> None:
    """Four variants leave by each link, repeated as they were as often as the profile says, on one line."""
    for sent in told["probes"].values():
        counts = Counter(sent)
        assert len(counts) == 4
        assert set(counts.values()) == {PROFILES["standard"].rounds}
        assert not any("\n" in text for text in sent)


def test_answers_that_come_again_are_one(told: dict[str, Any]) -> None:
    """Every host answered each question three times, once late: it is one device, and each rule counts once."""
    seen = [address for device in told["report"]["devices"] for address in device["addresses"]]
    assert sorted(seen) == sorted({row["ip"] for row in rows()} | {"10.11.0.1", "10.12.0.1"} & set(seen))
    for device in told["report"]["devices"]:
        said = [(row["rule"], row["text"]) for row in device["evidence"]]
        assert len(said) == len(set(said))


def test_what_containers_made_is_left_out(told: dict[str, Any]) -> None:
    """A container's bridge is neither asked nor forgotten."""
    left = {row["name"]: row["why"] for row in told["report"]["coverage"]["interfaces_left_out"]}
    assert "containers" in left["docker0"]
    assert not any(ip.startswith("172.17.") for ip in told["sent"])


def test_a_factory_address_is_seen_and_never_touched(told: dict[str, Any]) -> None:
    """A camera that answers from another subnet is named, listed as out of scope, and nothing goes to it."""
    (device,) = (row for row in told["report"]["devices"] if "192.168.1.64" in row["addresses"])
    assert (device["manufacturer"], device["model"]) == ("Hikvision", "DS-2CD2032-I")
    listed = {row["address"]: row for row in told["report"]["coverage"]["out_of_scope"]}
    assert listed["192.168.1.64"]["factory_address_of"] == "Hikvision"
    assert listed["192.168.1.64"]["how"] == "answered from it"
    assert "192.168.1.64" not in told["sent"]


def test_a_claimed_address_is_listed_and_never_touched(told: dict[str, Any]) -> None:
    """An address outside the scope that a host states for itself is listed, and nothing goes there."""
    listed = {row["address"]: row["how"] for row in told["report"]["coverage"]["out_of_scope"]}
    assert listed["240.0.7.0"] == "states it in discovery.bosch.ipv4-address"
    assert not any(ip.startswith("240.") for ip in told["sent"])
    # What a host states of its own stands beside what the packets had.
    (bosch,) = (row["ip"] for row in rows() if row["name"] == "bosch-bin")
    (device,) = (row for row in told["report"]["devices"] if bosch in row["addresses"])
    assert [row["against"] for row in device["conflicts"] if row["claim"] == "address"] == ["240.0.7.0"]
