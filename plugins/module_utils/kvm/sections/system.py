# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of the system: memory, containers, security, capacity and network.

Plain data, section by section: the readers fill it in, the checks judge it.
Everywhere None means "not to be had on this host". Sizes are in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Optional, Tuple


@dataclass(frozen=True)
class NodePages:
    id: int
    total: int
    free: int


@dataclass(frozen=True)
class HugePages:
    """size: bytes of a page. The rest counts pages."""

    size: int
    total: int
    free: int
    reserved: int
    surplus: int
    nodes: Tuple[NodePages, ...] = ()


@dataclass(frozen=True)
class SamePages:
    """KSM. run: 0 stopped, 1 merging, 2 stopped and taken apart. shared: pages kept; sharing: pages that they stand for besides."""

    run: int
    shared: int
    sharing: int
    merge_across_nodes: Optional[bool]


@dataclass(frozen=True)
class Memory:
    """overcommit: vm.overcommit_memory. commit_limit, committed: what counts where that is 2. transparent: always, madvise or never."""

    total: int
    available: Optional[int]
    swap: Optional[int]
    swap_free: Optional[int] = None
    overcommit: Optional[int] = None
    commit_limit: Optional[int] = None
    committed: Optional[int] = None
    hugepages: Tuple[HugePages, ...] = ()
    transparent: Optional[str] = None
    transparent_defrag: Optional[str] = None
    same_pages: Optional[SamePages] = None


@dataclass(frozen=True)
class Cgroup:
    """mode: unified, hybrid, legacy or none, as systemd names them. delegated: to the cgroups below the first, version 2 alone."""

    mode: str
    controllers: Tuple[str, ...]
    delegated: Optional[Tuple[str, ...]] = None


@dataclass(frozen=True)
class Namespaces:
    """kinds: kind → how many a user may have; none where the kernel has no such limit. unprivileged: whether ordinary users may make some.

    open_files: of this process, and what it may raise that to.
    """

    kinds: Mapping[str, Optional[int]]
    unprivileged: Optional[bool]
    unprivileged_evidence: str
    pid_max: Optional[int]
    inotify_instances: Optional[int]
    inotify_watches: Optional[int]
    open_files: Optional[int]


@dataclass(frozen=True)
class Security:
    """modules: those that are active, in their order. selinux: enforcing, permissive or none. vulnerabilities: name → the kernel's words."""

    modules: Tuple[str, ...]
    selinux: Optional[str]
    apparmor: Optional[bool]
    lockdown: Optional[str]
    secure_boot: Optional[bool]
    secure_boot_evidence: str
    modules_disabled: Optional[bool]
    vulnerabilities: Mapping[str, str]


@dataclass(frozen=True)
class NumaNode:
    """cpus: a list such as 0-3,8."""

    id: int
    cpus: str
    memory: Optional[int]


@dataclass(frozen=True)
class Disk:
    """free, total: of the file system at the path, or at its nearest parent that exists. None: reason says why not.

    inodes: None where the file system makes them as it needs them.
    """

    path: str
    mount: Optional[str]
    total: Optional[int]
    free: Optional[int]
    reason: str = ""
    inodes: Optional[int] = None
    inodes_free: Optional[int] = None


@dataclass(frozen=True)
class Promised:
    """What libvirt's guests are defined with, running or not."""

    guests: int
    running: int
    memory: int
    vcpus: int


@dataclass(frozen=True)
class Capacity:
    """threads: CPUs online. cores: without their siblings. promised: none where promised_reason says why it was not seen."""

    threads: int
    cores: Optional[int]
    numa_nodes: Tuple[NumaNode, ...]
    disks: Tuple[Disk, ...]
    promised: Optional[Promised] = None
    promised_reason: str = ""


@dataclass(frozen=True)
class Forward:
    """The kernel's filter of forwarded packets. family: ip or ip6. bridged: a rule lets bridged packets through."""

    family: str
    policy: str
    evidence: str
    bridged: bool = False


@dataclass(frozen=True)
class Subnet:
    """owner: the virtual network or the interface that it belongs to."""

    subnet: str
    owner: str
    interface: Optional[str]


@dataclass(frozen=True)
class Network:
    """bridge_filter: ip, ip6, arp → whether bridged packets go through that filter; empty where br_netfilter is not there.

    forward: the filters that were read; forward_reason: why they could not be. virtual: subnets of virtual networks.
    routes: the subnets that the host reaches otherwise, without its default route.
    """

    bridge_filter: Mapping[str, bool]
    forward: Tuple[Forward, ...]
    forward_reason: str
    virtual: Tuple[Subnet, ...]
    virtual_reason: str
    routes: Tuple[Subnet, ...]
