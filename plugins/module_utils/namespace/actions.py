# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that make and change sets of namespaces, as data, and the commands that each of them is.

The same commands run now and, from the unit that keeps a set, at the next boot.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any, List, Tuple

from ..engine.plan import Action
from .model import FILES, WORDS, Mapped

Command = List[str]
BASE = "/run/virtops/namespaces"
NETNS = "/run/netns"

# A pid namespace lives as long as its init. sleep is everywhere; with SIGCHLD ignored, which it inherits, the kernel itself buries
# the orphans that init inherits. unshare stays as its parent, and --kill-child ends it with its parent.
INIT = ["env", "--ignore-signal=CHLD", "sleep", "infinity"]


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
class RemoveInterface(Action):
    """A veth pair is deleted; any other link goes back to the host."""

    interface: str
    veth: bool


@dataclass(frozen=True)
class EndProcesses(Action):
    pids: Tuple[int, ...]


@dataclass(frozen=True)
class StopInit(Action):
    pids: Tuple[int, ...] = field(metadata={"hidden": True})


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

    text: str = field(metadata={"hidden": True})


@dataclass(frozen=True)
class EnableUnit(Action):
    pass


@dataclass(frozen=True)
class RemoveUnit(Action):
    pass


def file_of(name: str, kind: str) -> str:
    return f"{BASE}/{name}/{FILES[kind]}"


def entering(name: str, types: Tuple[str, ...]) -> Command:
    """The words that run a command in some namespaces of a set."""
    return ["nsenter", *(f"--{WORDS[kind]}={file_of(name, kind)}" for kind in types)]


def _in_network(action: Any, *words: str) -> Command:
    return [*entering(action.target, ("network",)), "ip", *words]


def _unshare(name: str, types: Tuple[str, ...]) -> Command:
    return ["unshare", *(f"--{WORDS[kind]}={file_of(name, kind)}" for kind in types)]


@singledispatch
def commands(action: Any) -> List[Command]:
    raise TypeError(action)


@commands.register
def _make_directory(action: MakeDirectory) -> List[Command]:
    path = f"{BASE}/{action.target}"
    return [["mkdir", "-p", path], ["mount", "--bind", path, path], ["mount", "--make-private", path]]


@commands.register
def _create(action: CreateNamespaces) -> List[Command]:
    files = [file_of(action.target, kind) for kind in action.types]
    # unshare can keep a user namespace only from a child that stays outside, which it has only where it makes a mount namespace too.
    transient = ["--mount"] if "user" in action.types and "mount" not in action.types else []
    return [["touch", *files], [*_unshare(action.target, action.types), *transient, "true"]]


@commands.register
def _start_init(action: StartInit) -> List[Command]:
    files = [file_of(action.target, kind) for kind in action.types]
    words = [*(entering(action.target, action.joined) if action.joined else []), *_unshare(action.target, action.types)]
    words += ["--fork", "--kill-child", "--mount-proc", *INIT]
    # It starts nothing where it takes the number in its file for a running process: an old one, or another's by now.
    number = f"{BASE}/{action.target}/init.pid"
    daemon = ["start-stop-daemon", "--start", "--background", "--pidfile", number, "--make-pidfile", "--startas"]
    return [["touch", *files], ["rm", "-f", number], [*daemon, f"/usr/bin/{words[0]}", "--", *words[1:]]]


@commands.register
def _name_network(action: NameNetwork) -> List[Command]:
    path = f"{NETNS}/{action.target}"
    return [["mkdir", "-p", NETNS], ["touch", path], ["mount", "--bind", file_of(action.target, "network"), path]]


@commands.register
def _set_hostname(action: SetHostname) -> List[Command]:
    return [[*entering(action.target, ("uts",)), "hostname", action.hostname]]


@commands.register
def _set_loopback(action: SetLoopback) -> List[Command]:
    return [_in_network(action, "link", "set", "dev", "lo", "up" if action.up else "down")]


@commands.register
def _add_veth(action: AddVeth) -> List[Command]:
    namespace = file_of(action.target, "network")
    return [["ip", "link", "add", "name", action.peer, "type", "veth", "peer", "name", action.interface, "netns", namespace]]


@commands.register
def _move_link(action: MoveLink) -> List[Command]:
    return [["ip", "link", "set", "dev", action.link, "netns", file_of(action.target, "network"), "name", action.interface]]


@commands.register
def _set_bridge(action: SetBridge) -> List[Command]:
    return [["ip", "link", "set", "dev", action.peer, *(["master", action.bridge] if action.bridge else ["nomaster"])]]


@commands.register
def _bring_peer_up(action: BringPeerUp) -> List[Command]:
    return [["ip", "link", "set", "dev", action.peer, "up"]]


@commands.register
def _set_mtu(action: SetMtu) -> List[Command]:
    return [_in_network(action, "link", "set", "dev", action.interface, "mtu", str(action.mtu))]


@commands.register
def _add_address(action: AddAddress) -> List[Command]:
    return [_in_network(action, "address", "replace", action.address, "dev", action.interface)]


@commands.register
def _remove_address(action: RemoveAddress) -> List[Command]:
    return [_in_network(action, "address", "delete", action.address, "dev", action.interface)]


@commands.register
def _bring_up(action: BringUp) -> List[Command]:
    return [_in_network(action, "link", "set", "dev", action.interface, "up")]


@commands.register
def _remove_interface(action: RemoveInterface) -> List[Command]:
    if action.veth:
        return [_in_network(action, "link", "delete", "dev", action.interface)]
    return [_in_network(action, "link", "set", "dev", action.interface, "netns", "1")]


@commands.register
def _remove(action: RemoveNamespaces) -> List[Command]:
    return [["umount", file_of(action.target, kind)] for kind in action.types]


@commands.register
def _unname_network(action: UnnameNetwork) -> List[Command]:
    return [["umount", f"{NETNS}/{action.target}"], ["rm", "-f", f"{NETNS}/{action.target}"]]


@commands.register
def _remove_directory(action: RemoveDirectory) -> List[Command]:
    path = f"{BASE}/{action.target}"
    return [["umount", path], ["rm", "-rf", path]]
