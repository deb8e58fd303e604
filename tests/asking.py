"""Questions written by hand, byte by byte, for every protocol that simulated devices speak."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import uuid
from typing import Final

SADP: Final = b"""<?xml version="1.0" encoding="utf-8"?><Probe><Uuid>0B7C6E1D-52A4-4F7B-9A11-3C5D8E2F7A60</Uuid><Types>inquiry</Types></Probe>"""
LEGACY: Final = bytes.fromhex("a3010001") + bytes(12) + b"\x02" + bytes(15)
SSDP: Final = b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: upnp:rootdevice\r\n\r\n'
TDP: Final = struct.pack(">BBHHBBII", 2, 0, 1, 0, 17, 0, 0x12345678, 0x463CB5D3)


def dhip(uni: int) -> bytes:
    """A DHIP search whose answer is wanted by unicast (`uni` 1) or multicast (0)."""
    body = json.dumps({"method": "DHDiscover.search", "params": {"mac": "", "uni": uni}}).encode() + b"\n"
    return struct.pack("<I4s8xIIII", 32, b"DHIP", len(body), 0, len(body), 0) + body


def ws_probe(types: str = "dn:NetworkVideoTransmitter", name: str = "") -> bytes:
    """A WS-Discovery Probe on one line; `name` is its message id, else one that nobody has used."""
    return (
        '<?xml version="1.0" encoding="utf-8"?><e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"'
        ' xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
        ' xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"'
        ' xmlns:wsdp="http://schemas.xmlsoap.org/ws/2006/02/devprof"'
        ' xmlns:dn="http://www.onvif.org/ver10/network/wsdl"><e:Header>'
        f"<w:MessageID>uuid:{name or uuid.uuid4()}</w:MessageID>"
        "<w:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>"
        "<w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header>"
        f"<e:Body><d:Probe><d:Types>{types}</d:Types></d:Probe></e:Body></e:Envelope>"
    ).encode()


def mdns(*labels: str, kind: int = 12, unicast: bool = False) -> bytes:
    """A multicast DNS question for one name."""
    name = b"".join(bytes((len(label),)) + label.encode() for label in labels) + b"\0"
    return (
        struct.pack(">HHHHHH", 0x4D2, 0, 1, 0, 0, 0)
        + name
        + struct.pack(">HH", kind, 0x8001 if unicast else 1)
    )


def soap(action: str) -> bytes:
    """An ONVIF device service request, HTTP head and all."""
    body = (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>'
        f'<{action} xmlns="http://www.onvif.org/ver10/device/wsdl"/></s:Body></s:Envelope>'
    ).encode()
    head = (
        "POST /onvif/device_service HTTP/1.1\r\nHost: 192.0.2.1\r\nConnection: close\r\n"
        f"Content-Type: application/soap+xml\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def http(path: str, method: str = "GET") -> bytes:
    """An HTTP request whose answer ends with the connection."""
    return f"{method} {path} HTTP/1.1\r\nHost: 192.0.2.1\r\nConnection: close\r\n\r\n".encode()


def rtsp(method: str) -> bytes:
    """An RTSP request with sequence number 7."""
    return f"{method} rtsp://camera/ RTSP/1.0\r\nCSeq: 7\r\n\r\n".encode()


def over_udp(address: str, port: int, question: bytes) -> bytes:
    """The first answer to `question`; raises TimeoutError after a second of silence."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        sock.connect((address, port))
        sock.send(question)
        return sock.recv(65_536)


def over_tcp(address: str, port: int, question: bytes) -> bytes:
    """Everything that is answered to `question` until the other side closes or is silent for a second."""
    with socket.create_connection((address, port), timeout=2) as sock:
        sock.sendall(question)
        sock.settimeout(1)
        return _all(sock)


def certificate(address: str, port: int) -> bytes:
    """The certificate shown there (DER)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((address, port), timeout=2) as sock, context.wrap_socket(sock) as tls:
        return tls.getpeercert(binary_form=True) or b""


def _all(sock: socket.socket) -> bytes:
    said = b""
    try:
        while more := sock.recv(65_536):
            said += more
    except TimeoutError:
        pass
    return said
