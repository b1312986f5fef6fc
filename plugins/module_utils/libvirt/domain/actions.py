# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that change guests, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Tuple, Union

from ...engine.plan import HIDDEN, Action
from ..xmltree import Node

Value = Union[int, str]


@dataclass(frozen=True)
class DefineDomain(Action):
    """changes: the fields that differ; None for a new guest. definition: the whole new one. wish: what it must contain."""

    changes: Optional[Tuple[str, ...]]
    definition: Node = field(metadata=HIDDEN)
    wish: Node = field(metadata=HIDDEN)


@dataclass(frozen=True)
class StartDomain(Action):
    """paused: start it with its CPUs stopped. previous: the definition to go back to when it does not start.

    restart: it ran before, so that a definition that is gone back to is started as well.
    """

    paused: Optional[bool] = None
    previous: Optional[Node] = field(default=None, metadata=HIDDEN)
    restart: bool = field(default=False, metadata=HIDDEN)


@dataclass(frozen=True)
class ShutDownDomain(Action):
    """Ask the guest to shut down and wait. timeout: seconds. force: destroy it after that."""

    timeout: int
    force: bool


@dataclass(frozen=True)
class DestroyDomain(Action):
    """Stop it at once, as pulling the plug does. Nothing of it on disk goes."""


@dataclass(frozen=True)
class SuspendDomain(Action):
    pass


@dataclass(frozen=True)
class ResumeDomain(Action):
    pass


@dataclass(frozen=True)
class WakeDomain(Action):
    """Out of the sleep that the guest's own system went into."""


@dataclass(frozen=True)
class SaveDomain(Action):
    """Its memory into a file of libvirt's, from which the next start goes on."""


@dataclass(frozen=True)
class DiscardSavedDomain(Action):
    """The saved memory goes, as pulling the plug does."""


@dataclass(frozen=True)
class SetAutostart(Action):
    enabled: bool


@dataclass(frozen=True)
class UndefineDomain(Action):
    """None where it has none of this. nvram, tpm: whether the files go as well. The others always go: libvirt keeps none of them
    without a guest. Disks stay.
    """

    nvram: Optional[bool] = None
    tpm: Optional[bool] = None
    managed_save: Optional[bool] = None
    snapshots: Optional[bool] = None
    checkpoints: Optional[bool] = None


@dataclass(frozen=True)
class RemoveDisk(Action):
    """The image of a guest that is gone. path, or pool and volume."""

    path: Optional[str] = None
    pool: Optional[str] = None
    volume: Optional[str] = None


# In the running guest. Its definition has it already.


@dataclass(frozen=True)
class AttachDevice(Action):
    """device: how people call it. definition: the device as it is defined."""

    device: str
    definition: Node = field(metadata=HIDDEN)


@dataclass(frozen=True)
class DetachDevice(Action):
    """timeout: seconds that the guest has to give it back. definition: the device as it runs."""

    device: str
    timeout: int
    definition: Node = field(metadata=HIDDEN)


@dataclass(frozen=True)
class UpdateDevice(Action):
    """changes: the fields. old: the device as it runs. definition: as it shall run. force: open a tray that the guest has locked."""

    device: str
    changes: Tuple[str, ...]
    old: Node = field(metadata=HIDDEN)
    definition: Node = field(metadata=HIDDEN)
    force: bool = field(default=False, metadata=HIDDEN)


@dataclass(frozen=True)
class SetVcpus(Action):
    count: int


@dataclass(frozen=True)
class SetMemory(Action):
    """kib: what the guest gets. timeout: seconds that it has to do so; None where nobody answers yet."""

    kib: int
    timeout: Optional[int] = None


@dataclass(frozen=True)
class SetMetadata(Action):
    """key: title, description or an element of the metadata. value: None takes it away."""

    key: str
    value: Optional[str] = field(metadata=HIDDEN)
    namespace: Optional[str] = field(default=None, metadata=HIDDEN)


@dataclass(frozen=True)
class _Parameters(Action):
    changes: Tuple[str, ...]
    values: Tuple[Tuple[str, Value], ...] = field(metadata=HIDDEN)


@dataclass(frozen=True)
class SetSchedulerParameters(_Parameters):
    pass


@dataclass(frozen=True)
class SetMemoryParameters(_Parameters):
    pass


@dataclass(frozen=True)
class SetBlkioParameters(_Parameters):
    pass


@dataclass(frozen=True)
class SetBlockIotune(_Parameters):
    """disk: its target."""

    disk: str = ""


@dataclass(frozen=True)
class PinVcpu(Action):
    vcpu: int
    cpuset: str


@dataclass(frozen=True)
class PinEmulator(Action):
    cpuset: str


@dataclass(frozen=True)
class PinIothread(Action):
    iothread: int
    cpuset: str


@dataclass(frozen=True)
class AddIothread(Action):
    iothread: int


@dataclass(frozen=True)
class DeleteIothread(Action):
    iothread: int


@dataclass(frozen=True)
class SetLifecycleAction(Action):
    """event: poweroff, reboot or crash. to: what happens then, in libvirt's words."""

    event: str
    to: str


@dataclass(frozen=True)
class SetMemoryStatsPeriod(Action):
    """seconds: 0 is never."""

    seconds: int
