# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SELinux contexts of files, in the extended attribute that the kernel keeps them in."""

from __future__ import annotations

import errno
import os
from typing import Optional, Union

from ..engine.errors import Failure
from ..engine.host import Host, explained
from .context import Context, split

_ATTRIBUTE = "security.selinux"
_NONE = (errno.ENODATA, errno.EOPNOTSUPP, errno.ENOSYS)


def enabled(host: Host) -> bool:
    return host.exists("/sys/fs/selinux/enforce")


def read(file: Union[int, str]) -> Optional[Context]:
    """file: a descriptor, or a path of the system. None where it has no context."""
    try:
        return split(os.getxattr(file, _ATTRIBUTE).decode("utf-8", "replace"))
    except OSError as error:
        if error.errno in _NONE:
            return None
        raise


def write(file: Union[int, str], wanted: Context, path: str) -> None:
    """Give a file the parts that are wanted, and leave it the others. path: for sentences.

    Failure C(invalid_context), C(no_context).
    """
    with explained("read its SELinux context", path):
        text = wanted.over(read(file)).text()
    if text is None:
        raise Failure(f"{path}: has no SELinux context yet; give seuser, serole, setype and selevel, all of them", "no_context")
    with explained(f"give it the SELinux context {text}", path):
        try:
            os.setxattr(file, _ATTRIBUTE, text.encode() + b"\0")
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise Failure(f"{path}: the policy of this host has no SELinux context {text}; correct its parts", "invalid_context") from error
            if error.errno == errno.EOPNOTSUPP:
                raise Failure(
                    f"{path}: its file system keeps no SELinux contexts; leave seuser, serole, setype and selevel out", "no_context"
                ) from error
            raise


def keep(host: Host, old: str, handle: int, path: str) -> None:
    """Give a file the context of the one whose place it takes."""
    if enabled(host):
        with explained("read its SELinux context", old):
            context = read(host.path(old))
        if context is not None and context.text() is not None:
            write(handle, context, path)
