# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation fragments: the results that every module returns alike."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
notes:
  - Every run returns RV(ignore:actions), the steps that were done (in check mode, that would be done),
    RV(ignore:resource), the state after them, RV(ignore:pending), the fields that are kept but take effect only
    after a restart, RV(ignore:restart_required), and in diff mode RV(ignore:diff).
  - Every failure has RV(ignore:msg), one sentence with the way out, and RV(ignore:code), a stable word.
"""
