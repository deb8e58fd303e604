"""Starts a provider of OpenID Connect on this machine: oidc-provider-mock, which somebody else wrote."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from inventory.environment import GroupRole, SignOn

__all__ = ["Provider", "provider"]


@dataclass(frozen=True, slots=True)
class Provider:
    """A running provider."""

    issuer: str

    def sign_on(self, *roles: GroupRole, issuer: str = "") -> SignOn:
        """How the inventory is told of it."""
        return SignOn(
            issuer or self.issuer,
            "camcensus",
            "a secret",
            "Northshire",
            ("openid", "profile"),
            "groups",
            roles,
        )

    def knows(self, subject: str, **claims: Any) -> None:
        """Tell the provider of somebody, or anew."""
        status, _ = self._ask("PUT", f"/users/{subject}", json.dumps(claims), "application/json")
        assert status == 204

    def approve(self, address: str, subject: str) -> str:
        """What somebody's browser is sent to, once that person has signed in at the provider."""
        parts = urlsplit(address)
        assert f"{parts.scheme}://{parts.netloc}" == self.issuer
        given: Mapping[str, str] = {"sub": subject} if subject else {"action": "deny"}
        status, headers = self._ask(
            "POST", f"{parts.path}?{parts.query}", urlencode(given), "application/x-www-form-urlencoded"
        )
        assert status == 302
        return headers["location"]

    def _ask(self, method: str, path: str, body: str = "", kind: str = "") -> tuple[int, dict[str, str]]:
        link = http.client.HTTPConnection(str(urlsplit(self.issuer).netloc), timeout=30)
        try:
            link.request(method, path, body, {"Content-Type": kind} if kind else {})
            answer = link.getresponse()
            answer.read()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}
        finally:
            link.close()


@contextlib.contextmanager
def provider(*words: str) -> Generator[Provider]:
    """Run a provider until the block ends; `words` are options of its command."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    running = Provider(f"http://127.0.0.1:{port}")
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                if running._ask("GET", "/.well-known/openid-configuration")[0] == 200:
                    break
            assert process.poll() is None, "the provider did not start"
            time.sleep(0.1)
        else:
            raise AssertionError("the provider did not answer")
        yield running
    finally:
        process.terminate()
        process.wait(timeout=20)
