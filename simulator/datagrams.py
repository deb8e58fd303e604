"""Answers discovery datagrams as a device did, with the announcements it makes unasked.

Every function takes the datagram that came and gives the one that goes back, or None where a
real device would stay silent. No function here opens a socket.
"""

from __future__ import annotations

import json
import re
import struct
import uuid
import zlib
from typing import Final
from xml.sax.saxutils import escape

from simulator.device import Device, Dhip, LegacyDahua, Place, Sadp, Ssdp, Tdp, WsDiscovery

__all__ = [
    "dahua_legacy",
    "dhcp_rebinding",
    "dhip",
    "dhip_wants_unicast",
    "sadp",
    "ssdp",
    "ssdp_alive",
    "tdp",
    "ws_discovery",
    "ws_hello",
]

_UUID: Final = re.compile(r"<Uuid>([0-9A-Za-z-]{1,64})</Uuid>")
_MESSAGE_ID: Final = re.compile(r"<(?:[\w-]+:)?MessageID[^>]*>\s*([^<\s]{1,200})\s*<")
_TYPES: Final = re.compile(r"<(?:[\w-]+:)?Types[^>]*>([^<]*)<")
_SEARCH: Final = re.compile(r"^ST:\s*(\S+)\s*$", re.MULTILINE | re.IGNORECASE)
_LEGACY_ASK: Final = bytes.fromhex("a3010001") + bytes(12) + b"\x02" + bytes(15)
_ADDRESSING: Final = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
_DISCOVERY: Final = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
_TDP_HEADER: Final = struct.Struct(">BBHHBBII")
_TDP_SEED: Final = 0x5A6B7C8D


def sadp(device: Sadp, place: Place, asked: bytes) -> bytes | None:
    """The ProbeMatch to an inquiry; any other type of SADP message would change a real device."""
    text = asked.decode("utf-8", "replace")
    found = _UUID.search(text)
    if "<Probe>" not in text or "<Types>inquiry</Types>" not in text or found is None:
        return None
    items = {"Uuid": found[1], "Types": "inquiry", **device.fields}
    lines = "\n".join(f"<{key}>{escape(place.fill(text))}</{key}>" for key, text in items.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<ProbeMatch>\n{lines}\n</ProbeMatch>'.encode()


def dhip_wants_unicast(asked: bytes) -> bool:
    """Whether the search asks for its answer by unicast (``uni`` 1)."""
    params = _dhip_search(asked)
    return params is not None and params.get("uni") == 1


def dhip(device: Dhip, place: Place, asked: bytes) -> bytes | None:
    """The notification of a device that was searched for."""
    if _dhip_search(asked) is None:
        return None
    info = {key: _fill(value, place) for key, value in device.info.items()}
    notice = {"mac": place.mac, "method": "client.notifyDevInfo", "params": {"deviceInfo": info}}
    body = json.dumps(notice).encode() + b"\n"
    return struct.pack("<I4s8xIIII", 32, b"DHIP", len(body), 0, len(body), 0) + body


def _fill(value: object, place: Place) -> object:
    if isinstance(value, str):
        return place.fill(value)
    if isinstance(value, dict):
        return {key: _fill(item, place) for key, item in value.items()}
    return value


def _dhip_search(asked: bytes) -> dict[str, object] | None:
    if len(asked) < 32 or asked[4:8] != b"DHIP":
        return None
    try:
        question = json.loads(asked[32:])
    except (ValueError, RecursionError):
        return None
    if not isinstance(question, dict) or question.get("method") != "DHDiscover.search":
        return None
    params = question.get("params", {})
    return params if isinstance(params, dict) else None


def dahua_legacy(device: LegacyDahua, place: Place, asked: bytes) -> bytes | None:
    """The answer of the older protocol: a 120-byte head, the MAC with the type, then text lines."""
    if asked != _LEGACY_ASK:
        return None
    second = place.mac.encode() + device.type.encode()
    third = "".join(place.fill(line) + "\r\n\r\n" for line in device.lines).encode()
    head = bytearray(0x78)
    head[0] = 0xB3
    head[2] = len(second)
    head[0x04] = 0x58
    head[0x10] = 2
    struct.pack_into("<H", head, 0x14, len(third))
    head[0x28:0x38] = device.type.encode()[:16].ljust(16, b"\0")
    head[0x38:0x3C] = bytes(int(part) for part in place.ip.split("."))
    head[0x3C:0x40] = b"\xff\xff\xff\0"
    return bytes(head) + second + third


def ws_discovery(device: WsDiscovery, place: Place, asked: bytes) -> bytes | None:
    """The ProbeMatches to a Probe whose types this device has (no types: it has them)."""
    text = asked.decode("utf-8", "replace").strip()
    name = _MESSAGE_ID.search(text)
    if name is None or f"{_DISCOVERY}/Probe<" not in "".join(text.split()):
        return None
    if device.one_line and "\n" in text:
        return None
    found = _TYPES.search(text)
    wanted = {item.rpartition(":")[2] for item in found[1].split()} if found else set()
    if not wanted <= {item.rpartition(":")[2] for item in device.types.split()}:
        return None
    match = f"<d:ProbeMatches><d:ProbeMatch>{_target(device, place)}</d:ProbeMatch></d:ProbeMatches>"
    relates = f"<a:RelatesTo>{escape(name[1])}</a:RelatesTo>"
    return _envelope("ProbeMatches", f"{_ADDRESSING}/role/anonymous", relates, match)


def ws_hello(device: WsDiscovery, place: Place) -> bytes:
    """The Hello that a device sends to the group when it joins the network."""
    body = f"<d:Hello>{_target(device, place)}</d:Hello>"
    return _envelope("Hello", "urn:schemas-xmlsoap-org:ws:2005:04:discovery", "", body)


def _target(device: WsDiscovery, place: Place) -> str:
    scopes = " ".join(place.fill(scope) for scope in device.scopes)
    xaddrs = " ".join(place.fill(address) for address in device.xaddrs)
    return (
        f"<a:EndpointReference><a:Address>{escape(place.fill(device.endpoint))}</a:Address>"
        f"</a:EndpointReference><d:Types>{escape(device.types)}</d:Types>"
        + (f"<d:Scopes>{escape(scopes)}</d:Scopes>" if scopes else "")
        + (f"<d:XAddrs>{escape(xaddrs)}</d:XAddrs>" if xaddrs else "")
        + f"<d:MetadataVersion>{device.metadata_version}</d:MetadataVersion>"
    )


def _envelope(action: str, to: str, relates: str, body: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="{_ADDRESSING}"'
        f' xmlns:d="{_DISCOVERY}" xmlns:dn="http://www.onvif.org/ver10/network/wsdl"'
        ' xmlns:tdn="http://www.onvif.org/ver10/network/wsdl"'
        ' xmlns:tds="http://www.onvif.org/ver10/device/wsdl"'
        ' xmlns:wsdp="http://schemas.xmlsoap.org/ws/2006/02/devprof"'
        ' xmlns:pub="http://schemas.microsoft.com/windows/pub/2005/07"'
        ' xmlns:wprt="http://schemas.microsoft.com/windows/2006/08/wdp/print">'
        f"<s:Header><a:MessageID>urn:uuid:{uuid.uuid4()}</a:MessageID>{relates}"
        f"<a:To>{to}</a:To><a:Action>{_DISCOVERY}/{action}</a:Action></s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def ssdp(device: Ssdp, place: Place, asked: bytes) -> tuple[bytes, ...]:
    """One answer for each search target of the device that the search covers."""
    text = asked.decode("latin-1")
    found = _SEARCH.search(text)
    if not text.startswith("M-SEARCH * HTTP/1.1") or found is None:
        return ()
    return tuple(
        _ssdp(device, place, "HTTP/1.1 200 OK", f"ST: {target}", "EXT:", usn)
        for target, usn in device.usn.items()
        if found[1] in {"ssdp:all", target}
    )


def ssdp_alive(device: Ssdp, place: Place) -> tuple[bytes, ...]:
    """The NOTIFY messages by which the device makes itself known."""
    start = "NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900"
    return tuple(
        _ssdp(device, place, start, f"NT: {target}", "NTS: ssdp:alive", usn)
        for target, usn in device.usn.items()
    )


def _ssdp(device: Ssdp, place: Place, start: str, target: str, kind: str, usn: str) -> bytes:
    lines = (
        start,
        "CACHE-CONTROL: max-age=1800",
        f"LOCATION: {device.location}",
        f"SERVER: {device.server}",
        *device.headers,
        target,
        kind,
        f"USN: {usn}",
        "",
        "",
    )
    return place.fill("\r\n".join(lines)).encode()


def tdp(device: Tdp, place: Place, asked: bytes) -> bytes | None:
    """The answer to a discovery: 16 bytes of header with a checksum, then JSON.

    Source of the header: python-kasa, ``kasa/discover.py``.
    """
    if len(asked) < _TDP_HEADER.size:
        return None
    version, kind, _, _, _, _, serial, _ = _TDP_HEADER.unpack_from(asked)
    if (version, kind) != (2, 0):
        return None
    result = {key: _fill(value, place) for key, value in device.result.items()}
    body = json.dumps({"result": result, "error_code": 0}).encode()
    head = (version, kind, 1, len(body), 17, 0, serial)
    checksum = zlib.crc32(_TDP_HEADER.pack(*head, _TDP_SEED) + body)
    return _TDP_HEADER.pack(*head, checksum) + body


def dhcp_rebinding(device: Device, place: Place) -> bytes | None:
    """A DHCPREQUEST in the REBINDING state (RFC 2131), which is broadcast from the own address."""
    if device.dhcp is None:
        return None
    said = device.dhcp
    mac = bytes.fromhex(place.mac.replace(":", ""))
    address = bytes(int(part) for part in place.ip.split("."))
    options = [(53, b"\x03"), (61, b"\x01" + mac)]
    if said.vendor_class:
        options.append((60, said.vendor_class.encode()))
    if said.hostname:
        options.append((12, place.fill(said.hostname).encode()))
    if said.parameters:
        options.append((55, bytes(said.parameters)))
    head = struct.pack(">BBBB4sHH", 1, 1, 6, 0, mac[2:], 0, 0) + address + bytes(12)
    body = b"".join(bytes((code, len(text))) + text for code, text in options)
    return head + mac.ljust(16, b"\0") + bytes(192) + b"\x63\x82\x53\x63" + body + b"\xff"
