# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bridges in this machine's kernel, over veth pairs of the tests' own."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any, Dict, Iterator, List

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.bridge.fields import BRIDGE_FIELDS, PORT_FIELDS
from support.modules import apply, check, cycle, option_cycle, refused, run_module, served_by, settled

NAMESPACE = "vt-bridge"
BRIDGE = "vt-br0"
BASE = {"name": BRIDGE}
PORTS = ("vt-p0", "vt-p1")
OWN = {BRIDGE, "vt-br1", "vt-br2", "vt-virbr9", "vt-tap0", *PORTS, "vt-q0", "vt-q1"}


def ip(*words: str, check: bool = True) -> str:
    return inside("ip", *words, check=check)


def inside(*words: str, check: bool = True) -> str:
    """Run a command in the namespace, where /sys is its own as well."""
    env = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    return subprocess.run(["ip", "netns", "exec", NAMESPACE, *words], check=check, capture_output=True, text=True, env=env).stdout


def link(name: str) -> Dict[str, Any]:
    return json.loads(ip("-j", "-d", "addr", "show", "dev", name))[0]


def kernel(file: str, name: str = BRIDGE) -> str:
    return inside("cat", f"/sys/class/net/{name}/{file}").strip()


def ports(name: str = BRIDGE) -> List[str]:
    return inside("ls", f"/sys/class/net/{name}/brif").split()


def exists(name: str) -> bool:
    return name in inside("ls", "/sys/class/net").split()


def addresses(name: str = BRIDGE) -> List[str]:
    return sorted(f"{item['local']}/{item['prefixlen']}" for item in link(name)["addr_info"] if item["scope"] == "global")


@pytest.fixture(scope="module", autouse=True)
def namespace() -> Iterator[None]:
    """A network of the tests' own: what else the machine has (networks of other tests and of its user) is not in their way."""
    env = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    subprocess.run(["ip", "netns", "delete", NAMESPACE], check=False, capture_output=True, env=env)
    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True, env=env)
    try:
        with served_by("ip", "netns", "exec", NAMESPACE):
            yield
    finally:
        subprocess.run(["ip", "netns", "delete", NAMESPACE], check=True, env=env)


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """No interface of a test before, nor after."""

    def sweep() -> None:
        for name in OWN & set(inside("ls", "/sys/class/net").split()):
            ip("link", "delete", "dev", name, check=False)  # the other end of a veth pair is gone with the first

    sweep()
    yield
    sweep()


@pytest.fixture
def veths() -> None:
    for name in PORTS:
        ip("link", "add", name, "type", "veth", "peer", "name", name.replace("p", "q"))


def test_a_bridge_comes_and_goes():
    result = cycle("bridge", BASE)
    assert [action["action"] for action in result["actions"]] == ["create_bridge", "bring_up"]
    assert link(BRIDGE)["linkinfo"]["info_kind"] == "bridge" and "UP" in link(BRIDGE)["flags"]
    assert result["resource"]["persistent"] is False and result["resource"]["backend"] == "none"
    cycle("bridge", {**BASE, "state": "absent"})
    assert not exists(BRIDGE)
    settled("bridge", {**BASE, "state": "absent"})


def test_everything_at_once(veths):
    params = {
        **BASE,
        "mac_address": "inherit",
        "stp": True,
        "forward_delay": 4,
        "ageing_time": 0.5,
        "mtu": 1400,
        "addresses": ["198.51.100.1/24", "2001:db8:5::1/64"],
        "ports": [{"name": "vt-p0", "cost": 7, "isolated": True}, {"name": "vt-p1"}],
    }
    result = cycle("bridge", params)
    assert result["actions"][0]["action"] == "create_bridge" and result["resource"]["mac_address"] == kernel("address", "vt-p0")
    assert (kernel("bridge/stp_state"), kernel("bridge/forward_delay"), kernel("bridge/ageing_time")) == ("1", "400", "50")
    assert ports() == ["vt-p0", "vt-p1"] and addresses() == ["198.51.100.1/24", "2001:db8:5::1/64"]
    assert kernel("brport/path_cost", "vt-p0") == "7" and kernel("mtu") == "1400"
    assert all("UP" in link(name)["flags"] for name in PORTS)
    again = {key: value for key, value in result["resource"].items() if key not in ("up", "mac_fixed", "routes", "persistent", "backend")}
    settled("bridge", again)


# option → value, other value, the file below /sys/class/net/vt-br0 and what it says for both
OPTIONS = {
    "stp": (True, False, "bridge/stp_state", "1", "0"),
    "forward_delay": (0, 4.5, "bridge/forward_delay", "0", "450"),
    "hello_time": (1, 3, "bridge/hello_time", "100", "300"),
    "max_age": (10, 12.5, "bridge/max_age", "1000", "1250"),
    "ageing_time": (0, 123.46, "bridge/ageing_time", "0", "12346"),
    "priority": (4096, 5, "bridge/priority", "4096", "5"),
    "mcast_snooping": (False, True, "bridge/multicast_snooping", "0", "1"),
    "mcast_querier": (True, False, "bridge/multicast_querier", "1", "0"),
    "mcast_router": (2, 1, "bridge/multicast_router", "2", "1"),
    "mcast_igmp_version": (3, 2, "bridge/multicast_igmp_version", "3", "2"),
    "mcast_mld_version": (2, 1, "bridge/multicast_mld_version", "2", "1"),
    "group_fwd_mask": ("0x4000", 8, "bridge/group_fwd_mask", "0x4000", "0x8"),
    "group_address": ("01:80:c2:00:00:0E", "01-80-C2-00-00-00", "bridge/group_addr", "01:80:c2:00:00:0e", "01:80:c2:00:00:00"),
    "nf_call_iptables": (True, False, "bridge/nf_call_iptables", "1", "0"),
    "nf_call_ip6tables": (True, False, "bridge/nf_call_ip6tables", "1", "0"),
    "nf_call_arptables": (True, False, "bridge/nf_call_arptables", "1", "0"),
}
VLAN_OPTIONS = {
    "vlan_filtering": (True, False),
    "vlan_default_pvid": (5, 0),
    "vlan_protocol": ("802.1ad", "802.1Q"),
    "vlan_stats_enabled": (True, False),
}


def test_every_option_of_the_table_is_tried():
    assert set(OPTIONS) | set(VLAN_OPTIONS) == {field.name for field in BRIDGE_FIELDS}
    assert set(PORT_OPTIONS) == {field.name for field in PORT_FIELDS}


@pytest.mark.parametrize("option", OPTIONS)
def test_option(option):
    value, other, file, shown, other_shown = OPTIONS[option]
    apply("bridge", BASE)
    option_cycle("bridge", BASE, option, value, other)
    assert kernel(file) == shown
    apply("bridge", {**BASE, option: other})
    assert kernel(file) == other_shown


@pytest.mark.parametrize("option", VLAN_OPTIONS)
def test_vlan_option(option):
    """Where the kernel has VLAN filtering it is driven, and elsewhere refused with nothing left behind."""
    value, other = VLAN_OPTIONS[option]
    apply("bridge", BASE)
    if "vlan_filtering" in inside("ls", f"/sys/class/net/{BRIDGE}/bridge"):
        option_cycle("bridge", BASE, option, value, other)
        return
    assert "built without VLAN filtering" in refused("bridge", {**BASE, option: value}, "unsupported_by_kernel", check_mode=True)
    apply("bridge", {**BASE, "state": "absent"})
    refused("bridge", {**BASE, option: value}, "unsupported_by_kernel")
    assert not exists(BRIDGE)
    cycle("bridge", {**BASE, "vlan_filtering": False})


# VLANs of the bridge, of its port, other options, and what `bridge vlan show` then says of both
VLAN_STEPS = [
    (
        [{"vid": 10}],
        [{"vid": 10, "pvid": True, "untagged": True}, {"vid": "20-22"}],
        {"vlan_filtering": True, "vlan_default_pvid": 0},
        {BRIDGE: ["10"], "vt-p0": ["10 PVID Egress Untagged", "20", "21", "22"]},
    ),
    (
        [{"vid": 10, "pvid": True, "untagged": True}],
        [{"vid": 10}, {"vid": 21, "untagged": True}],
        {},
        {BRIDGE: ["10 PVID Egress Untagged"], "vt-p0": ["10", "21 Egress Untagged"]},
    ),
    # Another default, which the kernel gives to nobody who has a pvid of his own.
    ([{"vid": 10}], [{"vid": 10}, {"vid": 30, "pvid": True}], {"vlan_default_pvid": 5}, {BRIDGE: ["10"], "vt-p0": ["10", "30 PVID"]}),
    ([], [], {}, {}),
]


def vlans_shown() -> Dict[str, List[str]]:
    found: Dict[str, List[str]] = {}
    for item in json.loads(inside("bridge", "-j", "vlan", "show")):
        for entry in item["vlans"]:
            for vid in range(entry["vlan"], entry.get("vlanEnd", entry["vlan"]) + 1):
                found.setdefault(item["ifname"], []).append(" ".join([str(vid), *entry.get("flags", [])]))
    return found


def test_vlans(veths):
    """Where the kernel has them they are driven, each list against bridge's own words, and elsewhere refused with nothing left behind."""
    own, port, options, _shown = VLAN_STEPS[0]
    apply("bridge", BASE)
    if "vlan_filtering" not in inside("ls", f"/sys/class/net/{BRIDGE}/bridge"):
        for params in ({"vlans": own}, {"ports": [{"name": "vt-p0", "vlans": port}]}):
            assert "built without VLAN filtering" in refused("bridge", {**BASE, **params}, "unsupported_by_kernel", check_mode=True)
        apply("bridge", {**BASE, "state": "absent"})
        refused("bridge", {**BASE, **options, "vlans": own, "ports": [{"name": "vt-p0", "vlans": port}]}, "unsupported_by_kernel")
        assert not exists(BRIDGE)
        return
    for own, port, options, shown in (*VLAN_STEPS, VLAN_STEPS[0]):
        cycle("bridge", {**BASE, **options, "vlans": own, "ports": [{"name": "vt-p0", "vlans": port}]})
        assert vlans_shown() == shown


def test_the_state_of_a_port(veths):
    for name in ("vt-q0", "vt-p0"):
        ip("link", "set", "dev", name, "up")
    apply("bridge", {**BASE, "forward_delay": 2, "ports": [{"name": "vt-p0"}]})
    for state in ("disabled", "learning", "forwarding", "listening"):
        cycle("bridge", {**BASE, "ports": [{"name": "vt-p0", "state": state, "cost": 7}]})
        assert link("vt-p0")["linkinfo"]["info_slave_data"]["state"] == state
        assert state in ("disabled", "forwarding") or kernel("brport/forward_delay_timer", "vt-p0") == "0"  # at its end it would be another
    refused("bridge", {**BASE, "stp": True, "ports": [{"name": "vt-p0", "state": "learning"}]}, "stp_decides")
    ip("link", "set", "dev", "vt-q0", "down")
    refused("bridge", {**BASE, "ports": [{"name": "vt-p0", "state": "learning"}]}, "no_carrier")


def test_router_advertisements():
    apply("bridge", BASE)
    option_cycle("bridge", BASE, "accept_ra", True, False)
    assert inside("cat", f"/proc/sys/net/ipv6/conf/{BRIDGE}/accept_ra").strip() == "2"
    apply("bridge", {**BASE, "state": "absent"})
    cycle("bridge", {**BASE, "accept_ra": False})
    assert inside("cat", f"/proc/sys/net/ipv6/conf/{BRIDGE}/accept_ra").strip() == "0"


# option → value, other value, the file below brport and what it says for both
PORT_OPTIONS = {
    "priority": (8, 32, "priority", "8", "32"),
    "cost": (100, 4, "path_cost", "100", "4"),
    "guard": (True, False, "bpdu_guard", "1", "0"),
    "hairpin": (True, False, "hairpin_mode", "1", "0"),
    "fastleave": (True, False, "multicast_fast_leave", "1", "0"),
    "learning": (False, True, "learning", "0", "1"),
    "flood": (False, True, "unicast_flood", "0", "1"),
    "isolated": (True, False, "isolated", "1", "0"),
    "mcast_flood": (False, True, "multicast_flood", "0", "1"),
    "bcast_flood": (False, True, "broadcast_flood", "0", "1"),
    "mcast_router": (2, 1, "multicast_router", "2", "1"),
    "mcast_to_unicast": (True, False, "multicast_to_unicast", "1", "0"),
    "root_block": (True, False, "root_block", "1", "0"),
    "locked": (True, False, None, True, False),
    "neigh_suppress": (True, False, "neigh_suppress", "1", "0"),
}


def test_every_port_option(veths):
    """All of them in one cycle, with an action and a kernel value for each."""
    apply("bridge", {**BASE, "ports": [{"name": "vt-p0"}]})
    for index in (0, 1, 0):
        options = {option: row[index] for option, row in PORT_OPTIONS.items()}
        result = cycle("bridge", {**BASE, "ports": [{"name": "vt-p0", **options}]})
        assert {action["option"] for action in result["actions"] if action["action"] == "set_port_option"} == set(PORT_OPTIONS)
        for option, (_value, _other, file, *shown) in PORT_OPTIONS.items():
            found = kernel(f"brport/{file}", "vt-p0") if file else link("vt-p0")["linkinfo"]["info_slave_data"][option]
            assert found == shown[index], option
    settled("bridge", {**BASE, "ports": [{"name": "vt-p0"}]})


def test_mac_address(veths):
    apply("bridge", BASE)
    option_cycle("bridge", BASE, "mac_address", "52:54:00:00:00:01", "52-54-00-00-00-0A")
    assert kernel("address") == "52:54:00:00:00:01"
    cycle("bridge", {**BASE, "mac_address": "inherit", "ports": [{"name": "vt-p1"}, {"name": "vt-p0"}]})
    assert kernel("address") == kernel("address", "vt-p1")


def test_an_address_taken_from_a_port_by_chance_is_made_to_stay(veths):
    apply("bridge", {**BASE, "ports": [{"name": "vt-p0"}]})
    assert kernel("address") == kernel("address", "vt-p0") and kernel("addr_assign_type") != "3"
    cycle("bridge", {**BASE, "mac_address": "inherit", "ports": [{"name": "vt-p0"}]})
    assert kernel("addr_assign_type") == "3"


def test_mtu(veths):
    apply("bridge", BASE)
    option_cycle("bridge", BASE, "mtu", 9000, 1280)
    assert kernel("mtu") == "9000"


def test_the_mtu_asked_for_outlives_a_smaller_port(veths):
    apply("bridge", {**BASE, "mtu": 1500})
    ip("link", "set", "dev", "vt-q0", "mtu", "1300")
    ip("link", "set", "dev", "vt-p0", "mtu", "1300")
    cycle("bridge", {**BASE, "mtu": 1500, "ports": [{"name": "vt-p0"}]})
    assert kernel("mtu") == "1500"


def test_ports_come_and_go(veths):
    apply("bridge", BASE)
    cycle("bridge", {**BASE, "ports": [{"name": "vt-p0"}]})
    cycle("bridge", {**BASE, "ports": [{"name": "vt-p1"}]})
    assert ports() == ["vt-p0", "vt-p1"]
    settled("bridge", BASE)
    cycle("bridge", {**BASE, "ports": [{"name": "vt-p1"}], "purge_ports": True})
    assert ports() == ["vt-p1"]
    cycle("bridge", {**BASE, "ports": []})
    assert ports() == []
    ip("link", "set", "dev", "vt-p1", "down")
    apply("bridge", {**BASE, "ports": [{"name": "vt-p1"}]})
    ip("link", "set", "dev", "vt-p1", "down")
    assert cycle("bridge", {**BASE, "ports": [{"name": "vt-p1"}]})["actions"] == [{"action": "bring_up", "target": "vt-p1"}]


def test_a_port_by_its_alternative_name(veths):
    ip("link", "property", "add", "dev", "vt-p0", "altname", "vt-port-with-a-long-name")
    cycle("bridge", {**BASE, "ports": [{"name": "vt-port-with-a-long-name", "cost": 9}]})
    assert ports() == ["vt-p0"]
    cycle("bridge", {**BASE, "ports": [{"name": "vt-p0", "cost": 10}], "purge_ports": True})
    refused("bridge", {**BASE, "ports": [{"name": "vt-p0"}, {"name": "vt-port-with-a-long-name"}]}, "duplicate_port")


def test_a_tap_device_of_a_guest_stays(veths):
    ip("tuntap", "add", "dev", "vt-tap0", "mode", "tap")
    apply("bridge", {**BASE, "ports": [{"name": "vt-p0"}]})
    ip("link", "set", "dev", "vt-tap0", "master", BRIDGE)
    cycle("bridge", {**BASE, "ports": []})
    assert ports() == ["vt-tap0"]
    assert "vt-tap0 of running guests" in refused("bridge", {**BASE, "state": "absent"}, "bridge_in_use", check_mode=True)
    cycle("bridge", {**BASE, "state": "absent", "force": True})
    assert not exists(BRIDGE)


def test_addresses():
    apply("bridge", BASE)
    one, two = ["198.51.100.1/24", "2001:db8:5::1/64"], ["198.51.100.2/24", "198.51.100.1/24"]
    option_cycle("bridge", BASE, "addresses", one, two)
    assert addresses() == sorted(one)
    settled("bridge", {**BASE, "addresses": ["198.51.100.1/24", "2001:0DB8:5:0::1/64"]})
    settled("bridge", BASE)
    cycle("bridge", {**BASE, "addresses": ["fe80::77/64"]})
    assert addresses() == [] and "fe80::77" in json.dumps(link(BRIDGE))
    cycle("bridge", {**BASE, "addresses": ["198.51.100.1/24"]})
    cycle("bridge", {**BASE, "addresses": []})
    assert addresses() == []


def test_a_secondary_address_outlives_its_primary():
    apply("bridge", {**BASE, "addresses": ["198.51.100.1/24", "198.51.100.2/24"]})
    cycle("bridge", {**BASE, "addresses": ["198.51.100.2/24"]})
    assert addresses() == ["198.51.100.2/24"]


def test_an_address_with_a_lifetime_is_left_to_its_client():
    apply("bridge", BASE)
    ip("address", "add", "198.51.100.9/24", "dev", BRIDGE, "valid_lft", "600", "preferred_lft", "600")
    settled("bridge", {**BASE, "addresses": []})
    assert addresses() == ["198.51.100.9/24"]


def test_a_bridge_that_others_made_is_adopted(veths):
    ip("link", "add", "name", BRIDGE, "type", "bridge", "ageing_time", "1000", "stp_state", "1", "forward_delay", "1500")
    ip("link", "set", "dev", BRIDGE, "up")
    ip("link", "set", "dev", "vt-p0", "master", BRIDGE)
    settled("bridge", BASE)
    settled("bridge", {**BASE, "ageing_time": 10, "stp": True, "forward_delay": 15})
    cycle("bridge", {**BASE, "ports": [{"name": "vt-p0"}, {"name": "vt-p1"}], "stp": False, "forward_delay": 0})
    cycle("bridge", {**BASE, "stp": True, "forward_delay": 2})
    ip("link", "set", "dev", BRIDGE, "down")
    assert cycle("bridge", BASE)["actions"] == [{"action": "bring_up", "target": BRIDGE}]
    cycle("bridge", {**BASE, "state": "absent"})
    assert exists("vt-p0")


def test_a_bridge_of_libvirts_kind_of_name_is_like_any_other():
    name = "vt-virbr9"  # libvirt's own are virbrN; the rule has no eye for names
    ip("link", "add", "name", name, "type", "bridge")
    cycle("bridge", {"name": name, "ageing_time": 20})
    cycle("bridge", {"name": name, "state": "absent"})


def test_a_port_that_an_earlier_task_makes():
    params = {**BASE, "mac_address": "inherit", "ports": [{"name": "vt-p0", "cost": 5}]}
    predicted = check("bridge", params)
    assert predicted["changed"] and "no such interface" in json.dumps(predicted["warnings"])
    assert "vt-p0" in refused("bridge", params, "port_missing")
    assert not exists(BRIDGE)


def test_a_port_with_addresses_is_warned_of(veths):
    ip("address", "add", "203.0.113.7/24", "dev", "vt-p0")
    left = {**BASE, "ports": [{"name": "vt-p0"}], "move_addresses": False}
    assert "203.0.113.7/24 stop answering" in json.dumps(check("bridge", left)["warnings"])
    ip("address", "add", "203.0.113.8/24", "dev", "vt-p0", "valid_lft", "600", "preferred_lft", "600")
    assert "203.0.113.8/24 has a lifetime" in json.dumps(check("bridge", {**BASE, "ports": [{"name": "vt-p0"}]})["warnings"])


def test_addresses_and_routes_move_with_the_port_and_come_back(veths):
    ip("link", "set", "dev", "vt-q0", "up")
    ip("link", "set", "dev", "vt-p0", "mtu", "1400", "up")
    for address in ("203.0.113.7/24", "203.0.113.8/24", "10.9.8.7/30", "2001:db8:5::7/64"):
        ip("address", "add", address, "dev", "vt-p0", *(("nodad",) if ":" in address else ()))
    ip("address", "add", "203.0.113.9/24", "dev", "vt-p0", "valid_lft", "600", "preferred_lft", "500")
    for route in ("198.51.100.0/24 via 203.0.113.1 metric 7 proto static", "default via 203.0.113.1 table 100", "2001:db8:6::/64 via 2001:db8:5::1"):
        ip("route", "add", *route.split(), "dev", "vt-p0")
    ip("route", "add", "192.88.99.0/24", "via", "203.0.113.1", "src", "203.0.113.8", "dev", "vt-p0", "mtu", "1300")

    def routes(name: str) -> List[str]:
        found = [*ip("route", "show", "table", "all", "dev", name).splitlines(), *ip("-6", "route", "show", "table", "all", "dev", name).splitlines()]
        return sorted(route for route in found if not route.startswith(("fe80", "local", "broadcast", "multicast", "anycast", "ff00")))

    before, mac = (addresses("vt-p0"), routes("vt-p0")), kernel("address", "vt-p0")
    params = {**BASE, "ports": [{"name": "vt-p0"}]}
    cycle("bridge", params)
    assert (addresses(), routes(BRIDGE)) == before and (addresses("vt-p0"), routes("vt-p0")) == ([], [])
    assert kernel("address") == mac and kernel("mtu") == "1400" and kernel("addr_assign_type") == "3"
    lifetimes = {item["local"]: item["valid_life_time"] for item in link(BRIDGE)["addr_info"]}
    assert 365 * 24 * 3600 < lifetimes["203.0.113.9"] < lifetimes["203.0.113.7"]  # nobody renews it there
    ip("address", "add", "203.0.113.7/24", "dev", "vt-p0")  # somebody's hand, or a change that was ended half-way
    cycle("bridge", params)
    assert addresses("vt-p0") == []
    cycle("bridge", {**BASE, "state": "absent"})
    assert (addresses("vt-p0"), routes("vt-p0")) == before and not exists(BRIDGE)


def test_a_port_by_its_mac_address_and_the_one_of_the_default_route(veths):
    mac = kernel("address", "vt-p0")
    cycle("bridge", {**BASE, "ports": [{"name": mac.upper().replace(":", "-")}]})
    settled("bridge", {**BASE, "ports": [{"name": "vt-p0"}]})
    apply("bridge", {**BASE, "state": "absent"})
    default = {**BASE, "ports": [{"name": "default_route"}], "force": True}
    assert "no default route" in json.dumps(check("bridge", default)["warnings"])
    refused("bridge", default, "no_default_route")
    ip("address", "add", "203.0.113.7/24", "dev", "vt-p1")
    ip("link", "set", "dev", "vt-p1", "up")
    ip("route", "add", "default", "via", "203.0.113.1", "dev", "vt-p1")
    cycle("bridge", default)
    assert ports() == ["vt-p1"] and kernel("address") == kernel("address", "vt-p1")
    settled("bridge", default)
    ip("link", "set", "dev", "vt-p1", "nomaster")
    refused("bridge", default, "no_default_route")


def test_gateways(veths):
    base = {**BASE, "addresses": ["203.0.113.7/24", "2001:db8:5::7/64"]}
    apply("bridge", base)
    option_cycle("bridge", base, "gateway4", "203.0.113.1", "203.0.113.2")
    option_cycle("bridge", base, "gateway6", "2001:db8:5::1", "fe80::1")
    assert "default via 203.0.113.1 dev vt-br0" in ip("route") and "default via 2001:db8:5::1 dev vt-br0" in ip("-6", "route")
    assert "198.51.100.1 is in no network" in refused("bridge", {**base, "gateway4": "198.51.100.1"}, "gateway_unreachable")


def test_the_interface_of_the_default_route_needs_somebody_who_watches(veths):
    ip("address", "add", "203.0.113.7/24", "dev", "vt-p0")
    ip("link", "set", "dev", "vt-p0", "up")
    ip("route", "add", "default", "via", "203.0.113.1", "dev", "vt-p0", "metric", "4000000")
    sentence = refused("bridge", {**BASE, "ports": [{"name": "vt-p0"}]}, "would_cut_connection")
    assert "nobody watches" in sentence and not exists(BRIDGE)
    refused("bridge", {**BASE, "ports": [{"name": "vt-p0"}], "confirm": "none"}, "would_cut_connection")
    refused("bridge", {**BASE, "ports": [{"name": "vt-p0"}], "confirm": "connection"}, "no_controller")
    refused("bridge", {**BASE, "ports": [{"name": "vt-p0"}], "rollback_id": "vt", "move_addresses": False}, "would_cut_connection", check_mode=True)


def test_the_interface_of_the_ssh_session_needs_somebody_who_watches(veths):
    ip("address", "add", "203.0.113.7/24", "dev", "vt-p0")
    session = {"SSH_CONNECTION": "203.0.113.9 50000 203.0.113.7 22"}
    result = run_module("bridge", {**BASE, "ports": [{"name": "vt-p0"}]}, env=session)
    assert result["code"] == "would_cut_connection" and not exists(BRIDGE)


@pytest.fixture
def routed(veths) -> None:
    """The bridge holds a second default route, of a metric that nothing uses."""
    apply("bridge", {**BASE, "ports": [{"name": "vt-p0"}], "addresses": ["203.0.113.7/24"]})
    ip("route", "add", "default", "via", "203.0.113.1", "dev", BRIDGE, "metric", "4000000")


def test_the_bridge_of_the_default_route_is_kept(routed):
    refused("bridge", {**BASE, "state": "absent"}, "would_cut_connection", check_mode=True)
    refused("bridge", {**BASE, "state": "absent"}, "would_cut_connection")
    refused("bridge", {**BASE, "ports": []}, "would_cut_connection")
    refused("bridge", {**BASE, "addresses": []}, "would_cut_connection")
    cycle("bridge", {**BASE, "ports": [{"name": "vt-p1"}], "addresses": ["203.0.113.7/24", "203.0.113.8/24"]})
    cycle("bridge", {**BASE, "ports": [], "force": True})
    cycle("bridge", {**BASE, "state": "absent", "force": True})


def test_an_address_in_a_network_of_the_host_is_refused(veths):
    ip("address", "add", "203.0.113.7/24", "dev", "vt-p0")
    sentence = refused("bridge", {**BASE, "addresses": ["203.0.113.1/28"]}, "address_clash")
    assert "vt-p0 (203.0.113.7/24)" in sentence and not exists(BRIDGE)
    cycle("bridge", {**BASE, "addresses": ["203.0.113.1/28"], "force": True})
    settled("bridge", {**BASE, "addresses": ["203.0.113.1/28"]})


def test_unsuitable_ports(veths):
    for name in ("vt-br1", "vt-br2"):
        ip("link", "add", "name", name, "type", "bridge")
    ip("link", "set", "dev", "vt-p1", "master", "vt-br1")
    apply("bridge", BASE)
    for name, code in (("lo", "port_unsuitable"), (BRIDGE, "port_unsuitable"), ("vt-br2", "port_unsuitable"), ("vt-p1", "port_in_use")):
        sentence = refused("bridge", {**BASE, "ports": [{"name": "vt-p0"}, {"name": name}]}, code, check_mode=True)
        assert refused("bridge", {**BASE, "ports": [{"name": "vt-p0"}, {"name": name}]}, code) == sentence
        assert ports() == []
    assert "vt-br1" in sentence


def test_a_name_that_is_taken(veths):
    refused("bridge", {"name": "vt-p0"}, "name_taken")
    refused("bridge", {"name": "vt-p0", "state": "absent"}, "name_taken", check_mode=True)
    assert exists("vt-p0")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"name": "vt-br0-too-long-"}, "invalid_name"),
        ({"name": "vt/br"}, "invalid_name"),
        ({"name": "vt br"}, "invalid_name"),
        ({"name": ""}, "invalid_name"),
        ({"ports": [{"name": ""}]}, "invalid_name"),
        ({"ports": [{"name": "vt-p0"}, {"name": "vt-p0"}]}, "duplicate_port"),
        ({"purge_ports": True}, "missing_ports"),
        ({"mac_address": "inherit"}, "missing_ports"),
        ({"mac_address": "52:54:00:00:00"}, "invalid_mac_address"),
        ({"mac_address": "01:00:5e:00:00:01"}, "invalid_mac_address"),
        ({"mtu": 67}, "out_of_range"),
        ({"mtu": 65536}, "out_of_range"),
        ({"addresses": ["198.51.100.1"]}, "invalid_address"),
        ({"addresses": ["198.51.100.256/24"]}, "invalid_address"),
        ({"addresses": ["ff02::1/64"]}, "invalid_address"),
        ({"priority": 65536}, "out_of_range"),
        ({"priority": -1}, "out_of_range"),
        ({"hello_time": 0.5}, "out_of_range"),
        ({"max_age": 41}, "out_of_range"),
        ({"ageing_time": 1.001}, "invalid_seconds"),
        ({"ageing_time": "nan"}, "invalid_seconds"),
        ({"ageing_time": -1}, "out_of_range"),
        ({"stp": True, "forward_delay": 1}, "out_of_range"),
        ({"forward_delay": 31}, "out_of_range"),
        ({"vlan_default_pvid": 4095}, "out_of_range"),
        ({"group_fwd_mask": "lldp"}, "invalid_mask"),
        ({"group_fwd_mask": 1}, "out_of_range"),
        ({"group_fwd_mask": 65536}, "out_of_range"),
        ({"ports": [{"name": "vt-p0", "priority": 64}]}, "out_of_range"),
        ({"ports": [{"name": "vt-p0", "cost": 0}]}, "out_of_range"),
        ({"ports": [{"name": "vt-p0", "mcast_router": 4}]}, "out_of_range"),
        ({"mcast_igmp_version": 1}, "out_of_range"),
        ({"group_address": "01:80:c2:00:01:00"}, "invalid_mac_address"),
        ({"group_address": "01:80:c2:00:00:02"}, "out_of_range"),
        ({"gateway4": "2001:db8::1"}, "invalid_address"),
        ({"gateway6": "router"}, "invalid_address"),
        ({"rollback_timeout": 4}, "out_of_range"),
        ({"rollback_id": "../x"}, "invalid_name"),
        ({"verify_hosts": ["example.org"]}, "invalid_address"),
        ({"verify_hosts": ["203.0.113.1:0"]}, "invalid_address"),
        ({"vlans": [{"vid": "ten"}]}, "invalid_vlan"),
        ({"vlans": [{"vid": "10-12"}, {"vid": 11}]}, "duplicate_vlan"),
        ({"ports": [{"name": "vt-p0", "vlans": [{"vid": 4095}]}]}, "out_of_range"),
        ({"ports": [{"name": "vt-p0", "state": "blocking"}]}, "invalid_options"),
        ({"dhcp4": True}, "no_back_end"),
        ({"dns": {"nameservers": ["ns1.example.org"]}}, "invalid_address"),
        ({"dns": {"search": ["a b"]}}, "invalid_name"),
    ],
)
def test_bad_input(given, code):
    refused("bridge", {**BASE, **given}, code)
    assert not exists(BRIDGE)
