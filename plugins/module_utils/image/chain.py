# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backing files: the chain below an image, and the images that stand on it. Headers are read, nothing in them is trusted."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from dataclasses import replace
from typing import Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple, Type

from ..engine.errors import Failure
from ..engine.host import Host
from . import header as qcow2
from .files import Identity, beginning, gate, read_header
from .locks import busy_writing
from .model import Base, is_plain, may_lead_to, resolve

#: As deep as qemu is known to open; far deeper than anyone's.
DEEPEST = 200


def follow(host: Host, image: str, backing_file: str, backing_format: Optional[str], missing: Type[Failure], stated: bool) -> Base:
    """The backing file of an image, the whole chain below which was seen to be sound; see members.

    Its busy is the first member of the chain that is being written to.
    """
    chain = members(host, image, backing_file, backing_format, missing, stated)
    return replace(chain[0], busy=next((member.busy for member in chain if member.busy), None), encrypted=any(member.encrypted for member in chain))


def members(host: Host, image: str, backing_file: str, backing_format: Optional[str], missing: Type[Failure], stated: bool) -> Tuple[Base, ...]:
    """The chain below an image, from its backing file down. Every member was seen to be a plain, existing file of a known format.

    backing_format: None where it is not said.
    stated: the user says so, and what is not said is told by looking; else the image says so, and qemu would guess.
    missing: what to raise (C(backing_missing)) where a member does not exist.
    Failure C(unsafe_backing_file), C(backing_loop), C(backing_chain_too_deep), C(backing_format_mismatch), C(unsupported_format).
    """
    above, name, format_ = image, backing_file, backing_format
    own = gate(host, image)
    seen: Set[Tuple[int, int]] = {own.identity} if own else set()
    found: List[Base] = []
    for depth in range(DEEPEST):
        if not is_plain(name):
            raise Failure(
                f"{above}: its backing file {name[:200]!r} is not a path but something that qemu would interpret; do not use this image",
                "unsafe_backing_file",
            )
        path = resolve(above, name)
        entry = gate(host, path)
        # While the image itself does not exist yet, a chain that leads to its name is a loop all the same.
        if (entry is None and host.realpath(path) == host.realpath(image)) or (entry and entry.identity in seen):
            raise Failure(f"{image}: its backing files lead in a circle, back to {path}; choose another backing file", "backing_loop")
        if entry is None:
            raise missing(f"{above}: its backing file {path} does not exist; put it there first", "backing_missing")
        seen.add(entry.identity)
        header, data = read_header(host, path, entry)
        format_ = _format(above, path, format_, header, data, stated and depth == 0)
        encrypted = header is not None and format_ == "qcow2" and header.encrypted
        found.append(Base(host.realpath(path), format_, busy=busy_writing(host, path, entry), encrypted=encrypted))
        if format_ == "raw" or header is None or header.backing_file is None:
            return tuple(found)
        above, name, format_ = path, header.backing_file, header.backing_format
    raise Failure(f"{image}: more than {DEEPEST} backing files below one another; commit or flatten some of them", "backing_chain_too_deep")


def _format(above: str, path: str, said: Optional[str], header: Optional[qcow2.Header], data: bytes, stated: bool) -> str:
    if said is None:
        foreign = qcow2.foreign_format(data)
        if stated and foreign:
            raise Failure(f"{path}: begins like {foreign}; convert it with qemu-img convert, or say backing_format: raw", "unsupported_format")
        if header is None and not stated:
            raise Failure(
                f"{above}: does not say which format its backing file {path} has, and qemu would guess it from contents that a guest can write; "
                f"say it with: qemu-img rebase -u -b {shlex.quote(path)} -F raw {shlex.quote(above)}",
                "unsafe_backing_file",
            )
        return "raw" if header is None else "qcow2"
    if said not in ("qcow2", "raw"):
        raise Failure(f"{above}: its backing file {path} is said to be {said}; only qcow2 and raw are known here", "unsupported_format")
    if said == "qcow2" and header is None:
        raise Failure(f"{above}: its backing file {path} is said to be qcow2, and is not; correct backing_format", "backing_format_mismatch")
    return said


def dependents(
    host: Host, path: str, identity: Identity, folders: Sequence[str] = (), look: Optional[Callable[[str], Mapping[Identity, Sequence[str]]]] = None
) -> Tuple[str, ...]:
    """The images that have this one as their backing file, in its own folder and in others. look: above, for who has looked before."""
    places = dict.fromkeys(host.realpath(folder) for folder in (os.path.dirname(path), *folders))
    return tuple(other for place in places for other in (look(place) if look else above(host, place)).get(identity, ()))


def above(host: Host, directory: str, links: bool = False) -> Dict[Identity, List[str]]:
    """Files, and the images in a folder that have each as their backing file. What cannot be read is none. links: links count as such, too."""
    found: Dict[Identity, List[str]] = {}
    for other, identity in dict.fromkeys(_overlays(host, directory, links)):
        found.setdefault(identity, []).append(other)
    return found


def _overlays(host: Host, directory: str, links: bool) -> Iterator[Tuple[str, Identity]]:
    for name in host.list(directory):
        other = os.path.join(directory, name)
        with suppress(Failure, qcow2.Malformed, OSError):
            entry = gate(host, other)
            if entry is not None and entry.symlink and links:
                yield _shown(other), entry.identity
            if entry is None or entry.symlink:
                continue
            data = beginning(host, other)
            backing = qcow2.parse_header(data).backing_file if qcow2.is_qcow2(data) else None
            for meant in may_lead_to(backing) if backing else ():
                with suppress(Failure):
                    base = gate(host, resolve(other, meant))
                    if base is not None and base.identity != entry.identity:
                        yield _shown(other), base.identity


def _shown(path: str) -> str:
    return path.encode("utf-8", "replace").decode()
