# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Libvirt without us: what tests set up, look at and clear away."""

from __future__ import annotations

import shlex
import subprocess
from typing import Optional, Sequence


def virsh(*words: str, stdin: Optional[str] = None) -> str:
    return subprocess.run(["virsh", "-q", "-c", "qemu:///system", *words], input=stdin, capture_output=True, text=True, check=True).stdout


def clear(*commands: Sequence[str]) -> None:
    """For what may be gone already: all of them in one virsh, which goes on where one finds nothing."""
    script = "; ".join(shlex.join(words) for words in commands)
    subprocess.run(["virsh", "-q", "-c", "qemu:///system", script], capture_output=True, check=False)
