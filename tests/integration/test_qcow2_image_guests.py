# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""qcow2_image and what libvirt knows of images: disks that grow under a running guest, and dependents in other folders."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from support.images import MIB, info, qemu_img
from support.modules import apply, cycle, refused, settled

MODULE = "qcow2_image"
NAME = "vt-image-guest"
FOLDER = Path("/var/lib/libvirt/images/vt-image-guest")
GUEST = f"""
<domain type='qemu'>
  <name>{NAME}</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='{FOLDER}/disk.qcow2'/>
      <target dev='vdb' bus='virtio'/>
    </disk>
  </devices>
</domain>
"""
POOL = f"<pool type='dir'><name>{NAME}</name><target><path>{FOLDER}/pool</path></target></pool>"


def virsh(*words, stdin=None, check=True):
    return subprocess.run(["virsh", "-q", "-c", "qemu:///system", *words], input=stdin, capture_output=True, text=True, check=check).stdout


def clear():
    for words in (("destroy", NAME), ("undefine", NAME), ("pool-undefine", NAME)):
        virsh(*words, check=False)
    shutil.rmtree(FOLDER, ignore_errors=True)


@pytest.fixture
def disk(libvirtd):
    clear()
    (FOLDER / "pool").mkdir(parents=True)
    apply(MODULE, {"path": str(FOLDER / "disk.qcow2"), "size": "8M"})
    yield {"path": str(FOLDER / "disk.qcow2")}
    clear()


def test_the_disk_of_a_running_guest_grows_under_it(disk):
    virsh("create", "/dev/stdin", stdin=GUEST)
    for size in (16, 24):
        result = cycle(MODULE, {**disk, "size": f"{size}M"})
        assert result["actions"] == [
            {"action": "grow_guest_disk", "target": disk["path"], "guest": NAME, "disk": "vdb", "from_size": (size - 8) * MIB, "size": size * MIB}
        ]
        assert f"Capacity:       {size * MIB}" in virsh("domblkinfo", NAME, "vdb")
        assert info(disk["path"])["virtual-size"] == size * MIB
    for given in (
        {"size": "8M", "allow_shrink": True},
        {"size": "32M", "lazy_refcounts": True},
        {"state": "absent"},
        {"size": "32M", "uri": "test:///default"},
    ):
        for check_mode in (True, False):
            assert NAME in refused(MODULE, {**disk, **given}, "image_in_use", check_mode)
    settled(MODULE, {**disk, "size": "24M"})


def test_dependents_in_the_folders_of_pools_and_guests(disk):
    overlay = FOLDER / "pool" / "overlay.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-b", disk["path"], "-F", "qcow2", overlay)
    virsh("pool-define", "/dev/stdin", stdin=POOL)
    (details,) = apply("qcow2_image_info", {"paths": [disk["path"]]})["details"]
    assert details["dependents"] == [str(overlay)]
    assert str(overlay) in refused(MODULE, {**disk, "state": "absent"}, "image_has_dependents", check_mode=True)
    virsh("pool-undefine", NAME)
    virsh("define", "/dev/stdin", stdin=GUEST.replace(f"{FOLDER}/disk.qcow2", str(overlay)))
    assert str(overlay) in refused(MODULE, {**disk, "state": "absent"}, "image_has_dependents")
    virsh("undefine", NAME)
    cycle(MODULE, {**disk, "state": "absent", "uri": "qemu+unix:///system?socket=/nonexistent/vt-socket"})  # nobody to ask


def test_disks_of_guests_stay_in_the_cache(disk):
    """Of guests that do not run, too."""
    cache = FOLDER / "cache"
    cache.mkdir(mode=0o700)
    used, free = (cache / f"sha256-{number:064x}" for number in (1, 2))
    for path in (used, free):
        qemu_img("create", "-q", "-f", "qcow2", path, "1M")
    virsh("define", "/dev/stdin", stdin=GUEST.replace(f"{FOLDER}/disk.qcow2", str(used)))
    params = {"path": str(cache), "unused_for": "0d"}
    result = cycle("qcow2_image_cache", params)
    assert [action["target"] for action in result["actions"]] == [str(free)]
    assert result["resource"]["files"][0]["why"] == f"it is needed by the guest {NAME}"
    virsh("undefine", NAME)
    cycle("qcow2_image_cache", params)
