# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a running guest gets at once, planned on data."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain import actions as a
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain import plan as p
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.apply_live import _placed
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.model import Disk
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.pins import without_idle_pins
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.xmltree import parse
from guests import desired, guest, kinds
from support.hosts import converged

PC = "<os><type machine='pc-i440fx-7.2'>hvm</type></os>"
PCI = "<controller type='pci' index='0' model='{}'/>"


def in_devices(text, *more):
    return f"<memory>2048</memory><currentMemory>2048</currentMemory><vcpu>1</vcpu>{PC}<devices>{text}{''.join(more)}</devices>"


def running(text, state="running", **more):
    return guest(text, state=state, **more)


def test_settings_go_live_and_the_rest_waits():
    observed = running("<cputune><shares>10</shares></cputune><on_reboot>restart</on_reboot><vcpu>1</vcpu>")
    tune = "<cputune><shares>20</shares><quota>-1</quota></cputune>"
    xml = f"<domain><title>a &amp; b</title><on_reboot>destroy</on_reboot>{tune}<features><acpi/></features></domain>"
    plan = converged(p.plan, observed, desired(xml=xml))
    assert kinds(plan) == ["define_domain", "set_metadata", "set_lifecycle_action", "set_scheduler_parameters"]
    assert plan.actions[1] == a.SetMetadata("g", "title", "a & b")
    assert plan.actions[3].values == (("cpu_shares", 20), ("vcpu_quota", -1)) and plan.pending == ("features",)


@pytest.mark.parametrize(
    ("kind", "vcpus", "wanted", "steps", "pending"),
    [
        ("qemu", "<vcpu current='1'>4</vcpu>", 3, ["set_vcpus"], ()),
        ("qemu", "<vcpu current='1'>2</vcpu>", 3, [], ("vcpu@current",)),
        ("qemu", "<vcpu current='3'>4</vcpu>", 2, [], ("vcpu@current",)),
        ("kvm", "<vcpu current='3'>4</vcpu>", 2, [], ("vcpu@current",)),
        (
            "kvm",
            "<vcpu current='2'>4</vcpu><vcpus><vcpu id='0' enabled='yes' hotpluggable='no'/><vcpu id='1' enabled='yes' hotpluggable='yes'/></vcpus>",
            1,
            ["set_vcpus"],
            (),
        ),
    ],
)
def test_vcpus(kind, vcpus, wanted, steps, pending):
    observed = running(vcpus)
    observed = replace(observed, inactive=observed.inactive.with_attributes(type=kind), active=observed.active.with_attributes(type=kind))
    most = max(wanted, int(observed.active.get("vcpu")))
    plan = converged(p.plan, observed, desired(vcpus=wanted, max_vcpus=most))
    assert kinds(plan)[1:] == steps and set(pending) <= set(plan.pending) and bool(pending) == bool(plan.pending)


BALLOON = "<memory>4096</memory><currentMemory>4096</currentMemory><devices><memballoon model='virtio'/></devices>"


def test_a_balloon_that_answers_moves():
    plan = converged(p.plan, running(BALLOON, balloon=True), desired(memory="4M", current_memory="2M"))
    assert plan.actions[1:] == (a.SetMemory("g", 2048, 60),) and plan.pending == ()


def test_a_balloon_that_does_not_answer_is_asked_once_and_no_reason_to_restart():
    wish = desired(memory="4M", current_memory="2M", restart="if_required", force=True)
    plan = converged(p.plan, running(BALLOON), wish)
    assert plan.actions[1:] == (a.SetMemory("g", 2048),) and plan.pending == () and "does not answer" in plan.warnings[0]


def test_without_a_balloon_memory_waits():
    plan = converged(p.plan, running(BALLOON.replace("virtio", "none"), balloon=True), desired(memory="4M", current_memory="2M"))
    assert kinds(plan) == ["define_domain"] and plan.pending == ("currentMemory",)


@pytest.mark.parametrize(
    ("disk", "live"),
    [
        ({}, True),
        ({"bus": "sata"}, False),
        ({"bus": "usb"}, True),
        ({"bus": "scsi"}, False),
        ({"device": "cdrom", "bus": "ide", "path": None}, False),
    ],
)
def test_disks_come_where_their_bus_takes_them(disk, live):
    observed = running(in_devices("<controller type='usb' index='0'/>"))
    plan = converged(p.plan, observed, desired(disks=[{"path": "/a", **disk}]))
    assert ("attach_device" in kinds(plan)) is live and bool(plan.pending) is not live


def test_a_hard_disk_keeps_its_image_and_a_drive_does_not():
    disk = "<disk type='file' device='{}'><source file='/a'/><target dev='{}' bus='{}'/></disk>"
    observed = running(in_devices(disk.format("disk", "vda", "virtio"), disk.format("cdrom", "hda", "ide")))
    plan = converged(p.plan, observed, desired(disks=[{"path": "/b"}, {"path": "/c", "target": "hda"}]))
    assert kinds(plan) == ["define_domain", "update_device"] and plan.pending == ("devices/disk[vda]/source@file",)
    assert plan.actions[1].definition.get("source@file") == "/c"
    ejected = converged(p.plan, observed, desired(disks=[{"path": "/a"}, {"device": "cdrom", "target": "hda"}]))
    assert kinds(ejected) == ["define_domain", "update_device"] and ejected.actions[1].definition.find("source") is None


def test_slots_of_pcie_run_out():
    ports = "".join(f"<controller type='pci' index='{number}' model='pcie-root-port'/>" for number in (1, 2))
    used = "<rng model='virtio'><address type='pci' domain='0' bus='0x01' slot='0' function='0'/></rng>"
    observed = running(in_devices(PCI.format("pcie-root"), ports, used))
    plan = converged(p.plan, observed, desired(disks=[{"path": "/a"}, {"path": "/b"}]))
    assert kinds(plan).count("attach_device") == 1 and plan.pending == ("devices/disk[vdb]",)


def test_devices_go_before_others_come():
    nic = "<interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>"
    plan = converged(p.plan, running(in_devices(nic)), desired(interfaces=[{"type": "user", "mac": "52:54:00:00:00:02"}]))
    assert kinds(plan) == ["define_domain", "detach_device", "attach_device"] and plan.pending == ()
    paused = converged(p.plan, running(in_devices(nic), state="paused"), desired(interfaces=[]))
    assert kinds(paused) == ["define_domain"] and paused.pending == ("devices/interface[52:54:00:00:00:01]",)
    resumed = converged(p.plan, running(in_devices(nic), state="paused"), desired(interfaces=[], state="running"))
    assert kinds(resumed) == ["define_domain", "resume_domain", "detach_device"] and resumed.pending == ()


def test_memory_that_is_plugged_in_counts():
    module = "<memory model='dimm'><target><size unit='KiB'>1024</size><node>0</node></target></memory>"
    wish = desired(xml=f"<domain><devices>{module}{module}</devices></domain>")
    plan = converged(p.plan, running("<maxMemory slots='2'>4096</maxMemory>" + in_devices("")), wish)
    assert kinds(plan) == ["define_domain", "attach_device", "attach_device"] and plan.after.active.get("memory") == "4096"
    for less in ("", "<maxMemory slots='0'>9999</maxMemory>", "<maxMemory slots='2'>2048</maxMemory>"):
        plan = converged(p.plan, running(less + in_devices("")), wish)
        assert kinds(plan) == ["define_domain"] and len(plan.pending) == 2


def test_a_module_comes_before_the_balloon_whose_size_it_counts_in():
    module = "<memory model='dimm'><target><size unit='KiB'>1024</size><node>0</node></target></memory>"
    there = "<maxMemory slots='2'>8192</maxMemory>" + in_devices("<memballoon model='virtio'/>").replace("<currentMemory>2048", "<currentMemory>{}")
    devices = {"xml": f"<domain><devices>{module}</devices></domain>", "memory": "3M"}
    for now, wanted, size in (("2048", "2M", 2048), ("2048", "3M", None), ("1024", "3M", 3072), ("1024", "1M", 1024)):
        plan = converged(p.plan, running(there.format(now), balloon=True), desired(**devices, current_memory=wanted))
        balloon = () if size is None else (a.SetMemory("g", size, 60),)
        assert plan.actions[2:] == balloon and kinds(plan)[:2] == ["define_domain", "attach_device"] and plan.pending == ()
        assert plan.after.active.get("currentMemory") == str(size or 3072)


def test_the_balloon_has_nothing_of_what_a_module_of_virtio_might_give():
    module = "<memory model='virtio-mem'><target><size>1024</size><node>0</node><block>512</block><requested>512</requested>{}</target></memory>"
    there = "<memory>3072</memory><currentMemory>{}</currentMemory><devices><memballoon model='virtio'/>" + module + "</devices>"
    for now, plugged, wanted, size in (
        ("2048", "", "3M", None),
        ("2560", "512", "3M", None),
        ("2048", "512", "3M", 2048),
        ("2560", "512", "1M", 1024),
    ):
        observed = running(there.format(now, f"<current>{plugged}</current>" if plugged else ""), balloon=True)
        plan = converged(p.plan, observed, desired(memory="3M", current_memory=wanted))
        assert [step for step in plan.actions if step.kind == "set_memory"] == ([] if size is None else [a.SetMemory("g", size, 60)])
        assert plan.pending == ()
    wish = desired(memory="3M", xml="<domain><devices>" + module.format("") + "</devices></domain>")
    before = running("<maxMemory slots='2'>8192</maxMemory>" + in_devices("<memballoon model='virtio'/>"), balloon=True)
    assert kinds(converged(p.plan, before, wish)) == ["define_domain", "attach_device"]


def test_a_password_never_shows():
    observed = running(in_devices("<graphics type='vnc' passwd='old'/>"))
    wish = desired(graphics={"type": "vnc", "password": "new"})
    plan = converged(p.plan, observed, wish)
    shown = str([action.describe() for action in plan.actions]) + str(p.view(observed, wish)) + str(p.view(plan.after, wish))
    assert kinds(plan) == ["define_domain", "update_device"] and "old" not in shown and "'new" not in shown and '"new' not in shown
    assert p.view(observed, wish) != p.view(plan.after, wish)


def test_a_restart_only_where_it_is_required():
    observed = running("<memory>1024</memory><vcpu>1</vcpu><title>a</title>")
    assert kinds(converged(p.plan, observed, desired(title="b", restart="if_required"))) == ["define_domain", "set_metadata"]
    plan = converged(p.plan, observed, desired(title="b", vcpus=2, restart="if_required"))
    assert kinds(plan) == ["define_domain", "shut_down_domain", "start_domain"] and plan.pending == ()
    assert plan.actions[2].previous == observed.inactive and plan.actions[2].restart
    late = replace(observed, inactive=plan.after.inactive)
    again = converged(p.plan, late, desired(vcpus=2, restart="if_required"))
    assert kinds(again) == ["shut_down_domain", "start_domain"] and again.actions[1].previous == observed.active
    assert kinds(converged(p.plan, observed, desired(vcpus=2, restart="if_required", state="shutoff"))) == ["define_domain", "shut_down_domain"]
    with pytest.raises(Failure, match="paused"):
        p.plan(running("<vcpu>1</vcpu>", state="paused"), desired(vcpus=2, restart="if_required"))


def test_what_was_decided_of_a_cpu_at_its_start_is_no_difference():
    defined = "<cpu mode='custom' match='{}'><model fallback='allow'>qemu64</model><feature name='aes' policy='optional'/></cpu><vcpu>1</vcpu>"
    started = "<cpu mode='custom' match='exact'><model fallback='forbid'>qemu64</model><feature name='aes' policy='require'/>{}</cpu><vcpu>1</vcpu>"
    for match, more in (("exact", ""), ("minimum", "<feature name='svm' policy='require'/>")):
        observed = running(defined.format(match))
        observed = replace(observed, active=guest(started.format(more)).inactive)
        plan = converged(p.plan, observed, desired(vcpus=2, restart="if_required"))
        assert plan.actions[2].previous == observed.inactive
        assert converged(p.plan, observed, desired(xml=f"<domain>{defined.format(match)}</domain>")).pending == ()
        pending = converged(p.plan, observed, desired(cpu={"fallback": "forbid", "features": []})).pending
        assert pending == (("cpu/feature[aes]",) if match == "exact" else ())


def test_metadata_goes_live_one_by_one():
    observed = running("<metadata><a:x xmlns:a='urn:a'>1</a:x><b:x xmlns:b='urn:b'/></metadata>")
    plan = converged(p.plan, observed, desired(metadata=""))
    assert plan.actions[1:] == (a.SetMetadata("g", "x", None, "urn:a"), a.SetMetadata("g", "x", None, "urn:b")) and plan.pending == ()
    plan = converged(p.plan, observed, desired(metadata="<c:x xmlns:c='urn:c'/>"))
    assert [step.namespace for step in plan.actions[1:]] == ["urn:c"] and plan.pending == ()


@pytest.mark.parametrize(
    ("device", "live"),
    [
        ({"interfaces": [{"type": "user"}]}, True),
        ({"interfaces": [{"type": "user", "model": "e1000"}]}, False),
        ({"rng": {"model": "virtio"}}, True),
        ({"rng": {"model": "virtio-transitional"}}, False),
        ({"watchdog": {"model": "i6300esb"}}, False),
    ],
)
def test_what_is_no_device_of_pcie_has_no_slot_there(device, live):
    observed = running(in_devices(PCI.format("pcie-root"), "<controller type='pci' index='1' model='pcie-root-port'/>"))
    plan = converged(p.plan, observed, desired(**device))
    assert ("attach_device" in kinds(plan)) is live and bool(plan.pending) is not live


def saved(text="<vcpu>1</vcpu>", state="saved"):
    observed = guest(text, state="shutoff")
    return replace(observed, state=state, saved=observed.inactive)


@pytest.mark.parametrize(
    ("wanted", "force", "steps"),
    [
        ("running", False, ["start_domain"]),
        ("paused", False, ["start_domain"]),
        ("saved", False, []),
        ("shutoff", False, []),
        ("shutoff", True, ["discard_saved_domain"]),
        ("absent", False, ["undefine_domain"]),
    ],
)
def test_from_saved(wanted, force, steps):
    assert kinds(converged(p.plan, saved(), desired(state=wanted, force=force))) == steps


def test_saved_memory_keeps_its_own_definition():
    plan = converged(p.plan, saved(), desired(vcpus=2))
    assert kinds(plan) == ["define_domain"] and plan.pending == ("vcpu",)
    started = converged(p.plan, saved(), desired(vcpus=2, state="running"))
    assert kinds(started) == ["define_domain", "start_domain"] and started.pending == ("vcpu",)
    anew = converged(p.plan, saved(), desired(vcpus=2, state="running", restart="if_required"))
    assert kinds(anew) == ["define_domain", "start_domain", "shut_down_domain", "start_domain"] and anew.pending == ()


@pytest.mark.parametrize(("state", "code"), [("shutoff", "invalid_state_change"), ("pmsuspended", "invalid_state_change")])
def test_what_cannot_be_saved(state, code):
    with pytest.raises(Failure) as caught:
        p.plan(guest(state=state), desired(state="saved"))
    assert caught.value.code == code
    assert kinds(converged(p.plan, guest(state="paused"), desired(state="saved"))) == ["save_domain"]


@pytest.mark.parametrize("what", ["managed_save", "snapshots", "checkpoints"])
def test_what_does_not_outlive_a_guest_is_asked_for(what):
    observed = saved() if what == "managed_save" else guest(**{what: True})
    with pytest.raises(Failure) as caught:
        p.plan(observed, desired(state="absent", **{f"remove_{what}": False}))
    assert caught.value.code == f"has_{what}"
    assert p.plan(observed, desired(state="absent")).actions == (a.UndefineDomain("g", **{what: True}),)


def test_disks_go_last_and_those_that_stay_are_told():
    disks = (Disk("/a", path="/a"), Disk("p/v", pool="p", volume="v"), Disk("/b", path="/b", kept="it is shared"))
    plan = p.plan(guest(disks=disks), desired(state="absent", remove_disks=True))
    assert plan.actions == (a.UndefineDomain("g"), a.RemoveDisk("g", "/a"), a.RemoveDisk("g", pool="p", volume="v"))
    assert plan.warnings == ("guest g: /b stays, because it is shared",)


@pytest.mark.parametrize(
    ("address", "kept"),
    [("bus='0x01' slot='0x00'", True), ("bus='0x07' slot='0x00'", False), ("bus='0x00' slot='0x03'", False), ("bus='0x00' slot='0x04'", True)],
)
def test_a_device_takes_its_defined_place_where_that_is_free(address, kept):
    place = f"<address type='pci' domain='0x0000' {address} function='0x0'/>"
    there = "<rng><address type='pci' domain='0x0000' bus='0x00' slot='0x03' function='0x0'/></rng>"
    ports = PCI.format("pcie-root") + "<controller type='pci' index='1' model='pcie-root-port'/>"
    running_devices = parse(f"<devices>{ports}{there}</devices>", "x", "devices")
    assert (_placed(parse(f"<rng>{place}</rng>", "x", "rng"), running_devices).find("address") is not None) is kept


@pytest.mark.parametrize(
    "given",
    [{"max_vcpus": 2}, {"vcpus": 3, "max_vcpus": 2}, {"vcpus": 1, "max_vcpus": 0}, {"graphics": {"type": "vnc", "password": "longer than eight"}}],
)
def test_bad_input(given):
    with pytest.raises(Failure) as caught:
        desired(**given)
    assert caught.value.code == "invalid_value" and "longer" not in caught.value.message


def test_a_total_limit_stands_instead_of_the_others():
    disk = "<disk type='file'><target dev='vda' bus='virtio'/><iotune>{}</iotune></disk>"
    before = "<total_bytes_sec>1</total_bytes_sec><total_bytes_sec_max>2</total_bytes_sec_max><read_iops_sec>3</read_iops_sec>"
    plan = converged(p.plan, running(in_devices(disk.format(before))), desired(xml=f"<domain><devices>{disk.format(LIMITS)}</devices></domain>"))
    assert plan.pending == () and dict(plan.actions[1].values) == {
        "read_bytes_sec": 4,
        "total_iops_sec": 5,
        "total_bytes_sec": 0,
        "total_bytes_sec_max": 0,
        "read_iops_sec": 0,
    }


@pytest.mark.parametrize(("group", "live"), [("", True), ("<group_name>g</group_name>", False)])
def test_limits_that_go_are_lifted_at_once(group, live):
    limits = f"<iotune><read_iops_sec>3</read_iops_sec><read_iops_sec_max>4</read_iops_sec_max>{group}</iotune>"
    disk = f"<disk type='file'><source file='/a'/><target dev='vda' bus='virtio'/>{limits}</disk>"
    plan = converged(p.plan, running(in_devices(disk)), desired(disks=[{"path": "/a", "iotune": {}}]))
    lifted = [dict(step.values) for step in plan.actions[1:]]
    assert lifted == ([{"read_iops_sec": 0, "read_iops_sec_max": 0}] if live else [])
    assert plan.pending == (() if live else ("devices/disk[vda]/iotune",))


def test_a_limit_of_a_disk_that_becomes_none_is_lifted_at_once():
    limits = "<iotune><read_iops_sec>3</read_iops_sec><write_iops_sec>4</write_iops_sec></iotune>"
    disk = f"<disk type='file'><source file='/a'/><target dev='vda' bus='virtio'/>{limits}</disk>"
    plan = converged(p.plan, running(in_devices(disk)), desired(disks=[{"path": "/a", "iotune": {"read_iops_sec": 0}}]))
    assert dict(plan.actions[1].values) == {"read_iops_sec": 0, "write_iops_sec": 4} and plan.pending == ()
    assert plan.after.inactive.find("devices/disk/iotune/read_iops_sec") is None


FILTERED = "<filterref filter='clean-traffic'><parameter name='IP' value='198.51.100.4'/></filterref>"


@pytest.mark.parametrize(
    ("inside", "options", "live"),
    [
        ("", {"filter": "clean-traffic", "filter_parameters": {"IP": "198.51.100.4"}}, FILTERED),
        (FILTERED, {"filter": "no-arp-spoofing", "filter_parameters": {}}, "<filterref filter='no-arp-spoofing'/>"),
        (FILTERED, {"filter": ""}, ""),
        ("", {"isolated": True}, "<port isolated='yes'/>"),
        ("<port isolated='yes'/>", {"isolated": False}, ""),
        ("<bandwidth><inbound average='1'/><outbound average='2'/></bandwidth>", {"bandwidth": {}}, ""),
        ("<bandwidth><inbound average='1'/></bandwidth>", {"trust_guest_rx_filters": True}, None),
    ],
)
def test_what_changes_at_once_in_an_interface(inside, options, live):
    nic = "<interface type='network'><mac address='52:54:00:00:00:01'/><source network='n'/>{}</interface>"
    wish = desired(interfaces=[{"source": "n", "mac": "52:54:00:00:00:01", **options}])
    plan = converged(p.plan, running(in_devices(nic.format(inside))), wish)
    if live is None:
        assert kinds(plan) == ["define_domain"] and plan.pending == ("devices/interface[52:54:00:00:00:01]@trustGuestRxFilters",)
        return
    assert kinds(plan) == ["define_domain", "update_device"] and plan.pending == ()
    assert plan.actions[1].definition == parse(nic.format(live), "x", "interface")


def test_a_module_of_virtio_gives_as_much_as_is_requested():
    module = "<memory model='virtio-mem'><target><size>8192</size><node>0</node><block>2048</block><requested>{}</requested></target>{}</memory>"
    there = "<maxMemory slots='2'>99999</maxMemory>" + in_devices(module.format(4096, "<address type='pci' bus='0x04'/>"))
    plan = converged(p.plan, running(there), desired(xml=f"<domain><devices>{module.format(2048, '')}</devices></domain>"))
    assert kinds(plan) == ["define_domain", "update_device"] and plan.pending == ()
    assert plan.actions[1].definition.get("target/requested") == "2048" and plan.actions[1].definition.find("address")


THREADS = "<iothreads>2</iothreads>"


@pytest.mark.parametrize(
    ("there", "wanted", "steps", "pending"),
    [
        ("", 2, (a.AddIothread("g", 1), a.AddIothread("g", 2)), ()),
        (THREADS, 3, (a.AddIothread("g", 3),), ()),
        ("<iothreads>2</iothreads><iothreadids><iothread id='1'/><iothread id='4'/></iothreadids>", 2, (), ()),
        (THREADS, 1, (a.DeleteIothread("g", 2),), ()),
        (THREADS, 0, (a.DeleteIothread("g", 2), a.DeleteIothread("g", 1)), ()),
        (THREADS + "<devices><disk><driver iothread='2'/><target dev='vda'/></disk></devices>", 1, (), ("iothreads",)),
        (THREADS + "<devices><controller type='scsi'><driver iothread='2'/></controller></devices>", 1, (), ("iothreads",)),
    ],
)
def test_threads_come_and_go_where_no_disk_uses_them(there, wanted, steps, pending):
    plan = converged(p.plan, running(there), desired(iothreads=wanted))
    assert plan.actions[1:] == steps and plan.pending == pending


def test_a_new_thread_comes_before_its_disk_and_goes_after_it():
    disk = {"path": "/a", "iothread": 3}
    plan = converged(p.plan, running(THREADS + in_devices("")), desired(iothreads=3, disks=[disk]))
    assert kinds(plan) == ["define_domain", "add_iothread", "attach_device"]
    back = converged(p.plan, replace(plan.after, state="running"), desired(iothreads=2, disks=[]))
    assert kinds(back) == ["define_domain", "detach_device", "delete_iothread"] and back.pending == ()


def test_what_is_pinned_is_there_by_then_or_waits():
    pins = {
        "iothreadpin": [{"iothread": number, "cpuset": "0"} for number in (1, 3)],
        "vcpupin": [{"vcpu": number, "cpuset": "0"} for number in (0, 3)],
    }
    plan = converged(p.plan, running(THREADS + "<vcpu>2</vcpu>"), desired(iothreads=3, vcpus=4, cputune=pins))
    assert kinds(plan) == ["define_domain", "add_iothread", "pin_vcpu", "pin_iothread", "pin_iothread"]
    assert plan.pending == ("cputune/vcpupin[3]", "vcpu")
    xml = "<domain><iothreadids><iothread id='3' thread_pool_max='8'/></iothreadids></domain>"
    plan = converged(p.plan, running(THREADS), desired(xml=xml, iothreads=3, cputune={"iothreadpin": pins["iothreadpin"]}))
    assert kinds(plan) == ["define_domain", "pin_iothread"] and "cputune/iothreadpin[3]" in plan.pending


PINS = "<vcpupin vcpu='0' cpuset='0'/><vcpupin vcpu='1' cpuset='1'/><emulatorpin cpuset='0'/><iothreadpin iothread='2' cpuset='0'/>"
FREE = (a.PinVcpu("g", 0, "0-3"), a.PinVcpu("g", 1, "0-3"), a.PinEmulator("g", "0-3"), a.PinIothread("g", 2, "0-3"))


@pytest.mark.parametrize(
    ("vcpu", "cpus", "wanted", "steps", "pending"),
    [
        ("", "0-3", {}, FREE, ()),
        ("", "0-3", {"vcpupin": [{"vcpu": 0, "cpuset": "0"}]}, FREE[1:2], ()),
        ("", "0-3", {"vcpupin": [], "iothreadpin": []}, (*FREE[:2], FREE[3]), ()),
        (" cpuset='0-3'", "", {}, FREE, ()),  # which libvirt gives to all threads of the guest
        ("", "", {}, (), ("cputune",)),
        ("", "", {"vcpupin": []}, (), ("cputune/vcpupin[0]", "cputune/vcpupin[1]")),
        (" placement='auto'", "0-3", {}, (), ("cputune",)),
    ],
)
def test_a_pin_that_goes_leaves_all_cpus(vcpu, cpus, wanted, steps, pending):
    observed = running(f"{THREADS}<vcpu{vcpu}>2</vcpu><cputune>{PINS}</cputune>", cpus=cpus)
    plan = converged(p.plan, observed, desired(cputune=wanted))
    assert plan.actions[1:] == steps and plan.pending == pending


def test_what_else_cannot_go_waits_by_itself():
    plan = converged(p.plan, running(f"{THREADS}<vcpu>2</vcpu><cputune><shares>5</shares>{PINS}</cputune>", cpus="0-3"), desired(cputune={}))
    assert plan.actions[1:] == FREE and plan.pending == ("cputune",) and plan.after.active.get("cputune/shares") == "5"


@pytest.mark.parametrize(
    ("vcpu", "pins", "defined", "left"),
    [
        ("", "<vcpupin vcpu='0' cpuset='0-3'/>", "", None),
        ("", "<vcpupin vcpu='0' cpuset='0-3'/><emulatorpin cpuset='0'/>", "", "<cputune><emulatorpin cpuset='0'/></cputune>"),
        ("", "<vcpupin vcpu='0' cpuset='0-3'/>", "<vcpupin vcpu='0' cpuset='0-3'/>", "<cputune><vcpupin vcpu='0' cpuset='0-3'/></cputune>"),
        ("", "<vcpupin vcpu='0' cpuset='0-3'/>", "<vcpupin vcpu='1' cpuset='0-3'/>", None),
        (" cpuset='1'", "<emulatorpin cpuset='0-3'/>", "", "<cputune><emulatorpin cpuset='0-3'/></cputune>"),
        (" cpuset='1'", "<emulatorpin cpuset='1'/>", "", None),
    ],
)
def test_a_pin_to_all_cpus_is_none_unless_it_is_defined(vcpu, pins, defined, left):
    active, definition = (guest(f"<vcpu{vcpu}>2</vcpu><cputune>{one}</cputune>").inactive for one in (pins, defined))
    tuning = without_idle_pins(active, definition, "0-3").find("cputune")
    assert tuning == (parse(left, "x", "cputune") if left else None)
    assert without_idle_pins(active, definition, "") == active or vcpu


def test_limits_of_memory_are_lifted_at_once():
    limits = "<memtune><hard_limit unit='KiB'>10</hard_limit><soft_limit unit='KiB'>5</soft_limit>{}</memtune>"
    plan = converged(p.plan, running(limits.format("")), desired(memtune={}))
    unlimited = (("hard_limit", 9007199254740991), ("soft_limit", 9007199254740991))
    assert plan.actions[1:] == (a.SetMemoryParameters("g", ("memtune/hard_limit", "memtune/soft_limit"), unlimited),)
    assert plan.pending == () and plan.after.active.find("memtune") is None
    more = converged(p.plan, running(limits.format("<min_guarantee unit='KiB'>1</min_guarantee>")), desired(memtune={}))
    assert kinds(more) == ["define_domain", "set_memory_parameters"] and more.pending == ("memtune",)


DEVICE = "<device><path>{}</path>{}</device>"


@pytest.mark.parametrize(
    ("there", "wanted", "values", "pending"),
    [
        ("", [{"path": "/dev/a", "read_bytes_sec": 5}], (("device_read_bytes_sec", "/dev/a,5"),), ()),
        (
            DEVICE.format("/dev/a", "<read_bytes_sec>5</read_bytes_sec>") + DEVICE.format("/dev/b", "<read_bytes_sec>6</read_bytes_sec>"),
            [{"path": "/dev/a", "read_bytes_sec": 7, "write_iops_sec": 8}],
            (("device_read_bytes_sec", "/dev/a,7,/dev/b,0"), ("device_write_iops_sec", "/dev/a,8")),
            (),
        ),
        (DEVICE.format("/dev/a", "<read_iops_sec>5</read_iops_sec>"), [], (("device_read_iops_sec", "/dev/a,0"),), ()),
        ("", [{"path": "/dev/a", "weight": 500}], (), ("blkiotune",)),
        (
            "",
            [{"path": "/dev/a", "weight": 500, "write_bytes_sec": 5}],
            (("device_write_bytes_sec", "/dev/a,5"),),
            ("blkiotune/device[/dev/a]/weight",),
        ),
        (DEVICE.format("/dev/a", "<weight>500</weight><read_iops_sec>5</read_iops_sec>"), [], (), ("blkiotune/device[/dev/a]",)),
        ("", [{"path": "/dev/a,b", "read_bytes_sec": 5}], (), ("blkiotune",)),
    ],
)
def test_limits_of_devices_change_at_once_and_weights_wait(there, wanted, values, pending):
    plan = converged(p.plan, running(f"<blkiotune>{there}</blkiotune>" if there else ""), desired(blkiotune={"devices": wanted}))
    assert [step.values for step in plan.actions[1:]] == ([values] if values else []) and plan.pending == pending


def test_a_limit_that_becomes_none_is_no_longer_there():
    limits = "<read_iops_sec>5</read_iops_sec><write_iops_sec>6</write_iops_sec>"
    observed = running(f"<blkiotune>{DEVICE.format('/dev/a', limits)}</blkiotune>")
    one = {"path": "/dev/a", "read_iops_sec": 0}
    fewer = converged(p.plan, observed, desired(blkiotune={"devices": [one]})).after
    assert (
        fewer.inactive.find("blkiotune")
        == fewer.active.find("blkiotune")
        == parse(f"<blkiotune>{DEVICE.format('/dev/a', '<write_iops_sec>6</write_iops_sec>')}</blkiotune>", "x", "blkiotune")
    )
    none = converged(p.plan, observed, desired(blkiotune={"devices": [{**one, "write_iops_sec": 0}]}))
    assert none.pending == () and none.after.active.find("blkiotune") is None
    assert converged(p.plan, none.after, desired(blkiotune={"devices": [one]})).actions == ()


def test_all_limits_of_devices_go_at_once_and_the_weight_of_the_guest_waits():
    there = f"<blkiotune><weight>500</weight>{DEVICE.format('/dev/a', '<read_iops_sec>5</read_iops_sec>')}</blkiotune>"
    plan = converged(p.plan, running(there), desired(blkiotune={}))
    assert plan.actions[1:] == (
        a.SetBlkioParameters("g", ("blkiotune/device[/dev/a]/read_iops_sec",), (("device_read_iops_sec", "/dev/a,0"),)),
    ) and plan.pending == ("blkiotune",)


def test_threads_that_the_xml_describes_wait():
    xml = "<domain><iothreads>3</iothreads><iothreadids><iothread id='3' thread_pool_max='8'/></iothreadids></domain>"
    plan = converged(p.plan, running(THREADS), desired(xml=xml))
    assert kinds(plan) == ["define_domain"] and "iothreads" in plan.pending


LIMITS = "<read_bytes_sec>4</read_bytes_sec><total_iops_sec>5</total_iops_sec>"


def test_a_drive_that_becomes_a_disk_keeps_its_medium():
    drive = "<disk type='file' device='cdrom'><source file='/a'/><target dev='sda' bus='sata'/><readonly/></disk>"
    plan = converged(p.plan, running(in_devices(drive)), desired(disks=[{"target": "sda", "device": "disk", "path": "/b"}]))
    assert kinds(plan) == ["define_domain"] and set(plan.pending) >= {"devices/disk[sda]@device", "devices/disk[sda]/source@file"}
    assert plan.after.inactive.find("devices/disk/readonly") is None
