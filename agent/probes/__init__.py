"""Every protocol that camcensus speaks or reads: one file each, listed here.

The order is the order of preference where two would take the same bytes.
"""

from __future__ import annotations

from typing import Final

from agent.probes.dahua_legacy import DAHUA_LEGACY
from agent.probes.dhip import DHIP
from agent.probes.onvif import ONVIF
from agent.probes.sadp import SADP
from agent.probes.snmp import SNMP
from agent.probes.ssdp import SSDP
from agent.probes.upnp import UPNP
from agent.probes.ws_discovery import WS_DISCOVERY
from agent.wire import Probe

__all__ = ["ALL", "probe_named"]

ALL: Final[tuple[Probe, ...]] = (
    SADP,
    DHIP,
    DAHUA_LEGACY,
    WS_DISCOVERY,
    SSDP,
    ONVIF,
    UPNP,
    SNMP,
)


def probe_named(name: str) -> Probe | None:
    """The probe of this name, or of which it is an alias."""
    return next((probe for probe in ALL if name == probe.name or name in probe.aliases), None)
