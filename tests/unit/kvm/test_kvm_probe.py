# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.kvm.child import Heard, in_child, words
from ansible_collections.virtops.linux.plugins.module_utils.kvm.guest import SLOWEST_ACCELERATED, GuestFault, _timed, loop, prove
from ansible_collections.virtops.linux.plugins.module_utils.kvm.model import Proof
from ansible_collections.virtops.linux.plugins.module_utils.kvm.probe import Report, accelerated, judge, probe, report
from support.hosts import FakeHost


def children():
    """The processes that this one started and has not reaped."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


@pytest.fixture(autouse=True)
def nothing_left_behind():
    before, files = children(), sorted(os.listdir("/proc/self/fd"))
    yield
    assert children() == before
    assert sorted(os.listdir("/proc/self/fd")) == files


def running_at(nanoseconds):
    def guest(device, announce):
        announce("run")
        return nanoseconds

    return guest


@pytest.mark.parametrize(
    ("measured", "verdict", "nanoseconds"),
    [(0.4, True, 1), (1.02, True, 2), (28.0, True, 28), (200.0, True, 200), (200.1, False, 201), (930.0, False, 930)],
)
def test_the_time_of_an_iteration_tells_acceleration(measured, verdict, nanoseconds):
    proof = probe("/dev/kvm", running_at(measured))
    assert (proof.usable, proof.accelerated, proof.nanoseconds, proof.stage, proof.errno) == (True, verdict, nanoseconds, "done", None)
    assert f"{nanoseconds} ns" in proof.reason
    assert ("without hardware acceleration" in proof.reason) is not verdict


def test_an_architecture_without_a_loop_proves_no_acceleration():
    proof = probe("/dev/kvm", running_at(None))
    assert (proof.usable, proof.accelerated, proof.nanoseconds, proof.stage) == (True, None, None, "done")


def test_a_guest_that_hangs_is_killed_and_said_to_hang():
    def hanging(device, announce):
        announce("run")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(60)

    start = time.monotonic()
    proof = probe("/dev/kvm", hanging, seconds=0.3)
    assert time.monotonic() - start < 1.5
    assert (proof.usable, proof.accelerated, proof.stage) == (None, None, "run")
    assert "no answer in stage run within 0.3 seconds" in proof.reason


def test_the_time_is_two_seconds_where_nothing_is_said():
    start = time.monotonic()
    assert probe("/dev/kvm", lambda device, announce: time.sleep(60)).usable is None
    assert 1.9 < time.monotonic() - start < 3


def test_a_guest_that_says_nothing_hangs_and_a_slow_one_does_not():
    def slow(device, announce):
        for _step in range(6):
            announce("run")
            time.sleep(0.2)
        return 1.0

    def silent(device, announce):
        announce("memory")
        time.sleep(60)

    assert probe("/dev/kvm", slow, seconds=60, silence=1.0).accelerated is True
    start = time.monotonic()
    assert "no answer in stage memory within 0.3 seconds" in probe("/dev/kvm", silent, seconds=60, silence=0.3).reason
    assert time.monotonic() - start < 30


def test_a_child_that_is_killed_is_said_to_have_died():
    def dying(device, announce):
        announce("create_vcpu")
        os.kill(os.getpid(), signal.SIGKILL)

    proof = probe("/dev/kvm", dying)
    assert (proof.usable, proof.accelerated, proof.stage) == (None, None, "create_vcpu")
    assert "died in stage create_vcpu" in proof.reason


def test_the_child_ends_by_itself_where_the_parent_is_gone(tmp_path):
    """The parent is killed in the middle of the proof: the guest must not run on."""
    note = tmp_path / "child"
    script = f"""
import os, sys, time
sys.path[:0] = {sys.path!r}
from ansible_collections.virtops.linux.plugins.module_utils.kvm.probe import probe
def hanging(device, announce):
    open({str(note)!r} + ".new", "w").write(str(os.getpid()))
    os.rename({str(note)!r} + ".new", {str(note)!r})
    time.sleep(60)
probe("/dev/kvm", hanging, seconds=1.0)
"""
    parent = subprocess.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 20
    while not note.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child = int(note.read_text())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while alive(child):
        assert time.monotonic() < deadline, "the guest's process outlives everything"
        time.sleep(0.05)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_child_holds_no_standard_output(capfd):
    """A stuck guest with the connection's standard output in its hands would hang the task."""

    def talkative(device, announce):
        os.write(1, b"on standard output")
        os.write(2, b"on standard error")
        return 1.0

    assert probe("/dev/kvm", talkative).accelerated is True
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("stage", "error", "words"),
    [
        ("open", errno.EACCES, "may not open /dev/kvm"),
        ("open", errno.ENODEV, "no KVM behind it"),
        ("create_vm", errno.EBUSY, "another hypervisor"),
        ("create_vm", errno.ENOMEM, "refused in stage create_vm"),
        ("create_vcpu", errno.EINVAL, "refused in stage create_vcpu"),
    ],
)
def test_a_refusal_names_the_stage_and_the_error(stage, error, words):
    def refused(device, announce):
        announce(stage)
        raise OSError(error, os.strerror(error))

    proof = probe("/dev/kvm", refused)
    assert (proof.usable, proof.accelerated, proof.stage, proof.errno) == (False, None, stage, errno.errorcode[error])
    assert words in proof.reason and errno.errorcode[error] in proof.reason


def test_a_fault_of_the_guest_is_a_reason():
    def faulty(device, announce):
        announce("run")
        raise GuestFault("the guest stopped with exit reason 8")

    proof = probe("/dev/kvm", faulty)
    assert (proof.usable, proof.accelerated, proof.errno) == (False, None, None)
    assert proof.reason == "/dev/kvm: the guest stopped with exit reason 8, in stage run"


def test_the_real_guest_and_devices_that_are_none(tmp_path):
    absent = probe(str(tmp_path / "kvm"))
    assert (absent.usable, absent.stage, absent.errno) == (False, "open", "ENOENT")
    (tmp_path / "file").write_text("")
    wrong = probe(str(tmp_path / "file"))
    assert (wrong.usable, wrong.stage, wrong.errno) == (False, "api_version", "ENOTTY")
    with socket.socket(socket.AF_UNIX) as driverless:
        driverless.bind(str(tmp_path / "socket"))
        without_driver = probe(str(tmp_path / "socket"))
    assert (without_driver.stage, without_driver.errno) == ("open", "ENXIO")
    assert "no KVM behind it" in without_driver.reason


def test_the_real_guest_as_a_user_who_may_not(tmp_path):
    device = tmp_path / "kvm"
    device.touch(mode=0)

    def as_nobody(path, announce):
        if os.geteuid() == 0:
            os.setuid(65534)
        return prove(path, announce)

    proof = probe(str(device), as_nobody)
    assert (proof.usable, proof.accelerated, proof.stage, proof.errno) == (False, None, "open", "EACCES")


def test_accelerated_is_true_only_where_it_was_proven(tmp_path):
    assert accelerated(FakeHost(tmp_path)) is False
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "kvm").write_text("")
    assert accelerated(FakeHost(tmp_path)) is False


def test_a_report_cut_short_is_no_proof():
    assert judge("/dev/kvm", Report("died", "run")) == Proof(None, None, None, "run", None, "/dev/kvm: the process of the guest died in stage run")
    assert judge("/dev/kvm", Report("refused", "fork", error=errno.EAGAIN)).stage == "fork"


def test_a_line_cut_short_by_the_kill_is_left_out():
    assert words(b'{"stage": "run"}\n{"outcome": "ra') == {"stage": "run"}
    assert report(Heard({"stage": "run"}, hung=0.7)) == Report("hung", "run", seconds=0.7)
    assert report(Heard({"stage": "run", "outcome": "ran", "nanoseconds": 0.5}, hung=2.0)) == Report("ran", "run", 0.5, seconds=2.0)
    assert report(Heard(error=errno.EAGAIN)) == Report("refused", error=errno.EAGAIN)


def test_what_a_child_said_before_it_hung_is_kept():
    def half(say):
        say(first=1)
        time.sleep(60)
        say(second=2)

    assert in_child(half, 0.2) == Heard({"first": 1}, hung=0.2)


def test_the_guest_says_what_kvm_can():
    def able(device, announce):
        announce("create_vm", capabilities={"max_vcpus": 4})
        return 1.0

    assert probe("/dev/kvm", able).capabilities == {"max_vcpus": 4}
    assert "capabilities" not in probe("/dev/kvm", able).as_dict()


def test_where_no_process_can_be_started_the_proof_says_so():
    """No file descriptors left: an own process, as the limit is for a whole one."""
    script = f"""
import resource, sys
sys.path[:0] = {sys.path!r}
from ansible_collections.virtops.linux.plugins.module_utils.kvm.probe import probe
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
proof = probe("/dev/kvm")
assert (proof.usable, proof.stage, proof.errno) == (False, "fork", "EMFILE"), proof
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_loop_is_two_instructions():
    assert loop(0x01020304) == bytes.fromhex("b9 04030201 ffc9 75fc f4")


@pytest.mark.parametrize("nanoseconds", [0.3, 1, 30, 1000, 50_000])
def test_the_rounds_are_long_enough_to_measure_and_short_enough_to_wait_for(nanoseconds):
    rounds = []

    def run(iterations):
        took = int(20_000 + iterations * nanoseconds)  # 20 µs to enter the guest and to leave it
        rounds.append((iterations, took))
        return took

    assert _timed(run) == pytest.approx(nanoseconds, rel=0.5)
    assert sum(took for _iterations, took in rounds) < 500_000_000
    assert all(iterations < 2**32 for iterations, _took in rounds)


@pytest.mark.parametrize("way", [20_000, 300_000])  # nanoseconds into the guest and out of it: on hardware, and under emulation
@pytest.mark.parametrize("held_up", [(0,), (1,), (0, 2), (0, 3, 6, 9)])
def test_a_round_held_up_by_other_work_does_not_count(held_up, way):
    rounds = []

    def run(iterations):
        rounds.append(iterations)
        return way + iterations * 17 + (80_000_000 if len(rounds) - 1 in held_up else 0)

    assert _timed(run) == pytest.approx(17, rel=0.2)


def test_a_host_that_others_keep_busy_does_not_make_a_fast_guest_slow():
    """6 ms from start to end even of the shortest round, as on an emulated host among four others."""
    assert _timed(lambda iterations: 6_000_000 + iterations * 25) <= SLOWEST_ACCELERATED
