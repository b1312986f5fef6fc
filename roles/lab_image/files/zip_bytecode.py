# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Python compiles of zip files is kept, by a hash of the source.

Ansible sends each module as a zip, of which Python keeps no bytecode: it compiles the same sources anew for each task, which is most of what a
short module costs. Lab machines and the tests' playbooks import this at Python's start. It must not fail, and it needs nothing that Python has
not loaded by then.
"""

import _imp
import marshal
import os
import sys
import zipimport
from _frozen_importlib_external import MAGIC_NUMBER

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "zip_bytecode.kept")
_compile = getattr(zipimport, "_compile_source", None)  # no part of what Python promises


def _kept(source):
    """The place of what is compiled of a source, by this version of Python."""
    return os.path.join(FOLDER, _imp.source_hash(int.from_bytes(MAGIC_NUMBER, "little"), source).hex())


def _load(path, source):
    try:
        with open(_kept(source), "rb") as stream:
            code = marshal.load(stream)  # noqa: S302 - our own, from a folder that only its owner writes to
        _imp._fix_co_filename(code, path)
        return code
    except (OSError, EOFError, ValueError, TypeError):
        return _keep(_compile(path, source), _kept(source))


def _keep(code, place):
    new = f"{place}.{os.getpid()}"
    try:
        os.makedirs(FOLDER, mode=0o700, exist_ok=True)
        with open(new, "wb") as stream:
            marshal.dump(code, stream)
        os.rename(new, place)  # whole or not at all
    except OSError:
        pass  # a full disk, or somebody else's folder
    return code


if _compile is not None and sys.implementation.name == "cpython":
    zipimport._compile_source = _load
