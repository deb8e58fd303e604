"""Tests that simulated devices let their account in, and nobody else."""

from __future__ import annotations

import base64
import hashlib

import httpx
import pytest

from simulator.device import Account
from simulator.login import challenge, is_right, token_is_right

ACCOUNT = Account("viewer", "only-to-look", "IP Camera(12345)")


def digest(password: str, uri: str = "/ISAPI/System/deviceInfo") -> str:
    """What httpx, which knows nothing of the simulator, answers to the challenge."""
    request = httpx.Request("GET", f"http://192.0.2.1{uri}")
    flow = httpx.DigestAuth("viewer", password).auth_flow(request)
    next(flow)
    name, _, text = challenge(ACCOUNT).partition(": ")
    return str(flow.send(httpx.Response(401, headers={name: text}, request=request)).headers["authorization"])


@pytest.mark.parametrize("password", ["only-to-look", "wrong"])
def test_digest(password: str) -> None:
    """Another implementation's digest is right with the right password alone, and for that path alone."""
    told = digest(password)
    assert is_right(ACCOUNT, "GET", "/ISAPI/System/deviceInfo", told) == (password == ACCOUNT.password)
    assert not is_right(ACCOUNT, "GET", "/other", told)
    assert not is_right(ACCOUNT, "PUT", "/ISAPI/System/deviceInfo", told)
    assert not is_right(ACCOUNT, "GET", "/ISAPI/System/deviceInfo", "")


def test_basic() -> None:
    """A device that knows basic authentication alone takes that."""
    account = Account("viewer", "only-to-look", "x", basic=True)
    assert challenge(account) == 'WWW-Authenticate: Basic realm="x"'
    right = base64.b64encode(b"viewer:only-to-look").decode()
    assert is_right(account, "GET", "/", f"Basic {right}")
    assert not is_right(account, "GET", "/", "Basic eDp5")
    assert not is_right(account, "GET", "/", "Basic ?")


@pytest.mark.parametrize("password", ["only-to-look", "wrong"])
def test_token(password: str) -> None:
    """A UsernameToken counts if its digest is of the nonce, the time and the right password."""
    whole = hashlib.sha1(
        b"nonce" + b"2026-01-01T00:00:00Z" + password.encode(), usedforsecurity=False
    ).digest()
    nonce, proof = base64.b64encode(b"nonce").decode(), base64.b64encode(whole).decode()
    envelope = (
        f"<s:Envelope><wsse:Username>viewer</wsse:Username><wsse:Password Type='x'>{proof}</wsse:Password>"
        f"<wsse:Nonce>{nonce}</wsse:Nonce><wsu:Created>2026-01-01T00:00:00Z</wsu:Created></s:Envelope>"
    )
    assert token_is_right(ACCOUNT, envelope) == (password == ACCOUNT.password)
    assert not token_is_right(ACCOUNT, "<s:Envelope/>")
