# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import subprocess
from typing import Any

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.nwfilter.model import SPEC
from support.modules import apply, check, cycle, refused, run_module, settled
from support.nwfilter_options import FIELDS, ONE, OTHER
from support.option_cases import by_path, changed, concerns, there_and_back, untried
from support.virsh import clear, virsh

MODULE = "libvirt_nwfilter"
NAME = "vt-filter"
GUEST, BRIDGE = "vt-filter-guest", "vt-filter0"
RULES = [
    {
        "action": "accept",
        "direction": "in",
        "protocol": "tcp",
        "match": {"srcipaddr": "198.51.100.0", "srcipmask": "255.255.255.0", "dstportstart": 443},
    },
    {"action": "accept", "direction": "out"},
    {"action": "drop", "direction": "inout", "protocol": "icmp"},
    {"action": "drop", "direction": "in", "priority": 1000, "statematch": False},
]


def remove() -> None:
    clear(
        ("destroy", GUEST),
        ("undefine", GUEST),
        ("nwfilter-undefine", f"{NAME}-outer"),
        ("nwfilter-undefine", NAME),
    )
    subprocess.run(["ip", "link", "delete", BRIDGE], capture_output=True, check=False)


@pytest.fixture(autouse=True)
def clean(libvirtd):
    remove()
    yield
    remove()


def steps(result: dict[str, Any]) -> list[str]:
    return [step["action"] for step in result["actions"]]


def test_the_life_of_a_filter():
    made = cycle(
        MODULE, {"name": NAME, "rules": RULES, "filterrefs": [{"filter": "clean-traffic", "parameters": {"IP": ["203.0.113.7", "203.0.113.8"]}}]}
    )
    assert steps(made) == ["define_nwfilter"]
    xml = virsh("nwfilter-dumpxml", NAME)
    assert "srcipmask='24' dstportstart='443'" in xml and xml.count("<parameter") == 2 and "statematch='false'" in xml
    settled(MODULE, {"xml": xml})
    other = cycle(MODULE, {"name": NAME, "rules": [RULES[1], {**RULES[0], "match": {"dstportstart": 22}}]})  # nothing of the old first rule stays
    assert other["resource"]["uuid"] == made["resource"]["uuid"] and "198.51.100.0" not in virsh("nwfilter-dumpxml", NAME)
    assert steps(cycle(MODULE, {"name": NAME, "state": "absent"})) == ["undefine_nwfilter"]


#: Options that tests of their own are about.
ELSEWHERE = {
    "uri": "test_where_libvirt_is_not_there_yet_check_mode_predicts",
    "name": "test_the_life_of_a_filter",
    "state": "test_the_life_of_a_filter",
    "xml": "test_the_life_of_a_filter",
}


def test_every_option_is_tried():
    assert untried(SPEC["argument_spec"], [(ONE, OTHER)]) == set(ELSEWHERE)
    assert all(name in globals() for name in ELSEWHERE.values())


def test_each_option():
    for result in there_and_back(MODULE, {"name": NAME}, ONE, OTHER)[1:]:
        changes = result["actions"][0]["changes"]
        for option in changed(SPEC["argument_spec"], ONE, OTHER):
            assert concerns(changes, by_path(FIELDS, option)), f"{option} changed nothing: {changes}"
    cycle(MODULE, {"name": NAME, "rules": [], "filterrefs": []})


def test_guests_that_run_have_it_at_once():
    def ports() -> set[str]:
        rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
        return {port for port in ("4711", "4712", "4713", "4714") if f"--dport {port} " in rules}

    drop = {"action": "drop", "direction": "in", "protocol": "tcp"}
    apply(MODULE, {"name": NAME, "rules": [{**drop, "match": {"dstportstart": "$PORT"}}]})
    outer = {"name": f"{NAME}-outer", "filterrefs": [{"filter": NAME, "parameters": {"PORT": 4711}}]}
    apply(MODULE, {**outer, "rules": [{**drop, "match": {"dstportstart": 4713}}]})
    subprocess.run(["ip", "link", "add", BRIDGE, "type", "bridge"], check=True)
    nic = f"<interface type='bridge'><source bridge='{BRIDGE}'/><filterref filter='{NAME}-outer'/></interface>"
    xml = f"<domain type='qemu'><name>{GUEST}</name><memory>65536</memory><os><type>hvm</type></os><devices>{nic}</devices></domain>"
    virsh("create", "/dev/stdin", "--paused", stdin=xml)
    assert ports() == {"4711", "4713"}
    outer["filterrefs"] = [{"filter": NAME, "parameters": {"PORT": 4712}}]
    cycle(MODULE, {**outer, "chain": "ipv4-vt", "priority": 7, "rules": [{**drop, "match": {"dstportstart": 4714}}]})
    assert ports() == {"4712", "4714"}


def test_in_use():
    apply(MODULE, {"name": NAME, "rules": RULES})
    apply(MODULE, {"name": f"{NAME}-outer", "filterrefs": [{"filter": NAME}]})
    nic = f"<interface type='user'><filterref filter='{NAME}'/></interface>"
    xml = f"<domain type='qemu'><name>{GUEST}</name><memory>65536</memory><os><type>hvm</type></os><devices>{nic}</devices></domain>"
    virsh("define", "/dev/stdin", stdin=xml.replace("type='user'>", "type='bridge'><source bridge='vt-none'/>"))
    message = refused(MODULE, {"name": NAME, "state": "absent"}, "nwfilter_in_use")
    assert f"the filter {NAME}-outer, the guest {GUEST}" in message
    assert GUEST in str(check(MODULE, {"name": NAME, "state": "absent"})["warnings"])


def test_a_filter_of_virsh_is_adopted_and_text_stays_text():
    comment = "a \"b\" <c> & 'd'"
    rules = [{"action": "accept", "direction": "in", "protocol": "all", "match": {"comment": comment}}]
    cycle(MODULE, {"name": NAME, "rules": rules})
    text = virsh("nwfilter-dumpxml", NAME)
    virsh("nwfilter-undefine", NAME)
    virsh("nwfilter-define", "/dev/stdin", stdin=text)
    settled(MODULE, {"name": NAME, "rules": rules})


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, "nwfilter_not_found"),
        ({"name": "a/b"}, "invalid_name"),
        ({"chain": "nosuch"}, "invalid_value"),
        ({"priority": 1001}, "invalid_value"),
        ({"rules": [{"action": "accept", "direction": "in", "match": {"srcipaddr": "198.51.100.1"}}]}, "missing_option"),
        ({"rules": [{"action": "accept", "direction": "in", "protocol": "tcp", "match": {"a'b": 1}}]}, "invalid_name"),
        ({"rules": [{"action": "accept", "direction": "in", "protocol": "tcp", "match": {"nosuch": 1}}]}, "not_kept"),
        ({"rules": [{"action": "allow", "direction": "in"}]}, "invalid_options"),
        ({"xml": '<!DOCTYPE filter [<!ENTITY a "b">]><filter name="&a;"/>'}, "invalid_xml"),
        ({"xml": "<filter name='other'/>"}, "invalid_xml"),
    ],
)
def test_bad_input_is_refused(options, code):
    refused(MODULE, {"name": NAME, **options}, code)
    assert NAME not in virsh("nwfilter-list").split()


def test_where_libvirt_is_not_there_yet_check_mode_predicts():
    options = {"name": NAME, "rules": RULES, "uri": "qemu+unix:///system?socket=/nowhere"}
    assert steps(check(MODULE, options)) == ["define_nwfilter"]
    assert run_module(MODULE, options)["code"] == "libvirt_unreachable"
