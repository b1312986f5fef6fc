# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A few huge pages of this machine's kernel, given back at the end. Grants that are too small are tested on a model of the kernel."""

from __future__ import annotations

import mmap
import subprocess
from pathlib import Path
from typing import Iterator

import pytest
from support.modules import apply, cycle, option_cycle, refused, settled

SMALL = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
LARGE = Path("/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages")
SYSCTL = Path("/etc/sysctl.d/virtops-hugepages.conf")
TMPFILES = Path("/etc/tmpfiles.d")
MAP_HUGETLB = 0x40000
MIB = 1024**2


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    before = {path: path.read_text() for path in (SMALL, LARGE) if path.exists()}
    yield
    for path, text in before.items():
        path.write_text(text)
        assert path.read_text() == text
    SYSCTL.unlink(missing_ok=True)
    for path in TMPFILES.glob("virtops-hugepages-*"):
        path.unlink()


def test_the_default_size_on_the_whole_host() -> None:
    result = cycle("hugepages", {"count": 3})
    assert result["resource"]["count"] == int(SMALL.read_text()) == int(Path("/proc/sys/vm/nr_hugepages").read_text()) == 3
    assert SYSCTL.read_text().endswith("\nvm.nr_hugepages = 3\n")
    option_cycle("hugepages", {}, "count", 5, 1)
    cycle("hugepages", {"count": 0})
    assert SMALL.read_text() == "0\n" and not SYSCTL.exists()


def test_the_sysctl_file_gives_the_same_again() -> None:
    apply("hugepages", {"count": 3})
    SMALL.write_text("0")
    subprocess.run(["/usr/sbin/sysctl", "--quiet", "--load", str(SYSCTL)], check=True)
    settled("hugepages", {"count": 3})


def test_one_node_and_the_tmpfiles_file_gives_the_same_again() -> None:
    node = {"size": "2MiB", "numa_node": 0}
    option_cycle("hugepages", node, "count", 2, 4)
    file = TMPFILES / "virtops-hugepages-2048kB-node0.conf"
    apply("hugepages", {**node, "count": 4})
    SMALL.write_text("0")
    subprocess.run(["systemd-tmpfiles", "--create", str(file)], check=True)
    settled("hugepages", {**node, "count": 4})
    cycle("hugepages", {**node, "count": 0})
    assert not file.exists()


def test_a_large_page_where_there_is_one() -> None:
    result = apply("hugepages", {"size": "1G", "count": 1, "minimum": 0})
    assert result["resource"]["count"] in (0, 1)
    settled("hugepages", {"size": "1G", "count": 1, "minimum": 0})
    apply("hugepages", {"size": "1G", "count": 0})
    assert LARGE.read_text() == "0\n"


def test_a_minimum_and_no_file() -> None:
    cycle("hugepages", {"count": 4, "minimum": 2})
    cycle("hugepages", {"count": 2, "persistent": False})
    assert "= 4" in SYSCTL.read_text()
    assert "there are 2 of 4" in str(settled("hugepages", {"count": 4, "minimum": 1, "persistent": False})["warnings"])
    cycle("hugepages", {"count": 4, "minimum": 3, "persistent": False})


def test_pages_in_use_stay_with_their_users() -> None:
    apply("hugepages", {"count": 4})
    held = mmap.mmap(-1, 2 * 2 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_HUGETLB)
    try:
        held[0] = held[2 * MIB] = 1
        result = cycle("hugepages", {"count": 1})
        assert result["resource"]["surplus"] == 1 and "2 are in use, so 1 beyond count" in str(result["warnings"])
        settled("hugepages", {"count": 1})
    finally:
        held.close()
    assert settled("hugepages", {"count": 1})["resource"]["surplus"] == 0


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"count": 10**9}, "not_enough_memory"),
        ({"count": 10**9, "numa_node": 0, "minimum": 0}, "not_enough_memory"),
        ({"count": 1, "size": "3M"}, "hugepage_size_unsupported"),
        ({"count": 1, "numa_node": 999}, "numa_node_missing"),
        ({"count": 1, "size": "big"}, "invalid_size"),
        ({"count": -1}, "invalid_count"),
        ({"count": 1, "minimum": 2}, "invalid_minimum"),
        ({"count": 1, "numa_node": -1}, "invalid_numa_node"),
    ],
)
def test_refusals(options, code) -> None:
    before = SMALL.read_text()
    refused("hugepages", options, code)
    assert SMALL.read_text() == before and not SYSCTL.exists()
