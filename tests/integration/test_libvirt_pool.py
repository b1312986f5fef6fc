# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.pool.model import SPEC
from support.modules import apply, check, cycle, option_cycle, refused, run_module, settled
from support.option_cases import untried
from support.pool_options import CASES
from support.pool_runs import options_of_a_type
from support.virsh import clear, virsh

NAME = "vt-pool"
MODULE = "libvirt_pool"
FOLDER = Path("/var/lib/libvirt/vt-pool")


def remove() -> None:
    clear(
        ("pool-destroy", NAME),
        ("pool-undefine", NAME),
    )
    subprocess.run(["rm", "-rf", str(FOLDER)], check=True)


@pytest.fixture(autouse=True)
def clean(libvirtd):
    remove()
    yield
    remove()


@pytest.fixture
def device(tmp_path):
    """An empty block device."""
    image = tmp_path / "disk"
    with image.open("wb") as handle:
        handle.truncate(64 * 1024**2)
    path = subprocess.run(["losetup", "--find", "--show", str(image)], capture_output=True, text=True, check=True).stdout.strip()
    yield path
    remove()
    subprocess.run(["losetup", "--detach", path], check=True)


def dir_pool(**more: Any) -> dict[str, Any]:
    return {"name": NAME, "type": "dir", "target": {"path": str(FOLDER)}, **more}


def steps(result: dict[str, Any]) -> list[str]:
    return [step["action"] for step in result["actions"]]


def test_the_life_of_a_directory():
    made = cycle(MODULE, dir_pool(build="missing", autostart=True))
    assert steps(made) == ["define_pool", "build_pool", "start_pool", "set_autostart"]
    assert made["resource"]["capacity"] > 0 and made["resource"]["path"] == str(FOLDER) and made["resource"]["built"]
    cycle(MODULE, {"name": NAME, "state": "inactive"})
    settled(MODULE, dir_pool(state="present", build="missing"))
    cycle(MODULE, {"name": NAME})
    (FOLDER / "precious").write_text("data")
    assert steps(cycle(MODULE, {"name": NAME, "state": "absent"})) == ["stop_pool", "undefine_pool"]
    assert (FOLDER / "precious").read_text() == "data"


def test_a_directory_that_is_missing_and_one_that_went():
    message = refused(MODULE, dir_pool(), "directory_missing")
    assert str(FOLDER) in message and "build: missing" in message
    predicted = check(MODULE, dir_pool())  # an earlier task may be about to make it
    assert steps(predicted) == ["define_pool", "start_pool"] and "no directory" in str(predicted["warnings"])
    apply(MODULE, dir_pool(state="inactive"))
    assert steps(cycle(MODULE, dir_pool(state="inactive", build="missing"))) == ["build_pool"]


def test_delete_takes_an_empty_directory_and_no_other():
    apply(MODULE, dir_pool(build="missing"))
    virsh("vol-create-as", NAME, "precious", "1M", "--allocation", "0")
    assert "precious" in refused(MODULE, {"name": NAME, "state": "absent", "delete": True}, "pool_not_empty")
    assert "precious" in str(check(MODULE, {"name": NAME, "state": "absent", "delete": True})["warnings"])
    virsh("pool-destroy", NAME)
    assert "precious" in str(check(MODULE, {"name": NAME, "state": "absent", "delete": True})["warnings"])
    refused(MODULE, {"name": NAME, "state": "absent", "delete": True}, "delete_failed")
    (FOLDER / "precious").unlink()
    assert steps(cycle(MODULE, {"name": NAME, "state": "absent", "delete": True})) == ["delete_pool", "undefine_pool"]
    assert not FOLDER.exists()


def test_a_file_system_is_made_on_an_empty_device_only(device):
    options = {"name": NAME, "type": "fs", "source": {"devices": [device], "format": "ext4"}, "target": {"path": str(FOLDER)}}
    made = cycle(MODULE, {**options, "build": "missing"})
    assert made["actions"][1] == {"action": "build_pool", "target": NAME, "format": "missing"}
    assert subprocess.run(["findmnt", "-no", "FSTYPE", str(FOLDER)], capture_output=True, text=True, check=True).stdout == "ext4\n"
    (FOLDER / "precious").write_text("data")
    cycle(MODULE, {"name": NAME, "state": "absent"})
    again = cycle(MODULE, {**options, "build": "missing", "target": {"path": f"{FOLDER}/below"}})  # another mount point, the same data
    assert again["actions"][1] == {"action": "build_pool", "target": NAME}
    assert (FOLDER / "below/precious").read_text() == "data"
    apply(MODULE, {"name": NAME, "state": "absent"})
    cycle(MODULE, {**options, "build": "overwrite"})
    settled(MODULE, {**options, "build": "overwrite"})
    assert not (FOLDER / "precious").exists()


def test_what_libvirt_will_not_build_leaves_nothing(device):
    options = {"name": NAME, "type": "fs", "source": {"devices": [device], "format": "nosuch"}, "target": {"path": str(FOLDER)}, "build": "missing"}
    refused(MODULE, options, "unsupported_configuration")
    options["source"]["format"] = "gfs2"  # no such program here
    refused(MODULE, options, "build_failed")
    assert NAME not in virsh("pool-list", "--all", "--name").split()


#: Options that tests of their own are about.
ELSEWHERE = {
    "uri": "test_where_libvirt_is_not_there_yet_check_mode_predicts",
    "name": "test_the_life_of_a_directory",
    "state": "test_the_life_of_a_directory",
    "xml": "test_each_type_and_its_options",
    "autostart": "test_autostart",
    "restart": "test_an_active_pool_has_pending_fields_until_it_is_restarted",
    "build": "test_a_file_system_is_made_on_an_empty_device_only",
    "delete": "test_delete_takes_an_empty_directory_and_no_other",
}


def test_every_option_and_every_type_is_tried():
    spec = SPEC["argument_spec"]
    assert untried(spec, [(case.one, case.other) for case in CASES.values()]) == set(ELSEWHERE)
    assert all(name in globals() for name in ELSEWHERE.values())
    assert {case.one["type"] for case in CASES.values()} == set(spec["type"]["choices"])


@pytest.mark.parametrize("case", [name for name, case in CASES.items() if not case.unpacked])
def test_each_type_and_its_options(case):
    options_of_a_type(CASES[case], NAME, virsh)


def test_autostart():
    apply(MODULE, dir_pool(state="present"))
    option_cycle(MODULE, {"name": NAME, "state": "present"}, "autostart", True, False)


def test_an_active_pool_has_pending_fields_until_it_is_restarted():
    apply(MODULE, dir_pool(build="missing"))
    (FOLDER / "below").mkdir()
    moved = {"name": NAME, "target": {"path": f"{FOLDER}/below"}}
    assert cycle(MODULE, moved)["pending"] == ["target/path"]
    assert settled(MODULE, moved)["restart_required"]
    assert steps(cycle(MODULE, {**moved, "restart": "if_required"})) == ["stop_pool", "start_pool"]
    other = {"name": NAME, "type": "netfs", "source": {"hosts": [{"name": "203.0.113.9"}], "dir": "/export"}, "target": moved["target"]}
    assert cycle(MODULE, other)["pending"] == ["@type", "source/host[203.0.113.9]", "source/dir"]


def test_a_directory_that_is_there_keeps_its_permissions():
    """Libvirt writes over what its definition says of them as soon as the pool is active."""
    FOLDER.mkdir(mode=0o755)
    options = dir_pool(target={"path": str(FOLDER), "mode": "0711", "owner": 0}, build="missing")
    assert "another mode, which only building" in str(cycle(MODULE, options)["warnings"])
    assert FOLDER.stat().st_mode & 0o777 == 0o755
    FOLDER.chmod(0o711)
    virsh("pool-refresh", NAME)
    assert "warnings" not in settled(MODULE, options)
    cycle(MODULE, {"name": NAME, "state": "absent", "delete": True})
    cycle(MODULE, options)
    assert FOLDER.stat().st_mode & 0o777 == 0o711


def test_a_pool_of_virsh_is_adopted():
    FOLDER.mkdir()
    virsh("pool-create-as", NAME, "dir", "--target", f"{FOLDER}/")
    uuid = virsh("pool-uuid", NAME).strip()
    made = cycle(MODULE, dir_pool())
    assert steps(made) == ["define_pool"] and made["resource"]["uuid"] == uuid and made["resource"]["persistent"]


def test_text_stays_text():
    path = "/srv/vt \"'<&>]]><target/>"
    cycle(MODULE, {"name": NAME, "type": "dir", "state": "present", "target": {"path": path}})
    assert "&lt;&amp;&gt;" in virsh("pool-dumpxml", NAME)


def test_what_libvirt_does_not_keep_is_taken_back():
    xml = f"<pool type='dir'><target><path>{FOLDER}</path><colour>blue</colour></target></pool>"
    assert "target/colour" in refused(MODULE, {"name": NAME, "state": "present", "xml": xml}, "not_kept")
    assert NAME not in virsh("pool-list", "--all", "--name").split()
    apply(MODULE, dir_pool(state="present"))
    refused(MODULE, {"name": NAME, "state": "present", "xml": xml.replace(str(FOLDER), "/srv/vt")}, "not_kept")
    settled(MODULE, dir_pool(state="present"))


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"name": "a/b"}, "invalid_name"),
        ({"xml": '<!DOCTYPE pool [<!ENTITY a "b">]><pool><name>&a;</name></pool>'}, "invalid_xml"),
        ({"xml": "<pool><name>other</name></pool>"}, "invalid_xml"),
        ({}, "pool_not_found"),
        ({"type": "dir", "target": {"path": "relative"}}, "invalid_path"),
        ({"target": {"mode": "rwx"}}, "invalid_value"),
        ({"type": "netfs", "source": {"hosts": [{"name": "a", "port": 99999}]}}, "invalid_value"),
        ({"type": "iscsi", "source": {"auth": {"type": "chap", "username": "a", "secret": "b"}}}, "invalid_uuid"),
        ({"type": "iscsi", "source": {"auth": {"type": "chap", "username": "a"}}}, "invalid_options"),
        ({"delete": True}, "invalid_value"),
        ({"type": "netfs", "state": "present", "source": {"dir": "/a"}, "target": {"path": "/b"}}, "invalid_definition"),
    ],
)
def test_bad_input_is_refused(options, code):
    refused(MODULE, {"name": NAME, **options}, code)


def test_a_uuid_that_is_taken():
    apply(MODULE, dir_pool(state="present"))
    uuid = virsh("pool-uuid", NAME).strip()
    refused(MODULE, {"xml": f"<pool type='dir'><name>vt-other</name><uuid>{uuid}</uuid></pool>"}, "uuid_in_use", check_mode=True)
    refused(MODULE, {"xml": f"<pool type='dir'><name>{NAME}</name><uuid>{uuid[:-4]}0000</uuid></pool>"}, "uuid_mismatch")


def test_where_libvirt_is_not_there_yet_check_mode_predicts():
    options = dir_pool(uri="qemu+unix:///system?socket=/nowhere", build="missing")
    assert steps(check(MODULE, options)) == ["define_pool", "build_pool", "start_pool"]
    assert run_module(MODULE, options)["code"] == "libvirt_unreachable"
