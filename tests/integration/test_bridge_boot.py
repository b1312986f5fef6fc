# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bridges after a reboot: the back ends themselves make them from our files, and the module finds nothing to change.

Before that, the daemon runs while the bridge is made: it is told of the files, and leaves the bridge as it is.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, List

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.bridge.persist import networkd, networkmanager
from ansible_collections.virtops.linux.plugins.module_utils.bridge.persist.model import Kept, Stored
from ansible_collections.virtops.linux.plugins.module_utils.bridge.vlans import Vlan
from support.back_ends import MAC, Host, host, settles, until
from support.modules import apply, served_by

BRIDGE = "vt-br0"
ADDRESS = "203.0.113.7"
#: What every back end keeps.
TAKEN: Dict[str, Any] = {
    "name": BRIDGE,
    "stp": False,
    "forward_delay": 2,
    "ageing_time": 20,
    "priority": 4096,
    "gateway4": "203.0.113.1",
    "ports": [{"name": "eth0", "cost": 9, "priority": 8}, {"name": "eth1"}],
    "force": True,
}
_NETPLAN = """network:
  version: 2
{renderer}  ethernets:
    lan:
      match:
        name: eth0
      # of this host
      addresses:
      - 203.0.113.7/24
      - 2001:db8:5::7/64
      nameservers:
        addresses: [203.0.113.53]
"""
_PROFILE = f"""[connection]
id=wired
type=ethernet
autoconnect=true

[ethernet]
mac-address={MAC.upper()}

[ipv4]
method=manual
address1=203.0.113.7/24
dns=203.0.113.53;

[ipv6]
method=manual
address1=2001:db8:5::7/64
"""
_INTERFACES = "source /etc/network/interfaces.d/*\nauto lo eth0\niface lo inet loopback\niface eth0 inet static\n    address 203.0.113.7/24\n"
DNS = {"nameservers": ["203.0.113.99", "2001:db8:5::99"], "search": ["example.org"]}
#: What this machine's kernel may lack, in files of a bridge that never comes: the daemons read them, and that is all.
VLANS = Kept(
    options={"vlan_filtering": True, "vlan_default_pvid": 0},
    ports={"eth9": {}},
    vlans=(Vlan(10, 10, pvid=True, untagged=True),),
    port_vlans={"eth9": (Vlan(3, 3, untagged=True), Vlan(10, 10, pvid=True), Vlan(20, 29))},
)
#: back end → (the host's own file and its text, the daemon, more options that it keeps)
BACK_ENDS = {
    "networkd": (
        "/etc/systemd/network/10-lan.network",
        "[Match]\nName=eth0\n[Network]\nAddress=203.0.113.7/24\nAddress=2001:db8:5::7/64\nDNS=203.0.113.53\n",
        "networkd",
        {"mcast_snooping": False, "mcast_igmp_version": 3, "group_fwd_mask": "0x4000", "mtu": 1400, "dhcp6": False, "dns": DNS},
        {"hairpin": True, "fastleave": True, "isolated": True, "learning": False, "mcast_router": 2, "neigh_suppress": True},
    ),
    "networkmanager": (
        "/etc/NetworkManager/system-connections/wired.nmconnection",
        _PROFILE,
        "networkmanager",
        {
            "mcast_snooping": True,
            "mcast_querier": True,
            "mcast_router": 2,
            "group_fwd_mask": "0x4000",
            "group_address": "01:80:c2:00:00:0e",
            "mtu": 1400,
            "dns": DNS,
        },
        {"hairpin": True},
    ),
    "netplan": (
        "/etc/netplan/50-host.yaml",
        _NETPLAN.format(renderer=""),
        "networkd",
        {"hello_time": 3, "max_age": 10, "dhcp6": False, "accept_ra": False, "dns": {"search": ["example.org"]}},
        {},
    ),
    "netplan for NetworkManager": (
        "/etc/netplan/50-host.yaml",
        _NETPLAN.format(renderer="  renderer: NetworkManager\n"),
        "networkmanager",
        {"hello_time": 3, "max_age": 10, "dns": {"nameservers": ["203.0.113.99"]}},
        {},
    ),
    "ifupdown": (
        "/etc/network/interfaces",
        _INTERFACES,
        "",
        {"mcast_mld_version": 2, "nf_call_iptables": True, "mtu": 1400, "accept_ra": False, "dns": DNS},
        {"guard": True, "locked": True},
    ),
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with host(tmp_path_factory.mktemp("boot")) as made, served_by(*made.inside):
        yield made


def network(machine: Host) -> List[Any]:
    """What belongs where. Routes are the module's to compare: daemons give them metrics of their own."""
    links = json.loads(machine.run("ip", "-j", "addr", "show"))
    return [[item["ifname"], item.get("master"), sorted(one["local"] for one in item["addr_info"] if one["scope"] == "global")] for item in links]


def write_vlans(machine: Host, backend: str) -> None:
    for name, text in {"networkd": networkd, "networkmanager": networkmanager}[backend].wanted("vt-br9", VLANS, Stored()).items():
        if text is not None and not name.endswith(".netdev"):
            machine.write(name, text.replace("autoconnect-priority=100", "autoconnect=false").replace("Bridge=vt-br9\n", ""))


def vlans_as_nmcli_reads_them(machine: Host) -> List[str]:
    shown = [("bridge.vlans", "virtops-vt-br9"), ("bridge-port.vlans", "virtops-vt-br9-port-eth9")]
    return [machine.run("nmcli", "-g", field, "connection", "show", name).strip() for field, name in shown]


@pytest.mark.parametrize("case", BACK_ENDS)
def test_the_bridge_is_there_after_a_reboot(machine, case):
    path, text, daemon, options, port = BACK_ENDS[case]
    backend = case.split()[0]
    daemons = [daemon] if daemon else []
    for name in machine.files():
        machine.run("rm", name)
    machine.write("/etc/network/interfaces", "source /etc/network/interfaces.d/*\nauto lo\niface lo inet loopback\n")
    machine.write(path, text)
    if case in ("networkd", "networkmanager"):
        write_vlans(machine, case)
    before = machine.files()
    params = {**TAKEN, **options, "persist": backend}
    params["ports"] = [{**params["ports"][0], **port}, params["ports"][1]]

    def start() -> None:
        machine.bare(BRIDGE)
        if backend == "netplan":
            machine.run("netplan", "generate")  # as systemd does before all units
        if backend == "ifupdown":
            machine.run("ifup", "-a")

    start()
    with machine.running(*daemons):
        until(lambda: all(machine.has_configured(name, "eth0") for name in daemons) and ADDRESS in str(network(machine)), "eth0 is configured")
        apply("bridge", params)
        settles(params)
        if case == "networkmanager":
            assert vlans_as_nmcli_reads_them(machine) == ["10 pvid untagged", "3 untagged, 10 pvid, 20-29"]
        files = machine.files()
        live = network(machine)
    start()
    with machine.running(*daemons):
        settles(params)
        assert not apply("bridge", params)["changed"]
        assert sorted(network(machine)) == sorted(live) and machine.files() == files
        apply("bridge", {"name": BRIDGE, "state": "absent", "force": True})
    assert machine.files() == before
    complaints = [line for name in daemons for line in machine.log(name).splitlines() if "virtops" in line and "onfiguring with" not in line]
    assert not complaints, "what a daemon says of our files is that it does not know something in them"
