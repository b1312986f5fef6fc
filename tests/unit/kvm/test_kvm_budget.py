# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import subprocess
import sys

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.kvm.budget import LONGEST, SHORTEST, WHOLE, for_the_guest, since_start


@pytest.mark.parametrize(("spent", "left"), [(0.0, 2.0), (2.2, 2.0), (2.7, 1.5), (3.24, 1.0), (3.5, 0.7), (4.5, 0.7), (100.0, 0.7)])
def test_the_guest_gets_what_is_left(spent, left):
    assert for_the_guest(spent) == left


def test_the_whole_holds_wherever_the_guest_can_be_given_enough():
    """A second is left after the guest as long as there is more than its shortest time."""
    for tenth in range(36):
        assert tenth / 10 + for_the_guest(tenth / 10) + 0.8 <= WHOLE + 0.05
    assert SHORTEST < LONGEST < WHOLE


def test_the_start_of_the_process_counts():
    """A new Python, which says how old it is before and after a nap. Older is never younger, whatever else this machine does."""
    script = f"""
import sys, time
begun = time.monotonic()
sys.path[:0] = {sys.path!r}
from ansible_collections.virtops.linux.plugins.module_utils.kvm.budget import since_start
time.sleep(0.2)
print(since_start() - (time.monotonic() - begun))
"""
    before_python_ran_ours = float(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout)
    assert -0.05 < before_python_ran_ours < 60
    assert since_start() > 0
