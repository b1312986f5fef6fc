# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fleets that do not exist, for reports: what the module says of the machines of the unit tests, with numbers of their own.

In tests/, with the folder above ansible_collections as PYTHONPATH: python -m support.fleet COUNT FOLDER writes an inventory with them.
"""

from __future__ import annotations

import copy
import json
import random
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "kvm"))

from kvm_bench import Bench
from kvm_machine import NFT
from kvm_machines import MACHINES

GIB = 1024**3
#: The kinds of machines of a fleet, the common ones more often.
COMMON = ("amd", "intel", "amd", "intel", "intel", "sev-snp", "sev, not on", "nested", "amd", "intel")
#: What a host may say that must not become part of the page.
HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)> & \"quoted\""
SITES = ("ams", "fra", "lon", "waw")


@lru_cache(maxsize=None)
def reports() -> Dict[str, Dict[str, Any]]:
    """Kind of machine → the module's result, as JSON carries it."""
    found = {}
    for name in MACHINES:
        with tempfile.TemporaryDirectory(prefix="vt-fleet.") as folder:
            found[name] = json.loads(json.dumps(Bench(Path(folder), name, None, (NFT,)).report(), default=list))
    return found


def fleet(count: int, seed: int = 7) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """Hosts and their results: one in thirty cannot be reached, one in fifty fails, the rest are machines of all kinds."""
    dice = random.Random(seed)  # noqa: S311 - the same fleet each time
    kinds = reports()
    for number in range(count):
        name = f"kvm{number + 1:03d}.{SITES[number % len(SITES)]}.example.org"
        if number % 30 == 2:
            yield (
                name,
                {"unreachable": True, "changed": False, "msg": f"Failed to connect to the host via ssh: connect to host {name} port 22: timed out"},
            )
        elif number % 50 == 48:
            yield name, {"failed": True, "changed": False, "msg": "The module interpreter '/usr/bin/python3' was not found."}
        else:
            kind = COMMON[number % len(COMMON)] if number % 4 else list(kinds)[(number // 4 + 2) % len(kinds)]
            yield name, _varied(copy.deepcopy(kinds[kind]), dice)


def _varied(report: Dict[str, Any], dice: random.Random) -> Dict[str, Any]:
    threads, memory = dice.choice(((16, 64), (32, 128), (64, 256), (96, 512), (128, 1024)))
    facts = report["facts"]
    facts["capacity"].update(threads=threads, cores=threads // 2)
    facts["memory"].update(total=memory * GIB - 600 * 1024**2, available=int(memory * GIB * dice.uniform(0.03, 0.9)))
    disk = dice.choice((480, 960, 3840, 7680)) * GIB
    facts["capacity"]["disks"][0].update(total=disk, free=int(disk * dice.uniform(0.01, 0.95)))
    guests = dice.randrange(0, 40)
    promised = min(memory, guests * dice.choice((2, 4, 8)))
    facts["capacity"]["promised"] = {"guests": guests, "running": guests * 3 // 4, "memory": promised * GIB, "vcpus": guests * dice.choice((1, 2, 4))}
    return report


def hostile(report: Dict[str, Any]) -> Dict[str, Any]:
    """A report that tries to be more than text, in every place where a host says something."""
    spoiled = copy.deepcopy(report)
    for check in spoiled["checks"]:
        check.update(evidence=HOSTILE, remedy=HOSTILE)
    spoiled["facts"]["cpu"]["model"] = spoiled["facts"]["platform"]["kernel"] = spoiled["facts"]["platform"]["hypervisor"] = HOSTILE
    spoiled["facts"]["capacity"]["disks"][0]["path"] = HOSTILE
    return spoiled


def write_inventory(folder: Path, hosts: Dict[str, Dict[str, Any]]) -> Path:
    """An inventory whose hosts have these results already, as a script: Ansible reads that much JSON faster than YAML."""
    data = folder / "fleet.json"
    connection = {"ansible_connection": "local"}
    hostvars = {name: {**connection, "preflight_result": result} for name, result in hosts.items()}
    data.write_text(json.dumps({"all": {"hosts": list(hosts)}, "_meta": {"hostvars": hostvars}}))
    script = folder / "fleet.sh"
    script.write_text(f"#!/bin/sh\ncat {data}\n")
    script.chmod(0o700)
    return script


if __name__ == "__main__":
    print(write_inventory(Path(sys.argv[2]), dict(fleet(int(sys.argv[1])))))
