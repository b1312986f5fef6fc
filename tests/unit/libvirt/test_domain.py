# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.engine.run import converge
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.define import digest
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain import actions
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain import plan as p
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.model import Observed
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.read import _type_of
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.resource import domain_resource
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.record import split_record
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.uri import driver, is_local
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.xmltree import parse, render
from guests import desired, guest, kinds, params
from support.hosts import FakeHost, converged


def test_a_new_guest():
    observed = Observed(virt_type="qemu", arch="x86_64", machine_id="m")
    plan = converged(p.plan, observed, desired(memory="64M", state="running", autostart=True, interfaces=[{"type": "user"}]))
    assert kinds(plan) == ["define_domain", "start_domain", "set_autostart"]
    xml = render(plan.actions[0].definition)
    assert "<acpi />" in xml and '<domain type="qemu">' in xml and '<memory unit="KiB">65536</memory>' in xml
    assert plan.actions[0].definition.get("devices/interface/mac@address").startswith("52:54:00:")
    assert plan.actions[0].describe() == {"action": "define_domain", "target": "g"}


@pytest.mark.parametrize(
    ("state", "wanted", "steps"),
    [
        ("shutoff", "running", ["start_domain"]),
        ("shutoff", "paused", ["start_domain"]),
        ("shutoff", "shutoff", []),
        ("running", "paused", ["suspend_domain"]),
        ("running", "shutoff", ["shut_down_domain"]),
        ("running", "absent", ["shut_down_domain", "undefine_domain"]),
        ("paused", "running", ["resume_domain"]),
        ("paused", "present", []),
        ("pmsuspended", "running", ["wake_domain"]),
        ("crashed", "shutoff", ["destroy_domain"]),
        ("shutoff", "absent", ["undefine_domain"]),
    ],
)
def test_from_state_to_state(state, wanted, steps):
    assert kinds(converged(p.plan, guest(state=state), desired(state=wanted))) == steps


@pytest.mark.parametrize(("state", "wanted"), [("paused", "shutoff"), ("paused", "absent"), ("pmsuspended", "paused"), ("crashed", "running")])
def test_states_that_cannot_be_left_gently(state, wanted):
    with pytest.raises(Failure) as caught:
        p.plan(guest(state=state), desired(state=wanted))
    assert caught.value.code == "invalid_state_change"


def test_force_ends_what_cannot_be_asked():
    assert kinds(p.plan(guest(state="paused"), desired(state="absent", force=True))) == ["destroy_domain", "undefine_domain"]
    assert kinds(p.plan(guest(state="crashed"), desired(state="running", force=True))) == ["destroy_domain", "start_domain"]


def test_a_start_after_a_change_knows_the_way_back():
    observed = guest("<memory>1024</memory>")
    plan = converged(p.plan, observed, desired(state="running", memory="2M"))
    assert plan.actions[0].changes == ("memory", "currentMemory") and plan.actions[1].previous == observed.inactive


def test_a_running_guest_keeps_its_pending_fields():
    running = guest("<memory>1024</memory><vcpu>1</vcpu>", state="running")
    plan = converged(p.plan, running, desired(vcpus=2))
    assert kinds(plan) == ["define_domain"] and plan.pending == ("vcpu",)
    assert p.view(plan.after, desired(vcpus=2))["pending"] == ["vcpu"]
    assert converged(p.plan, plan.after, desired(state="paused")).pending == ()


def test_a_host_model_that_runs_is_not_pending():
    running = guest("<cpu mode='host-model'/>", state="running")
    for check, pending in (("full", ()), ("partial", ("cpu@mode",))):  # what started as a custom one is none
        active = guest(f"<cpu mode='custom' check='{check}'><model>EPYC</model></cpu>").inactive
        assert converged(p.plan, replace(running, active=active), desired(cpu={"mode": "host-model"})).pending == pending


def test_what_libvirt_does_not_keep_is_asked_for_once():
    wish = desired(xml="<domain><colour>red</colour></domain>")
    observed = guest()
    known = replace(observed, record=(digest(wish.wish), digest(observed.inactive)))
    assert kinds(p.plan(observed, wish)) == ["define_domain"]
    plan = converged(p.plan, known, wish)
    assert plan.actions == () and "colour" in plan.warnings[0]
    drifted = replace(guest("<vcpu>2</vcpu>"), record=known.record)
    assert kinds(p.plan(drifted, wish)) == ["define_domain"]


def test_the_record_is_no_part_of_the_definition():
    text = "<domain><metadata><v:request xmlns:v='https://virtops.org/linux/1' digest='a' outcome='b'/></metadata><vcpu>1</vcpu></domain>"
    tree, record = split_record(parse(text, "xml", "domain"))
    assert record == ("a", "b") and render(tree) == "<domain><vcpu>1</vcpu></domain>"
    assert not desired(xml=text.replace("<vcpu>1</vcpu>", "")).wish.says_something


def test_a_transient_guest_is_made_persistent():
    observed = guest("<vcpu>1</vcpu>", state="running", persistent=False)
    assert kinds(converged(p.plan, observed, desired())) == ["define_domain"]
    assert kinds(p.plan(observed, desired(state="absent"))) == ["shut_down_domain"]


def test_nvram_goes_or_stays():
    observed = guest("<os><nvram>/x</nvram></os>")
    assert p.plan(observed, desired(state="absent")).actions == (actions.UndefineDomain("g", True),)
    assert p.plan(observed, desired(state="absent", remove_nvram=False)).actions == (actions.UndefineDomain("g", False),)
    assert p.plan(guest(), desired(state="absent")).actions == (actions.UndefineDomain("g"),)


def test_memory_means_all_of_it_and_numa_cells_add_up():
    wish = desired(memory="2M").wish
    assert wish.get("currentMemory") == "2048"
    numa = desired(xml="<domain><memory>1</memory><cpu><numa><cell memory='5'/><cell memory='1' unit='MiB'/></numa></cpu></domain>").wish
    assert numa.get("memory") == numa.get("currentMemory") == "1029"


def test_targets_are_given_in_order_without_collisions():
    disks = [{"path": "/a"}, {"path": "/b", "target": "vda"}, {"path": "/c", "bus": "sata"}, {"device": "cdrom"}, {"path": "/d"}]
    nodes = desired(disks=disks).wish.find("devices").all("disk")
    assert [disk.get("target@dev") for disk in nodes] == ["vdb", "vda", "sda", "sdb", "vdc"]


def test_a_container_of_lxc_has_no_firmware():
    folder = {"source": "/srv/root", "target": "/"}
    plan = converged(p.plan, Observed(virt_type="lxc", arch="x86_64"), desired(memory="64M", filesystems=[folder]))
    definition = plan.actions[0].definition
    assert definition.attributes["type"] == "lxc" and definition.get("os/type") == "exe" and definition.get("os/init") == "/sbin/init"
    assert definition.get("devices/console@type") == "pty" and not definition.find("devices/serial")
    for console, count in ((True, 1), (False, 0)):
        plan = converged(p.plan, Observed(virt_type="lxc"), desired(memory="64M", console=console))
        assert len(plan.actions[0].definition.find("devices").all("console")) == count
    assert definition.find("features") is None


@pytest.mark.parametrize(
    ("uri", "kind"), [("qemu:///system", "kvm"), ("test:///default", "test"), ("lxc:///system", "lxc"), ("lxc+ssh://other/", "lxc")]
)
def test_auto(tmp_path, uri, kind):
    connection = type("Connection", (), {"uri": uri, "host": FakeHost(tmp_path)})()
    assert _type_of(connection, "g", lambda host: True) == kind


@pytest.mark.parametrize("uri", ["qemu+ssh://other/system", "xen:///system", "qemu://other/system"])
def test_auto_elsewhere_is_refused(tmp_path, uri):
    connection = type("Connection", (), {"uri": uri, "host": FakeHost(tmp_path)})()
    with pytest.raises(Failure) as caught:
        _type_of(connection, "g", lambda host: True)
    assert caught.value.code == "type_required"


def test_uris():
    assert is_local("qemu:///system") and is_local("qemu+unix:///system?socket=/x") and not is_local("qemu+ssh:///system")
    assert driver("qemu+ssh://a/system") == "qemu"


def test_without_libvirt_check_mode_predicts(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "libvirt", None)
    result = converge(domain_resource(lambda host: False), FakeHost(tmp_path), params(memory="64M"), check=True)
    assert result["changed"] and "python3-libvirt" in result["warnings"][0]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"name": "  "}, "invalid_name"),
        ({"name": "a\nb"}, "invalid_name"),
        ({"title": "a\x02"}, "invalid_text"),
        ({"title": "a\nb"}, "invalid_text"),
        ({"memory": "0"}, "invalid_size"),
        ({"memory": "2048"}, "invalid_size"),
        ({"memory": "2 parsecs"}, "invalid_size"),
        ({"memory": "-1G"}, "invalid_size"),
        ({"memory": "9999999P"}, "invalid_size"),
        ({"memory": "64M", "current_memory": "65M"}, "invalid_value"),
        ({"vcpus": 0}, "invalid_value"),
        ({"timeout": -1}, "invalid_value"),
        ({"cpu": {"mode": "custom"}}, "invalid_value"),
        ({"cpu": {"mode": "host-model", "model": "qemu64"}}, "invalid_value"),
        ({"disks": [{}]}, "invalid_value"),
        ({"disks": [{"path": "relative"}]}, "invalid_value"),
        ({"disks": [{"path": "/a", "pool": "p", "volume": "v"}]}, "invalid_value"),
        ({"disks": [{"pool": "p"}]}, "invalid_value"),
        ({"disks": [{"path": "/a", "target": "vda"}, {"path": "/b", "target": "vda"}]}, "invalid_value"),
        ({"disks": [{"device": "cdrom", "readonly": False}]}, "invalid_value"),
        ({"disks": [{"device": "cdrom", "bus": "virtio"}]}, "invalid_value"),
        ({"disks": [{"path": "/a", "boot_order": -1}]}, "invalid_value"),
        ({"disks": [{"path": "/a", "boot_order": 1}], "boot": ["hd"]}, "invalid_value"),
        ({"interfaces": [{}]}, "invalid_value"),
        ({"interfaces": [{"type": "user", "source": "x"}]}, "invalid_value"),
        ({"interfaces": [{"type": "user", "mac": "1:2"}]}, "invalid_mac"),
        ({"console": False, "console_log": "/a"}, "invalid_value"),
        ({"console_log": "relative"}, "invalid_value"),
        ({"graphics": {"type": "vnc", "listen": "nowhere"}}, "invalid_address"),
        ({"graphics": {"type": "vnc", "port": 99999}}, "invalid_value"),
        ({"graphics": {"type": "none", "port": 5900}}, "invalid_value"),
        ({"xml": ""}, "invalid_xml"),
        ({"xml": "<network/>"}, "invalid_xml"),
        ({"xml": "<domain><name>other</name></domain>"}, "invalid_xml"),
        ({"xml": "<domain><uuid>no</uuid></domain>"}, "invalid_uuid"),
        ({"xml": "<domain><memory unit='parsec'>1</memory></domain>"}, "invalid_size"),
        ({"xml": "<domain><memory>much</memory></domain>"}, "invalid_size"),
    ],
)
def test_bad_input(given, code):
    with pytest.raises(Failure) as caught:
        desired(**given)
    assert caught.value.code == code and "\n" not in caught.value.message


def test_a_uuid_cannot_be_taken_or_changed():
    wish = desired(xml="<domain><uuid>22222222-2222-2222-2222-222222222222</uuid><memory>1</memory></domain>")
    with pytest.raises(Failure, match="uuid is that of the guest other"):
        p.plan(Observed(uuid_holder="other"), wish)
    with pytest.raises(Failure, match="cannot change"):
        p.plan(guest(), wish)


def test_a_mac_address_that_another_guest_has_is_told_once():
    nic = {"type": "user", "mac": "52:54:00:00:00:07"}
    observed = Observed(mac_holders=(("52:54:00:00:00:07", "other"),))
    plan = p.plan(observed, desired(type="qemu", memory="1G", interfaces=[nic]))
    assert "52:54:00:00:00:07 is that of the guest other" in plan.warnings[0] and plan.after.mac_holders == ()
    have = guest("<devices><interface type='user'><mac address='52:54:00:00:00:07'/></interface></devices>")
    assert p.plan(have, desired(interfaces=[nic])).warnings == ()
