# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kernel modules on this machine's kernel, whatever it is: a built-in module, a module that no kernel has, files, and modprobe's own view of them.

What needs a kernel that loads modules is tested on a model of one (tests/unit/kernel_module) and in the lab host.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Iterator, List

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Host
from ansible_collections.virtops.linux.plugins.module_utils.kernel_module.holders import holders
from support.modules import apply, check, cycle, option_cycle, refused, settled

# printk is a part of every kernel, and whether its messages carry the time can be switched while it runs.
BUILTIN = {"name": "printk"}
KNOB = Path("/sys/module/printk/parameters/time")
NONE = {"name": "vt-none"}
OURS = Path("/etc/modprobe.d/virtops-vt_none.conf")
THEIRS = Path("/etc/modprobe.d/vt-theirs.conf")
LOADED_BY = Path("/etc/modules-load.d/vt-theirs.conf")


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    before = KNOB.read_text().strip()
    yield
    KNOB.write_text(before)
    for path in (OURS, THEIRS, LOADED_BY):
        path.unlink(missing_ok=True)
    assert not list(Path("/etc").glob("mod*/virtops-vt*"))


def modprobe_config() -> List[str]:
    """What modprobe itself makes of all files."""
    found = subprocess.run(["/usr/sbin/modprobe", "--showconfig"], check=True, capture_output=True, text=True)
    return [line for line in found.stdout.splitlines() if "vt_none" in line]


def test_a_parameter_of_a_running_kernel() -> None:
    apply("kvm_module", {**BUILTIN, "parameters": {"time": True}})
    option_cycle("kvm_module", BUILTIN, "parameters", {"time": False}, {"time": True})
    assert KNOB.read_text() == "N\n"
    result = settled("kvm_module", {**BUILTIN, "parameters": {"time": "off"}})
    assert result["resource"]["builtin"] and result["resource"]["parameters"] == {"time": "off"}


@pytest.mark.parametrize("reload", ["never", "if_unused", "force"])
def test_a_built_in_module_is_there_already(reload: str) -> None:
    for state in ("present", "reloaded"):
        result = settled("kvm_module", {**BUILTIN, "state": state, "reload": reload})
        assert result["resource"]["reboot_required"] is False and result["resource"]["holders"] == []


def test_what_a_built_in_module_cannot_do() -> None:
    assert "printk.console_suspend_x=1" in refused("kvm_module", {**BUILTIN, "parameters": {"console_suspend_x": 1}}, "builtin_parameter")
    refused("kvm_module", {**BUILTIN, "state": "absent"}, "module_builtin")
    refused("kvm_module", {**BUILTIN, "state": "absent", "blacklist": "install"}, "module_builtin")
    result = settled("kvm_module", {**BUILTIN, "parameters": {"console_suspend_x": 1}, "ignore_missing": True})
    assert "shows no parameter console_suspend_x" in str(result["warnings"])


def test_a_module_that_the_kernel_lacks() -> None:
    for state in ("present", "reloaded"):
        assert "vt_none" in refused("kvm_module", {**NONE, "state": state}, "module_missing")
        assert settled("kvm_module", {**NONE, "state": state, "ignore_missing": True})["resource"]["loaded"] is False
    settled("kvm_module", {**NONE, "state": "absent"})


def test_blacklisting_as_modprobe_understands_it() -> None:
    absent = {**NONE, "state": "absent", "initramfs": "never"}
    cycle("kvm_module", {**absent, "blacklist": "install"})
    assert modprobe_config() == ["blacklist vt_none", "install vt_none /bin/false"]
    option_cycle("kvm_module", absent, "blacklist", "alias", "install")
    assert modprobe_config() == ["blacklist vt_none"]
    settled("kvm_module", absent)
    cycle("kvm_module", {**absent, "blacklist": "none", "initramfs": "auto"})
    assert modprobe_config() == [] and not OURS.exists()


def test_lines_of_others_are_named_and_left_alone() -> None:
    LOADED_BY.write_text("# by hand\nvt-none\n")
    result = cycle("kvm_module", {**NONE, "state": "absent", "blacklist": "alias"})
    assert result["resource"]["conflicts"] == [{"file": str(LOADED_BY), "line": 2, "text": "vt-none"}]
    assert f"{LOADED_BY}:2 says 'vt-none'" in str(result["warnings"])
    assert LOADED_BY.read_text() == "# by hand\nvt-none\n"
    THEIRS.write_text("options printk time=1\nblacklist printk\n")
    result = apply("kvm_module", {**BUILTIN, "parameters": {"time": False}})
    assert result["resource"]["conflicts"] == [
        {"file": str(THEIRS), "line": 1, "text": "options printk time=1"},
        {"file": str(THEIRS), "line": 2, "text": "blacklist printk"},
    ]


def test_this_machines_kvm() -> None:
    assert check("kvm_module", {"ignore_missing": True})["resource"]["name"] in ("kvm", "kvm_amd", "kvm_intel", None)


def test_a_process_with_kvm_open_is_found() -> None:
    handle = os.open("/dev/kvm", os.O_RDWR)
    try:
        assert os.getpid() in [holder.pid for holder in holders(Host(), "kvm_amd", ("kvm",))]
    finally:
        os.close(handle)
    assert os.getpid() not in [holder.pid for holder in holders(Host(), "kvm_amd", ())]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"name": "kvm;rm"}, "invalid_name"),
        ({"name": ""}, "invalid_name"),
        ({"parameters": {"nested": "1 evil=2"}}, "invalid_parameter"),
        ({"parameters": {"nested": ""}}, "invalid_parameter"),
        ({"parameters": {"a b": 1}}, "invalid_parameter"),
        ({"blacklist": "install"}, "invalid_blacklist"),
        ({"state": "absent", "blacklist": "alias", "persistent": False}, "invalid_blacklist"),
    ],
)
def test_bad_input(options, code) -> None:
    refused("kvm_module", options, code, check_mode=True)
