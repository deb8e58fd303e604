"""Which TCP ports are asked when nobody says otherwise, with the evidence for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["DEFAULT_PORTS", "KNOWN_PORTS", "SILENT_PORTS", "TLS_PORTS", "KnownPort"]


@dataclass(frozen=True, slots=True)
class KnownPort:
    """One port: `source` is where devices were seen to have it.

    `says` is ``http``, ``rtsp``, ``https``, or ``nothing`` for a vendor's binary protocol:
    that it is open is the fact, and no byte is sent.
    """

    number: int
    says: str
    source: str


KNOWN_PORTS: Final = (
    KnownPort(80, "http", "web server of nearly every device; recorded of many makers"),
    KnownPort(443, "https", "recorded of Hikvision, Dahua and Axis devices"),
    KnownPort(554, "rtsp", "RFC 2326; the port recorded most often"),
    KnownPort(8000, "nothing", "Hikvision SDK (SADP CommandPort in every recorded answer)"),
    KnownPort(37777, "nothing", "Dahua TCP protocol (DHIP Port in recorded answers)"),
    KnownPort(8080, "http", "second web port of many makers; ONVIF of ipycam and others"),
    KnownPort(8443, "https", "recorded of a Hikvision recorder"),
    KnownPort(2020, "http", "ONVIF of TP-Link Tapo and VIGI; recorded twice"),
    KnownPort(8899, "http", "ONVIF of Xiongmai devices; recorded in an XAddrs"),
    KnownPort(34567, "nothing", "Xiongmai DVRIP; recorded twice"),
    KnownPort(8554, "rtsp", "second RTSP port; recorded"),
    KnownPort(10554, "rtsp", "RTSP of VStarcam and relatives; recorded twice"),
    KnownPort(5000, "http", "web port of Dahua and DVRs; recorded three times"),
    KnownPort(9000, "nothing", "Reolink Baichuan (public client reolink_aio)"),
    KnownPort(81, "http", "web port of VStarcam, Foscam relatives; recorded twice"),
    KnownPort(88, "http", "web port of Foscam (its manual and public clients)"),
    KnownPort(10080, "http", "ONVIF, recorded in an XAddrs"),
    KnownPort(49152, "http", "UPnP description, recorded in a LOCATION"),
    KnownPort(35000, "nothing", "Dahua TCP protocol of Lorex devices; recorded"),
)

DEFAULT_PORTS: Final = tuple(port.number for port in KNOWN_PORTS)
TLS_PORTS: Final = frozenset(port.number for port in KNOWN_PORTS if port.says == "https")
SILENT_PORTS: Final = frozenset(port.number for port in KNOWN_PORTS if port.says == "nothing")
