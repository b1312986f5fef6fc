# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands that each step is.

The same commands run now and, from the unit that keeps a set, at the next boot.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any, List, Tuple

from .actions import (
    AddAddress,
    AddRoute,
    AddVeth,
    BringPeerUp,
    BringUp,
    CreateNamespaces,
    MakeDirectory,
    MoveLink,
    NameNetwork,
    RemoveAddress,
    RemoveDirectory,
    RemoveInterface,
    RemoveNamespaces,
    RemoveRoute,
    SetBridge,
    SetHostname,
    SetLoopback,
    SetMtu,
    StartInit,
    StartProcess,
    UnnameNetwork,
)
from .model import FILES, WORDS
from .model_process import Wanted

Command = List[str]
BASE = "/run/virtops/namespaces"
NETNS = "/run/netns"

# A pid namespace lives as long as its init. sleep is everywhere; with SIGCHLD ignored, which it inherits, the kernel itself buries
# the orphans that init inherits. unshare stays as its parent, and --kill-child ends it with its parent.
INIT = ["env", "--ignore-signal=CHLD", "sleep", "infinity"]


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


def _route(action: AddRoute, verb: str) -> Command:
    via = ["via", action.via] if action.via else []
    return [*entering(action.target, ("network",)), "ip", f"-{action.family}", "route", verb, action.to, *via, "dev", action.interface]


@commands.register
def _add_route(action: AddRoute) -> List[Command]:
    return [_route(action, "replace")]


@commands.register
def _remove_route(action: RemoveRoute) -> List[Command]:
    return [_route(action, "delete")]


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


def process_words(name: str, wanted: Wanted, types: Tuple[str, ...]) -> Command:
    """The words that a declared process is run with: nothing of our environment, in all namespaces, with its own root and its own /proc."""
    inside = ["unshare"]
    if wanted.root:
        # Where its numbers are its own, /proc is too: in a mount namespace below that of the set, which ends with it.
        inside += [f"--root={wanted.root}", *(["--mount-proc"] if {"pid", "mount"} <= set(types) else [])]
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **dict(wanted.env)}
    clean = ["/usr/bin/env", "--ignore-environment", *(f"{key}={value}" for key, value in environment.items())]
    return [*clean, *entering(name, types), *inside, f"--wd={wanted.cwd}", *wanted.args]


def process_file(name: str, what: str) -> str:
    """what: pid (its number), json (what was declared), log (what it says)."""
    return f"{BASE}/{name}/process.{what}"


@commands.register
def _start_process(action: StartProcess) -> List[Command]:
    words = process_words(action.target, action.wanted, action.types)
    number, said = process_file(action.target, "pid"), process_file(action.target, "log")
    daemon = ["start-stop-daemon", "--start", "--background", "--pidfile", number, "--make-pidfile", "--output", said]
    return [["rm", "-f", number], [*daemon, "--startas", words[0], "--", *words[1:]]]
