"""Writes the CycloneDX bill of materials of a lock file with its wheels, as JSON (CycloneDX 1.5).

python scripts/bill_of_materials.py requirements.lock VERSION WHEELS
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import Any, Final

_LOCKED: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\\\]+)", re.MULTILINE)


def component(wheel: Path) -> dict[str, Any]:
    """One package as it lies in its wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        said = HeaderParser().parsestr(archive.read(names[0]).decode("utf-8", "replace"))
    name = re.sub(r"[-_.]+", "-", said["Name"]).lower()
    licence = said.get("License-Expression") or (said.get("License") or "").splitlines()[:1]
    text = licence if isinstance(licence, str) else "".join(licence)
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": f"pkg:pypi/{name}@{said['Version']}",
        "name": name,
        "version": said["Version"],
        "purl": f"pkg:pypi/{name}@{said['Version']}",
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}],
    }
    if text:
        found["licenses"] = [{"license": {"name": text[:200]}}]
    return found


def bill(lock: Path, version: str, wheels: Path) -> dict[str, Any]:
    """The document; raises SystemExit where a wheel is not in the lock file."""
    locked = {
        (re.sub(r"[-_.]+", "-", name).lower(), number) for name, number in _LOCKED.findall(lock.read_text())
    }
    components = [component(path) for path in sorted(wheels.glob("*.whl"))]
    for one in components:
        if (one["name"], one["version"]) not in locked:
            raise SystemExit(f"{one['name']} {one['version']} is not in {lock}")
    own = f"pkg:pypi/camcensus@{version}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "bom-ref": own, "name": "camcensus", "version": version}
        },
        "components": components,
        "dependencies": [
            {"ref": own, "dependsOn": [one["bom-ref"] for one in components]},
            *({"ref": one["bom-ref"], "dependsOn": []} for one in components),
        ],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(bill(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])), indent=1) + "\n")
