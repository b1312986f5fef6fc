# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of networks and their cases. Several options share a case, so that all of them are tried in seconds."""

from __future__ import annotations

from support.option_cases import Options

#: Option → the field of the definition that it is. What has no row is a part of what the row above it says.
FIELDS = {
    "forward": "forward",
    "forward.interfaces": "forward/interface",
    "forward.dev": "forward@dev",
    "bridge": "bridge",
    "mac": "mac",
    "domain": "domain",
    "domain_local_only": "domain@localOnly",
    "mtu": "mtu",
    "ipv6": "@ipv6",
    "isolated": "port",
    "vlan": "vlan",
    "virtualport": "virtualport",
    "bandwidth": "bandwidth",
    "trust_guest_rx_filters": "@trustGuestRxFilters",
    "dns": "dns",
    "dns.hosts": "dns/host",
    "dns.txt": "dns/txt",
    "dns.srv": "dns/srv",
    "ips": "ip",
    "ips.dhcp.ranges": "ip/dhcp/range",
    "ips.dhcp.hosts": "ip/dhcp/host",
    "routes": "route",
    "portgroups": "portgroup",
    "dnsmasq_options": "options",
}

NEEDS_AN_ADDRESS = ("nat", "route", "open")
_DHCP = {
    "ranges": [{"start": "198.18.77.100", "end": "198.18.77.150"}],
    "hosts": [{"mac": "52:54:00:AA:00:01", "name": "one", "ip": "198.18.77.10"}],
}
IPS = [{"address": "198.18.77.1", "prefix": 24, "dhcp": _DHCP}, {"address": "fd00:77::1/64"}]

#: What a case is about → two values of all its options.
CASES: dict[str, tuple[Options, Options]] = {
    "a network of its own": (
        {
            "forward": {"mode": "nat"},
            "bridge": {"name": "vt-net1", "stp": False, "delay": 2},
            "mac": "52:54:00:12:34:5A",
            "domain": "lab.example",
            "mtu": 1400,
            "ips": [{"address": "198.18.78.1", "prefix": 25}],
        },
        {
            "forward": {"mode": "none"},
            "bridge": {"name": "vt-net2", "stp": True, "delay": 0},
            "mac": "52:54:00:12:34:56",
            "domain": "",
            "mtu": 9000,
            "ips": [{"address": "198.18.77.1/24", "dhcp": {"ranges": [], "hosts": []}}],
        },
    ),
    "one interface": (
        {"forward": {"mode": "nat", "dev": "eth7"}, "bridge": {"stp": False}, "ips": IPS},
        {
            "forward": {"mode": "route", "dev": "eth8"},
            "bridge": {"stp": True},
            "ips": [{"address": "fd00:78::1/64", "dhcp": {"hosts": [{"name": "six", "ip": "fd00:78::6"}]}}],
        },
    ),
    "open": ({"forward": {"mode": "open"}}, {"forward": {"mode": "nat"}}),
    "what daemons do": (
        {
            "forward": {
                "mode": "nat",
                "nat": {"addresses": {"start": "203.0.113.5", "end": "203.0.113.9"}, "ports": {"start": 2000, "end": 3000}, "ipv6": True},
            },
            "bridge": {"zone": "libvirt", "mac_table_manager": "libvirt"},
            "domain": "lab.example",
            "domain_local_only": True,
            "isolated": True,
            "dns": {
                "enable": True,
                "forward_plain_names": False,
                "forwarders": [{"address": "198.51.100.53", "domain": "a.example"}, {"address": "198.51.100.54"}, {"domain": "local.example"}],
                "hosts": [{"ip": "198.18.77.20", "hostnames": ["a", "b"]}, {"ip": "fd00:77::20", "hostnames": ["a"]}],
                "txt": [{"name": "a", "value": "b c"}],
                "srv": [
                    {"service": "ldap", "protocol": "tcp", "domain": "a.example", "target": "b.example", "port": 389, "priority": 5, "weight": 7}
                ],
            },
            "ips": [
                {
                    "address": "198.18.77.1/24",
                    "local_ptr": True,
                    "tftp_root": "/srv/tftp",
                    "dhcp": {
                        "ranges": [{"start": "198.18.77.100", "end": "198.18.77.150", "lease": {"expiry": 3, "unit": "hours"}}],
                        "hosts": [{"mac": "52:54:00:aa:00:01", "ip": "198.18.77.10", "lease": {"expiry": 0}}],
                        "bootp": {"file": "pxe.0", "server": "198.18.77.9"},
                    },
                },
                {"address": "fd00:77::1/64", "dhcp": {"hosts": [{"id": "00:03:00:01:52:54:00:aa:00:01", "name": "six", "ip": "fd00:77::6"}]}},
            ],
            "routes": [
                {"address": "203.0.113.0/25", "gateway": "198.18.77.8"},
                {"address": "fd00:99::", "prefix": 64, "gateway": "fd00:77::9", "metric": 3},
            ],
            "bandwidth": {"inbound": {"average": 1000, "peak": 5000, "burst": 1024}, "outbound": {"average": 128, "peak": 256, "burst": 64}},
            "portgroups": [
                {"name": "a", "default": True, "bandwidth": {"inbound": {"average": 10}}, "trust_guest_rx_filters": True},
                {"name": "b", "bandwidth": {way: {"average": 11, "peak": 12, "burst": 13} for way in ("inbound", "outbound")}},
            ],
            "dnsmasq_options": ["log-queries", "dhcp-option=option:ntp-server,198.18.77.1"],
        },
        {
            "forward": {"mode": "nat", "nat": {"addresses": {}, "ports": {"start": 1024, "end": 65535}, "ipv6": False}},
            "bridge": {"zone": "public", "mac_table_manager": "kernel"},
            "domain": "other.example",
            "domain_local_only": False,
            "isolated": False,
            "dns": {
                "forward_plain_names": True,
                "forwarders": [{"address": "198.51.100.54"}],
                "hosts": [{"ip": "198.18.77.20", "hostnames": ["b", "c"]}],
                "txt": [{"name": "b", "value": "d"}],
                "srv": [{"service": "sip", "protocol": "udp", "domain": "c.example", "target": "d.example", "port": 636}],
            },
            "ips": [
                {
                    "address": "198.18.77.1/24",
                    "local_ptr": False,
                    "tftp_root": "",
                    "dhcp": {
                        "ranges": [{"start": "198.18.77.100", "end": "198.18.77.150", "lease": {"expiry": 30}}],
                        "hosts": [{"mac": "52:54:00:aa:00:01", "ip": "198.18.77.10", "lease": {"expiry": 900, "unit": "seconds"}}],
                        "bootp": {},
                    },
                },
                {"address": "fd00:77::1/64", "dhcp": {"ranges": [], "hosts": []}},
            ],
            "routes": [{"address": "203.0.113.0", "prefix": 25, "gateway": "198.18.77.9", "metric": 2}],
            "bandwidth": {"inbound": {"average": 1000, "peak": 6000, "burst": 2048}, "outbound": {"average": 256, "peak": 512, "burst": 65}},
            "portgroups": [{"name": "a", "default": False, "bandwidth": {}, "trust_guest_rx_filters": False}],
            "dnsmasq_options": ["log-queries"],
        },
    ),
    "without": (
        {"forward": {"mode": "nat"}, "ipv6": True, "bandwidth": {"inbound": {"average": 1}}, "dns": {"enable": False}},
        {"forward": {"mode": "nat"}, "ipv6": False, "bandwidth": {}, "dns": {}},
    ),
    "a switch": (
        {
            "forward": {"mode": "bridge"},
            "bridge": {"name": "vt-ovs0"},
            "virtualport": {"type": "openvswitch", "parameters": {"profileid": "x"}},
            "vlan": {"trunk": True, "tags": [{"id": 42, "native_mode": "untagged"}, {"id": 47}]},
            "portgroups": [
                {"name": "a", "vlan": {"trunk": True, "tags": [{"id": 9, "native_mode": "tagged"}]}},
                {"name": "b", "virtualport": {"type": "openvswitch", "parameters": {"profileid": "y"}}},
            ],
        },
        {
            "forward": {"mode": "bridge"},
            "bridge": {"name": "vt-ovs1"},
            "virtualport": {"type": "openvswitch", "parameters": {}},
            "vlan": {"trunk": False, "tags": [{"id": 43}]},
            "portgroups": [{"name": "a", "vlan": {"tags": [{"id": 8}]}}, {"name": "b", "virtualport": {}}],
        },
    ),
    "a pool of interfaces": (
        {"forward": {"mode": "passthrough", "interfaces": ["vt-x0", "vt-x1"]}, "trust_guest_rx_filters": True},
        {"forward": {"mode": "private", "interfaces": ["vt-x1", "vt-x2"]}, "trust_guest_rx_filters": False},
    ),
    "devices of PCI": (
        {"forward": {"mode": "hostdev", "managed": True, "pf": "vt-x0", "driver": "vfio"}, "vlan": {"tags": [{"id": 42}]}},
        {"forward": {"mode": "hostdev", "managed": False, "pf": "vt-x1", "driver": "kvm"}, "vlan": {}},
    ),
    "a port of another kind": (
        {"forward": {"mode": "vepa", "pf": "vt-x0"}, "virtualport": {"type": "802.1Qbh", "parameters": {"profileid": "x"}}},
        {"forward": {"mode": "vepa", "pf": "vt-x1"}, "virtualport": {"type": "openvswitch", "parameters": {"profileid": "x"}}},
    ),
}
