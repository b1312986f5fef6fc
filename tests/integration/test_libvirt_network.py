# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.network.spec import SPEC
from support.modules import apply, check, cycle, option_cycle, refused, run_module, settled
from support.virsh import clear, virsh

NAME = "vt-net"
MODULE = "libvirt_network"
OPTIONS = {
    "name": NAME,
    "bridge": {"name": "vt-net0"},
    "forward": {"mode": "nat"},
    "ips": [
        {
            "address": "198.18.77.1",
            "prefix": 24,
            "dhcp": {
                "ranges": [{"start": "198.18.77.100", "end": "198.18.77.150"}],
                "hosts": [{"mac": "52:54:00:AA:00:01", "name": "one", "ip": "198.18.77.10"}],
            },
        },
        {"address": "fd00:77::1/64"},
    ],
}


def remove(name: str = NAME) -> None:
    clear(("net-destroy", name), ("net-undefine", name))


@pytest.fixture(autouse=True)
def clean(libvirtd):
    remove()
    yield
    remove()


@pytest.fixture
def defined():
    apply(MODULE, {**OPTIONS, "forward": {"mode": "none"}, "state": "inactive"})
    return {"name": NAME, "state": "inactive"}


def test_the_life_of_a_network():
    made = cycle(MODULE, OPTIONS)
    assert [step["action"] for step in made["actions"]] == ["define_network", "start_network"]
    assert made["resource"]["bridge"] == "vt-net0"
    cycle(MODULE, {"name": NAME, "state": "inactive"})
    settled(MODULE, {**OPTIONS, "state": "present"})
    cycle(MODULE, {"name": NAME})
    gone = cycle(MODULE, {"name": NAME, "state": "absent"})
    assert [step["action"] for step in gone["actions"]] == ["stop_network", "undefine_network"]


#: Several options at a time, each with two values, and the field of the definition that each must change.
CHANGES: list[dict[str, tuple[Any, Any, str]]] = [
    {
        "forward": ({"mode": "nat"}, {"mode": "none"}, "forward"),
        "bridge": ({"name": "vt-net1", "stp": False, "delay": 2}, {"name": "vt-net2", "stp": True, "delay": 0}, "bridge"),
        "mac": ("52:54:00:12:34:5A", "52:54:00:12:34:56", "mac@address"),
        "domain": ("lab.example", "", "domain"),
        "mtu": (1400, 9000, "mtu"),
        "ips": ([{"address": "198.18.78.1", "prefix": 25}], [{"address": "198.18.77.1/24", "dhcp": {"ranges": [], "hosts": []}}], "ip"),
    },
    {
        "forward": ({"mode": "nat", "dev": "eth7"}, {"mode": "route", "dev": "eth8"}, "forward"),
        "bridge": ({"stp": False}, {"stp": True}, "bridge@stp"),
        "ips": (OPTIONS["ips"], [{"address": "fd00:78::1/64", "dhcp": {"hosts": [{"name": "six", "ip": "fd00:78::6"}]}}], "ip"),
    },
    {"forward": ({"mode": "open"}, {"mode": "nat"}, "forward")},
    {
        "forward": (
            {
                "mode": "nat",
                "nat": {"addresses": {"start": "203.0.113.5", "end": "203.0.113.9"}, "ports": {"start": 2000, "end": 3000}, "ipv6": True},
            },
            {"mode": "nat", "nat": {"addresses": {}, "ports": {"start": 1024, "end": 65535}, "ipv6": False}},
            "forward/nat",
        ),
        "bridge": ({"zone": "libvirt", "mac_table_manager": "libvirt"}, {"zone": "public", "mac_table_manager": "kernel"}, "bridge@macTableManager"),
        "domain": ("lab.example", "other.example", "domain@name"),
        "domain_local_only": (True, False, "domain@localOnly"),
        "isolated": (True, False, "port"),
        "dns": (
            {
                "enable": True,
                "forward_plain_names": False,
                "forwarders": [{"address": "198.51.100.53", "domain": "a.example"}, {"address": "198.51.100.54"}, {"domain": "local.example"}],
                "hosts": [{"ip": "198.18.77.20", "hostnames": ["a", "b"]}, {"ip": "fd00:77::20", "hostnames": ["a"]}],
                "txt": [{"name": "a", "value": "b c"}],
                "srv": [
                    {"service": "ldap", "protocol": "tcp", "domain": "a.example", "target": "b.example", "port": 389, "priority": 5, "weight": 7}
                ],
            },
            {
                "forward_plain_names": True,
                "forwarders": [{"address": "198.51.100.54"}],
                "hosts": [{"ip": "198.18.77.20", "hostnames": ["b", "c"]}],
                "txt": [{"name": "a", "value": "d"}],
                "srv": [{"service": "ldap", "protocol": "tcp", "domain": "a.example", "target": "b.example", "port": 636}],
            },
            "dns/host",
        ),
        "ips": (
            [
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
            [
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
            "ip[198.18.77.1]/dhcp/host",
        ),
        "routes": (
            [{"address": "203.0.113.0/25", "gateway": "198.18.77.8"}, {"address": "fd00:99::", "prefix": 64, "gateway": "fd00:77::9", "metric": 3}],
            [{"address": "203.0.113.0", "prefix": 25, "gateway": "198.18.77.9", "metric": 2}],
            "route",
        ),
        "bandwidth": (
            {"inbound": {"average": 1000, "peak": 5000, "burst": 1024}, "outbound": {"average": 128, "peak": 256, "burst": 64}},
            {"outbound": {"average": 256}},
            "bandwidth/inbound",
        ),
        "portgroups": (
            [
                {"name": "a", "default": True, "bandwidth": {"inbound": {"average": 10}}, "trust_guest_rx_filters": True},
                {"name": "b", "bandwidth": {way: {"average": 11, "peak": 12, "burst": 13} for way in ("inbound", "outbound")}},
            ],
            [{"name": "a", "default": False, "bandwidth": {}, "trust_guest_rx_filters": False}],
            "portgroup",
        ),
        "dnsmasq_options": (["log-queries", "dhcp-option=option:ntp-server,198.18.77.1"], ["log-queries"], "options"),
    },
    {"ipv6": (True, False, "@ipv6"), "bandwidth": ({"inbound": {"average": 1}}, {}, "bandwidth"), "dns": ({"enable": False}, {}, "dns")},
    {
        "forward": ({"mode": "bridge"}, {"mode": "bridge"}, None),
        "bridge": ({"name": "vt-ovs0"}, {"name": "vt-ovs1"}, "bridge@name"),
        "virtualport": ({"type": "openvswitch", "parameters": {"profileid": "x"}}, {"type": "openvswitch", "parameters": {}}, "virtualport"),
        "vlan": ({"tags": [{"id": 42, "native_mode": "untagged"}, {"id": 47}]}, {"trunk": False, "tags": [{"id": 43}]}, "vlan"),
        "portgroups": (
            [
                {"name": "a", "vlan": {"trunk": True, "tags": [{"id": 9, "native_mode": "tagged"}]}},
                {"name": "b", "virtualport": {"type": "openvswitch", "parameters": {"profileid": "y"}}},
            ],
            [{"name": "a", "vlan": {"tags": [{"id": 9}]}}, {"name": "b", "virtualport": {}}],
            "portgroup",
        ),
    },
    {
        "forward": (
            {"mode": "passthrough", "interfaces": ["vt-x0", "vt-x1"]},
            {"mode": "private", "interfaces": ["vt-x1", "vt-x2"]},
            "forward",
        ),
        "trust_guest_rx_filters": (True, False, "@trustGuestRxFilters"),
    },
    {
        "forward": (
            {"mode": "hostdev", "managed": True, "pf": "vt-x0", "driver": "vfio"},
            {"mode": "hostdev", "managed": False, "pf": "vt-x1"},
            "forward",
        ),
        "vlan": ({"tags": [{"id": 42}]}, {}, "vlan"),
    },
    {"forward": ({"mode": "vepa", "pf": "vt-x0"}, {"mode": "vepa", "pf": "vt-x1"}, "forward")},
]


#: Options of every module, those that tests of their own are about, and what libvirt takes of real SR-IOV devices only: unit tests have that.
OTHERS = {"uri", "name", "state", "xml", "restart", "autostart", "forward.addresses"}


def _options(spec: dict[str, Any], above: str = "") -> set[str]:
    """All that there are, those below others by their whole names."""
    return {one for name, option in spec.items() for one in ({above + name} | _options(option.get("options", {}), f"{above}{name}."))}


def _said(value: Any, path: str) -> set[str]:
    if isinstance(value, list):
        return set().union(*(_said(one, path) for one in value))
    if not isinstance(value, dict):
        return set()
    return set().union(*({f"{path}.{name}"} | _said(inner, f"{path}.{name}") for name, inner in value.items()))


def test_every_option_is_tried():
    tried = {name for options in CHANGES for name in options}
    for options in CHANGES:
        tried |= {said for name, values in options.items() for value in values[:2] for said in _said(value, name)}
    assert _options(SPEC["argument_spec"]) - tried == OTHERS


@pytest.mark.parametrize("options", CHANGES, ids=lambda options: "-".join(options) + f"-{options.get('forward', ({},))[0].get('mode', '')}")
def test_each_option_of_a_defined_network(defined, options):
    if options.get("forward", ({},))[0].get("mode", "nat") in ("nat", "route", "open"):
        apply(MODULE, {**defined, "ips": [{"address": "198.18.99.1/24"}]})
    for which in (0, 1, 0):
        result = cycle(MODULE, {**defined, **{name: values[which] for name, values in options.items()}})
        for name, values in options.items():
            changes = result["actions"][0]["changes"]
            said = values[2] is None or any(change.startswith(values[2]) or values[2].startswith(change) for change in changes)
            assert said, f"{name} changed nothing: {changes}"


def test_autostart_and_no_addresses(defined):
    option_cycle(MODULE, defined, "autostart", True, False)
    cycle(MODULE, {**defined, "ips": []})


def test_dev_can_be_taken_away(defined):
    cycle(MODULE, {**defined, "forward": {"mode": "nat", "dev": "eth7"}})
    cycle(MODULE, {**defined, "forward": {"mode": "nat", "dev": ""}})


def test_dhcp_lists_are_left_alone_unless_named(defined):
    cycle(MODULE, {**defined, "ips": [{"address": "198.18.77.1/24", "dhcp": {"ranges": []}}]})
    xml = virsh("net-dumpxml", NAME)
    assert "<range" not in xml and "52:54:00:aa:00:01" in xml and "fd00:77" not in xml


def test_a_running_network_has_pending_fields_until_it_is_restarted():
    apply(MODULE, OPTIONS)
    changed = cycle(MODULE, {"name": NAME, "mtu": 1400})
    assert changed["pending"] == ["mtu"] and changed["restart_required"]
    assert settled(MODULE, {"name": NAME, "mtu": 1400})["pending"] == ["mtu"]
    restarted = cycle(MODULE, {"name": NAME, "mtu": 1400, "restart": "if_required"})
    assert restarted["pending"] == [] and [step["action"] for step in restarted["actions"]] == ["stop_network", "start_network"]


def test_xml_and_options_on_top():
    xml = f"<network><name>{NAME}</name><bridge name='vt-net0'/><ip address='198.18.77.1' netmask='255.255.255.0'/></network>"
    cycle(MODULE, {"xml": xml, "state": "inactive"})
    cycle(MODULE, {"xml": xml, "state": "inactive", "domain": "lab.example"})
    settled(MODULE, {"xml": xml, "state": "inactive"})
    settled(MODULE, {"state": "inactive", "xml": virsh("net-dumpxml", "--inactive", NAME)})


def test_what_libvirt_does_not_keep_is_remembered_and_warned_of(defined):
    options = {**defined, "xml": "<network><colour>blue</colour></network>"}
    made = apply(MODULE, options)
    assert made["changed"] and "does not keep colour" in str(made["warnings"])
    assert "does not keep colour" in str(settled(MODULE, options)["warnings"])
    cycle(MODULE, {**defined, "mtu": 1400})
    assert apply(MODULE, options)["changed"]  # the definition is another one now, so it is asked for again
    settled(MODULE, options)


def test_an_equal_network_of_virsh_is_adopted():
    virsh("net-define", "/dev/stdin", stdin=f"<network><name>{NAME}</name><bridge name='vt-net0'/><ip address='198.18.77.1' prefix='24'/></network>")
    options = {"name": NAME, "state": "inactive", "bridge": {"name": "vt-net0"}, "ips": [{"address": "198.18.77.1/24"}]}
    uuid = settled(MODULE, options)["resource"]["uuid"]
    assert cycle(MODULE, {**options, "mtu": 1400})["resource"]["uuid"] == uuid


def test_a_transient_network_is_made_persistent():
    virsh("net-create", "/dev/stdin", stdin=f"<network><name>{NAME}</name><bridge name='vt-net0'/></network>")
    made = cycle(MODULE, {"name": NAME})
    assert made["resource"]["persistent"] and made["resource"]["state"] == "active"


@pytest.mark.parametrize("text", ["a\"<b>&amp;'/><ip address='1.2.3.4'/>"])
def test_text_stays_text(defined, text):
    cycle(MODULE, {**defined, "xml": f"<network><dns><txt name='vt' value={quoteattr(text)}/></dns></network>"})
    assert virsh("net-dumpxml", NAME).count("<ip ") == 2


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"name": "a/b"}, "invalid_name"),
        ({"xml": '<!DOCTYPE network [<!ENTITY a "b">]><network><name>&a;</name></network>'}, "invalid_xml"),
        ({"forward": {"mode": "nat"}, "ips": []}, "missing_option"),
        ({}, "network_not_found"),
        ({"uri": "qemu+unix:///system?socket=/nowhere", "mtu": 1400}, "libvirt_unreachable"),
    ],
)
def test_bad_input_is_refused(options, code):
    refused(MODULE, {"name": NAME, **options}, code)


def test_libvirts_own_refusal_is_one_sentence(defined):
    message = refused(
        MODULE, {**defined, "xml": "<network><route address='198.18.0.0' prefix='77' gateway='198.18.77.9'/></network>"}, "invalid_definition"
    )
    assert message.startswith(f"network {NAME}: libvirt refuses the definition: ")


def test_a_failed_start_says_why(defined):
    assert NAME in refused(MODULE, {**defined, "state": "active", "bridge": {"name": "lo"}}, "start_failed")


def test_a_uuid_that_is_taken(defined):
    uuid = virsh("net-uuid", NAME).strip()
    refused(MODULE, {"xml": f"<network><name>vt-other</name><uuid>{uuid}</uuid></network>"}, "uuid_in_use", check_mode=True)
    refused(MODULE, {"xml": f"<network><name>{NAME}</name><uuid>{uuid[:-4]}0000</uuid></network>"}, "uuid_mismatch")


def test_where_libvirt_is_not_there_yet_check_mode_predicts():
    options = {**OPTIONS, "uri": "qemu+unix:///system?socket=/nowhere"}
    result = check(MODULE, options)
    assert result["changed"] and [step["action"] for step in result["actions"]] == ["define_network", "start_network"]
    assert "cannot connect" in str(result["warnings"])
    assert run_module(MODULE, options)["code"] == "libvirt_unreachable"
