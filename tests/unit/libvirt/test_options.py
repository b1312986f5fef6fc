# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options that come from tables: each has a case, is planned, and is read back as it was said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain import plan as p
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.fields import OPTIONS
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.model import SPEC, Observed
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.options.table import ALONE
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.rules import RULES
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.said import said, wished
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.xmlmerge import differences
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.xmltree import parse, render, unmarked, walk
from guests import desired, guest
from support.domain_options import CASES, FIELDS, changed, concerns, in_every_text, is_text, told, under
from support.domain_running import ALL_FIELDS, ELSEWHERE, exercised, is_live
from support.hosts import converged

NEW = {"type": "qemu", "arch": "x86_64", "machine": "q35", "memory": "256M"}


def test_every_option_has_two_values_among_the_cases():
    said_of: dict[str, set[str]] = {name: set() for name in FIELDS}
    for case in CASES.values():
        for name, values in (*told(case.one).items(), *told(case.other).items()):
            if name in FIELDS:
                said_of[name].update(map(str, values))
                if name not in told(case.one) or name not in told(case.other):
                    said_of[name].add("nothing")
    assert {name: values for name, values in said_of.items() if len(values) < 2} == {}


def test_every_option_is_tried_in_a_guest_that_runs():
    assert {option for option in ALL_FIELDS if not option.startswith(ELSEWHERE)} <= exercised()
    top = {option.partition(".")[0] for option in ALL_FIELDS}
    assert top >= {option for option in OPTIONS if "." not in option} | {entry.option for entry in ALONE} and all(
        is_live(option) in (True, False) for option in ALL_FIELDS
    )
    own = {name: SPEC["argument_spec"][name]["options"] for name in ("cpu", "disks", "interfaces", "graphics")}
    assert {f"{name}.{option}" for name, options in own.items() for option in options} <= {".".join(o.split(".")[:2]) for o in ALL_FIELDS}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_case_goes_there_and_back(case):
    one, other = (under({**NEW, **case.beside}, options) for options in (case.one, case.other))
    plan = converged(p.plan, Observed(), desired(**one))
    for there, back in ((one, other), (other, one)):
        before = plan.after
        assert p.plan(before, desired(**there)).actions == ()
        plan = converged(p.plan, before, desired(**back))
        changes = list(plan.actions[0].changes)
        for name in changed(there, back):
            assert concerns(changes, name), f"{name} changed nothing: {changes}"


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_a_definition_is_read_as_is_what_was_said(case):
    options = under({**NEW, **case.beside}, case.one)
    tree = converged(p.plan, Observed(), desired(**options)).after.inactive
    found = said("g", tree)
    assert "memory" in found, "the options of this guest do not give it again, so all of it is XML"
    assert differences(tree, wished("g", found), RULES) == ()
    read = set(told({name: value for name, value in found.items() if name != "xml"}))
    wanted = {name for name, value in told(case.one).items() if value not in ([""], [False], [[]], ["allow"]) and name in FIELDS}
    assert {name for name in wanted if not name.startswith(("serial.", "emulator"))} <= read, "some of it is in no option"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"emulator": "qemu"}, "emulator"),
        ({"loader": {"path": "x"}}, "loader.path"),
        ({"loader": {"path": "/a", "type": "rom", "secure": True}}, "loader.secure"),
        ({"boot_menu": {"timeout": 70000}}, "boot_menu.timeout"),
        ({"sysinfo": {"system": {"serial": ["a"]}}}, "sysinfo.system"),
        ({"clock": {"timers": [{"name": "a b"}]}}, "clock.timers.name"),
        ({"launch_security": {"policy": 1}}, "launch_security.type"),
        ({"cpu": {"topology": {"cores": 0}}}, "cpu.topology.cores"),
        ({"cpu": {"features": [{"name": "<a>", "policy": "force"}]}}, "cpu.features.name"),
        ({"max_memory": "much"}, "max_memory"),
        ({"memory_backing": {"hugepages": False, "pages": [{"size": "2M"}]}}, "memory_backing.hugepages"),
        ({"numa": {"cells": [{"id": 0, "cpus": "a", "memory": "1G"}]}}, "numa.cells.cpus"),
        ({"numatune": {"memory": {"placement": "auto", "nodeset": "0"}}}, "numatune.memory.nodeset"),
        ({"iothreads": -1}, "iothreads"),
        ({"cputune": {"period": 1}}, "cputune.period"),
        ({"cputune": {"vcpupin": [{"vcpu": 0, "cpuset": ""}]}}, "cputune.vcpupin.cpuset"),
        ({"memtune": {"hard_limit": "-1"}}, "memtune.hard_limit"),
        ({"blkiotune": {"weight": 5}}, "blkiotune.weight"),
        ({"disks": [{"path": "/a", "queues": 5000}]}, "disks.queues"),
        ({"disks": [{"path": "/a", "device": "lun"}]}, "disks"),
        ({"disks": [{"device": "cdrom", "startup_policy": "optional"}]}, "disks"),
        ({"disks": [{"path": "/a", "iotune": {"read_bytes_sec": "x"}}]}, "disks.iotune.read_bytes_sec"),
        ({"interfaces": [{"type": "user", "mode": "vepa"}]}, "interfaces.mode"),
        ({"interfaces": [{"type": "bridge", "source": "a", "portgroup": "b"}]}, "interfaces.portgroup"),
        ({"interfaces": [{"type": "direct"}]}, "interfaces"),
        ({"interfaces": [{"type": "user", "mtu": 70000}]}, "interfaces.mtu"),
        ({"interfaces": [{"type": "user", "filter_parameters": {"IP": "x"}}]}, "interfaces.filter_parameters"),
        ({"interfaces": [{"type": "user", "vlan": {"tags": [{"id": 5000}]}}]}, "interfaces.vlan.tags.id"),
        ({"interfaces": [{"type": "user", "bandwidth": {"inbound": {"average": 0}}}]}, "interfaces.bandwidth.inbound.average"),
        ({"serial": [{"type": "file"}]}, "serial.path"),
        ({"serial": [{"type": "tcp", "host": "a"}]}, "serial.service"),
        ({"serial": [], "console": True}, "serial"),
        ({"watchdog": {"action": "reset"}}, "watchdog.model"),
        ({"tpm": {"secret": "x"}}, "tpm.secret"),
        ({"vsock": {"cid": "2"}}, "vsock.cid"),
        ({"vsock": {"cid": "many"}}, "vsock.cid"),
        ({"hostdevs": [{"type": "pci"}]}, "hostdevs.address"),
        ({"hostdevs": [{"type": "pci", "address": "01"}]}, "hostdevs.address"),
        ({"hostdevs": [{"type": "pci", "address": "1.4"}]}, "hostdevs.address"),
        ({"hostdevs": [{"type": "usb", "vendor": "1d6b"}]}, "hostdevs.address"),
        ({"hostdevs": [{"type": "usb", "vendor": "x", "product": "1"}]}, "hostdevs.vendor"),
        ({"hostdevs": [{"type": "pci", "address": "1:0.0", "boot_order": 1}], "boot": ["hd"]}, "boot"),
        ({"filesystems": [{"target": "a"}]}, "filesystems.source"),
        ({"filesystems": [{"target": "a", "source": "/a", "cache": "always"}]}, "filesystems.cache"),
        ({"filesystems": [{"target": "a", "source": "/a", "fmode": "9"}]}, "filesystems.fmode"),
        ({"metadata": "text"}, "metadata"),
        ({"metadata": "<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><a xmlns='urn:a'>&e;</a>"}, "metadata"),
        ({"metadata": "<a xmlns='urn:a'>&e;</a>"}, "metadata"),
        ({"metadata": "<a/>"}, "metadata"),
        ({"metadata": "</metadata><a xmlns='urn:a'/><metadata>"}, "metadata"),
        ({"metadata": "<a xmlns='urn:a'/><b xmlns='urn:a'/>"}, "metadata"),
        ({"metadata": "<a xmlns='https://virtops.org/linux/1'/>"}, "metadata"),
    ],
)
def test_bad_values_are_one_sentence_that_names_the_option(given, named):
    with pytest.raises(Failure) as caught:
        desired(**given)
    assert caught.value.message.startswith(named + ":") and "\n" not in caught.value.message, caught.value.message
    assert caught.value.code in ("invalid_value", "invalid_size", "invalid_uuid", "invalid_xml")


EVIL = "vt'\"]]>--><evil evil='1'/><!-- <![CDATA[ &lt; &evil; &#38;"
#: Every option from a table that takes text, with the first case that has it.
TEXTS = {name: next(case for case in CASES.values() if name in told(case.one)) for name in FIELDS if is_text(name)}


@pytest.mark.parametrize("option", TEXTS)
def test_text_that_looks_like_xml_stays_text_or_is_refused(option):
    case = TEXTS[option]
    options, stands = in_every_text(under({**NEW, **case.beside}, case.one), [option], EVIL)
    try:
        wish = desired(**options).wish
    except Failure as failure:
        assert failure.code in ("invalid_value", "invalid_size", "invalid_uuid") and "\n" not in failure.message
        return
    found = list(walk(parse(render(unmarked(wish)), "xml", "domain")))
    assert not [node.tag for node in found if "evil" in node.tag or "evil" in node.attributes]
    assert any(stands[option] in (node.text, *node.attributes.values()) for node in found)


def test_empty_is_away_and_nothing_is_left_alone():
    assert not desired(cpu={}, clock={}, features={}).wish.says_something
    assert desired(tpm={}, numa={}, cputune={}).wish.only_takes_away
    assert converged(p.plan, Observed(), desired(**NEW, tpm={}, disks=[], numa={}, cputune={})).after.inactive.find("cputune") is None


def test_a_feature_that_goes_is_pending():
    observed = guest("<cpu mode='custom'><model>qemu64</model><feature name='vmx' policy='disable'/></cpu>", state="running")
    plan = converged(p.plan, observed, desired(cpu={"features": []}))
    assert plan.pending == ("cpu/feature[vmx]",)
    assert converged(p.plan, replace(plan.after, record=()), desired(cpu={"features": []})).pending == ("cpu/feature[vmx]",)


def test_metadata_stays_beside_that_of_others():
    before = converged(p.plan, Observed(), desired(**NEW, metadata="<a:x xmlns:a='urn:a'>1</a:x>"))
    after = converged(p.plan, before.after, desired(metadata="<b xmlns='urn:b'/>")).after
    assert [child.tag for child in after.inactive.find("metadata").children] == ["{urn:a}x", "{urn:b}b"]
    assert converged(p.plan, after, desired(metadata="")).after.inactive.find("metadata") is None
