"""Writes a report in the XML of nmap's ``-oX``, for the many tools that read that.

After nmap.dtd, version 1.05. Verdicts stand in a host script named ``camcensus``. A device of which
no address is known (one behind a recorder, say) has no place in that format, and a comment counts them.
"""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_address
from typing import Final, TextIO
from xml.sax.saxutils import escape, quoteattr

from fingerprints.model import Device, Report
from reporters.text import shortened
from reporters.words import finding_in_words, maker_in_words

__all__ = ["write"]

_LONGEST: Final = 500
_CLAIMS: Final = ("manufacturer", "brand", "device_class", "model", "firmware", "serial")


def write(report: Report, out: TextIO) -> None:
    """Put the document on `out`, as UTF-8 text."""
    run = report.run
    started, finished = _seconds(run.get("started")), _seconds(run.get("finished"))
    hosts = [(device, places) for device in report.devices if (places := _addresses(device))]
    out.write('<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE nmaprun>\n')
    command = _quoted(f"camcensus {run.get('command', '')}")
    # The DTD knows one scanner.
    out.write(
        f'<nmaprun scanner="nmap" args={command} start="{started}"'
        f' version={_quoted(run.get("version", ""))} xmloutputversion="1.05">\n'
        '<verbose level="0"/><debugging level="0"/>\n'
    )
    left = len(report.devices) - len(hosts)
    if left:
        out.write(f"<!-- {left} devices without an address are left out -->\n")
    for device, places in hosts:
        _host(device, places, out)
    state = "success" if report.complete else "error"
    out.write(
        f'<runstats><finished time="{finished}" elapsed="{max(0, finished - started)}" exit="{state}"/>'
        f'<hosts up="{len(hosts)}" down="0" total="{len(hosts)}"/></runstats>\n</nmaprun>\n'
    )


def _host(device: Device, places: list[tuple[str, str]], out: TextIO) -> None:
    first, last = device.first_seen, device.last_seen
    times = f' starttime="{int(first)}"' if first is not None else ""
    times += f' endtime="{int(last)}"' if last is not None else ""
    out.write(f'<host{times}><status state="up" reason="user-set" reason_ttl="0"/>\n')
    out.writelines(f'<address addr="{address}" addrtype="{kind}"/>' for address, kind in places)
    macs = device.macs or ((device.verdict.mac,) if device.verdict.mac else ())
    out.writelines(f'<address addr={_quoted(mac.upper())} addrtype="mac"/>' for mac in macs)
    names = "".join(f"<hostname name={_quoted(name)}/>" for name in device.hostnames)
    ports = "".join(
        f'<port protocol="tcp" portid="{port}"><state state="open" reason="syn-ack" reason_ttl="0"/></port>'
        for port in device.ports
    )
    out.write(f"\n<hostnames>{names}</hostnames>\n<ports>{ports}</ports>\n{_verdict(device)}\n</host>\n")


def _verdict(device: Device) -> str:
    verdict = device.verdict
    told = {name: getattr(verdict, name) for name in _CLAIMS}
    told |= {"finding": device.finding.status, "confidence": f"{verdict.confidence:.4f}"}
    elements = "".join(
        f"<elem key={_quoted(name)}>{escape(shortened(str(value), _LONGEST))}</elem>"
        for name, value in told.items()
        if value
    )
    line = f"{maker_in_words(device)} {verdict.model or ''}".strip()
    output = _quoted(f"{line}: {finding_in_words(device)}")
    return f'<hostscript><script id="camcensus" output={output}>{elements}</script></hostscript>'


def _addresses(device: Device) -> list[tuple[str, str]]:
    """Its addresses with their kind, as nmap has them: without the interface of a link-local one."""
    found = []
    for text in device.addresses:
        try:
            address = ip_address(text.partition("%")[0])
        except ValueError:
            continue
        found.append((str(address), f"ipv{address.version}"))
    return found


def _quoted(value: object) -> str:
    return quoteattr(shortened(str(value), _LONGEST))


def _seconds(stamp: object) -> int:
    try:
        return int(datetime.fromisoformat(str(stamp)).timestamp())
    except (ValueError, OverflowError):
        return 0
