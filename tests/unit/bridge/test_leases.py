# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Addresses with a lifetime, on their way to a bridge: somebody keeps them up there, or they stay as long as the host runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.bridge import plan as planner
from ansible_collections.virtops.linux.plugins.module_utils.bridge import plan_actions as p
from ansible_collections.virtops.linux.plugins.module_utils.bridge.model import Address, Desired, Link, Observed, Port, WantedPort
from ansible_collections.virtops.linux.plugins.module_utils.bridge.persist.model import NETWORKD, NETWORKMANAGER, Stored
from support.hosts import converged

LEASE = Address("203.0.113.7/24", dynamic=True, words=("203.0.113.7/24", "valid_lft", "3600", "preferred_lft", "1800"))
ADVERTISED = Address("2001:db8::7/64", dynamic=True, words=("2001:db8::7/64", "valid_lft", "3600", "preferred_lft", "0", "nodad"))
ETH0 = Link("eth0", mac="52:54:00:00:00:aa", up=True, held=(LEASE, ADVERTISED))
DHCLIENT = ("dhclient", "-lf", "/var/lib/dhcp/dhclient.eth0.leases", "eth0")
TAKE = Desired("br0", ports=(WantedPort("eth0"),))
OWN = {"203.0.113.7/24": ("3600", "1800"), "2001:db8::7/64": ("3600", "0")}
FOR_YEARS = {"203.0.113.7/24": ("315360000", "315360000"), "2001:db8::7/64": ("315360000", "0")}


def lifetimes(plan):
    (taken,) = (action for action in plan.actions if isinstance(action, p.TakePort))
    lines = [line.split() for line in taken.batch if line.startswith("address replace")]
    return {words[2]: (words[words.index("valid_lft") + 1], words[words.index("preferred_lft") + 1]) for words in lines}


@pytest.mark.parametrize(
    ("stored", "clients", "four", "six"),
    [
        (Stored(), {}, FOR_YEARS, OWN),
        (Stored(), {"eth0": DHCLIENT}, OWN, OWN),
        (Stored(found=NETWORKMANAGER, running=(NETWORKMANAGER,)), {}, FOR_YEARS, FOR_YEARS),
        (Stored(backend=NETWORKD, found=NETWORKD, running=(NETWORKD,)), {}, OWN, OWN),
    ],
)
def test_what_nobody_renews_does_not_run_out(stored, clients, four, six):
    plan = converged(planner.plan, Observed("br0", links={"eth0": ETH0}, stored=stored, clients=clients), TAKE)
    wanted = {cidr: (six if ":" in cidr else four)[cidr] for cidr in OWN}
    assert lifetimes(plan) == wanted


def test_the_client_goes_with_the_lease_and_ends_with_it():
    new = Observed("br0", links={"eth0": ETH0}, clients={"eth0": DHCLIENT})
    (*_before, moved) = converged(planner.plan, new, TAKE).actions
    assert moved == p.MoveClient(
        "eth0",
        "br0",
        ("dhclient", "-nw", "-lf", "/var/lib/dhcp/dhclient.br0.leases", "br0"),
        (("/var/lib/dhcp/dhclient.eth0.leases", "/var/lib/dhcp/dhclient.br0.leases"),),
    )
    (*_before, ended) = converged(planner.plan, new, replace(TAKE, addresses=("203.0.113.9/24",))).actions
    assert ended == p.MoveClient("eth0", None)
    assert not any(isinstance(action, p.MoveClient) for action in converged(planner.plan, new, replace(TAKE, move=False)).actions)


def test_the_client_goes_back_with_the_bridge():
    there = Observed(
        "br0", kind="bridge", up=True, mac=ETH0.mac, mac_fixed=True, ports=(Port("eth0", mac=ETH0.mac),), leased=(LEASE,), clients={"br0": DHCLIENT}
    )
    plan = converged(planner.plan, there, Desired("br0", present=False))
    kinds = [action.kind for action in plan.actions]
    assert kinds == ["give_back", "move_client", "delete_bridge"] and plan.actions[1].to == "eth0"
