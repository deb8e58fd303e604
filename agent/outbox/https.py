"""Brings parcels to the inventory over HTTPS (httpx): by token, or by client certificate.

httpx because proxies, certificates, time limits and connection reuse are worth more here than
the start-up time that the sweep cannot spare. A server certificate can be pinned: then nothing is
said to a server with another one.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from agent.outbox.sending import Answer, Outcome
from exchange.parcel import Parcel, Receipt

if TYPE_CHECKING:
    import httpx

__all__ = ["Https", "HttpsError", "Link"]

_CONNECT_SECONDS: Final = 15.0
_ANSWER_SECONDS: Final = 120.0
_MAX_ANSWER: Final = 4 * 1024 * 1024
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_PERSONS_WORK: Final = frozenset({401, 403})
_NEVER: Final = frozenset({400, 415, 422})


class HttpsError(Exception):
    """The link cannot be set up as it was asked for; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Link:
    """How to reach the inventory.

    `url` is its root. `ca` and `pinned` are files with certificates (PEM): whom to believe besides
    the system's, and the one certificate that is accepted. `certificate` with `key` is our own.
    """

    url: str
    token: str = ""
    ca: Path | None = None
    pinned: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    proxy: str | None = None


class Https:
    """A courier over HTTPS. Raises HttpsError when made, afterwards nothing."""

    def __init__(self, link: Link) -> None:
        """Look at what is needed; nothing is sent."""
        import httpx  # noqa: PLC0415 - 0.2 s, and only agents that report want it

        parts = urlsplit(link.url)
        if parts.scheme not in {"https", "http"} or not parts.hostname:
            raise HttpsError(f"{link.url!r} is not an address such as https://inventory.example")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise HttpsError(f"{link.url!r}: tokens go over https alone, except to this machine")
        self._httpx = httpx
        headers = {"Authorization": f"Bearer {link.token}"} if link.token else {}
        try:
            self._client = httpx.Client(
                base_url=link.url.rstrip("/") + "/",
                headers={**headers, "Accept": "application/json"},
                verify=_context(link),
                proxy=link.proxy,
                timeout=httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
                follow_redirects=False,
            )
        except (OSError, ValueError) as error:
            raise HttpsError(f"{link.url}: {error}") from None

    def send(self, parcel: Parcel) -> Answer:
        """Try to bring one parcel; what is not plainly an acknowledgement is none."""
        query = {
            "site": parcel.site,
            "report": parcel.report,
            "part": str(parcel.part),
            "parts": str(parcel.parts),
        }
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip", **parcel.headers()}
        try:
            status, said, body = self._exchange("POST", "api/v1/reports", query, headers, parcel.body)
        except (self._httpx.HTTPError, OSError, ssl.SSLError, ValueError) as error:
            return Answer(Outcome.LATER, f"the inventory cannot be reached: {_plain(error)}")
        return _read(status, said, body)

    def receipts(self) -> Sequence[Receipt]:
        """None: over HTTPS the answer is the receipt."""
        return ()

    def get(self, path: str, query: dict[str, str] | None = None) -> Any:
        """The JSON behind a path of the inventory; raises HttpsError."""
        return self._json("GET", path, query or {}, None)

    def post(self, path: str, value: object) -> Any:
        """The JSON that the inventory answers to `value`; raises HttpsError."""
        return self._json("POST", path, {}, json.dumps(value).encode())

    def fetch(self, path: str, most: int) -> bytes:
        """The bytes behind a path of the inventory, at most `most`; raises HttpsError."""
        try:
            status, _, said = self._exchange("GET", path, {}, {}, None, most)
        except (self._httpx.HTTPError, OSError, ssl.SSLError, ValueError) as error:
            raise HttpsError(f"the inventory cannot be reached: {_plain(error)}") from None
        if status != 200:
            raise HttpsError(f"the inventory answered {status}: {_detail(said)}")
        return said

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _json(self, method: str, path: str, query: dict[str, str], body: bytes | None) -> Any:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            status, _, said = self._exchange(method, path, query, headers, body)
        except (self._httpx.HTTPError, OSError, ssl.SSLError, ValueError) as error:
            raise HttpsError(f"the inventory cannot be reached: {_plain(error)}") from None
        if status != 200:
            raise HttpsError(f"the inventory answered {status}: {_detail(said)}")
        try:
            return json.loads(said)
        except (ValueError, RecursionError):
            raise HttpsError("the inventory's answer is not JSON") from None

    def _exchange(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        headers: dict[str, str],
        body: bytes | None,
        most: int = _MAX_ANSWER,
    ) -> tuple[int, httpx.Headers, bytes]:
        with self._client.stream(method, path, params=query, headers=headers, content=body) as answer:
            said = b""
            for chunk in answer.iter_bytes():
                said += chunk
                if len(said) > most:
                    raise ValueError("the answer is too long")
            return answer.status_code, answer.headers, said


def _context(link: Link) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(link.ca) if link.ca else None)
    if link.pinned is not None:
        # Nobody else is believed, whoever vouches for them; the certificate need not be an authority's.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=str(link.pinned))
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if link.certificate is not None:
        context.load_cert_chain(link.certificate, link.key)
    return context


def _read(status: int, headers: httpx.Headers, body: bytes) -> Answer:
    if status == 200:
        return _acknowledged(body)
    why = f"the inventory answered {status}: {_detail(body)}"
    if status in _PERSONS_WORK:
        return Answer(Outcome.NOT_ALLOWED, why)
    if status == 413:
        return Answer(Outcome.TOO_LARGE, why)
    if status in _NEVER and _is_ours(body):
        return Answer(Outcome.REFUSED, why)
    asked = headers.get("Retry-After", "")
    return Answer(Outcome.LATER, why, float(asked) if asked.isascii() and asked.isdigit() else None)


def _acknowledged(body: bytes) -> Answer:
    try:
        said = json.loads(body)
        counts = (said["run"], said["accepted"], said["refused"])
        devices = [
            (str(row["id"])[:100], str(row["reason"])[:200]) for row in said["devices"] if row["reason"]
        ]
    except (ValueError, KeyError, TypeError, RecursionError):
        return Answer(Outcome.LATER, "the inventory's answer cannot be read: not taken for a receipt")
    if not all(isinstance(count, int) for count in counts):
        return Answer(Outcome.LATER, "the inventory's answer cannot be read: not taken for a receipt")
    return Answer(Outcome.STORED, refused=tuple(devices[:1_000]))


def _is_ours(body: bytes) -> bool:
    """Whether a refusal is the inventory's own: a proxy in between is no reason to give a report up."""
    try:
        return isinstance(json.loads(body).get("detail"), str | list)
    except (ValueError, AttributeError, RecursionError):
        return False


def _detail(body: bytes) -> str:
    try:
        said = json.loads(body)["detail"]
    except (ValueError, KeyError, TypeError, RecursionError):
        said = body[:80].decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in str(said)).split())[:200]


def _plain(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
