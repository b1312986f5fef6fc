# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""qcow2_image_cache on real caches: what nobody used goes, what somebody stands on stays."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time

import pytest
from support.images import held, qemu_img, serving, whole
from support.modules import apply, check, cycle, refused, settled

MODULE = "qcow2_image_cache"
NOBODY = "qemu+unix:///system?socket=/nonexistent/vt-socket"
DAY = 86400


@pytest.fixture
def cache(tmp_path):
    made = tmp_path / "vt-cache"
    made.mkdir(mode=0o700)
    return made


def put(cache, number, days, suffix=""):
    path = cache / f"sha256-{number:064x}{suffix}"
    if suffix != ".part.json":
        qemu_img("create", "-q", "-f", "qcow2", path, "1M")
    else:
        path.write_text("{}")
    os.utime(path, (time.time(), time.time() - days * DAY))  # read just now, which counts for nothing
    return path


def names(result):
    return [file["name"] for file in result["resource"]["files"]]


def test_what_nobody_used_goes(cache, tmp_path):
    """Used is what an image was made of."""
    source = tmp_path / "source.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", source, "1M")
    data = source.read_bytes()
    params = {"path": str(cache), "unused_for": "30d", "uri": NOBODY}
    with serving() as server:
        wanted = {"source": server.serve("/one", whole(data)), "checksum": f"sha256:{hashlib.sha256(data).hexdigest()}", "cache_dir": str(cache)}
        apply("qcow2_image", {"path": str(tmp_path / "first"), **wanted})
        (kept,) = cache.iterdir()
        os.utime(kept, (0, 0))
        apply("qcow2_image", {"path": str(tmp_path / "second"), **wanted})
        assert len(server.seen) == 1
    old, young = put(cache, 1, 31), put(cache, 2, 29)
    unfinished = [put(cache, 3, 31, suffix) for suffix in (".part", ".part.json")]
    foreign = [cache / name for name in ("notes", "sha256-abc", f"sha1-{1:040x}")]
    for path in foreign:
        path.write_text("")
        os.utime(path, (0, 0))
    result = cycle(MODULE, params)
    assert [action["target"] for action in result["actions"]] == [str(old), str(unfinished[0])]
    assert sorted(names(result)) == sorted([kept.name, young.name])
    assert all(file["why"] == "it was used since" for file in result["resource"]["files"])
    assert sorted(os.listdir(cache)) == sorted([kept.name, young.name, *(path.name for path in foreign)])
    for age, left in (("29d", [kept.name]), ("0s", [])):
        assert names(cycle(MODULE, {**params, "unused_for": age})) == left
    settled(MODULE, params)


def test_what_somebody_stands_on_stays(cache, tmp_path):
    folder = tmp_path / "vt-images"
    folder.mkdir()
    based, linked, opened, loading, free = (put(cache, number, 99, ".part" if number == 4 else "") for number in range(1, 6))
    qemu_img("create", "-q", "-f", "qcow2", "-b", based, "-F", "qcow2", folder / "top.qcow2")
    (folder / "link.qcow2").symlink_to(linked)
    params = {"path": str(cache), "unused_for": "1w", "dependents_in": [str(folder)], "uri": NOBODY}
    with held(opened) as process, open(loading, "rb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        result = cycle(MODULE, params)
        assert [action["target"] for action in result["actions"]] == [str(free)]
        why = {file["name"]: file["why"] for file in result["resource"]["files"]}
    assert why == {
        based.name: f"it is needed by {folder / 'top.qcow2'}",
        linked.name: f"it is needed by {folder / 'link.qcow2'}",
        opened.name: f"it is open in vt-holder (process {process.pid})",
        loading.name: "it is being downloaded",
    }
    assert names(cycle(MODULE, params)) == [based.name, linked.name]
    assert names(cycle(MODULE, {**params, "dependents_in": None})) == []


def test_refusals(tmp_path, cache):
    for given, code in (
        ({"unused_for": "a month"}, "invalid_age"),
        ({"unused_for": "-1d"}, "invalid_age"),
        ({"path": "cache"}, "invalid_path"),
        ({"dependents_in": ["images"]}, "invalid_path"),
        ({"path": "/dev/null"}, "not_a_directory"),
    ):
        refused(MODULE, {"path": str(cache), "unused_for": "30d", **given}, code, check_mode=True)
    settled(MODULE, {"path": str(tmp_path / "none"), "unused_for": "30d"})
    assert not check(MODULE, {"path": str(cache), "unused_for": "30d"})["changed"]
