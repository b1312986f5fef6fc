# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""cloud_init_seed on real files, read back by a tool that did not write them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
import yaml
from support.modules import TARGET_PYTHON, apply, check, cycle, option_cycle, refused, run_module, settled
from support.playbooks import play

NAME = "cloud_init_seed"
SECRET = "vt-hunter2-secret"  # noqa: S105
USER_DATA = {"password": SECRET, "chpasswd": {"expire": False}, "bootcmd": ["echo ä\u2028\x7f 😀: - #", 1, 2.5, None], "yes": "no"}
BASE: Dict[str, Any] = {"user_data": USER_DATA, "meta_data": {"local-hostname": "vt-web"}}
NETWORK = {"version": 2, "ethernets": {"en": {"match": {"name": "en*"}, "dhcp4": True}}}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".tmp")], "something was left behind"


def files_of(seed: Path) -> Dict[str, bytes]:
    """The files of a seed. isoinfo, which shares no code with the tool that the module uses, reads an ISO."""
    if seed.is_dir():
        return {path.name: path.read_bytes() for path in seed.iterdir()}
    listing = subprocess.run(["isoinfo", "-R", "-f", "-i", seed], capture_output=True, text=True, check=True).stdout.split()
    joliet = subprocess.run(["isoinfo", "-J", "-f", "-i", seed], capture_output=True, text=True, check=True).stdout.split()
    assert sorted(listing) == sorted(joliet)
    return {name[1:]: subprocess.run(["isoinfo", "-R", "-x", name, "-i", seed], capture_output=True, check=True).stdout for name in listing}


def instance_id(seed: Path) -> str:
    return json.loads(files_of(seed)["meta-data"])["instance-id"]


def seed_options(folder: Path, format_: str, **more: Any) -> Dict[str, Any]:
    return {"path": str(folder / "vt-seed.iso"), "format": format_, **BASE, **more}


FORMATS = pytest.mark.parametrize("format_", ["iso", "directory"])


@FORMATS
def test_a_seed_comes_and_goes(folder: Path, format_: str) -> None:
    params = seed_options(folder, format_, network_config=NETWORK, vendor_data="#!/bin/sh\r\necho hi\r\n")
    seed = Path(params["path"])
    result = cycle(NAME, params)
    found = files_of(seed)
    assert sorted(found) == ["meta-data", "network-config", "user-data", "vendor-data"]
    assert found["user-data"].startswith(b"#cloud-config\n") and yaml.safe_load(found["user-data"]) == USER_DATA
    assert yaml.safe_load(found["network-config"]) == NETWORK and found["vendor-data"] == b"#!/bin/sh\r\necho hi\r\n"
    assert yaml.safe_load(found["meta-data"]) == {"local-hostname": "vt-web", "instance-id": result["resource"]["instance_id"]}
    assert result["resource"]["user_data"] == f"sha256:{hashlib.sha256(found['user-data']).hexdigest()}"
    assert {stat.S_IMODE(path.stat().st_mode) for path in (seed.iterdir() if seed.is_dir() else [seed])} == {0o600}
    if format_ == "iso":
        sector = seed.read_bytes()[16 * 2048 : 17 * 2048]
        assert sector[:7] == b"\x01CD001\x01" and sector[40:72] == b"cidata".ljust(32)
    else:
        assert stat.S_IMODE(seed.stat().st_mode) == 0o700
    cycle(NAME, {"path": str(seed), "format": format_, "state": "absent"})
    assert not seed.exists()


def test_each_file_is_set_changed_and_taken_away(folder: Path) -> None:
    params = {"path": str(folder / "vt-seed")}
    seed = Path(params["path"])
    cycle(NAME, params)
    assert yaml.safe_load(files_of(seed)["user-data"]) == {} and sorted(files_of(seed)) == ["meta-data", "user-data"]
    option_cycle(NAME, params, "user_data", USER_DATA, "#cloud-config\npackages: [jq]\n")
    option_cycle(NAME, params, "meta_data", {"local-hostname": "vt-web"}, {"local-hostname": "vt-db.example.com", "extra": [1]})
    option_cycle(NAME, params, "network_config", NETWORK, "version: 1\nconfig: []\n")
    option_cycle(NAME, params, "vendor_data", {"timezone": "UTC"}, "#include\nhttps://example.com/x\n")
    option_cycle(NAME, params, "instance_id", "vt-one", "vt-two")
    settled(NAME, params)
    assert len(files_of(seed)) == 4
    for option in ("network_config", "vendor_data"):
        cycle(NAME, {**params, option: {}})
        assert option.replace("_", "-") not in files_of(seed)
    cycle(NAME, {**params, "user_data": {}, "meta_data": {}})
    assert json.loads(files_of(seed)["meta-data"]) == {"instance-id": "vt-one"}


def test_the_files_of_a_directory_change_one_by_one(folder: Path) -> None:
    params = {"path": str(folder / "vt-seed"), "format": "directory"}
    seed = Path(params["path"])
    cycle(NAME, {**params, "network_config": NETWORK, "vendor_data": {"a": 1}})
    untouched = (seed / "user-data").read_bytes()
    cycle(NAME, {**params, "network_config": {}, "vendor_data": {"a": 2}, "instance_id": "vt-one"})
    found = files_of(seed)
    assert sorted(found) == ["meta-data", "user-data", "vendor-data"] and found["user-data"] == untouched


@FORMATS
def test_owner_group_and_mode(folder: Path, format_: str) -> None:
    params = seed_options(folder, format_)
    seed = Path(params["path"])
    cycle(NAME, params)
    option_cycle(NAME, params, "mode", "0640", "0644")
    option_cycle(NAME, params, "owner", "daemon", "bin")
    option_cycle(NAME, params, "group", "adm", "4242")
    cycle(NAME, {**params, "user_data": {"a": 1}})
    assert (stat.S_IMODE(seed.stat().st_mode), seed.owner()) == (0o750 if format_ == "directory" else 0o640, "daemon")
    parts = list(seed.iterdir()) if seed.is_dir() else [seed]
    assert {(stat.S_IMODE(part.stat().st_mode), part.owner(), part.group()) for part in parts} == {(0o640, "daemon", "adm")}
    if format_ == "directory":
        (seed / "user-data").chmod(0o666)
        assert settled(NAME, {**params, "user_data": {"a": 1}})["resource"]["mode"] == "0640, 0666"
        cycle(NAME, {**params, "user_data": {"a": 1}, "mode": "0600"})


@FORMATS
def test_policies(folder: Path, format_: str) -> None:
    params = seed_options(folder, format_)
    seed = Path(params["path"])
    first = cycle(NAME, params)["resource"]["instance_id"]
    other = {**params, "user_data": {"hostname": "other"}}

    ignored = settled(NAME, {**other, "on_change": "ignore"})
    assert "differs from what was asked for in user-data, and stays" in json.dumps(ignored["warnings"])
    assert yaml.safe_load(files_of(seed)["user-data"]) == USER_DATA
    cycle(NAME, {**other, "on_change": "ignore", "mode": "0640"})

    assert cycle(NAME, {**other, "on_change": "refresh"})["resource"]["instance_id"] == first
    assert yaml.safe_load(files_of(seed)["user-data"]) == {"hostname": "other"}

    second = cycle(NAME, {**params, "on_change": "new_instance_id"})["resource"]["instance_id"]
    third = cycle(NAME, {**other, "on_change": "new_instance_id"})["resource"]["instance_id"]
    fourth = cycle(NAME, {**params, "on_change": "new_instance_id"})["resource"]["instance_id"]
    assert len({first, second, third, fourth}) == 4, "the way back must be new to the guest as well"
    assert instance_id(seed) == fourth
    cycle(NAME, {**params, "on_change": "new_instance_id", "meta_data": {"local-hostname": "vt-other"}})
    assert instance_id(seed) != fourth


def test_equal_contents_give_equal_bytes(folder: Path) -> None:
    one, two = (seed_options(folder, "iso", path=str(folder / name)) for name in ("vt-a.iso", "vt-b we ird*[=\\x.iso"))
    assert not run_module(NAME, one, env={"TZ": "Asia/Tokyo"})["failed"]
    time.sleep(1.1)
    two["user_data"] = dict(reversed(list(USER_DATA.items())))
    assert not run_module(NAME, two, env={"TZ": "America/New_York", "SOURCE_DATE_EPOCH": "1"})["failed"]
    assert Path(one["path"]).read_bytes() == Path(two["path"]).read_bytes()


def test_a_seed_of_another_tool_is_read(folder: Path) -> None:
    source = folder / "source"
    source.mkdir()
    (source / "user-data").write_text("#cloud-config\n{}\n")
    (source / "meta-data").write_text("# ours\ninstance-id: 'vt-foreign' # by hand\nlocal-hostname: vt-old\n")
    seed = folder / "vt-seed.iso"
    subprocess.run(["genisoimage", "-quiet", "-output", seed, "-volid", "CIDATA", "-joliet", "-rock", source], check=True, capture_output=True)
    params = {"path": str(seed)}
    found = settled(NAME, {**params, "user_data": {}, "instance_id": "vt-foreign"})["resource"]
    assert (found["instance_id"], found["local_hostname"]) == ("vt-foreign", "vt-old")
    cycle(NAME, {**params, "user_data": {"a": 1}, "on_change": "new_instance_id"})
    lines = files_of(seed)["meta-data"].decode().splitlines()
    assert lines[0] == "# ours" and lines[2] == "local-hostname: vt-old" and lines[1].startswith('instance-id: "iid-')


def test_a_cut_seed_is_refused_and_can_be_removed(folder: Path) -> None:
    params = seed_options(folder, "iso")
    seed = Path(params["path"])
    apply(NAME, params)
    whole = seed.read_bytes()
    for length in (17 * 2048, whole.index(b"#cloud-config"), len(whole) - 1):
        seed.write_bytes(whole[:length])
        assert "was cut off" in refused(NAME, params, "seed_unreadable")
    cycle(NAME, {"path": str(seed), "state": "absent"})
    apply(NAME, params)
    assert seed.read_bytes() == whole


def test_what_is_not_a_seed_is_never_touched(folder: Path) -> None:
    image = folder / "vt-disk.qcow2"
    image.write_bytes(b"QFI\xfb" + bytes(100000))
    link = folder / "vt-link.iso"
    link.symlink_to(image)
    os.mkfifo(folder / "vt-pipe")
    served = folder / "vt-served"
    served.mkdir()
    (served / "index.html").write_text("mine")
    for state in ("present", "absent"):
        refused(NAME, {"path": str(image), "state": state}, "not_a_seed")
        refused(NAME, {"path": str(link), "state": state}, "not_a_regular_file")
        refused(NAME, {"path": str(folder / "vt-pipe"), "state": state}, "not_a_regular_file")
        refused(NAME, {"path": str(served), "state": state}, "not_a_regular_file")
        refused(NAME, {"path": str(image), "format": "directory", "state": state}, "not_a_directory")
    params = {**BASE, "path": str(served), "format": "directory"}
    refused(NAME, {**params, "state": "absent"}, "directory_not_empty")
    cycle(NAME, params)
    assert (served / "index.html").read_text() == "mine" and stat.S_IMODE((served / "user-data").stat().st_mode) == 0o600
    assert "index.html" in refused(NAME, {**params, "state": "absent"}, "directory_not_empty")
    assert (served / "user-data").exists()
    (served / "vendor-data").symlink_to("/etc/shadow")
    refused(NAME, params, "not_a_regular_file")


BAD = [
    ({"user_data": "packages: [jq]\n"}, "invalid_user_data"),
    ({"user_data": "#cloud-confg\n"}, "invalid_user_data"),
    ({"user_data": ["a"]}, "invalid_user_data"),
    ({"user_data": "#cloud-config\na: \0\n"}, "invalid_text"),
    ({"user_data": {"a": 1e-7}}, "invalid_number"),
    ({"user_data": "#!" + "x" * 8 * 1024**2}, "seed_too_large"),
    ({"vendor_data": "hello"}, "invalid_vendor_data"),
    ({"network_config": {"ethernets": {}}}, "invalid_network_config"),
    ({"network_config": {"version": 3}}, "invalid_network_config"),
    ({"network_config": {"version": 1}}, "invalid_network_config"),
    ({"network_config": "ethernets: {}\n"}, "invalid_network_config"),
    ({"network_config": 7}, "invalid_network_config"),
    ({"instance_id": ""}, "invalid_instance_id"),
    ({"instance_id": "a b"}, "invalid_instance_id"),
    ({"instance_id": "../x"}, "invalid_instance_id"),
    ({"meta_data": {"instance-id": "a/b"}}, "invalid_instance_id"),
    ({"meta_data": {"instance-id": "a"}, "instance_id": "b"}, "invalid_option_combination"),
    ({"instance_id": "a", "on_change": "new_instance_id"}, "invalid_option_combination"),
    ({"meta_data": {"local-hostname": "under_score"}}, "invalid_hostname"),
    ({"meta_data": {"local-hostname": "-a"}}, "invalid_hostname"),
    ({"meta_data": {"instance_id": "a"}}, "invalid_meta_data"),
    ({"mode": 600}, "invalid_mode"),
    ({"mode": "0755"}, "invalid_mode"),
    ({"path": "seed.iso"}, "invalid_path"),
    ({"path": "/var/../etc/vt"}, "invalid_path"),
    ({"path": "/"}, "invalid_path"),
    ({"owner": "4294967295"}, "invalid_owner"),
    ({"owner": "\u00b2"}, "invalid_owner"),
    ({"group": "9" * 5000}, "invalid_group"),
    ({"owner": "vt-nobody-has-this-name"}, "unknown_user"),
    ({"group": "vt-nobody-has-this-name"}, "unknown_group"),
    ({"path": "/vt-no-such-directory/seed.iso"}, "directory_missing"),
    ({"path": "/etc/passwd/seed.iso"}, "not_a_directory"),
]


@pytest.mark.parametrize(("given", "code"), BAD, ids=[f"{next(iter(given))}-{code}" for given, code in BAD])
def test_bad_input(folder: Path, given: Dict[str, Any], code: str) -> None:
    refused(NAME, {"path": str(folder / "vt-seed.iso"), **given}, code)
    assert not list(folder.iterdir())


def test_without_xorriso_check_mode_predicts_and_a_run_names_the_package(folder: Path) -> None:
    bare = folder / "bin"
    bare.mkdir()
    link = folder / "vt-without"
    link.write_text(
        "import os, runpy, shutil, sys\n"
        "real = shutil.which\n"
        "shutil.which = lambda name, *rest, **more: None if name == 'xorriso' else real(name, *rest, **more)\n"
        "sys.argv = sys.argv[1:]\n"
        "sys.path.insert(0, os.path.dirname(sys.argv[0]))\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    from support import modules

    def run(check_mode: bool) -> Dict[str, Any]:
        arguments = {"path": str(folder / "vt-seed.iso"), **BASE, "_ansible_check_mode": check_mode, "_ansible_diff": True}
        done = subprocess.run(
            [TARGET_PYTHON, str(link), str(modules.RUNNER), NAME],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
            env={**os.environ, "PYTHONPATH": modules.python_path()},
            capture_output=True,
            text=True,
            check=False,
        )
        return json.loads(done.stdout)

    predicted, failed = run(True), run(False)
    assert predicted["changed"] and "install the package xorriso" in json.dumps(predicted["warnings"])
    assert failed["code"] == "tool_missing" and "install the package xorriso" in failed["msg"]


def test_secrets_show_nowhere(folder: Path) -> None:
    structure = seed_options(folder, "iso", vendor_data={"password": SECRET + "-2"}, network_config={"version": 2, "wifis": {"psk": SECRET}})
    text = {**structure, "path": str(folder / "vt-text.iso"), "user_data": f"#cloud-config\npassword: {SECRET}\ncpus: 1\n"}
    for params in (structure, text):
        for result in (check(NAME, params), apply(NAME, params), run_module(NAME, {**params, "network_config": "wrong"})):
            assert SECRET not in json.dumps(result)
        assert "*" not in json.dumps([result["resource"] for result in (settled(NAME, params),)]), "a scalar of the structure was masked"
    shown = apply(NAME, structure)["invocation"]["module_args"]
    assert shown["user_data"] == shown["vendor_data"] == "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
    playbook = folder / "play.yml"
    task = {"virtops.linux.cloud_init_seed": {**structure, "path": str(folder / "vt-play.iso")}, "register": "said"}
    playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [task, {"ansible.builtin.debug": {"var": "said"}}]}]))
    tasks = play(str(playbook), "-vvv")
    assert tasks[0]["changed"] and SECRET not in json.dumps(tasks)


def test_a_killed_run_leaves_the_old_or_the_new_seed_and_the_next_converges(folder: Path) -> None:
    """SIGKILL at 12 instants of the second half of a run; the first is the start of Python."""
    from support import modules

    params = seed_options(folder, "iso")
    seed = Path(params["path"])
    apply(NAME, params)
    started = time.monotonic()
    apply(NAME, {**params, "user_data": {"n": -1}})
    length = time.monotonic() - started
    old = seed.read_bytes()
    for index in range(12):
        wanted = {**params, "user_data": {"n": index}}
        arguments = {**wanted, "_ansible_check_mode": False}
        child = subprocess.Popen(
            [TARGET_PYTHON, str(modules.RUNNER), NAME],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": modules.python_path()},
        )
        assert child.stdin is not None
        child.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
        child.stdin.close()
        time.sleep(length * (0.5 + index / 24))
        child.send_signal(signal.SIGKILL)
        child.wait()
        time.sleep(0.02)  # its xorriso may still run
        if seed.read_bytes() != old:
            assert yaml.safe_load(files_of(seed)["user-data"]) == {"n": index}
        apply(NAME, wanted)
        assert yaml.safe_load(files_of(seed)["user-data"]) == {"n": index}
        assert sorted(path.name for path in folder.iterdir()) == ["vt-seed.iso"]
        old = seed.read_bytes()


def test_a_full_file_system_keeps_the_old_seed(folder: Path) -> None:
    image, mount = folder / "small.img", folder / "small"
    mount.mkdir()
    with image.open("wb") as stream:
        stream.truncate(2 * 1024**2)
    subprocess.run(["mke2fs", "-q", "-O", "^has_journal", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, mount], check=True)
    try:
        params = {"path": str(mount / "vt-seed.iso"), "user_data": {"a": 1}}
        apply(NAME, params)
        old = Path(params["path"]).read_bytes()
        for size in (600, 900, 1100, 1300, 1900):  # KiB: the files do not fit, or the ISO does not
            refused(NAME, {**params, "user_data": "#!" + "x" * size * 1024}, "no_space")
            assert Path(params["path"]).read_bytes() == old
            assert sorted(os.listdir(mount)) == ["lost+found", "vt-seed.iso"]
        settled(NAME, params)
    finally:
        subprocess.run(["umount", mount], check=True)
        shutil.rmtree(mount)
