# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""qcow2_image on real files, with the real qemu-img and a real qemu that holds an image."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest
from support import modules
from support.images import MIB, held, info, qemu_img, temporaries
from support.modules import apply, check, cycle, option_cycle, refused, settled

MODULE = "qcow2_image"


def header_of(path):
    return info(path)["format-specific"]["data"]


@pytest.fixture
def folder(tmp_path):
    """A folder of its own, in which nothing temporary may be left."""
    made = tmp_path / "vt-images"
    made.mkdir()
    yield made
    assert temporaries(made) == []


@pytest.fixture
def disk(folder):
    """An image of 10 MiB, and the options that keep it."""
    params = {"path": str(folder / "disk.qcow2")}
    apply(MODULE, {**params, "size": "10M"})
    return params


# Making, and what a new image is like


def test_an_image_comes_grows_and_goes(folder):
    params = {"path": str(folder / "disk.qcow2"), "size": "10M"}
    result = cycle(MODULE, params)
    assert result["resource"]["actual_size"] > 0
    assert info(params["path"])["virtual-size"] == 10 * MIB
    grown = cycle(MODULE, {**params, "size": "20M"})
    assert grown["actions"] == [{"action": "grow_image", "target": params["path"], "format": "qcow2", "from_size": 10 * MIB, "size": 20 * MIB}]
    assert info(params["path"])["virtual-size"] == 20 * MIB
    settled(MODULE, {"path": params["path"]})
    cycle(MODULE, {"path": params["path"], "state": "absent"})
    assert not Path(params["path"]).exists()


def test_what_is_in_it_survives_growth(folder, disk):
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 0x5a 9M 1M", disk["path"]], check=True, capture_output=True)
    cycle(MODULE, {**disk, "size": "1G"})
    read = subprocess.run(["qemu-io", "-f", "qcow2", "-c", "read -P 0x5a 9M 1M", disk["path"]], check=True, capture_output=True, text=True)
    assert "verification failed" not in read.stdout
    qemu_img("check", "-f", "qcow2", disk["path"])


@pytest.mark.parametrize(
    ("option", "values", "seen"),
    [
        ("format", ["raw", "qcow2"], lambda path, value: (info(path, value)["format"]) == value),
        ("cluster_size", ["4K", "2M", "512"], lambda path, value: info(path)["cluster-size"] == {"4K": 4096, "2M": 2 * MIB, "512": 512}[value]),
        ("refcount_bits", [1, 64], lambda path, value: header_of(path)["refcount-bits"] == value),
        ("extended_l2", [True, False], lambda path, value: header_of(path)["extended-l2"] is value),
        ("compression_type", ["zstd", "zlib"], lambda path, value: header_of(path)["compression-type"] == value),
    ],
)
def test_options_that_an_image_is_made_with_and_keeps(folder, option, values, seen):
    path = str(folder / "disk.qcow2")
    for value, other in zip(values, [*values[1:], values[0]]):
        cycle(MODULE, {"path": path, "size": "10M", option: value})
        assert seen(path, value)
        before = Path(path).read_bytes()
        message = refused(MODULE, {"path": path, option: other}, "cannot_change_in_place", check_mode=True)
        assert message == refused(MODULE, {"path": path, option: other}, "cannot_change_in_place")
        assert option in message
        assert Path(path).read_bytes() == before
        cycle(MODULE, {"path": path, "state": "absent"})


def test_options_that_an_image_changes(disk):
    option_cycle(MODULE, disk, "lazy_refcounts", True, False)
    assert header_of(disk["path"])["lazy-refcounts"] is True
    option_cycle(MODULE, disk, "compat", "0.10", "1.1")
    assert header_of(disk["path"])["compat"] == "0.10"
    message = refused(MODULE, {**disk, "lazy_refcounts": True}, "invalid_option_combination")
    assert "add compat: '1.1'" in message
    result = cycle(MODULE, {**disk, "lazy_refcounts": True, "compat": "1.1", "size": "30M"})
    assert [action["action"] for action in result["actions"]] == ["amend_image", "grow_image"]
    qemu_img("check", "-f", "qcow2", disk["path"])


@pytest.mark.parametrize("format_", ["qcow2", "raw"])
def test_preallocation_counts_when_an_image_is_made(folder, format_):
    path = folder / "disk"
    allocated = {}
    for value in ("off", "metadata", "falloc", "full") if format_ == "qcow2" else ("off", "falloc", "full"):
        cycle(MODULE, {"path": str(path), "size": "8M", "format": format_, "preallocation": value})
        allocated[value] = path.stat().st_blocks * 512
        settled(MODULE, {"path": str(path), "preallocation": "full" if value == "off" else "off"})
        path.unlink()
    assert allocated["off"] < MIB and allocated["falloc"] >= 8 * MIB and allocated["full"] >= 8 * MIB


def test_sizes_are_rounded_as_qemu_does(folder):
    for format_ in ("qcow2", "raw"):
        params = {"path": str(folder / f"disk.{format_}"), "size": "1000", "format": format_}
        assert cycle(MODULE, params)["resource"]["size"] == 1024
        settled(MODULE, {**params, "size": "1 KiB"})
        assert cycle(MODULE, {**params, "size": "1025"})["resource"]["size"] == 1536
    ragged = folder / "ragged.img"
    ragged.write_bytes(b"x" * 1000)
    settled(MODULE, {"path": str(ragged), "format": "raw", "size": "1000"})


def test_a_raw_image_grows_when_it_is_said_to_be_one(folder):
    path = folder / "notes.txt"
    path.write_text("# Disk DescriptorFile\nRW 2048 FLAT /etc/shadow 0\n")
    settled(MODULE, {"path": str(path)})
    refused(MODULE, {"path": str(path), "size": "1M"}, "format_required", check_mode=True)
    assert path.stat().st_size < 512
    cycle(MODULE, {"path": str(path), "size": "1M", "format": "raw"})
    assert path.stat().st_size == MIB


# Owner and mode


def test_owner_group_and_mode(disk):
    option_cycle(MODULE, disk, "owner", "nobody", "root")
    option_cycle(MODULE, disk, "group", "nogroup", "12345")
    option_cycle(MODULE, disk, "mode", "0640", "604")
    found = os.stat(disk["path"])
    assert stat.S_IMODE(found.st_mode) == 0o640
    settled(MODULE, {**disk, "owner": str(found.st_uid), "group": str(found.st_gid)})
    assert cycle(MODULE, {**disk, "owner": "root", "group": "root"})["actions"] == [
        {"action": "set_owner", "target": disk["path"], "owner": "root", "group": "root"}
    ]


def test_a_new_image_has_them_from_the_start(folder):
    path = folder / "disk.qcow2"
    cycle(MODULE, {"path": str(path), "size": "1M", "owner": "nobody", "group": "nogroup", "mode": "0660"})
    assert (path.owner(), path.group(), stat.S_IMODE(path.stat().st_mode)) == ("nobody", "nogroup", 0o660)
    path.unlink()
    os.chown(folder, 0, 12345)
    folder.chmod(0o2755)
    assert cycle(MODULE, {"path": str(path), "size": "1M"})["resource"]["group"] == "12345"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


# Overlays


def test_a_chain_of_overlays(folder):
    base, middle, top = (str(folder / f"{name}.qcow2") for name in ("base", "middle", "top"))
    cycle(MODULE, {"path": base, "size": "10M"})
    assert cycle(MODULE, {"path": middle, "backing_file": "base.qcow2"})["resource"]["size"] == 10 * MIB
    result = cycle(MODULE, {"path": top, "backing_file": middle, "size": "15M", "cluster_size": "128K", "extended_l2": True})
    assert (result["resource"]["backing_file"], result["resource"]["backing_format"]) == (middle, "qcow2")
    chain = json.loads(qemu_img("info", "--backing-chain", "-f", "qcow2", "--output=json", top))
    assert [(item["filename"], item.get("backing-filename-format")) for item in chain] == [(top, "qcow2"), (middle, "qcow2"), (base, None)]
    assert chain[1]["backing-filename"] == "base.qcow2"
    settled(MODULE, {"path": middle, "backing_file": base})
    settled(MODULE, {"path": middle, "backing_file": "../vt-images/base.qcow2", "backing_format": "qcow2"})
    cycle(MODULE, {"path": top, "size": "20M"})
    for path, option, value in (
        (base, "backing_file", middle),
        (top, "backing_file", base),
        (top, "backing_file", ""),
        (top, "backing_format", "raw"),
    ):
        code = "backing_loop" if path == base else "cannot_change_in_place"
        refused(MODULE, {"path": path, option: value}, code)
    message = refused(MODULE, {"path": base, "state": "absent"}, "image_has_dependents", check_mode=True)
    assert middle in message and top not in message
    refused(MODULE, {"path": base, "state": "absent"}, "image_has_dependents")
    for change in ({"size": "30M"}, {"lazy_refcounts": True}, {"backing_file": "", "rebase": "safe"}):
        for check_mode in (True, False):
            message = refused(MODULE, {"path": middle, **change}, "image_has_dependents", check_mode)
            assert top in message
    cycle(MODULE, {"path": middle, "mode": "0640"})
    cycle(MODULE, {"path": middle, "size": "30M", "force": True})
    cycle(MODULE, {"path": base, "state": "absent", "force": True})
    refused(MODULE, {"path": middle, "size": "40M"}, "backing_missing")
    for path in (middle, top):
        cycle(MODULE, {"path": path, "state": "absent", "force": True})


def test_a_dependent_that_names_its_base_in_json_or_by_protocol(folder, disk):
    """qemu takes such names, and so does whoever loses the base."""
    top = folder / "top.qcow2"
    for name in (f'json:{{"driver":"qcow2","file":{{"driver":"file","filename":"{disk["path"]}"}}}}', f"file:{disk['path']}"):
        qemu_img("create", "-q", "-f", "qcow2", "-u", "-b", name, "-F", "qcow2", top, "10M")
        for change in ({"state": "absent"}, {"size": "20M"}):
            assert str(top) in refused(MODULE, {**disk, **change}, "image_has_dependents", check_mode=True)
    top.unlink()


def test_the_backing_format_is_always_written(folder):
    raw = folder / "base.img"
    raw.write_bytes(bytes(MIB))
    for said, name in (({}, "told"), ({"backing_format": "raw"}, "said")):
        path = str(folder / name)
        cycle(MODULE, {"path": path, "backing_file": "base.img", **said})
        assert info(path)["backing-filename-format"] == "raw"
    inner = folder / "inner.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", inner, "4M")
    path = str(folder / "over")
    result = cycle(MODULE, {"path": path, "backing_file": "inner.qcow2", "backing_format": "raw"})
    assert result["resource"]["size"] == inner.stat().st_size // 512 * 512 + (512 if inner.stat().st_size % 512 else 0)
    refused(MODULE, {"path": str(folder / "x"), "backing_file": "base.img", "backing_format": "qcow2"}, "backing_format_mismatch")
    raw.write_bytes(b"KDMV".ljust(MIB, b"\0"))
    refused(MODULE, {"path": str(folder / "x"), "backing_file": "base.img"}, "unsupported_format")


def test_an_overlay_is_preallocated_with_extended_l2_only(folder, disk):
    params = {"path": str(folder / "top"), "backing_file": "disk.qcow2", "preallocation": "metadata"}
    refused(MODULE, params, "invalid_option_combination", check_mode=True)
    cycle(MODULE, {**params, "extended_l2": True})


def test_refusals_of_a_backing_file(folder, disk):
    new = {"path": str(folder / "new.qcow2")}
    for check_mode in (True, False):
        refused(MODULE, {**new, "backing_file": "disk.qcow2", "size": "9M"}, "size_below_backing_file", check_mode)
        refused(MODULE, {**new, "backing_file": "new.qcow2"}, "backing_loop", check_mode)
        refused(MODULE, {**new, "backing_file": 'json:{"driver":"file","filename":"/etc/shadow"}'}, "unsafe_backing_file", check_mode)
        refused(MODULE, {**new, "backing_file": str(folder)}, "not_a_regular_file", check_mode)
    refused(MODULE, {**new, "backing_file": "none.qcow2"}, "backing_missing")
    predicted = check(MODULE, {**new, "backing_file": "none.qcow2"})
    assert predicted["changed"] and "none.qcow2 does not exist" in str(predicted["warnings"])
    assert os.listdir(folder) == ["disk.qcow2"]


# In use


def test_an_image_in_use_is_left_alone(folder, disk):
    top = {"path": str(folder / "top.qcow2")}
    with held(disk["path"]) as process:
        for options in ({"size": "20M"}, {"lazy_refcounts": True}, {"state": "absent"}, {"state": "absent", "force": True}):
            for check_mode in (True, False):
                message = refused(MODULE, {**disk, **options}, "image_in_use", check_mode)
                assert f"the guest vt-holder (process {process.pid}, qemu-system-x86_64)" in message
        assert refused(MODULE, {**top, "backing_file": "disk.qcow2"}, "image_in_use", check_mode=True)
        assert refused(MODULE, {**top, "backing_file": "disk.qcow2"}, "image_in_use")
        settled(MODULE, {**disk, "size": "10M"})
        refused(MODULE, {**disk, "size": "1M"}, "shrink_refused")
    apply(MODULE, {**top, "backing_file": "disk.qcow2"})
    with held(top["path"]) as process:
        message = refused(MODULE, {**disk, "state": "absent", "force": True}, "image_in_use")
        assert str(process.pid) in message
        # Its backing file is only read by the guest, so that another overlay may stand on it.
        cycle(MODULE, {"path": str(folder / "second.qcow2"), "backing_file": "disk.qcow2"})
    cycle(MODULE, {**disk, "size": "20M", "force": True})


# Refusals


def test_refusals_of_a_new_image(folder):
    new = {"path": str(folder / "new.qcow2"), "size": "10M"}
    for given, code in (
        ({"size": None}, "size_required"),
        ({"size": "0"}, "invalid_size"),
        ({"size": "-5G"}, "invalid_size"),
        ({"size": "9E"}, "invalid_size"),
        ({"size": "9223372036854775807"}, "invalid_size"),
        ({"size": "9223372036854775807", "format": "raw"}, "invalid_size"),
        ({"size": "129G", "cluster_size": "512"}, "invalid_size"),
        ({"size": "12 apples"}, "invalid_size"),
        ({"cluster_size": "3K"}, "invalid_cluster_size"),
        ({"compat": "0.10", "lazy_refcounts": True}, "invalid_option_combination"),
        ({"format": "raw", "extended_l2": True}, "invalid_option_combination"),
        ({"backing_format": "raw"}, "invalid_option_combination"),
        ({"mode": 640}, "invalid_mode"),
        ({"owner": "vt-nobody-at-all"}, "unknown_user"),
        ({"group": "vt-nobody-at-all"}, "unknown_group"),
        ({"path": "images/new.qcow2"}, "invalid_path"),
        ({"path": "nbd://localhost/x"}, "invalid_path"),
        ({"path": str(folder / ("x" * 300))}, "invalid_path"),
    ):
        refused(MODULE, {**new, **given}, code)
    assert os.listdir(folder) == []


def test_a_choice_that_does_not_exist_is_named(folder):
    result = modules.run_module(MODULE, {"path": str(folder / "new"), "size": "1M", "compat": 0.1})
    assert result["failed"] and "compat" in result["msg"] and "0.10, 1.1" in result["msg"]


def test_shrinking_is_refused(disk):
    for check_mode in (True, False):
        message = refused(MODULE, {**disk, "size": "5M"}, "shrink_refused", check_mode)
        assert "10 MiB (10485760 bytes)" in message and "5 MiB (5242880 bytes)" in message
    assert info(disk["path"])["virtual-size"] == 10 * MIB


def test_what_may_still_come_is_predicted(folder, monkeypatch, tmp_path):
    new = {"path": str(folder / "none" / "new.qcow2"), "size": "10M"}
    refused(MODULE, new, "directory_missing")
    predicted = check(MODULE, new)
    assert predicted["changed"] and "none does not exist" in str(predicted["warnings"])
    settled(MODULE, {**new, "state": "absent"})
    (folder / "none").write_text("")
    refused(MODULE, new, "not_a_directory", check_mode=True)
    (folder / "none").unlink()

    without = tmp_path / "python"  # a host on which qemu-img cannot be found: an empty file covers it
    hide = 'mount --bind /dev/null "$(command -v qemu-img)" && exec "$0" "$@"'
    without.write_text(f"#!/bin/sh\nexec unshare --mount sh -c '{hide}' {modules.TARGET_PYTHON} \"$@\"\n")
    without.chmod(0o755)
    monkeypatch.setattr(modules, "TARGET_PYTHON", str(without))
    new = {"path": str(folder / "new.qcow2"), "size": "10M"}
    assert "qemu-utils" in refused(MODULE, new, "tool_missing")
    assert check(MODULE, new)["changed"]
    (folder / "new.qcow2").write_text("")
    assert apply(MODULE, {"path": new["path"], "state": "absent"})["changed"]


# Hostile files


def test_what_is_not_a_regular_file_is_not_opened(folder):
    os.mkfifo(folder / "pipe")
    (folder / "directory").mkdir()
    (folder / "circle").symlink_to("circle")
    (folder / "dangling").symlink_to("nothing")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        for name in ("pipe", "directory", "circle", "dangling", "socket"):
            for options in ({"size": "1M"}, {"state": "absent"}):
                refused(MODULE, {"path": str(folder / name), **options}, "not_a_regular_file")
    refused(MODULE, {"path": "/dev/null", "state": "absent"}, "not_a_regular_file")
    assert len(os.listdir(folder)) == 5


def test_a_link_to_an_image_is_followed_and_not_removed(folder, disk):
    link = folder / "link.qcow2"
    link.symlink_to("disk.qcow2")
    left = folder / ".disk.qcow2.abcdefgh.tmp"  # of a rebase by that link, which makes its copy beside the image
    left.write_text("")
    assert cycle(MODULE, {"path": str(link)})["actions"] == [{"action": "remove_leftovers", "target": str(link), "files": [str(left)]}]
    cycle(MODULE, {"path": str(link), "size": "20M"})
    refused(MODULE, {"path": str(link), "state": "absent"}, "not_a_regular_file")
    assert info(disk["path"])["virtual-size"] == 20 * MIB


def test_damaged_images(folder, disk):
    whole = Path(disk["path"]).read_bytes()
    for name, data in (("header", whole[:40]), ("tables", whole[:70000]), ("version", whole[:4] + b"\0\0\0\7" + whole[8:])):
        path = folder / name
        path.write_bytes(data)
        refused(MODULE, {"path": str(path), "size": "20M"}, "image_unreadable")
        refused(MODULE, {"path": str(folder / "new"), "backing_file": name}, "image_unreadable")
        cycle(MODULE, {"path": str(path), "state": "absent"})


def test_images_that_point_at_something_else(folder, disk):
    evil = folder / "evil.qcow2"
    for name in ('json:{"driver":"file","filename":"/etc/shadow"}', "nbd://127.0.0.1:1/x", "fat:rw:/etc"):
        qemu_img("create", "-q", "-f", "qcow2", "-u", "-b", name, "-F", "raw", evil, "1M")
        for params in ({"path": str(evil), "size": "2M"}, {"path": str(folder / "new"), "backing_file": "evil.qcow2"}):
            refused(MODULE, params, "unsafe_backing_file", check_mode=True)
            refused(MODULE, params, "unsafe_backing_file")
        apply(MODULE, {"path": str(evil), "state": "absent"})
    qemu_img("create", "-q", "-f", "qcow2", "-o", f"data_file={folder / 'data'}", evil, "1M")
    refused(MODULE, {"path": str(evil), "size": "2M"}, "unsupported_format")
    refused(MODULE, {"path": str(folder / "new"), "backing_file": "evil.qcow2"}, "unsupported_format")


def test_a_way_through_a_link_is_followed_as_the_kernel_does(folder):
    (folder / "real" / "sub").mkdir(parents=True)
    (folder / "link").symlink_to("real/sub")
    qemu_img("create", "-q", "-f", "qcow2", folder / "base", "1M")  # where link/../base leads on paper
    qemu_img("create", "-q", "-f", "qcow2", "-u", "-b", "nbd://127.0.0.1:1/x", "-F", "raw", folder / "real" / "base", "1M")
    qemu_img("create", "-q", "-f", "qcow2", "-u", "-b", "link/../base", "-F", "qcow2", folder / "evil", "1M")
    refused(MODULE, {"path": str(folder / "evil"), "size": "2M"}, "unsafe_backing_file")
    refused(MODULE, {"path": str(folder / "new"), "backing_file": "evil"}, "unsafe_backing_file")


def test_a_raw_backing_file_whose_format_would_be_guessed(folder):
    (folder / "base.img").write_bytes(bytes(MIB))
    old = folder / "old.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-b", folder / "base.img", "-F", "raw", old)
    old.write_bytes(old.read_bytes().replace(b"\xe2\x79\x2a\xca", b"\x00\x11\x22\x33"))  # as qemu before 6.1 made them
    message = refused(MODULE, {"path": str(old), "size": "2M"}, "unsafe_backing_file")
    subprocess.run(message.split("with: ")[1].split(), check=True, timeout=60)  # the way out leads out
    cycle(MODULE, {"path": str(old), "size": "2M"})


def test_circles_and_endless_chains(folder):
    for name, below in (("a", "b"), ("b", "a"), ("self", "self"), ("first", "new")):
        qemu_img("create", "-q", "-f", "qcow2", "-u", "-b", below, "-F", "qcow2", folder / name, "1M")
    refused(MODULE, {"path": str(folder / "a"), "size": "2M"}, "backing_loop")
    refused(MODULE, {"path": str(folder / "self"), "size": "2M"}, "backing_loop")
    refused(MODULE, {"path": str(folder / "new"), "backing_file": "a"}, "backing_loop")
    refused(MODULE, {"path": str(folder / "new"), "backing_file": "first"}, "backing_loop")
    qemu_img("create", "-q", "-f", "qcow2", "-u", "-b", "NEXT", "-F", "qcow2", folder / "0000", "1M")
    link = (folder / "0000").read_bytes()
    for number in range(201):
        (folder / f"{number:04}").write_bytes(link.replace(b"NEXT", b"%04d" % (number + 1)))
    qemu_img("create", "-q", "-f", "qcow2", folder / "0201", "1M")
    refused(MODULE, {"path": str(folder / "new"), "backing_file": "0000"}, "backing_chain_too_deep")
    cycle(MODULE, {"path": str(folder / "new"), "backing_file": "0100"})


def test_images_that_qemu_img_has_to_deal_with(folder, disk):
    path = Path(disk["path"])
    whole = path.read_bytes()
    path.write_bytes(whole[:79] + b"\x02" + whole[80:])  # the corrupt bit
    refused(MODULE, {**disk, "size": "20M"}, "image_corrupt", check_mode=True)
    path.write_bytes(whole[:35] + b"\x01" + whole[36:])  # encrypted with AES
    refused(MODULE, {**disk, "size": "20M"}, "image_encrypted", check_mode=True)
    path.write_bytes(whole[:40] + b"\xff" * 8 + whole[48:])  # a first-level table behind the end of everything
    refused(MODULE, {**disk, "size": "20M"}, "image_unreadable", check_mode=True)
    path.write_bytes(whole)
    apply(MODULE, {**disk, "compat": "0.10"})
    qemu_img("snapshot", "-c", "vt-snapshot", path)
    refused(MODULE, {**disk, "size": "20M"}, "image_has_snapshots", check_mode=True)
    cycle(MODULE, {**disk, "size": "20M", "compat": "1.1"})


# Full disks and interrupted runs


@pytest.fixture
def small(folder):
    """A file system of 8 MiB."""
    mounted = folder / "vt-small"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8M", "vt-small", str(mounted)], check=True)
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


@pytest.mark.parametrize("preallocation", ["full", "falloc"])
def test_a_full_disk_leaves_nothing_behind(small, preallocation):
    params = {"path": str(small / "disk.qcow2"), "preallocation": preallocation}
    assert "8 MiB" in refused(MODULE, {**params, "size": "9M"}, "no_space", check_mode=True)  # seen coming
    message = refused(MODULE, {**params, "size": "8M"}, "no_space")  # it is the image's own tables that do not fit
    assert str(small) in message
    assert os.listdir(small) == []
    cycle(MODULE, {**params, "size": "6M"})


def test_what_an_interrupted_run_left_is_cleared(folder, disk):
    left = [folder / f".disk.qcow2.{name}.tmp" for name in ("abcdefgh", "a_b_c_12")]
    others = [folder / name for name in (".disk.abcdefgh.tmpx", ".other.qcow2.abcdefg.tmp", ".disk.qcow2.ABCDEFGH.tmp")]
    for path in (*left, *others):
        path.write_text("")
    result = cycle(MODULE, disk)
    assert result["actions"] == [{"action": "remove_leftovers", "target": disk["path"], "files": sorted(map(str, left))}]
    assert all(path.exists() for path in others)
    left[0].write_text("")
    cycle(MODULE, {**disk, "state": "absent"})
    left[0].write_text("")
    cycle(MODULE, {**disk, "state": "absent"})
    for path in others:
        path.unlink()
