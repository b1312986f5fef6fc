# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""qcow2_image_info on real images; what it says of them changes nothing when it is applied."""

from __future__ import annotations

import os

import pytest
from support.hostile import CORPUS
from support.images import MIB, held, qemu_img
from support.modules import apply, check, refused, run_module, settled

MODULE = "qcow2_image_info"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "vt-images"
    made.mkdir()
    return made


def about(*paths, **more):
    result = apply(MODULE, {"paths": [str(path) for path in paths], **more})
    assert not result["changed"]
    again = check(MODULE, {"paths": [str(path) for path in paths], **more})
    assert again["images"] == result["images"] and again["details"] == result["details"]
    return result["images"], {item["path"]: item for item in result["details"]}


def test_what_it_says_is_input_that_changes_nothing(folder):
    for options in (
        {"size": "10M", "cluster_size": "4K", "extended_l2": None, "refcount_bits": 8, "owner": "nobody", "mode": "0640"},
        {"size": "10M", "cluster_size": "128K", "extended_l2": True, "compression_type": "zstd", "lazy_refcounts": True},
        {"size": "10M", "compat": "0.10"},
        {"size": "10M", "encryption": {"format": "luks", "secret": "vt-known", "cipher_alg": "aes-128", "iter_time": 20}},
        *({"size": "10M", "format": format_} for format_ in ("raw", "vmdk", "vdi", "vhdx")),
    ):
        number = len(os.listdir(folder))
        name = f"disk{number}" + (".img" if options.get("format") == "raw" else "")
        apply("qcow2_image", {"path": str(folder / name), **{key: value for key, value in options.items() if value is not None}})
    apply("qcow2_image", {"path": str(folder / "top.qcow2"), "backing_file": "disk0", "size": "20M"})
    (folder / "notes.txt").write_text("no image\n")
    images, details = about(folder, folder / "absent.qcow2")
    assert len(images) == len(details) == 10 and str(folder / "notes.txt") not in details
    for image in images:
        settled("qcow2_image", image)
    assert {item["format"] for item in images if "format" in item} == {"qcow2", "raw", "vmdk", "vdi", "vhdx"}
    assert images[-1] == {"path": str(folder / "absent.qcow2"), "state": "absent"}


def test_chain_dependents_snapshots_and_flags(folder):
    base, middle, top = (folder / f"{name}.qcow2" for name in ("base", "middle", "top"))
    apply("qcow2_image", {"path": str(base), "size": "10M"})
    apply("qcow2_image", {"path": str(middle), "backing_file": "base.qcow2"})
    apply("qcow2_image", {"path": str(top), "backing_file": "middle.qcow2", "size": "20M"})
    qemu_img("snapshot", "-c", "vt-before", top)
    _images, details = about(folder)
    assert [item["path"] for item in details[str(top)]["chain"]] == [str(middle), str(base)]
    assert details[str(base)]["dependents"] == [str(middle)] and details[str(top)]["dependents"] == []
    (snapshot,) = details[str(top)]["snapshots"]
    assert snapshot["name"] == "vt-before" and snapshot["date"] > 1_000_000_000 and snapshot["vm_state_size"] == 0
    assert details[str(top)]["size"] == 20 * MIB and 0 < details[str(top)]["actual_size"] <= details[str(top)]["file_size"]
    whole = base.read_bytes()
    for bit, flag in ((1, "dirty"), (2, "corrupt")):
        base.write_bytes(whole[:79] + bytes([bit]) + whole[80:])
        assert about(base)[1][str(base)][flag] is True
    base.write_bytes(whole)
    assert not any(about(base)[1][str(base)][flag] for flag in ("dirty", "corrupt", "encrypted", "in_use"))


def test_dependents_in_other_folders(folder):
    base, elsewhere = folder / "base.qcow2", folder / "elsewhere"
    elsewhere.mkdir()
    apply("qcow2_image", {"path": str(base), "size": "10M"})
    apply("qcow2_image", {"path": str(elsewhere / "top.qcow2"), "backing_file": str(base)})
    nobody = {"uri": "qemu+unix:///system?socket=/nonexistent/vt-socket"}
    assert about(base, **nobody)[1][str(base)]["dependents"] == []
    assert about(base, dependents_in=[f"{elsewhere}/"], **nobody)[1][str(base)]["dependents"] == [str(elsewhere / "top.qcow2")]


def test_who_holds_it_and_where_it_comes_from(folder):
    base, disk = folder / "base.qcow2", folder / "disk.qcow2"
    apply("qcow2_image", {"path": str(base), "size": "10M"})
    apply("qcow2_image", {"path": str(disk), "source": str(base)})
    with held(disk) as process:
        images, details = about(disk)
        assert details[str(disk)]["used_by"] == [{"pid": process.pid, "command": "qemu-system-x86_64", "guest": "vt-holder"}]
        settled("qcow2_image", images[0])
    assert details[str(disk)]["source"] == str(base)


def test_images_that_must_not_be_used_are_named(folder):
    for name in ("qcow2 on json nbd", "qcow2 of version 99", "vmdk with a hidden descriptor", "vdi with a parent"):
        CORPUS[name][0](folder / name.replace(" ", "-"))
    (folder / "directory").mkdir()
    os.mkfifo(folder / "pipe")
    images, details = about(folder, folder / "pipe")
    assert images == [] and len(details) == 5
    codes = {item["path"].rpartition("/")[2]: item["code"] for item in details.values()}
    assert codes == {
        "qcow2-on-json-nbd": "unsafe_backing_file",
        "qcow2-of-version-99": "image_unreadable",
        "vmdk-with-a-hidden-descriptor": "external_data_file",
        "vdi-with-a-parent": "unexpected_backing_file",
        "pipe": "not_a_regular_file",
    }


def test_refusals():
    refused(MODULE, {"paths": ["images"]}, "invalid_path")
    refused(MODULE, {"paths": ["/images/../etc"]}, "invalid_path")
    refused(MODULE, {"paths": ["/images"], "dependents_in": ["here"]}, "invalid_path")
    assert run_module(MODULE, {})["failed"]
