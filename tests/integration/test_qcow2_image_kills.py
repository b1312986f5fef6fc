# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""qcow2_image, killed by SIGKILL at any instant: the old image or the new one is there and whole, and the next run gets there and clears up."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import stat
import subprocess

import pytest
from support.images import MIB, info, qemu_img, qemu_io, serving, temporaries, whole
from support.kills import Series, working
from support.modules import apply, settled

MODULE = "qcow2_image"


@pytest.fixture
def folder(tmp_path):
    """A folder of its own, in which nothing temporary may be left."""
    made = tmp_path / "vt-images"
    made.mkdir()
    yield made
    assert temporaries(made) == []


@pytest.fixture
def sources(tmp_path):
    """Two images of 20 MiB, each with 4 MiB of data."""
    made = []
    for name, position in (("one", 3), ("two", 9)):
        path, noise = tmp_path / f"{name}.qcow2", tmp_path / "noise"
        noise.write_bytes(random.Random(name).randbytes(4 * MIB))  # noqa: S311  # a seed that can be repeated
        qemu_img("create", "-q", "-f", "qcow2", path, "20M")
        qemu_io(path, f"write -q -s {noise} {position}M 4M")
        noise.unlink()
        made.append(path)
    return made


def making(folder):
    """At work is a run that has its temporary file."""
    return lambda pid: bool(temporaries(folder))


def same(path, other, format_="qcow2"):
    """Whether a guest sees the same in both, of which the first is sound."""
    qemu_img("check", "-q", "-f", "qcow2", path)
    return subprocess.run(["qemu-img", "compare", "-q", "-f", "qcow2", "-F", format_, path, other], check=False, timeout=60).returncode == 0


def finished(folder, options):
    """The run after the killed one gets there, and nothing else is left."""
    apply(MODULE, options)
    settled(MODULE, options)
    assert os.listdir(folder) == [os.path.basename(options["path"])]


def test_create(folder):
    path = folder / "disk.qcow2"
    params = {"path": str(path), "size": "48M", "preallocation": "full", "mode": "0640"}

    def before(turn):
        path.unlink(missing_ok=True)
        return params

    def after(options):
        there = path.exists()
        if there:  # then it is whole
            assert info(path)["virtual-size"] == 48 * MIB and stat.S_IMODE(path.stat().st_mode) == 0o640
            qemu_img("check", "-q", "-f", "qcow2", path)
        finished(folder, options)
        return "new" if there else "none"

    print("create:", Series(MODULE, 7, making(folder)).run(before, after))


def old_or_new(folder, sources, options, turn):
    """What is left of a replacement. Turns alternate between the two sources."""
    new, old = sources[turn % 2], sources[1 - turn % 2]
    left = "new" if same(options["path"], new) else "old"
    assert left == "new" or same(options["path"], old), "neither the old image nor the new one"
    finished(folder, options)
    assert same(options["path"], new)
    return left


def test_convert(folder, sources):
    path, turns = folder / "disk.qcow2", []
    apply(MODULE, {"path": str(path), "source": str(sources[1]), "cluster_size": "4K"})

    def before(turn):
        turns.append(turn)
        return {"path": str(path), "source": str(sources[turn % 2]), "cluster_size": "4K", "recreate": True}

    print("convert:", Series(MODULE, 11, making(folder)).run(before, lambda options: old_or_new(folder, sources, options, turns[-1])))


def test_download(folder, sources, tmp_path):
    cache, path, turns = tmp_path / "vt-cache", folder / "disk.qcow2", []
    packed = [gzip.compress(source.read_bytes(), 1, mtime=0) for source in sources]
    sums = [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in packed]

    def underway(pid):
        return bool(temporaries(folder)) or any(cache.glob("*.part"))

    with serving() as server:
        urls = [server.serve(f"/{number}.gz", whole(data, etag=f'"{number}"', slow=0.002)) for number, data in enumerate(packed)]
        apply(MODULE, {"path": str(path), "source": str(sources[1]), "cluster_size": "4K"})

        def before(turn):
            turns.append(turn)
            wanted = {"source": urls[turn % 2], "checksum": sums[turn % 2] if turn % 8 < 4 else None}
            return {"path": str(path), "cache_dir": str(cache), "recreate": True, "cluster_size": "4K", **wanted}

        def after(options):
            left = old_or_new(folder, sources, options, turns[-1])
            for kept in cache.glob("*"):
                assert not kept.name.endswith((".part", ".json", ".tmp"))
                kept.unlink()
            return left

        print("download:", Series(MODULE, 13, underway).run(before, after))


def test_resize(folder):
    """In place. Small clusters: the first-level table has to move."""
    path, data = folder / "disk.qcow2", folder.parent / "data.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-o", "cluster_size=4K", data, "10M")
    qemu_io(data, "write -q -P 7 1M 2M")

    def before(turn):
        path.write_bytes(data.read_bytes())
        return {"path": str(path), "size": f"{20 + turn % 7 * 400}M"}

    def after(options):
        size, wanted = info(path)["virtual-size"], int(options["size"][:-1]) * MIB
        assert size in (10 * MIB, wanted)
        done = subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", str(path)], check=False, timeout=60)
        assert done.returncode in (0, 3)  # 3: clusters that nothing uses any more, which harm nobody
        finished(folder, options)
        assert info(path)["virtual-size"] == wanted
        qemu_io(path, "read -q -P 7 1M 2M")
        return "new" if size == wanted else "old"

    print("resize:", Series(MODULE, 8, working("resize")).run(before, after))


def test_flatten(tmp_path):
    bases, folder = tmp_path / "bases", tmp_path / "vt-images"
    bases.mkdir()
    folder.mkdir()
    base, overlay, path = bases / "base.qcow2", bases / "overlay.qcow2", folder / "top.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", base, "20M")
    qemu_io(base, "write -q -P 1 0 6M")
    qemu_img("create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", overlay)
    qemu_io(overlay, "write -q -P 2 4M 6M")
    seen = bases / "seen.img"
    qemu_img("convert", "-f", "qcow2", "-O", "raw", overlay, seen)

    def before(turn):
        path.write_bytes(overlay.read_bytes())
        return {"path": str(path), "backing_file": "", "rebase": "safe"}

    def after(options):
        left = "old" if "backing-filename" in info(path) else "new"
        assert same(path, seen, "raw")
        finished(folder, options)
        assert same(path, seen, "raw") and "backing-filename" not in info(path)
        return left

    print("flatten:", Series(MODULE, 5, making(folder)).run(before, after))


def test_commit(tmp_path):
    """Through the image, or the backing file once the image is gone, a guest sees what it saw."""
    folder, origin = tmp_path / "vt-images", tmp_path / "base.qcow2"
    folder.mkdir()
    base, path, seen = folder / "base.qcow2", folder / "top.qcow2", tmp_path / "seen.img"
    overlay = tmp_path / "top.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", origin, "20M")
    qemu_io(origin, "write -q -P 1 0 6M")
    qemu_img("create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", overlay)
    qemu_io(overlay, "write -q -P 2 4M 12M")
    qemu_img("convert", "-f", "qcow2", "-O", "raw", overlay, seen)

    def before(turn):
        base.write_bytes(origin.read_bytes())
        path.write_bytes(overlay.read_bytes())
        return {"path": str(path), "state": "absent", "commit": True}

    def after(options):
        left = "old" if path.exists() else "new"
        for image in (path, base) if path.exists() else (base,):  # 3: clusters that nothing uses any more, which harm nobody
            assert subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", image], check=False, timeout=60).returncode in (0, 3)
        qemu_img("compare", "-f", "qcow2", "-F", "raw", path if path.exists() else base, seen)
        apply(MODULE, options)
        assert os.listdir(folder) == ["base.qcow2"]
        qemu_img("compare", "-f", "qcow2", "-F", "raw", base, seen)
        return left

    print("commit:", Series(MODULE, 3, working("commit")).run(before, after))
