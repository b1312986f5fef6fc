# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Result
from ansible_collections.virtops.linux.plugins.module_utils.kernel_module import plan as p
from ansible_collections.virtops.linux.plugins.module_utils.kernel_module.apply import apply
from ansible_collections.virtops.linux.plugins.module_utils.kernel_module.model import Desired, Observed, from_params, same
from ansible_collections.virtops.linux.plugins.module_utils.kernel_module.read import read
from fake_kernel import DEFAULTS
from support.hosts import FakeHost, converged

AMD = "processor\t: 0\nflags\t\t: fpu svm npt\n"
RELEASE = {"/proc/sys/kernel/osrelease": "6.1.0\n"}
CATALOGUE = {
    "/lib/modules/6.1.0/modules.dep": "kernel/arch/x86/kvm/kvm-amd.ko.xz: kernel/arch/x86/kvm/kvm.ko.xz\n",
    "/lib/modules/6.1.0/modules.builtin": "kernel/drivers/net/tun.ko\n",
}
PARAMS = {**DEFAULTS, "name": "auto"}


def test_auto_is_the_vendors_module(tmp_path):
    host = FakeHost(tmp_path, {"/proc/cpuinfo": AMD, "/proc/modules": "", **RELEASE, **CATALOGUE})
    assert read(host, Desired("auto")) == Observed("kvm_amd")


def test_a_loaded_module_with_its_parameters_and_files(tmp_path):
    host = FakeHost(
        tmp_path,
        {
            "/proc/cpuinfo": AMD,
            "/proc/modules": "kvm_amd 155648 0 - Live 0x0\nkvm 1142784 1 kvm_amd, Live 0x0\n",
            "/sys/module/kvm_amd/parameters/nested": "1\n",
            "/etc/modules-load.d/virtops-kvm_amd.conf": "kvm_amd\n",
            "/etc/modprobe.d/virtops-kvm_amd.conf": "# ours\noptions kvm-amd nested=1 npt=1\n",
        },
    )
    observed = read(host, Desired("kvm_amd"))
    assert observed.loaded and not observed.builtin and observed.autoload
    assert observed.parameters == {"nested": "1"}
    assert observed.options == {"nested": "1", "npt": "1"}


def test_built_in_and_no_modules_at_all(tmp_path):
    host = FakeHost(tmp_path, {"/proc/cpuinfo": "flags\t: fpu hypervisor\n", "/sys/module/kvm/parameters/halt_poll_ns": "200000\n"})
    observed = read(host, Desired("auto"))
    assert (observed.name, observed.builtin, observed.loadable) == ("kvm", True, False)
    assert converged(p.plan, observed, Desired("auto")).actions == ()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"/proc/cpuinfo": "flags\t: fpu\n", "/proc/modules": ""}, "neither vmx nor svm"),
        ({"/proc/cpuinfo": AMD}, "loads no modules at all"),
        ({"/proc/cpuinfo": AMD, "/proc/modules": ""}, "has no such module"),
        ({"/proc/cpuinfo": AMD, "/proc/modules": "", "/proc/sys/kernel/modules_disabled": "1\n"}, "kernel.modules_disabled"),
    ],
)
def test_a_missing_module_is_said_truthfully(tmp_path, files, words):
    observed = read(FakeHost(tmp_path, files), Desired("auto"))
    with pytest.raises(Failure, match=words) as caught:
        p.plan(observed, Desired("auto"))
    assert caught.value.code == "module_missing"
    assert words in converged(p.plan, observed, Desired("auto", ignore_missing=True)).warnings[0]


def test_load_and_persist():
    plan = converged(p.plan, Observed("kvm_amd"), Desired("kvm_amd", parameters={"nested": "1"}))
    assert plan.actions == (
        p.LoadModule("kvm_amd", {"nested": "1"}),
        p.WriteOptions("kvm_amd", {"nested": "1"}),
        p.EnableAutoload("kvm_amd"),
    )


LOADED = Observed("kvm_amd", loaded=True, parameters={"nested": "N", "npt": "Y"}, autoload=True)


def test_a_read_only_parameter_is_kept_and_pending():
    plan = converged(p.plan, LOADED, Desired("kvm_amd", parameters={"nested": "1"}))
    assert plan.actions == (p.WriteOptions("kvm_amd", {"nested": "1"}),)
    assert plan.pending == ("parameters.nested",)


def test_a_writable_parameter_is_set():
    observed = Observed("kvm", builtin=True, parameters={"halt_poll_ns": "1"}, writable=frozenset({"halt_poll_ns"}))
    plan = converged(p.plan, observed, Desired("kvm", parameters={"halt_poll_ns": "0"}))
    assert plan.actions == (p.SetParameter("kvm", "halt_poll_ns", "0"),)


def test_the_kernels_spelling_of_a_boolean_is_not_a_difference():
    assert same("Y", "1") and same("N", "0") and not same("Y", "0")
    observed = Observed("kvm_amd", loaded=True, parameters={"npt": "Y"}, options={"npt": "1"}, autoload=True)
    assert converged(p.plan, observed, Desired("kvm_amd", parameters={"npt": "1"})).actions == ()


def test_an_empty_dictionary_takes_our_parameters_away():
    observed = Observed("kvm_amd", loaded=True, options={"npt": "1"}, autoload=True)
    assert converged(p.plan, observed, Desired("kvm_amd", parameters={})).actions == (p.RemoveOptions("kvm_amd"),)


def test_a_parameter_of_a_builtin_names_the_kernel_command_line():
    with pytest.raises(Failure, match=r"add kvm\.nested=1 and reboot"):
        p.plan(Observed("kvm", builtin=True), Desired("kvm", parameters={"nested": "1"}))


def test_absent_takes_everything_away():
    observed = Observed("kvm_amd", loaded=True, options={"npt": "1"}, autoload=True)
    plan = converged(p.plan, observed, Desired("kvm_amd", present=False))
    assert plan.actions == (p.DisableAutoload("kvm_amd"), p.RemoveOptions("kvm_amd"), p.UnloadModule("kvm_amd"))


@pytest.mark.parametrize(
    ("given", "code"),
    [({"name": "kvm;rm"}, "invalid_name"), ({"parameters": {"nested": "1 evil=2"}}, "invalid_parameter")],
)
def test_bad_input(given, code):
    with pytest.raises(Failure) as caught:
        from_params({**PARAMS, **given})
    assert caught.value.code == code


def test_the_files_and_commands(tmp_path):
    host = FakeHost(tmp_path, script=[(["modprobe", "kvm_amd", "nested=1"], Result(0, "", ""))])
    apply(host, p.WriteOptions("kvm_amd", {"nested": "1"}))
    apply(host, p.EnableAutoload("kvm_amd"))
    apply(host, p.LoadModule("kvm_amd", {"nested": "1"}))
    assert host.exhausted()
    assert host.text("/etc/modprobe.d/virtops-kvm_amd.conf").endswith("\noptions kvm_amd nested=1\n")
    assert host.text("/etc/modules-load.d/virtops-kvm_amd.conf").endswith("\nkvm_amd\n")


def test_a_busy_module_is_not_unloaded(tmp_path):
    host = FakeHost(tmp_path, script=[(["modprobe", "--remove", "kvm_amd"], Result(1, "", "modprobe: FATAL: Module kvm_amd is in use.\n"))])
    with pytest.raises(Failure, match="Module kvm_amd is in use") as caught:
        apply(host, p.UnloadModule("kvm_amd"))
    assert caught.value.code == "module_in_use"
