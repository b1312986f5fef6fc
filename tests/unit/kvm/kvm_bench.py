# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A machine on the bench, and what the module says of it."""

from __future__ import annotations

from ansible_collections.virtops.linux.plugins.module_utils.kvm.info import gather
from ansible_collections.virtops.linux.plugins.module_utils.kvm.probe import judge
from ansible_collections.virtops.linux.plugins.module_utils.kvm.read.host import read
from ansible_collections.virtops.linux.plugins.module_utils.kvm.spec import Request
from kvm_machine import FakeRegisters, build
from kvm_machines import MACHINES

PARAMS = {
    "gather_subset": ["all"],
    "kvm_probe": True,
    "user": None,
    "disk_paths": ["/var/lib/libvirt/images"],
    "requirements": None,
    "host_reserve": None,
    "fail_on": "never",
}


class Bench:
    """One of the machines, and what the module says of it."""

    def __init__(self, tmp_path, name, files, script):
        self.machine = MACHINES[name]
        self.host = build(tmp_path, self.machine, files, script)
        self.registers = FakeRegisters(self.machine)

    def prober(self, device, seconds):
        return judge("/dev/kvm", self.machine.guest)

    def report(self, prober=None, spent=0.0, **params):
        """spent: the seconds that the module has taken when the guest's turn comes."""
        return gather(self.host, {**PARAMS, **params}, prober or self.prober, self.registers, lambda: spent)

    def facts(self, request=None, prober=None):
        return read(self.host, request or Request(), prober or self.prober, self.registers, lambda: 0.0)


def by_id(report):
    return {check["id"]: check for check in report["checks"]}


def statuses(report):
    return {check["id"]: check["status"] for check in report["checks"]}
