"""Tests that a secret is seen nowhere but where it is asked for."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import traceback
from ipaddress import ip_network
from pprint import pformat

import pytest

from agent.credentials import MASK, Login, Secret, SnmpUser

WORD = "hunter2-Grünkohl"


def test_revealed_only_when_asked() -> None:
    """`reveal` gives the text; every way to print it gives the mask."""
    secret = Secret(WORD)
    assert secret.reveal() == WORD
    shown = f"{secret} {secret!r} {secret!s:>40} {secret:>40} %s %r" % (secret, secret)
    assert WORD not in shown
    assert shown.count(MASK) == 6


def test_masked_inside_what_holds_it() -> None:
    """A login or user that is printed, copied or turned into a dict shows the mask, not the password."""
    nets = (ip_network("192.0.2.0/24"),)
    held = (
        Login("recorders", nets, "viewer", Secret(WORD)),
        SnmpUser("switches", nets, "monitor", "sha", Secret(WORD), "aes", Secret(WORD)),
    )
    for one in held:
        shown = f"{one} {pformat(one)} {dataclasses.asdict(one)} {copy.deepcopy(one)}"
        assert WORD not in shown
        assert MASK in shown


def test_masked_in_tracebacks() -> None:
    """A traceback that shows the values of local variables has no secret in it."""

    def fails(password: Secret) -> None:
        raise ValueError(f"cannot log in with {password}")

    try:
        fails(Secret(WORD))
    except ValueError as error:
        whole = traceback.TracebackException.from_exception(error, capture_locals=True)
    text = "".join(whole.format())
    assert f"password = Secret({MASK})" in text
    assert WORD not in text


def test_not_written_down() -> None:
    """Neither pickle nor JSON takes a secret."""
    for write in (pickle.dumps, json.dumps):
        with pytest.raises(TypeError):
            write(Secret(WORD))


def test_equality() -> None:
    """Two secrets are equal if their texts are, and equal to no bare text."""
    assert Secret(WORD) == Secret(WORD)
    assert hash(Secret(WORD)) == hash(Secret(WORD))
    assert Secret(WORD) != Secret("other")
    assert Secret(WORD) != WORD
