# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What keeps a module from being unloaded."""

from __future__ import annotations

import os
from typing import List, Optional, Set, Tuple

from ..engine.errors import Failure
from ..engine.host import Host
from .model import Holder, fold

_KVM = ("/dev/kvm", "anon_inode:kvm-")
_VHOST_NET = "/dev/vhost-net"
_VHOST_VSOCK = "/dev/vhost-vsock"

#: Module → what an open file of its users is called. The kernel counts them in the module's refcnt, but does not name them.
_OPEN_FILES = {
    "kvm": _KVM,
    "kvm_amd": _KVM,
    "kvm_intel": _KVM,
    "tun": ("/dev/net/tun",),
    "vhost": (_VHOST_NET, _VHOST_VSOCK),
    "vhost_net": (_VHOST_NET,),
    "vhost_vsock": (_VHOST_VSOCK,),
    "vfio": ("/dev/vfio/",),
    "vfio_pci": ("/dev/vfio/",),
    "vfio_iommu_type1": ("/dev/vfio/",),
    "nbd": ("/dev/nbd",),
    "loop": ("/dev/loop",),
    "fuse": ("/dev/fuse",),
}

#: Module → DEVTYPE in the uevent of the interfaces that it makes. They have no device, and nothing in refcnt counts them.
_MADE_BY = {"bridge": "bridge", "bonding": "bond", "8021q": "vlan", "vxlan": "vxlan", "macvlan": "macvlan", "macvtap": "macvtap"}
_IFF_UP = 1


def dependents(host: Host, name: str) -> Tuple[str, ...]:
    """The loaded modules above one, those first that nothing is above."""
    found: List[str] = []

    def visit(module: str) -> None:
        for above in host.list(f"/sys/module/{module}/holders"):
            if above not in found:
                visit(above)
                found.append(above)

    visit(name)
    return tuple(found)


def holders(host: Host, name: str, above: Tuple[str, ...]) -> Tuple[Holder, ...]:
    """What uses a loaded module or those above it: processes, interfaces, the kernel itself."""
    modules = (name, *above)
    found = [*_processes(host, modules), *_interfaces(host, modules)]
    if (host.try_read("/proc/sys/kernel/modules_disabled") or "").strip() == "1":
        found.append(Holder(kernel="kernel.modules_disabled=1, until the next boot"))
    for module in modules:
        references = (host.try_read(f"/sys/module/{module}/refcnt") or "").strip()
        unexplained = int(references or 0) - len(host.list(f"/sys/module/{module}/holders"))
        if unexplained > 0 and not found:
            found.append(Holder(kernel=f"something in the kernel (the reference count of {module} is {references})"))
    return tuple(found)


def _processes(host: Host, modules: Tuple[str, ...]) -> List[Holder]:
    marks = tuple({mark for module in modules for mark in _OPEN_FILES.get(module, ())})
    if not marks:
        return []
    pids = sorted(int(entry) for entry in host.list("/proc") if entry.isdigit())
    return [_process(host, pid) for pid in pids if _has_open(host, pid, marks)]


def _has_open(host: Host, pid: int, marks: Tuple[str, ...]) -> bool:
    folder = f"/proc/{pid}/fd"
    try:
        entries = host.list(folder)
    except Failure:  # another user's process, and we are not root
        return False
    for entry in entries:
        try:
            opened = os.readlink(host.path(f"{folder}/{entry}"))
        except OSError:
            continue
        if opened.startswith(marks):
            return True
    return False


def _process(host: Host, pid: int) -> Holder:
    words = (host.try_read(f"/proc/{pid}/cmdline") or "").split("\0")
    command = (host.try_read(f"/proc/{pid}/comm") or "").strip() or words[0].rsplit("/", 1)[-1]
    # A process may call its threads what it likes (qemu: CPU 0/KVM); the file that was run says more.
    return Holder(pid=pid, command=words[0].rsplit("/", 1)[-1] or command, guest=guest_name(words))


def guest_name(words: List[str]) -> Optional[str]:
    """The guest of a qemu process: -name web, -name web,process=..., or libvirt's -name guest=web,debug-threads=on."""
    for option, text in zip(words, words[1:]):
        if option in ("-name", "--name"):
            first = text.replace(",,", "\0").split(",")
            named = [part[len("guest=") :] for part in first if part.startswith("guest=")]
            return (named[0] if named else first[0]).replace("\0", ",")
    return None


def _interfaces(host: Host, modules: Tuple[str, ...]) -> List[Holder]:
    """Interfaces that are up. Their drivers' refcnt is 0 all the same: unloading takes the network away."""
    kinds: Set[str] = {_MADE_BY[module] for module in modules if module in _MADE_BY}
    found: List[Holder] = []
    for interface in host.list("/sys/class/net"):
        base = f"/sys/class/net/{interface}"
        flags = (host.try_read(f"{base}/flags") or "0").strip()
        if not int(flags, 0) & _IFF_UP:
            continue
        driver = fold(host.realpath(f"{base}/device/driver/module").rsplit("/", 1)[-1])
        uevent = (host.try_read(f"{base}/uevent") or "").splitlines()
        if driver in modules or kinds & {line[len("DEVTYPE=") :] for line in uevent if line.startswith("DEVTYPE=")}:
            found.append(Holder(interface=interface))
    return found
