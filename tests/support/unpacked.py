# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Packages of the distribution in a mount namespace alone: this machine does not have them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_SCRIPT = Path(__file__).resolve().parents[2] / "scripts/unpacked"
_CACHE = Path(os.environ["VIRTOPS_COLLECTIONS"]) / "unpacked"


def laid_over(name: str, *packages: str) -> str:
    """What a shell does in the namespace. name: of the folder that keeps them from one run to the next."""
    folder = _CACHE / name
    subprocess.run([str(_SCRIPT), str(folder), *packages], check=True)
    tree = folder / "tree"
    libraries = [path.relative_to(tree) for path in sorted((tree / "usr/lib").iterdir()) if path.is_dir()]
    return "\n".join(f"mount -t overlay vt-unpacked -o lowerdir={tree / path}:/{path} /{path}" for path in libraries)
