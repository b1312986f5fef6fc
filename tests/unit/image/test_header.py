# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import random
import struct
from collections import Counter
from pathlib import Path

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.image.header import (
    Header,
    Malformed,
    foreign_format,
    is_qcow2,
    needed,
    parse_header,
)

DATA = Path(__file__).parent / "data"
MIB = 1024**2


def captured(name: str) -> bytes:
    return bytes.fromhex((DATA / f"qemu-img-7.2-header-{name}.hex").read_text())


OVERLAY = captured("over")


def patched(offset: int, form: str, *values: object) -> bytes:
    data = bytearray(OVERLAY)
    struct.pack_into(form, data, offset, *values)
    return bytes(data)


def test_an_overlay_of_version_3():
    header = parse_header(OVERLAY)
    assert header == Header(3, 10 * MIB, "base.qcow2", "qcow2", tables_end=header.tables_end)
    assert 0 < header.tables_end < MIB


def test_an_overlay_of_version_2():
    header = parse_header(captured("old"))
    assert (header.version, header.size, header.backing_file, header.backing_format) == (2, 10 * MIB, "base.qcow2", "qcow2")


def test_the_fields_that_matter_for_changes():
    assert parse_header(patched(32, ">I", 2)).encrypted
    assert parse_header(patched(60, ">I", 3)).snapshots == 3
    assert parse_header(patched(72, ">Q", 4)).data_file
    assert parse_header(patched(8, ">Q", 0)).backing_file is None


def test_a_name_far_behind_is_asked_for():
    data = patched(20, ">I", 21)  # clusters of 2 MiB
    data = data[:8] + struct.pack(">QI", 2 * MIB - 20, 10) + data[20:]
    assert needed(data) == 2 * MIB - 10
    with pytest.raises(Malformed, match="ends within the name"):
        parse_header(data)
    assert parse_header(data.ljust(2 * MIB - 20, b"\0") + b"/base.raw!").backing_file == "/base.raw!"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (OVERLAY[:40], "ends within its header"),
        (OVERLAY[:90], "ends within its header"),
        (patched(4, ">I", 1), "version 1"),
        (patched(4, ">I", 4), "version 4"),
        (patched(20, ">I", 8), "2\\^8 bytes"),
        (patched(20, ">I", 60), "2\\^60 bytes"),
        (patched(16, ">I", 2000), "where none can be"),
        (patched(8, ">Q", 2**63), "where none can be"),
        (patched(100, ">I", 2**31), "header has 2147483648 bytes"),
        (OVERLAY.replace(b"base.qcow2", b"base\0qcow2"), "not text"),
        (OVERLAY.replace(b"base.qcow2", b"base\xffqcow2"), "not text"),
        (OVERLAY.replace(b"base.qcow2", b"base\nqcow2"), "not text"),
    ],
)
def test_a_header_that_cannot_be_believed(data, words):
    with pytest.raises(Malformed, match=words):
        parse_header(data)


def test_hostile_bytes_give_a_header_or_malformed_and_nothing_else():
    rng = random.Random(20)  # noqa: S311  # a seed that can be repeated
    outcomes = Counter()
    while sum(outcomes.values()) < 5000:
        data = bytearray(OVERLAY)
        for position in rng.sample(range(4, 200), rng.randint(1, 6)):
            data[position] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        data = data[: rng.choice((len(data), rng.randrange(4, len(data))))]
        try:
            assert needed(bytes(data)) <= 2 * MIB
            outcomes[type(parse_header(bytes(data)))] += 1
        except Malformed:
            outcomes[Malformed] += 1
    assert set(outcomes) == {Header, Malformed}


def test_magic():
    assert is_qcow2(OVERLAY) and not is_qcow2(b"QFI") and not is_qcow2(b"")
    assert foreign_format(b"KDMV....") == "vmdk"
    assert foreign_format(b"vhdxfile") == "vhdx"
    assert foreign_format(OVERLAY) is None and foreign_format(b"\0" * 512) is None
