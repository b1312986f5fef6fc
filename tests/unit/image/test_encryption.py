# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure, NotReady
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Host, Result
from ansible_collections.virtops.linux.plugins.module_utils.image import actions as a
from ansible_collections.virtops.linux.plugins.module_utils.image import plan as p
from ansible_collections.virtops.linux.plugins.module_utils.image import qemu_img, unlocking
from ansible_collections.virtops.linux.plugins.module_utils.image.encryption import DEFAULT_ENCRYPTION, Encryption, Locking, Secret, parse_locking
from ansible_collections.virtops.linux.plugins.module_utils.image.model import Base, Desired, Image, Observed
from ansible_collections.virtops.linux.plugins.module_utils.image.options import DEFAULTS, Options
from ansible_collections.virtops.linux.plugins.module_utils.image.view import view
from support.hosts import FakeHost, converged

PATH = "/images/disk.qcow2"
NEW, OLD = Secret(text="vt-new-word"), Secret(text="vt-old-word")
LOCKING = Locking(Encryption("luks"), NEW)
IMAGE = Image("qcow2", 1024**3, options=DEFAULTS, encryption=DEFAULT_ENCRYPTION)
THERE = Observed(PATH, IMAGE, opens=True)
WISH = Desired(PATH, locking=LOCKING)
LARGER = replace(WISH, size=2 * 1024**3)


def refusal(action, code):
    with pytest.raises(Failure) as caught:
        action()
    assert caught.value.code == code, caught.value.message
    assert "\n" not in caught.value.message and "vt-new-word" not in caught.value.message
    return caught.value.message


def test_a_new_image_is_encrypted_with_what_is_asked_for_and_the_rest_as_always():
    made = converged(p.plan, Observed(PATH), replace(LARGER, locking=replace(LOCKING, encryption=Encryption("luks", hash_alg="sha512"))))
    assert made.actions[0].describe()["encryption"] == {"format": "luks", "cipher_alg": "aes-256", "cipher_mode": "xts", "hash_alg": "sha512"}
    assert view(made.after, LARGER)["encryption"]["opened_by"] == ["secret"]
    refusal(lambda: p.plan(Observed(PATH), replace(LARGER, locking=Locking(Encryption("luks")))), "secret_required")
    assert converged(p.plan, Observed(PATH), replace(LARGER, locking=parse_locking({}))).after.image.encryption is None


def test_no_passphrase_is_shown_by_anything():
    for desired, observed in (
        (LARGER, Observed(PATH)),
        (LARGER, THERE),
        (replace(WISH, locking=replace(LOCKING, old=OLD)), replace(THERE, old_opens=True)),
    ):
        found = p.plan(observed, desired)
        assert found.actions
        told = json.dumps([[action.describe() for action in found.actions], view(found.after, desired)]) + repr(found) + repr(desired)
        assert "-word" not in told


def test_what_an_image_keeps():
    for locking, option in (({"format": "luks", "cipher_mode": "cbc"}, "encryption.cipher_mode"), ({}, "encryption")):
        desired = replace(WISH, locking=parse_locking(locking))
        assert option in refusal(lambda desired=desired: p.plan(THERE, desired), "cannot_change_in_place")
    open_one = replace(THERE, image=replace(IMAGE, encryption=None), opens=None)
    refusal(lambda: p.plan(open_one, WISH), "cannot_change_in_place")
    again = converged(p.plan, open_one, replace(WISH, recreate=True))
    assert again.actions[0].because == "encryption is none, and luks is asked for" and again.actions[0].locking == LOCKING
    smaller = Desired(PATH, size=512, recreate=True)
    refusal(lambda: p.plan(replace(THERE, opens=None), smaller), "secret_required")


def test_a_passphrase_that_does_not_open_it_is_an_error_and_without_one_nothing_is_changed():
    for desired in (WISH, replace(WISH, recreate=True), replace(WISH, present=False, commit=True)):
        observed = replace(THERE, opens=False, base=Base("/images/base", "qcow2"))
        assert "the passphrase does not open it" in refusal(lambda desired=desired, observed=observed: p.plan(observed, desired), "wrong_secret")
    closed = replace(THERE, opens=False, old_opens=False)
    assert "neither" in refusal(lambda: p.plan(closed, replace(WISH, locking=replace(LOCKING, old=OLD))), "wrong_secret")
    without = replace(THERE, opens=None)
    assert converged(p.plan, without, Desired(PATH, mode="0600", locking=Locking(Encryption("luks")))).actions == (a.SetMode(PATH, "0600"),)
    refusal(lambda: p.plan(without, Desired(PATH, size=2 * 1024**3)), "image_encrypted")
    gone = Desired(PATH, present=False, commit=True)
    refusal(lambda: p.plan(replace(without, base=Base("/images/base", "qcow2")), gone), "image_encrypted")
    assert p.plan(replace(without, base=Base("/images/base", "qcow2")), replace(gone, commit=False)).actions == (a.RemoveImage(PATH),)


def test_the_old_way_of_qcow2_is_left_alone():
    old = replace(THERE, image=replace(IMAGE, encryption=Encryption("aes")), opens=None)
    assert "given up" in refusal(lambda: p.plan(old, Desired(PATH, size=2 * 1024**3)), "image_encrypted")


@pytest.mark.parametrize(("opens", "old_opens", "adds"), [(False, True, True), (True, True, False), (True, False, None)])
def test_a_passphrase_takes_the_place_of_another(opens, old_opens, adds):
    desired = replace(LARGER, locking=replace(LOCKING, old=OLD))
    found = converged(p.plan, replace(THERE, opens=opens, old_opens=old_opens), desired)
    grow = a.GrowImage(PATH, "qcow2", 1024**3, 2 * 1024**3, NEW)
    change = () if adds is None else (a.ChangeSecret(PATH, adds, True, NEW, OLD, None),)
    assert found.actions == (*change, grow)
    assert (found.after.opens, found.after.old_opens) == (True, False)


def test_bases_that_are_encrypted_are_neither_read_nor_written():
    base = Base("/images/base", "qcow2", encrypted=True)
    overlay = replace(THERE, base=base, image=replace(IMAGE, backing_file="old", backing_format="qcow2"))
    safe = replace(WISH, backing_file="base", rebase="safe")
    refusal(lambda: p.plan(overlay, safe), "image_encrypted")
    refusal(lambda: p.plan(overlay, replace(WISH, present=False, commit=True)), "image_encrypted")
    assert p.plan(overlay, replace(safe, rebase="unsafe")).actions
    below = replace(overlay, base=None, image=replace(overlay.image, backing_path="/images/old", backing_encrypted=True))
    refusal(lambda: p.plan(below, LARGER), "image_encrypted")
    refusal(lambda: p.plan(replace(below, old_opens=True), replace(WISH, locking=replace(LOCKING, old=OLD))), "image_encrypted")
    assert "/images/old" in refusal(lambda: p.plan(below, replace(safe, backing_file="")), "image_encrypted")


class Seeing(FakeHost):
    """A host that notes each command, and what it reads from the descriptors that it gets."""

    def run(self, argv, stdin=None, timeout=None, check=True, inherit=()):
        self.argv = list(argv)
        self.secrets = [os.pread(handle, 100, 0).decode() for handle in inherit]
        assert all(os.fstat(handle).st_mode & 0o777 == 0o600 for handle in inherit)
        assert stdin is None
        return self.result

    result = Result(0, "", "")


def test_the_passphrase_goes_through_memory(tmp_path):
    host = Seeing(tmp_path, {"/root/word": "vt-in-a-file\n", "/images/a,b": ""})
    with unlocking.way(host, "qcow2", Secret(file="/root/word"), old=OLD) as way:
        assert qemu_img.opens(host, "/images/a,b", way)
    assert host.secrets == ["vt-in-a-file\n", "vt-old-word"]
    assert json.loads(host.argv[-1].partition(":")[2]) == {
        "driver": "qcow2",
        "backing": None,
        "encrypt.key-secret": "key",
        "file": {"driver": "file", "filename": "/images/a,b"},
    }
    assert way.name("/images/a,b") == "driver=qcow2,file.driver=file,file.filename=/images/a,,b,encrypt.key-secret=key"
    assert not any("vt-" in word for word in host.argv)
    for handle in way.inherit:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(handle)


def test_what_does_not_open_it_and_what_cannot_be_read_are_two_things(tmp_path):
    host = Seeing(tmp_path)
    way = unlocking.Way("qcow2", ("--object", "x"))
    host.result = Result(1, "", "qemu-io: can't open: Invalid password, cannot unlock any keyslot\n")
    assert not qemu_img.opens(host, PATH, way)
    host.result = Result(1, "", "qemu-io: can't open: LUKS header is damaged\n")
    refusal(lambda: qemu_img.opens(host, PATH, way), "image_unreadable")


def test_files_that_have_no_passphrase(tmp_path):
    host = Host(str(tmp_path))
    (tmp_path / "bad").write_bytes(b"\xff\xfe")
    (tmp_path / "none").write_bytes(b"")
    (tmp_path / "long").write_bytes(b"x" * 70000)
    for name in ("bad", "none", "long"):
        assert f"/{name}" in refusal(lambda name=name: unlocking.text_of(host, Secret(file=f"/{name}")), "invalid_secret")
    with pytest.raises(NotReady):
        unlocking.text_of(host, Secret(file="/nowhere"))


def test_amended_with_its_key(tmp_path):
    host = Seeing(tmp_path)
    with unlocking.way(host, "qcow2", NEW) as way:
        assert way.head[-1] == "--image-opts"
    assert unlocking.Way("raw").head == ["-f", "raw"] and unlocking.Way("raw").name("/a,b") == "/a,b"
    amended = p.plan(THERE, replace(WISH, options=Options(lazy_refcounts=True))).actions
    assert amended == (a.AmendImage(PATH, {"lazy_refcounts": True}, NEW),)
