# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that change bridges."""

from __future__ import annotations

import re
import time
from functools import singledispatch
from typing import Any, List, Sequence

from ..engine.errors import Failure
from ..engine.host import Host, Result
from ..engine.plan import Action
from . import plan_actions as plan
from . import rollback
from .fields import bridge_field, port_field
from .guard import clients, machine, names
from .guard.restore import accept_ra_knob
from .read import PACKAGE

BRIDGE = "bridge"
#: How often a batch is tried, and how long to wait before the next time, in seconds.
TRIES = 5
PAUSE = 0.2
CARRIER_SECONDS = 3
TIMER_SECONDS = 61  # two of the longest forward delays
#: What ip says of a line of its batch.
_FAILED_LINE = re.compile(r"Command failed -:([0-9]+)")


def apply(host: Host, action: Action) -> None:
    """One ip command an action, so that a refusal of the kernel's names its step; what belongs together is one batch."""
    if isinstance(action, plan.ArmRollback):
        rollback.arm(host, action)
        return
    if isinstance(action, plan.ConfirmChange):
        rollback.confirm_from_here(host, action.target, action.rollback)
        return
    if isinstance(action, plan.WriteFile):
        host.write(action.target, action.text, action.mode)
        return
    if isinstance(action, plan.RemoveFile):
        host.remove(action.target)
        return
    if isinstance(action, plan.ReloadBackend):
        host.run(action.argv)
        return
    if isinstance(action, plan.SetAcceptRa):
        host.write_knob(accept_ra_knob(action.target), action.value)
        return
    if isinstance(action, plan.SetDns):
        for word, given in zip(names.WORDS, (action.nameservers, action.search)):
            if given is not None:
                host.run([host.require(names.TOOL, "systemd-resolved"), *names.set_argv(word, action.target, given)[1:]])
        return
    if isinstance(action, plan.MoveClient):
        _move_client(host, action)
        return
    if isinstance(action, plan.SetPortState):
        _settle(host, action)
    of_bridge = isinstance(action, (plan.SetVlans, plan.SetPortState))
    argv = [host.require("bridge" if of_bridge else "ip", PACKAGE), *command(action)]
    batch = action.batch if isinstance(action, (plan.TakePort, plan.GiveBack, plan.SetGateway, plan.SetVlans)) else None
    result = host.run(argv, check=False) if batch is None else _run_batch(host, argv, batch)
    if result.rc:
        if "not supported" in result.stderr and isinstance(action, plan.CreateBridge) and "vlan_filtering" in action.options:
            raise Failure(
                f"{action.target}: this kernel was built without VLAN filtering; leave the vlan options out, or boot another kernel",
                "unsupported_by_kernel",
                argv=argv,
                stderr=result.stderr,
            )
        denied = "not permitted" in result.stderr
        way_out = "run the task with become: true" if denied else "its own message may be in the kernel log (dmesg)"
        raise Failure(
            f"{action.target}: the kernel refused to {action.kind.replace('_', ' ')}: {result.complaint}; {way_out}",
            "permission_denied" if denied else "refused_by_kernel",
            argv=argv,
            stderr=result.stderr,
        )


def _settle(host: Host, action: plan.SetPortState) -> None:
    """Wait until the kernel leaves the port's state alone.

    A port that was just brought up is seen so a moment later, which makes a disabled one forwarding. And a port that began to forward less than
    the forward delay ago has a timer, at whose end the kernel takes a listening or learning one a step further, with STP or without.
    """
    link = f"/sys/class/net/{action.target}"
    _await(host, f"{link}/operstate", ("up", "unknown"), CARRIER_SECONDS)
    if action.state in ("listening", "learning"):
        _await(host, f"{link}/brport/forward_delay_timer", ("0",), TIMER_SECONDS)


def _await(host: Host, path: str, wanted: Sequence[str], seconds: float) -> None:
    """A file that is not there has nothing to wait for."""
    deadline = time.monotonic() + seconds
    while (host.try_read(path) or wanted[0]).strip() not in wanted and time.monotonic() < deadline:
        time.sleep(PAUSE)


def _move_client(host: Host, action: plan.MoveClient) -> None:
    running = machine.dhcp_clients().get(action.target)
    if running is not None:
        machine.stop_client(running)
    if action.to is None:
        return
    for old, new in action.leases:
        text = host.try_read(old)
        if text is not None:
            host.write(new, clients.renamed(text, action.target, action.to), 0o644)
    host.run(action.argv)


def _run_batch(host: Host, argv: Sequence[str], lines: Sequence[str]) -> Result:
    """All lines, or the kernel's refusal of one.

    A daemon that looks after a port takes its addresses away for an instant when the port leaves the bridge, and the kernel then refuses the routes
    that stand on them. So where a route is refused, what leads there is set again, which changes nothing where it is so.
    """
    left = TRIES
    while True:
        result = host.run(argv, stdin="".join(f"{line}\n" for line in lines), check=False)
        failed = _FAILED_LINE.search(result.stderr) if result.rc else None
        number = int(failed[1]) - 1 if failed else 0
        left -= 1
        if not failed or not left or not lines[number].startswith("route "):
            return result
        lines = [line for line in lines[:number] if " delete " not in line] + list(lines[number:])
        time.sleep(PAUSE)


@singledispatch
def command(action: Any) -> Sequence[str]:
    """The words that ip takes for an action."""
    raise TypeError(action)


@command.register
def _create(action: plan.CreateBridge) -> Sequence[str]:
    words: List[str] = ["link", "add", "name", action.target]
    if action.mac_address is not None:
        words += ["address", action.mac_address]
    words += ["type", BRIDGE]
    for name, value in action.options.items():
        field = bridge_field(name)
        words += [field.key, field.write(value)]
    return words


@command.register
def _delete(action: plan.DeleteBridge) -> Sequence[str]:
    return ["link", "delete", "dev", action.target]


@command.register
def _set_option(action: plan.SetBridgeOption) -> Sequence[str]:
    field = bridge_field(action.option)
    return ["link", "set", "dev", action.target, "type", BRIDGE, field.key, field.write(action.value)]


@command.register
def _set_mac(action: plan.SetMacAddress) -> Sequence[str]:
    return ["link", "set", "dev", action.target, "address", action.mac_address]


@command.register
def _set_mtu(action: plan.SetMtu) -> Sequence[str]:
    return ["link", "set", "dev", action.target, "mtu", str(action.mtu)]


@command.register
def _add_port(action: plan.AddPort) -> Sequence[str]:
    return ["link", "set", "dev", action.port, "master", action.target]


@command.register
def _remove_port(action: plan.RemovePort) -> Sequence[str]:
    return ["link", "set", "dev", action.port, "nomaster"]


@command.register
def _set_port_option(action: plan.SetPortOption) -> Sequence[str]:
    field = port_field(action.option)
    value = ("on" if action.value else "off") if field.form == "flag" else field.write(action.value)
    return ["link", "set", "dev", action.target, "type", "bridge_slave", field.key, value]


@command.register
def _add_address(action: plan.AddAddress) -> Sequence[str]:
    # replace, not add: the address may be there with a lifetime, or may have come back by itself (promote_secondaries).
    return ["address", "replace", action.address, "dev", action.target]


@command.register
def _remove_address(action: plan.RemoveAddress) -> Sequence[str]:
    return ["address", "delete", action.address, "dev", action.target]


@command.register
def _bring_up(action: plan.BringUp) -> Sequence[str]:
    return ["link", "set", "dev", action.target, "up"]


@command.register
def _set_state(action: plan.SetPortState) -> Sequence[str]:
    # Not by ip, after which the kernel looks at the port's carrier anew and makes a disabled port forwarding.
    return ["link", "set", "dev", action.target, "state", str(action.number)]


@command.register(plan.SetVlans)
@command.register(plan.TakePort)
@command.register(plan.GiveBack)
@command.register(plan.SetGateway)
def _batch(action: Any) -> Sequence[str]:
    return ["-batch", "-"]
