# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""KSM and transparent huge pages of this machine's kernel, put back at the end."""

from __future__ import annotations

import mmap
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.memory_sharing.fields import FIELDS, Field
from ansible_collections.virtops.linux.plugins.module_utils.memory_sharing.model import KEPT_PATH
from support.modules import apply, cycle, refused, run_module, settled, with_option

KEPT = Path(KEPT_PATH)
KSM = Path("/sys/kernel/mm/ksm")
MADV_MERGEABLE = 12
HERE = [field for field in FIELDS if Path(field.path).exists()]


def value(field: Field) -> str:
    return field.parse(Path(field.path).read_text())[0]


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    assert not KEPT.exists(), "this machine's own settings are not to be lost"
    before = {field: value(field) for field in HERE}
    running = (KSM / "run").read_text()
    yield
    KEPT.unlink(missing_ok=True)
    (KSM / "run").write_text("2")  # taken apart, or merge_across_nodes cannot be put back
    for field, text in before.items():
        if value(field) != text:
            Path(field.path).write_text(text)
    (KSM / "run").write_text(running)
    assert {field: value(field) for field in HERE} == before


def others(field: Field) -> Any:
    """Two values of a field that are not the present one."""
    if field.form == "flag":
        return (value(field) != "1", value(field) == "1")
    if field.form == "word":
        offered = field.parse(Path(field.path).read_text())[1]
        return tuple(word for word in offered if word != value(field) and word != "force")[:2] * 2
    return (max(field.lowest, int(value(field)) // 2), max(field.lowest, int(value(field)) // 2) + 1)


def test_every_setting_that_this_kernel_has() -> None:
    """All at once, and then all of them otherwise: a cycle for each of two dozen would take a minute."""
    first: Dict[str, Any] = {}
    second: Dict[str, Any] = {}
    for field in HERE:
        one, other = others(field)[:2]
        if field.key in ("ksm.run", "ksm.advisor_mode"):  # with a test of their own
            continue
        first = with_option(first, field.key, one)
        second = with_option(second, field.key, other)
    for options in (first, second, first):
        result = cycle("memory_sharing", options)
        for group, asked in options.items():
            assert result["resource"][group] == asked == result["resource"]["kept"][group]
    assert len(KEPT.read_text().splitlines()) == len(HERE) - 1


def test_the_file_gives_the_same_again() -> None:
    options = {"ksm": {"sleep_millisecs": 33, "run": False}, "transparent_hugepages": {"defrag": "defer+madvise"}}
    apply("memory_sharing", options)
    (KSM / "sleep_millisecs").write_text("20")
    Path("/sys/kernel/mm/transparent_hugepage/defrag").write_text("never")
    subprocess.run(["systemd-tmpfiles", "--create", str(KEPT)], check=True)
    settled("memory_sharing", options)


def test_persistence() -> None:
    cycle("memory_sharing", {"ksm": {"sleep_millisecs": 33}, "khugepaged": {"pages_to_scan": 100}})
    cycle("memory_sharing", {"ksm": {"sleep_millisecs": 34}, "persistent": False})
    assert "sleep_millisecs - - - - 33" in KEPT.read_text()
    cycle("memory_sharing", {"ksm": {}})
    assert "ksm" not in KEPT.read_text() and "khugepaged" in KEPT.read_text()
    cycle("memory_sharing", {"khugepaged": {}, "transparent_hugepages": {}})
    assert not KEPT.exists()


def test_merging_pages_and_taking_them_apart() -> None:
    pages = mmap.mmap(-1, 64 * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pages.madvise(MADV_MERGEABLE)
    pages.write(b"virtops " * (64 * mmap.PAGESIZE // 8))
    try:
        # A guest beside the tests, whose memory may be merged too, is looked at before ours.
        cycle("memory_sharing", {"ksm": {"run": True, "sleep_millisecs": 1, "pages_to_scan": 20000}})
        deadline = time.monotonic() + 90
        while int((KSM / "pages_sharing").read_text()) < 10:
            assert time.monotonic() < deadline, "nothing was merged within 90 seconds"
            time.sleep(0.1)
        result = cycle("memory_sharing", {"ksm": {"merge_across_nodes": False}})
        assert [action["action"] for action in result["actions"]] == ["unmerge_pages", "set_value", "set_value", "keep_values"]
        assert (KSM / "run").read_text() == "1\n" and (KSM / "merge_across_nodes").read_text() == "0\n"
        cycle("memory_sharing", {"ksm": {"run": False}})
        assert (KSM / "run").read_text() == "0\n"
    finally:
        pages.close()


def test_the_advisor() -> None:
    if not (KSM / "advisor_mode").exists():  # before Linux 6.8
        assert "leave it out" in refused("memory_sharing", {"ksm": {"advisor_mode": "none"}}, "setting_unsupported")
        return
    cycle("memory_sharing", {"ksm": {"advisor_mode": "scan-time"}})
    refused("memory_sharing", {"ksm": {"pages_to_scan": 200}}, "advisor_in_charge")
    cycle("memory_sharing", {"ksm": {"advisor_mode": "none", "pages_to_scan": 500}})


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"ksm": {"max_page_sharing": 1}}, "invalid_value"),
        ({"ksm": {"sleep_millisecs": -1}}, "invalid_value"),
        ({"khugepaged": {"max_ptes_none": 10**6}}, "invalid_value"),
    ],
)
def test_refusals(options, code) -> None:
    refused("memory_sharing", options, code)
    assert not KEPT.exists()


def test_words_that_nobody_knows() -> None:
    result = run_module("memory_sharing", {"transparent_hugepages": {"enabled": "sometimes"}})
    assert result["failed"] and "must be one of" in result["msg"]
