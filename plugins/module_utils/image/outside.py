# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The gate for images that come from outside: what they are, before qemu-img may open them, and what they hide.

An image is refused that is not what it is said to be, that needs any other file, that is larger than a host can have, or whose
tables point out of it. C(trusted: true) opens the gate for other files and sizes, and for a raw disk that begins like something else.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..engine.errors import Failure
from ..engine.host import Host
from . import header as qcow2
from . import qemu_img
from .chain import follow
from .files import beginning, gate
from .formats import CONVERTIBLE, FIRST_LOOK, detect, outside_files
from .model import Origin
from .options import Options, shown

_OTHER = "use another image"
_TRUST = "use another image, or say trusted: true if you know who made it"


@dataclass(frozen=True)
class Found:
    """An image that may be used. size: of its disk, in bytes. whole: it can be taken as it is, without a conversion."""

    format: str
    size: int
    options: Options
    whole: bool


def examine(host: Host, path: str, origin: Origin) -> Found:
    """Failure with the reason for which the image is not used. Sentences call it by the name of its origin."""
    label = origin.place.shown
    entry = gate(host, path)
    if entry is None or not entry.size:
        raise Failure(f"{label}: empty; {_OTHER}", "image_unreadable")
    data = beginning(host, path, FIRST_LOOK)
    format_ = _format(label, data, origin)
    header = None
    if format_ == "qcow2":
        header = _qcow2(host, path, label, data, entry.size, origin.trusted)
    elif not origin.trusted:
        refuse_outside_files(label, data, format_)
    info = qemu_img.info(host, path, format_, label)
    if not origin.trusted:
        if info.backing_file:
            raise _points_outside(label, "another image below it")
        if info.size > qemu_img.LARGEST:
            raise Failure(f"{label}: says that its disk has {shown(info.size)}, which no host can hold; {_TRUST}", "absurd_size")
    if info.size <= 0:
        raise Failure(f"{label}: says that its disk has no size; {_OTHER}", "image_unreadable")
    clean = format_ == "raw" or qemu_img.verify(host, path, format_, label)
    alone = header is None or not (header.backing_file or header.data_file or header.dirty)
    # Of the others, what a trusted one consists of was not looked at.
    return Found(format_, info.size, info.options, clean and alone and (format_ in ("raw", "qcow2") or not origin.trusted))


def _format(label: str, data: bytes, origin: Origin) -> str:
    real, said = detect(data), origin.format
    if origin.trusted:
        return said or (real if real in CONVERTIBLE else None) or "raw"
    if said is not None:
        if real == said or (said == "raw" and real is None):
            return said
        like = f"begins like {real}" if real else "does not begin like that"
        raise Failure(f"{label}: is said to be {said} and {like}; correct source_format, or {_TRUST}", "format_mismatch")
    if real is None:
        raise Failure(f"{label}: nothing in it says that it is an image; if it is a raw one, say source_format: raw", "format_required")
    if real == "text":
        raise Failure(f"{label}: text and no image, perhaps a page that tells of an error; correct the address", "unsupported_format")
    if real not in CONVERTIBLE:
        raise Failure(f"{label}: begins like {real}, which is not known here; use one of {', '.join(CONVERTIBLE)}", "unsupported_format")
    return real


def refuse_outside_files(label: str, data: bytes, format_: str) -> None:
    """Failure where an image of vmdk, vdi or vhdx needs other files, or cannot be understood."""
    try:
        needs = outside_files(data, format_)
    except qcow2.Malformed as error:
        raise Failure(f"{label}: {error}; {_OTHER}", "image_unreadable") from error
    if needs:
        raise _points_outside(label, needs)


def _points_outside(label: str, what: str) -> Failure:
    code = "unexpected_backing_file" if "below it" in what else "external_data_file"
    return Failure(f"{label}: needs {what}; {_TRUST}", code)


def _qcow2(host: Host, path: str, label: str, data: bytes, length: int, trusted: bool) -> qcow2.Header:
    if not qcow2.is_qcow2(data):
        raise Failure(f"{label}: is said to be qcow2 and is not; correct source_format", "format_mismatch")
    try:
        header = qcow2.parse_header(data)
    except qcow2.Malformed as error:
        raise Failure(f"{label}: {error}; {_OTHER}", "image_unreadable") from error
    if header.encrypted:
        raise Failure(f"{label}: encrypted, and its key is not known here; {_OTHER}", "image_encrypted")
    if header.corrupt:
        raise Failure(f"{label}: marked as corrupt; use another copy of it", "image_corrupt")
    if header.unknown_features:
        raise Failure(f"{label}: needs features of qcow2 that are not known here ({header.unknown_features:#x}); {_OTHER}", "unsupported_format")
    if header.backing_file:
        if not trusted:
            raise Failure(f"{label}: needs the backing file {header.backing_file[:200]!r} below it; {_TRUST}", "unexpected_backing_file")
        follow(host, path, header.backing_file, header.backing_format, Failure, stated=False)
    if header.data_file and not trusted:
        raise _points_outside(label, "its data in another file")
    if header.size > qemu_img.LARGEST and not trusted:
        raise Failure(f"{label}: says that its disk has {shown(header.size)}, which no host can hold; {_TRUST}", "absurd_size")
    if length < header.tables_end:
        raise Failure(f"{label}: cut off at {length} bytes; download it again", "image_unreadable")
    return header
