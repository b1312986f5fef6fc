# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Definitions said in options and XML, on data."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.connection import Connection
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.addresses import SOURCES, addresses_of, merged
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.info import pending
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.model import SPEC
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.rules import RULES
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.said import said, wished
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.xmlmerge import differences, merge
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.xmltree import Node
from guests import guest

GOLDEN = sorted((Path(__file__).parents[2] / "integration/data/domains").glob("*.xml"))


def definition(text):
    """As libvirt keeps it: with what XML says between the lines."""
    return merge(Node("domain"), wished("g", {"xml": re.sub("<name>.*</name>", "", text)}), RULES)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_what_is_said_of_a_definition_wishes_for_it(path):
    tree = definition(path.read_text())
    found = said("g", tree)
    assert "memory" in found, "the options of this guest do not give it again, so all of it is XML"
    assert differences(tree, wished("g", found), RULES) == ()
    whole = merge(Node("domain"), wished("g", found), RULES)
    assert differences(whole, tree.without("name"), RULES) == (), "something of it is in neither the options nor the XML"


def test_options_first_and_xml_for_the_rest():
    found = said(
        "g",
        definition(
            """<domain type='kvm'><name>g</name><title>T</title><memory unit='MiB'>2048</memory><currentMemory unit='MiB'>1500</currentMemory>
            <vcpu placement='static' current='2'>4</vcpu><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><boot dev='hd'/></os>
            <cpu mode='host-passthrough'/><devices>
            <disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/>
            <source file='/srv/a'/><target dev='vda' bus='virtio'/></disk>
            <disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
            <interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/><model type='virtio'/><mtu size='9000'/></interface>
            <graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1' passwd='vt-hid'><listen type='address' address='127.0.0.1'/></graphics>
            <memballoon model='none'/></devices></domain>"""
        ),
    )
    xml = found.pop("xml")
    assert found == {
        "title": "T",
        "type": "kvm",
        "memory": "2GiB",
        "current_memory": "1500MiB",
        "vcpus": 2,
        "max_vcpus": 4,
        "arch": "x86_64",
        "machine": "pc-q35-7.2",
        "cpu": {"mode": "host-passthrough"},
        "boot": ["hd"],
        "disks": [
            {"path": "/srv/a", "format": "qcow2", "target": "vda", "bus": "virtio", "device": "disk", "cache": "none"},
            {"target": "sda", "bus": "sata", "device": "cdrom", "readonly": True},
        ],
        "interfaces": [{"type": "bridge", "source": "br0", "mac": "52:54:00:00:00:01", "model": "virtio", "mtu": 9000}],
        "graphics": {"type": "vnc", "listen": "127.0.0.1", "port": -1},
        "memballoon": False,
    }
    assert 'placement="static"' in xml
    assert not any(word in xml for word in ("vt-hid", "9000", "cache", "memory", "/srv/a", "br0", "title", "memballoon"))


@pytest.mark.parametrize(
    "device",
    [
        "<disk type='network' device='disk'><source protocol='vxhs' name='p/i'/><target dev='vda' bus='virtio'/></disk>",
        "<disk type='dir' device='floppy'><source dir='/srv'/><target dev='fda' bus='fdc'/></disk>",
        "<interface type='ethernet'><mac address='52:54:00:00:00:01'/></interface>",
        "<hostdev mode='subsystem' type='scsi_host'><source protocol='vhost' wwpn='naa.5123456789abcde0'/></hostdev>",
        "<filesystem type='ram'><source usage='1024' units='KiB'/><target dir='/a'/></filesystem>",
        "<video><model type='vga'/></video><video><model type='qxl'/></video>",
        "<graphics type='vnc' port='5901'/><graphics type='spice' port='5902'/>",
        "<serial type='pty'><target port='0'/><log file='/a/$b'/></serial>"
        "<console type='pty'><target type='serial' port='0'/><log file='/a/$b'/></console>",
    ],
)
def test_what_no_option_says_is_xml(device):
    tree = definition(f"<domain type='qemu'><memory>65536</memory><devices>{device}</devices></domain>")
    found = said("g", tree)
    assert differences(tree, wished("g", found), RULES) == () and found["memory"] == "64MiB"
    assert not {"disks", "interfaces", "graphics", "console_log", "hostdevs", "filesystems", "video"} & set(found)
    assert set(found) - {"xml"} <= set(SPEC["argument_spec"])


def test_a_definition_that_options_do_not_give_again_is_xml_alone():
    found = said("g", definition("<domain type='qemu'><memory>12</memory><vcpu>2</vcpu></domain>"))
    assert set(found) == {"xml"} and "<vcpu>2</vcpu>" in found["xml"]


def test_pending_is_what_runs_otherwise():
    observed = guest("<memory>65536</memory><vcpu>1</vcpu>", state="running")
    assert pending("g", observed) == ()
    defined = guest("<memory>131072</memory><vcpu>1</vcpu>").inactive
    assert pending("g", replace(observed, inactive=defined)) == ("memory",)
    assert pending("g", replace(observed, inactive=defined, active=None)) == ()
    assert pending("g", replace(observed, inactive=defined, active=None, saved=observed.active)) == ("memory",)


class NoAnswer(Exception):
    """libvirt's error."""


class Api:
    libvirtError = NoAnswer


for _word in SOURCES.values():
    setattr(Api, _word, _word)


class Guest:
    def __init__(self, agent):
        self.agent, self.asked = agent, []

    def XMLDesc(self, flags):
        channel = f"<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='{self.agent}'/></channel>"
        return f"<domain type='qemu'><devices>{channel}</devices></domain>"

    def interfaceAddresses(self, source, flags):
        self.asked.append(source)
        if source == SOURCES["arp"]:
            raise NoAnswer
        return {"vnet0": {"hwaddr": "52:54:00:00:00:01", "addrs": [{"addr": "203.0.113.7", "prefix": 24, "type": 0}]}}


@pytest.mark.parametrize(("state", "sources"), [("connected", ["lease", "agent"]), ("disconnected", ["lease"])])
def test_an_agent_is_asked_where_it_listens_and_who_cannot_answer_knows_nothing(state, sources):
    asked = Guest(state)
    (found,) = addresses_of(Connection(None, Api, "qemu:///system", None), asked, ["lease", "agent", "arp"])
    assert found["sources"] == sources and asked.asked == [SOURCES[source] for source in [*sources, "arp"]]


def test_addresses_of_who_may_know():
    nic = {"hwaddr": "52:54:00:00:00:01", "addrs": [{"addr": "203.0.113.7", "prefix": 24, "type": 0}]}
    answers = {
        "lease": {"vnet0": nic},
        "agent": {
            "lo": {"hwaddr": "00:00:00:00:00:00", "addrs": [{"addr": "127.0.0.1", "prefix": 8, "type": 0}]},
            "eth0": {**nic, "addrs": [*nic["addrs"], {"addr": "fe80::1%eth0", "prefix": 64, "type": 1}]},
            "eth1": {"hwaddr": None, "addrs": None},
        },
        "arp": {"vnet0": {**nic, "addrs": [{"addr": "203.0.113.7", "prefix": 0, "type": 0}]}},
    }
    assert merged(answers) == [
        {"mac": "52:54:00:00:00:01", "address": "203.0.113.7", "sources": ["lease", "agent", "arp"], "name": "eth0", "prefix": 24},
        {"mac": "52:54:00:00:00:01", "address": "fe80::1", "sources": ["agent"], "name": "eth0", "prefix": 64},
    ]
