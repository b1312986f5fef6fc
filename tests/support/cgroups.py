# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cgroups of the machine that the tests run on: where its hierarchies are, a device to limit, and every limit with values to try."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.model import SPEC
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.read import Mount, parse_mountinfo
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.resource import RESOURCE
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Host
from ansible_collections.virtops.linux.plugins.module_utils.engine.run import converge

NAME, ALONE = "vt-web", "vt-alone"
MIB = 2**20
LOOP = "LOOP"  # stands for the path of the loop device in the table below
NOWHERE = "9223372036854771712"  # cgroup v1's "no limit", in pages of 4 KiB


def mounts() -> List[Mount]:
    return parse_mountinfo(Path("/proc/self/mountinfo").read_text())


def v2_root() -> str:
    return next((mount.path for mount in mounts() if mount.version == 2), "")


def systemd_runs() -> bool:
    return HOST.is_dir("/run/systemd/system")


class Bare(Host):
    """This machine as it is without systemd, whose hierarchy it lends us. systemd does not look at cgroups that it has not made."""

    def is_dir(self, path: str) -> bool:
        return path != "/run/systemd/system" and super().is_dir(path)


HOST = Host()


@contextmanager
def without_systemd() -> Iterator[None]:
    """The functions here take the machine as one that systemd does not run."""
    global HOST
    outside, HOST = HOST, Bare()
    try:
        yield
    finally:
        HOST = outside


def converge_here(params: Dict[str, Any], check: bool = False) -> Dict[str, Any]:
    """A run of the module without a process of its own. Raises Failure."""
    validated = ArgumentSpecValidator(SPEC["argument_spec"]).validate(params)
    assert not validated.error_messages, validated.error_messages
    return converge(RESOURCE, HOST, validated.validated_parameters, check)


def cycle_here(params: Dict[str, Any]) -> Dict[str, Any]:
    """support.modules.cycle in this process: check → check → apply → check → apply. Returns the result of the first apply."""
    first, second, applied = (converge_here(params, check) for check in (True, True, False))
    for key in ("changed", "actions", "diff", "pending"):
        assert first[key] == second[key] == applied[key], f"{key}: {first[key]}, then {second[key]}, then {applied[key]}"
    assert applied["changed"] and applied["diff"]["before"] != applied["diff"]["after"], applied
    settled_here(params)
    return applied


def settled_here(params: Dict[str, Any]) -> None:
    for check in (True, False):
        result = converge_here(params, check)
        assert not result["changed"], f"changes again: {result['actions']}"


def asked_for(params: Dict[str, Any]) -> Dict[str, Any]:
    """What the host says of the limits that are named, and of no others."""
    desired = RESOURCE.from_params(ArgumentSpecValidator(SPEC["argument_spec"]).validate(params).validated_parameters)
    return RESOURCE.view(RESOURCE.read(HOST, desired), desired)["resources"]


def directory(controller: str, name: str = NAME) -> Path:
    """Where the cgroup is, as a slice where systemd runs the host."""
    v1 = next((mount.path for mount in mounts() if controller in mount.controllers), None)
    inner = "".join(f"/{'-'.join(name.split('-')[: depth + 1])}.slice" for depth in range(name.count("-") + 1)) if systemd_runs() else f"/{name}"
    return Path(f"{v1 or v2_root()}{inner}")


def knob(file: str, name: str = NAME) -> str:
    return (directory(file.partition(".")[0], name) / file).read_text().strip()


def directories(*names: str) -> List[Path]:
    """The cgroups of the tests in all hierarchies, the deepest first."""
    tops = [Path(mount.path) / name for mount in mounts() for name in names or (NAME, "vt-v2")]
    found = [path for top in tops for path in (top, *top.rglob("*")) if path.is_dir()]
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


def remove_all(*names: str) -> None:
    """Their last processes may still be going."""
    for path in directories(*names):
        for _attempt in range(100):
            try:
                path.rmdir()
                break
            except OSError:
                time.sleep(0.05)
        assert not path.exists(), f"{path} is still in use: {(path / 'cgroup.procs').read_text()}"


def device_number(device: str) -> str:
    found = os.stat(device).st_rdev
    return f"{os.major(found)}:{os.minor(found)}"


@contextmanager
def loop_device(folder: Path) -> Iterator[str]:
    """A block device whose queue shares by weights, as far as this kernel has such queues."""
    image = folder / "disk.img"
    with image.open("wb") as stream:
        stream.truncate(64 * MIB)
    device = subprocess.run(["losetup", "--find", "--show", str(image)], check=True, capture_output=True, text=True).stdout.strip()
    scheduler = Path(f"/sys/block/{Path(device).name}/queue/scheduler")
    weights = Path(v2_root()) / "io.cost.qos"
    number = device_number(device)
    before = scheduler.read_text().split("[")[1].split("]")[0]
    if weights.exists():
        weights.write_text(f"{number} enable=1")
    elif "bfq" in scheduler.read_text():
        scheduler.write_text("bfq")
    try:
        yield device
    finally:
        scheduler.write_text(before)
        if weights.exists():
            weights.write_text(f"{number} enable=0")
        subprocess.run(["losetup", "--detach", device], check=True)


@contextmanager
def started(program: str, *controllers: str, name: str = NAME) -> Iterator[subprocess.Popen[str]]:
    """A Python program in the cgroup, ended with the block. It can speak by print(..., flush=True)."""
    places = () if systemd_runs() else tuple(directory(controller, name) for controller in controllers)
    files = dict.fromkeys(f"{place}/cgroup.procs" for place in places if place.is_dir())
    enter = "".join(f"open({file!r}, 'w').write('0')\n" for file in files)
    into = ["systemd-run", "--quiet", "--scope", f"--slice={name}.slice"] if systemd_runs() else []
    running = subprocess.Popen([*into, sys.executable, "-c", enter + program], stdout=subprocess.PIPE, text=True)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


Shown = Optional[Tuple[str, str, str]]


@dataclass(frozen=True)
class Try:
    """A limit's value and another one, with the file and what it says for both: of cgroup v1, of v2, and of v2 in a slice.

    other is None where a machine may have only one value. base: further resources that it needs.
    """

    value: Any
    other: Any
    v1: Shown = None
    v2: Shown = None
    slice: Shown = None
    base: Optional[Dict[str, Any]] = None

    def shown(self, kind: str) -> Shown:
        return (self.slice or self.v2) if kind == "slice" else getattr(self, kind)


def _rate(way: str, unit: str, key: str) -> Dict[str, Try]:
    file, rate = f"blkio.throttle.{way}_{unit}_device", "1M" if unit == "bps" else "500"
    plain = str(MIB) if unit == "bps" else rate
    value = [{"path": LOOP, "rate": rate}]
    return {
        f"block_io.throttle_{way}_{unit}_device": Try(value, [], (file, f"{LOOP} {plain}", ""), ("io.max", f"{key}={plain}", "")),
    }


RULES = [{"allow": False}, {"allow": True, "type": "c", "major": 1, "minor": 3}, {"allow": True, "type": "c", "major": 136, "access": "rw"}]

#: Every limit of the table. A text of several words is looked for in the file; LOOP in it is the device's number.
TRIES: Dict[str, Try] = {
    "cpu.shares": Try(512, 2000, ("cpu.shares", "512", "2000"), ("cpu.weight", "59", "170")),
    "cpu.weight": Try(300, 50, None, ("cpu.weight", "300", "50")),
    "cpu.quota": Try(50000, -1, ("cpu.cfs_quota_us", "50000", "-1"), ("cpu.max", "50000 100000", "max 100000")),
    "cpu.period": Try(50000, 200000, ("cpu.cfs_period_us", "50000", "200000"), ("cpu.max", "max 50000", "max 200000")),
    "cpu.burst": Try(1000, 0, ("cpu.cfs_burst_us", "1000", "0"), ("cpu.max.burst", "1000", "0")),
    "cpu.idle": Try(True, False, ("cpu.idle", "1", "0"), ("cpu.idle", "1", "0")),
    "cpu.realtime_period": Try(500000, 1000000, ("cpu.rt_period_us", "500000", "1000000")),
    "cpu.realtime_runtime": Try(1000, 0, ("cpu.rt_runtime_us", "1000", "0")),
    "cpu.cpus": Try("0", "0,1", ("cpuset.cpus", "0", "0-1"), ("cpuset.cpus", "0", "0-1")),
    "cpu.mems": Try("0", None, ("cpuset.mems", "0", ""), ("cpuset.mems", "0", "")),
    "memory.limit": Try("64M", "max", ("memory.limit_in_bytes", str(64 * MIB), NOWHERE), ("memory.max", str(64 * MIB), "max")),
    "memory.reservation": Try("32M", 0, ("memory.soft_limit_in_bytes", str(32 * MIB), NOWHERE), ("memory.low", str(32 * MIB), "0")),
    "memory.swap": Try(
        "128M",
        -1,
        ("memory.memsw.limit_in_bytes", str(128 * MIB), NOWHERE),
        ("memory.swap.max", str(64 * MIB), "max"),
        base={"memory": {"limit": "64M"}},
    ),
    "memory.min": Try("16M", 0, None, ("memory.min", str(16 * MIB), "0")),
    "memory.low": Try("32M", 0, None, ("memory.low", str(32 * MIB), "0")),
    "memory.high": Try("48M", -1, None, ("memory.high", str(48 * MIB), "max")),
    "memory.swap_max": Try("32M", "max", None, ("memory.swap.max", str(32 * MIB), "max")),
    "memory.kernel_tcp": Try("16M", -1, ("memory.kmem.tcp.limit_in_bytes", str(16 * MIB), NOWHERE)),
    "memory.swappiness": Try(10, 60, ("memory.swappiness", "10", "60")),
    "memory.disable_oom_killer": Try(True, False, ("memory.oom_control", "oom_kill_disable 1", "oom_kill_disable 0")),
    "pids.limit": Try(100, "max", ("pids.max", "100", "max"), ("pids.max", "100", "max")),
    "block_io.weight": Try(200, 100, ("blkio.bfq.weight", "200", "100"), ("io.weight", "default 1920", "default 910")),
    "block_io.io_weight": Try(300, 100, None, ("io.weight", "default 300", "default 100")),
    "block_io.weight_device": Try(
        [{"path": LOOP, "weight": 300}], [], ("blkio.bfq.weight_device", f"{LOOP} 300", ""), ("io.weight", f"{LOOP} 2930", "default")
    ),
    "block_io.io_weight_device": Try([{"path": LOOP, "weight": 700}], [], None, ("io.weight", f"{LOOP} 700", "default")),
    **_rate("read", "bps", "rbps"),
    **_rate("write", "bps", "wbps"),
    **_rate("read", "iops", "riops"),
    **_rate("write", "iops", "wiops"),
    "hugepage_limits": Try(
        [{"page_size": "2M", "limit": "4M"}],
        [{"page_size": "2MB", "limit": -1}],
        ("hugetlb.2MB.limit_in_bytes", str(4 * MIB), ""),
        ("hugetlb.2MB.max", str(4 * MIB), "max"),
    ),
    "network.class_id": Try(0x100001, 0, ("net_cls.classid", str(0x100001), "0")),
    "network.priorities": Try([{"name": "lo", "priority": 5}], [], ("net_prio.ifpriomap", "lo 5", "lo 0")),
    "devices": Try(RULES, [{"allow": True}], ("devices.list", "c 1:3 rwm\nc 136:* rw", "a *:* rwm")),
}

#: What no kernel that the tests run on can have: kernel memory is not limited since Linux 5.16, and there is no RDMA device.
#: tests/unit/cgroup has them on a kernel made of files.
ELSEWHERE = {"memory.kernel", "rdma"}


def on_device(value: Any, device: str) -> Any:
    """The value with the device's path in it."""
    if isinstance(value, list):
        return [on_device(item, device) for item in value]
    if isinstance(value, dict):
        return {key: on_device(item, device) for key, item in value.items()}
    return device if value == LOOP else value


def says(file: str, text: str, device: str, name: str = NAME) -> bool:
    """Whether the file says the text, or has it in one of its lines."""
    number = device_number(device)
    now, wanted = knob(file, name), text.replace(LOOP, number)
    if file == "io.max":
        return wanted in " ".join(line for line in now.splitlines() if line.startswith(f"{number} ")) if wanted else number not in now
    if file.endswith("_device") and not wanted:
        return number not in now
    return now == wanted or any(line == wanted for line in now.splitlines()) or (" " not in wanted and wanted and now.split()[0] == wanted)


def _some(rng: random.Random, choices: Dict[str, Any]) -> Dict[str, Any]:
    """Any of the groups, drawn and merged. A group is limits that only go together: quota with burst, a limit with its swap."""
    found: Dict[str, Any] = {}
    for drawn in rng.sample(sorted(choices), rng.randint(1, len(choices))):
        found.update(choices[drawn])
    return found


def random_resources(rng: random.Random, kind: str, device: str) -> Dict[str, Any]:
    """Valid limits, any of those that a host of this kind has. kind: v1, v2 or slice."""
    period = rng.choice([10000, 50000, 100000, 250000, 1000000])
    quota = rng.choice([-1, rng.randint(1000, 4 * period)])
    if kind == "slice" and quota != -1:
        quota = period * rng.randint(max(1, 100000 // period), 400) // 100
    limit = rng.randint(16 * MIB, 512 * MIB)
    rates = [{"path": device, "rate": rng.randint(1024, 2**30)}] if rng.random() < 0.7 else []
    weights = [{"path": device, "weight": rng.randint(10, 1000)}] if rng.random() < 0.7 else []
    operations = [{"path": device, "rate": str(rng.randint(10, 10**6))}] if rng.random() < 0.7 else []
    cpu = {
        "shares": rng.choice([{"shares": rng.randint(2, 262144), "idle": False}, {"idle": True}]),
        "bandwidth": {"quota": quota, "period": period, **({"burst": rng.randint(0, max(quota, 0))} if kind != "slice" else {})},
        "cpus": {"cpus": rng.choice(["0", "1", "0-1"])},
        "mems": {"mems": "0"},
    }
    memory = {
        "limit": rng.choice([{"limit": limit, "swap": limit + rng.randint(0, limit)}, {"limit": -1}, {"limit": limit, "swap": -1}]),
        "reservation": {"reservation": rng.randint(0, 16 * MIB)},
    }
    block_io = {
        "weight": {"weight": rng.randint(10, 1000)},
        "weight_device": {"weight_device": weights},
        "rates": {f"throttle_{rng.choice(['read', 'write'])}_bps_device": rates},
        "operations": {f"throttle_{rng.choice(['read', 'write'])}_iops_device": operations},
    }
    groups: Dict[str, Any] = {}
    if kind == "v1":
        rt_period = rng.randint(100000, 1000000)
        cpu["realtime"] = {"realtime_period": rt_period, "realtime_runtime": rng.choice([0, rng.randint(1000, rt_period // 10)])}
        memory["swappiness"] = {"swappiness": rng.randint(0, 100)}
        memory["oom"] = {"disable_oom_killer": rng.random() < 0.5}
        memory["tcp"] = {"kernel_tcp": rng.choice([-1, rng.randint(MIB, 64 * MIB)])}
    else:
        cpu["shares"] = rng.choice([cpu["shares"], {"weight": rng.randint(1, 10000), "idle": False}])
        memory["min"], memory["high"] = {"min": rng.randint(0, 8 * MIB)}, {"high": rng.choice([-1, limit])}
        block_io["weight"] = rng.choice([block_io["weight"], {"io_weight": rng.randint(1, 10000)}])
    if kind != "v2":
        groups["devices"] = [{"allow": True}] if rng.random() < 0.4 else [{"allow": False}, *rng.sample(_ALLOWED, rng.randint(0, 3))]
    parts = {"cpu": _some(rng, cpu), "memory": _some(rng, memory), "pids": {"limit": rng.choice([-1, rng.randint(1, 5000)])}}
    groups.update({**parts, "block_io": _some(rng, block_io)})
    return {name: groups[name] for name in rng.sample(sorted(groups), rng.randint(1, len(groups)))}


_ALLOWED = [
    {"allow": True, "type": "c", "major": 1, "minor": 3},
    {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "r"},
    {"allow": True, "type": "c", "major": 136, "access": "rw"},
    {"allow": True, "type": "b", "access": "m"},
]


def pairs(kind: str, device: str, count: int, seed: int) -> None:
    """Random limits after random limits, and alone."""
    rng = random.Random(seed)  # noqa: S311
    for number in range(count):
        first, second = (random_resources(rng, kind, device) for _draw in range(2))
        try:
            _one(first, second)
        except BaseException:
            print(f"pair {number} of seed {seed}: {first} then {second}", file=sys.stderr)
            raise


def _one(first: Dict[str, Any], second: Dict[str, Any]) -> None:
    converge_here({"name": NAME, "resources": first})
    params = {"name": NAME, "resources": second}
    predicted, applied = converge_here(params, check=True), converge_here(params)
    for key in ("changed", "actions", "diff", "pending"):
        assert predicted[key] == applied[key], key
    settled_here(params)
    alone = {"name": ALONE, "resources": second}
    converge_here(alone)
    assert asked_for(params) == asked_for(alone)
    for name in (NAME, ALONE):
        converge_here({"name": name, "state": "absent"})
