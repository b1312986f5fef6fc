# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that make and change sets of namespaces, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Tuple

from ..engine.plan import HIDDEN, Action
from .model import Mapped
from .model_process import Wanted


@dataclass(frozen=True)
class MakeDirectory(Action):
    """The directory of a set, a private mount: no namespace may hold a mount that leads to itself."""


@dataclass(frozen=True)
class CreateNamespaces(Action):
    types: Tuple[str, ...]


@dataclass(frozen=True)
class StartInit(Action):
    """Create the pid namespace with its init, and with it these types. joined: types that the init lives in besides."""

    types: Tuple[str, ...]
    joined: Tuple[str, ...] = ()


@dataclass(frozen=True)
class WriteMapping(Action):
    """which: uid or gid."""

    which: str
    mapping: Tuple[Mapped, ...]


@dataclass(frozen=True)
class NameNetwork(Action):
    """Let ip netns find the network namespace."""


@dataclass(frozen=True)
class SetHostname(Action):
    hostname: str


@dataclass(frozen=True)
class SetLoopback(Action):
    up: bool


@dataclass(frozen=True)
class AddVeth(Action):
    interface: str
    peer: str


@dataclass(frozen=True)
class MoveLink(Action):
    interface: str
    link: str


@dataclass(frozen=True)
class SetBridge(Action):
    peer: str
    bridge: str


@dataclass(frozen=True)
class BringPeerUp(Action):
    peer: str


@dataclass(frozen=True)
class SetMtu(Action):
    interface: str
    mtu: int


@dataclass(frozen=True)
class AddAddress(Action):
    interface: str
    address: str


@dataclass(frozen=True)
class RemoveAddress(Action):
    interface: str
    address: str


@dataclass(frozen=True)
class BringUp(Action):
    interface: str


@dataclass(frozen=True)
class AddRoute(Action):
    interface: str
    to: str
    via: Optional[str]
    family: int = field(metadata=HIDDEN)


@dataclass(frozen=True)
class RemoveRoute(AddRoute):
    pass


@dataclass(frozen=True)
class RemoveInterface(Action):
    """A veth pair is deleted; any other link goes back to the host."""

    interface: str
    veth: bool


@dataclass(frozen=True)
class EndProcesses(Action):
    pids: Tuple[int, ...]


@dataclass(frozen=True)
class StopInit(Action):
    pids: Tuple[int, ...] = field(metadata=HIDDEN)


@dataclass(frozen=True)
class RemoveNamespaces(Action):
    types: Tuple[str, ...]


@dataclass(frozen=True)
class UnnameNetwork(Action):
    pass


@dataclass(frozen=True)
class RemoveDirectory(Action):
    pass


@dataclass(frozen=True)
class WriteUnit(Action):
    """The unit that makes the set again at boot."""

    text: str = field(metadata=HIDDEN)


@dataclass(frozen=True)
class EnableUnit(Action):
    pass


@dataclass(frozen=True)
class RemoveUnit(Action):
    pass


@dataclass(frozen=True)
class StartProcess(Action):
    args: Tuple[str, ...]
    wanted: Wanted = field(metadata=HIDDEN)
    types: Tuple[str, ...] = field(metadata=HIDDEN)


@dataclass(frozen=True)
class EndProcess(Action):
    pids: Tuple[int, ...] = field(metadata=HIDDEN)


@dataclass(frozen=True)
class KeepProcess(Action):
    """Have systemd run it, now, and at every boot where boot is True. text: its unit."""

    args: Tuple[str, ...]
    boot: bool
    text: str = field(metadata=HIDDEN)


@dataclass(frozen=True)
class RemoveProcessUnit(Action):
    pass
