# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.network import plan as p
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.network.model import SPEC, Observed, from_params
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.network.rules import RULES
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.xmlmerge import canonical
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.xmltree import parse, render
from support.hosts import converged


def desired(**given):
    checked = ArgumentSpecValidator(**SPEC).validate({"name": "n", **given})
    assert not checked.error_messages, checked.error_messages
    return from_params(checked.validated_parameters)


# virsh net-dumpxml of libvirt 9.0.0
DEFAULT = """
<network>
  <name>n</name>
  <uuid>8ae2c86c-28f4-4a21-bb22-d9f1a9f62e57</uuid>
  <forward mode='nat'>
    <nat><port start='1024' end='65535'/></nat>
  </forward>
  <bridge name='virbr0' stp='on' delay='0'/>
  <mac address='52:54:00:11:22:33'/>
  <ip address='192.168.122.1' netmask='255.255.255.0'>
    <dhcp><range start='192.168.122.2' end='192.168.122.254'/><host mac='52:54:00:00:00:01' name='a' ip='192.168.122.7'/></dhcp>
  </ip>
</network>"""


def network(active=True, text=DEFAULT):
    tree = canonical(parse(text, "xml", "network"), RULES)
    return Observed(inactive=tree, active=tree if active else None)


def kinds(plan):
    return [action.kind for action in plan.actions]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"xml": DEFAULT},
        {"ips": [{"address": "192.168.122.1/24"}]},
        {"ips": [{"address": "192.168.122.1", "prefix": 24, "dhcp": {"ranges": [{"start": "192.168.122.2", "end": "192.168.122.254"}]}}]},
        {"forward": {"mode": "nat"}, "bridge": {"stp": True, "delay": 0}},
        {"mac": "52:54:00:11:22:33"},
        {"xml": "<network><dns/><ip family='ipv4' address='192.168.122.1' prefix='24'/></network>"},
    ],
)
def test_what_is_so_already(options):
    assert converged(p.plan, network(), desired(**options)).actions == ()


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ({"mtu": 1400}, ("mtu",)),
        ({"forward": {"mode": "open"}}, ("forward@mode",)),
        ({"bridge": {"name": "br9"}}, ("bridge@name",)),
        ({"ips": [{"address": "192.168.122.1/24"}, {"address": "fd00::1/64"}]}, ("ip[fd00::1]",)),
        ({"forward": {"mode": "none"}}, ("forward",)),
    ],
)
def test_a_running_network_is_changed_for_its_next_start(options, changes):
    plan = converged(p.plan, network(), desired(**options))
    assert kinds(plan) == ["define_network"] and plan.actions[0].changes == changes == plan.pending
    again = converged(p.plan, network(), desired(restart="if_required", **options))
    assert kinds(again) == ["define_network", "stop_network", "start_network"] and again.pending == ()


def test_another_forward_mode_leaves_nothing_of_the_old_one():
    plan = p.plan(network(), desired(forward={"mode": "route"}))
    assert '<forward mode="route" />' in render(plan.actions[0].definition)


@pytest.mark.parametrize(
    ("active", "state", "steps"),
    [
        (True, "inactive", ["stop_network"]),
        (False, "active", ["start_network"]),
        (False, "present", []),
        (True, "absent", ["stop_network", "undefine_network"]),
        (False, "absent", ["undefine_network"]),
    ],
)
def test_from_state_to_state(active, state, steps):
    assert kinds(converged(p.plan, network(active), desired(state=state))) == steps


def test_a_new_network():
    plan = converged(p.plan, Observed(), desired(ips=[{"address": "fd00::1/64"}], autostart=True))
    assert kinds(plan) == ["define_network", "start_network", "set_autostart"]
    assert render(plan.actions[0].definition) == '<network><name>n</name><ip family="ipv6" address="fd00::1" prefix="64" /></network>'


def test_devices_of_pci():
    plan = converged(p.plan, Observed(), desired(forward={"mode": "hostdev", "addresses": ["03:10.1", "0001:3:a.7"]}))
    assert [dict(node.attributes) for node in plan.actions[0].definition.find("forward").all("address")] == [
        {"type": "pci", "domain": "0x0000", "bus": "0x03", "slot": "0x10", "function": "0x1"},
        {"type": "pci", "domain": "0x0001", "bus": "0x03", "slot": "0x0a", "function": "0x7"},
    ]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"name": ""}, "invalid_name"),
        ({"name": "a\nb"}, "invalid_name"),
        ({"ips": [{"address": "300.1.1.1", "prefix": 24}]}, "invalid_address"),
        ({"ips": [{"address": "198.18.77.1"}]}, "invalid_address"),
        ({"ips": [{"address": "198.18.77.1", "prefix": 99}]}, "invalid_address"),
        ({"ips": [{"address": "198.18.77.1/24", "dhcp": {"ranges": [{"start": "10.0.0.1", "end": "10.0.0.2"}]}}]}, "invalid_address"),
        ({"ips": [{"address": "198.18.77.1/24", "dhcp": {"ranges": [{"start": "198.18.77.9", "end": "198.18.77.2"}]}}]}, "invalid_address"),
        ({"ips": [{"address": "198.18.77.1/24", "dhcp": {"hosts": [{"ip": "198.18.77.9"}]}}]}, "invalid_value"),
        ({"ips": [{"address": "fd00::1/64", "dhcp": {"hosts": [{"ip": "fd00::2", "mac": "52:54:00:00:00:01"}]}}]}, "invalid_value"),
        ({"ips": [{"address": "198.18.77.1/24", "dhcp": {"hosts": [{"name": "a'", "ip": "198.18.77.9"}]}}]}, "invalid_name"),
        ({"mac": "zz"}, "invalid_mac"),
        ({"mtu": 1}, "invalid_value"),
        ({"bridge": {"delay": -1}}, "invalid_value"),
        ({"bridge": {"name": "a'b"}}, "invalid_name"),
        ({"bridge": {"name": "sixteen-letters-"}}, "invalid_name"),
        ({"domain": "'/><ip address='1.2.3.4'/>"}, "invalid_name"),
        ({"forward": {"mode": "none", "dev": "eth0"}}, "invalid_value"),
        ({"forward": {"mode": "none", "nat": {"ipv6": True}}}, "invalid_value"),
        ({"forward": {"mode": "private", "dev": "eth0", "interfaces": ["eth1"]}}, "invalid_value"),
        ({"forward": {"mode": "private", "interfaces": ["a b"]}}, "invalid_name"),
        ({"forward": {"mode": "hostdev", "addresses": ["03:10"]}}, "invalid_address"),
        ({"forward": {"mode": "nat", "nat": {"addresses": {"start": "x"}}}}, "invalid_address"),
        ({"forward": {"mode": "nat", "nat": {"ports": {"start": 5}}}}, "missing_option"),
        ({"domain": "", "domain_local_only": True}, "invalid_value"),
        ({"vlan": {"trunk": True}}, "missing_option"),
        ({"vlan": {"trunk": False, "tags": [{"id": 1}, {"id": 2}]}}, "invalid_value"),
        ({"vlan": {"tags": [{"id": 4096}]}}, "invalid_value"),
        ({"virtualport": {"type": "openvswitch", "parameters": {"a b": "c"}}}, "invalid_name"),
        ({"bandwidth": {"inbound": {"average": 0}}}, "invalid_value"),
        ({"dns": {"forwarders": [{}]}}, "missing_option"),
        ({"dns": {"hosts": [{"ip": "198.18.77.9", "hostnames": []}]}}, "missing_option"),
        ({"dns": {"hosts": [{"ip": "x", "hostnames": ["a"]}]}}, "invalid_address"),
        ({"dns": {"txt": [{"name": "a", "value": "b\nc"}]}}, "invalid_text"),
        ({"dns": {"srv": [{"service": "a", "protocol": "tcp", "port": 0}]}}, "invalid_value"),
        ({"routes": [{"address": "198.18.77.1/24", "gateway": "198.18.77.9"}]}, "invalid_address"),
        ({"routes": [{"address": "198.18.77.0", "gateway": "198.18.77.9"}]}, "invalid_address"),
        ({"ips": [{"address": "198.18.77.1/24", "dhcp": {"hosts": [{"ip": "198.18.77.9", "id": "0:1"}]}}]}, "invalid_value"),
        ({"ips": [{"address": "198.18.77.1/24", "dhcp": {"bootp": {"server": "198.18.77.9"}}}]}, "missing_option"),
        ({"dnsmasq_options": ["a\nb"]}, "invalid_text"),
        ({"xml": "<domain/>"}, "invalid_xml"),
        ({"xml": "<network><name>other</name></network>"}, "invalid_xml"),
    ],
)
def test_bad_input(given, code):
    with pytest.raises(Failure) as caught:
        desired(**given)
    assert caught.value.code == code and "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("observed", "options", "code"),
    [
        (Observed(), {}, "network_not_found"),
        (Observed(), {"forward": {"mode": "nat"}}, "missing_option"),
        (Observed(uuid_holder="other"), {"mtu": 1400}, "uuid_in_use"),
        (network(), {"xml": "<network><uuid>11111111-1111-1111-1111-111111111111</uuid></network>"}, "uuid_mismatch"),
    ],
)
def test_what_cannot_be_done(observed, options, code):
    with pytest.raises(Failure) as caught:
        p.plan(observed, desired(**options))
    assert caught.value.code == code
