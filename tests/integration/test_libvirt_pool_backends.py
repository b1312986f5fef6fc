# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pools whose back ends this machine need not have: each type by its options, changed and back, in a libvirt of its own."""

from __future__ import annotations

from typing import Iterator

import pytest
from support.modules import cycle, served_by
from support.pool_options import CASES
from support.pool_runs import options_of_a_type
from support.private_libvirt import PrivateLibvirt, private_libvirt
from support.unpacked import laid_over

NAME = "vt-backend"
MODULE = "libvirt_pool"
BACK_ENDS = [f"libvirt-daemon-driver-storage-{name}" for name in ("gluster", "iscsi-direct", "rbd", "zfs")]


@pytest.fixture(scope="module")
def virt() -> Iterator[PrivateLibvirt]:
    with private_libvirt(laid_over("back-ends-of-pools", *BACK_ENDS)) as private, served_by(*private.enter):
        yield private


@pytest.mark.parametrize("case", [name for name, case in CASES.items() if case.unpacked])
def test_each_type_and_its_options(virt: PrivateLibvirt, case: str) -> None:
    options_of_a_type(CASES[case], NAME, virt.virsh)
    cycle(MODULE, {"name": NAME, "state": "absent"})
