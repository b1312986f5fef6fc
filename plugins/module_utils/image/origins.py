# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an image was made of, noted in an extended attribute of its file: it comes and goes with the file, in one rename."""

from __future__ import annotations

import errno
import json
import os
from typing import Optional

from ..engine.host import Host, explained
from .source import DIGITS, Digests

_ATTRIBUTE = "user.virtops.source"
_NO_SUCH_THING = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM)


def remembers(host: Host, directory: str) -> bool:
    """Whether files in that folder can have the attribute."""
    try:
        os.getxattr(host.path(directory), _ATTRIBUTE)
    except OSError as error:
        return error.errno not in _NO_SUCH_THING
    return True


def recall(host: Host, path: str) -> Optional[Digests]:
    """None where nothing, or nothing that can be understood, is noted."""
    try:
        found = json.loads(os.getxattr(host.path(path), _ATTRIBUTE))
        return Digests(str(found["source"]), {name: str(found["sums"][name]) for name in DIGITS if name in found["sums"]})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def note(host: Host, handle: int, path: str, made_of: Digests) -> None:
    """handle: of the file that will be the image path."""
    data = json.dumps({"source": made_of.source, "sums": dict(made_of.sums)}, sort_keys=True).encode()
    with explained("note what it was made of", path):
        try:
            os.setxattr(handle, _ATTRIBUTE, data)
        except OSError as error:
            if error.errno not in _NO_SUCH_THING:
                raise
