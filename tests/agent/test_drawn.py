"""What devices draw anew each time makes no new fact of theirs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.drawn import standing
from agent.probes import ALL
from agent.wire import Malformed, Probe
from fingerprints.model import Fact

NONCES = st.from_regex(r"[0-9a-f]{32}", fullmatch=True)
UUIDS = st.uuids().map(lambda value: str(value).upper())
REFUSED = 'Digest realm="c056e36e001a", nonce="%s", stale="FALSE"'
FORMS = {
    "http": (NONCES, "HTTP/1.1 401 Unauthorized\r\nServer: x\r\nWWW-Authenticate: " + REFUSED + "\r\n\r\n"),
    "rtsp": (NONCES, "RTSP/1.0 401 Unauthorized\r\nCSeq: 2\r\nWWW-Authenticate: " + REFUSED + "\r\n\r\n"),
    "onvif": (
        NONCES,
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/soap+xml\r\nWWW-Authenticate: "
        + REFUSED
        + '\r\n\r\n<Envelope xmlns:t="http://www.onvif.org/ver10/error"><Body><Fault>x</Fault></Body></Envelope>',
    ),
    "sadp": (
        UUIDS,
        "<ProbeMatch><Uuid>%s</Uuid><DeviceSN>DS-1</DeviceSN><DSPVersion>V1</DSPVersion></ProbeMatch>",
    ),
    "ws-discovery": (
        UUIDS,
        (
            "<Envelope><Header><MessageID>urn:uuid:%s</MessageID><Action>http://schemas.xmlsoap.org/ws/2005/04"
            "/discovery/Hello</Action></Header><Body><Hello><XAddrs>http://192.0.2.7/</XAddrs></Hello></Body></Envelope>"
        ),
    ),
}


def facts(probe: Probe, payload: bytes) -> list[tuple[str, str, str]]:
    """What a probe reads, with what stands for each text."""
    try:
        return [(fact.field, standing(fact), fact.about) for fact in probe.dissect(payload, b"")]
    except Malformed:
        return []


@given(st.data())
def test_what_is_fresh_is_in_no_fact(data: st.DataObject) -> None:
    """Two messages that differ only there are the same protocol's, and say the same."""
    for name, (drawn, form) in FORMS.items():
        probe = next(probe for probe in ALL if probe.name == name)
        one, other = ((form % data.draw(drawn)).encode() for _ in range(2))
        assert probe.fresh is not None
        assert probe.fresh.sub(b"", one) == probe.fresh.sub(b"", other) != one
        assert [each.name for each in ALL if each.mine(one)] == [
            each.name for each in ALL if each.mine(other)
        ]
        assert facts(probe, one) == facts(probe, other) != []


@given(NONCES, NONCES)
def test_one_text_stands_for_all(one: str, other: str) -> None:
    """It is as long as they are, and another realm, or another length, is another text."""
    text = standing(Fact("http.www-authenticate", REFUSED % one))
    assert text == standing(Fact("http.www-authenticate", REFUSED % other))
    assert len(text) == len(REFUSED % one)
    assert text != standing(Fact("http.www-authenticate", REFUSED % one[1:]))
    assert text != standing(Fact("http.www-authenticate", (REFUSED % one).replace("c056", "c057")))


def test_the_rest_stands_for_itself() -> None:
    """Nothing else is changed, nor a short nonce that may be part of what a device is."""
    for text in ("Server: x", 'nonce="00"', "nonce=0123456789abcdef"):
        assert standing(Fact("http.header", text)) == text
