# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Modules of a running kernel: parameters, reloads and what stands against them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Result
from ansible_collections.virtops.linux.plugins.module_utils.kernel_module.holders import guest_name
from fake_kernel import CATALOGUE, KVM_AMD, FakeKernel, Module, cycle, run, settled, words

OURS = "/etc/modprobe.d/virtops-kvm_amd.conf"
QEMU = ("/usr/bin/qemu-system-x86_64", "-name", "guest=web,debug-threads=on", "-S")
NESTED = {"parameters": {"nested": True}}


@pytest.fixture()
def host(tmp_path):
    """A host with the vendor's module loaded, as udev does at boot."""
    fake = FakeKernel(tmp_path)
    fake._insert("kvm_amd", ())
    return fake


def test_load_with_parameters(tmp_path):
    host = FakeKernel(tmp_path)
    result = cycle(host, **NESTED)
    assert words(result) == ["load_module", "write_options", "enable_autoload"]
    assert host.parameter("kvm_amd", "nested") == "1" and host.loaded() == ["kvm", "kvm_amd"]


def test_a_reload_changes_a_read_only_parameter(host):
    result = cycle(host, **NESTED, reload="if_unused")
    assert words(result) == ["reload_module", "write_options", "enable_autoload"]
    assert host.parameter("kvm_amd", "nested") == "1"
    assert result["pending"] == [] and result["resource"]["reboot_required"] is False
    assert host.text(OURS).endswith("\noptions kvm_amd nested=1\n")
    cycle(host, parameters={"nested": False}, reload="if_unused")
    assert host.parameter("kvm_amd", "nested") == "0"


def test_never_reloads_by_default_and_says_what_waits(host):
    result = cycle(host, **NESTED)
    assert words(result) == ["write_options", "enable_autoload"]
    assert result["pending"] == ["parameters.nested"] and result["resource"]["reboot_required"] is True
    assert host.parameter("kvm_amd", "nested") == "0" and host.commands() == []
    host._remove("kvm_amd")  # the reboot: what is loaded at boot gets what the files say
    host._insert("kvm_amd", ())
    assert settled(host, **NESTED)["pending"] == []


def test_a_reload_is_refused_while_a_guest_runs_and_names_it(host):
    host.open_file(4711, "/dev/kvm", *QEMU)
    host.open_file(4711, "anon_inode:kvm-vm", *QEMU)
    host.open_file(4712, "anon_inode:kvm-vcpu:0", "/usr/local/bin/firecracker", "--id", "fc1")
    host.put("/proc/99/cmdline", "sshd\0")
    with pytest.raises(Failure, match=r"guest web, qemu-system-x86_64 \(pid 4711\); firecracker \(pid 4712\)") as caught:
        run(host, **NESTED, reload="force")
    assert caught.value.code == "module_in_use"
    assert caught.value.details["holders"][0] == {"pid": 4711, "command": "qemu-system-x86_64", "guest": "web"}
    assert host.commands() == [] and not host.exists(OURS), "refused before anything was touched"


def test_if_unused_leaves_it_to_the_next_boot_and_says_why(host):
    host.open_file(4711, "/dev/kvm", *QEMU)
    result = cycle(host, **NESTED, reload="if_unused")
    assert result["pending"] == ["parameters.nested"]
    assert "guest web" in result["warnings"][0]
    assert result["resource"]["holders"] == [{"pid": 4711, "command": "qemu-system-x86_64", "guest": "web"}]
    with pytest.raises(Failure, match="guest web"):
        run(host, parameters={"sev": True}, reload="if_unused", persistent=False)


def test_the_kernels_own_use_counts_too(host):
    host.count("kvm_amd", 2)
    with pytest.raises(Failure, match="the reference count of kvm_amd is 2"):
        run(host, **NESTED, reload="force")


def test_modules_above_go_down_and_come_back(host):
    result = cycle(host, name="kvm", parameters={"tdp_mmu": False, "halt_poll_ns": 0}, reload="if_unused")
    assert result["actions"][0] == {
        "action": "reload_module",
        "target": "kvm",
        "parameters": {"tdp_mmu": "0", "halt_poll_ns": "0"},
        "dependents": ["kvm_amd"],
    }
    assert sorted(host.loaded()) == ["kvm", "kvm_amd"]


def test_the_commands_of_a_reload(host):
    run(host, name="kvm", parameters={"tdp_mmu": False}, reload="if_unused")
    assert host.commands() == [
        ["modprobe", "--remove", "kvm_amd"],
        ["modprobe", "--remove", "kvm"],
        ["modprobe", "kvm", "tdp_mmu=0"],
        ["modprobe", "kvm_amd"],
    ]


def test_an_interface_that_is_up_counts_though_the_kernel_does_not_count_it(tmp_path):
    host = FakeKernel(tmp_path, {"/sys/class/net/eth0/flags": "0x1003\n", "/sys/class/net/eth0/uevent": "INTERFACE=eth0\n"})
    host._insert("e1000e", ())
    Path(host.path("/sys/class/net/eth0/device/driver")).mkdir(parents=True)
    Path(host.path("/sys/class/net/eth0/device/driver/module")).symlink_to(host.path("/sys/module/e1000e"))
    with pytest.raises(Failure, match="the interface eth0, which is up"):
        run(host, name="e1000e", state="absent")
    host.put("/sys/class/net/eth0/flags", "0x1002\n")
    assert words(cycle(host, name="e1000e", state="absent")) == ["unload_module"]


def test_an_interface_that_the_module_makes_has_no_driver_and_counts_too(tmp_path):
    files = {"/sys/class/net/br0/flags": "0x1003\n", "/sys/class/net/br0/uevent": "DEVTYPE=bridge\nINTERFACE=br0\n"}
    host = FakeKernel(tmp_path, files, {"bridge": Module(), "bonding": Module()})
    for name in ("bridge", "bonding"):
        host._insert(name, ())
    with pytest.raises(Failure, match="the interface br0, which is up"):
        run(host, name="bridge", state="absent")
    cycle(host, name="bonding", state="absent")


def test_a_writable_parameter_is_set_at_once_and_kept(host):
    result = cycle(host, name="kvm", parameters={"halt_poll_ns": 0})
    assert words(result) == ["set_parameter", "write_options", "enable_autoload"]
    assert host.parameter("kvm", "halt_poll_ns") == "0" and host.commands() == []


def test_a_reload_that_fails_brings_the_old_module_back(host, monkeypatch):
    insert = host._insert

    def picky(name, given):
        return Result(1, "", "modprobe: ERROR: could not insert 'kvm_amd': Invalid argument\n") if "nested=7" in given else insert(name, given)

    monkeypatch.setattr(host, "_insert", picky)
    with pytest.raises(Failure, match=r"loaded again as modprobe\.d had it") as caught:
        run(host, parameters={"nested": 7}, reload="force")
    assert caught.value.code == "module_not_loaded"
    assert host.parameter("kvm_amd", "nested") == "0" and not host.exists(OURS)


def test_a_guest_that_starts_in_between_stops_the_reload(host, monkeypatch):
    monkeypatch.setattr(host, "_remove", lambda name: Result(1, "", "modprobe: FATAL: Module kvm_amd is in use.\n"))
    with pytest.raises(Failure, match=r"Module kvm_amd is in use\.; it runs as before") as caught:
        run(host, **NESTED, reload="force")
    assert caught.value.code == "module_in_use" and "kvm_amd" in host.loaded()


def test_a_parameter_that_the_module_changes_back_is_told(tmp_path):
    stubborn = Module({"nested": "0"}, "nested: (int)\0npt: (bool)\0")
    host = FakeKernel(tmp_path, modules={"kvm_amd": stubborn})
    host._insert("kvm_amd", ())
    knob = Path(host.path("/sys/module/kvm_amd/parameters/nested"))
    insert = host._insert

    def without_paging(name, given):
        done = insert(name, given)
        knob.chmod(0o644)
        knob.write_text("0\n")
        knob.chmod(0o444)
        return done

    host._insert = without_paging
    with pytest.raises(Failure, match="set nested to 0 instead of 1") as caught:
        run(host, **NESTED, reload="force")
    assert caught.value.code == "parameter_not_taken"


@pytest.mark.parametrize(
    ("parameters", "code", "message"),
    [
        ({"nestd": 1}, "unknown_parameter", "no parameter nestd; it takes nested, npt, sev"),
        ({"nested": "banana"}, "invalid_parameter", "not a value of its type"),
        ({"npt": "maybe"}, "invalid_parameter", r"\(bool\)"),
    ],
)
@pytest.mark.parametrize("loaded", [True, False])
def test_what_the_module_does_not_take_is_refused_before(tmp_path, loaded, parameters, code, message):
    host = FakeKernel(tmp_path)
    if loaded:
        host._insert("kvm_amd", ())
    with pytest.raises(Failure, match=message) as caught:
        run(host, parameters=parameters)
    assert caught.value.code == code and host.commands() == [] and not host.exists(OURS)


def test_without_modinfo_the_kernel_decides(host):
    host.missing_tools = ("modinfo",)
    assert "does not show secret" in run(host, parameters={"secret": 1})["warnings"][0]
    settled(host, parameters={"secret": 1})


def test_not_persistent_needs_a_reload_that_never_forbids(host):
    with pytest.raises(Failure, match="needs a reload, which reload: never forbids") as caught:
        run(host, **NESTED, persistent=False)
    assert caught.value.code == "parameter_read_only"
    assert words(cycle(host, **NESTED, persistent=False, reload="force")) == ["reload_module"]
    assert not host.exists(OURS)


# reloaded


def test_reloaded_takes_over_what_the_files_say(host):
    host.put("/etc/modprobe.d/kvm.conf", "options kvm_amd nested=1 npt=1\n")
    result = cycle(host, state="reloaded")
    assert words(result) == ["reload_module", "enable_autoload"]
    assert result["resource"]["parameters"] == {"nested": "1", "npt": "1"}


def test_reloaded_takes_over_what_waited(host):
    assert run(host, **NESTED)["pending"] == ["parameters.nested"]
    assert words(cycle(host, state="reloaded")) == ["reload_module"]
    assert host.parameter("kvm_amd", "nested") == "1"


def test_reloaded_takes_over_another_build(tmp_path):
    modules = {**CATALOGUE, "kvm_amd": Module(KVM_AMD.defaults, KVM_AMD.types, ("kvm",), (), "648BBFA312353C772AFACAA")}
    host = FakeKernel(tmp_path, modules=modules)
    host._insert("kvm_amd", ())
    settled_files = run(host, state="reloaded")
    assert words(settled_files) == ["enable_autoload"]
    modules["kvm_amd"].srcversion = "0123456789ABCDEF0123456"
    assert words(run(host, state="reloaded", check=True)) == ["reload_module"]
    assert words(run(host, state="reloaded")) == ["reload_module"]
    settled(host, state="reloaded")


def test_reloaded_is_refused_while_a_guest_runs(host):
    host.put("/etc/modprobe.d/kvm.conf", "options kvm_amd nested=1\n")
    host.open_file(4711, "/dev/kvm", *QEMU)
    with pytest.raises(Failure, match="guest web") as caught:
        run(host, state="reloaded")
    assert caught.value.code == "module_in_use"


# absent


def test_absent_and_back(host):
    cycle(host, **NESTED, reload="force")
    assert words(cycle(host, state="absent")) == ["disable_autoload", "remove_options", "unload_module"]
    assert host.loaded() == []
    cycle(host, **NESTED)


def test_absent_leaves_files_alone_that_are_not_to_persist(host):
    cycle(host, **NESTED, reload="force")
    assert words(cycle(host, state="absent", persistent=False)) == ["unload_module"]
    assert host.exists(OURS)


def test_a_module_below_another_is_not_unloaded(host):
    with pytest.raises(Failure, match="the module kvm_amd") as caught:
        run(host, name="kvm", state="absent")
    assert caught.value.code == "module_in_use" and sorted(host.loaded()) == ["kvm", "kvm_amd"]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["qemu", "-name", "guest=web,debug-threads=on"], "web"),
        (["qemu", "-name", "web,process=x"], "web"),
        (["qemu", "-name", "debug-threads=on,guest=a,,b"], "a,b"),
        (["qemu", "-m", "1G"], None),
    ],
)
def test_guest_names(words, name):
    assert guest_name(words) == name
