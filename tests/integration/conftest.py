# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What integration tests stand on."""

from __future__ import annotations

from typing import Iterator

import pytest
from support import daemons


@pytest.fixture(scope="session")
def libvirtd() -> Iterator[None]:
    """qemu:///system answers."""
    with daemons.libvirt():
        yield
