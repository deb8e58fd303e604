"""Asks one device's web server, logging in by digest, bounded in bytes and seconds.

Certificates are not checked: devices sign their own. Redirects are not followed and no proxy is
used, so that a password's digest goes nowhere but to the device that the user named.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self

from agent.credentials import Attempts, Login
from agent.pace import Allowance, BudgetSpent

if TYPE_CHECKING:
    import httpx

__all__ = ["MAX_ANSWER", "Answer", "Place", "Refused", "Silent", "Web"]

MAX_ANSWER: Final = 1 << 20
"""Most bytes of one answer: a list of 256 channels has a quarter of it."""
_SECONDS: Final = 8.0
_SCHEME: Final = re.compile(r"\s*(\w+)", re.ASCII)


class Refused(Exception):  # noqa: N818 - what the device said
    """The device did not let the user in, or this login may not be tried there (again)."""


class Silent(Exception):  # noqa: N818 - what the device did
    """No answer, one beyond the bounds, or no way to log in that may be used; the text says which."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a web server stands: `ip` is canonical text, a link-local one with its zone."""

    ip: str
    port: int
    tls: bool = False

    @property
    def origin(self) -> str:
        """The beginning of its URLs."""
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"http{'s' if self.tls else ''}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    kind: str = ""


class Web:
    """One conversation with the web server at `place`; an async context manager.

    `attempts` is asked before the login is used, and told how that went. Each request waits for the
    pace of the scan and counts as a connection of this host's `allowance`.
    """

    def __init__(self, place: Place, login: Login, attempts: Attempts, allowance: Allowance) -> None:
        self.place = place
        self.login = login
        self._attempts = attempts
        self._allowance = allowance
        self._one_at_a_time = asyncio.Lock()
        self._auth: httpx.Auth | None = None
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        import httpx  # noqa: PLC0415 - 0.2 s, and only where credentials were given

        self._client = httpx.AsyncClient(
            verify=_any_certificate(),
            trust_env=False,
            timeout=_SECONDS,
            limits=httpx.Limits(max_connections=1),
            headers={"User-Agent": "camcensus"},
            # Called for each request that goes out, also for those that digest adds.
            event_hooks={"request": [self._wait]},
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _wait(self, _request: httpx.Request) -> None:
        self._allowance.question()
        async with self._allowance.connection():
            pass

    async def get(self, path: str) -> Answer:
        """Ask for a path, logged in if the device wants that. Raises Refused or Silent."""
        answer, challenges = await self._send("GET", path)
        if answer.status != 401:
            return answer
        if self._auth is not None:
            # It has taken this login before: a page that this user may not see.
            return answer
        way = self._way(challenges)
        if not self._attempts.begin(self.place.ip, self.login):
            raise Refused("this login was tried here before")
        self._auth = self._made(way)
        answer, _ = await self._send("GET", path)
        if answer.status in {401, 403}:
            self._attempts.refused(self.place.ip)
            raise Refused(f"the device refused {self.login.name!r} (status {answer.status})")
        self._attempts.accepted(self.place.ip, self.login)
        return answer

    async def post(self, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Send a body without any login of HTTP's. Raises Silent."""
        return (await self._send("POST", path, body, headers))[0]

    def _way(self, challenges: list[str]) -> Literal["digest", "basic"]:
        """How to log in, best first. Raises Silent where nothing that is offered may be used."""
        offered = {found[1].lower() for text in challenges if (found := _SCHEME.match(text))}
        if "digest" in offered:
            return "digest"
        if "basic" in offered and (self.place.tls or self.login.basic_in_clear):
            return "basic"
        if "basic" in offered:
            raise Silent("offers nothing but basic authentication in clear, which is not allowed")
        raise Silent("offers no way to log in that is known")

    def _made(self, way: Literal["digest", "basic"]) -> httpx.Auth:
        import httpx  # noqa: PLC0415 - see above

        kind = httpx.DigestAuth if way == "digest" else httpx.BasicAuth
        return kind(self.login.username, self.login.password.reveal())

    async def _send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[Answer, list[str]]:
        import httpx  # noqa: PLC0415 - see above

        if self._client is None:
            raise RuntimeError("no conversation was begun")
        request = self._client.build_request(method, self.place.origin + path, content=body, headers=headers)
        received = bytearray()
        try:
            async with self._one_at_a_time, asyncio.timeout(_SECONDS):
                response = await self._client.send(request, auth=self._auth, stream=True)
                try:
                    async for part in response.aiter_bytes():
                        received += part
                        self._allowance.charge(len(part))
                        if len(received) > MAX_ANSWER:
                            raise Silent(f"its answer is longer than {MAX_ANSWER >> 20} MiB")
                finally:
                    await response.aclose()
        except BudgetSpent as spent:
            raise Silent(f"it has had all the {spent} that the profile allows one host") from None
        except TimeoutError:
            raise Silent(f"no whole answer within {_SECONDS:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            # The exception holds the request with its headers: nothing but its kind goes on.
            raise Silent(f"no answer ({type(error).__name__})") from None
        kind = response.headers.get("content-type", "")
        challenges = response.headers.get_list("www-authenticate")
        return Answer(response.status_code, bytes(received), kind), challenges


def _any_certificate() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Recorders of ten years ago know nothing newer.
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context
