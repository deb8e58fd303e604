"""Tells snmpd of the Linux bridges of its own network namespace, as BRIDGE-MIB has it.

Debian's snmpd knows no bridge. This is its ``pass_persist`` helper: it takes the kernel's table of
forwarding when it is first asked, and answers out of that.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.agent.switches.snmp_site import Tables, answer_out_of


def tables() -> Tables:
    """Ports by the kernel's numbers, and the MACs that were learned on them."""
    found = Tables()
    links = json.loads(subprocess.check_output(["ip", "-j", "link", "show"]))
    for link in links:
        if link.get("master"):
            # Ports of the bridge have the numbers of their interfaces, which snmpd tells by itself.
            found.number("1.3.6.1.2.1.17.1.4.1.2", (link["ifindex"],), link["ifindex"])
    numbers = {link["ifname"]: link["ifindex"] for link in links}
    for entry in json.loads(subprocess.check_output(["bridge", "-j", "fdb", "show"])):
        if not entry.get("state") and entry.get("master") and "self" not in entry.get("flags", ()):
            found.learned(entry["mac"], numbers[entry["ifname"]])
    return found


if __name__ == "__main__":
    answer_out_of(tables().text())
