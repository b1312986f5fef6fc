# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.convert import (
    microseconds,
    number_list,
    numbers,
    percent,
    swap_alone,
    weight,
)
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure


@pytest.mark.parametrize(("shares", "linear", "current"), [(256, 10, 35), (512, 20, 59), (1024, 39, 100), (2000, 77, 170), (4096, 157, 303)])
def test_shares_to_weight(shares, linear, current):
    assert weight(shares) == current
    assert weight(shares, linear=True) == linear


@pytest.mark.parametrize("linear", [False, True])
def test_the_ends_of_the_scale(linear):
    assert (weight(2, linear), weight(262144, linear)) == (1, 10000)
    assert all(weight(shares, linear) <= weight(shares + 1, linear) for shares in range(2, 5000))


@pytest.mark.parametrize(("limit", "swap", "alone"), [(-1, -1, -1), (-1, 300, 300), (100, -1, -1), (100, 100, 0), (100, 300, 200)])
def test_swap_alone(limit, swap, alone):
    assert swap_alone(limit, swap) == alone


@pytest.mark.parametrize(("limit", "swap", "code"), [(100, 99, "swap_below_limit"), (400, 300, "swap_below_limit")])
def test_swap_that_cannot_be(limit, swap, code):
    with pytest.raises(Failure) as caught:
        swap_alone(limit, swap)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("quota", "period", "whole"), [(50000, 100000, 50), (150000, 100000, 150), (1001, 100000, 2), (1000, 1000000, 1), (33333, 100000, 34)]
)
def test_whole_percents(quota, period, whole):
    assert percent(quota, period) == whole


@pytest.mark.parametrize(("text", "spelt"), [("0", "0"), ("0,1", "0-1"), ("3,0-1,2", "0-3"), ("0-3,8", "0-3,8"), ("5-5", "5")])
def test_lists_of_numbers(text, spelt):
    found = numbers(text)
    assert found is not None and number_list(found) == spelt


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "3-1", "1,,2", "0-99999999999"])
def test_what_is_no_list_of_numbers(text):
    assert numbers(text) is None


@pytest.mark.parametrize(
    ("text", "value"), [("500ms", 500000), ("1.500000s", 1500000), ("1min 5s", 65000000), ("10us", 10), ("infinity", None), ("", None)]
)
def test_times_as_systemctl_shows_them(text, value):
    assert microseconds(text) == value
