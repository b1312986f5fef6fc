# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is refused before anything is touched."""

from __future__ import annotations

from typing import Iterable, Tuple

from ..engine.errors import Failure, NotReady
from .model import ALWAYS, NEVER, Desired, Holder, Observed
from .options import Layers, Options, render

#: mount(2) takes one page of options with its closing zero. Source: copy_mount_options() in fs/namespace.c.
_LONGEST = 4095
#: Source: strndup_user(_value, 256) in fs/fsopen.c.
_LONGEST_MODERN = 255
_MOST_NAMED = 5


def refuse_layers(layers: Layers, options: Options, desired: Desired) -> None:
    """Layers that the kernel refuses, or accepts to nobody's good, whatever is on the host."""
    if layers.upper is None and len(layers.lower) < 2:
        raise Failure(
            f"{desired.path}: {layers.lower[0]} alone and no upperdir is no overlay; name a second directory in lowerdir, or an upperdir",
            "missing_layer",
        )
    for path in layers.lower:
        others = list(layers.lower)
        others.remove(path)
        for other in others:
            if _inside(path, other):
                raise Failure(
                    f"lowerdir: {path} is {other} or inside it, which the kernel refuses; name layers apart from each other", "overlapping_layers"
                )
        for name, writable in (("upperdir", layers.upper), ("workdir", layers.work)):
            if writable and _inside(path, writable):
                raise Failure(f"lowerdir: {path} is inside the {name} {writable}, which the kernel refuses; use another one", "overlapping_layers")
    if layers.upper and layers.work and (_inside(layers.upper, layers.work) or _inside(layers.work, layers.upper)):
        raise Failure(
            f"workdir: {layers.work} and the upperdir {layers.upper} are inside each other; use directories side by side", "overlapping_layers"
        )
    for name, value in options.items():
        if layers.upper is None and (name, value) in (("index", "on"), ("nfs_export", "on"), ("volatile", True), ("ro", False)):
            word = str(value).lower()
            raise Failure(f"options: {name}: {word} means nothing without an upperdir, and the kernel ignores it; leave it out", "useless_option")
    size = len(render(layers, options, userspace=False).encode())
    if size > _LONGEST:
        raise Failure(
            f"{desired.path}: its layers and options are {size} bytes, and the kernel takes {_LONGEST}; shorten the paths of the layers",
            "too_many_layers",
        )


def _inside(path: str, other: str) -> bool:
    return path == other or path.startswith(other.rstrip("/") + "/")


def refuse_directories(observed: Observed, layers: Layers, desired: Desired) -> None:
    """Directories as they are on the host that cannot be mounted."""
    facts = observed.directories
    for name, found in facts.items():
        if found.kind == "other":
            raise Failure(f"{name}: not a directory; use another path, or move it away", "not_a_directory")
        if not found.kind and name in layers.lower:
            raise NotReady(f"lowerdir: {name} does not exist; create it first, a lower directory is never made", "layer_missing")
        if not found.kind and not desired.create_dirs:
            raise NotReady(f"{name}: no such directory; create it first, or set create_dirs: true", "directory_missing")
        if found.in_use:
            raise Failure(
                f"{name}: in use by the overlay at {found.in_use}; two mounts that write to the same directory ruin it, so use another one",
                "upperdir_in_use",
            )
    if layers.upper and layers.work and layers.upper in facts and layers.work in facts:
        work = facts[layers.work]
        if work.mount_id != facts[layers.upper].mount_id:
            raise Failure(
                f"workdir: {layers.work} is not on the mount of the upperdir {layers.upper}; use a directory beside that", "workdir_elsewhere"
            )
        if work.strays:
            raise Failure(
                f"workdir: {layers.work} is not empty ({_some(work.strays)}), and the kernel claims all of it; use an empty directory",
                "workdir_not_empty",
            )
        if work.volatile and not _mounts_same(observed, layers):
            raise Failure(
                f"workdir: {layers.work} was last mounted volatile, so what is in the upperdir may be damaged; start with new directories, "
                f"or remove {layers.work}/work/incompat/volatile if you trust it",
                "workdir_volatile",
            )


def _mounts_same(observed: Observed, layers: Layers) -> bool:
    """Whether the volatile mark is that of the mount which is there now: it is refused when that one goes (see refuse_recreation)."""
    return observed.mount is not None and observed.mount.layers.work == layers.work


def refuse_recreation(observed: Observed, layers: Layers, desired: Desired, fields: Tuple[str, ...]) -> None:
    """Mounting anew what is in use."""
    mount = observed.mount
    if mount is None:
        return
    if desired.recreate == NEVER:
        return
    names = ", ".join(fields)
    writing = layers.upper is not None and layers.upper == mount.layers.upper
    if writing and mount.shown.value("volatile"):
        raise Failure(
            f"{desired.path}: mounted volatile, so its upperdir {layers.upper} cannot be mounted again for {names}; use a new upperdir and workdir",
            "workdir_volatile",
        )
    busy = [holder for holder in observed.holders if not holder.elsewhere]
    if writing and observed.holders:
        raise _busy(desired, observed.holders, f"mounted anew for {names} with the same upperdir", "end them")
    if busy and desired.recreate != ALWAYS:
        raise _busy(desired, busy, f"mounted anew for {names}", "end them, or set recreate: always, which lets them go on with the old layers")


def refuse_unmounting(observed: Observed, desired: Desired) -> None:
    busy = [holder for holder in observed.holders if not holder.elsewhere]
    if observed.mount is not None and busy:
        raise _busy(desired, busy, "unmounted", "end them")


def _busy(desired: Desired, holders: Iterable[Holder], purpose: str, way_out: str) -> Failure:
    found = tuple(holders)
    return Failure(
        f"{desired.path}: in use, so it is not {purpose}: {_some([str(holder) for holder in found])}; {way_out}",
        "mount_busy",
        holders=[{"pid": holder.pid or None, "command": holder.command or None, "what": holder.what} for holder in found],
    )


def _some(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return ", ".join(found[:_MOST_NAMED]) + more


def lower_too_long_for_fstab(layers: Layers) -> bool:
    return len(render(Layers(layers.lower), {}, userspace=True).encode()) - len("lowerdir=") > _LONGEST_MODERN
