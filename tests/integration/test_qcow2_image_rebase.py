# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""qcow2_image puts overlays on other backing files, and on none."""

from __future__ import annotations

import shutil

import pytest
from support.images import held, info, qemu_img, qemu_io, temporaries
from support.modules import apply, cycle, refused, settled

MODULE = "qcow2_image"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "vt-images"
    made.mkdir()
    yield made
    assert temporaries(made) == []


@pytest.fixture
def stack(folder):
    """Two backing files that differ, an overlay with data of its own, and a copy of what its guest sees."""
    for name, pattern in (("old", 3), ("new", 4)):
        qemu_img("create", "-q", "-f", "qcow2", folder / f"{name}.qcow2", "24M")
        qemu_io(folder / f"{name}.qcow2", f"write -P {pattern} 1M 6M")
    params = {"path": str(folder / "top.qcow2")}
    apply(MODULE, {**params, "backing_file": "old.qcow2"})
    qemu_io(params["path"], "write -P 5 4M 1M")
    qemu_img("convert", "-f", "qcow2", "-O", "raw", params["path"], folder / "seen.img")
    return params


def unchanged(folder):
    """A guest sees what it saw, and the image is sound."""
    qemu_img("compare", "-f", "qcow2", "-F", "raw", folder / "top.qcow2", folder / "seen.img")
    qemu_img("check", "-q", "-f", "qcow2", folder / "top.qcow2")


def test_a_safe_rebase_there_and_back_and_off(folder, stack):
    message = refused(MODULE, {**stack, "backing_file": "new.qcow2"}, "cannot_change_in_place", check_mode=True)
    assert "say rebase: safe" in message
    for name in ("new.qcow2", "old.qcow2", "", "new.qcow2", ""):
        result = cycle(MODULE, {**stack, "backing_file": name, "rebase": "safe"})
        assert result["actions"][0]["action"] == "rebase_image" and result["actions"][0]["copied"]
        assert info(stack["path"]).get("backing-filename", "") == name
        unchanged(folder)
    settled(MODULE, {**stack, "backing_file": ""})
    settled(MODULE, {**stack, "rebase": "safe", "backing_file": ""})


def test_flattened_and_grown_at_once(folder, stack):
    result = cycle(MODULE, {**stack, "backing_file": "", "rebase": "safe", "size": "30M", "lazy_refcounts": True})
    assert [action["action"] for action in result["actions"]] == ["rebase_image", "amend_image", "grow_image"]
    cycle(MODULE, {"path": str(folder / "old.qcow2"), "state": "absent"})  # nothing stands on it any more
    unchanged(folder)


def test_an_unsafe_rebase_follows_a_backing_file_that_moved(folder, stack):
    (folder / "bases").mkdir()
    shutil.move(folder / "old.qcow2", folder / "bases" / "old.qcow2")
    refused(MODULE, {**stack, "backing_file": "bases/old.qcow2", "rebase": "safe"}, "backing_missing")
    result = cycle(MODULE, {**stack, "backing_file": "bases/old.qcow2", "rebase": "unsafe"})
    assert result["actions"][0]["copied"] is False
    unchanged(folder)
    absolute = str(folder / "bases" / "old.qcow2")
    settled(MODULE, {**stack, "backing_file": absolute, "rebase": "unsafe"})
    qemu_img("create", "-q", "-f", "qcow2", "-u", "-b", "json:{}", "-F", "raw", folder / "evil", "24M")
    refused(MODULE, {**stack, "backing_file": "evil", "rebase": "unsafe"}, "unsafe_backing_file")


def test_refusals_of_rebase(folder, stack):
    for given, code in (
        ({"rebase": "safe"}, "invalid_option_combination"),
        ({"rebase": "unsafe", "backing_file": ""}, "invalid_option_combination"),
        ({"rebase": "safe", "backing_file": "top.qcow2"}, "backing_loop"),
        ({"rebase": "safe", "backing_file": "nbd://127.0.0.1:1/x"}, "unsafe_backing_file"),
        ({"rebase": "safe", "backing_file": "none.qcow2"}, "backing_missing"),
    ):
        refused(MODULE, {**stack, **given}, code)
    with held(stack["path"]):
        refused(MODULE, {**stack, "backing_file": "", "rebase": "safe"}, "image_in_use", check_mode=True)
        refused(MODULE, {**stack, "backing_file": "", "rebase": "safe"}, "image_in_use")
    with held(folder / "new.qcow2"):
        refused(MODULE, {**stack, "backing_file": "new.qcow2", "rebase": "safe"}, "image_in_use", check_mode=True)
    unchanged(folder)
