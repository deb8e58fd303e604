"""Every protocol that camcensus speaks or reads: one file each, listed here.

The order is the order of preference where two would take the same bytes: what is a maker's
own stands before the standards, and HTTP last, because so much travels in it.
"""

from __future__ import annotations

from typing import Final

from agent.probes.advantech import ADVANTECH
from agent.probes.arp import ARP
from agent.probes.baichuan import BAICHUAN
from agent.probes.bosch import BOSCH
from agent.probes.cdp import CDP
from agent.probes.cyberpower import CYBERPOWER
from agent.probes.dahua_cgi import DAHUA_CGI
from agent.probes.dahua_legacy import DAHUA_LEGACY
from agent.probes.dhcp import DHCP
from agent.probes.dhcpv6 import DHCPV6
from agent.probes.dhip import DAHUA_DVRIP, DHIP
from agent.probes.dns import DNS, DNS_TCP
from agent.probes.eaton import EATON
from agent.probes.eden import EDEN
from agent.probes.foscam import FOSCAM
from agent.probes.gige_vision import GIGE_VISION
from agent.probes.hanwha import HANWHA
from agent.probes.hikvision_ehome import HIKVISION_EHOME
from agent.probes.hikvision_sdk import HIKVISION_SDK
from agent.probes.http import HTTP
from agent.probes.isapi import ISAPI
from agent.probes.lantronix import LANTRONIX
from agent.probes.lldp import LLDP
from agent.probes.llmnr import LLMNR
from agent.probes.mdns import MDNS
from agent.probes.microchip import MICROCHIP
from agent.probes.mssql import MSSQL
from agent.probes.nbns import NBNS
from agent.probes.nd import ND
from agent.probes.nicevision import NICEVISION
from agent.probes.ntp import NTP
from agent.probes.onvif import ONVIF
from agent.probes.panasonic import PANASONIC
from agent.probes.pppp import PPPP
from agent.probes.rtsp import RTSP
from agent.probes.sadp import SADP
from agent.probes.sadp_raw import SADP_RAW
from agent.probes.sip import SIP, SIP_TCP
from agent.probes.snmp import SNMP
from agent.probes.sony import SONY
from agent.probes.ssdp import SSDP
from agent.probes.tls import TLS
from agent.probes.tplink_beacon import TPLINK_BEACON
from agent.probes.tplink_tdp import TPLINK_TDP
from agent.probes.tuya import TUYA
from agent.probes.ubiquiti import UBIQUITI
from agent.probes.upnp import UPNP
from agent.probes.vision_360 import VISION_360
from agent.probes.vivotek import VIVOTEK
from agent.probes.vstarcam import VSTARCAM
from agent.probes.ws_discovery import WS_DISCOVERY
from agent.probes.xiongmai import XIONGMAI, XIONGMAI_TCP
from agent.wire import Probe

__all__ = ["ALL", "probe_named"]

ALL: Final[tuple[Probe, ...]] = (
    ARP,
    ND,
    LLDP,
    CDP,
    DHCP,
    DHCPV6,
    SADP,
    SADP_RAW,
    HIKVISION_EHOME,
    HIKVISION_SDK,
    DHIP,
    DAHUA_LEGACY,
    DAHUA_DVRIP,
    TPLINK_TDP,
    TPLINK_BEACON,
    XIONGMAI,
    XIONGMAI_TCP,
    BOSCH,
    HANWHA,
    PANASONIC,
    SONY,
    VIVOTEK,
    GIGE_VISION,
    NICEVISION,
    VISION_360,
    VSTARCAM,
    FOSCAM,
    UBIQUITI,
    BAICHUAN,
    EDEN,
    LANTRONIX,
    EATON,
    CYBERPOWER,
    ADVANTECH,
    MSSQL,
    TUYA,
    MICROCHIP,
    WS_DISCOVERY,
    SSDP,
    MDNS,
    LLMNR,
    DNS,
    DNS_TCP,
    NTP,
    SNMP,
    NBNS,
    PPPP,
    SIP,
    SIP_TCP,
    TLS,
    RTSP,
    ISAPI,
    DAHUA_CGI,
    ONVIF,
    UPNP,
    HTTP,
)


def probe_named(name: str) -> Probe | None:
    """The probe of this name, or of which it is an alias."""
    return next((probe for probe in ALL if name == probe.name or name in probe.aliases), None)
