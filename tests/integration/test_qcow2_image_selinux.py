# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""qcow2_image and SELinux contexts, on real files. The kernel of the test need not have SELinux: it keeps the attribute all the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.images import qemu_img, temporaries
from support.modules import apply, check, cycle, refused, run_module, served_by, settled

MODULE = "qcow2_image"
PARTS = {"seuser": "system_u", "serole": "object_r", "setype": "virt_image_t", "selevel": "s0"}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "vt-images"
    made.mkdir()
    yield made
    assert temporaries(made) == []


@pytest.fixture
def selinux():
    """A host with SELinux, as far as a file can tell."""
    there = "mount -t tmpfs vt-selinux /sys/fs && mkdir /sys/fs/selinux && echo 0 > /sys/fs/selinux/enforce"
    with served_by("unshare", "--mount", "sh", "-c", f'{there} && exec "$@"', "sh"):
        yield


def label(path):
    return os.getxattr(path, "security.selinux")


def test_contexts_are_set_part_by_part(folder, selinux):
    path = folder / "disk.qcow2"
    made = cycle(MODULE, {"path": str(path), "size": "1M", **PARTS})
    assert made["actions"][0]["context"] == PARTS and made["resource"]["setype"] == "virt_image_t"
    assert label(path) == b"system_u:object_r:virt_image_t:s0\0"
    for option, value in (("seuser", "unconfined_u"), ("serole", "vt_r"), ("setype", "virt_content_t"), ("selevel", "s0:c1.c3,c7")):
        for wanted in (value, PARTS[option]):
            changed = cycle(MODULE, {"path": str(path), option: wanted})
            assert changed["actions"] == [{"action": "set_context", "target": str(path), "context": {option: wanted}}]
            assert wanted.encode() in label(path)
    settled(MODULE, {"path": str(path)})
    assert label(path) == b"system_u:object_r:virt_image_t:s0\0"


def test_a_context_stays_with_an_image_that_is_made_anew(folder, selinux, tmp_path):
    path, source = folder / "disk.qcow2", tmp_path / "source.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", source, "1M")
    params = {"path": str(path), "source": str(source)}
    cycle(MODULE, {**params, **PARTS})
    cycle(MODULE, {**params, "cluster_size": "4K", "recreate": True})
    assert label(path) == b"system_u:object_r:virt_image_t:s0\0"
    qemu_img("create", "-q", "-f", "qcow2", folder / "base.qcow2", "1M")
    top = folder / "top.qcow2"
    apply(MODULE, {"path": str(top), "backing_file": "base.qcow2", **PARTS, "selevel": "s0:c2"})
    cycle(MODULE, {"path": str(top), "backing_file": "", "rebase": "safe"})
    assert label(top) == b"system_u:object_r:virt_image_t:s0:c2\0"


def test_what_is_no_context(folder, selinux):
    params = {"path": str(folder / "disk.qcow2"), "size": "1M"}
    for given in ({"setype": "a:b"}, {"setype": ""}, {"selevel": "s0 s1"}, {"seuser": "_default"}):
        refused(MODULE, {**params, **given}, "invalid_context", check_mode=True)
    refused(MODULE, {**params, "setype": "virt_image_t"}, "no_context")  # files of this host have no others to leave alone
    assert os.listdir(folder) == []


def test_without_selinux_they_are_without_effect(folder):
    assert not Path("/sys/fs/selinux/enforce").exists()
    params = {"path": str(folder / "disk.qcow2"), "size": "1M", "setype": "virt_image_t"}
    for result in (check(MODULE, params), apply(MODULE, params), run_module(MODULE, params)):
        assert "no SELinux, where setype would count" in str(result["warnings"])
    settled(MODULE, params)
    with pytest.raises(OSError, match="No data available"):
        label(params["path"])
