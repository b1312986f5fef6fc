# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.kvm.probe import judge
from kvm_machines import MACHINES, build


@pytest.fixture
def machine(tmp_path):
    """name → the host and its prober."""

    def built(name, files=None):
        return build(tmp_path, name, files), lambda device: judge("/dev/kvm", MACHINES[name]["guest"])

    return built
