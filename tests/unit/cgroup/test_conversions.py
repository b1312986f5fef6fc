# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The conversions against the reference implementations': their published vectors, and their formulas worked out here on their own.

Sources: opencontainers/cgroups, utils.go and utils_test.go at 0.0.5 (shares: the curve; before 0.0.3: the line), and
systemd's CPUQuota= of systemd.resource-control(5).
"""

from __future__ import annotations

import math
import random
from decimal import Decimal, getcontext

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.convert import io_weight, percent, swap_alone, weight
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure

VALUES = 10000
# TestConvertCPUSharesToCgroupV2Value
SHARES = {2: 1, 3: 2, 1024: 100, 262143: 10000, 262144: 10000}
SHARES_OF_OLD = {2: 1, 262144: 10000}
# TestConvertBlkIOToIOWeightValue
BLKIO = {10: 1, 1000: 10000}
# TestConvertMemorySwapToCgroupV2Value: (memory and swap, memory): swap. Where nothing was said (0), nothing is converted here either.
SWAP = {(300, -1): 300, (-1, -1): -1, (-1, 1000): -1, (1000, 1000): 0, (500, 200): 300}
SWAP_REFUSED = [(300, 400)]

getcontext().prec = 60


def _curve(shares: int) -> int:
    """The published formula with sixty digits, where the module has floating point."""
    log = Decimal(shares).ln() / Decimal(2).ln()
    exponent = (log * log + 125 * log) / 612 - Decimal(7) / 34
    return min(max(math.ceil((Decimal(10) ** exponent).quantize(Decimal(1).scaleb(-40))), 1), 10000)


def test_published_vectors():
    assert {shares: weight(shares) for shares in SHARES} == SHARES
    assert {shares: weight(shares, linear=True) for shares in SHARES_OF_OLD} == SHARES_OF_OLD
    assert {value: io_weight(value) for value in BLKIO} == BLKIO
    assert {(both, memory): swap_alone(memory, both) for both, memory in SWAP} == SWAP


@pytest.mark.parametrize(("both", "memory"), SWAP_REFUSED)
def test_published_refusals(both, memory):
    with pytest.raises(Failure):
        swap_alone(memory, both)


def test_shares_on_generated_values():
    rng = random.Random(8)  # noqa: S311
    for shares in [rng.randint(2, 262144) for _value in range(VALUES)]:
        assert weight(shares) == _curve(shares), shares
        assert weight(shares, linear=True) == 1 + ((shares - 2) * 9999) // 262142, shares


def test_every_weight_of_blkio():
    for value in range(10, 1001):
        assert io_weight(value) == 1 + math.floor(Decimal((value - 10) * 9999) / 990)


def test_swap_and_percents_on_generated_values():
    rng = random.Random(8)  # noqa: S311
    for _value in range(VALUES):
        memory, both = rng.randint(1, 2**40), rng.randint(1, 2**40)
        if both >= memory:
            assert swap_alone(memory, both) + memory == both
        else:
            with pytest.raises(Failure):
                swap_alone(memory, both)
        quota, period = rng.randint(1000, 10**7), rng.randint(1000, 10**6)
        assert percent(quota, period) == math.ceil(Decimal(quota) * 100 / period)
