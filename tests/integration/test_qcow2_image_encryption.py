# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""qcow2_image encrypts real images with LUKS, and nobody sees a passphrase."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.images import MIB, held, info, qemu_img, qemu_io, temporaries
from support.modules import apply, check, cycle, refused, run_module, served_by, settled

MODULE = "qcow2_image"
ONE, TWO = "vt-battery staple, 'one'", "vt-zwölf Boxkämpfer"
DEFAULT = {"cipher_alg": "aes-256", "cipher_mode": "xts", "hash_alg": "sha256"}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "vt-images"
    made.mkdir()
    yield made
    assert temporaries(made) == []


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """An encrypted image of 10 MiB, made once: that takes seconds of CPU."""
    path = tmp_path_factory.mktemp("vt-first") / "disk.qcow2"
    made = cycle(MODULE, {"path": str(path), "size": "10M", "encryption": luks(ONE)})
    assert made["resource"]["encryption"] == {
        "format": "luks",
        **DEFAULT,
        "opened_by": ["secret"],
    }
    return path


@pytest.fixture
def disk(first, folder):
    """A copy of it."""
    return Path(shutil.copy(first, folder / "disk.qcow2"))


def luks(secret=None, **more):
    return {"format": "luks", "secret": secret, "iter_time": 20, **more}


def opened(path, secret, command, tmp_path):
    """What qemu-io says of the image, with a passphrase that it reads from a file."""
    (tmp_path / "word").write_text(secret)
    argv = ["qemu-io", "--object", f"secret,id=s,file={tmp_path / 'word'}", "--image-opts", "-c", command]
    done = subprocess.run([*argv, f"driver=qcow2,file.filename={path},encrypt.key-secret=s"], capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


def test_an_encrypted_image_is_used_with_its_passphrase(disk, tmp_path):
    path, params = disk, {"path": str(disk), "size": "10M", "encryption": luks(ONE)}
    settled(MODULE, params)
    assert "wrote" in opened(path, ONE, "write -P 0x5a 9M 1M", tmp_path)
    cycle(MODULE, {**params, "size": "20M"})
    cycle(MODULE, {**params, "size": "20M", "lazy_refcounts": True})
    assert "verification failed" not in opened(path, ONE, "read -P 0x5a 9M 1M", tmp_path)
    assert b"\x5a" * 512 not in path.read_bytes()
    for wrong in ({"encryption": luks(TWO)}, {"encryption": luks(TWO), "recreate": True}):
        for check_mode in (True, False):
            assert "the passphrase does not open it" in refused(MODULE, {"path": str(path), **wrong}, "wrong_secret", check_mode)
    for given in ({"encryption": {}}, {"encryption": luks(ONE, hash_alg="sha1")}):
        refused(MODULE, {"path": str(path), **given}, "cannot_change_in_place", check_mode=True)
    settled(MODULE, {"path": str(path), "encryption": {"format": "luks"}})
    for check_mode in (True, False):
        refused(MODULE, {"path": str(path), "size": "30M"}, "image_encrypted", check_mode)
    with held(path, "encrypt.format=luks", "encrypt.key-secret=key", secret=ONE):
        settled(MODULE, {**params, "size": "20M"})
    table = bytearray(512)
    table[446:462] = bytes.fromhex("00000000830000000008000000200000")  # from sector 2048 on, 8192 of them
    table[510:] = b"\x55\xaa"
    (tmp_path / "table").write_bytes(table)
    assert "wrote" in opened(path, ONE, f"write -s {tmp_path / 'table'} 0 512", tmp_path)
    refused(MODULE, {"path": str(path), "size": "8M", "allow_shrink": True}, "image_encrypted", check_mode=True)
    cycle(MODULE, {**params, "size": "8M", "allow_shrink": True})
    refused(MODULE, {**params, "size": "4M", "allow_shrink": True}, "shrink_refused", check_mode=True)
    assert info(path)["virtual-size"] == 8 * MIB
    cycle(MODULE, {"path": str(path), "state": "absent"})


def test_a_passphrase_takes_the_place_of_another_and_back(folder, disk):
    params = {"path": str(disk), "size": "10M"}
    result = cycle(MODULE, {**params, "encryption": luks(TWO, old_secret=ONE)})
    assert result["actions"] == [{"action": "change_secret", "target": params["path"], "adds": True, "removes": True}]
    refused(MODULE, {**params, "encryption": luks(ONE)}, "wrong_secret")
    (_image,), details = (apply("qcow2_image_info", {"paths": [params["path"]]})[key] for key in ("images", "details"))
    assert details[0]["encryption"]["passphrases"] == 1
    # Killed between its two steps, a run leaves both.
    words = folder / "words"
    words.mkdir()
    for name, word in (("one", ONE), ("two", TWO)):
        (words / name).write_text(word)
    objects = [word for name in ("one", "two") for word in ("--object", f"secret,id={name},file={words / name}")]
    image = f"driver=qcow2,file.filename={params['path']},encrypt.key-secret=two"
    wanted = "encrypt.state=active,encrypt.new-secret=one,encrypt.iter-time=20"
    for _turn in range(20):  # it may fail to measure the CPU
        if not subprocess.run(["qemu-img", "amend", *objects, "--image-opts", "-o", wanted, image], check=False, timeout=60).returncode:
            break
    files = {"secret_file": str(words / "one"), "old_secret_file": str(words / "two")}
    result = cycle(MODULE, {**params, "encryption": luks(**files)})
    assert result["actions"][0]["adds"] is False
    (words / "one").unlink()
    refused(MODULE, {**params, "encryption": luks(**files)}, "secret_missing")
    assert check(MODULE, {**params, "encryption": luks(**files)})["warnings"]
    settled(MODULE, {**params, "encryption": luks(ONE)})


def test_what_an_encrypted_image_is_made_with_and_keeps(disk):
    has, wanted = DEFAULT, {"cipher_alg": "aes-128", "cipher_mode": "cbc", "hash_alg": "sha1"}
    for option, value in wanted.items():
        message = refused(MODULE, {"path": str(disk), "encryption": {"format": "luks", option: value}}, "cannot_change_in_place", check_mode=True)
        assert f"encryption.{option} is {has[option]}" in message
        settled(MODULE, {"path": str(disk), "encryption": {"format": "luks", option: has[option]}})
    result = cycle(MODULE, {"path": str(disk), "encryption": luks(TWO, **wanted), "recreate": True})
    assert result["actions"][0]["because"] == "encryption.cipher_alg is aes-256, and aes-128 is asked for"
    found = info(disk)["format-specific"]["data"]["encrypt"]
    assert {option: found[option.replace("_", "-")] for option in wanted} == wanted


def test_imported_and_larger_than_its_source(folder, tmp_path):
    path, source = folder / "disk,x.qcow2", tmp_path / "source.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", source, "4M")
    qemu_io(source, "write -q -P 7 1M 1M")
    params = {"path": str(path), "source": str(source), "encryption": luks(ONE), "preallocation": "full"}
    cycle(MODULE, {**params, "size": "8M"})
    (folder / "plain.qcow2").symlink_to(path.name)  # a name that qemu-io can be told
    seen = folder / "plain.qcow2"
    assert "verification failed" not in opened(seen, ONE, "read -P 7 1M 1M", tmp_path)
    assert "verification failed" not in opened(seen, ONE, "read -P 0 2M 2M", tmp_path)
    refused(MODULE, {**params, "path": str(folder / "new"), "source": str(path)}, "image_encrypted")
    refused(MODULE, {"path": str(path), "source": str(source), "size": "4M", "recreate": True}, "secret_required")


def test_an_encrypted_overlay_is_rebased_flattened_and_committed(folder, disk, tmp_path):
    base, path = folder / "base.qcow2", disk
    qemu_img("create", "-q", "-f", "qcow2", base, "10M")
    qemu_io(base, "write -q -P 3 0 1M")
    params = {"path": str(path), "encryption": luks(ONE)}
    vault = {"path": str(shutil.copy(disk, folder / "vault.qcow2"))}
    refused(MODULE, {"path": str(path), "backing_file": "base.qcow2", "rebase": "unsafe"}, "image_encrypted", check_mode=True)
    cycle(MODULE, {**params, "backing_file": "base.qcow2", "rebase": "unsafe"})
    assert "wrote" in opened(path, ONE, "write -P 4 2M 1M", tmp_path)
    refused(MODULE, {"path": str(path), "backing_file": "", "rebase": "safe"}, "image_encrypted", check_mode=True)
    cycle(MODULE, {**params, "backing_file": "", "rebase": "safe"})
    for command in ("read -P 3 0 1M", "read -P 4 2M 1M"):
        assert "verification failed" not in opened(path, ONE, command, tmp_path)
    cycle(MODULE, {**params, "backing_file": "base.qcow2", "rebase": "unsafe"})
    os.rename(base, folder / "moved.qcow2")
    cycle(MODULE, {**params, "backing_file": "moved.qcow2", "rebase": "unsafe"})
    os.rename(folder / "moved.qcow2", base)
    cycle(MODULE, {**params, "backing_file": "base.qcow2", "rebase": "unsafe"})
    refused(MODULE, {"path": str(path), "state": "absent", "commit": True}, "image_encrypted", check_mode=True)
    refused(MODULE, {**params, "encryption": luks(TWO), "state": "absent", "commit": True}, "wrong_secret")
    cycle(MODULE, {**params, "state": "absent", "commit": True})
    qemu_io(base, "read -q -P 4 2M 1M")
    # A base that is encrypted itself is stood on, and no more.
    cycle(MODULE, {"path": str(path), "backing_file": vault["path"]})
    for given in ({"backing_file": "", "rebase": "safe"}, {"state": "absent", "commit": True}, {"size": "20M"}, {"lazy_refcounts": True}):
        refused(MODULE, {"path": str(path), **given}, "image_encrypted", check_mode=True)


def test_no_passphrase_is_seen_by_anybody(folder, disk, tmp_path):
    """In no argument, no environment and no file, by every system call of a run; in no result, no diff and no sentence."""
    trace, path = tmp_path / "trace", disk
    source = tmp_path / "source.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", source, "1M")
    qemu_io(source, "write -q -P 7 0 64K")
    secret, old = "vt-nobody-sees-this", ONE
    told = []
    with served_by("strace", "-f", "-qq", "-v", "-s", "65536", "-e", "trace=execve,openat,open,creat,memfd_create", "-o", str(trace)):
        for params in (
            {"size": "20M", "encryption": luks(secret, old_secret=old)},
            {"encryption": luks(old)},
            {"source": str(source), "encryption": luks(secret, hash_alg="sha1"), "recreate": True},
        ):
            for check_mode in (True, False):
                told.append(run_module(MODULE, {"path": str(path), **params}, check=check_mode))
    assert [result["failed"] for result in told] == [False] * 2 + [True] * 2 + [False] * 2
    assert not re.search("vt-nobody|battery", json.dumps(told))
    calls = trace.read_text()
    assert "secret,id=key,file=/proc/self/fd/" in calls and "memfd_create" in calls
    assert not re.search("vt-nobody|battery", calls)
    written = re.findall(r'open(?:at)?\((?:AT_FDCWD, )?"([^"]+)", [^)]*O_CREAT', calls)
    assert written and all(name.startswith((str(folder), "/dev/")) or "/ansible" in name for name in written), sorted(set(written))
    assert not any(secret.encode() in (folder / name).read_bytes() for name in os.listdir(folder))
    for command in ("read -P 7 0 64K", "read -P 0 64K 64K"):
        assert "verification failed" not in opened(path, secret, command, tmp_path)
