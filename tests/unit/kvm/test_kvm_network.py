# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What cuts guests off: filters over bridges, and subnets in each other's way."""

from __future__ import annotations

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Result
from ansible_collections.virtops.linux.plugins.module_utils.kvm.read.forward import parse_legacy, parse_nft
from ansible_collections.virtops.linux.plugins.module_utils.kvm.read.network import parse_libvirt_network, parse_routes, parse_routes6
from ansible_collections.virtops.linux.plugins.module_utils.kvm.sections.system import Forward, Subnet
from kvm_bench import by_id
from kvm_parts import ROUTES

# Captured: nft 1.0.6 on a host with Docker (iptables-nft), shortened.
DOCKER = """table ip nat {
    chain POSTROUTING {
        type nat hook postrouting priority srcnat; policy accept;
        oifname != "docker0" ip saddr 172.17.0.0/16 counter packets 0 bytes 0 masquerade
    }
}
table ip filter {
    chain DOCKER {
    }

    chain FORWARD {
        type filter hook forward priority filter; policy drop;
        counter packets 0 bytes 0 jump DOCKER-USER
        oifname "docker0" ct state related,established counter packets 0 bytes 0 accept
    }
}
table ip6 filter {
    chain FORWARD {
        type filter hook forward priority filter; policy accept;
    }
}
"""
BRIDGED = DOCKER.replace("counter packets 0 bytes 0 jump DOCKER-USER", 'xt match "physdev" counter packets 0 bytes 0 accept')
FIREWALLD = """table inet firewalld {
    chain filter_FORWARD {
        type filter hook forward priority filter + 10; policy drop;
        ct state { established, related } accept
    }
}
"""
ON = {"/proc/sys/net/bridge/bridge-nf-call-iptables": "1\n", "/proc/sys/net/bridge/bridge-nf-call-ip6tables": "1\n"}
LIBVIRT = """<!-- WARNING: made by libvirt -->
<network><name>default</name><uuid>x</uuid><forward mode='nat'/><bridge name='virbr0' stp='on'/>
<ip address='192.168.122.1' netmask='255.255.255.0'><dhcp/></ip><ip family='ipv6' address='2001:db8:ca2:2::1' prefix='64'/></network>"""


def nft(text, rc=0):
    return ((["nft", "list", "ruleset"], Result(rc, text, "Operation not permitted" if rc else "")),)


def test_filters_of_nftables():
    assert [(rule.family, rule.policy, rule.bridged) for rule in parse_nft(DOCKER)] == [("ip", "drop", False), ("ip6", "accept", False)]
    assert [(rule.family, rule.bridged) for rule in parse_nft(BRIDGED)] == [("ip", True), ("ip6", False)]
    assert [(rule.family, rule.policy) for rule in parse_nft(FIREWALLD)] == [("ip", "drop"), ("ip6", "drop")]
    assert parse_nft("") == []


def test_filters_of_iptables():
    assert parse_legacy("-P FORWARD DROP\n", "ip", "iptables") == [Forward("ip", "drop", "iptables -S FORWARD: policy DROP")]
    with_rule = "-P FORWARD DROP\n-A FORWARD -m physdev --physdev-is-bridged -j ACCEPT\n"
    assert parse_legacy(with_rule, "ip", "iptables")[0].bridged
    assert parse_legacy("", "ip", "iptables") == []


@pytest.mark.parametrize(
    ("files", "script", "status", "words"),
    [
        ({}, nft(DOCKER), "pass", "not in this kernel"),
        ({**ON, **dict.fromkeys(ON, "0\n")}, nft(DOCKER), "pass", "off in net.bridge"),
        (ON, nft(DOCKER), "warn", "table ip filter has a chain on the forward hook with policy drop: bridged guests are cut off"),
        (ON, nft(BRIDGED), "pass", "table ip filter"),
        (ON, nft(FIREWALLD), "warn", "table inet firewalld"),
        (ON, nft(""), "pass", "nothing filters"),
        (ON, nft("", 1), "unknown", "Operation not permitted"),
        (
            {**ON, "/proc/net/ip_tables_names": "filter\nnat\n"},
            (*nft(""), (["iptables-legacy", "-S", "FORWARD"], Result(0, "-P FORWARD DROP\n", ""))),
            "warn",
            "iptables -S FORWARD: policy DROP",
        ),
    ],
)
def test_a_filter_over_bridges(machine, files, script, status, words):
    bench = machine("intel", files, script)
    found = by_id(bench.report(gather_subset=["network"]))["network.bridge_filter"]
    assert found["status"] == status and words in found["evidence"], found
    assert ("net.bridge.bridge-nf-call-iptables=0" in found["remedy"]) is (status == "warn")
    assert bench.host.exhausted(), "a table of iptables that is not there is not asked for"


def test_routes_of_the_kernel():
    assert parse_routes(ROUTES) == [Subnet("203.0.113.0/24", "eth0", "eth0")]
    lines = (
        "20010db8000500000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 1 0 00000001 br0\n"
        "fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 1 0 00000001 br0\n"
        "00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 1 0 00200200 lo\n"
        "20010db8000500000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 2 0 80200001 br0\n"
    )
    assert parse_routes6(lines) == [Subnet("2001:db8:5::/64", "br0", "br0")]


def test_networks_of_libvirt():
    owner = "libvirt's network default"
    assert parse_libvirt_network(LIBVIRT, "x") == [Subnet("192.168.122.0/24", owner, "virbr0"), Subnet("2001:db8:ca2:2::/64", owner, "virbr0")]
    assert parse_libvirt_network("<network><name>n</name><ip address='10.1.2.3'/></network>", "x")[0].subnet == "10.0.0.0/8"
    for broken in ("<network", "<network><name>n</name><ip address='300.1.1.1' prefix='24'/></network>"):
        with pytest.raises(Failure) as caught:
            parse_libvirt_network(broken, "/etc/libvirt/qemu/networks/n.xml")
        assert caught.value.message.startswith("/etc/libvirt/qemu/networks/n.xml: ")


def route(name, destination, mask):
    octets = [f"{int(part):02X}" for part in destination.split(".")]
    masks = [f"{int(part):02X}" for part in mask.split(".")]
    return f"{name}\t{''.join(reversed(octets))}\t00000000\t0001\t0\t0\t0\t{''.join(reversed(masks))}\t0\t0\t0\n"


NETWORK = {"/etc/libvirt/qemu/networks/default.xml": LIBVIRT}


@pytest.mark.parametrize(
    ("files", "clash"),
    [
        (NETWORK, None),
        ({**NETWORK, "/proc/net/route": ROUTES + route("virbr0", "192.168.122.0", "255.255.255.0")}, None),
        ({**NETWORK, "/proc/net/route": ROUTES + route("eth1", "192.168.122.0", "255.255.255.0")}, "meets 192.168.122.0/24 of eth1"),
        ({**NETWORK, "/proc/net/route": ROUTES + route("tun0", "192.168.0.0", "255.255.0.0")}, "meets 192.168.0.0/16 of tun0"),
        ({"/proc/net/route": ROUTES + route("docker0", "172.17.0.0", "255.255.0.0")}, None),
        (
            {"/proc/net/route": ROUTES + route("docker0", "172.17.0.0", "255.255.0.0") + route("tun0", "172.16.0.0", "255.240.0.0")},
            "172.17.0.0/16 of docker0 meets 172.16.0.0/12 of tun0",
        ),
        (
            {**NETWORK, "/etc/libvirt/qemu/networks/other.xml": LIBVIRT.replace("virbr0", "virbr1").replace(">default<", ">other<")},
            "192.168.122.0/24 of libvirt's network default meets 192.168.122.0/24 of libvirt's network other",
        ),
    ],
)
def test_subnets_that_clash(machine, files, clash):
    found = by_id(machine("intel", files).report(gather_subset=["network"]))["network.subnets"]
    assert found["status"] == ("warn" if clash else "pass")
    assert (clash or "none meets one of") in found["evidence"]


def test_networks_that_cannot_be_read_are_unknown(machine):
    bench = machine("intel", {"/etc/libvirt/qemu/networks/default.xml": "<network"})
    found = by_id(bench.report(gather_subset=["network"]))["network.subnets"]
    assert found["status"] == "unknown" and "default.xml" in found["evidence"]
