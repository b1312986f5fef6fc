# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from xml.sax.saxutils import quoteattr

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.network.spec import SPEC
from support.modules import apply, check, cycle, option_cycle, refused, run_module, settled
from support.network_options import CASES, FIELDS, IPS, NEEDS_AN_ADDRESS
from support.option_cases import by_path, changed, concerns, there_and_back, untried
from support.virsh import clear, virsh

NAME = "vt-net"
MODULE = "libvirt_network"
OPTIONS = {
    "name": NAME,
    "bridge": {"name": "vt-net0"},
    "forward": {"mode": "nat"},
    "ips": IPS,
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


#: Options that tests of their own are about.
ELSEWHERE = {
    "uri": "test_where_libvirt_is_not_there_yet_check_mode_predicts",
    "name": "test_the_life_of_a_network",
    "state": "test_the_life_of_a_network",
    "xml": "test_xml_and_options_on_top",
    "restart": "test_a_running_network_has_pending_fields_until_it_is_restarted",
    "autostart": "test_autostart_and_no_addresses",
    "forward.addresses": "test_addresses_of_devices_are_those_of_devices",
}


def test_every_option_is_tried():
    assert untried(SPEC["argument_spec"], CASES.values()) == set(ELSEWHERE)
    assert all(name in globals() for name in ELSEWHERE.values())


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_option_of_a_defined_network(defined, case):
    one, other = case
    if one["forward"]["mode"] in NEEDS_AN_ADDRESS:
        apply(MODULE, {**defined, "ips": [{"address": "198.18.99.1/24"}]})
    there = changed(SPEC["argument_spec"], one, other)
    for result in there_and_back(MODULE, defined, one, other)[1:]:
        changes = result["actions"][0]["changes"]
        for name in there:
            assert concerns(changes, by_path(FIELDS, name)), f"{name} changed nothing: {changes}"


def test_autostart_and_no_addresses(defined):
    option_cycle(MODULE, defined, "autostart", True, False)
    cycle(MODULE, {**defined, "ips": []})


def test_addresses_of_devices_are_those_of_devices(defined):
    """Libvirt takes only virtual functions of SR-IOV, which no machine for tests has. That they are written and compared right, unit tests show."""
    options = {**defined, "forward": {"mode": "hostdev", "addresses": ["0000:ff:1f.7"]}}
    assert "0000:ff:1f.7" in refused(MODULE, options, "unsupported_configuration")
    cycle(MODULE, {**defined, "forward": {"mode": "hostdev", "addresses": []}})


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
