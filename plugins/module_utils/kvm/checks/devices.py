# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Devices for guests: those that the kernel makes, and those that are passed to them."""

from __future__ import annotations

from .. import remedies
from ..model import FAIL, PASS, UNKNOWN, WARN, Facts
from ..sections.machine import Device
from ..spec import Request
from .rule import Rule, Verdict, need


def _vhost_net(facts: Facts, request: Request) -> Verdict:
    return _node(facts, need(facts, "devices", facts.devices).vhost_net, WARN, "vhost_net", "guests' networking takes a detour through QEMU")


def _vhost_vsock(facts: Facts, request: Request) -> Verdict:
    return _node(facts, need(facts, "devices", facts.devices).vhost_vsock, WARN, "vhost_vsock", "guests and host cannot talk by vsock")


def _tun(facts: Facts, request: Request) -> Verdict:
    return _node(facts, need(facts, "devices", facts.devices).tun, FAIL, "tun", "guests cannot be connected to a bridge or a network")


def _fuse(facts: Facts, request: Request) -> Verdict:
    if need(facts, "devices", facts.devices).fuse:
        return PASS, "/sys/fs/fuse/connections is there", ""
    meaning = "LXC's containers cannot have a /proc of their own, and rootless containers no fuse-overlayfs"
    return WARN, f"there is no /sys/fs/fuse/connections: {meaning}", remedies.module(facts, "fuse")


def _node(facts: Facts, device: Device, status: str, module: str, meaning: str) -> Verdict:
    if not device.exists:
        return status, f"there is no {device.path}: {meaning}", remedies.module(facts, module)
    evidence = f"{device.path} is {device.owner}:{device.group} {device.mode}"
    if device.opens:
        return PASS, f"{evidence}; it opens", ""
    if device.opens is None:
        return UNKNOWN, f"{evidence}; opening it did not come to an end", "dmesg says what the kernel saw"
    if device.errno == "EACCES":
        return UNKNOWN, f"{evidence}; this user may not open it (EACCES)", remedies.denied(facts)
    return status, f"{evidence}; it cannot be opened ({device.errno}): {meaning}", remedies.module(facts, module)


def groups_verdict(facts: Facts, status: str) -> Verdict:
    """status: where no device can be passed to a guest."""
    iommu = need(facts, "iommu", facts.iommu)
    if iommu.groups:
        devices = sum(len(group.devices) for group in iommu.groups)
        return PASS, f"groups in /sys/kernel/iommu_groups: {len(iommu.groups)}, with devices: {devices}", ""
    said = f"/sys/firmware/acpi/tables/{iommu.table} is there" if iommu.table else "no DMAR, IVRS or IORT in /sys/firmware/acpi/tables"
    arguments = f"; kernel arguments: {' '.join(iommu.arguments)}" if iommu.arguments else ""
    return status, f"no group in /sys/kernel/iommu_groups: devices cannot be passed to guests; {said}{arguments}", remedies.iommu(facts)


def _groups(facts: Facts, request: Request) -> Verdict:
    return groups_verdict(facts, WARN)


def _vfio(facts: Facts, request: Request) -> Verdict:
    iommu = need(facts, "iommu", facts.iommu)
    if not iommu.groups:
        return WARN, "without groups of the IOMMU, VFIO has nothing to pass on", "see iommu.groups"
    if iommu.vfio.errno == "EACCES":
        return UNKNOWN, f"{iommu.vfio.path}: this user may not open it (EACCES)", remedies.denied(facts)
    if not iommu.vfio.opens:
        said = f"it cannot be opened ({iommu.vfio.errno})" if iommu.vfio.exists else "it is not there"
        return WARN, f"{iommu.vfio.path}: {said}: PCI devices cannot be passed to guests", remedies.module(facts, "vfio_pci")
    if not iommu.vfio_pci:
        return WARN, f"{iommu.vfio.path} opens, and the driver vfio-pci is not loaded", remedies.module(facts, "vfio_pci")
    return PASS, f"{iommu.vfio.path} opens, and the driver vfio-pci is there", ""


RULES = (
    Rule("iommu.groups", ("iommu",), _groups),
    Rule("iommu.vfio", ("iommu",), _vfio),
    Rule("device.vhost_net", ("devices",), _vhost_net),
    Rule("device.vhost_vsock", ("devices",), _vhost_vsock),
    Rule("device.tun", ("devices",), _tun),
    Rule("device.fuse", ("devices",), _fuse),
)
