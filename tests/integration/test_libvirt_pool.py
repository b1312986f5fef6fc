# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.modules import apply, check, cycle, option_cycle, refused, run_module, settled
from support.virsh import clear, virsh

NAME = "vt-pool"
MODULE = "libvirt_pool"
FOLDER = Path("/var/lib/libvirt/vt-pool")
ADDRESS = "203.0.113.9"


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


#: type → the options, two values of some, and a word of the definition that libvirt must have got.
TYPES: dict[str, tuple[dict[str, Any], dict[str, tuple[Any, Any]], str]] = {
    "dir": (
        {"target": {"path": "/srv/vt//one/"}},
        {
            "target": (
                {"path": "/srv/vt/two", "mode": "711", "owner": 0, "group": 0},
                {"path": "/srv/vt/one", "mode": "0700", "owner": 7, "group": -1},
            )
        },
        "<path>/srv/vt/one</path>",
    ),
    "fs": (
        {"source": {"devices": ["/dev/vt1"]}, "target": {"path": "/srv/vt"}},
        {"source": ({"devices": ["/dev/vt2"], "format": "xfs"}, {"devices": ["/dev/vt1"], "format": "auto"})},
        "<device path='/dev/vt1'/>",
    ),
    "netfs": (
        {"source": {"hosts": [{"name": ADDRESS}], "dir": "/export", "format": "nfs"}, "target": {"path": "/srv/vt"}},
        {
            "source": (
                {"hosts": [{"name": "203.0.113.10"}], "dir": "/other", "protocol_version": "4.2"},
                {"hosts": [{"name": ADDRESS}], "dir": "/export/", "protocol_version": ""},
            )
        },
        "<format type='nfs'/>",
    ),
    "logical": (
        {"source": {"devices": ["/dev/vt1"], "name": "vt"}},
        {"source": ({"devices": ["/dev/vt1", "/dev/vt2"]}, {"devices": ["/dev/vt2"]})},
        "<path>/dev/vt</path>",
    ),
    "disk": (
        {"source": {"devices": ["/dev/vt1"], "format": "gpt"}, "target": {"path": "/dev"}},
        {"source": ({"format": "dos"}, {"format": "gpt"})},
        "<format type='gpt'/>",
    ),
    "iscsi": (
        {
            "source": {
                "hosts": [{"name": ADDRESS, "port": 3260}],
                "devices": ["iqn.2013-06.com.example:vt"],
                "initiator": "iqn.2013-06.com.example:me",
                "auth": {"type": "chap", "username": "me", "secret_usage": "vt"},
            },
            "target": {"path": "/dev/disk/by-path"},
        },
        {
            "source": (
                {"initiator": "", "auth": {"type": "chap", "username": "you", "secret": "11111111-2222-3333-4444-555555555555"}},
                {"initiator": "iqn.2013-06.com.example:you", "auth": {"type": "chap", "username": "me", "secret_usage": "vt"}},
            )
        },
        "<secret usage='vt'/>",
    ),
    "scsi": (
        {"source": {"adapter": "scsi_host77"}, "target": {"path": "/dev/disk/by-path"}},
        {"source": ({"adapter": "scsi_host78"}, {"adapter": "scsi_host77"})},
        "name='scsi_host77'",
    ),
    "mpath": ({"target": {"path": "/dev/mapper"}}, {"target": ({"path": "/dev/vt"}, {"path": "/dev/mapper"})}, "<path>/dev/mapper</path>"),
}


@pytest.mark.parametrize("kind", TYPES)
def test_each_type_and_its_options(kind):
    options, changes, word = TYPES[kind]
    base = {"name": NAME, "type": kind, "state": "present"}
    cycle(MODULE, {**base, **options})
    assert word in virsh("pool-dumpxml", NAME)
    for name, values in changes.items():
        for value in values:
            cycle(MODULE, {"name": NAME, "state": "present", name: value})
    settled(MODULE, {"state": "present", "xml": virsh("pool-dumpxml", NAME)})


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
