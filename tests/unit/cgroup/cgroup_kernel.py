# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A cgroup v2 hierarchy that behaves like the kernel's as far as writing goes, on a tree of plain files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.model import SPEC
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from support.hosts import FakeHost

ROOT = "/sys/fs/cgroup"
PAGE = os.sysconf("SC_PAGE_SIZE")
MOUNTINFO = "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"

# controller → the files that a cgroup has with it, and what a new one says. Source: kernel 6.1.
FILES: Dict[str, Dict[str, str]] = {
    "cpu": {"cpu.weight": "100", "cpu.max": "max 100000", "cpu.max.burst": "0", "cpu.idle": "0"},
    "cpuset": {"cpuset.cpus": "", "cpuset.mems": "", "cpuset.cpus.effective": "0-3", "cpuset.mems.effective": "0"},
    "memory": {
        "memory.max": "max",
        "memory.low": "0",
        "memory.high": "max",
        "memory.swap.max": "max",
        "memory.current": "0",
        "memory.min": "0",
        "memory.oom.group": "0",
    },
    "pids": {"pids.max": "max"},
    "io": {"io.max": "", "io.weight": "default 100"},
    "rdma": {"rdma.max": "mlx5_0 hca_handle=max hca_object=max"},
    "hugetlb": {"hugetlb.2MB.max": "max", "hugetlb.2MB.rsvd.max": "max"},
}


def params(resources: Optional[Dict[str, Any]] = None, name: str = "vt/web", **extra: Any) -> Dict[str, Any]:
    """The module's options as ansible hands them over: what was not said is None."""
    validated = ArgumentSpecValidator(SPEC["argument_spec"]).validate({"name": name, "resources": resources, **extra})
    assert not validated.error_messages, validated.error_messages
    return dict(validated.validated_parameters)


class CgroupV2(FakeHost):
    """writes: every write, in order: (file below the root, text)."""

    def __init__(self, tmp_path: Path, page: int = 4096) -> None:
        super().__init__(tmp_path, {"/proc/self/mountinfo": MOUNTINFO, "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages": "0"})
        self.page = page
        self.writes: List[Tuple[str, str]] = []
        self.make_dir(ROOT)
        self._put(ROOT, "cgroup.controllers", " ".join(FILES))
        for name, text in FILES["cpuset"].items():
            if name.endswith(".effective"):
                self._put(ROOT, name, text)

    def _put(self, directory: str, name: str, text: str) -> None:
        Path(self.path(f"{directory}/{name}")).write_text(f"{text}\n")

    def make_dir(self, path: str, mode: int = 0o755) -> None:
        if self.is_dir(path):
            return
        parent = path.rpartition("/")[0]
        if path != ROOT:
            self.make_dir(parent)
        Path(self.path(path)).mkdir(parents=path == ROOT)
        for name in ("cgroup.controllers", "cgroup.subtree_control", "cgroup.procs"):
            self._put(path, name, "")
        if path != ROOT:
            self._give(path, (self.read(f"{parent}/cgroup.subtree_control") or "").split())

    def _give(self, path: str, controllers: List[str]) -> None:
        self._put(path, "cgroup.controllers", " ".join(controllers))
        for controller in controllers:
            for name, text in FILES[controller].items():
                if not self.exists(f"{path}/{name}"):
                    self._put(path, name, text)

    def write_knob(self, path: str, text: str) -> None:
        self.writes.append((path[len(ROOT) + 1 :], text))
        directory, _slash, name = path.rpartition("/")
        if not self.exists(path):
            raise Failure(f"{path}: no such file", "io_error", errno="ENOENT")
        if name == "cgroup.subtree_control":
            asked = [word.lstrip("+") for word in text.split()]
            enabled = sorted({*(self.read(path) or "").split(), *asked})
            assert set(asked) <= set((self.read(f"{directory}/cgroup.controllers") or "").split()), f"{asked} are not to be had in {directory}"
            self._put(directory, name, " ".join(enabled))
            for child in self.list(directory):
                if self.is_dir(f"{directory}/{child}"):
                    self._give(f"{directory}/{child}", enabled)
            return
        if name == "cgroup.procs":
            self._move(text, path)
            return
        if name.startswith("memory.") and name != "memory.oom.group" and text.isdigit():
            text = str(int(text) // self.page * self.page)
        if name in ("io.max", "io.weight", "rdma.max"):
            text = self._with_line(path, text)
        if name == "cpu.idle":
            self._put(directory, "cpu.weight", "0" if text == "1" else "100")
        self._put(directory, name, text)

    def _with_line(self, path: str, line: str) -> str:
        """The file after a line was written: the device's keys that it names, and all others as they were."""
        table = {words[0]: words[1:] for words in (said.split() for said in (self.read(path) or "").splitlines() if said)}
        device, *said = line.split()
        if "=" in line:
            old = dict(word.split("=") for word in table.get(device, []))
            said = [f"{key}={value}" for key, value in {**old, **dict(word.split("=") for word in said)}.items()]
        table[device] = said
        return "\n".join(" ".join([name, *words]) for name, words in table.items() if words != ["default"])

    def _move(self, pid: str, to: str) -> None:
        for file in Path(self.path(ROOT)).rglob("cgroup.procs"):
            file.write_text("".join(f"{line}\n" for line in file.read_text().split() if line != pid))
        with open(self.path(to), "a") as stream:
            stream.write(f"{pid}\n")

    def remove_dir(self, path: str) -> None:
        assert not (self.read(f"{path}/cgroup.procs") or "").split(), f"{path} is populated"
        real = Path(self.path(path))
        assert not [child for child in real.iterdir() if child.is_dir()], f"{path} has children"
        for child in real.iterdir():
            child.unlink()
        real.rmdir()

    def knob(self, path: str) -> str:
        return self.text(f"{ROOT}/{path}").strip()
