# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Images that nobody should open: every one is refused with its reason, and strace sees that nothing outside is opened."""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from pathlib import Path

import pytest
from support import modules
from support.hostile import CORPUS, honest
from support.images import MIB, info, qemu_img, qemu_io, temporaries
from support.modules import apply, cycle, refused, served_by

MODULE = "qcow2_image"
NO_LIBVIRT = {"uri": "qemu+ssh://elsewhere/system"}  # of another host nothing is asked
OPENED = re.compile(r'\b(?:open|openat|openat2|creat)\((?:AT_FDCWD, |\d+, )?"(?P<path>(?:[^"\\]|\\.)*)".*?\) = (?P<result>-?\d+)')
TRACE = ("strace", "-f", "-qq", "-s", "4096", "-e", "trace=open,openat,openat2,creat,connect", "-o")
#: What every run may open: Python, the module, the libraries of qemu-img, and what the kernel says.
SYSTEM = (
    "/usr/",
    "/lib",
    "/etc/ld.so",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/group",
    "/proc/",
    "/sys/",
    "/dev/null",
    "/dev/urandom",
    "/etc/localtime",
)


def outside(log, *inside):
    """The files that were opened and belong neither to the folder, nor to the collection, nor to the system."""
    text = log.read_text(errors="replace")
    called = [line for line in text.splitlines() if "connect(" in line and not any(word in line for word in ('"/dev/log"', "/nscd/"))]
    assert called == [], "somebody was called"
    paths = {match["path"] for match in OPENED.finditer(text) if int(match["result"]) >= 0}
    return {path for path in paths if not path.startswith((*inside, *SYSTEM, *modules.python_path().split(":"), str(Path(modules.__file__).parent)))}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "vt-images"
    made.mkdir()
    qemu_img("create", "-q", "-f", "qcow2", tmp_path / "vt-decoy.qcow2", "1M")
    yield made
    assert temporaries(made) == []


def test_every_hostile_image_is_refused_and_opens_nothing(tmp_path, folder):
    assert len(CORPUS) >= 40
    evil, log = folder / "evil", tmp_path / "vt-trace"
    with served_by(*TRACE, str(log)):
        for name, (make, code, stated) in CORPUS.items():
            make(evil)
            params = {"path": str(folder / "new"), "source": str(evil), **({"source_format": stated} if stated else {})}
            result = modules.run_module(MODULE, params)
            assert result["failed"], f"{name} was accepted: {result}"
            assert result["code"] == code, f"{name}: {result['code']} and not {code}: {result['msg']}"
            assert result["msg"].startswith(str(evil)) and "\n" not in result["msg"], f"{name}: {result['msg']}"
            assert not (folder / "new").exists() and temporaries(folder) == [], name
    assert outside(log, str(folder)) == set()
    assert str(evil) in log.read_text()  # strace really saw the images being opened


def test_hostile_images_in_place_and_below_others(tmp_path, folder):
    """The same images where the module finds them as the image itself, and as the backing file of a new one; and what is said of them."""
    evil, log = folder / "evil", tmp_path / "vt-trace"
    reasons = Counter()
    with served_by(*TRACE, str(log)):
        for name, (make, code, _stated) in CORPUS.items():
            format_ = name.split(" ", 1)[0]
            if format_ not in ("qcow2", "vmdk", "vdi", "vhdx") or "said to be" in name or "compressed" in name:
                continue
            make(evil)
            before = evil.read_bytes()
            for params in ({"path": str(evil), "size": "2M", "format": format_}, {"path": str(folder / "new"), "backing_file": "evil"}):
                result = modules.run_module(MODULE, {**params, **NO_LIBVIRT}, check=True)
                reasons[result.get("code") or "accepted"] += 1
            result = modules.run_module("qcow2_image_info", {"paths": [str(evil)], **NO_LIBVIRT})
            assert not result["failed"], f"{name}: {result}"
            if format_ != "qcow2" and code not in ("absurd_size", "image_corrupt"):
                assert result["images"] == [] and result["details"][0]["code"], f"{name}: {result}"
            assert evil.read_bytes() == before
    # An image in place may stand on any file of the host. The module itself looks at how that begins, and at no device and no protocol.
    assert outside(log, str(tmp_path)) <= {"/etc/shadow"}
    assert {"unsafe_backing_file", "backing_missing", "backing_loop", "image_unreadable", "unsupported_format"} <= set(reasons), reasons


def test_fuzzed_headers_are_refused_or_sound(tmp_path, folder):
    rng = random.Random(3)  # noqa: S311  # a seed that can be repeated
    evil, log = folder / "evil", tmp_path / "vt-trace"
    outcomes = Counter()
    with served_by(*TRACE, str(log)):
        for format_ in ("qcow2", "vmdk", "vdi", "vhdx"):
            whole = honest(format_, folder)
            fields = [start for start in range(len(whole)) if whole[start] not in (0, 5)]  # and not the guest's data, which are fives
            for _turn in range(8):
                data = bytearray(whole)
                for _change in range(rng.randint(1, 4)):
                    position = rng.choice(fields)
                    data[position : position + 1] = bytes([rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))])
                evil.write_bytes(bytes(data))
                result = modules.run_module(MODULE, {"path": str(folder / "new"), "source": str(evil)})
                assert not result["failed"] or (result["code"] != "internal_error" and "\n" not in result["msg"]), result
                outcomes[result.get("code", "accepted")] += 1
                if not result["failed"]:
                    qemu_img("check", "-q", "-f", "qcow2", folder / "new")
                    (folder / "new").unlink()
    assert outside(log, str(folder)) == set()
    assert len(outcomes) > 2, outcomes


# Trust


def test_trusted_opens_the_gate_for_other_files(folder):
    base, top, path = (folder / name for name in ("base.qcow2", "top.qcow2", "disk.qcow2"))
    qemu_img("create", "-q", "-f", "qcow2", base, "5M")
    qemu_io(base, "write -P 4 1M 1M")
    qemu_img("create", "-q", "-f", "qcow2", "-b", base.name, "-F", "qcow2", top)
    qemu_io(top, "write -P 6 3M 1M")
    params = {"path": str(path), "source": str(top)}
    assert "trusted: true" in refused(MODULE, params, "unexpected_backing_file", check_mode=True)
    cycle(MODULE, {**params, "trusted": True})
    assert "backing-filename" not in info(path)
    qemu_img("compare", "-f", "qcow2", "-F", "qcow2", top, path)
    qemu_img("create", "-q", "-f", "qcow2", "-u", "-b", "json:{}", "-F", "raw", top, "5M")
    refused(MODULE, {**params, "path": str(folder / "new"), "trusted": True}, "unsafe_backing_file")


def test_trusted_takes_a_raw_disk_for_what_it_is_said_to_be(folder):
    """A guest may keep an image on its raw disk, from the first byte on."""
    inner, path = folder / "inner", folder / "disk.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", inner, "5M")
    params = {"path": str(path), "source": str(inner), "source_format": "raw"}
    refused(MODULE, params, "format_mismatch")
    cycle(MODULE, {**params, "trusted": True})
    qemu_img("compare", "-f", "raw", "-F", "qcow2", inner, path)
    assert info(path)["virtual-size"] < MIB


def test_trusted_takes_any_size(folder):
    huge = folder / "huge"
    qemu_img("create", "-q", "-f", "qcow2", huge, "17T")
    params = {"path": str(folder / "disk"), "source": str(huge)}
    refused(MODULE, params, "absurd_size")
    assert apply(MODULE, {**params, "trusted": True})["resource"]["size"] == 17 * 1024**2 * MIB


def test_a_raw_source_has_to_be_said_or_to_have_a_boot_sector(folder):
    source = folder / "source.img"
    source.write_bytes(os.urandom(MIB))
    params = {"path": str(folder / "disk"), "source": str(source)}
    assert "source_format: raw" in refused(MODULE, params, "format_required", check_mode=True)
    cycle(MODULE, {**params, "source_format": "raw"})
    source.write_bytes(b"\0" * 510 + b"\x55\xaa" + os.urandom(MIB))
    cycle(MODULE, {**params, "path": str(folder / "second")})
