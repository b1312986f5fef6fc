# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what an image is to what it should be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..engine.errors import Failure
from ..engine.plan import Action, Plan
from ..engine.units import human_size
from .model import Busy, Desired, Image, Observed
from .options import DEFAULTS, NO_OPTIONS, Options, check_size, newer_features, shown, spelled

#: The mode of a new image where none is asked for: what is on a disk is nobody else's business.
_PRIVATE = "0600"
#: Options that qemu-img amend changes without moving any data.
_AMENDABLE = ("compat", "lazy_refcounts")


@dataclass(frozen=True)
class RemoveLeftovers(Action):
    """files: temporary files of interrupted runs."""

    files: Tuple[str, ...]


@dataclass(frozen=True)
class CreateImage(Action):
    """size: bytes; None where it will be that of a backing file that is not there yet. options: qemu-img's, by name."""

    format: str
    size: Optional[int]
    backing_file: Optional[str]
    backing_format: Optional[str]
    options: Mapping[str, Any]
    preallocation: Optional[str]
    owner: Optional[str]
    group: Optional[str]
    mode: str


@dataclass(frozen=True)
class AmendImage(Action):
    options: Mapping[str, Any]


@dataclass(frozen=True)
class GrowImage(Action):
    """from_size, size: bytes, before and after."""

    format: str
    from_size: int
    size: int


@dataclass(frozen=True)
class SetOwner(Action):
    owner: Optional[str]
    group: Optional[str]


@dataclass(frozen=True)
class SetMode(Action):
    mode: str


@dataclass(frozen=True)
class RemoveImage(Action):
    pass


def view(observed: Observed, desired: Desired) -> Dict[str, Any]:
    image = observed.image
    result: Dict[str, Any] = {"path": observed.path, "state": "absent" if image is None else "present"}
    if image is not None:
        result["format"] = image.format
        result["size"] = image.size
        result["human_size"] = None if image.size is None else human_size(image.size)
        result["backing_file"] = image.backing_file
        result["backing_format"] = image.backing_format
        result.update(image.options.given())
        result.update(owner=image.owner, group=image.group, mode=image.mode)
    if observed.leftovers:
        result["leftovers"] = list(observed.leftovers)
    return {key: value for key, value in result.items() if value is not None}


def facts(observed: Observed) -> Dict[str, Any]:
    image = observed.image
    return {} if image is None or image.actual_size is None else {"actual_size": image.actual_size}


def nothing(desired: Desired) -> Observed:
    return Observed(desired.path)


def plan(observed: Observed, desired: Desired) -> Plan[Observed]:
    actions: List[Action] = []
    after = observed
    if observed.leftovers:
        actions.append(RemoveLeftovers(observed.path, observed.leftovers))
        after = replace(after, leftovers=())
    if not desired.present:
        rest, image = _absent(observed, desired)
    elif observed.image is None:
        rest, image = _create(observed, desired)
    else:
        rest, image = _keep(observed, observed.image, desired)
    return Plan((*actions, *rest), replace(after, image=image))


def _absent(observed: Observed, desired: Desired) -> Tuple[List[Action], Optional[Image]]:
    path, image = observed.path, observed.image
    if image is None:
        return [], None
    if image.symlink:
        raise Failure(f"{path}: a symbolic link, and not the image itself; name the file that it leads to", "not_a_regular_file")
    if observed.busy:
        raise _in_use(observed.busy, "remove it")
    if observed.dependents and not desired.force:
        raise Failure(
            f"{path}: the backing file of {', '.join(observed.dependents)}; remove or flatten those first, or say force: true and lose them",
            "image_has_dependents",
            dependents=list(observed.dependents),
        )
    return [RemoveImage(path)], None


def _create(observed: Observed, desired: Desired) -> Tuple[List[Action], Optional[Image]]:
    path, base = observed.path, observed.base
    format_ = desired.format or "qcow2"
    options = NO_OPTIONS if format_ == "raw" else desired.options.over(DEFAULTS)
    if desired.backing_format and not desired.backing_file:
        raise Failure(f"{path}: backing_format goes with backing_file; add it, or leave both out", "invalid_option_combination")
    size = desired.size
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
        raise _in_use(base.busy, "put another image on top of it")
    if size is not None:
        check_size(path, size, options, format_ == "raw")
        if desired.preallocation in ("falloc", "full") and observed.free is not None and size > observed.free:
            raise Failure(
                f"{path}: preallocation takes {shown(size)}, and the file system has {shown(observed.free)} left; "
                "free space there, or put the image elsewhere",
                "no_space",
            )
    image = Image(
        format=format_,
        size=size,
        backing_file=desired.backing_file or None,
        backing_format=(base.format if base else desired.backing_format) if desired.backing_file else None,
        backing_path=base.path if base else None,
        options=options,
        owner=observed.owner or desired.owner or observed.new_owner,
        group=observed.group or desired.group or observed.new_group,
        mode=desired.mode or _PRIVATE,
    )
    create = CreateImage(
        path,
        format_,
        size,
        image.backing_file,
        image.backing_format,
        options.given(),
        desired.preallocation,
        image.owner,
        image.group,
        image.mode or "",
    )
    return [create], image


def _keep(observed: Observed, image: Image, desired: Desired) -> Tuple[List[Action], Optional[Image]]:
    path = observed.path
    _refuse_what_stays(observed, image, desired)
    actions: List[Action] = []
    after = image
    amended = {name: value for name, value in desired.options.given().items() if value != getattr(image.options, name)}
    if amended:
        actions.append(AmendImage(path, amended))
        after = replace(after, options=_amend(path, image.options, desired.options))
    if desired.size is not None and image.size is not None and desired.size != image.size:
        _check_growth(path, image, desired, after.options, desired.size)
        actions.append(GrowImage(path, image.format or "", image.size, desired.size))
        after = replace(after, size=desired.size)
    if actions:
        _check_changeable(observed, image, "change it")
    owner = observed.owner if observed.owner != image.owner else None
    group = observed.group if observed.group != image.group else None
    if owner or group:
        actions.append(SetOwner(path, owner, group))
        after = replace(after, owner=owner or image.owner, group=group or image.group)
    if desired.mode is not None and desired.mode != image.mode:
        actions.append(SetMode(path, desired.mode))
        after = replace(after, mode=desired.mode)
    return actions, after


def _refuse_what_stays(observed: Observed, image: Image, desired: Desired) -> None:
    """What an image is made with and keeps. There is no silent making it anew: that would be the end of its data."""

    def refuse(option: str, has: Any, wanted: Any) -> None:
        raise Failure(
            f"{observed.path}: {option} is {spelled(has)} and cannot be changed to {spelled(wanted)} in an existing image; "
            "leave the option out, or make another image and copy the data",
            "cannot_change_in_place",
            option=option,
        )

    if desired.format not in (None, image.format):
        refuse("format", image.format, desired.format)
    for name, wanted in desired.options.given().items():
        has = getattr(image.options, name)
        if wanted != has and (name not in _AMENDABLE or has is None):
            refuse(name, has, wanted)
    if desired.backing_file is not None:
        same = observed.base.path == image.backing_path if observed.base else (image.backing_file or "") == desired.backing_file
        if not same:
            refuse("backing_file", image.backing_file, desired.backing_file or None)
    if desired.backing_format not in (None, image.backing_format):
        refuse("backing_format", image.backing_format, desired.backing_format)


def _amend(path: str, has: Options, wanted: Options) -> Options:
    """The options after an amendment. compat 0.10 takes lazy_refcounts away; what else it cannot have is refused."""
    after = wanted.over(has)
    if after.compat == "0.10":
        if wanted.lazy_refcounts:
            raise Failure(f"{path}: lazy_refcounts needs compat 1.1, and the image has 0.10; add compat: '1.1'", "invalid_option_combination")
        after = replace(after, lazy_refcounts=False)
        for name, needs_newer in newer_features(after).items():
            if needs_newer:
                raise Failure(
                    f"{path}: compat is {has.compat} and cannot be changed to 0.10, which cannot have the image's "
                    f"{name}: {spelled(getattr(after, name))}; leave compat out",
                    "cannot_change_in_place",
                    option="compat",
                )
    return after


def _check_growth(path: str, image: Image, desired: Desired, options: Options, size: int) -> None:
    if size < (image.size or 0):
        raise Failure(
            f"{path}: has {shown(image.size or 0)}, and {shown(size)} would cut off what is behind; "
            "leave size out, or copy the data to a smaller image",
            "shrink_refused",
        )
    if image.format == "raw" and desired.format is None:
        raise Failure(f"{path}: nothing in the file says that it is an image; if it is a raw one, say format: raw to have it grow", "format_required")
    check_size(path, size, options, image.format == "raw")
    if image.snapshots and options.compat == "0.10":
        raise Failure(f"{path}: qemu does not grow an image with snapshots and compat 0.10; say compat: '1.1' as well", "image_has_snapshots")


def _check_changeable(observed: Observed, image: Image, purpose: str) -> None:
    if observed.busy:
        raise _in_use(observed.busy, purpose)
    if image.encrypted:
        raise Failure(f"{observed.path}: encrypted, and cannot be changed without its key; change it with qemu-img", "image_encrypted")
    if image.corrupt:
        raise Failure(f"{observed.path}: marked as corrupt; look at it with qemu-img check, and repair it with its -r all", "image_corrupt")


def _in_use(busy: Busy, purpose: str) -> Failure:
    who = ", ".join(
        f"the guest {user.guest} (process {user.pid}, {user.command})" if user.guest else f"the process {user.pid} ({user.command})"
        for user in busy.users
    )
    return Failure(
        f"{busy.path}: in use by {who or 'another process, which only root can see'}; stop that first to {purpose}",
        "image_in_use",
        users=[{"pid": user.pid, "command": user.command, "guest": user.guest} for user in busy.users],
    )
