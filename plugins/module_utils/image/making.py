# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An image with contents, from its source to its name. Nothing that exists is touched before all of it is there and was looked at."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, contextmanager
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from ..engine import accounts
from ..engine.errors import Failure
from ..engine.host import Host, explained, no_space
from . import actions, contents, fetch, files, locks, origins, outside, qemu_img, selinux, unlocking
from .context import Context
from .encryption import Secret
from .fetch import Fetched
from .options import DEFAULTS, shown
from .outside import Found
from .plan_making import source_too_large
from .unlocking import Way

Making = Union[actions.CreateImage, actions.ImportImage]


def make_from_source(host: Host, action: actions.ImportImage) -> None:
    """Fetch, check, unpack, look at, convert, grow, name."""
    origin, label = action.origin, action.origin.place.shown
    with fetch.fetched(host, action.target, origin) as packed, _unpacked(host, action.target, packed, label) as ready:
        found = outside.examine(host, ready.path, origin)
        size = found.size if action.size is None else action.size
        if size < found.size:
            raise source_too_large(action.target, origin, size, found.size)
        data = _check_room(host, action.target, ready.path, found)
        with _made(host, action, ready, found, size, data) as (handle, temporary):
            fetch.refuse_changed(packed)
            origins.note(host, handle, action.target, ready.made_of)
            give_name(host, action, handle, temporary)


def give_name(host: Host, action: Making, handle: int, temporary: str) -> None:
    """The last step of a new image: owner, group and mode, and its name, in place of the old image where the plan says so."""
    with explained("set owner, group and mode", action.target):
        os.fchown(handle, -1 if action.owner is None else accounts.uid(action.owner), -1 if action.group is None else accounts.gid(action.group))
        os.fchmod(handle, int(action.mode, 8))
    if action.context:
        selinux.write(handle, Context(**action.context), action.target)
    if action.because is not None:
        refuse_opened(host, action.target)
    files.publish(host, handle, temporary, action.target, replace=action.because is not None)


@contextmanager
def created(
    host: Host, action: Making, options: Mapping[str, Any], size: int, backing: Optional[Tuple[str, str]] = None
) -> Iterator[Tuple[int, str]]:
    """A temporary file with an image that has nothing in it yet."""
    words = qemu_img.option_words({**options, **_encryption(action)}, action.preallocation)
    with ExitStack() as stack:
        for left in reversed(range(qemu_img.TRIES)):
            handle, path = stack.enter_context(files.temporary(host, action.target))
            try:
                with unlocking.way(host, action.format, secret_of(action)) as way:
                    qemu_img.create(host, action.target, path, way, words, size, backing)
                break
            except qemu_img.Unmeasured:
                if not left:
                    raise
                stack.close()  # the file is gone already, and the next one is another
        yield handle, path


def _encryption(action: Making) -> Dict[str, Any]:
    """As qemu-img's options. The passphrase has the id key."""
    if not action.encryption or not action.locking:
        return {}
    options = {f"encrypt.{name.replace('_', '-')}": value for name, value in action.encryption.items()}
    return {**options, "encrypt.key-secret": "key", **costs(action.locking.iter_time)}


def secret_of(action: Making) -> Optional[Secret]:
    return action.locking.secret if action.locking and action.encryption else None


def costs(iter_time: Optional[int]) -> Dict[str, Any]:
    return {} if iter_time is None else {"encrypt.iter-time": iter_time}


def rebase_copy(host: Host, path: str, below: Sequence[str], way: Way) -> None:
    """Put an image on another backing file, in a copy of it that then takes its place.

    Not in place: qemu-img rebase names the new backing file in the header before all of its tables are in the file, so that an image
    whose rebase is killed right then loses what was copied last (seen with 7.2, once in a hundred kills).
    """
    real = host.realpath(path)
    with files.temporary(host, real) as (handle, temporary):
        qemu_img.duplicate(host, path, real, handle, temporary)
        qemu_img.rebase(host, path, [*way.head, *below, way.name(temporary)], way)
        with explained("keep owner, group and mode", path):
            old = os.stat(host.path(real))
            os.fchown(handle, old.st_uid, old.st_gid)
            os.fchmod(handle, stat.S_IMODE(old.st_mode))
            selinux.keep(host, real, handle, path)
        made_of = origins.recall(host, real)
        if made_of:
            origins.note(host, handle, path, made_of)
        refuse_opened(host, real)
        files.publish(host, handle, temporary, real, replace=True)


def refuse_opened(host: Host, path: str) -> None:
    """Asked again right before an image is replaced or removed, which may be hours after the plan. Failure C(image_in_use)."""
    old = files.gate(host, path)
    if old is not None and locks.busy(host, path, old):
        raise Failure(f"{path}: somebody has opened it meanwhile; it was left as it is, run the task again when it is free", "image_in_use")


@contextmanager
def _unpacked(host: Host, image: str, packed: Fetched, label: str) -> Iterator[Fetched]:
    kind = fetch.compression(host, packed.path)
    if kind is None:
        yield packed
        return
    with files.temporary(host, image) as (handle, path):
        contents.unpack(host, packed.path, kind, handle, image, label)
        yield Fetched(path, packed.made_of, handle)


def _check_room(host: Host, image: str, source: str, found: Found) -> int:
    """About how many bytes are to be copied. Seen before the file system is full: few clusters of a hostile image can stand for many."""
    needed = qemu_img.data_size(host, source, found.format)
    free = os.statvfs(host.path(os.path.dirname(image)))
    room = free.f_bfree * free.f_frsize
    if needed is not None and free.f_blocks and needed > room:
        raise no_space(image, f"{shown(needed)} are needed, {shown(room)} are left")
    return found.size if needed is None else min(needed, found.size)


@contextmanager
def _made(host: Host, action: actions.ImportImage, source: Fetched, found: Found, size: int, data: int) -> Iterator[Tuple[int, str]]:
    """A temporary file with the finished image. data: bytes that are to be copied, about."""
    options = DEFAULTS.given() if action.format == "qcow2" else {}
    if action.encryption:
        with created(host, action, {**options, **action.options}, size) as (handle, path):
            _encrypt(host, action, source.path, found, path, data)
            yield handle, path
    elif not as_it_is(action, found):
        with files.temporary(host, action.target) as (handle, path):
            words = qemu_img.option_words({**options, **action.options}, action.preallocation)
            _convert(host, action, source.path, found, size, words, path, data)
            yield handle, path
    elif source.handle is not None:
        _resize(host, action, source.path, found, size)
        yield source.handle, source.path
    else:
        with files.temporary(host, action.target) as (handle, path):
            qemu_img.duplicate(host, action.target, source.path, handle, path)
            _resize(host, action, path, found, size)
            yield handle, path


def as_it_is(action: actions.ImportImage, found: Found) -> bool:
    """Whether the source already is what is asked for, but for its size."""
    resizable = action.format in ("qcow2", "raw") or action.size in (None, found.size)
    same = all(getattr(found.options, name) == value for name, value in action.options.items()) and not action.encryption
    return found.whole and found.format == action.format and same and resizable and (action.preallocation or "off") == "off"


def _convert(host: Host, action: actions.ImportImage, source: str, found: Found, size: int, options: List[str], path: str, data: int) -> None:
    formats = ["-f", found.format, "-O", action.format]
    if size == found.size:
        qemu_img.copy(host, action.target, [*formats, *options, source, path], data)
    else:
        qemu_img.create(host, action.target, path, Way(action.format), options, size)
        qemu_img.copy(host, action.target, [*formats, source, path], data, to_existing=True)


def _encrypt(host: Host, action: actions.ImportImage, source: str, found: Found, path: str, data: int) -> None:
    """Into a new image. Its clusters that are preallocated do not read as zeros: what is in them was never encrypted."""
    with unlocking.way(host, action.format, secret_of(action)) as way:
        words = [*way.objects, "-f", found.format, "--target-image-opts", source, way.name(path)]
        zeros = (action.preallocation or "off") == "off"
        qemu_img.copy(host, action.target, words, data, to_existing=True, zeros=zeros, way=way)


def _resize(host: Host, action: actions.ImportImage, path: str, found: Found, size: int) -> None:
    if size != found.size:
        argv = [qemu_img.tool(host), "resize", "-q", "-f", action.format, path, str(size)]
        qemu_img.change(host, action.target, argv, "grown")
