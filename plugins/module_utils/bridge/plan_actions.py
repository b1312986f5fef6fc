# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps of a plan, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Tuple

from ..engine.plan import HIDDEN, Action
from .fields import Value
from .model_rollback import Rollback

Lines = Tuple[str, ...]


@dataclass(frozen=True)
class ArmRollback(Action):
    """Snapshot the network and start the watchdog, before anything else. target: the bridge.

    scope: the interfaces that are restored. files: what a back end is about to write or remove, files and folders. reload: the commands
    that make the back end read its files again, for after they were restored.
    """

    timeout: int
    rollback: Rollback = field(metadata=HIDDEN)
    scope: Tuple[str, ...] = field(default=(), metadata=HIDDEN)
    files: Optional[Tuple[str, ...]] = None
    reload: Tuple[Tuple[str, ...], ...] = field(default=(), metadata=HIDDEN)


@dataclass(frozen=True)
class ConfirmChange(Action):
    """Check and confirm from the host itself, after everything else; or have it all restored. target: the bridge."""

    rollback: Rollback = field(metadata=HIDDEN)


@dataclass(frozen=True)
class TakePort(Action):
    """Make an interface a port and give what it had to the bridge, in one batch. target: the bridge.

    addresses, routes: what the bridge then has of it. batch: lines for ip.
    """

    port: str
    addresses: Tuple[str, ...] = ()
    routes: Tuple[str, ...] = ()
    batch: Lines = field(default=(), metadata=HIDDEN)


@dataclass(frozen=True)
class GiveBack(Action):
    """Release a port and give it what the bridge has, in one batch. target: the bridge."""

    port: str
    addresses: Tuple[str, ...] = ()
    routes: Tuple[str, ...] = ()
    batch: Lines = field(default=(), metadata=HIDDEN)


@dataclass(frozen=True)
class SetGateway(Action):
    """The default route by way of the bridge. batch: lines for ip."""

    gateway: str
    batch: Lines = field(default=(), metadata=HIDDEN)


@dataclass(frozen=True)
class MoveClient(Action):
    """A DHCP client goes on for another interface, with its leases; or it ends. target: the interface that it looked after.

    argv: starts it there. leases: the files that it remembers them in, old and new.
    """

    to: Optional[str]
    argv: Tuple[str, ...] = field(default=(), metadata=HIDDEN)
    leases: Tuple[Tuple[str, str], ...] = field(default=(), metadata=HIDDEN)


@dataclass(frozen=True)
class WriteFile(Action):
    """A file of a network configuration, as a whole. target: its path. mode: of a new one; an old one keeps its own."""

    text: str = field(metadata=HIDDEN)
    mode: int = field(default=0o644, metadata=HIDDEN)


@dataclass(frozen=True)
class RemoveFile(Action):
    """target: the path of a file of ours."""


@dataclass(frozen=True)
class ReloadBackend(Action):
    """Has a back end read its files again. target: the back end."""

    argv: Tuple[str, ...] = field(metadata=HIDDEN)


@dataclass(frozen=True)
class CreateBridge(Action):
    """With its address and options at once: the kernel makes a bridge with all of them, or none at all."""

    mac_address: Optional[str]
    options: Mapping[str, Value]


@dataclass(frozen=True)
class DeleteBridge(Action):
    pass


@dataclass(frozen=True)
class SetBridgeOption(Action):
    option: str
    value: Value


@dataclass(frozen=True)
class SetMacAddress(Action):
    mac_address: str


@dataclass(frozen=True)
class SetMtu(Action):
    mtu: int


@dataclass(frozen=True)
class AddPort(Action):
    """target: the bridge."""

    port: str


@dataclass(frozen=True)
class RemovePort(Action):
    """target: the bridge."""

    port: str


@dataclass(frozen=True)
class SetPortOption(Action):
    """target: the port."""

    option: str
    value: Value


@dataclass(frozen=True)
class SetVlans(Action):
    """All VLANs of a port, or of the bridge itself. target: the interface. batch: lines for bridge."""

    vlans: Tuple[Mapping[str, Any], ...]
    batch: Lines = field(default=(), metadata=HIDDEN)


@dataclass(frozen=True)
class SetPortState(Action):
    """target: the port. number: the kernel's."""

    state: str
    number: int = field(metadata=HIDDEN)


@dataclass(frozen=True)
class SetAcceptRa(Action):
    """Whether the kernel obeys router advertisements. value: the kernel's."""

    accept_ra: bool
    value: str = field(metadata=HIDDEN)


@dataclass(frozen=True)
class SetDns(Action):
    """What systemd-resolved asks by way of the interface, until the reboot."""

    nameservers: Optional[Lines] = None
    search: Optional[Lines] = None


@dataclass(frozen=True)
class AddAddress(Action):
    address: str


@dataclass(frozen=True)
class RemoveAddress(Action):
    address: str


@dataclass(frozen=True)
class BringUp(Action):
    """target: the bridge or a port."""
