# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.engine.units import LARGEST, format_size, human_size, parse_size
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (1048576, 1048576), ("1048576", 1048576), ("1b", 1), ("7 bytes", 7), ("1byte", 1),
        ("1k", 1024), ("1K", 1024), ("1KiB", 1024), ("1KB", 1000), ("1 kb", 1000),
        ("20G", 20 * 1024**3), ("20GiB", 20 * 1024**3), ("20GB", 20 * 10**9), ("1.5G", 3 * 512 * 1024**2),
        ("0.5KB", 500), ("2T", 2 * 1024**4), ("1P", 1024**5), ("7E", 7 * 1024**6), ("0", 0),
    ],
)  # fmt: skip
def test_all_spellings(text, size):
    assert parse_size(text, "size") == size


def test_a_bare_number_counts_the_unit_of_the_option():
    assert parse_size(4, "memory", unit="KiB") == 4096


_NO_SIZES = ["", "G", "-1G", "1 G B", "1Z", "1,5G", "ten", "0x10", "1e3", "0.0001K", "8E", str(LARGEST + 1), "1G; rm", "9" * 5000]


@pytest.mark.parametrize("text", _NO_SIZES)
def test_what_is_no_size_is_one_sentence(text):
    with pytest.raises(Failure, match=r"^size: ") as caught:
        parse_size(text, "size")
    assert caught.value.code == "invalid_size" and "\n" not in caught.value.message and len(caught.value.message) < 200


@given(st.integers(min_value=0, max_value=LARGEST))
def test_a_formatted_size_parses_to_itself(size):
    assert parse_size(format_size(size), "size") == size


def test_for_the_eye():
    assert [human_size(size) for size in (0, 1023, 1536, 25126338560)] == ["0 B", "1023 B", "1.5 KiB", "23.4 GiB"]
