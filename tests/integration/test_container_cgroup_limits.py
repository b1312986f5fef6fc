# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Limits that bite: what runs in the cgroup is killed, throttled, kept from forking and slowed down. Runs on cgroup v1, and in slices on v2."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Iterator

import pytest
from support.cgroups import NAME, loop_device, remove_all, started, systemd_runs
from support.modules import apply, run_module, settled

pytestmark = pytest.mark.usefixtures("clean")
MIB = 2**20
ATTEMPTS = 3  # of a rate, on a machine that may be busy with something else


@pytest.fixture
def clean() -> Iterator[None]:
    _clear()
    yield
    _clear()


def _clear() -> None:
    if systemd_runs():
        apply("container_cgroup", {"name": NAME, "state": "absent"})
    else:
        remove_all()


def limited(**resources) -> None:
    apply("container_cgroup", {"name": NAME, "resources": resources})


def details():
    result = run_module("container_cgroup_info", {"names": [NAME]})
    assert not result["failed"] and not result["changed"], result
    settled("container_cgroup", result["cgroups"][0])
    return result["details"][0]


EATER = f"""
print('in', flush=True)
data = bytearray({256 * MIB})
for place in range(0, len(data), 4096):
    data[place] = 1
print('survived', flush=True)
"""


def test_who_takes_too_much_memory_is_killed():
    limited(memory={"limit": 64 * MIB, "swap": 64 * MIB})
    with started(EATER, "memory") as eater:
        said, _nothing = eater.communicate(timeout=120)
        assert said == "in\n" and eater.returncode == -signal.SIGKILL
    assert details()["events"]["oom_kill"] >= 1


SPINNER = """
import time
print('in', flush=True)
start, used = time.monotonic(), time.process_time()
while time.monotonic() < start + 3:
    pass
print(time.process_time() - used, time.monotonic() - start, time.process_time(), flush=True)
"""


def test_who_takes_too_much_time_is_throttled():
    """On a busy machine it may get less than its quota, but in a period in which it was throttled it had all of it."""
    quota, period = 0.2, 0.1
    limited(cpu={"quota": int(quota * period * 10**6), "period": int(period * 10**6)})
    with started(SPINNER, "cpu") as spinner:
        said, _nothing = spinner.communicate(timeout=120)
    used, elapsed, in_all = (float(word) for word in said.split()[1:])  # in all: Python's own start is throttled as well
    events = details()["events"]
    assert events["throttled"] > 1 and events["throttled_usec"] > 0
    assert used <= 1.1 * quota * (elapsed + period), (used, elapsed)
    assert in_all >= 0.9 * quota * period * (events["throttled"] - 1), (in_all, events)


# It stops by itself after 200 children, whatever the limit does.
BOMB = """
import os, time
made = 0
for _attempt in range(200):
    try:
        child = os.fork()
    except BlockingIOError:
        break
    if not child:
        time.sleep(20)
        os._exit(0)
    made += 1
print(made, flush=True)
os.kill(0, 9)
"""


def test_a_fork_bomb_stops():
    limited(pids={"limit": 20})
    with started(f"import os; os.setpgid(0, 0)\n{BOMB}", "pids") as bomb:
        said, _nothing = bomb.communicate(timeout=120)
        assert int(said) == 19  # and itself
    refused = details()["events"]["pids_max"]
    if systemd_runs() and "pids_localevents" not in Path("/sys/kernel/cgroup/features").read_text().split():
        assert refused == 0  # before Linux 6.11 it is counted where the fork was tried: in the scope, which is gone
    else:
        assert refused >= 1


WRITER = """
import mmap, os, time
print('in', flush=True)
block = mmap.mmap(-1, 65536)
disk = os.open({device!r}, os.O_WRONLY | os.O_DIRECT)
os.write(disk, block)
start = time.monotonic()
for _block in range(32):
    os.write(disk, block)
print(32 * 65536 / (time.monotonic() - start), flush=True)
"""


def test_a_writer_is_throttled(tmp_path):
    rate = MIB
    with loop_device(tmp_path) as device:
        limited(block_io={"throttle_write_bps_device": [{"path": device, "rate": rate}]})
        rates = []
        while len(rates) < ATTEMPTS and not (rates and abs(rates[-1] - rate) <= rate / 5):
            with started(WRITER.format(device=device), "blkio", "io") as writer:
                said, _nothing = writer.communicate(timeout=120)
            rates.append(float(said.split()[1]))
        assert abs(rates[-1] - rate) <= rate / 5, rates
        assert max(rates) <= rate * 1.2, rates
        limited(block_io={"throttle_write_bps_device": []})


def test_who_is_in_it():
    limited(pids={"limit": 20}, memory={"limit": 64 * MIB})
    with started("import time; print('in', flush=True); time.sleep(60)", "pids", "memory") as sleeper:
        assert sleeper.stdout and sleeper.stdout.readline()
        found = details()
        assert found["processes"] == [sleeper.pid] and found["usage"]["pids"] == 1 and found["usage"]["memory"] > 0
        assert found["effective"]["pids"]["limit"] == 20
    everything = run_module("container_cgroup_info", {})
    assert NAME in [item["name"].replace(".slice", "") for item in everything["details"]]
    gone = run_module("container_cgroup_info", {"names": ["vt-none"]})
    assert gone["cgroups"] == [{"name": "vt-none", "state": "absent"}] and not gone["details"][0]["exists"]
