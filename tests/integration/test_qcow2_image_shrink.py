# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""qcow2_image makes images smaller where nothing is lost, and commits overlays to their backing files."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess

import pytest
from support.images import MIB, held, info, qemu_img, qemu_io
from support.modules import apply, cycle, refused, settled

MODULE = "qcow2_image"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "vt-images"
    made.mkdir()
    yield made
    assert [name for name in os.listdir(made) if name.endswith(".tmp")] == []


def tool(name):
    return shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin")


def disk(folder, size=64):
    """An empty raw image of that many MiB."""
    path = folder / "disk.img"
    path.touch()
    os.truncate(path, size * MIB)
    return path


def write(path, position, data):
    with open(path, "r+b") as stream:
        stream.seek(position)
        stream.write(data)


def ext(path):
    subprocess.run([tool("mkfs.ext4"), "-q", "-F", "-b", "4096", path, "10240"], check=True, timeout=60)


def swap(path):
    subprocess.run([tool("mkswap"), path], check=True, capture_output=True, timeout=60)


def mbr(path, *partitions):
    """partitions: type, first sector, number of sectors."""
    entries = b"".join(struct.pack("<B3sB3sII", 0x80, b"", kind, b"", first, count) for kind, first, count in partitions)
    write(path, 446, entries.ljust(64, b"\0") + b"\x55\xaa")


def gpt(path, *partitions):
    """partitions: first and last sector. As a partitioner writes it, but for the sums."""
    last = path.stat().st_size // 512 - 1
    mbr(path, (0xEE, 1, last))
    entries = b"".join(struct.pack("<16s16sQQQ72s", b"t" * 16, b"u" * 16, *ends, 0, b"") for ends in partitions)
    for here, there, table in ((1, last, 2), (last, 1, last - 32)):
        header = struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, here, there, 34, last - 33, b"d" * 16, table, 128, 128, 0)
        write(path, here * 512, header)
        write(path, table * 512, entries)


CONTENTS = {
    "ext": (ext, 40, "the ext file system"),
    "swap": (swap, 64, "the swap space"),
    "mbr": (lambda path: mbr(path, (0x83, 2048, 40960), (0x83, 43008, 38912)), 40, "partition 2"),
    "extended": (lambda path: mbr(path, (5, 2048, 40960)), 21, "partition 1"),
    "gpt": (lambda path: gpt(path, (2048, 43007), (43008, 81919)), 40, "partition 2"),
}


@pytest.mark.parametrize("format_", ["raw", "qcow2"])
@pytest.mark.parametrize("kind", sorted(CONTENTS))
def test_what_ends_where(folder, kind, format_):
    make, end, words = CONTENTS[kind]
    path = disk(folder)
    make(path)
    if format_ == "qcow2":
        qemu_img("convert", "-f", "raw", "-O", "qcow2", path, folder / "disk.qcow2")
        path = folder / "disk.qcow2"
    params = {"path": str(path), "format": format_, "allow_shrink": True}
    for check_mode in (True, False):
        message = refused(MODULE, {**params, "size": f"{end * MIB - 512}"}, "shrink_refused", check_mode)
        assert message.split(": ", 1)[1].startswith(f"{words} in it ends at {end} MiB"), message
    settled(MODULE, {**params, "size": "64M"})
    if end < 64:
        refused(MODULE, {**params, "size": f"{end}M", "allow_shrink": False}, "shrink_refused")
        before = (folder / "disk.img").read_bytes()[: end * MIB]
        result = cycle(MODULE, {**params, "size": f"{end}M"})
        assert result["actions"][0]["action"] == "shrink_image" and result["actions"][0]["loses_backup_table"] == (kind == "gpt")
        assert ("sgdisk -e" in str(result.get("warnings"))) == (kind == "gpt")
        qemu_img("convert", "-f", format_, "-O", "raw", path, folder / "seen")
        assert (folder / "seen").read_bytes() == before
        cycle(MODULE, {**params, "size": "64M"})
        cycle(MODULE, {**params, "size": f"{end}M"})


def test_what_nobody_can_tell(folder):
    path = folder / "disk.qcow2"
    params = {"path": str(path), "size": "8M", "allow_shrink": True}
    apply(MODULE, {"path": str(path), "size": "16M"})
    assert "neither a partition table nor a file system" in refused(MODULE, params, "shrink_refused", check_mode=True)
    for name, data in (("luks", b"LUKS\xba\xbe\0\2"), ("text", b"hello"), ("odd", bytes(446) + b"\1" * 64 + b"\x55\xaa")):
        (folder / name).write_bytes(data + bytes(MIB))
        qemu_io(path, f"write -q -s {folder / name} 0 {len(data)}")
        refused(MODULE, params, "shrink_refused")
    assert info(path)["virtual-size"] == 16 * MIB
    cycle(MODULE, {**params, "recreate": True, "allow_shrink": False})  # the other way, which says that it loses what is there


def test_what_else_keeps_an_image_from_shrinking(folder):
    raw = disk(folder, 16)
    swap(raw)
    os.truncate(raw, 32 * MIB)
    path = folder / "disk.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", raw, path)
    params = {"path": str(path), "size": "20M", "allow_shrink": True}
    refused(MODULE, {**params, "path": str(raw)}, "format_required")
    with held(path):
        assert "vt-holder" in refused(MODULE, params, "image_in_use", check_mode=True)
    qemu_img("snapshot", "-c", "vt", path)
    refused(MODULE, params, "image_has_snapshots", check_mode=True)
    qemu_img("snapshot", "-d", "vt", path)
    qemu_img("create", "-q", "-f", "qcow2", "-b", path, "-F", "qcow2", folder / "top")
    assert "top" in refused(MODULE, params, "image_has_dependents", check_mode=True)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (folder / "top").rename(elsewhere / "top")
    assert "elsewhere/top" in refused(MODULE, {**params, "dependents_in": [str(elsewhere)]}, "image_has_dependents", check_mode=True)
    cycle(MODULE, params)


# Commit


@pytest.fixture
def stack(folder):
    """An overlay on a backing file, and what its guest sees."""
    qemu_img("create", "-q", "-f", "qcow2", folder / "base.qcow2", "16M")
    qemu_io(folder / "base.qcow2", "write -q -P 3 1M 6M")
    qemu_img("create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", folder / "top.qcow2", "24M")
    qemu_io(folder / "top.qcow2", "write -q -P 5 4M 18M")
    qemu_img("convert", "-f", "qcow2", "-O", "raw", folder / "top.qcow2", folder / "seen.img")
    return {"path": str(folder / "top.qcow2"), "state": "absent", "commit": True}


@pytest.mark.parametrize("base_format", ["qcow2", "raw"])
def test_commit(folder, stack, base_format):
    base = folder / "base.qcow2"
    if base_format == "raw":
        qemu_img("convert", "-f", "qcow2", "-O", "raw", base, folder / "base.img")
        base = folder / "base.img"
        qemu_img("rebase", "-u", "-b", "base.img", "-F", "raw", stack["path"])
    result = cycle(MODULE, stack)
    assert [action["action"] for action in result["actions"]] == ["commit_image", "remove_image"]
    assert result["actions"][0]["backing_file"] == str(base)
    qemu_img("compare", "-f", base_format, "-F", "raw", base, folder / "seen.img")
    if base_format == "qcow2":
        qemu_img("check", "-q", "-f", "qcow2", base)
    assert not os.path.exists(stack["path"])


def test_refusals_of_commit(folder, stack):
    base = folder / "base.qcow2"
    before = base.read_bytes()
    refused(MODULE, {**stack, "state": "present"}, "invalid_option_combination")
    refused(MODULE, {**stack, "path": str(base)}, "image_has_dependents")
    qemu_img("create", "-q", "-f", "qcow2", folder / "alone", "1M")
    refused(MODULE, {**stack, "path": str(folder / "alone")}, "no_backing_file")
    qemu_img("create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", folder / "sister")
    for check_mode in (True, False):
        assert "sister" in refused(MODULE, stack, "image_has_dependents", check_mode)
    away = folder / "away"
    away.mkdir()
    (folder / "sister").rename(away / "sister")
    assert "sister" in refused(MODULE, {**stack, "dependents_in": [str(away)]}, "image_has_dependents")
    for image in (base, stack["path"]):
        with held(image):
            assert "vt-holder" in refused(MODULE, stack, "image_in_use", check_mode=True)
    qemu_img("rebase", "-u", "-b", "nbd://127.0.0.1:1/x", "-F", "raw", stack["path"])
    refused(MODULE, stack, "unsafe_backing_file", check_mode=True)
    assert base.read_bytes() == before and os.path.exists(stack["path"])


def test_dependents_in_other_folders(folder, stack):
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    qemu_img("rebase", "-u", "-b", folder / "base.qcow2", "-F", "qcow2", stack["path"])
    shutil.move(stack["path"], elsewhere)
    params = {"path": str(folder / "base.qcow2"), "state": "absent", "dependents_in": [str(elsewhere) + "/", str(folder / "none")]}
    assert str(elsewhere / "top.qcow2") in refused(MODULE, params, "image_has_dependents", check_mode=True)
    refused(MODULE, {**params, "dependents_in": ["here"]}, "invalid_path")
    cycle(MODULE, {**params, "force": True})
