# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every machine that the tests of this package talk about, by name."""

from __future__ import annotations

from typing import Dict

from kvm_guests import GUESTS
from kvm_machine import Machine
from kvm_metal import METAL

MACHINES: Dict[str, Machine] = {**METAL, **GUESTS}
