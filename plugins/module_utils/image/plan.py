# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what an image is to what it should be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Iterator, List, Optional, Tuple

from ..engine.errors import Failure
from ..engine.plan import Action, Plan
from .actions import (
    AmendImage,
    ChangeSecret,
    CommitImage,
    GrowGuestDisk,
    GrowImage,
    RebaseImage,
    RemoveImage,
    RemoveLeftovers,
    SetContext,
    SetMode,
    SetOwner,
    ShrinkImage,
)
from .model import Base, Desired, Image, Observed
from .options import Options, check_size, newer_features, shown, spelled
from .plan_changing import check_changeable
from .plan_locking import change_secret, check_bases_readable, check_opens, check_secret_given, locked, other_encryption, secret_of
from .plan_making import has_dependents, in_use, make, warnings
from .plan_shrinking import check_shrink, shrinks
from .source import same_source

#: Options that qemu-img amend changes without moving any data.
_AMENDABLE = ("compat", "lazy_refcounts")
_WAYS_OUT = {"backing_file": "say rebase: safe, ", "backing_format": "say rebase: safe, "}


def nothing(desired: Desired) -> Observed:
    checksum = desired.origin.checksum if desired.origin else None
    return Observed(desired.path, checksum=checksum.shown if checksum and checksum.value else None, selinux=True)


def plan(observed: Observed, desired: Desired) -> Plan[Observed]:
    actions: List[Action] = []
    after = observed
    if observed.leftovers:
        actions.append(RemoveLeftovers(observed.path, observed.leftovers))
        after = replace(after, leftovers=())
    if not desired.present:
        rest, image = _absent(observed, desired)
    elif observed.image is None:
        rest, image = make(observed, desired)
    else:
        rest, image = _keep(observed, observed.image, desired)
    return Plan((*actions, *rest), locked(replace(after, image=image), desired), warnings=tuple(warnings(observed, desired, rest)))


def _absent(observed: Observed, desired: Desired) -> Tuple[List[Action], Optional[Image]]:
    image = observed.image
    if image is None:
        return [], None
    _check_replaceable(observed, image, desired, "remove it")
    if desired.commit:
        return [_commit(observed, observed.base, desired), RemoveImage(observed.path)], None
    return [RemoveImage(observed.path)], None


def _commit(observed: Observed, base: Optional[Base], desired: Desired) -> CommitImage:
    path = observed.path
    if base is None:
        raise Failure(f"{path}: has no backing file to which it could be committed; leave commit out to remove it", "no_backing_file")
    if base.used:
        raise in_use(base.used, "change it")
    if base.dependents and not desired.force:
        way_out = "flatten those first, or say force: true and lose them"
        raise has_dependents(base.path, base.dependents, f" as well, which a commit would change; {way_out}")
    check_bases_readable(observed)
    check_opens(observed, desired)
    check_secret_given(path, observed.image, desired)
    return CommitImage(path, base.path, secret_of(observed.image, desired))


def _keep(observed: Observed, image: Image, desired: Desired) -> Tuple[List[Action], Optional[Image]]:
    path = observed.path
    for option, has, wanted in _stays(observed, image, desired):
        if desired.recreate:
            return _replace(observed, image, desired, f"{option} is {spelled(has)}, and {spelled(wanted)} is asked for")
        raise Failure(
            f"{path}: {option} is {spelled(has)} and cannot be changed to {spelled(wanted)} in an existing image; "
            f"leave the option out, {_WAYS_OUT.get(option, '')}or say recreate: true and lose what is in the image",
            "cannot_change_in_place",
            option=option,
        )
    if desired.recreate:
        because = _why_anew(observed, image, desired)
        if because:
            return _replace(observed, image, desired, because)
    actions: List[Action] = list(change_secret(observed, desired))
    secret = secret_of(image, desired)
    after = image
    rebase = _rebase(observed, image, desired)
    if rebase:
        actions.append(rebase)
        base = observed.base
        after = replace(
            after, backing_file=rebase.backing_file or None, backing_format=rebase.backing_format, backing_path=base.path if base else None
        )
    amended = {name: value for name, value in desired.options.given().items() if value != getattr(image.options, name)}
    if amended:
        actions.append(AmendImage(path, amended, secret))
        after = replace(after, options=_amend(path, image.options, desired.options))
    if desired.size is not None and image.size is not None and desired.size != image.size:
        if shrinks(image, desired):
            check_shrink(observed, image, desired)
            loses = bool(observed.layout and observed.layout.backup_table)
            actions.append(ShrinkImage(path, image.format or "", image.size, desired.size, loses, secret))
        else:
            _check_growth(path, image, desired, after.options, desired.size)
            disk = observed.busy.disk if observed.busy else None
            if disk:
                actions.append(GrowGuestDisk(path, disk[0], disk[1], image.size, desired.size, desired.uri))
            else:
                actions.append(GrowImage(path, image.format or "", image.size, desired.size, secret))
        after = replace(after, size=desired.size)
    if any(not isinstance(action, GrowGuestDisk) for action in actions):
        check_changeable(observed, image, desired, "change it")
    if image.backing_encrypted and any(isinstance(action, (ChangeSecret, AmendImage, GrowImage, ShrinkImage)) for action in actions):
        check_bases_readable(observed)
    owner = observed.owner if observed.owner != image.owner else None
    group = observed.group if observed.group != image.group else None
    if owner or group:
        actions.append(SetOwner(path, owner, group))
        after = replace(after, owner=owner or image.owner, group=group or image.group)
    if desired.mode is not None and desired.mode != image.mode:
        actions.append(SetMode(path, desired.mode))
        after = replace(after, mode=desired.mode)
    context = {name: value for name, value in desired.context.given().items() if value != getattr(image.context, name, None)}
    if observed.selinux and context:
        actions.append(SetContext(path, context))
        after = replace(after, context=desired.context.over(image.context))
    return actions, after


def _why_anew(observed: Observed, image: Image, desired: Desired) -> Optional[str]:
    """What else than an option makes an image anew, where the user allows that."""
    if image.broken:
        return f"it cannot be used: {image.broken}"
    if desired.origin and not same_source(image.made_of, desired.origin.place, observed.checksum):
        return f"it was made of {image.made_of.source if image.made_of else 'something else'}, or that has changed"
    if desired.size is not None and image.size is not None and desired.size < image.size and not desired.allow_shrink:
        return f"it has {shown(image.size)}, and {shown(desired.size)} is asked for"
    return None


def _replace(observed: Observed, image: Image, desired: Desired, because: str) -> Tuple[List[Action], Optional[Image]]:
    _check_replaceable(observed, image, desired, "replace it")
    return make(observed, desired, because)


def _check_replaceable(observed: Observed, image: Image, desired: Desired, purpose: str) -> None:
    path = observed.path
    if image.symlink:
        raise Failure(f"{path}: a symbolic link, and not the image itself; name the file that it leads to", "not_a_regular_file")
    if observed.busy:
        raise in_use(observed.busy, purpose)
    if observed.dependents and not desired.force:
        raise has_dependents(path, observed.dependents, "; remove or flatten those first, or say force: true and lose them")


def _stays(observed: Observed, image: Image, desired: Desired) -> Iterator[Tuple[str, Any, Any]]:
    """What an image is made with and keeps, where it differs: option, what it has, what is wanted.

    There is no silent making it anew: that would be the end of its data.
    """
    if image.broken:
        return
    if desired.format not in (None, image.format):
        yield "format", image.format, desired.format
    if desired.locking:
        yield from other_encryption(image.encryption, desired.locking.encryption)
    for name, wanted in desired.options.given().items():
        has = getattr(image.options, name)
        if wanted != has and (name not in _AMENDABLE or has is None):
            yield name, has, wanted
    if not (desired.rebase and image.format == "qcow2"):
        if desired.backing_file is not None and not _same_base(observed, image, desired):
            yield "backing_file", image.backing_file, desired.backing_file or None
        if desired.backing_format not in (None, image.backing_format):
            yield "backing_format", image.backing_format, desired.backing_format
    if desired.size is not None and image.size is not None and desired.size > image.size and image.format not in ("qcow2", "raw"):
        yield "size", shown(image.size), shown(desired.size)


def _same_base(observed: Observed, image: Image, desired: Desired) -> bool:
    """Whether the image stands on the backing file that was asked for, however the two spell its path."""
    if observed.base:
        return observed.base.path == image.backing_path
    return (image.backing_file or "") == desired.backing_file


def _rebase(observed: Observed, image: Image, desired: Desired) -> Optional[RebaseImage]:
    base = observed.base
    format_ = base.format if base else None
    if not desired.rebase or (_same_base(observed, image, desired) and format_ == image.backing_format):
        return None
    if base and base.busy:
        raise in_use(base.busy, "put another image on top of it")
    if desired.rebase == "safe":
        check_bases_readable(observed)
    secret = secret_of(observed.image, desired)
    return RebaseImage(observed.path, desired.backing_file or "", format_, image.backing_file, desired.rebase == "safe", secret)


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
            "leave size out, or say allow_shrink: true where its partitions and file systems end before that",
            "shrink_refused",
        )
    if image.format == "raw" and desired.format is None:
        raise Failure(f"{path}: nothing in the file says that it is an image; if it is a raw one, say format: raw to have it grow", "format_required")
    check_size(path, size, options, image.format == "raw")
    if image.snapshots and options.compat == "0.10":
        raise Failure(f"{path}: qemu does not grow an image with snapshots and compat 0.10; say compat: '1.1' as well", "image_has_snapshots")
