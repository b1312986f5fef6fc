# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every option of qcow2_image on real files: check, apply, check, apply, change, back. The tables below name the test of each.

tests/unit/image/test_every_option.py holds them against the argument specs: an option without a test is an error.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Tuple

import pytest
from support.images import MIB, info, qemu_img, temporaries
from support.modules import apply, cycle, refused

MODULE = "qcow2_image"

#: Options that an image keeps, which change only where it is made anew → a value and another one.
ANEW: Dict[str, Tuple[Any, Any]] = {
    "format": ("raw", "qcow2"),
    "cluster_size": ("4K", "2M"),
    "refcount_bits": (1, 64),
    "extended_l2": (True, False),
    "compression_type": ("zstd", "zlib"),
}
#: Options that have a test of their own → that.
OTHERS = {
    "path": "test_qcow2_image::test_an_image_comes_grows_and_goes",
    "state": "test_qcow2_image::test_an_image_comes_grows_and_goes",
    "compat": "test_qcow2_image::test_options_that_an_image_changes",
    "lazy_refcounts": "test_qcow2_image::test_options_that_an_image_changes",
    "owner": "test_qcow2_image::test_owner_group_and_mode",
    "group": "test_qcow2_image::test_owner_group_and_mode",
    "mode": "test_qcow2_image::test_owner_group_and_mode",
    "backing_file": "test_qcow2_image_rebase::test_a_safe_rebase_there_and_back_and_off",
    "backing_format": "test_qcow2_image_options::test_the_format_of_a_backing_file_there_and_back",
    "source": "test_qcow2_image_source::test_recreate_when_the_source_is_another_one",
    "checksum": "test_qcow2_image_source::test_recreate_when_the_source_is_another_one",
    "source_format": "test_qcow2_image_source::test_every_format_from_and_to",
    "size": "test_qcow2_image_options::test_size_there_and_back",
    "allow_shrink": "test_qcow2_image_shrink::test_what_ends_where",
    "rebase": "test_qcow2_image_rebase::test_a_safe_rebase_there_and_back_and_off",
    "preallocation": "test_qcow2_image::test_preallocation_counts_when_an_image_is_made",
    "trusted": "test_qcow2_image_hostile::test_trusted_opens_the_gate_for_other_files",
    "cache_dir": "test_qcow2_image_source::test_without_checksum_and_without_cache",
    "timeout": "test_qcow2_image_source::test_a_server_that_fails",
    "recreate": "test_qcow2_image_source::test_recreate_for_what_cannot_be_changed_in_place",
    "commit": "test_qcow2_image_shrink::test_commit",
    "dependents_in": "test_qcow2_image_shrink::test_dependents_in_other_folders",
    "uri": "test_qcow2_image_guests::test_dependents_in_the_folders_of_pools_and_guests",
    "force": "test_qcow2_image::test_a_chain_of_overlays",
    "seuser": "test_qcow2_image_selinux::test_contexts_are_set_part_by_part",
    "serole": "test_qcow2_image_selinux::test_contexts_are_set_part_by_part",
    "setype": "test_qcow2_image_selinux::test_contexts_are_set_part_by_part",
    "selevel": "test_qcow2_image_selinux::test_contexts_are_set_part_by_part",
    "encryption": "test_qcow2_image_encryption::test_an_encrypted_image_is_used_with_its_passphrase",
    "encryption.format": "test_qcow2_image_encryption::luks",
    "encryption.secret": "test_qcow2_image_encryption::luks",
    "encryption.secret_file": "test_qcow2_image_encryption::test_a_passphrase_takes_the_place_of_another_and_back",
    "encryption.old_secret": "test_qcow2_image_encryption::test_a_passphrase_takes_the_place_of_another_and_back",
    "encryption.old_secret_file": "test_qcow2_image_encryption::test_a_passphrase_takes_the_place_of_another_and_back",
    "encryption.cipher_alg": "test_qcow2_image_encryption::test_what_an_encrypted_image_is_made_with_and_keeps",
    "encryption.cipher_mode": "test_qcow2_image_encryption::test_what_an_encrypted_image_is_made_with_and_keeps",
    "encryption.hash_alg": "test_qcow2_image_encryption::test_what_an_encrypted_image_is_made_with_and_keeps",
    "encryption.iter_time": "test_qcow2_image_encryption::luks",
}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "vt-images"
    made.mkdir()
    yield made
    assert temporaries(made) == []


@pytest.mark.parametrize("option", ANEW)
def test_kept_and_changed_only_where_it_is_made_anew(folder, option):
    value, other = ANEW[option]
    path = folder / "disk.qcow2"
    first, second = ({"path": str(path), "size": "4M", option: given} for given in (value, other))
    cycle(MODULE, first)
    before = path.read_bytes()
    message = refused(MODULE, second, "cannot_change_in_place", check_mode=True)
    assert message == refused(MODULE, second, "cannot_change_in_place") and option in message
    assert path.read_bytes() == before
    for wanted in (second, first):
        assert option in cycle(MODULE, {**wanted, "recreate": True})["actions"][0]["because"]


def test_the_format_of_a_backing_file_there_and_back(folder):
    """The same bytes, taken for an image and for a raw disk."""
    qemu_img("create", "-q", "-f", "qcow2", folder / "base.qcow2", "4M")
    params = {"path": str(folder / "top.qcow2"), "backing_file": "base.qcow2"}
    apply(MODULE, params)
    for format_ in ("raw", "qcow2", "raw"):
        cycle(MODULE, {**params, "backing_format": format_, "rebase": "unsafe"})
        assert info(params["path"])["backing-filename-format"] == format_


def test_size_there_and_back(folder):
    """An empty partition table says where the contents end."""
    path = folder / "disk.img"
    path.write_bytes(bytes(446) + bytes.fromhex("00000000830000000008000000080000").ljust(64, b"\0") + b"\x55\xaa")
    os.truncate(path, 8 * MIB)
    for size in ("16M", "8M", "16M"):
        cycle(MODULE, {"path": str(path), "format": "raw", "size": size, "allow_shrink": True})
        assert path.stat().st_size == int(size[:-1]) * MIB
