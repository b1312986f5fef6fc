# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import re

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.rules import RULES, shared
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.spelling import mac_address, number, set_of_numbers
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.xmlmerge import canonical, claim, differences, merge, overlay, project
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.xmltree import Node, element, object_name, parse, pretty, render
from hypothesis import example, given
from hypothesis import strategies as st


def tree(text: str) -> Node:
    return canonical(parse(text, "xml", "domain"), RULES)


def wish(text: str) -> Node:
    return claim(tree(text), RULES, shared)


OBSERVED = tree("""
<domain type='qemu'><name>a</name><memory unit='KiB'>65536</memory><vcpu current='1'>2</vcpu>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><boot dev='hd'/></os>
  <devices>
    <controller type='pci' index='0' model='pcie-root'/>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/a'/><target dev='vda' bus='virtio'/>
      <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></disk>
    <disk type='file' device='disk'><source file='/b'/><target dev='vdb' bus='virtio'/></disk>
    <interface type='network'><mac address='52:54:00:00:00:01'/><source network='x'/></interface>
    <interface type='user'><mac address='52:54:00:00:00:02'/></interface>
  </devices></domain>""")


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("<domain/>", ()),
        ("<domain><memory unit='MiB'>64</memory></domain>", ()),
        ("<domain><memory>65</memory></domain>", ("memory",)),
        ("<domain><os><type machine='q35'/></os></domain>", ()),
        ("<domain><os><type machine='pc'/></os></domain>", ("os/type@machine",)),
        ("<domain><os><type machine='pc-q35-8.0'/></os></domain>", ("os/type@machine",)),
        ("<domain><features/></domain>", ()),
        ("<domain><features><acpi/></features></domain>", ("features",)),
        ("<domain><os><boot dev='network'/><boot dev='hd'/></os></domain>", ("os/boot@dev", "os/boot")),
        ("<domain><devices><disk><target dev='vda'/></disk></devices></domain>", ("devices/disk[vdb]",)),
        ("<domain><devices><disk><driver cache='default'/><target dev='vda'/></disk><disk><target dev='vdb'/></disk></devices></domain>", ()),
        ("<domain><devices><interface type='user'/><interface type='network'/></devices></domain>", ()),
        (
            "<domain><devices><interface type='user'><mac address='52:54:0:0:0:2'/></interface></devices></domain>",
            ("devices/interface[52:54:00:00:00:01]",),
        ),
        ("<domain><devices><controller type='scsi' index='0'/></devices></domain>", ("devices/controller[0]",)),
    ],
)
def test_differences_and_the_way_out_of_them(text, changed):
    desired = wish(text)
    assert differences(OBSERVED, desired, RULES) == changed
    merged = merge(OBSERVED, desired, RULES)
    assert differences(merged, desired, RULES) == ()
    assert merge(merged, desired, RULES) == merged
    assert project(merged, desired, RULES) == project(merge(merged, desired, RULES), desired, RULES)
    assert (merged == OBSERVED) == (changed == ())


def test_what_the_wish_does_not_say_stays():
    merged = merge(OBSERVED, wish("<domain><devices><disk><source file='/c'/><target dev='vda'/></disk></devices></domain>"), RULES)
    assert [disk.get("target@dev") for disk in merged.find("devices").all("disk")] == ["vda"]
    disk = merged.find("devices/disk")
    assert disk.get("source@file") == "/c" and disk.get("driver@type") == "qcow2" and disk.find("address")
    assert merged.find("devices").all("interface") == OBSERVED.find("devices").all("interface")


def test_what_cannot_stay_goes():
    other_bus = merge(OBSERVED, wish("<domain><devices><disk><target dev='vda' bus='sata'/></disk></devices></domain>"), RULES)
    assert other_bus.find("devices/disk/address") is None
    other_machine = merge(OBSERVED, wish("<domain><os><type machine='pc'/></os></domain>"), RULES)
    assert not other_machine.find("devices").all("controller") and other_machine.find("devices/disk/address") is None
    ordered = merge(OBSERVED, wish("<domain><devices><disk><target dev='vda'/><boot order='1'/></disk></devices></domain>"), RULES)
    assert not ordered.find("os").all("boot")


def test_an_interface_without_mac_keeps_the_one_that_fits():
    merged = merge(OBSERVED, wish("<domain><devices><interface type='user'/></devices></domain>"), RULES)
    assert [nic.get("mac@address") for nic in merged.find("devices").all("interface")] == ["52:54:00:00:00:02"]


def test_options_on_top_of_xml():
    both = overlay(wish("<domain><title>x</title><memory>1</memory></domain>"), element("domain", element("memory", text="2")), RULES)
    assert both.get("memory") == "2" and both.get("title") == "x"


def test_only_what_the_wish_speaks_of_is_shown():
    shown = project(OBSERVED, wish("<domain><os><type machine='q35'/></os><devices><disk><target dev='vdb'/></disk></devices></domain>"), RULES)
    assert render(shown) == (
        '<domain><os><type machine="q35" /></os><devices><disk><target dev="vdb" /></disk>'
        '<disk type="file" device="disk"><driver name="qemu" type="qcow2" /><source file="/a" /><target dev="vda" bus="virtio" />'
        '<address type="pci" domain="0x0000" bus="0x01" slot="0x00" function="0x0" /></disk></devices></domain>'
    )


def test_passwords_are_hidden_from_people_and_kept_for_libvirt():
    node = parse("<domain><graphics passwd='s3'/></domain>", "xml", "domain")
    assert "s3" in render(node) and "s3" not in pretty(node)


def bomb() -> str:
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "lol"}">' for i in range(9))
    return f"<!DOCTYPE domain [{entities}]><domain><title>&e8;</title></domain>"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<domain>",
        "text",
        "<network/>",
        "<domain/><domain/>",
        "<domain>&nbsp;</domain>",
        "<domain>\x00</domain>",
        "<domain>\x01</domain>",
        "<domain>\udcff</domain>",
        "<a:domain/>",
        bomb(),
        "<!DOCTYPE domain SYSTEM 'file:///etc/passwd'><domain/>",
        "<domain>" + "<a>" * 100000,
    ],
)
def test_hostile_xml_is_refused(text):
    with pytest.raises(Failure) as caught:
        parse(text, "xml", "domain")
    assert caught.value.code == "invalid_xml" and "\n" not in caught.value.message


@pytest.mark.parametrize("name", ["", " ", "a/b", "a\nb", "a\tb", "..", "\x01", "\ud800"])
def test_bad_names(name):
    with pytest.raises(Failure) as caught:
        object_name(name, "guest")
    assert caught.value.code == "invalid_name"


@given(st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), min_size=1).filter(str.strip))
def test_any_text_comes_back(text):
    node = Node("domain", {"a": text}, text)
    assert parse(render(node), "xml", "domain") == node
    assert parse(pretty(node), "xml", "domain") == node


_TAGS = st.sampled_from(["title", "disk", "interface", "boot", "target", "source", "controller"])
_ATTRIBUTES = st.dictionaries(st.sampled_from(["dev", "type", "index", "name"]), st.sampled_from(["a", "b", "default"]), max_size=2)
_NODES = st.recursive(
    st.builds(Node, _TAGS, _ATTRIBUTES, st.sampled_from(["", "x", "y"])),
    lambda inner: st.builds(
        lambda tag, attributes, children: Node(tag, attributes, "", tuple(children)), _TAGS, _ATTRIBUTES, st.lists(inner, max_size=4)
    ),
    max_leaves=8,
)


@example([Node("disk", {}, ""), Node("disk", {"dev": "a"}, "")], [Node("disk", {"dev": "a"}, ""), Node("disk", {"dev": "a", "type": "a"}, "")])
@given(st.lists(_NODES, max_size=4), st.lists(_NODES, max_size=4))
def test_what_is_merged_is_contained(observed, desired):
    state = canonical(Node("domain", {}, "", (Node("devices", {}, "", tuple(observed)),)), RULES)
    want = claim(canonical(Node("domain", {}, "", (Node("devices", {}, "", tuple(desired)),)), RULES), RULES, shared)
    merged = merge(state, want, RULES)
    assert differences(merged, want, RULES) == ()
    assert merge(merged, want, RULES) == merged


@pytest.mark.parametrize(
    ("text", "spelled"), [("0-4,^4,6", "0-3,6"), ("3,1,2", "1-3"), ("5", "5"), ("all", "all"), ("", ""), ("0-99999999", "0-99999999"), ("9-1", "")]
)
def test_sets_of_numbers(text, spelled):
    assert set_of_numbers(text) == spelled


def test_numbers_and_addresses():
    assert (number("5", 2), number("0x5", 2), number("007"), number("x")) == ("0x05", "0x05", "7", "x")
    assert mac_address("52:54:0:A:0:1", "mac") == "52:54:00:0a:00:01"


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("<memory unit='KB'>1000</memory>", '<memory unit="KiB">977</memory>'),
        ("<memory>5</memory>", '<memory unit="KiB">5</memory>'),
        ("<devices><shmem><size unit='M'>4</size></shmem></devices>", '<devices><shmem><size unit="bytes">4194304</size></shmem></devices>'),
        ("<a><period unit='sec'>5</period></a>", '<a><period unit="sec">5</period></a>'),
        ("<devices><console tty='/dev/pts/1'/></devices>", "<devices><console /></devices>"),
        ("<devices><interface><alias name='net0'/></interface></devices>", "<devices><interface /></devices>"),
        ("<devices><interface><alias name='ua-n'/></interface></devices>", '<devices><interface><alias name="ua-n" /></interface></devices>'),
        ("<devices><interface><target dev='vnet7'/></interface></devices>", "<devices><interface /></devices>"),
        ("<cpu mode='host-model'><model fallback='allow'/></cpu>", '<cpu mode="host-model" />'),
        ("<cpu><numa><cell cpus='1,0' memory='1' unit='MiB'/></numa></cpu>", '<cpu><numa><cell cpus="0-1" memory="1024" unit="KiB" /></numa></cpu>'),
        ("<os><bootmenu enable='no' timeout='3000'/></os>", '<os><bootmenu enable="no" /></os>'),
        (
            "<cputune><vcpusched vcpus='1,0' scheduler='rr'/></cputune>",
            "".join(["<cputune>", *(f'<vcpusched vcpus="{cpu}" scheduler="rr" />' for cpu in (0, 1)), "</cputune>"]),
        ),
        ("<numatune><memory placement='auto' nodeset='0'/></numatune>", '<numatune><memory placement="auto" /></numatune>'),
        ("<devices><disk device='cdrom' snapshot='no'/></devices>", '<devices><disk device="cdrom" /></devices>'),
        ("<devices><disk snapshot='no'/></devices>", '<devices><disk snapshot="no" /></devices>'),
        ("<devices><filesystem fmode='644'/></devices>", '<devices><filesystem fmode="0644" /></devices>'),
        ("<devices><interface><model type='VirtIO'/></interface></devices>", '<devices><interface><model type="virtio" /></interface></devices>'),
        (
            "<devices><redirfilter><usbdev class='8' vendor='0x15e1' product='-1' version='9.4'/></redirfilter></devices>",
            '<devices><redirfilter><usbdev class="0x08" vendor="0x15E1" version="9.40" /></redirfilter></devices>',
        ),
        (
            "<devices><channel type='unix'><source path='/tmp/domain-old/x.0'/><target name='x.0'/></channel></devices>",
            '<devices><channel type="unix"><target name="x.0" /></channel></devices>',
        ),
        ("<seclabel><imagelabel>x</imagelabel></seclabel>", "<seclabel />"),
    ],
)
def test_libvirts_own_spelling(text, spelled):
    node = tree(f"<domain>{text}</domain>")
    assert render(node) == f"<domain>{spelled}</domain>"
    assert canonical(node, RULES) == node


@pytest.mark.parametrize(
    "text",
    [
        "<disk><target dev='a'/><source><seclabel model='selinux' labelskip='yes'/></source></disk>",
        "<interface><mac address='52:54:00:00:00:01'/><coalesce><rx><frames max='0'/></rx></coalesce></interface>",
    ],
)
def test_what_says_nothing_is_no_difference(text):
    bare = re.sub("<(source|coalesce)>.*</(source|coalesce)>", "<source dev='x'/>", text)
    assert differences(tree(f"<domain><devices>{bare}</devices></domain>"), tree(f"<domain><devices>{text}</devices></domain>"), RULES) == ()
    said = text.replace("labelskip='yes'", "relabel='no'").replace("max='0'", "max='7'")
    assert differences(tree(f"<domain><devices>{bare}</devices></domain>"), tree(f"<domain><devices>{said}</devices></domain>"), RULES) != ()
