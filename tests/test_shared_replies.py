"""Recorded discovery replies: each is known for its protocol, and names the maker that it can name."""

from __future__ import annotations

from typing import Final

import pytest

from agent.observations import read_sample
from agent.probes import ALL
from fingerprints.judge import Judge
from fingerprints.matcher import Matchers
from fingerprints.rules import load_knowledge
from tests.places import SHARED, needs_shared
from tests.probe_cases import facts_of

# File: protocol, maker, class. A reply whose recorder left no trace of a maker names none.
SAID: Final[dict[str, tuple[str, str | None, str]]] = {
    "360vision": ("360vision", "360 Vision Technology", "camera"),
    "advantech": ("advantech", "Advantech", "not-surveillance"),
    "arecont": ("mdns", "Arecont Vision", "camera"),
    "axis": ("mdns", "Axis", "camera"),
    "bosch-bin": ("bosch", "Bosch", "camera"),
    "bosch-xml": ("bosch", "Bosch", "camera"),
    "cyberpower": ("cyberpower", "CyberPower", "not-surveillance"),
    "dahua1": ("dahua-legacy", "Dahua", "unknown"),
    "dahua2": ("dhip", "Dahua", "unknown"),
    "eaton": ("eaton", "Eaton", "not-surveillance"),
    "eden": ("eden", "Eden Innovations", "access-control"),
    "foscam": ("foscam", "Foscam", "camera"),
    "foscam_cipher": ("foscam", "Foscam", "camera"),
    "gce": ("microchip", "GCE Electronics", "not-surveillance"),
    "gigevision": ("gigevision", None, "camera"),
    "googlecast": ("mdns", "Google Nest", "not-surveillance"),
    "hanwha": ("hanwha", "Hanwha", "camera"),
    "hikvision": ("sadp", "Hikvision", "unknown"),
    "lantronix": ("lantronix", "Lantronix", "not-surveillance"),
    "microchip": ("microchip", None, "not-surveillance"),
    "mssql": ("mssql", None, "not-surveillance"),
    "nicevision": ("nicevision", "NICE Systems", "unknown"),
    "panasonic": ("panasonic", "Panasonic", "camera"),
    "sony": ("sony", "Sony", "camera"),
    "ssdp": ("ssdp", None, "unknown"),
    "ubiquiti": ("ubiquiti", "Ubiquiti", "unknown"),
    "vauban": ("lantronix", "Vauban Systems", "access-control"),
    "vivotek": ("vivotek", "Vivotek", "camera"),
    "vstarcam": ("vstarcam", "VStarcam", "camera"),
    "wsdiscovery": ("ws-discovery", None, "unknown"),
}
FILES: Final = sorted(path.stem for path in (SHARED / "replies").glob("*.bin")) or sorted(SAID)
KNOWLEDGE: Final = load_knowledge()
JUDGE: Final = Judge(Matchers(KNOWLEDGE))


@needs_shared
@pytest.mark.parametrize("name", FILES)
def test_a_reply_is_known_and_names_its_maker(name: str) -> None:
    """Of all protocols its own reads it first; under the file's name, too, it gives the maker and class."""
    protocol, maker, device_class = SAID[name]
    payload = (SHARED / "replies" / f"{name}.bin").read_bytes()
    takers = [probe for probe in ALL if probe.transport == "udp" and probe.mine(payload)]
    assert next(probe.name for probe in takers if facts_of(probe, payload)[0]) == protocol
    for word in (protocol, name):
        line = f'{{"observations": [{{"protocol": "{word}", "payload_hex": "{payload.hex()}"}}]}}'
        sample = read_sample(line, "line", KNOWLEDGE, ALL)
        assert sample.facts
        assert {problem.kind for problem in sample.problems} <= {"malformed"}
        verdict = JUDGE.judge(sample.facts)
        assert (verdict.manufacturer, verdict.device_class) == (maker, device_class)
