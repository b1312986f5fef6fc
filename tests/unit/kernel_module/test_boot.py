# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the next boot is told: our files, other people's files, the kernel command line, the initramfs."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Result
from ansible_collections.virtops.linux.plugins.module_utils.kernel_module.files import parse_cmdline, parse_modprobe, render
from ansible_collections.virtops.linux.plugins.module_utils.kernel_module.initramfs import contained
from ansible_collections.virtops.linux.plugins.module_utils.kernel_module.model import Kept, from_params, same
from fake_kernel import DEFAULTS, IMAGE, RELEASE, FakeKernel, cycle, run, settled, words

OURS = "/etc/modprobe.d/virtops-kvm_amd.conf"
NESTED = {"parameters": {"nested": True}}
HAND = "# by hand\noptions kvm-amd \\\n  nested=0\n"


@pytest.fixture()
def host(tmp_path):
    fake = FakeKernel(tmp_path)
    fake._insert("kvm_amd", ())
    return fake


# Conflicts


def test_a_line_elsewhere_is_named_and_left_alone(host):
    host.put("/etc/modprobe.d/kvm.conf", HAND)
    host.put("/usr/lib/modprobe.d/zz.conf", "options kvm_amd npt=0\nsoftdep kvm_amd pre: x\n")
    result = cycle(host, parameters={"nested": 1, "npt": 1}, reload="if_unused")
    assert result["resource"]["conflicts"] == [
        {"file": "/etc/modprobe.d/kvm.conf", "line": 2, "text": "options kvm-amd   nested=0"},
        {"file": "/usr/lib/modprobe.d/zz.conf", "line": 1, "text": "options kvm_amd npt=0"},
    ]
    assert "kvm.conf:2 says" in result["warnings"][0] and "loses" in result["warnings"][0]
    assert "zz.conf:1 says" in result["warnings"][1] and "counts when the module is loaded again" in result["warnings"][1]
    assert host.text("/etc/modprobe.d/kvm.conf") == HAND


def test_no_reboot_is_promised_where_another_line_wins(host):
    host.put("/etc/modprobe.d/a.conf", "options kvm_amd nested=0\n")
    assert run(host, **NESTED)["pending"] == ["parameters.nested"]
    host.put("/etc/modprobe.d/zz.conf", "options kvm_amd nested=0\n")
    result = settled(host, **NESTED)
    assert result["pending"] == [] and result["resource"]["reboot_required"] is False
    assert "zz.conf:1 says 'options kvm_amd nested=0', which counts when the module is loaded again" in result["warnings"][1]
    host._remove("kvm_amd")
    host._insert("kvm_amd", ())
    assert host.parameter("kvm_amd", "nested") == "0"


def test_the_same_value_elsewhere_is_no_conflict(host):
    host.put("/etc/modprobe.d/kvm.conf", "options kvm_amd nested=1\n")
    assert run(host, **NESTED)["resource"]["conflicts"] == []


def test_a_file_hides_its_namesakes_in_later_directories(host):
    host.put("/etc/modprobe.d/kvm.conf", "# empty on purpose\n")
    host.put("/run/modprobe.d/kvm.conf", "options kvm_amd nested=0\n")
    host.put("/usr/local/lib/modprobe.d/kvm.conf", "options kvm_amd nested=0\n")
    host.put("/usr/lib/modprobe.d/backup.conf.old", "options kvm_amd nested=0\n")
    assert run(host, **NESTED)["resource"]["conflicts"] == []
    host.put("/run/modprobe.d/local.conf", "options kvm_amd nested=0\n")
    assert [line["file"] for line in run(host, **NESTED)["resource"]["conflicts"]] == ["/run/modprobe.d/local.conf"]


def test_the_kernel_command_line_wins_over_files(host):
    host.put("/proc/cmdline", 'ro "x=a b" kvm-amd.nested=0 modprobe.blacklist=nouveau,kvm_amd\n')
    result = run(host, **NESTED, reload="force")
    assert result["resource"]["conflicts"] == [
        {"file": "/proc/cmdline", "line": 1, "text": "kvm-amd.nested=0"},
        {"file": "/proc/cmdline", "line": 1, "text": "modprobe.blacklist=nouveau,kvm_amd"},
    ]
    assert host.parameter("kvm_amd", "nested") == "1", "what modprobe is given comes last"


@pytest.mark.parametrize(
    ("files", "where"),
    [
        ({"/etc/modprobe.d/no.conf": "\ninstall kvm_amd /bin/false\n"}, "/etc/modprobe.d/no.conf:2 says"),
        ({"/proc/cmdline": "module_blacklist=kvm_amd"}, "/proc/cmdline:1 says"),
    ],
)
def test_a_module_that_is_stopped_elsewhere_is_refused_before(tmp_path, files, where):
    host = FakeKernel(tmp_path, files)
    with pytest.raises(Failure, match=where) as caught:
        run(host)
    assert caught.value.code == "module_blocked" and host.commands() == []


def test_an_install_line_that_loads_the_module_is_no_conflict(tmp_path):
    host = FakeKernel(tmp_path, {"/etc/modprobe.d/x.conf": "install kvm_amd /sbin/modprobe --ignore-install kvm_amd && touch /run/x\n"})
    assert cycle(host)["resource"]["conflicts"] == []


def test_absent_names_who_loads_it_all_the_same(host):
    host.put("/etc/modules-load.d/modules.conf", "# at boot\nloop\nkvm-amd\n")
    result = cycle(host, state="absent")
    assert result["resource"]["conflicts"] == [{"file": "/etc/modules-load.d/modules.conf", "line": 3, "text": "kvm-amd"}]
    assert "loaded at every boot all the same" in result["warnings"][0]


def test_statements_as_kmod_reads_them():
    text = "  # a comment\noptions a x=1 # y=2\noptions \\\na-b z\n"
    assert [(line.line, dict(line.parameters)) for line in parse_modprobe(text, "a", "f", False)] == [(2, {"x": "1", "#": "1", "y": "2"})]
    assert parse_modprobe(text, "a_b", "f", False)[0].parameters == {"z": "1"}
    assert [line.text for line in parse_cmdline('a.x=1 b.x=2 a b.a=3 unclosed="', "a")] == ["a.x=1"]


# The owned file


def test_one_file_a_module(host):
    cycle(host, parameters={"nested": 1, "npt": 1})
    assert host.text(OURS).splitlines()[1:] == ["options kvm_amd nested=1 npt=1"]
    cycle(host, parameters={"nested": 1})
    assert host.text(OURS).splitlines()[1:] == ["options kvm_amd nested=1"]
    settled(host)
    cycle(host, parameters={})
    assert not host.exists(OURS)


def test_blacklist(host):
    cycle(host, **NESTED, reload="force")
    cycle(host, state="absent", blacklist="alias")
    assert host.text(OURS).splitlines()[1:] == ["blacklist kvm_amd"]
    assert host._insert("kvm_amd", ()).rc == 0, "a blacklist line alone does not stop modprobe"
    cycle(host, state="absent", blacklist="install")
    assert host.text(OURS).splitlines()[1:] == ["blacklist kvm_amd", "install kvm_amd /bin/false"]
    assert host._insert("kvm_amd", ()).rc == 1, "the install line does"
    settled(host, state="absent")
    result = cycle(host)
    assert words(result) == ["remove_options", "enable_autoload", "load_module"]
    cycle(host, state="absent", blacklist="install")
    cycle(host, state="absent", blacklist="none")
    assert not host.exists(OURS)


def test_our_own_blacklist_gives_way_with_the_options_in_its_place(host):
    cycle(host, state="absent", blacklist="install")
    assert words(cycle(host, **NESTED)) == ["write_options", "enable_autoload", "load_module"]
    assert host.parameter("kvm_amd", "nested") == "1"


def test_a_blacklisted_module_in_use_goes_at_the_next_boot(host):
    host.count("kvm_amd", 1)
    with pytest.raises(Failure, match="set blacklist: install"):
        run(host, state="absent")
    result = cycle(host, state="absent", blacklist="install")
    assert result["pending"] == ["loaded"] and result["resource"]["reboot_required"] is True
    assert "loaded until the next boot" in result["warnings"][0]
    host.count("kvm_amd", -1)
    assert words(run(host, state="absent")) == ["unload_module"]


def test_a_module_that_this_kernel_lacks_can_be_blacklisted(tmp_path):
    host = FakeKernel(tmp_path)
    cycle(host, name="nouveau", state="absent", blacklist="install")
    cycle(host, name="nouveau", state="absent", blacklist="none")
    settled(host, name="nouveau", state="absent")
    with pytest.raises(Failure, match="no such module"):
        run(host, name="nouveau")


@pytest.mark.parametrize("given", [{"blacklist": "alias"}, {"blacklist": "install", "state": "reloaded"}, {"blacklist": "none", "persistent": False}])
def test_contradictions(given):
    with pytest.raises(Failure) as caught:
        from_params({**DEFAULTS, **given})
    assert caught.value.code == "invalid_blacklist"


def test_rendering():
    assert render("a", Kept({"x": "1", "y": "b"}, "install")).splitlines()[1:] == ["options a x=1 y=b", "blacklist a", "install a /bin/false"]


@pytest.mark.parametrize(("left", "right"), [("Y", "1"), ("N", "off"), ("0x10", "16"), ("-1", "-1"), ("010", "8"), ("a", "a")])
def test_spellings(left, right):
    assert same(left, right) and not same(left, right + "1")
    left, right = right, left
    assert same(left, right)


# The initramfs


def test_an_image_with_the_module_is_rebuilt(host):
    host.in_image.append("kernel/arch/x86/kvm/kvm-amd.ko.xz")
    result = cycle(host, **NESTED)
    assert result["actions"][-1] == {"action": "rebuild_initramfs", "target": IMAGE}
    host.commands()
    run(host, parameters={"nested": False})
    assert host.commands() == [["update-initramfs", "-u", "-k", RELEASE]]
    settled(host, parameters={"nested": False})
    assert ["lsinitramfs", IMAGE] not in host.log, "an image is not unpacked where nothing changes"


def test_an_image_without_it_is_not(host):
    assert "rebuild_initramfs" not in words(cycle(host, **NESTED))


def test_never_leaves_it_and_says_so(host):
    host.in_image.append("kernel/arch/x86/kvm/kvm-amd.ko")
    result = run(host, **NESTED, initramfs="never")
    assert "rebuild_initramfs" not in words(result)
    assert f"{IMAGE} holds the module with its old options" in result["warnings"][0]


def test_dracut(host):
    host.missing_tools = ("update-initramfs", "lsinitramfs")
    Path(host.path(IMAGE)).unlink()
    for name in (f"initramfs-{RELEASE}.img", f"initramfs-{RELEASE}kdump.img", "initramfs-0-rescue-4a5b.img"):
        host.put(f"/boot/{name}", "cpio")
    host.in_image.append("kernel/arch/x86/kvm/kvm-amd.ko.xz")
    run(host, **NESTED)
    assert host.commands() == [["dracut", "--force", f"/boot/initramfs-{RELEASE}.img", RELEASE]]


def test_an_image_that_cannot_be_listed_is_rebuilt(host):
    host.missing_tools = ("lsinitramfs", "lsinitrd")
    assert words(run(host, **NESTED))[-1] == "rebuild_initramfs"


def test_a_rebuild_that_fails_says_what_to_run(host, monkeypatch):
    host.in_image.append("kernel/arch/x86/kvm/kvm-amd.ko")
    run_tool = host.run

    def full(argv, **options):
        return Result(1, "", "E: /boot is full\n") if argv[0] == "update-initramfs" else run_tool(argv, **options)

    monkeypatch.setattr(host, "run", full)
    with pytest.raises(Failure, match=f"only after update-initramfs -u -k {RELEASE}") as caught:
        run(host, **NESTED)
    assert caught.value.code == "initramfs_failed" and caught.value.details["changed"]


def test_listings():
    # lsinitramfs of initramfs-tools 0.142, lsinitrd of dracut 059.
    assert contained("usr/lib/modules/6.1/kernel/kvm-amd.ko\nusr/bin/kmod\n") == ["kvm_amd"]
    assert contained("-rw-r--r--   1 root     root  9 Jan  1  2024 usr/lib/modules/6.1/kernel/drivers/net/tun.ko.xz\nImage: x\n") == ["tun"]
