"""Tests that simulated devices are read strictly, with a source for everything they say."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from simulator.device import DEVICES, Device, DeviceError, Place, load, load_all

ALL = load_all()


def _parts(value: Any) -> list[Any]:
    found = []
    for item in value if isinstance(value, tuple) else [value]:
        if dataclasses.is_dataclass(item):
            found.append(item)
            for field in dataclasses.fields(item):
                found += _parts(getattr(item, field.name))
    return found


@pytest.mark.parametrize("device", ALL, ids=lambda device: device.id)
def test_every_answer_names_its_source(device: Device) -> None:
    """No device says anything for which its file names no record."""
    services = [
        part for part in _parts(device) if "source" in {field.name for field in dataclasses.fields(part)}
    ]
    assert services
    assert all(part.source for part in services)


def test_the_site_is_worth_a_demonstration() -> None:
    """The demo shows at least thirty devices of ten makers, flagged and not, with neighbours that are none."""
    demo = [device for device in ALL if device.demo]
    assert len(demo) >= 30
    assert len({device.manufacturer for device in demo}) > 10
    assert {device.manufacturer for device in demo if device.flagged} == {"Hikvision", "Dahua"}
    assert sum(device.device_class == "not-surveillance" for device in demo) >= 5


def test_only_their_makers_are_flagged() -> None:
    """The truth flags a device exactly when Hikvision or Dahua made it."""
    for device in ALL:
        assert device.flagged == (device.manufacturer in {"Hikvision", "Dahua"}), device.id


def test_macs_are_unique() -> None:
    """No two devices share a MAC."""
    assert len({device.mac for device in ALL}) == len(ALL)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mac = 1", "device_class"),
        ('brand = "x"\ndevice_class = "camera"\nmac = "1"', "mac must look like"),
        ('brand = "x"\ncolour = "red"', "colour is not known here"),
        ('[sadp]\nsource = "x"\nfield = {}', "sadp: field is not known here"),
        ('rtsp = "x"', "rtsp: a table was expected"),
        ("brand =", "Invalid"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """A file with an error is refused with the file's name and what is wrong."""
    (tmp_path / "odd.toml").write_text(text)
    with pytest.raises(DeviceError, match=says) as refused:
        load("odd", tmp_path)
    assert "odd.toml" in str(refused.value)


def test_no_such_device() -> None:
    """A device without a file is refused by name."""
    with pytest.raises(DeviceError, match="there is no such device"):
        load("nobody", DEVICES)


def test_tokens_follow_the_place() -> None:
    """Tokens become what is true of the place, and text that only looks like one stays."""
    place = Place("127.77.0.9", "28:57:be:00:00:0a", "fe80::9", ports={80: 8080})
    told = place.fill("{ip} {ip6} {mac} {mac-} {mac0} {MAC} {MAC-} {MAC0} {port:80} {port:443} {x} {Mac}")
    assert told.split() == [
        "127.77.0.9",
        "fe80::9",
        "28:57:be:00:00:0a",
        "28-57-be-00-00-0a",
        "2857be00000a",
        "28:57:BE:00:00:0A",
        "28-57-BE-00-00-0A",
        "2857BE00000A",
        "8080",
        "443",
        "{x}",
        "{Mac}",
    ]
