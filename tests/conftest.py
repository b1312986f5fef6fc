# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Puts the collection and the tests' own support code on the path. `make` has linked the collection into VIRTOPS_COLLECTIONS."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("VIRTOPS_COLLECTIONS", str(ROOT / ".build"))
sys.path[:0] = [os.environ["VIRTOPS_COLLECTIONS"], str(ROOT / "tests")]
