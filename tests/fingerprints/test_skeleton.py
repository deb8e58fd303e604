"""A device that nobody knows becomes the beginning of a rule file that loads."""

from __future__ import annotations

from pathlib import Path

from fingerprints.lint import check
from fingerprints.model import Device, Fact, Finding, Observation, Speaker, Verdict
from fingerprints.rules import load_knowledge
from fingerprints.skeleton import skeleton
from tests.small_knowledge import ACME, small_folder

FACTS = [
    Fact("http.server", "NewCam-Httpd/2"),
    Fact("rtsp.www-authenticate", 'Digest realm="NEWCAM 001122334455", nonce="77"'),
    Fact("tcp.port", "80"),
]


def test_the_skeleton_loads_and_passes_its_examples(tmp_path: Path) -> None:
    """Only telling facts become rules; the file is valid as it comes, with the owner's data masked."""
    observations = tuple(Observation(fact, Speaker()) for fact in FACTS)
    device = Device("x", Verdict(), Finding("unidentified"), observations=observations)
    folder = small_folder(tmp_path, acme=ACME)
    text = "\n".join(skeleton(device, load_knowledge(folder), "Newcam"))
    assert "001122334455" not in text
    small_folder(tmp_path, acme=ACME, newcam=text)
    knowledge = load_knowledge(folder)
    assert check(knowledge) == []
    assert [rule.id for rule in knowledge.rules if rule.owner == "Newcam"] == [
        "newcam.http-server",
        "newcam.rtsp-www-authenticate",
    ]


def test_what_a_rule_knows_already_is_left_out(tmp_path: Path) -> None:
    """A fact that gave evidence needs no second rule."""
    knowledge = load_knowledge(small_folder(tmp_path, acme=ACME))
    device = Device(
        "x", Verdict(), Finding("unidentified"), observations=(Observation(Fact("tcp.port", "1"), Speaker()),)
    )
    assert "[[rule]]" not in "\n".join(skeleton(device, knowledge, "Acme"))
