# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host whose modprobe and modinfo work on its tree of files, with the rules and the messages of kmod 30."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Result
from ansible_collections.virtops.linux.plugins.module_utils.engine.run import converge
from ansible_collections.virtops.linux.plugins.module_utils.kernel_module.resource import RESOURCE
from support.hosts import FakeHost

RELEASE = "6.1.0-56-amd64"
IMAGE = f"/boot/initrd.img-{RELEASE}"
DEFAULTS = {"name": "auto", "state": "present", "parameters": None, "reload": "never", "blacklist": None, "initramfs": "auto", "persistent": True}
DEFAULTS["ignore_missing"] = False

OK = Result(0, "", "")


@dataclass
class Module:
    """defaults: parameter → what the kernel shows. types: as modinfo prints them. writable: those with mode 0644."""

    defaults: Dict[str, str] = field(default_factory=dict)
    types: str = ""
    needs: Tuple[str, ...] = ()
    writable: Tuple[str, ...] = ()
    srcversion: str = ""


# Captured from linux-image-6.1.0-56-amd64 with `modinfo --null --field parm`, cut to what the tests use.
KVM_AMD = Module({"nested": "0", "npt": "Y", "sev": "N"}, "sev: (bool)\0npt: (bool)\0nested: (int)\0", ("kvm",))
KVM = Module({"halt_poll_ns": "200000", "tdp_mmu": "Y"}, "tdp_mmu: (bool)\0halt_poll_ns: (uint)\0", (), ("halt_poll_ns",))
VHOST = Module({}, "max_mem_regions:Maximum number of memory regions in memory map. (default: 64) (ushort)\0")
CATALOGUE = {"kvm_amd": KVM_AMD, "kvm": KVM, "vhost": VHOST, "e1000e": Module()}


class FakeKernel(FakeHost):
    def __init__(self, tmp_path: Path, files: Optional[Dict[str, str]] = None, modules: Optional[Dict[str, Module]] = None) -> None:
        self.modules = modules or CATALOGUE
        self.log: List[List[str]] = []
        self.missing_tools: Tuple[str, ...] = ()
        self.in_image = ["kernel/drivers/net/ethernet/intel/e1000e/e1000e.ko"]
        catalogue = "".join(f"kernel/x/{name.replace('_', '-')}.ko:\n" for name in self.modules)
        super().__init__(
            tmp_path,
            {
                "/proc/cpuinfo": "flags\t\t: fpu svm npt\n",
                "/proc/modules": "",
                "/proc/cmdline": "BOOT_IMAGE=/vmlinuz root=/dev/vda ro quiet\n",
                "/proc/sys/kernel/osrelease": RELEASE + "\n",
                f"/lib/modules/{RELEASE}/modules.dep": catalogue,
                IMAGE: "cpio",
                **(files or {}),
            },
        )

    # What tests do to it

    def loaded(self) -> List[str]:
        return [line.split()[0] for line in self.text("/proc/modules").splitlines()]

    def parameter(self, module: str, key: str) -> str:
        return self.text(f"/sys/module/{module}/parameters/{key}").strip()

    def open_file(self, pid: int, target: str, *cmdline: str) -> None:
        """A process that has a file open. The kernel counts it in kvm_amd where that is what it opened."""
        folder = Path(self.path(f"/proc/{pid}/fd"))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / str(len(list(folder.iterdir())))).symlink_to(target)
        (folder.parent / "cmdline").write_text("\0".join((*cmdline, "")))
        (folder.parent / "comm").write_text(cmdline[0].rsplit("/", 1)[-1][:15] + "\n")
        self.count("kvm_amd", 1)

    def count(self, module: str, by: int) -> None:
        refcnt = Path(self.path(f"/sys/module/{module}/refcnt"))
        refcnt.write_text(f"{int(refcnt.read_text()) + by}\n")

    def put(self, path: str, text: str) -> None:
        real = Path(self.path(path))
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_text(text)

    def commands(self) -> List[List[str]]:
        """What changed something since the last call."""
        done, self.log = [argv for argv in self.log if argv[0] in ("modprobe", "update-initramfs", "dracut")], []
        return done

    def write_knob(self, path: str, text: str) -> None:
        self.put(path, text + "\n")  # sysfs shows the value anew; a file would keep the rest of the longer one

    # The tools

    def which(self, name: str) -> Optional[str]:
        return None if name in self.missing_tools else name

    def run(self, argv: Sequence[str], stdin: Optional[str] = None, timeout: Optional[float] = None, check: bool = True) -> Result:
        self.log.append(list(argv))
        tool, *words = argv
        if tool == "modinfo":
            return self._modinfo(words)
        if tool == "modprobe":
            return self._remove(words[1]) if words[0] == "--remove" else self._insert(words[0], words[1:])
        if tool in ("lsinitramfs", "lsinitrd"):
            return Result(0, "usr\n" + "".join(f"usr/lib/modules/{RELEASE}/{name}\n" for name in self.in_image), "")
        if tool in ("update-initramfs", "dracut"):
            return OK
        raise AssertionError(f"no such tool: {argv}")

    def _modinfo(self, words: Sequence[str]) -> Result:
        module = self.modules.get(words[-1])
        if module is None:
            return Result(1, "", f"modinfo: ERROR: Module {words[-1]} not found.\n")
        return Result(0, module.types if "parm" in words else module.srcversion + "\n" * bool(module.srcversion), "")

    def _configuration(self) -> List[List[str]]:
        files: Dict[str, Path] = {}
        for base in ("/etc", "/run", "/usr/local/lib", "/usr/lib"):
            for path in Path(self.path(f"{base}/modprobe.d")).glob("*.conf"):
                files.setdefault(path.name, path)
        texts = (files[name].read_text().replace("\\\n", "") for name in sorted(files))
        lines = [line.split() for text in texts for line in text.splitlines() if line and line[0] != "#"]
        for word in self.text("/proc/cmdline").split():
            if "." in word.split("=")[0]:
                lines.append(["options", *word.split(".", 1)])
        return [[words[0], words[1].replace("-", "_"), *words[2:]] for words in lines]

    def _insert(self, name: str, given: Sequence[str]) -> Result:
        if name in self.loaded():
            return OK
        if name not in self.modules:
            return Result(1, "", f"modprobe: FATAL: Module {name} not found in directory /lib/modules/{RELEASE}\n")
        configuration = self._configuration()
        module = self.modules[name]
        for below in module.needs:
            self._insert(below, ())
        if ["install", name, "/bin/false"] in configuration:
            return Result(1, "", f"modprobe: ERROR: could not insert '{name}': Invalid argument\n")
        values = dict(module.defaults)
        words = [word for line in configuration if line[:2] == ["options", name] for word in line[2:]]
        for word in [*words, *given]:
            key, _equals, text = word.partition("=")
            kind = re.search(rf"(?:^|\0){key}:[^\0]*\((\w+)\)", module.types)
            if key not in values or not kind:
                continue  # the kernel: unknown parameter ignored
            if kind[1] == "int" and not re.fullmatch(r"-?\d+", text):
                return Result(1, "", f"modprobe: ERROR: could not insert '{name}': Invalid argument\n")
            values[key] = {"1": "Y", "0": "N"}.get(text, text) if kind[1] == "bool" else text
        base = Path(self.path(f"/sys/module/{name}"))
        (base / "holders").mkdir(parents=True)
        (base / "parameters").mkdir()
        (base / "refcnt").write_text("0\n")
        if module.srcversion:
            (base / "srcversion").write_text(module.srcversion + "\n")
        for key, text in values.items():
            knob = base / "parameters" / key
            knob.write_text(text + "\n")
            knob.chmod(0o644 if key in module.writable else 0o444)
        for below in module.needs:
            os.symlink(f"../../{name}", self.path(f"/sys/module/{below}/holders/{name}"))
            self.count(below, 1)
        self.put("/proc/modules", self.text("/proc/modules") + f"{name} 16384 0 - Live 0x0\n")
        return OK

    def _remove(self, name: str) -> Result:
        if name not in self.loaded():
            return OK
        if self.text(f"/sys/module/{name}/refcnt").strip() != "0":
            return Result(1, "", f"modprobe: FATAL: Module {name} is in use.\n")
        shutil.rmtree(self.path(f"/sys/module/{name}"))
        self.put("/proc/modules", "".join(f"{other} 16384 0 - Live 0x0\n" for other in self.loaded() if other != name))
        for below in self.modules[name].needs:
            os.unlink(self.path(f"/sys/module/{below}/holders/{name}"))
            self.count(below, -1)
            if self.text(f"/sys/module/{below}/refcnt").strip() == "0":
                self._remove(below)
        return OK


# What tests say of it


def run(host: FakeKernel, check: bool = False, **params: Any) -> Dict[str, Any]:
    return converge(RESOURCE, host, {**DEFAULTS, **params}, check)


def snapshot(host: FakeKernel) -> Dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(Path(host.root).rglob("*")) if path.is_file() and not path.is_symlink()}


def cycle(host: FakeKernel, **params: Any) -> Dict[str, Any]:
    """check, check, apply, check, apply: the prediction is the run, and the second run finds nothing to do."""
    host.commands()
    before = snapshot(host)
    first, second = run(host, check=True, **params), run(host, check=True, **params)
    assert snapshot(host) == before, "check mode wrote"
    assert not host.commands(), "check mode ran something"
    applied = run(host, **params)
    for key in ("changed", "actions", "diff", "pending", "restart_required"):
        assert first[key] == second[key] == applied[key], key
    assert applied["changed"] and applied["diff"]["before"] != applied["diff"]["after"]
    assert applied["resource"]["reboot_required"] == applied["restart_required"]
    settled(host, **params)
    return applied


def settled(host: FakeKernel, **params: Any) -> Dict[str, Any]:
    for result in (run(host, check=True, **params), run(host, **params)):
        assert not result["changed"] and result["actions"] == [], result["actions"]
    return result


def words(result: Dict[str, Any]) -> List[str]:
    return [action["action"] for action in result["actions"]]
