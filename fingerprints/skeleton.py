"""Turns a device that no rule knows into the beginning of rules with examples.

What comes out is TOML for a person to finish: the maker's name, what each rule claims and
where the truth is known from are left as questions. Personal data in examples is masked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from fingerprints.masking import mask
from fingerprints.model import Device
from fingerprints.rules import Knowledge

__all__ = ["TELLING", "skeleton"]

TELLING: Final = (
    "onvif.manufacturer",
    "onvif.model",
    "onvif.scope",
    "http.server",
    "http.www-authenticate",
    "http.title",
    "http.favicon.mmh3",
    "rtsp.server",
    "rtsp.www-authenticate",
    "rtsp.sdp",
    "upnp.manufacturer",
    "upnp.model",
    "ssdp.server",
    "mdns.service",
    "mdns.instance",
    "mdns.txt",
    "tls.subject",
    "tls.issuer",
    "dhcp.vendor-class",
    "dhcp.hostname",
    "snmp.sysdescr",
    "snmp.sysobjectid",
    "lldp.manufacturer",
    "lldp.model",
    "telnet.banner",
    "ftp.banner",
    "sip.user-agent",
    "dns.query",
    "tls.sni",
)
"""Fields whose texts tell makers apart often enough to be worth a rule."""

_LONGEST: Final = 400
_MOST: Final = 24


def skeleton(device: Device, knowledge: Knowledge, maker: str = "MAKER") -> Iterator[str]:
    """Lines of a rule file for `device`, one rule for each telling fact that no rule knows yet."""
    stem = re.sub(r"[^a-z0-9]+", "-", maker.casefold()).strip("-") or "maker"
    if knowledge.maker_named(maker) is None:
        yield "[manufacturer]"
        yield f"name = {json.dumps(maker)}"
        yield 'jurisdiction = ""        # ISO 3166 code of the headquarters, with its source below'
        yield 'source = "WHERE THIS IS READ"'
        yield ""
    known = {(item.field, item.text) for item in device.verdict.evidence}
    written: dict[str, int] = {}
    for row in device.observations:
        fact = row.fact
        if fact.field not in TELLING or not fact.text.strip() or (fact.field, fact.text) in known:
            continue
        if sum(written.values()) >= _MOST:
            break
        text = mask(fact.text[:_LONGEST])
        number = written[fact.field] = written.get(fact.field, 0) + 1
        name = fact.field.replace(".", "-")
        yield "[[rule]]"
        yield f'id = "{stem}.{name}{f"-{number}" if number > 1 else ""}"'
        yield f'field = "{fact.field}"'
        yield f"contains = {json.dumps(_kernel(text))}"
        yield 'class = "weak"           # proof | strong | medium | weak: how rarely others say this'
        yield f"claims = {{ manufacturer = {json.dumps(maker)} }}"
        yield 'status = "experimental"  # tested once a second device has said it'
        yield 'source = "WHERE THE TRUTH ABOUT THIS DEVICE IS KNOWN FROM"'
        yield f"examples = [{json.dumps(text)}]"
        yield "not = []                 # texts of other makers that this must not match"
        yield ""


def _kernel(text: str) -> str:
    """The longest run of `text` that holds no masked or changing part, as a first idea."""
    runs = re.split(r"192\.0\.2\.1|fe80::1|0{6,}|[\r\n\"]", text)
    return max((run.strip(" =;,/") for run in runs), key=len, default=text) or text
