# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.bridge import apply as applier
from ansible_collections.virtops.linux.plugins.module_utils.bridge import plan as planner
from ansible_collections.virtops.linux.plugins.module_utils.bridge import plan_actions as p
from ansible_collections.virtops.linux.plugins.module_utils.bridge.apply import apply, command
from ansible_collections.virtops.linux.plugins.module_utils.bridge.fields import bridge_field
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
from ansible_collections.virtops.linux.plugins.module_utils.bridge.read import default_route_devices, read, session_address
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure, NotReady
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Result
from support.hosts import FakeHost, converged

SHOW = ["ip", "-j", "-d", "addr", "show"]
CAPTURED = Path(__file__).with_name("data").joinpath("ip-6.1.0-addr.json").read_text()
ROUTES = '[{"dst":"default","gateway":"192.0.2.1","dev":"eth0","flags":[]}]'
PARAMS = {name: option.get("default") for name, option in SPEC["argument_spec"].items()}

VALUES = {"stp": False, "forward_delay": 15, "vlan_filtering": False, "vlan_default_pvid": 1, "vlan_protocol": "802.1Q", "priority": 32768}
BRIDGE = Observed("br0", kind="bridge", up=True, mac="52:54:00:00:00:01", options=VALUES)
ETH1 = Link("eth1", mac="52:54:00:00:00:aa", up=True)


def host(tmp_path, files=None):
    script = [(SHOW, Result(0, CAPTURED, ""))]
    script += [(["ip", "-j", family, "route", "show", "table", "all"], Result(0, text, "")) for family, text in (("-4", ROUTES), ("-6", ""))]
    return FakeHost(tmp_path, files, script)


def wanted(*ports, **options):
    return Desired("br0", ports=tuple(ports), **options)


def with_links(observed, *links):
    return replace(observed, links={link.name: link for link in links})


# Reading


def test_a_bridge_as_ip_shows_it(tmp_path):
    observed = read(host(tmp_path, {"/sys/class/net/vt-c0/addr_assign_type": "3\n"}), Desired("vt-c0"))
    assert (observed.kind, observed.up, observed.mac_fixed, observed.mtu, observed.default_route) == ("bridge", True, True, 1500, False)
    assert observed.options["stp"] is True and observed.options["forward_delay"] == 4 and observed.options["ageing_time"] == 0.5
    assert observed.options["group_fwd_mask"] == "0x0" and "vlan_default_pvid" not in observed.options
    veth, tap = observed.ports
    assert (veth.name, veth.of_guest, veth.up, veth.options["cost"], veth.options["isolated"]) == ("vt-c1", False, True, 7, True)
    assert (tap.name, tap.of_guest, tap.up) == ("vt-c3", True, False)
    assert [(item.cidr, item.secondary) for item in observed.addresses if not item.automatic] == [
        ("198.51.100.1/24", False),
        ("198.51.100.2/24", True),
        ("2001:db8:5::1/64", False),
    ]
    assert all(item.cidr.startswith("fe80:") for item in observed.addresses if item.automatic)


def test_the_interfaces_that_are_to_be_ports(tmp_path, monkeypatch):
    monkeypatch.setenv("SSH_CONNECTION", "203.0.113.9 50000 203.0.113.7 22")
    names = ("eth0", "vt-c1-alternative-name", "vt-c2", "lo")
    observed = read(host(tmp_path, {"/sys/class/net/vt-c2/phy80211/name": "phy0"}), wanted(*map(WantedPort, names)))
    assert observed.links["eth0"].default_route and not observed.links["vt-c2"].default_route
    assert observed.links["vt-c1-alternative-name"].name == "vt-c1" and observed.links["vt-c1-alternative-name"].master == "vt-c0"
    assert observed.links["vt-c2"].wireless and observed.links["vt-c2"].carries_session
    assert observed.links["vt-c2"].addresses == ("203.0.113.7/24",)
    assert observed.links["lo"].loopback and not observed.links["lo"].ethernet


def test_a_missing_port_is_not_ready_and_absent_does_not_ask_for_it(tmp_path):
    with pytest.raises(NotReady, match="eth7: no such interface"):
        read(host(tmp_path), wanted(WantedPort("eth7")))
    assert not read(host(tmp_path), wanted(WantedPort("eth7"), present=False)).exists


def test_default_routes_of_several_next_hops():
    routes = [{"dst": "default", "nexthops": [{"dev": "eth1"}, {"dev": "br0"}]}, {"dst": "default", "dev": "eth0"}, {"dst": "default", "dev": "lo"}]
    assert default_route_devices(routes) == {"eth0", "eth1", "br0"}


def test_the_address_of_the_session():
    assert session_address("10.0.0.1 1 10.0.0.2 22") == "10.0.0.2" and session_address("") is None


@pytest.mark.parametrize(("hundredths", "seconds"), [(1500, 15), (1499, 15), (50, 0.5), (12344, 123.44), (0, 0)])
def test_the_kernels_times(hundredths, seconds):
    field = bridge_field("ageing_time")
    assert field.read(hundredths) == seconds == field.parse(seconds, "ageing_time")
    assert int(field.write(seconds)) in (hundredths, hundredths + 1)


# Planning


def test_a_new_bridge_is_made_with_all_options_at_once():
    observed = with_links(Observed("br0"), ETH1)
    desired = wanted(WantedPort("eth1", {"isolated": True}), options={"stp": False, "vlan_filtering": False}, mac="inherit", mtu=9000)
    assert converged(planner.plan, observed, desired).actions == (
        p.CreateBridge("br0", "52:54:00:00:00:aa", {"stp": False}),
        p.AddPort("br0", "eth1"),
        p.SetPortOption("eth1", "isolated", True),
        p.SetMtu("br0", 9000),
        p.BringUp("br0"),
    )


def test_vlan_options_of_a_new_bridge_bring_vlan_filtering_along():
    plan = converged(planner.plan, Observed("br0"), Desired("br0", options={"vlan_default_pvid": 5}))
    assert plan.actions[0] == p.CreateBridge("br0", None, {"vlan_filtering": False, "vlan_default_pvid": 5})


@pytest.mark.parametrize("stp", [True, False])
def test_stp_goes_off_before_the_forward_delay_and_on_after_it(stp):
    observed = replace(BRIDGE, options={**VALUES, "stp": not stp})
    options = [action.option for action in converged(planner.plan, observed, Desired("br0", options={"stp": stp, "forward_delay": 4})).actions]
    assert options == (["forward_delay", "stp"] if stp else ["stp", "forward_delay"])


def test_a_forward_delay_that_stp_forbids():
    for observed, options in ((BRIDGE, {"stp": True}), (replace(BRIDGE, options={**VALUES, "stp": True}), {})):
        with pytest.raises(Failure, match="2 to 30 seconds"):
            planner.plan(observed, Desired("br0", options={**options, "forward_delay": 0}))
    assert converged(planner.plan, BRIDGE, Desired("br0", options={"forward_delay": 0})).actions


def test_vlan_options_of_an_existing_bridge():
    desired = Desired("br0", options={"vlan_filtering": True, "vlan_protocol": "802.1ad"})
    assert converged(planner.plan, BRIDGE, desired).actions == (
        p.SetBridgeOption("br0", "vlan_filtering", True),
        p.SetBridgeOption("br0", "vlan_protocol", "802.1ad"),
    )
    without = replace(BRIDGE, options={"stp": False, "vlan_filtering": False})
    for option, value in (("vlan_filtering", True), ("vlan_default_pvid", 5)):
        with pytest.raises(Failure, match="built without VLAN filtering"):
            planner.plan(without, Desired("br0", options={option: value}))
    assert converged(planner.plan, without, Desired("br0", options={"vlan_filtering": False})).actions == ()


def test_ports_that_are_not_listed():
    observed = with_links(replace(BRIDGE, ports=(Port("eth1"), Port("veth0"), Port("vnet0", kind="tun"))), ETH1)
    assert converged(planner.plan, observed, wanted(WantedPort("eth1"))).actions == ()
    assert converged(planner.plan, observed, wanted(WantedPort("eth1"), purge=True)).actions == (p.RemovePort("br0", "veth0"),)
    assert converged(planner.plan, observed, wanted(purge=True)).actions == (p.RemovePort("br0", "eth1"), p.RemovePort("br0", "veth0"))


def test_an_mtu_that_a_new_port_would_change_is_set_after_it():
    observed = with_links(BRIDGE, replace(ETH1, mtu=1300))
    plan = converged(planner.plan, observed, wanted(WantedPort("eth1"), mtu=1500))
    assert plan.actions == (p.AddPort("br0", "eth1"), p.SetMtu("br0", 1500))
    assert converged(planner.plan, with_links(BRIDGE, ETH1), wanted(WantedPort("eth1"), mtu=1500)).actions == (p.AddPort("br0", "eth1"),)


def test_addresses_that_go_with_their_primary_come_back():
    observed = replace(BRIDGE, addresses=(Address("10.0.0.1/24"), Address("10.0.0.2/24", secondary=True), Address("fe80::1/64", automatic=True)))
    plan = converged(planner.plan, observed, Desired("br0", addresses=("10.0.0.2/24",)))
    assert plan.actions == (p.RemoveAddress("br0", "10.0.0.1/24"), p.AddAddress("br0", "10.0.0.2/24"))
    assert converged(planner.plan, observed, Desired("br0", addresses=("10.0.0.1/24",))).actions == (p.RemoveAddress("br0", "10.0.0.2/24"),)
    assert converged(planner.plan, observed, Desired("br0", addresses=None)).actions == ()


@pytest.mark.parametrize(
    ("link", "code", "words"),
    [
        (replace(ETH1, wireless=True), "port_unsuitable", "Wi-Fi"),
        (replace(ETH1, loopback=True), "port_unsuitable", "loopback"),
        (replace(ETH1, ethernet=False), "port_unsuitable", "Ethernet"),
        (replace(ETH1, kind="bridge"), "port_unsuitable", "veth pair"),
        (replace(ETH1, master="bond0"), "port_in_use", "bond0"),
        (replace(ETH1, default_route=True), "would_cut_connection", "default route"),
        (replace(ETH1, carries_session=True), "would_cut_connection", "connection that this task came over"),
    ],
)
def test_what_cannot_be_a_port(link, code, words):
    with pytest.raises(Failure, match=words) as caught:
        planner.plan(with_links(BRIDGE, link), wanted(WantedPort("eth1")))
    assert caught.value.code == code


def test_a_port_that_is_in_already_is_not_asked_again():
    observed = with_links(replace(BRIDGE, ports=(Port("eth1"),)), replace(ETH1, master="br0", carries_session=True, addresses=("10.0.0.1/24",)))
    plan = converged(planner.plan, observed, wanted(WantedPort("eth1")))
    assert plan.actions == () and plan.warnings == ()


def test_a_link_that_is_not_a_bridge_keeps_its_name():
    for present in (True, False):
        with pytest.raises(Failure, match="a vlan interface, not a bridge"):
            planner.plan(Observed("br0", kind="vlan"), Desired("br0", present=present))


def test_absent():
    observed = replace(BRIDGE, ports=(Port("eth1"), Port("veth0")))
    gone = Desired("br0", present=False)
    assert converged(planner.plan, observed, gone).actions == (p.RemovePort("br0", "eth1"), p.RemovePort("br0", "veth0"), p.DeleteBridge("br0"))
    for busy, code in (
        (replace(observed, default_route=True), "would_cut_connection"),
        (replace(BRIDGE, ports=(Port("t", "tun"),)), "bridge_in_use"),
    ):
        with pytest.raises(Failure) as caught:
            planner.plan(busy, gone)
        assert caught.value.code == code
        assert converged(planner.plan, busy, replace(gone, force=True)).actions[-1] == p.DeleteBridge("br0")


def test_options_that_are_not_given_say_nothing():
    desired = from_params({**PARAMS, "name": "br0"})
    assert (desired.options, desired.ports, desired.addresses, desired.purge) == ({}, None, None, False)
    assert from_params({**PARAMS, "name": "br0", "ports": []}).purge
    assert planner.view(BRIDGE, desired) == {"name": "br0", "state": "present", "up": True}


# Applying


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (
            p.CreateBridge("br0", "52:54:00:00:00:01", {"stp": True, "forward_delay": 4.5, "vlan_protocol": "802.1ad", "group_fwd_mask": "0x4000"}),
            "link add name br0 address 52:54:00:00:00:01 type bridge stp_state 1 forward_delay 450 vlan_protocol 802.1ad group_fwd_mask 0x4000",
        ),
        (p.DeleteBridge("br0"), "link delete dev br0"),
        (p.SetBridgeOption("br0", "vlan_filtering", True), "link set dev br0 type bridge vlan_filtering 1"),
        (p.SetBridgeOption("br0", "vlan_default_pvid", 0), "link set dev br0 type bridge vlan_default_pvid 0"),
        (p.SetMacAddress("br0", "52:54:00:00:00:01"), "link set dev br0 address 52:54:00:00:00:01"),
        (p.SetMtu("br0", 9000), "link set dev br0 mtu 9000"),
        (p.AddPort("br0", "eth1"), "link set dev eth1 master br0"),
        (p.RemovePort("br0", "eth1"), "link set dev eth1 nomaster"),
        (p.SetPortOption("eth1", "isolated", False), "link set dev eth1 type bridge_slave isolated off"),
        (p.SetPortOption("eth1", "cost", 5), "link set dev eth1 type bridge_slave cost 5"),
        (p.AddAddress("br0", "10.0.0.1/24"), "address replace 10.0.0.1/24 dev br0"),
        (p.RemoveAddress("br0", "10.0.0.1/24"), "address delete 10.0.0.1/24 dev br0"),
        (p.BringUp("eth1"), "link set dev eth1 up"),
    ],
)
def test_commands(action, words):
    assert list(command(action)) == words.split()


@pytest.mark.parametrize(
    ("answer", "code"),
    [("RTNETLINK answers: Device or resource busy\n", "refused_by_kernel"), ("RTNETLINK answers: Operation not permitted\n", "permission_denied")],
)
def test_a_refusal_of_the_kernel_names_its_step(tmp_path, answer, code):
    scripted = FakeHost(tmp_path, script=[(["ip", "link", "set", "dev", "eth1", "master", "br0"], Result(2, "", answer))])
    with pytest.raises(Failure, match="br0: the kernel refused to add port") as caught:
        apply(scripted, p.AddPort("br0", "eth1"))
    assert caught.value.code == code


class Refusing(FakeHost):
    """Refuses the route so many times, and knows what it was told."""

    def __init__(self, tmp_path, times):
        super().__init__(tmp_path)
        self.times, self.told = times, []

    def run(self, argv, stdin=None, timeout=None, check=True, inherit=()):
        lines = stdin.splitlines()
        self.told.append(lines)
        refused = len(self.told) <= self.times
        number = next(number for number, line in enumerate(lines, 1) if line.startswith("route"))
        return Result(1, "", f"Error: Nexthop has invalid gateway.\nCommand failed -:{number}\n") if refused else Result(0, "", "")


def test_a_route_is_set_again_with_what_it_stands_on(tmp_path, monkeypatch):
    monkeypatch.setattr(applier, "PAUSE", 0)
    batch = ("address replace 10.0.0.1/24 dev eth0", "address delete 10.0.0.1/24 dev br0", "route replace default via 10.0.0.9 dev eth0")
    given = p.GiveBack("br0", "eth0", ("10.0.0.1/24",), (), batch)
    patient = Refusing(tmp_path, 2)
    apply(patient, given)
    assert patient.told == [list(batch), [batch[0], batch[2]], [batch[0], batch[2]]]
    stubborn = Refusing(tmp_path, 99)
    with pytest.raises(Failure, match="refused to give back: Error: Nexthop has invalid gateway"):
        apply(stubborn, given)
    assert len(stubborn.told) == applier.TRIES


@pytest.mark.parametrize(("address", "refused"), [("192.0.2.1/24", True), ("192.0.2.17/28", True), ("203.0.113.1/24", False), ("fd00::9/64", True)])
def test_an_address_in_a_network_of_another_interface_is_refused(address, refused):
    observed = replace(BRIDGE, elsewhere=(("eth0", "192.0.2.2/24"), ("eth0", "fd00::2/64")))
    if not refused:
        assert converged(planner.plan, observed, Desired("br0", addresses=(address,))).actions == (p.AddAddress("br0", address),)
        return
    with pytest.raises(Failure, match="overlaps the network of eth0") as caught:
        planner.plan(observed, Desired("br0", addresses=(address,)))
    assert caught.value.code == "address_clash"
    assert converged(planner.plan, observed, Desired("br0", addresses=(address,), force=True)).actions
    kept = replace(observed, addresses=(Address(address),))
    assert converged(planner.plan, kept, Desired("br0", addresses=(address,))).actions == ()


def test_the_addresses_of_other_interfaces(tmp_path):
    observed = read(host(tmp_path), Desired("vt-c9", ports=(WantedPort("vt-c2"),)))
    assert ("eth0", "192.0.2.2/24") in observed.elsewhere
    assert not any(interface in ("vt-c2", "lo", "vt-c9") for interface, address in observed.elsewhere)
