# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""VLANs of bridges and of their ports: what is written and read, planned, and kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.bridge import plan as planner
from ansible_collections.virtops.linux.plugins.module_utils.bridge import plan_actions as p
from ansible_collections.virtops.linux.plugins.module_utils.bridge import vlans
from ansible_collections.virtops.linux.plugins.module_utils.bridge.apply import apply
from ansible_collections.virtops.linux.plugins.module_utils.bridge.model import Desired, Link, Observed, Port, WantedPort
from ansible_collections.virtops.linux.plugins.module_utils.bridge.persist import ifupdown, netplan, networkd, networkmanager
from ansible_collections.virtops.linux.plugins.module_utils.bridge.persist.model import Kept, Stored, header, record
from ansible_collections.virtops.linux.plugins.module_utils.bridge.read import vlans as read_vlans
from ansible_collections.virtops.linux.plugins.module_utils.bridge.vlans import Vlan
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Result
from support.hosts import FakeHost, converged

CAPTURED = Path(__file__).with_name("data").joinpath("bridge-6.1.0-vlan.json").read_text()
ACCESS = (Vlan(10, 10, pvid=True, untagged=True),)
TRUNK = (Vlan(3, 3), Vlan(20, 29))
OPTIONS = {"stp": False, "vlan_filtering": True, "vlan_default_pvid": 1}
ETH1 = Link("eth1", mac="52:54:00:00:00:aa", up=True)
BRIDGE = Observed(
    "br0", kind="bridge", up=True, options=OPTIONS, ports=(Port("eth1", vlans=ACCESS, state="forwarding"),), vlans=ACCESS, links={"eth1": ETH1}
)


def parsed(*items):
    return vlans.parsed([item if isinstance(item, dict) else {"vid": item} for item in items], "vlans")


def test_lists_that_mean_the_same_are_the_same():
    assert parsed("20-24", 25, "26 - 29", "3") == TRUNK == parsed(*reversed(range(20, 30)), 3)
    assert parsed({"vid": 10, "pvid": True, "untagged": True}) == ACCESS and parsed() == () and vlans.parsed(None, "vlans") is None
    assert parsed({"vid": 10, "pvid": True}, 11) == (Vlan(10, 10, pvid=True), Vlan(11, 11)), "the pvid is never within a range"
    assert vlans.parsed(vlans.shown((*TRUNK, *ACCESS)), "vlans") == parsed("20-29", 3, {"vid": 10, "pvid": True, "untagged": True})


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (["ten"], "invalid_vlan"),
        (["10,20"], "invalid_vlan"),
        ([""], "invalid_vlan"),
        ([0], "out_of_range"),
        ([4095], "out_of_range"),
        (["29-20"], "out_of_range"),
        ([10, "5-15"], "duplicate_vlan"),
        ([{"vid": "5-6", "pvid": True}], "invalid_vlan"),
        ([{"vid": 5, "pvid": True}, {"vid": 6, "pvid": True}], "invalid_vlan"),
    ],
)
def test_lists_that_no_port_can_have(given, code):
    with pytest.raises(Failure) as caught:
        parsed(*given)
    assert caught.value.code == code and caught.value.message.startswith("vlans: ")


def test_the_kernels_lists(tmp_path):
    found = read_vlans(FakeHost(tmp_path, {}, [(["bridge", "-j", "vlan", "show"], Result(0, CAPTURED, ""))]))
    assert found == {
        "vt-br0": (Vlan(1, 1, pvid=True, untagged=True), Vlan(10, 10)),
        "vt-p0": (Vlan(1, 1, untagged=True), *ACCESS, Vlan(20, 29), Vlan(30, 32, untagged=True)),
    }
    compressed = [{"ifname": "eth1", "vlans": [{"vlan": 20, "vlanEnd": 29}, {"vlan": 30}]}]
    assert vlans.from_kernel(compressed) == {"eth1": (Vlan(20, 30),)}
    assert read_vlans(FakeHost(tmp_path, {}, [(["bridge", "-j", "vlan", "show"], Result(255, "", "Operation not supported"))])) == {}


def test_the_lines_lead_there_from_everywhere():
    assert vlans.lines("eth1", (), False) == ("vlan delete vid 1-4094 dev eth1",)
    assert vlans.lines("br0", ACCESS, True) == (
        "vlan add vid 10 dev br0 self pvid untagged",
        "vlan delete vid 1-9 dev br0 self",
        "vlan delete vid 11-4094 dev br0 self",
    )
    assert vlans.lines("eth1", (Vlan(1, 4094),), False) == ("vlan add vid 1-4094 dev eth1",)


def wanted(own=None, port=None, **more):
    return Desired("br0", ports=(WantedPort("eth1", vlans=port),), vlans=own, **more)


def kinds(plan):
    return [action.kind for action in plan.actions]


def test_only_what_differs_is_set(tmp_path):
    assert converged(planner.plan, BRIDGE, wanted(ACCESS, ACCESS)).actions == ()
    assert converged(planner.plan, BRIDGE, wanted()).actions == ()
    plan = converged(planner.plan, BRIDGE, wanted(ACCESS, TRUNK, force=True))
    assert kinds(plan) == ["set_vlans"] and plan.actions[0].describe() == {
        "action": "set_vlans",
        "target": "eth1",
        "vlans": [{"vid": "3", "pvid": False, "untagged": False}, {"vid": "20-29", "pvid": False, "untagged": False}],
    }
    assert plan.after.ports[0].vlans == TRUNK and converged(planner.plan, BRIDGE, wanted((), ())).after.vlans == ()
    host = FakeHost(
        tmp_path, {}, [(["bridge", "-batch", "-"], Result(0, "", "")), (["bridge", "-batch", "-"], Result(2, "", "RTNETLINK answers: No"))]
    )
    apply(host, plan.actions[0])
    with pytest.raises(Failure, match="eth1: the kernel refused to set vlans: RTNETLINK answers: No"):
        apply(host, plan.actions[0])


def test_what_a_port_has_by_itself_is_not_relied_upon():
    """A new port has the default pvid, and a new default pvid is that of all ports, whatever they had."""
    new = replace(BRIDGE, ports=())
    assert kinds(converged(planner.plan, new, wanted(ACCESS, ()))) == ["add_port", "set_vlans"]
    plan = converged(planner.plan, BRIDGE, wanted(ACCESS, ACCESS, options={"vlan_default_pvid": 0}))
    assert kinds(plan) == ["set_bridge_option", "set_vlans", "set_vlans"]
    fresh = Observed("br0", links={"eth1": ETH1})
    assert converged(planner.plan, fresh, wanted(ACCESS, TRUNK)).actions == (
        p.CreateBridge("br0", None, {"vlan_filtering": False}),
        p.AddPort("br0", "eth1"),
        p.SetVlans("eth1", tuple(vlans.shown(TRUNK)), vlans.lines("eth1", TRUNK, False)),
        p.SetVlans("br0", tuple(vlans.shown(ACCESS)), vlans.lines("br0", ACCESS, True)),
        p.BringUp("br0"),
    ), "a kernel that cannot filter is to refuse the bridge and not its VLANs"


def test_a_bridge_in_use_filters_once_its_vlans_are_right():
    off = replace(BRIDGE, options={**OPTIONS, "vlan_filtering": False}, vlans=(), ports=(Port("eth1"),))
    plan = converged(planner.plan, off, wanted(ACCESS, TRUNK, options={"vlan_filtering": True}))
    assert kinds(plan) == ["set_vlans", "set_vlans", "set_bridge_option"] and plan.after.options["vlan_filtering"] is True
    assert kinds(converged(planner.plan, off, wanted(options={"vlan_filtering": True}))) == ["set_bridge_option"]
    assert "no effect" in converged(planner.plan, off, wanted(ACCESS)).warnings[0]


def test_a_kernel_without_vlans_says_so():
    old = replace(BRIDGE, options={"stp": False, "vlan_filtering": False})
    for desired in (wanted(ACCESS), wanted(None, ())):
        with pytest.raises(Failure, match="without VLAN filtering; leave vlans out"):
            planner.plan(old, desired)


def test_vlans_of_the_connection_are_not_taken_away_unwatched():
    routed = replace(BRIDGE, default_route=True)
    with pytest.raises(Failure, match="VLAN 10 of eth1, VLAN 10 of br0"):
        planner.plan(routed, wanted(TRUNK, TRUNK))
    assert kinds(planner.plan(routed, wanted((*ACCESS, Vlan(11, 11)), ACCESS))) == ["set_vlans"], "more is no danger"
    assert kinds(planner.plan(routed, wanted(TRUNK, force=True))) == ["set_vlans"]


def test_what_the_user_spoke_of_is_shown():
    assert "vlans" not in planner.view(BRIDGE, wanted()) and "vlans" not in planner.view(BRIDGE, wanted())["ports"][0]
    assert planner.view(BRIDGE, wanted(ACCESS, ()))["vlans"] == vlans.shown(ACCESS) == planner.view(BRIDGE, wanted(None, ()))["ports"][0]["vlans"]
    assert planner.facts(BRIDGE)["ports"] == [{"name": "eth1", "vlans": vlans.shown(ACCESS)}] and planner.facts(BRIDGE)["vlans"]
    assert "vlans" not in planner.facts(replace(BRIDGE, options={"vlan_filtering": False}))


# Kept over a reboot

KEPT = Kept(
    options={"vlan_filtering": True, "vlan_default_pvid": 0},
    ports={"eth1": {}, "eth2": {}},
    vlans=ACCESS,
    port_vlans={"eth1": (TRUNK[0], *ACCESS, TRUNK[1])},
)


def test_each_back_end_that_can_keeps_them():
    text = "".join(networkd.wanted("br0", KEPT, Stored()).values())
    assert "\n[BridgeVLAN]\nVLAN=10\nPVID=10\nEgressUntagged=10\n" in text and "\n[BridgeVLAN]\nVLAN=20-29\n" in text
    assert text.count("[BridgeVLAN]") == 4
    text = "".join(networkmanager.wanted("br0", KEPT, Stored()).values())
    assert "\nvlans=10 pvid untagged\n" in text and "\n[bridge-port]\nvlans=3, 10 pvid untagged, 20-29\n" in text
    text = "".join(filter(None, ifupdown.wanted("br0", KEPT, Stored(files={ifupdown.MAIN: ifupdown.READS_FOLDER})).values()))
    assert "    pre-up bridge vlan add vid 10 dev br0 self pvid untagged\n" in text and "pre-up bridge vlan delete vid 30-4094 dev eth1\n" in text
    assert "dev eth2 self" not in text and "vlan delete vid 1-2 dev eth1" in text
    assert record(header("br0", KEPT)) == KEPT


def test_what_a_back_end_cannot_keep_of_them():
    for backend in (networkd, networkmanager):
        assert backend.gaps(KEPT, Stored()) == []
        over = replace(KEPT, options={"vlan_filtering": True})
        assert [gap.partition(", which")[0] for gap in backend.gaps(over, Stored())] == [
            "the VLANs of the bridge itself without VLAN 1",
            "the VLANs of the port eth1 without VLAN 1",
        ]
        with_default = (Vlan(1, 1, untagged=True), *ACCESS)
        assert backend.gaps(replace(over, vlans=with_default, port_vlans={}), Stored()) == []
    assert networkmanager.gaps(replace(KEPT, options={"vlan_default_pvid": 0}), Stored()) == ["VLANs without vlan_filtering: true"]
    assert netplan.gaps(Kept(vlans=ACCESS), Stored()) == ["VLANs of the bridge and of its ports"]
    assert ifupdown.gaps(KEPT, Stored()) == []


def test_tasks_add_to_what_is_kept_and_what_the_lists_depend_on_is_kept_along():
    stored = Stored(found="networkd", running=("networkd",))
    first = converged(planner.plan, replace(BRIDGE, stored=stored, options={**OPTIONS, "vlan_default_pvid": 0}), wanted(None, TRUNK, persist="auto"))
    kept = first.after.stored.kept
    assert kept.options == {"vlan_filtering": True, "vlan_default_pvid": 0} and (kept.vlans, kept.port_vlans) == (None, {"eth1": TRUNK})
    kept = converged(planner.plan, first.after, Desired("br0", vlans=ACCESS)).after.stored.kept
    assert (kept.vlans, kept.port_vlans) == (ACCESS, {"eth1": TRUNK})
    kept = converged(planner.plan, first.after, Desired("br0", ports=(), purge=True, force=True)).after.stored.kept
    assert kept.port_vlans == {}, "with a port its VLANs go"


# The state of a port


def test_the_state_of_a_port():
    desired = Desired("br0", ports=(WantedPort("eth1", {"cost": 5}, state="disabled"),))
    plan = converged(planner.plan, BRIDGE, desired)
    assert plan.actions == (p.SetPortOption("eth1", "cost", 5), p.SetPortState("eth1", "disabled", 0))
    disabled = replace(plan.after, ports=(replace(plan.after.ports[0], options={"cost": 4}),))
    assert kinds(converged(planner.plan, disabled, desired)) == ["set_port_option", "set_port_state"], "any other setting makes it forwarding"
    with pytest.raises(Failure, match="alone decides"):
        planner.plan(BRIDGE, replace(desired, options={"stp": True}))
    dark = replace(BRIDGE, ports=(Port("eth1", carrier=False, state="disabled"),))
    with pytest.raises(Failure, match="has no carrier"):
        planner.plan(dark, Desired("br0", ports=(WantedPort("eth1", state="learning"),)))
    assert planner.plan(dark, Desired("br0", ports=(WantedPort("eth1", state="disabled"),))).actions == ()


def test_a_set_state_is_said_by_bridge(tmp_path):
    host = FakeHost(tmp_path, {}, [(["bridge", "link", "set", "dev", "eth1", "state", "2"], Result(0, "", ""))])
    apply(host, p.SetPortState("eth1", "learning", 2))
    assert host.exhausted() and json.dumps(p.SetPortState("eth1", "learning", 2).describe()).count("2") == 0
