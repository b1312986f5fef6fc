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
from typing import Any, Dict

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.convert import io_weight, percent, swap_alone, weight
from ansible_collections.virtops.linux.plugins.module_utils.cgroup.resource import RESOURCE
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.engine.run import converge
from cgroup_kernel import PAGE, ROOT, CgroupV2, params

VALUES = 10000
# TestConvertCPUSharesToCgroupV2Value
SHARES = {2: 1, 3: 2, 1024: 100, 262143: 10000, 262144: 10000}
SHARES_OF_OLD = {2: 1, 262144: 10000}
# TestConvertBlkIOToIOWeightValue
BLKIO = {10: 1, 1000: 10000}
# TestConvertMemorySwapToCgroupV2Value: (memory and swap, memory): swap
SWAP = {(300, -1): 300, (-1, -1): -1, (-1, 1000): -1, (1000, 1000): 0, (500, 200): 300}
SWAP_REFUSED = [(300, 400)]
# The same table's rows of what was not said (0) or cannot be: they never come to a conversion here, so the module is asked, in pages.
SWAP_UNSAID = {(0, 0): None, (-1, 0): "max"}
SWAP_IMPOSSIBLE = {(-2, 0): "invalid_size", (300, 0): "swap_without_limit", (300, -300): "invalid_size"}

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


def _memory(both: int, memory: int) -> Dict[str, Any]:
    """Resources of a vector. Its 0 is "not said"."""
    said = {"swap": both, "limit": memory}
    return {"memory": {name: number * PAGE if number > 0 else number for name, number in said.items() if number}}


@pytest.mark.parametrize(("vector", "swap"), SWAP_UNSAID.items())
def test_published_vectors_of_what_was_not_said(tmp_path, vector, swap):
    host = CgroupV2(tmp_path, PAGE)
    converge(RESOURCE, host, params({"memory": {"swap_max": 300 * PAGE}}), False)
    converge(RESOURCE, host, params(_memory(*vector)), False)
    assert (host.read(f"{ROOT}/vt/web/memory.swap.max") or "").strip() == (swap or str(300 * PAGE))


@pytest.mark.parametrize(("vector", "code"), SWAP_IMPOSSIBLE.items())
def test_published_refusals_of_what_cannot_be(tmp_path, vector, code):
    with pytest.raises(Failure) as caught:
        converge(RESOURCE, CgroupV2(tmp_path, PAGE), params(_memory(*vector)), False)
    assert caught.value.code == code


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
