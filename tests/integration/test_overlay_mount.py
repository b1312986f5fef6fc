# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Overlay mounts of this machine's kernel, on directories of the tests' own."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from support.modules import apply, check, cycle, option_cycle, refused, run_module, settled

BASE_DIR = Path("/srv/vt-overlay")
PATH = str(BASE_DIR / "merged")
FSTAB = Path("/etc/fstab")


def here(*names: str) -> Any:
    paths = [str(BASE_DIR / name) for name in names]
    return paths[0] if len(paths) == 1 else paths


READ_ONLY: Dict[str, Any] = {"path": PATH, "lowerdir": here("a", "b"), "persistent": "none"}
WRITABLE: Dict[str, Any] = {**READ_ONLY, "upperdir": here("upper"), "workdir": here("work")}


def mounts(path: str = PATH) -> List[Tuple[str, str]]:
    """(flags, options of the file system) of everything mounted there, in the kernel's own words."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        words = line.split()
        if words[4].replace("\\040", " ") == path:
            found.append((words[5], words[-1]))
    return found


def mount(options: str, path: str = PATH) -> None:
    subprocess.run(["mount", "-t", "overlay", "-o", options, "vt-overlay", path], check=True)


def inode(path: str) -> int:
    return os.stat(path).st_dev


def unmount_all() -> None:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    for line in reversed(lines):
        path = line.split()[4].replace("\\040", " ")
        if path.startswith(str(BASE_DIR)):
            subprocess.run(["umount", "--lazy", path], check=False)


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """The directories of the tests, no mount in them, and an fstab that is afterwards as it was before."""
    unmount_all()
    shutil.rmtree(BASE_DIR, ignore_errors=True)
    BASE_DIR.mkdir(parents=True)
    # As on a host with systemd: whoever gets a mount namespace meanwhile (a guest of libvirt's) follows what is unmounted here.
    subprocess.run(["mount", "--bind", str(BASE_DIR), str(BASE_DIR)], check=True)
    subprocess.run(["mount", "--make-shared", str(BASE_DIR)], check=True)
    for name in ("a", "b", "c", "upper", "work", "upper2", "work2", "merged"):
        (BASE_DIR / name).mkdir(parents=True)
    for name in ("a", "b", "c"):
        (BASE_DIR / name / "same").write_text(name)
        (BASE_DIR / name / f"only-{name}").touch()
    before = FSTAB.read_bytes() if FSTAB.exists() else None
    yield
    unmount_all()
    shutil.rmtree(BASE_DIR)
    if before is None:
        FSTAB.unlink(missing_ok=True)
    else:
        FSTAB.write_bytes(before)


@pytest.fixture
def started() -> Iterator[List[subprocess.Popen[bytes]]]:
    """Processes to start in a test; they are ended after it."""
    found: List[subprocess.Popen[bytes]] = []
    yield found
    for process in found:
        process.kill()
        process.wait(10)


def same() -> str:
    return (Path(PATH) / "same").read_text()


def test_a_read_only_overlay_comes_and_goes():
    result = cycle("overlay_mount", READ_ONLY)
    assert [action["action"] for action in result["actions"]] == ["mount_overlay"]
    assert same() == "a" and os.path.exists(f"{PATH}/only-b") and len(mounts()) == 1
    assert mounts()[0][1].startswith(f"ro,lowerdir={here('a')}:{here('b')}")
    cycle("overlay_mount", {"path": PATH, "state": "unmounted"})
    assert mounts() == []
    settled("overlay_mount", {"path": PATH, "state": "unmounted"})
    settled("overlay_mount", {"path": PATH, "state": "absent"})


def test_what_is_written_goes_to_the_upper_directory():
    result = cycle("overlay_mount", WRITABLE)
    (Path(PATH) / "same").write_text("mine")
    assert (BASE_DIR / "upper/same").read_text() == "mine" and (BASE_DIR / "a/same").read_text() == "a"
    assert result["resource"]["upperdir"] == here("upper")
    settled("overlay_mount", WRITABLE)
    cycle("overlay_mount", {"path": PATH, "state": "absent"})
    assert (BASE_DIR / "upper/same").read_text() == "mine", "nothing is lost"


@pytest.mark.parametrize(
    ("option", "value", "other"),
    [
        ("lowerdir", here("b", "a"), here("a", "c", "b")),
        ("options", {"metacopy": True, "redirect_dir": True, "index": False}, {"metacopy": False, "redirect_dir": "nofollow", "index": True}),
        ("options", {"nfs_export": True, "userxattr": False, "uuid": "null"}, {"nfs_export": False, "userxattr": True, "uuid": True}),
        (
            "options",
            {"verity": True, "default_permissions": True, "uuid": False},
            {"verity": "require", "default_permissions": False, "uuid": "null"},
        ),
        (
            "options",
            dict.fromkeys(("ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "nosymfollow"), True),
            {**dict.fromkeys(("ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "nosymfollow"), False), "strictatime": True},
        ),
    ],
)
def test_each_option_is_set_changed_and_set_back(option, value, other):
    apply("overlay_mount", WRITABLE)
    option_cycle("overlay_mount", WRITABLE, option, value, other)
    for name, wanted in value.items() if option == "options" else ():
        words = ",".join(mounts()[0]).split(",")
        if wanted is True:
            assert name in words or f"{name}=on" in words, (name, words)


def test_other_directories_to_write_to():
    apply("overlay_mount", WRITABLE)
    (Path(PATH) / "mine").touch()
    cycle("overlay_mount", {**WRITABLE, "upperdir": here("upper2"), "workdir": here("work2")})
    assert not os.path.exists(f"{PATH}/mine")
    cycle("overlay_mount", WRITABLE)
    assert os.path.exists(f"{PATH}/mine")


def test_options_that_the_kernel_accepts_and_does_not_show():
    for xino in (True, "auto"):
        params = {**WRITABLE, "options": {"index": False, "xino": xino, "uuid": "auto", "redirect_dir": False, "metacopy": False}}
        apply("overlay_mount", params)
        shown = mounts()[0][1]
        settled("overlay_mount", params)
        assert not [name for name in ("index", "xino", "redirect_dir", "metacopy") if f"{name}=" in shown], shown
        apply("overlay_mount", {"path": PATH, "state": "unmounted"})


def test_options_that_the_kernel_shows_unasked():
    apply("overlay_mount", READ_ONLY)
    assert "redirect_dir=on" in mounts()[0][1]
    settled("overlay_mount", {**READ_ONLY, "options": {}})
    apply("overlay_mount", {**WRITABLE, "upperdir": here("upper2"), "workdir": here("work2")})
    assert "redirect_dir" not in mounts()[0][1], "what the kernel shows of a read-only overlay is no wish of the user's"
    apply("overlay_mount", WRITABLE)
    assert "uuid=on" in mounts()[0][1]
    settled("overlay_mount", {**WRITABLE, "options": {}})
    assert run_module("overlay_mount", {**WRITABLE, "options": {"redirect_dir": False}})["changed"] is False


def test_flags_change_while_it_is_in_use(started):
    apply("overlay_mount", {**WRITABLE, "options": {"noatime": True}})
    started.append(subprocess.Popen(["sleep", "60"], cwd=PATH))
    result = cycle("overlay_mount", {**WRITABLE, "options": {"nodev": True, "ro": True}})
    assert result["actions"] == [{"action": "set_flags", "target": PATH, "flags": ["noatime", "nodev", "ro"]}]
    assert set(mounts()[0][0].split(",")) == {"ro", "nodev", "noatime"}
    cycle("overlay_mount", {**WRITABLE, "options": {"strictatime": True, "ro": False}})
    assert set(mounts()[0][0].split(",")) == {"rw", "nodev"}


def test_options_that_are_not_named_stay_and_an_empty_dictionary_clears():
    apply("overlay_mount", {**WRITABLE, "options": {"index": True, "nodev": True}})
    cycle("overlay_mount", {**WRITABLE, "lowerdir": here("a", "c")})
    assert "index=on" in mounts()[0][1] and "nodev" in mounts()[0][0]
    sentence = refused("overlay_mount", {**WRITABLE, "lowerdir": here("c")}, "mount_refused")
    assert "once mounted with index" in sentence and "the previous mount is back" in sentence
    cycle("overlay_mount", {**WRITABLE, "lowerdir": here("a", "c"), "options": {}})
    assert "index=on" not in mounts()[0][1] and "nodev" not in mounts()[0][0]


def test_changed_layers_are_really_mounted():
    apply("overlay_mount", WRITABLE)
    subprocess.run(["mount", "-o", f"remount,lowerdir={here('c')}", PATH], check=True)  # answers 0 and changes nothing
    assert same() == "a"
    result = cycle("overlay_mount", {**WRITABLE, "lowerdir": here("c", "a")})
    assert [action["action"] for action in result["actions"]] == ["remount"] and len(mounts()) == 1
    assert same() == "c"


def test_an_upper_directory_that_is_not_named_stays_and_an_empty_one_goes():
    apply("overlay_mount", WRITABLE)
    settled("overlay_mount", READ_ONLY)
    cycle("overlay_mount", {**READ_ONLY, "upperdir": "", "workdir": ""})
    assert "upperdir" not in mounts()[0][1]
    cycle("overlay_mount", WRITABLE)


def test_the_path_may_be_a_layer_itself():
    params = {**WRITABLE, "path": here("a"), "lowerdir": here("a", "b")}
    cycle("overlay_mount", params)
    assert (BASE_DIR / "a/only-b").exists()
    cycle("overlay_mount", {**params, "lowerdir": here("a", "c")})
    assert (BASE_DIR / "a/only-c").exists() and len(mounts(here("a"))) == 1
    cycle("overlay_mount", {"path": here("a"), "state": "absent"})


def test_slashes_are_no_difference():
    apply("overlay_mount", READ_ONLY)
    settled("overlay_mount", {**READ_ONLY, "path": PATH + "/", "lowerdir": [here("a") + "/", f"{BASE_DIR}//b/."]})
    apply("overlay_mount", {"path": PATH, "state": "unmounted"})
    mount(f"lowerdir={here('a')}/:{BASE_DIR}//b")
    settled("overlay_mount", READ_ONLY)


def test_layers_mounted_by_relative_paths_are_mounted_anew():
    subprocess.run(["mount", "-t", "overlay", "-o", "lowerdir=a:b", "vt-overlay", PATH], cwd=BASE_DIR, check=True)
    cycle("overlay_mount", READ_ONLY)


def test_layers_given_one_by_one_are_read():
    mount(f"lowerdir+={here('a')},lowerdir+={here('b')}")
    assert "lowerdir+=" in mounts()[0][1]
    settled("overlay_mount", READ_ONLY)


@pytest.mark.parametrize("name", ["sp ace", "co,mma", "co:lon", "back\\slash", "uml\u00e4ut", "per%cent", "tr\\,ap:\\ "])
def test_names_with_letters_that_mean_something(name):
    for folder in ("lower", "upper", "work", "merged"):
        (BASE_DIR / (folder + name)).mkdir()
    (BASE_DIR / ("lower" + name) / "inside").touch()
    params = {
        "path": here("merged" + name),
        "lowerdir": [here("lower" + name), here("a")],
        "upperdir": here("upper" + name),
        "workdir": here("work" + name),
        "persistent": "fstab",
    }
    predicted, result = check("overlay_mount", params), apply("overlay_mount", params)
    assert (predicted["actions"], predicted["diff"]) == (result["actions"], result["diff"])
    assert (BASE_DIR / ("merged" + name) / "inside").exists()
    assert result["resource"]["lowerdir"][0] == here("lower" + name)
    settled("overlay_mount", params)
    apply("overlay_mount", {"path": params["path"], "state": "unmounted"})
    subprocess.run(["mount", params["path"]], check=True)  # from fstab, as at boot
    settled("overlay_mount", params)
    apply("overlay_mount", {"path": params["path"], "state": "absent"})


def test_it_is_never_mounted_twice_and_the_topmost_counts():
    apply("overlay_mount", READ_ONLY)
    mount(f"lowerdir={here('c')}:{here('b')}")
    assert len(mounts()) == 2 and same() == "c"
    result = settled("overlay_mount", {**READ_ONLY, "lowerdir": here("c", "b")})
    assert "cover each other" in str(result["warnings"])
    cycle("overlay_mount", READ_ONLY)
    assert len(mounts()) == 2 and same() == "a"
    result = cycle("overlay_mount", {"path": PATH, "state": "unmounted"})
    assert [action["action"] for action in result["actions"]] == ["unmount", "unmount"] and mounts() == []


def test_another_file_system_at_the_path_is_covered_and_uncovered():
    subprocess.run(["mount", "-t", "tmpfs", "vt-overlay", PATH], check=True)
    cycle("overlay_mount", READ_ONLY)
    cycle("overlay_mount", {"path": PATH, "state": "unmounted"})
    assert len(mounts()) == 1
    settled("overlay_mount", {"path": PATH, "state": "unmounted"})


def test_many_layers_fit_whatever_the_version_of_mount():
    lower = []
    for index in range(40):
        lower.append(here(f"{index:02}-" + "x" * 60))
        Path(lower[-1]).mkdir()
    params = {**READ_ONLY, "lowerdir": lower}
    cycle("overlay_mount", params)
    refused("overlay_mount", {**params, "lowerdir": [f"{path}/{'y' * 60}" for path in lower]}, "too_many_layers", check_mode=True)


USES = {
    "cwd": (lambda: subprocess.Popen(["sleep", "60"], cwd=PATH), "works in it"),
    "root": (lambda: subprocess.Popen(["chroot", PATH, "/busybox", "sleep", "60"]), "rooted in it"),
    "exe": (lambda: subprocess.Popen([f"{PATH}/busybox", "sleep", "60"]), "runs from it"),
    "fd": (lambda: subprocess.Popen(["python3", "-c", f"import time\nwith open('{PATH}/same'): time.sleep(60)"]), f"has {PATH}/same open"),
    "maps": (
        lambda: subprocess.Popen(
            ["python3", "-c", f"import mmap,time\nwith open('{PATH}/same') as f: m=mmap.mmap(f.fileno(),0,prot=mmap.PROT_READ)\ntime.sleep(60)"]
        ),
        f"{PATH}/same",
    ),
}


@pytest.mark.parametrize("use", USES)
def test_a_busy_mount_is_refused_naming_the_process(use, started):
    shutil.copy(shutil.which("busybox"), BASE_DIR / "a/busybox")
    apply("overlay_mount", WRITABLE)
    started.append(USES[use][0]())
    changed = {**WRITABLE, "lowerdir": here("c", "a")}
    deadline = time.monotonic() + 10
    while not run_module("overlay_mount", {"path": PATH, "state": "unmounted"}, check=True)["failed"]:
        assert time.monotonic() < deadline, "the process never used the mount"
    time.sleep(0.3)
    for params in (changed, {**changed, "recreate": "always"}, {"path": PATH, "state": "absent"}):
        sentence = refused("overlay_mount", params, "mount_busy")
        assert str(started[0].pid) in sentence and USES[use][1] in sentence, sentence
    assert run_module("overlay_mount", changed)["holders"][0]["pid"] == started[0].pid
    assert same() == "a" and len(mounts()) == 1
    started[0].kill()
    started[0].wait(10)
    apply("overlay_mount", changed)


def test_a_busy_mount_with_other_directories_is_left_to_its_users(started):
    apply("overlay_mount", READ_ONLY)
    started.append(subprocess.Popen(["sleep", "60"], cwd=PATH))
    refused("overlay_mount", {**READ_ONLY, "lowerdir": here("c", "b")}, "mount_busy")
    result = cycle("overlay_mount", {**READ_ONLY, "lowerdir": here("c", "b"), "recreate": "always"})
    assert result["actions"][0]["lazy"] is True and same() == "c"
    assert Path(f"/proc/{started[0].pid}/cwd/same").read_text() == "a"


def test_mounts_in_it_and_beside_it_are_holders():
    apply("overlay_mount", WRITABLE)
    (Path(PATH) / "sub").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "vt-overlay", f"{PATH}/sub"], check=True)
    assert f"{PATH}/sub is mounted in it" in refused("overlay_mount", {"path": PATH, "state": "unmounted"}, "mount_busy")
    subprocess.run(["umount", f"{PATH}/sub"], check=True)
    subprocess.run(["mount", "--bind", PATH, here("c")], check=True)
    assert here("c") in refused("overlay_mount", {**WRITABLE, "lowerdir": here("b")}, "mount_busy")


def test_other_mount_namespaces_are_holders(started):
    apply("overlay_mount", WRITABLE)
    started.append(subprocess.Popen(["unshare", "--mount", "sleep", "60"], cwd="/"))
    time.sleep(0.5)
    sentence = refused("overlay_mount", {**WRITABLE, "lowerdir": here("b")}, "mount_busy")
    assert "mount namespace" in sentence and str(started[0].pid) in sentence
    apply("overlay_mount", {"path": PATH, "state": "unmounted"})
    sentence = refused("overlay_mount", {**WRITABLE, "path": here("c")}, "upperdir_in_use")
    assert PATH in sentence, "it is still mounted over there"


def test_recreate_never_keeps_the_change_for_the_next_boot():
    kept = {**WRITABLE, "persistent": "fstab", "recreate": "never"}
    cycle("overlay_mount", kept)
    result = cycle("overlay_mount", {**kept, "lowerdir": here("c", "b"), "options": {"index": True, "nodev": True}})
    assert result["pending"] == ["lowerdir", "options.index"] and result["restart_required"] is True
    assert same() == "a" and "nodev" in mounts()[0][0]
    assert f"lowerdir={here('c')}:{here('b')}" in FSTAB.read_text()
    refused("overlay_mount", {**kept, "lowerdir": here("c"), "persistent": "none"}, "recreate_needed", check_mode=True)
    assert cycle("overlay_mount", {**kept, "lowerdir": here("c", "b"), "recreate": "if_unused"})["pending"] == []


def test_a_mount_that_the_kernel_refuses_brings_the_old_one_back():
    apply("overlay_mount", WRITABLE)
    params = {**WRITABLE, "options": {"userxattr": True, "metacopy": True}}  # exclude each other
    sentence = refused("overlay_mount", params, "mount_refused")
    assert "the previous mount is back" in sentence and "the kernel says" in sentence
    settled("overlay_mount", WRITABLE)
    apply("overlay_mount", {"path": PATH, "state": "unmounted"})
    assert "the kernel says" in refused("overlay_mount", params, "mount_refused")
    assert mounts() == []


def test_fstab_holds_one_line_and_the_others_stay():
    FSTAB.write_text("# vt comment\n\nproc\t/proc proc defaults 0 0\n")
    kept = {**WRITABLE, "persistent": "fstab", "options": {"nodev": True, "x-systemd.requires": "vt.service", "nofail": True}}
    cycle("overlay_mount", kept)
    lines = FSTAB.read_text().splitlines()
    assert lines[:3] == ["# vt comment", "", "proc\t/proc proc defaults 0 0"] and len(lines) == 4
    assert lines[3] == (
        f"overlay {PATH} overlay lowerdir={here('a')}:{here('b')},upperdir={here('upper')},workdir={here('work')},"
        "nodev,nofail,x-systemd.requires=vt.service 0 0"
    )
    cycle("overlay_mount", {**kept, "lowerdir": here("b", "a"), "options": {"nofail": False}})
    assert "nofail" not in FSTAB.read_text() and "x-systemd.requires" in FSTAB.read_text()
    apply("overlay_mount", kept)
    assert len(FSTAB.read_text().splitlines()) == 4
    settled("overlay_mount", {**WRITABLE, "persistent": "auto"})
    apply("overlay_mount", {"path": PATH, "state": "unmounted"})
    assert len(FSTAB.read_text().splitlines()) == 4, "unmounted keeps what is kept"
    subprocess.run(["mount", PATH], check=True)
    settled("overlay_mount", kept)
    cycle("overlay_mount", {**kept, "persistent": "none"})
    apply("overlay_mount", kept)
    cycle("overlay_mount", {"path": PATH, "state": "absent"})
    assert FSTAB.read_text() == "# vt comment\n\nproc\t/proc proc defaults 0 0\n"


def test_auto_is_fstab_without_systemd():
    assert not os.path.exists("/run/systemd/system")
    result = cycle("overlay_mount", {**READ_ONLY, "persistent": "auto"})
    assert list(result["resource"]["boot"]) == ["fstab"]
    refused("overlay_mount", {**READ_ONLY, "persistent": "systemd"}, "systemd_missing", check_mode=True)


def test_directories_are_made_when_asked():
    for name in ("upper", "work", "merged"):
        (BASE_DIR / name).rmdir()
    refused("overlay_mount", WRITABLE, "directory_missing")
    predicted = check("overlay_mount", WRITABLE)
    assert predicted["changed"] and "starts from a host that has nothing" in str(predicted["warnings"])
    os.chmod(BASE_DIR / "a", 0o700)
    os.chown(BASE_DIR / "a", 1, 2)
    result = cycle("overlay_mount", {**WRITABLE, "create_dirs": True})
    assert [action["action"] for action in result["actions"]] == ["make_directory"] * 3 + ["mount_overlay"]
    status = os.stat(PATH)
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o700, 1, 2)
    refused("overlay_mount", {**READ_ONLY, "lowerdir": here("missing", "b"), "upperdir": "", "workdir": "", "create_dirs": True}, "layer_missing")
    assert check("overlay_mount", {**WRITABLE, "lowerdir": here("missing", "b")})["changed"]


def test_a_link_that_leads_elsewhere_is_a_change():
    link = BASE_DIR / "current"
    link.symlink_to("a")
    params = {**READ_ONLY, "lowerdir": [str(link), here("b")]}
    result = cycle("overlay_mount", params)
    assert result["resource"]["lowerdir"] == here("a", "b")
    link.unlink()
    link.symlink_to("c")
    cycle("overlay_mount", params)
    assert same() == "c"
    (BASE_DIR / "door").symlink_to("merged")
    settled("overlay_mount", {**params, "path": here("door")})


def test_a_volatile_mount_is_not_mounted_again():
    cycle("overlay_mount", {**WRITABLE, "options": {"volatile": True}})
    refused("overlay_mount", {**WRITABLE, "options": {"volatile": False}}, "workdir_volatile")
    cycle("overlay_mount", {"path": PATH, "state": "unmounted"})
    assert "incompat/volatile" in refused("overlay_mount", WRITABLE, "workdir_volatile", check_mode=True)
    shutil.rmtree(BASE_DIR / "work/work/incompat")
    cycle("overlay_mount", WRITABLE)


def test_directories_in_use_by_another_overlay():
    apply("overlay_mount", WRITABLE)
    other = {**WRITABLE, "path": here("c"), "lowerdir": here("a")}
    assert PATH in refused("overlay_mount", other, "upperdir_in_use", check_mode=True)
    refused("overlay_mount", {**other, "upperdir": here("upper2")}, "upperdir_in_use")
    refused("overlay_mount", {**other, "upperdir": here("work"), "workdir": here("work2")}, "upperdir_in_use")
    assert mounts(here("c")) == []


def test_work_directories_that_do_not_fit():
    subprocess.run(["mount", "-t", "tmpfs", "vt-overlay", here("work2")], check=True)
    refused("overlay_mount", {**WRITABLE, "workdir": here("work2")}, "workdir_elsewhere", check_mode=True)
    (BASE_DIR / "work/stray").touch()
    assert "stray" in refused("overlay_mount", WRITABLE, "workdir_not_empty", check_mode=True)
    (BASE_DIR / "work/stray").unlink()
    cycle("overlay_mount", WRITABLE)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"path": "relative"}, "invalid_path"),
        ({"path": "/"}, "invalid_path"),
        ({"path": f"{BASE_DIR}/../merged"}, "invalid_path"),
        ({"lowerdir": [here("a"), "b"]}, "invalid_path"),
        ({"lowerdir": ['/srv/vt-"quoted']}, "invalid_path"),
        ({"lowerdir": ["/srv/vt-new\nline"]}, "invalid_path"),
        ({"lowerdir": []}, "missing_lowerdir"),
        ({"lowerdir": [here("a")]}, "missing_layer"),
        ({"lowerdir": here("a", "a")}, "overlapping_layers"),
        ({"lowerdir": [here("a"), here("a") + "/sub"]}, "overlapping_layers"),
        ({"lowerdir": [here("a")], "upperdir": here("upper"), "workdir": ""}, "missing_workdir"),
        ({"lowerdir": [here("upper") + "/sub"], "upperdir": here("upper"), "workdir": here("work")}, "overlapping_layers"),
        ({"lowerdir": [here("a")], "upperdir": here("upper"), "workdir": here("upper") + "/work"}, "overlapping_layers"),
        ({"lowerdir": [here("a"), here("a/same")]}, "overlapping_layers"),
        ({"lowerdir": [here("b"), here("a/same")]}, "not_a_directory"),
        ({"lowerdir": [f"/vt/{index}" for index in range(501)]}, "too_many_layers"),
        ({"options": {"inde": True}}, "invalid_option"),
        ({"options": {"index": "maybe"}}, "invalid_option"),
        ({"options": {"volatile": "on"}}, "invalid_option"),
        ({"options": {"lowerdir": "/x"}}, "invalid_option"),
        ({"options": {"rw": True}}, "invalid_option"),
        ({"options": {"x-a": "b,c"}}, "invalid_option"),
        ({"options": {"noatime": True, "strictatime": True}}, "invalid_option"),
        ({"options": {"nfs_export": True, "index": False}}, "invalid_option"),
        ({"options": {"metacopy": True, "redirect_dir": False}}, "invalid_option"),
        ({"options": {"index": True}}, "useless_option"),
        ({"options": {"volatile": True}}, "useless_option"),
        ({"options": {"ro": False}}, "useless_option"),
    ],
)
def test_bad_input(given, code):
    params = {**READ_ONLY, **given}
    refused("overlay_mount", params, code)
    assert mounts() == []
