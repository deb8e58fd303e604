"""Masking keeps the form and loses the owner."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprints.masking import mask


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("mac=B0:C5:54:25:5B:0E", "mac=B0:C5:54:00:00:01"),
        ('realm="4419b63f5e51"', 'realm="4419b6000001"'),
        ("http://192.168.1.64:80/x", "http://192.0.2.1:80/x"),
        ("DS-2CD2A20F-IS20151217AACH567841878", "DS-2CD2A20F-IS00000000AACH000000000"),
        ('Digest realm="x", nonce="abc", stale=FALSE', 'Digest realm="x", nonce="x", stale=FALSE'),
        ("/user=admin&password=secret&channel=1", "/user=x&password=x&channel=1"),
        ('nonce="YWJj=="', 'nonce="x"'),
        ("fe80::d6e8:53ff:fe66:656f", "fe80::1"),
        ("somebody@school.example", "name@example.org"),
        ("App-webs/", "App-webs/"),
        ("V5.5.0 build 17", "V5.5.0 build 17"),
    ],
)
def test_forms(text: str, masked: str) -> None:
    """Each kind of identifier is replaced by one of its form; the rest stays."""
    assert mask(text) == masked


@given(st.text())
def test_masking_again_changes_nothing(text: str) -> None:
    """A masked text is already masked."""
    assert mask(mask(text)) == mask(text)
