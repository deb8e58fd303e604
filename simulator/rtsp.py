"""Answers one RTSP request as a device's stream server did."""

from __future__ import annotations

from simulator.device import Answer, Place, Rtsp
from simulator.web import Request

__all__ = ["answer"]

_REASONS = {200: "OK", 401: "Unauthorized", 404: "Stream Not Found", 501: "Not Implemented"}


def answer(server: Rtsp, place: Place, request: Request) -> bytes:
    """The whole answer to `request`; methods nobody recorded are not implemented (501)."""
    recorded = {"OPTIONS": server.options, "DESCRIBE": server.describe}.get(request.method)
    reply = recorded or Answer(501)
    content = place.fill(reply.body).replace("\n", "\r\n").encode()
    lines = [
        f"RTSP/1.0 {reply.status} {_REASONS.get(reply.status, 'Unknown')}",
        f"CSeq: {request.headers.get('cseq', '0')}",
        *(place.fill(line) for line in reply.headers),
    ]
    if content:
        lines += [
            f"Content-Base: {request.target}/",
            "Content-Type: application/sdp",
            f"Content-Length: {len(content)}",
        ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + content
