# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An image as its file, its header and qemu-img show it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Optional, Sequence, Tuple

from ..engine import accounts
from ..engine.errors import Failure, NotReady
from ..engine.host import Host, explained
from . import fetch, origins, outside, qemu_img, selinux, unlocking
from .chain import dependents, follow
from .encryption import Secret
from .files import Entry, beginning, gate, leftovers, read_header
from .formats import FIRST_LOOK, detect
from .guests import Guests
from .header import is_qcow2
from .layout import LOOK, Layout, layout
from .locks import busy
from .model import Base, Desired, Image, Observed
from .plan_changing import may_change
from .plan_shrinking import shrinks
from .source import same_source


def read(host: Host, desired: Desired, guests: Guests) -> Observed:
    entry = gate(host, desired.path)
    return _to_keep(host, desired, entry, guests) if desired.present else _to_remove(host, desired, entry, guests)


def _folders(host: Host, desired: Desired, guests: Guests) -> Tuple[str, ...]:
    """Where dependents are looked for besides the folder of the image."""
    return (*desired.folders, *guests.folders(host, desired.uri))


def _to_remove(host: Host, desired: Desired, entry: Optional[Entry], guests: Guests) -> Observed:
    """qemu-img is not needed to remove a file, nor need its contents be sound."""
    path = desired.path
    if entry is None:
        return Observed(path, leftovers=leftovers(host, path))
    format_ = "qcow2" if is_qcow2(beginning(host, path)) else "raw"
    folders = _folders(host, desired, guests)
    image = with_entry(Image(format=format_), entry)
    if desired.commit and format_ == "qcow2":
        image = replace(image, encryption=qemu_img.info(host, path, format_).encryption)
    return Observed(
        path,
        image=image,
        opens=_opens(host, desired, image, desired.locking.secret if desired.locking else None),
        busy=busy(host, path, entry),
        base=_base_to_commit(host, desired, entry, folders) if desired.commit else None,
        dependents=dependents(host, path, entry.identity, folders),
        leftovers=leftovers(host, path),
    )


def _base_to_commit(host: Host, desired: Desired, entry: Entry, folders: Sequence[str]) -> Optional[Base]:
    """The backing file, after the whole chain was looked at. None where there is none."""
    qemu_img.tool(host)
    header = read_header(host, desired.path, entry)[0]
    if header is None or header.backing_file is None:
        return None
    base = follow(host, desired.path, header.backing_file, header.backing_format, Failure, stated=False)
    below = gate(host, base.path)
    if below is None:
        return None
    others = dependents(host, base.path, below.identity, (os.path.dirname(desired.path), *folders))
    mine = host.realpath(desired.path)
    return replace(base, used=busy(host, base.path, below), dependents=tuple(other for other in others if host.realpath(other) != mine))


def _to_keep(host: Host, desired: Desired, entry: Optional[Entry], guests: Guests) -> Observed:
    path, directory = desired.path, os.path.dirname(desired.path)
    if not host.is_dir(directory):
        if host.exists(directory):
            raise Failure(f"{path}: {directory} is not a directory; choose another path", "not_a_directory")
        raise NotReady(f"{path}: the directory {directory} does not exist; create it first", "directory_missing")
    qemu_img.tool(host)
    image = None if entry is None else _with_context(host, path, _image_or_ruin(host, desired, entry))
    held = busy(host, path, entry) if entry else None
    checksum = _checksum(host, desired)
    new = image is None or desired.recreate
    if held and entry and image and image.size and (desired.size or 0) > image.size:
        held = replace(held, disk=guests.disk(host, desired.uri, entry.identity))
    above: Tuple[str, ...] = ()
    if entry and (desired.recreate or may_change(image, desired)):
        above = dependents(host, path, entry.identity, _folders(host, desired, guests))
    secret, old = (desired.locking.secret, desired.locking.old) if desired.locking else (None, None)
    opens, old_opens = _opens(host, desired, image, secret), _opens(host, desired, image, old)
    return Observed(
        path,
        image=image,
        base=_base(host, desired, new),
        busy=held,
        dependents=above,
        layout=None if held else _layout(host, desired, image, secret if opens else old if old_opens else None),
        checksum=checksum,
        source_size=_source_size(host, desired, image, checksum),
        remembers=origins.remembers(host, directory),
        leftovers=leftovers(host, path),
        owner=None if desired.owner is None else accounts.user_name(accounts.uid(desired.owner)),
        group=None if desired.group is None else accounts.group_name(accounts.gid(desired.group)),
        free=_free(host, directory),
        opens=opens,
        old_opens=old_opens,
        selinux=selinux.enabled(host),
    )


def _with_context(host: Host, path: str, image: Image) -> Image:
    with explained("look at it", path):
        return replace(image, context=selinux.read(host.path(path)) if selinux.enabled(host) else None)


def _opens(host: Host, desired: Desired, image: Optional[Image], secret: Optional[Secret]) -> Optional[bool]:
    """Tried wherever a passphrase is given: a header does not tell which ones open it."""
    if image is None or secret is None or image.encryption is None or image.encryption.format != "luks":
        return None
    with unlocking.way(host, "qcow2", secret) as way:
        return qemu_img.opens(host, desired.path, way)


def _layout(host: Host, desired: Desired, image: Optional[Image], secret: Optional[Secret]) -> Optional[Layout]:
    """Looked at only where the image is to be shrunk, and nobody has it open."""
    if image is None or not shrinks(image, desired) or image.corrupt or image.backing_encrypted or image.format not in ("qcow2", "raw"):
        return None
    if image.encryption and secret is None:
        return None
    with unlocking.way(host, image.format, secret) as way:
        return layout(qemu_img.first_bytes(host, desired.path, way, image.size or 0, LOOK))


def _source_size(host: Host, desired: Desired, image: Optional[Image], checksum: Optional[str]) -> Optional[int]:
    """Looked at only where the source is about to be used."""
    if desired.origin is None:
        return None
    if image is not None and not (desired.recreate and not same_source(image.made_of, desired.origin.place, checksum)):
        return None
    return fetch.known_size(host, desired.origin)


def _checksum(host: Host, desired: Desired) -> Optional[str]:
    """A list of checksums is looked up only where it decides whether an image is made anew."""
    origin = desired.origin
    if origin is None or origin.checksum is None or not (origin.checksum.value or desired.recreate):
        return None
    return f"{origin.checksum.algorithm}:{fetch.digits(host, origin, origin.checksum)}"


def _image_or_ruin(host: Host, desired: Desired, entry: Entry) -> Image:
    """What cannot be understood may still be replaced, where the user says so."""
    try:
        return _image(host, desired, entry)
    except NotReady:
        raise
    except Failure as failure:
        if not desired.recreate:
            raise
        return with_entry(Image(broken=failure.message), entry)


def _image(host: Host, desired: Desired, entry: Entry) -> Image:
    path = desired.path
    header = read_header(host, path, entry)[0]
    backing_path, backing_encrypted = None, False
    if header is not None and header.backing_file is not None:
        try:
            below = follow(host, path, header.backing_file, header.backing_format, Failure, stated=False)
            backing_path, backing_encrypted = below.path, below.encrypted
        except Failure as failure:
            # Its backing file was moved, and unsafe says where to. Nothing opens the old name.
            if desired.rebase != "unsafe" or failure.code not in ("backing_missing", "unsafe_backing_file"):
                raise
    format_ = "qcow2" if header is not None else _said_format(host, desired)
    info = qemu_img.info(host, path, format_)
    image = Image(
        format=format_,
        size=info.size,
        backing_file=info.backing_file,
        backing_format=info.backing_format,
        backing_path=backing_path,
        backing_encrypted=backing_encrypted,
        options=info.options,
        encryption=info.encryption,
        corrupt=info.corrupt,
        snapshots=0 if header is None else header.snapshots,
        made_of=origins.recall(host, path),
    )
    return with_entry(image, entry)


def _said_format(host: Host, desired: Desired) -> str:
    """vmdk, vdi or vhdx only where the user says so and the file agrees: the guest of a raw disk writes what it begins with."""
    if desired.format in ("vmdk", "vdi", "vhdx"):
        data = beginning(host, desired.path, FIRST_LOOK)
        if detect(data) == desired.format:
            outside.refuse_outside_files(desired.path, data, desired.format)
            return desired.format
    return "raw"


def with_entry(image: Image, entry: Entry) -> Image:
    return replace(
        image,
        owner=accounts.user_name(entry.uid),
        group=accounts.group_name(entry.gid),
        mode=f"{entry.mode:04o}",
        actual_size=entry.allocated,
        symlink=entry.symlink,
    )


def _base(host: Host, desired: Desired, new: bool) -> Optional[Base]:
    """The backing file asked for. Its size is only looked up for a new image, which takes it over."""
    if not desired.backing_file:
        return None
    base = follow(host, desired.path, desired.backing_file, desired.backing_format, NotReady, stated=True)
    size = qemu_img.info(host, base.path, base.format).size if new else None
    return replace(base, size=size)


def _free(host: Host, directory: str) -> Optional[int]:
    """None of a file system that does not count, such as ramfs."""
    with explained("look at it", directory):
        found = os.statvfs(host.path(directory))
    return (found.f_bavail if os.geteuid() else found.f_bfree) * found.f_frsize if found.f_blocks else None
