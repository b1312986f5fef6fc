# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A guest with a system of its own that boots in seconds: it shuts down when asked, gives devices back, and moves its balloon."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path

BUILD = Path(__file__).resolve().parents[2] / "roles/tiny_guest/files/build_tiny_guest.py"
CACHE = Path("/var/cache/virtops/tests")
_BOOT_SECONDS = 600  # under emulation on a busy machine


def folder() -> Path:
    """Where its kernel and initramfs are; built where they are not yet."""
    made = CACHE / f"tiny-{hashlib.sha256(BUILD.read_bytes()).hexdigest()[:12]}"
    if not (made / "initrd.img").exists():
        subprocess.run([sys.executable, str(BUILD), str(made)], check=True)
    return made


def await_boot(log: Path, times: int = 1) -> None:
    """Until the guest has said on its console, for the so-manieth time, that it is up."""
    deadline = time.monotonic() + _BOOT_SECONDS
    while not log.exists() or log.read_text(errors="replace").count("virtops-guest alive") < times:
        assert time.monotonic() < deadline, (
            f"no life within {_BOOT_SECONDS} seconds: {log.read_text(errors='replace')[-500:] if log.exists() else log}"
        )
        time.sleep(0.2)
