# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A guest that runs, and what its options are tried with: all cases, as many at a time as do not speak of the same thing."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.fields import LIVE, Field, row_of, row_of_member

from support.domain_cases.case import Case, Options
from support.domain_cases.own_code import IMAGES, MACS, NETWORK, OWN_CODE, OWN_FIELDS
from support.domain_options import CASES, FIELDS, told, under

DISKS = ("vda", "sda", "sdb")
#: Its CPUs stand still: what libvirt and the emulator take, they take as well from one of those, and it costs nothing.
RUNS: Options = {
    "type": "qemu",
    "machine": "q35",
    "memory": "256M",
    "vcpus": 4,
    "iothreads": 2,
    "disks": [
        *({"path": IMAGES + target, "target": target, "bus": bus} for target, bus in zip(DISKS, ("virtio", "scsi", "usb"))),
        {"device": "cdrom", "target": "sdc"},
    ],
    "interfaces": [{"source": NETWORK, "mac": mac} for mac in MACS[:2]],
    "graphics": {"type": "vnc", "listen": "127.0.0.1", "password": "first"},
}
#: A case that needs devices of the host, of which other cases try the options.
LEFT_OUT = {"drives"}
#: Options that tests/integration/test_libvirt_domain_live.py tries, as the kernel may lack what shapes traffic.
ELSEWHERE = "interfaces.bandwidth."
ALL_FIELDS = {**FIELDS, **OWN_FIELDS}
#: Options that wait in this guest, where the table says that others have them at once: it has no slot, no controller, no system.
WAITS_HERE = {
    "vcpus",
    "guest_agent",
    "memory_devices.requested",  # of a module that it does not run with
    "interfaces.mac",  # the source of random numbers has the last slot
    "interfaces.source",
    "interfaces.mode",
    *(f"disks.{option}" for option in ("path", "pool", "volume", "format", "startup_policy")),
    *(option for option in FIELDS if option.startswith("disks.network.")),
}
#: What is decided at a start, so that a guest that runs never lacks it.
MET = {"cpu.fallback"}


def block_device() -> str:
    """One of this machine's, whatever it is."""
    found = (f"/dev/{path.name}" for path in sorted(Path("/sys/block").glob("*")))  # none in a tree without /sys
    return next((path for path in found if Path(path).is_block_device()), "/dev/vt-none")


def row(option: str) -> Field:
    field = ALL_FIELDS[option]
    return row_of_member(field[:-2]) if field.endswith("[]") else row_of(field)


def is_live(option: str) -> bool:
    found = row(option)
    assert option not in WAITS_HERE or (found.when == LIVE and found.where), f"{option} waits nowhere, as the table says"
    return found.when == LIVE and option not in WAITS_HERE


def _here(options: Options) -> Options:
    """With images, a network and a block device that there are, and disks of servers on a bus that takes none while the guest runs."""
    changed = dict(options)
    if "devices" in options.get("blkiotune", {}):
        changed["blkiotune"] = {**options["blkiotune"], "devices": [{**one, "path": block_device()} for one in options["blkiotune"]["devices"]]}
    if "disks" in options:
        changed["disks"] = _all("target", [_disk(disk, place) for place, disk in enumerate(options["disks"])], RUNS["disks"])
    if "interfaces" in options:
        nics = [{**nic, "source": NETWORK} if nic.get("type") == "network" else nic for nic in options["interfaces"]]
        nics = [{name: value for name, value in nic.items() if name != "bandwidth"} for nic in nics]
        changed["interfaces"] = _all("mac", nics, RUNS["interfaces"])
    return changed


def _all(key: str, said: list[Options], run: list[Options]) -> list[Options]:
    """With those that run, none of which shall go."""
    return [*said, *(one for one in run if one[key] not in [other.get(key) for other in said])]


def _disk(disk: Options, place: int) -> Options:
    if "network" in disk:
        return {**({"target": "sda"} if disk.get("device") == "lun" else {"bus": "sata", "target": f"sd{'mnopq'[place]}"}), **disk}
    return {**disk, "path": IMAGES + disk["target"]} if disk.get("path") == "/srv/vt-a.img" else disk


def batches() -> list[Case]:
    """Cases put together whose options are others, none that libvirt refuses here."""
    found: list[Case] = []
    for name, case in {**CASES, **OWN_CODE}.items():
        if case.missing or name in LEFT_OUT:
            continue
        one, other = (_here(under(case.beside, options)) for options in (case.one, case.other))
        place = next((place for place, batch in enumerate(found) if not {*batch.one, *batch.other} & {*one, *other}), None)
        if place is None:
            found.append(Case(one, other))
        else:
            found[place] = Case({**found[place].one, **one}, {**found[place].other, **other})
    return found


BATCHES = batches()
#: Options that this machine's libvirt may not have, of which the definition is refused.
REFUSED = {name: case for name, case in CASES.items() if case.missing}


def exercised() -> set[str]:
    return {name for batch in (*BATCHES, *REFUSED.values()) for options in (batch.one, batch.other) for name in told(options)}
