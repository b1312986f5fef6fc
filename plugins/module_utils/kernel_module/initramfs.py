# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Initramfs images: a module that is loaded from one gets the options that were copied into it, not those of the file."""

from __future__ import annotations

import re
from typing import List, Optional, Tuple

from ..engine.errors import Failure
from ..engine.host import Host
from .model import fold

#: Image → the kernel's release. Debian and SUSE, then the RedHat family. A rescue image stays as it was made.
_IMAGE = re.compile(r"(?:initrd\.img-|initrd-|initramfs-(?!0-rescue))(?P<release>[0-9][^/]*?)(?:\.img)?")
_BACKUP = (".bak", ".dpkg-bak", ".old", ".old-dkms", ".new", "kdump.img")


#: What makes an image again; {image} and {release} are filled in. update-initramfs comes first: Debian's dracut brings
#: one of its own, which knows where its images are.
_REBUILDERS = (("update-initramfs", "-u", "-k", "{release}"), ("dracut", "--force", "{image}", "{release}"))
_LISTERS = ("lsinitramfs", "lsinitrd")


def _filled(words: Tuple[str, ...], image: str) -> List[str]:
    match = _IMAGE.fullmatch(image.rsplit("/", 1)[-1])
    return [word.format(image=image, release=match["release"] if match else "") for word in words]


def contained(listing: str) -> List[str]:
    """The modules in the listing of an image: one path a line (lsinitramfs), or as ls -l shows it (lsinitrd)."""
    names = (line.split(" -> ", 1)[0].rsplit("/", 1)[-1] for line in listing.splitlines())
    return sorted({fold(name.split(".ko", 1)[0]) for name in names if re.search(r"\.ko(\.(xz|zst|gz))?$", name.strip())})


def images_with(host: Host, module: str) -> Tuple[str, ...]:
    """The images that hold a module. Listing one unpacks it: it takes a second or two."""
    images = [f"/boot/{name}" for name in host.list("/boot") if _IMAGE.fullmatch(name) and not name.endswith(_BACKUP)]
    if not images or not any(host.which(words[0]) for words in _REBUILDERS):
        return ()
    lister = next((name for name in _LISTERS if host.which(name)), None)
    return tuple(image for image in images if _holds(host, lister, image, module))


def _holds(host: Host, lister: Optional[str], image: str, module: str) -> bool:
    """An image that nobody can list counts as holding everything: made again without need, it only costs time."""
    if lister is None:
        return True
    listing = host.run([lister, image], check=False)
    return listing.rc != 0 or module in contained(listing.stdout)


def rebuild_command(host: Host, image: str) -> List[str]:
    return _filled(next((words for words in _REBUILDERS if host.which(words[0])), _REBUILDERS[0]), image)


def rebuild(host: Host, image: str) -> None:
    command = rebuild_command(host, image)
    result = host.run(command, check=False)
    if result.rc:
        raise Failure(
            f"{image}: cannot be rebuilt: {result.complaint}; the module's new options are written, but reach the next boot only"
            f" after {' '.join(command)}",
            "initramfs_failed",
            stderr=result.stderr,
        )
