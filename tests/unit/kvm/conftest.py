# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from kvm_bench import Bench
from kvm_machine import NFT


@pytest.fixture
def machine(tmp_path):
    """name → the machine on the bench."""

    def built(name, files=None, script=(NFT,)):
        return Bench(tmp_path, name, files, script)

    return built
