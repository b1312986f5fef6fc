# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is planned where there is no image yet, or where the one that is there is to be made anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Iterator, List, Optional, Sequence, Tuple

from ..engine.errors import Failure
from ..engine.plan import Action
from .actions import CreateImage, ImportImage, ShrinkImage
from .encryption import DEFAULT_ENCRYPTION, Encryption
from .model import Busy, Desired, Image, Observed, Origin
from .options import DEFAULTS, NO_OPTIONS, check_size, shown
from .source import Digests

#: The mode of a new image where none is asked for: what is on a disk is nobody else's business.
_PRIVATE = "0600"


def make(observed: Observed, desired: Desired, because: Optional[str] = None) -> Tuple[List[Action], Optional[Image]]:
    """A new image, with contents or without. because: why it takes the place of the one that is there, whose owner and mode it keeps."""
    old = observed.image or Image()
    image = Image(
        format=desired.format or old.format or "qcow2",
        owner=observed.owner or desired.owner or old.owner,
        group=observed.group or desired.group or old.group,
        mode=desired.mode or old.mode or _PRIVATE,
        context=desired.context.over(old.context) if observed.selinux else None,
    )
    if desired.backing_format and not desired.backing_file:
        raise Failure(f"{observed.path}: backing_format goes with backing_file; add it, or leave both out", "invalid_option_combination")
    if image.format != "qcow2":
        for name in [*desired.options.given(), *(["backing_file"] if desired.backing_file else [])]:
            raise Failure(f"{observed.path}: a {image.format} image has no {name}; leave it out, or say format: qcow2", "invalid_option_combination")
    image = replace(image, encryption=_encryption(observed, desired))
    if desired.origin:
        return _import(observed, desired, desired.origin, image, because)
    return _create(observed, desired, image, because)


def _encryption(observed: Observed, desired: Desired) -> Optional[Encryption]:
    """What was encrypted does not become readable to everybody because nothing was said."""
    locking = desired.locking
    if locking is None and observed.image and observed.image.encryption:
        raise Failure(f"{observed.path}: encrypted, and is to be made anew; add encryption, which is {{}} for none", "secret_required")
    if locking is None or locking.encryption.format is None:
        return None
    if locking.secret is None:
        raise Failure(f"{observed.path}: a new encrypted image needs a passphrase; add secret or secret_file to encryption", "secret_required")
    return Encryption(**{**DEFAULT_ENCRYPTION.given(), **locking.encryption.given()})


def _import(observed: Observed, desired: Desired, origin: Origin, image: Image, because: Optional[str]) -> Tuple[List[Action], Optional[Image]]:
    path, source_size = observed.path, observed.source_size
    if desired.size is not None:
        check_size(path, desired.size, desired.options.over(DEFAULTS), image.format != "qcow2")
        if source_size is not None and desired.size < source_size:
            raise source_too_large(path, origin, desired.size, source_size)
    if observed.remembers:
        algorithm, _colon, value = (observed.checksum or "").partition(":")
        image = replace(image, made_of=Digests(origin.place.shown, {algorithm: value} if value else {}))
    elif desired.recreate:
        raise Failure(
            f"{path}: its file system keeps no extended attributes, so that nothing can tell later what the image was made of; "
            "leave recreate out, or put the image elsewhere",
            "cannot_remember_source",
        )
    image = replace(image, size=desired.size, options=desired.options)
    action = ImportImage(
        path,
        origin.place.shown,
        origin.checksum.shown if origin.checksum else None,
        image.format or "",
        desired.size,
        desired.options.given(),
        desired.preallocation,
        image.owner,
        image.group,
        image.mode or "",
        because,
        origin,
        image.encryption.given() if image.encryption else None,
        desired.locking,
        (image.context.given() if image.context else None) or None,
    )
    return [action], image


def source_too_large(path: str, origin: Origin, size: int, source_size: int) -> Failure:
    return Failure(
        f"{path}: a size of {shown(size)} would cut off what is in {origin.place.shown}, which has {shown(source_size)}; "
        "leave size out, or give more",
        "size_below_source",
    )


def _create(observed: Observed, desired: Desired, image: Image, because: Optional[str]) -> Tuple[List[Action], Optional[Image]]:
    path, base = observed.path, observed.base
    options = desired.options.over(DEFAULTS) if image.format == "qcow2" else NO_OPTIONS
    size = desired.size
    if size is None and not desired.backing_file and observed.image:
        size = observed.image.size
    if size is None:
        if not desired.backing_file:
            raise Failure(f"{path}: a new image needs a size; write for example size: 20G", "size_required")
        size = base.size if base else None
    if base and base.size is not None and size is not None and size < base.size:
        raise Failure(
            f"{path}: a size of {shown(size)} would cut off its backing file, which has {shown(base.size)}; leave size out, or give more",
            "size_below_backing_file",
        )
    if base and base.busy:
        raise in_use(base.busy, "put another image on top of it")
    if size is not None:
        check_size(path, size, options, image.format != "qcow2")
        if desired.preallocation in ("falloc", "full") and observed.free is not None and size > observed.free:
            raise Failure(
                f"{path}: preallocation takes {shown(size)}, and the file system has {shown(observed.free)} left; "
                "free space there, or put the image elsewhere",
                "no_space",
            )
    image = replace(
        image,
        size=size,
        backing_file=desired.backing_file or None,
        backing_format=(base.format if base else desired.backing_format) if desired.backing_file else None,
        backing_path=base.path if base else None,
        options=options,
    )
    create = CreateImage(
        path,
        image.format or "",
        size,
        image.backing_file,
        image.backing_format,
        options.given(),
        desired.preallocation,
        image.owner,
        image.group,
        image.mode or "",
        because,
        image.encryption.given() if image.encryption else None,
        desired.locking,
        (image.context.given() if image.context else None) or None,
    )
    return [create], image


def warnings(observed: Observed, desired: Desired, actions: List[Action]) -> Iterator[str]:
    if desired.context.given() and not observed.selinux:
        yield f"{observed.path}: this host has no SELinux, where {', '.join(desired.context.given())} would count"
    for action in actions:
        if isinstance(action, ImportImage) and not action.origin.place.secure:
            checksum = action.origin.checksum
            if checksum is None:
                yield f"{action.source}: fetched without encryption and without checksum, so that anyone on the way can change it; give checksum"
            elif checksum.place and not checksum.place.secure:
                yield (
                    f"{action.source}: fetched without encryption, and so is the list of checksums, so that anyone on the way can change both; "
                    "give the digits, or the list by https"
                )
        if isinstance(action, ShrinkImage) and action.loses_backup_table:
            yield f"{action.target}: the second copy of its partition table was at the end and is cut off; write a new one with sgdisk -e, in a guest"


def has_dependents(path: str, dependents: Sequence[str], therefore: str) -> Failure:
    """therefore: the rest of the sentence, from the comma or semicolon on."""
    said = f"{path}: the backing file of {', '.join(dependents)}{therefore}"
    return Failure(said, "image_has_dependents", dependents=list(dependents))


def in_use(busy: Busy, purpose: str) -> Failure:
    who = ", ".join(
        f"the guest {user.guest} (process {user.pid}, {user.command})" if user.guest else f"the process {user.pid} ({user.command})"
        for user in busy.users
    )
    return Failure(
        f"{busy.path}: in use by {who or 'another process, which only root can see'}; stop that first to {purpose}",
        "image_in_use",
        users=[{"pid": user.pid, "command": user.command, "guest": user.guest} for user in busy.users],
    )
