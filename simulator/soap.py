"""Answers ONVIF device service requests in SOAP 1.2.

Names and namespaces are those of the ONVIF core specification, which lets everybody read the
clock without logging in and names the fault of a refusal ``ter:NotAuthorized``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final
from xml.sax.saxutils import escape

from simulator.device import Answer, Onvif

__all__ = ["device_service"]

_ACTION: Final = re.compile(r"<(?:[\w-]+:)?Body[^>]*>\s*<(?:[\w-]+:)?(\w+)")
_TYPE: Final = "Content-Type: application/soap+xml; charset=utf-8"
_ENVELOPE: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<env:Envelope xmlns:env="http://www.w3.org/2003/05/soap-envelope"'
    ' xmlns:tds="http://www.onvif.org/ver10/device/wsdl"'
    ' xmlns:tt="http://www.onvif.org/ver10/schema"'
    ' xmlns:ter="http://www.onvif.org/ver10/error">'
    "<env:Body>%s</env:Body></env:Envelope>"
)
_NOT_AUTHORIZED: Final = (
    "<env:Fault><env:Code><env:Value>env:Sender</env:Value>"
    "<env:Subcode><env:Value>ter:NotAuthorized</env:Value></env:Subcode></env:Code>"
    '<env:Reason><env:Text xml:lang="en">Sender not Authorized</env:Text></env:Reason></env:Fault>'
)


def device_service(service: Onvif, request: str, *, known: bool = False) -> Answer:
    """What `service` answers to the SOAP `request`; `known` says that it came with the right token."""
    found = _ACTION.search(request)
    action = found[1] if found else ""
    if action == "GetSystemDateAndTime":
        return _says(_clock(datetime.now(UTC)))
    if action == "GetScopes" and service.scopes:
        return _says(_scopes(service.scopes))
    if action == "GetDeviceInformation" and service.information and (known or not service.login):
        items = "".join(
            f"<tds:{name}>{escape(text)}</tds:{name}>" for name, text in service.information.items()
        )
        return _says(f"<tds:GetDeviceInformationResponse>{items}</tds:GetDeviceInformationResponse>")
    return service.refusal or Answer(400, (_TYPE,), _ENVELOPE % _NOT_AUTHORIZED)


def _says(body: str) -> Answer:
    return Answer(200, (_TYPE,), _ENVELOPE % body)


def _scopes(scopes: tuple[str, ...]) -> str:
    items = "".join(
        f"<tds:Scopes><tt:ScopeDef>Fixed</tt:ScopeDef><tt:ScopeItem>{escape(scope)}</tt:ScopeItem></tds:Scopes>"
        for scope in scopes
    )
    return f"<tds:GetScopesResponse>{items}</tds:GetScopesResponse>"


def _clock(now: datetime) -> str:
    return (
        "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime>"
        "<tt:DateTimeType>NTP</tt:DateTimeType><tt:DaylightSavings>false</tt:DaylightSavings>"
        "<tt:TimeZone><tt:TZ>UTC0</tt:TZ></tt:TimeZone><tt:UTCDateTime>"
        f"<tt:Time><tt:Hour>{now.hour}</tt:Hour><tt:Minute>{now.minute}</tt:Minute>"
        f"<tt:Second>{now.second}</tt:Second></tt:Time>"
        f"<tt:Date><tt:Year>{now.year}</tt:Year><tt:Month>{now.month}</tt:Month>"
        f"<tt:Day>{now.day}</tt:Day></tt:Date>"
        "</tt:UTCDateTime></tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
    )
