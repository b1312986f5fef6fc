# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.bridge import plan as planner
from ansible_collections.virtops.linux.plugins.module_utils.bridge import plan_actions as p
from ansible_collections.virtops.linux.plugins.module_utils.bridge.guard.routes import address_words, route_words
from ansible_collections.virtops.linux.plugins.module_utils.bridge.model import (
    SPEC,
    Address,
    Desired,
    Link,
    Observed,
    Port,
    WantedPort,
    from_params,
)
from ansible_collections.virtops.linux.plugins.module_utils.bridge.model_rollback import Rollback, verify_target
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from support.hosts import converged

PARAMS = {name: option.get("default") for name, option in SPEC["argument_spec"].items()}
MAC = "52:54:00:00:00:aa"
HELD = (
    Address("203.0.113.7/24", words=("203.0.113.7/24", "broadcast", "203.0.113.255")),
    Address("2001:db8::7/64", words=("2001:db8::7/64", "nodad")),
)
ROUTES = (
    ("203.0.113.0/24", "dev", "eth0", "proto", "kernel", "scope", "link", "src", "203.0.113.7"),
    ("default", "via", "203.0.113.1", "dev", "eth0", "metric", "50"),
)
ETH0 = Link("eth0", mac=MAC, up=True, default_route=True, addresses=("203.0.113.7/24", "2001:db8::7/64"), held=HELD, routes=ROUTES)
NEW = Observed("br0", links={"default_route": ETH0})
WATCHED = Rollback("word")
BRIDGED = Observed(
    "br0",
    kind="bridge",
    up=True,
    mac=MAC,
    mac_fixed=True,
    addresses=HELD,
    routes=(("default", "via", "203.0.113.1", "dev", "br0", "metric", "50"),),
    ports=(Port("eth0", mac=MAC),),
    default_route=True,
)


def take(**options):
    return Desired("br0", ports=(WantedPort("default_route"),), rollback=WATCHED, **options)


def test_the_port_of_the_default_route_gives_what_it_has_in_one_batch():
    plan = converged(planner.plan, NEW, take())
    armed, created, up, taken = plan.actions
    assert armed == p.ArmRollback("br0", 60, WATCHED, ("br0", "eth0"))
    assert (created, up) == (p.CreateBridge("br0", MAC, {}), p.BringUp("br0"))
    assert taken.addresses == ("203.0.113.7/24", "2001:db8::7/64") and taken.routes == ("default via 203.0.113.1 dev br0 metric 50",)
    assert taken.batch == (
        "link set dev eth0 master br0",
        "address replace 203.0.113.7/24 broadcast 203.0.113.255 dev br0",
        "address replace 2001:db8::7/64 nodad dev br0",
        "route replace default via 203.0.113.1 dev br0 metric 50",
        "address delete 2001:db8::7/64 dev eth0",
        "address delete 203.0.113.7/24 dev eth0",
        "route replace default via 203.0.113.1 dev br0 metric 50",
    )
    assert plan.after.default_route and plan.after.mac_fixed and plan.after.mac == MAC


def test_only_the_addresses_that_are_listed_move_and_routes_that_they_cannot_carry_stay():
    (*_before, taken) = converged(planner.plan, NEW, take(addresses=("198.51.100.7/24",))).actions
    assert taken.addresses == ("198.51.100.7/24",) and taken.routes == ()
    (*_before, taken) = converged(planner.plan, NEW, take(addresses=("203.0.113.7/24",), gateways=(("4", "203.0.113.254"),))).actions
    assert taken.routes == ("default via 203.0.113.254 dev br0 metric 50",)


def test_without_a_watch_the_host_stays_as_it_is():
    with pytest.raises(Failure, match="nobody watches") as caught:
        planner.plan(NEW, replace(take(), rollback=None))
    assert caught.value.code == "would_cut_connection"
    assert not isinstance(converged(planner.plan, NEW, replace(take(), rollback=None, force=True)).actions[0], p.ArmRollback)


def test_the_module_confirms_last_what_nobody_else_does():
    itself = Rollback(None, check_gateway=True)
    actions = converged(planner.plan, NEW, replace(take(), rollback=itself)).actions
    assert isinstance(actions[0], p.ArmRollback) and actions[-1] == p.ConfirmChange("br0", itself)


def test_a_new_bridge_alone_needs_no_watch():
    assert converged(planner.plan, Observed("br0"), Desired("br0", rollback=WATCHED)).actions[0] == p.CreateBridge("br0", None, {})
    assert isinstance(converged(planner.plan, BRIDGED, Desired("br0", mtu=1400, rollback=WATCHED)).actions[0], p.ArmRollback)
    assert converged(planner.plan, BRIDGED, Desired("br0", rollback=WATCHED)).actions == ()


def test_absent_gives_back_to_the_port_whose_place_the_bridge_took():
    _armed, given, deleted = converged(planner.plan, BRIDGED, Desired("br0", present=False, rollback=WATCHED)).actions
    assert given.port == "eth0" and given.routes == ("default via 203.0.113.1 dev eth0 metric 50",)
    assert given.batch[:3] == (
        "link set dev eth0 nomaster",
        "link set dev eth0 up",
        "address replace 203.0.113.7/24 broadcast 203.0.113.255 dev eth0",
    )
    assert deleted == p.DeleteBridge("br0")
    for other in (replace(BRIDGED, ports=(Port("eth0", mac="52:54:00:00:00:bb"),)), replace(BRIDGED, ports=(Port("tap0", kind="tun", mac=MAC),))):
        with pytest.raises(Failure, match="would cut this host off"):
            planner.plan(other, Desired("br0", present=False, rollback=WATCHED))


def test_a_gateway_is_set_and_changed():
    plan = converged(planner.plan, BRIDGED, Desired("br0", gateways=(("4", "203.0.113.254"),)))
    assert plan.actions == (
        p.SetGateway(
            "br0",
            "203.0.113.254",
            ("route delete default via 203.0.113.1 dev br0 metric 50", "route replace default via 203.0.113.254 dev br0 metric 50"),
        ),
    )
    onlink = replace(BRIDGED, routes=(("default", "via", "203.0.113.254", "dev", "br0", "metric", "50", "onlink"),))  # as networkd sets it
    assert planner.plan(onlink, Desired("br0", gateways=(("4", "203.0.113.254"),))).actions == ()
    with pytest.raises(Failure, match="no network of the bridge") as caught:
        planner.plan(BRIDGED, Desired("br0", gateways=(("4", "10.0.0.1"),)))
    assert caught.value.code == "gateway_unreachable"


@pytest.mark.parametrize(
    ("given", "rollback"),
    [
        ({}, None),
        ({"confirm": "none", "rollback_id": "x"}, None),
        ({"rollback_id": "x"}, Rollback("x")),
        ({"rollback_id": "x", "confirm": "gateway", "rollback_timeout": 9}, Rollback("x", 9, True)),
        ({"confirm": "gateway"}, Rollback(None, 60, True)),
        ({"verify_hosts": ["203.0.113.1"]}, Rollback(None, 60, False, ("203.0.113.1",))),
    ],
)
def test_who_confirms(given, rollback):
    assert from_params({**PARAMS, "name": "br0", **given}).rollback == rollback


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("203.0.113.1", ("203.0.113.1", None)),
        ("203.0.113.1:22", ("203.0.113.1", 22)),
        ("2001:db8::1", ("2001:db8::1", None)),
        ("[2001:db8::1]:22", ("2001:db8::1", 22)),
        ("[2001:db8::1]", ("2001:db8::1", None)),
    ],
)
def test_hosts_to_verify(text, target):
    assert verify_target(text) == target


@pytest.mark.parametrize(
    ("route", "family", "words"),
    [
        ({"dst": "default", "gateway": "203.0.113.1", "dev": "eth0", "flags": []}, "4", "default via 203.0.113.1 dev eth0"),
        ({"dst": "default", "gateway": "fe80::1", "dev": "eth0", "protocol": "ra", "metric": 100, "expires": 1800, "flags": [], "pref": "high"},
         "6", "::/0 via fe80::1 dev eth0 metric 100 proto ra pref high expires 1800"),
        ({"dst": "10.0.0.0/8", "via": {"family": "inet6", "host": "fe80::1"}, "dev": "eth0", "flags": ["onlink"]},
         "4", "10.0.0.0/8 via inet6 fe80::1 dev eth0 onlink"),
        ({"type": "blackhole", "dst": "10.1.0.0/16", "table": "100", "flags": []}, "4", "blackhole 10.1.0.0/16 table 100"),
        ({"dst": "10.2.0.0/16", "metrics": [{"mtu": 1400, "advmss": 1000}], "dev": "eth0", "scope": "link", "flags": []},
         "4", "10.2.0.0/16 dev eth0 scope link advmss 1000 mtu 1400"),
        ({"dst": "default", "flags": [], "nexthops": [{"gateway": "203.0.113.1", "dev": "eth0", "weight": 2}, {"dev": "eth1"}]},
         "4", "default nexthop via 203.0.113.1 dev eth0 weight 2 nexthop dev eth1 weight 1"),
    ],
)  # fmt: skip
def test_routes_in_ips_words(route, family, words):
    assert " ".join(route_words(route, family)) == words


def test_addresses_in_ips_words():
    entry = {"family": "inet", "local": "203.0.113.7", "prefixlen": 24, "broadcast": "203.0.113.255", "scope": "global", "dynamic": True,
             "noprefixroute": True, "metric": 100, "valid_life_time": 600, "preferred_life_time": 300}  # fmt: skip
    assert " ".join(address_words(entry, 200)) == "203.0.113.7/24 broadcast 203.0.113.255 metric 100 valid_lft 400 preferred_lft 100 noprefixroute"
    assert address_words(entry, 9999)[6:8] == ("1", "preferred_lft")
    peer = {"family": "inet", "local": "10.0.0.1", "address": "10.0.0.2", "prefixlen": 32, "scope": "global", "valid_life_time": 4294967295}
    assert " ".join(address_words(peer)) == "10.0.0.1 peer 10.0.0.2/32"
