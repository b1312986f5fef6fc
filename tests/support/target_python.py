# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The distribution's Python for playbooks of tests. It runs modules as any other, and keeps what it compiled of them (zip_bytecode)."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

PYTHON = "/usr/bin/python3"
_SOURCE = Path(__file__).resolve().parents[2] / "roles/lab_image/files/zip_bytecode.py"


@lru_cache(maxsize=None)
def folder() -> Path:
    """Where the program is, and what it keeps. A host that sees another place of it under the same name has a program that works there."""
    place = Path(os.environ["VIRTOPS_COLLECTIONS"]).resolve() / "compiled"
    place.mkdir(exist_ok=True)
    for name, text, mode in (("sitecustomize.py", _SOURCE.read_text(), 0o644), ("python3", SCRIPT, 0o755)):
        new = place / f"{name}.{os.getpid()}"
        new.write_text(text)
        new.chmod(mode)
        new.rename(place / name)  # others may be running it
    return place


def interpreter() -> str:
    """For ansible_python_interpreter."""
    return str(folder() / "python3")


SCRIPT = f'#!/bin/sh\nPYTHONPATH="${{0%/*}}${{PYTHONPATH:+:$PYTHONPATH}}" exec {PYTHON} "$@"\n'
