# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The check ids in the module's documentation and on the page of checks are those that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.kvm.checks.table import RULES

ROOT = Path(__file__).resolve().parents[3]
IDS = [rule.id for rule in RULES]


@pytest.mark.parametrize("identity", IDS)
def test_a_check_is_documented(identity):
    assert f"C({identity})" in (ROOT / "plugins/modules/virt_host_info.py").read_text()
    page = (ROOT / "docs/checks.md").read_text()
    assert f"`{identity}`" in page or f"`{identity.split('.')[0]}.*`" in page


def test_no_check_is_documented_that_is_none():
    text = (ROOT / "docs/checks.md").read_text() + (ROOT / "plugins/modules/virt_host_info.py").read_text()
    named = set(re.findall(r"(?:`|C\()((?:platform|cpu|kvm|iommu|device|cgroup|namespace|network|confidential|kernel)\.[a-z_]+)(?:`|\))", text))
    assert named <= set(IDS)
    assert len(IDS) == len(set(IDS))
