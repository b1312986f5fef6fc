# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Slices, against the answers of systemd 252."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.cgroup import plan_slice as p
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.apply import apply
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.fields import FIELDS
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.model import Desired, Observed, Slice
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.names import slice_path, slice_unit
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.plan import facts, nothing, plan, view
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.read import read
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.read_slice import HEADER, parse_settings, show_command
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Result
from support.hosts import FakeHost, converged

V2 = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
UNIT = "virtops-web.slice"
FILE = f"/etc/systemd/system/{UNIT}"
MIB = 2**20

# systemctl show of a slice that nobody has made: systemd 252 on cgroup v2
NEW = """\
CPUWeight=[not set]
CPUQuotaPerSecUSec=infinity
CPUQuotaPeriodUSec=infinity
AllowedCPUs=
AllowedMemoryNodes=
MemoryMin=0
MemoryLow=0
MemoryHigh=infinity
MemoryMax=infinity
MemorySwapMax=infinity
TasksMax=infinity
ActiveState=inactive
UnitFileState=
FragmentPath=
DropInPaths=
NeedDaemonReload=no
ControlGroup=
"""
LIMITED = f"""\
Slice=virtops.slice
ControlGroup=/virtops.slice/{UNIT}
CPUWeight=59
CPUQuotaPerSecUSec=1.500000s
CPUQuotaPeriodUSec=50ms
AllowedCPUs=0-1 3
AllowedMemoryNodes=0
MemoryMin=0
MemoryLow=33554432
MemoryHigh=infinity
MemoryMax=67108864
MemorySwapMax=33554432
TasksMax=100
ActiveState=active
UnitFileState=enabled
FragmentPath={FILE}
DropInPaths=
NeedDaemonReload=no
"""
SETTINGS = {
    "CPUWeight": "59",
    "CPUQuotaPeriodSec": "50000us",
    "CPUQuota": "150%",
    "AllowedCPUs": "0-1,3",
    "AllowedMemoryNodes": "0",
    "MemoryMax": "67108864",
    "MemoryLow": "33554432",
    "MemorySwapMax": "33554432",
    "TasksMax": "100",
}
VALUES = {
    "cpu.shares": 512,
    "cpu.period": 50000,
    "cpu.quota": 75000,
    "cpu.cpus": "0-1,3",
    "cpu.mems": "0",
    "memory.limit": 64 * MIB,
    "memory.reservation": 32 * MIB,
    "memory.swap": 96 * MIB,
    "pids.limit": 100,
}
# The rest of the limits that systemd has: value, setting, text
OTHERS = {
    "cpu.weight": (300, "CPUWeight", "300"),
    "cpu.idle": (True, "CPUWeight", "idle"),
    "memory.min": (MIB, "MemoryMin", str(MIB)),
    "memory.low": (MIB, "MemoryLow", str(MIB)),
    "memory.high": (MIB, "MemoryHigh", str(MIB)),
    "memory.swap_max": (MIB, "MemorySwapMax", str(MIB)),
    "block_io.weight": (200, "IOWeight", "1920"),
    "block_io.io_weight": (200, "IOWeight", "200"),
    "block_io.weight_device": ((("8:0", 200),), "IODeviceWeight", "/dev/block/8:0 1920"),
    "block_io.io_weight_device": ((("8:0", 200),), "IODeviceWeight", "/dev/block/8:0 200"),
    "block_io.throttle_read_bps_device": ((("8:0", 5), ("8:16", 6)), "IOReadBandwidthMax", "/dev/block/8:0 5\n/dev/block/8:16 6"),
    "block_io.throttle_write_bps_device": ((("8:0", 5),), "IOWriteBandwidthMax", "/dev/block/8:0 5"),
    "block_io.throttle_read_iops_device": ((("8:0", 5),), "IOReadIOPSMax", "/dev/block/8:0 5"),
    "block_io.throttle_write_iops_device": ((), "IOWriteIOPSMax", ""),
    "devices": ((("b *:*", "m"), ("c 136:*", "rw"), ("c 1:3", "rwm")), "DeviceAllow", "/dev/char/1:3 rwm\nblock-* m\nchar-136 rw"),
}
TEXT = f"{HEADER}[Unit]\nDescription=Containers in {UNIT}\n\n[Install]\nWantedBy=slices.target\n\n[Slice]\n" + "".join(
    f"{key}={text}\n" for key, text in sorted(SETTINGS.items())
)


def host(tmp_path, shown=NEW, files=None):
    base = {"/proc/self/mountinfo": V2, "/run/systemd/system/.keep": ""}
    return FakeHost(tmp_path, {**base, **(files or {})}, [(show_command("systemctl", UNIT), Result(0, shown, ""))])


def observe(tmp_path, shown=NEW, files=None, desired=None):
    return read(host(tmp_path, shown, files), desired or Desired("virtops-web"))


@pytest.mark.parametrize(
    ("name", "path"),
    [("virtops-web", "/virtops.slice/virtops-web.slice"), ("virtops.slice", "/virtops.slice"), ("a-b-c", "/a.slice/a-b.slice/a-b-c.slice")],
)
def test_names_of_slices(name, path):
    assert slice_path(slice_unit(name)) == path


@pytest.mark.parametrize("name", ["virtops/web", "a--b", "-a", "a-", "-.slice", "a b", ""])
def test_what_is_no_name_of_a_slice(name):
    with pytest.raises(Failure, match="not the name of a slice"):
        slice_unit(name)


def test_every_field_that_systemd_has_is_tried():
    assert set(VALUES) | set(OTHERS) == {field.path for field in FIELDS if field.systemd}


@pytest.mark.parametrize("path", OTHERS)
def test_another_field(tmp_path, path):
    value, setting, text = OTHERS[path]
    desired = Desired("virtops-web", values={path: value})
    made = converged(plan, observe(tmp_path), desired)
    assert made.actions[0].settings[setting] == text
    apply(host(tmp_path), made.actions[0])
    assert parse_settings((tmp_path / FILE[1:]).read_text()) == made.actions[0].settings
    shown = view(made.after, desired)["resources"]
    assert shown and path.partition(".")[0] in shown


def test_limits_of_devices_that_systemd_leaves_behind(tmp_path):
    """systemd 252 does not take back the limit of a device that a unit has no line for any more."""
    directory = f"/sys/fs/cgroup/virtops.slice/{UNIT}"
    files = {FILE: TEXT, f"{directory}/io.max": "8:0 rbps=max wbps=5 riops=max wiops=max\n8:16 rbps=6 wbps=max riops=max wiops=max\n"}
    kept = TEXT + "IOReadBandwidthMax=/dev/block/8:16 6\n"
    shown = LIMITED + "IOReadBandwidthMax=/dev/block/8:16 6\n"
    observed = observe(tmp_path, shown, {**files, FILE: kept})
    assert converged(plan, observed, Desired("virtops-web")).actions == (p.ClearStale(directory, "io.max", "8:0 wbps=max"),)


def test_a_quota_that_systemd_would_lengthen(tmp_path):
    text = TEXT.replace("CPUQuota=150%", "CPUQuota=10%")
    observed = observe(tmp_path, LIMITED.replace("1.500000s", "100ms"), {FILE: text})
    with pytest.raises(Failure, match="less than the 1000"):
        plan(observed, Desired("virtops-web", values={"cpu.period": 5000}))


def test_a_slice_that_nobody_has_made(tmp_path):
    desired = Desired("virtops-web", values=VALUES)
    observed = observe(tmp_path, desired=desired)
    assert (observed.manager, observed.hierarchy) == ("systemd", "v2")
    plan_made = converged(plan, observed, desired)
    assert plan_made.actions == (p.WriteUnit(UNIT, FILE, SETTINGS), p.ReloadManager("systemd"), p.EnableSlice(UNIT), p.StartSlice(UNIT))
    assert "resources" not in view(observed, Desired("virtops-web", values={"cpu.shares": 512}))


def test_the_prediction_is_what_systemd_then_shows(tmp_path):
    desired = Desired("virtops-web", values=VALUES)
    predicted = plan(observe(tmp_path / "before", desired=desired), desired).after
    real = observe(tmp_path / "after", LIMITED, {FILE: TEXT}, desired)
    assert plan(real, desired).actions == ()
    assert view(predicted, desired) == view(real, desired)
    shown = facts(real)
    assert shown["persistent"] is True and shown["paths"] == ["/virtops.slice/virtops-web.slice"]
    assert shown["resources"]["cpu"] == {"idle": False, "weight": 59, "period": 50000, "quota": 75000, "cpus": "0-1,3", "mems": "0"}
    assert shown["resources"]["memory"] == {"limit": 64 * MIB, "reservation": 32 * MIB, "swap": 96 * MIB, "min": 0, "high": -1}
    assert shown["resources"]["pids"] == {"limit": 100}


LISTS = dict.fromkeys(("block_io.io_weight_device", *(f"block_io.throttle_{kind}_device" for kind in ("read_bps", "write_bps", "read_iops"))), ())
LISTED = {"IODeviceWeight": "2930", "IOReadBandwidthMax": "1048576", "IOWriteBandwidthMax": "1048576", "IOReadIOPSMax": "500"}


def test_lists_that_are_emptied_are_shown_empty(tmp_path):
    """systemctl show leaves out a setting that could be there several times and is there not once: read again, it is empty as predicted."""
    desired = Desired("virtops-web", values={**LISTS, "block_io.io_weight": 100})
    lines = "".join(f"{key}=/dev/block/7:0 {text}\n" for key, text in LISTED.items())
    observed = observe(tmp_path / "before", f"{LIMITED}DevicePolicy=auto\nIOWeight=300\n{lines}", {FILE: f"{TEXT}IOWeight=300\n{lines}"}, desired)
    predicted = converged(plan, observed, desired).after
    emptied = "".join(f"{key}=\n" for key in LISTED)
    after = observe(tmp_path / "after", f"{LIMITED}DevicePolicy=auto\nIOWeight=100\n", {FILE: f"{TEXT}IOWeight=100\n{emptied}"}, desired)
    assert plan(after, desired).actions == ()
    assert view(after, desired) == view(predicted, desired)
    assert view(after, desired)["resources"] == {"block_io": {"io_weight": 100, **{path.partition(".")[2]: [] for path in LISTS}}}


ALL = {"DeviceAllow": "block-* rwm\nchar-* rwm", "DevicePolicy": "strict"}
STRICT = "DeviceAllow=/dev/char/1:3 rwm\nDeviceAllow=char-136 rw\nDevicePolicy=strict\n"


def test_all_devices_are_allowed_by_name(tmp_path):
    """With DevicePolicy=auto systemd leaves the program that denied devices where it is."""
    desired = Desired("virtops-web", values={"devices": (("all", ""),)})
    observed = observe(tmp_path / "strict", LIMITED + STRICT, {FILE: TEXT + STRICT}, desired)
    assert view(observed, desired)["resources"]["devices"][0] == {"allow": False}
    made = converged(plan, observed, desired)
    assert made.actions == (p.WriteUnit(UNIT, FILE, {**SETTINGS, **ALL}), p.ReloadManager("systemd"))
    block, char, policy = "DeviceAllow=block-* rwm\n", "DeviceAllow=char-* rwm\n", "DevicePolicy=strict\n"
    shown = LIMITED + char + block + policy  # in an order of systemd's own
    real = observe(tmp_path / "all", shown, {FILE: TEXT + block + char + policy}, desired)
    assert converged(plan, real, desired).actions == ()
    assert view(real, desired)["resources"] == view(made.after, desired)["resources"] == {"devices": [{"allow": True}]}


def test_before_a_drop_in_that_denied_devices_goes_it_allows_them(tmp_path):
    drop_in = f"{FILE}.d/50-virtops.conf"
    observed = observe(tmp_path, LIMITED + STRICT, {FILE: "[Slice]\n", drop_in: f"{HEADER}[Slice]\n{STRICT}"})
    made = converged(plan, observed, Desired("virtops-web", present=False))
    reload = p.ReloadManager("systemd")
    assert made.actions == (p.WriteUnit(UNIT, drop_in, ALL), reload, p.RemoveUnit(UNIT, drop_in), reload)


def test_only_what_is_said_changes(tmp_path):
    observed = observe(tmp_path, LIMITED, {FILE: TEXT})
    assert converged(plan, observed, Desired("virtops-web")).actions == ()
    actions = converged(plan, observed, Desired("virtops-web", values={"pids.limit": -1})).actions
    assert actions == (p.WriteUnit(UNIT, FILE, {**SETTINGS, "TasksMax": "infinity"}), p.ReloadManager("systemd"))
    weight = converged(plan, observed, Desired("virtops-web", values={"cpu.weight": 300})).actions
    assert weight[0] == p.WriteUnit(UNIT, FILE, {**SETTINGS, "CPUWeight": "300"})


def test_a_quota_is_kept_in_whole_percents(tmp_path):
    observed = observe(tmp_path, LIMITED, {FILE: TEXT})
    actions = converged(plan, observed, Desired("virtops-web", values={"cpu.quota": 74900})).actions
    assert actions == ()  # 149.8 percent: systemd keeps 150
    removed = converged(plan, observed, Desired("virtops-web", values={"cpu.quota": -1})).actions
    assert removed[0] == p.WriteUnit(UNIT, FILE, {**SETTINGS, "CPUQuota": ""})


def test_idle_is_a_weight_of_systemds(tmp_path):
    idle = Desired("virtops-web", values={"cpu.idle": True})
    made = converged(plan, observe(tmp_path / "1"), idle)
    assert made.actions[0] == p.WriteUnit(UNIT, FILE, {"CPUWeight": "idle"}) and view(made.after, idle)["resources"] == {"cpu": {"idle": True}}
    text = TEXT.replace("CPUWeight=59", "CPUWeight=idle")
    observed = observe(tmp_path / "2", LIMITED.replace("CPUWeight=59", "CPUWeight=idle"), {FILE: text})
    assert converged(plan, observed, idle).actions == ()
    with pytest.raises(Failure, match="idle cgroup has no shares"):
        plan(observed, Desired("virtops-web", values={"cpu.shares": 512}))
    busy = converged(plan, observed, Desired("virtops-web", values={"cpu.idle": False}))
    assert busy.actions[0] == p.WriteUnit(UNIT, FILE, {**SETTINGS, "CPUWeight": ""})
    again = Desired("virtops-web", values={"cpu.idle": False, "cpu.shares": 512})
    assert converged(plan, observed, again).actions[0] == p.WriteUnit(UNIT, FILE, SETTINGS)


def test_unified_settings(tmp_path):
    desired = Desired("virtops-web", unified={"memory.high": str(32 * MIB), "pids.max": "max"})
    plan_made = converged(plan, observe(tmp_path, desired=desired), desired)
    assert plan_made.actions[0] == p.WriteUnit(UNIT, FILE, {"MemoryHigh": str(32 * MIB), "TasksMax": "infinity"})
    assert view(plan_made.after, desired)["resources"] == {"unified": {"memory.high": str(32 * MIB), "pids.max": "max"}}


@pytest.mark.parametrize("path", ["cpu.burst", "memory.swappiness"])
def test_what_systemd_does_not_have(tmp_path, path):
    observed = observe(tmp_path)
    with pytest.raises(Failure, match="systemd has no setting for it") as caught:
        plan(observed, Desired("virtops-web", values={path: 1}))
    assert caught.value.code == "unsupported_resource"
    assert converged(plan, observed, Desired("virtops-web", values={path: 1}, warn_unsupported=True)).warnings


def test_what_systemd_does_not_have_on_cgroup_v1(tmp_path):
    observed = replace(observe(tmp_path), hierarchy="v1")
    with pytest.raises(Failure, match="on a host with cgroup v1"):
        plan(observed, Desired("virtops-web", values={"memory.reservation": 5}))
    implied = Desired("virtops-web", values={"memory.limit": -1, "memory.swap": -1}, implied=frozenset({"memory.swap"}))
    assert converged(plan, observed, implied).actions[0] == p.WriteUnit(UNIT, FILE, {"MemoryMax": "infinity"})


def test_beside_a_unit_that_others_wrote_there_is_a_drop_in(tmp_path):
    drop_in = f"{FILE}.d/50-virtops.conf"
    foreign = [
        observe(tmp_path / "1", LIMITED, {FILE: "[Slice]\nCPUWeight=5\n"}),
        observe(tmp_path / "2", LIMITED.replace(FILE, "/usr/lib/systemd/system/" + UNIT)),
    ]
    for observed in foreign:
        made = converged(plan, observed, Desired("virtops-web", values={"pids.limit": 5}))
        assert made.actions == (p.WriteUnit(UNIT, drop_in, {"TasksMax": "5"}), p.ReloadManager("systemd"))
        assert converged(plan, made.after, Desired("virtops-web", present=False)).actions == (
            p.RemoveUnit(UNIT, drop_in),
            p.ReloadManager("systemd"),
        )
        for nothing_to_do in (Desired("virtops-web"), Desired("virtops-web", present=False)):
            assert converged(plan, observed, nothing_to_do).actions == ()


def test_what_overrides_the_unit_is_named(tmp_path):
    drop_in = f"/etc/systemd/system.control/{UNIT}.d/50-TasksMax.conf"
    shown = LIMITED.replace("TasksMax=100", "TasksMax=7").replace("DropInPaths=", f"DropInPaths={drop_in}")
    with pytest.raises(Failure, match="50-TasksMax") as caught:
        plan(observe(tmp_path, shown, {FILE: TEXT}), Desired("virtops-web"))
    assert caught.value.code == "unit_overridden"


@pytest.mark.parametrize(("old", "new"), [("NeedDaemonReload=no", "NeedDaemonReload=yes"), (f"FragmentPath={FILE}", "FragmentPath=")])
def test_a_unit_that_systemd_has_not_read_yet(tmp_path, old, new):
    observed = observe(tmp_path, LIMITED.replace(old, new), {FILE: TEXT})
    assert converged(plan, observed, Desired("virtops-web")).actions == (p.ReloadManager("systemd"),)


def test_absent(tmp_path):
    gone = Desired("virtops-web", present=False)
    observed = observe(tmp_path / "1", LIMITED, {FILE: TEXT})
    assert converged(plan, observed, gone).actions == (p.StopSlice(UNIT), p.DisableSlice(UNIT), p.RemoveUnit(UNIT, FILE), p.ReloadManager("systemd"))
    assert converged(plan, observe(tmp_path / "2"), gone).actions == ()
    busy = observe(tmp_path / "3", LIMITED, {FILE: TEXT, f"/sys/fs/cgroup/virtops.slice/{UNIT}/docker-1.scope/cgroup.procs": "77\n"})
    with pytest.raises(Failure, match="stopping a slice stops them too") as caught:
        plan(busy, replace(gone, force=True))
    assert caught.value.code == "cgroup_populated"


def test_the_manager_must_fit_the_host(tmp_path):
    with pytest.raises(Failure) as caught:
        observe(tmp_path / "1", desired=Desired("web", manager="cgroupfs"))
    assert caught.value.code == "systemd_owns_cgroups"
    with pytest.raises(Failure) as caught:
        read(FakeHost(tmp_path / "2", {"/proc/self/mountinfo": V2}), Desired("web", manager="systemd"))
    assert caught.value.code == "systemd_not_running"


def test_where_systemctl_is_missing_the_prediction_starts_from_nothing():
    desired = Desired("virtops-web", values={"pids.limit": 5})
    assert converged(plan, nothing(desired), desired).actions[0] == p.WriteUnit(UNIT, FILE, {"TasksMax": "5"})
    assert nothing(desired) == Observed("systemd", "v2", slice=Slice(UNIT))


def test_the_unit_file_and_the_commands(tmp_path):
    words = [["daemon-reload"], ["enable", "--quiet", "--", UNIT], ["start", "--", UNIT], ["stop", "--", UNIT], ["disable", "--quiet", "--", UNIT]]
    scripted = FakeHost(tmp_path, script=[(["systemctl", *command], Result(0, "", "")) for command in words])
    apply(scripted, p.WriteUnit(UNIT, FILE, SETTINGS))
    assert scripted.text(FILE) == TEXT and parse_settings(TEXT) == SETTINGS
    for action in (
        p.ReloadManager("systemd"),
        *(kind(UNIT) for kind in (p.EnableSlice, p.StartSlice, p.StopSlice, p.DisableSlice)),
        p.RemoveUnit(UNIT, FILE),
    ):
        apply(scripted, action)
    assert scripted.exhausted() and not scripted.exists(FILE)
