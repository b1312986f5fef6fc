# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Any limits after any others: the host is as with the later ones alone, and check mode said so. VIRTOPS_CGROUP_PAIRS tries more of them.

Runs on whatever the machine has, cgroup v1 or v2. tests/lab has the same for slices.
"""

from __future__ import annotations

import os
from typing import Iterator

import pytest
from support.cgroups import ALONE, NAME, directory, loop_device, pairs, remove_all, without_systemd

PAIRS = int(os.environ.get("VIRTOPS_CGROUP_PAIRS", "60"))
SEED = int(os.environ.get("VIRTOPS_CGROUP_SEED", "8"))


@pytest.fixture
def device(tmp_path) -> Iterator[str]:
    remove_all(NAME, ALONE)
    with loop_device(tmp_path) as path:
        yield path
    remove_all(NAME, ALONE)


def test_pairs(device):
    with without_systemd():
        pairs("v1" if "blkio" in str(directory("blkio")) else "v2", device, PAIRS, SEED)
