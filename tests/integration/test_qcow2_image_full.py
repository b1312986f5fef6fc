# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""qcow2_image on a small loop file system that gets full: a clear error, the old image as it was, and nothing left behind."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from support.images import MIB, info, qemu_img, qemu_io, serving, whole
from support.modules import apply, cycle, refused

MODULE = "qcow2_image"


def noise(path, length):
    path.write_bytes(random.Random(5).randbytes(length))  # noqa: S311  # a seed that can be repeated
    return path


@pytest.fixture
def small(tmp_path):
    """A file system of 16 MiB in a file, without anything in it."""
    image, mounted = tmp_path / "vt-small.img", tmp_path / "vt-small"
    mounted.mkdir()
    with image.open("wb") as stream:
        stream.truncate(16 * MIB)
    subprocess.run([shutil.which("mke2fs", path="/usr/sbin:/sbin"), "-q", "-F", "-O", "^has_journal", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, mounted], check=True)
    try:
        (mounted / "lost+found").rmdir()
        yield mounted
    finally:
        subprocess.run(["umount", mounted], check=True)


def test_a_new_image_and_one_that_is_made_anew(small, tmp_path):
    path = small / "disk.qcow2"
    params = {"path": str(path), "recreate": True}
    refused(MODULE, {"path": str(path), "size": "15900K", "preallocation": "full"}, "no_space")
    assert os.listdir(small) == []
    apply(MODULE, {"path": str(path), "size": "5M"})
    qemu_io(path, "write -q -P 7 0 1M")
    before = path.read_bytes()
    source, packed, little = noise(tmp_path / "noise.raw", 20 * MIB), tmp_path / "noise.gz", tmp_path / "little.qcow2"
    packed.write_bytes(gzip.compress(source.read_bytes(), 1))
    qemu_img("create", "-q", "-f", "qcow2", little, "40M")
    with serving() as server:
        url = server.serve("/noise", whole(source.read_bytes()))
        for given in (
            {"source": str(source), "source_format": "raw"},  # measured
            {"source": str(source), "source_format": "raw", "format": "raw"},
            {"source": str(packed), "source_format": "raw"},  # unpacked
            {"source": url, "source_format": "raw"},  # downloaded
            {"source": str(little), "cluster_size": "4K", "preallocation": "full"},  # made
            {"source": str(little), "format": "raw", "preallocation": "falloc"},
        ):
            assert str(path) in refused(MODULE, {**params, **given}, "no_space")
            assert path.read_bytes() == before and os.listdir(small) == ["disk.qcow2"]
    cycle(MODULE, {**params, "source": str(little), "cluster_size": "4K"})


def test_a_conversion_that_fits_but_for_its_tables(small, tmp_path):
    """What is measured beforehand is about right, and no more."""
    path, source = small / "disk.qcow2", tmp_path / "source.qcow2"
    apply(MODULE, {"path": str(path), "size": "5M"})
    before = path.read_bytes()
    room = os.statvfs(small)
    fits = room.f_bfree * room.f_frsize // 65536 * 65536 - 6 * 65536  # beside them five clusters of tables, but many more of 512 bytes
    noise(tmp_path / "noise", fits)
    qemu_img("create", "-q", "-f", "qcow2", source, "40M")
    qemu_io(source, f"write -q -s {tmp_path / 'noise'} 0 {fits}")
    refused(MODULE, {"path": str(path), "source": str(source), "cluster_size": "512", "refcount_bits": 64, "recreate": True}, "no_space")
    assert path.read_bytes() == before and os.listdir(small) == ["disk.qcow2"]


def test_an_image_that_grows(small):
    """In place: the tables of an image with small clusters have to be larger."""
    path = small / "disk.qcow2"
    params = {"path": str(path), "cluster_size": "512"}
    apply(MODULE, {**params, "size": "2M"})
    qemu_io(path, "write -q -P 7 0 1M")
    (small / "ballast").write_bytes(bytes(os.statvfs(small).f_bfree * os.statvfs(small).f_frsize * 9 // 10))
    refused(MODULE, {**params, "size": "100G"}, "no_space")
    assert info(path)["virtual-size"] == 2 * MIB and sorted(os.listdir(small)) == ["ballast", "disk.qcow2"]
    qemu_img("check", "-q", "-f", "qcow2", path)
    assert "verification failed" not in qemu_io(path, "read -P 7 0 1M")
    (small / "ballast").unlink()
    cycle(MODULE, {**params, "size": "10G"})


@pytest.fixture
def stack(small, tmp_path):
    """A backing file and an overlay with 12 MiB each, somewhere else, and what a guest sees through both."""
    base, top, seen = (tmp_path / name for name in ("base.qcow2", "top.qcow2", "seen.img"))
    qemu_img("create", "-q", "-f", "qcow2", base, "32M")
    qemu_io(base, f"write -q -s {noise(tmp_path / 'noise', 12 * MIB)} 0 12M")
    qemu_img("create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", top)
    qemu_io(top, f"write -q -s {tmp_path / 'noise'} 6M 12M")
    qemu_img("convert", "-f", "qcow2", "-O", "raw", top, seen)
    return base, top, seen


def test_an_overlay_that_is_flattened(small, stack):
    base, _top, _seen = stack
    path = small / "disk.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", path)
    qemu_io(path, "write -q -P 7 20M 3M")
    before = path.read_bytes()
    for below in ("", str(stack[1])):
        refused(MODULE, {"path": str(path), "backing_file": below, "rebase": "safe"}, "no_space")
        assert path.read_bytes() == before and os.listdir(small) == ["disk.qcow2"]


def test_an_overlay_that_is_committed(small, stack):
    """The backing file may have some of it already. Through the overlay a guest sees what it saw, and the next run does the rest."""
    base, top, seen = stack
    path = small / "base.qcow2"
    shutil.copy(base, path)
    qemu_img("rebase", "-u", "-b", path, "-F", "qcow2", top)
    params = {"path": str(top), "state": "absent", "commit": True}
    assert refused(MODULE, params, "no_space").startswith(f"{path}: the file system of {small} has no room")
    assert os.listdir(small) == ["base.qcow2"]
    qemu_img("compare", "-f", "qcow2", "-F", "raw", top, seen)
    qemu_img("check", "-q", "-f", "qcow2", top)
    assert subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", path], check=False).returncode in (0, 3)  # 3: clusters that nothing uses
    roomy = Path(shutil.copy(path, top.with_name("roomy.qcow2")))
    qemu_img("rebase", "-u", "-b", roomy, "-F", "qcow2", top)
    cycle(MODULE, params)
    qemu_img("compare", "-f", "qcow2", "-F", "raw", roomy, seen)
