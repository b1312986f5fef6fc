# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a seed is to what it should be."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..engine.errors import Failure
from ..engine.plan import HIDDEN, Action, Plan
from . import nocloud
from .model import DIRECTORY, IGNORE, NEW_INSTANCE_ID, Attributes, Desired, Observed, Seed

_DEFAULT_MODE = "0600"  # a seed carries passwords and keys


@dataclass(frozen=True)
class RemoveLeftovers(Action):
    """What interrupted runs have left beside the seed."""

    files: Tuple[str, ...]


@dataclass(frozen=True)
class WriteSeed(Action):
    """files: those that differ. contents: all that the seed has afterwards."""

    format: str
    files: Tuple[str, ...]
    instance_id: str
    owner: str
    group: str
    mode: str
    contents: Mapping[str, bytes] = field(default_factory=dict, repr=False, metadata=HIDDEN)


@dataclass(frozen=True)
class SetOwner(Action):
    format: str
    owner: Optional[str] = None
    group: Optional[str] = None


@dataclass(frozen=True)
class SetMode(Action):
    """mode: of the files; a directory has it with x for whoever may read."""

    format: str
    mode: str


@dataclass(frozen=True)
class RemoveSeed(Action):
    format: str


def view(observed: Observed, desired: Desired) -> Dict[str, Any]:
    """Of the contents only fingerprints: seeds carry passwords and keys."""
    seed, folder = observed.seed, observed.folder
    there = seed is not None or (folder is not None and not desired.present)
    shown: Dict[str, Any] = {"path": observed.path, "state": "present" if there else "absent", "format": desired.format}
    if seed is None or not desired.present:
        return shown
    meta = seed.contents.get(nocloud.META_DATA)
    shown["instance_id"] = nocloud.meta_value(meta, nocloud.INSTANCE_ID)
    shown["local_hostname"] = nocloud.meta_value(meta, nocloud.LOCAL_HOSTNAME)
    for name in nocloud.FILES:
        shown[name.replace("-", "_")] = nocloud.fingerprint(seed.contents.get(name))
    for key in ("owner", "group", "mode"):
        shown[key] = ", ".join(sorted({getattr(attributes, key) for attributes in seed.attributes}))
    if folder is not None:
        shown["directory"] = {"owner": folder.owner, "group": folder.group, "mode": folder.mode}
    return shown


def nothing(desired: Desired) -> Observed:
    return Observed(desired.path, owner=desired.owner, group=desired.group)


def plan(observed: Observed, desired: Desired) -> Plan[Observed]:
    actions: List[Action] = [RemoveLeftovers(observed.path, observed.leftovers)] if observed.leftovers else []
    clean = replace(observed, leftovers=())
    following = _present(clean, desired) if desired.present else _absent(clean, desired)
    return replace(following, actions=(*actions, *following.actions))


def _absent(observed: Observed, desired: Desired) -> Plan[Observed]:
    if observed.seed is None and observed.folder is None:
        return Plan((), observed)
    if observed.others:
        raise Failure(
            f"{observed.path}: the directory holds more than a seed ({', '.join(observed.others[:5])}); remove that first, or the files by name",
            "directory_not_empty",
        )
    return Plan((RemoveSeed(observed.path, desired.format),), replace(observed, seed=None, folder=None))


def _present(observed: Observed, desired: Desired) -> Plan[Observed]:
    path, seed = observed.path, observed.seed
    contents = _contents(seed.contents if seed else {}, desired)
    differing = tuple(name for name in nocloud.FILES if contents.get(name) != (seed.contents.get(name) if seed else None))
    if differing and seed and seed.complete:
        if desired.on_change == IGNORE:
            warning = f"{path}: what is there differs from what was asked for in {', '.join(differing)}, and stays because of on_change: ignore"
            return replace(_attributes(observed, desired), warnings=(warning,))
        if desired.on_change == NEW_INSTANCE_ID:
            contents = _with_new_instance_id(contents, seed)
            differing = (nocloud.META_DATA, *(name for name in differing if name != nocloud.META_DATA))
    if not differing:
        return _attributes(observed, desired)
    write = _write(observed, desired, differing, contents)
    attributes = Attributes(write.owner, write.group, write.mode)
    folder = observed.folder or (attributes if desired.format == DIRECTORY else None)
    written = replace(observed, seed=Seed(contents, (attributes,)), folder=folder)
    following = _attributes(written, desired)
    return replace(following, actions=(write, *following.actions))


def _contents(old: Mapping[str, bytes], desired: Desired) -> Dict[str, bytes]:
    """All files of the seed as it should be, with the instance-id that it has, or that was asked for, or that its first contents give."""
    merged: Dict[str, Optional[bytes]] = {nocloud.USER_DATA: nocloud.EMPTY_USER_DATA, **old, **desired.contents}
    contents = {name: data for name, data in merged.items() if data is not None}
    old_meta = old.get(nocloud.META_DATA)
    old_id = nocloud.meta_value(old_meta, nocloud.INSTANCE_ID)
    meta = old_meta if old_meta and desired.meta_data is None else nocloud.meta_data(desired.meta_data or {}, "")
    contents[nocloud.META_DATA] = meta
    identity = desired.instance_id or old_id or nocloud.derived_instance_id(contents, "")
    contents[nocloud.META_DATA] = nocloud.with_instance_id(meta, identity)
    return contents


def _with_new_instance_id(contents: Mapping[str, bytes], seed: Seed) -> Dict[str, bytes]:
    previous = nocloud.meta_value(seed.contents[nocloud.META_DATA], nocloud.INSTANCE_ID) or ""
    identity = nocloud.derived_instance_id(contents, previous)
    return {**contents, nocloud.META_DATA: nocloud.with_instance_id(contents[nocloud.META_DATA], identity)}


def _write(observed: Observed, desired: Desired, differing: Tuple[str, ...], contents: Mapping[str, bytes]) -> WriteSeed:
    """What was not asked for stays, where the seed has one of it; a new seed is its owner's alone."""
    old = observed.seed.attributes if observed.seed and observed.seed.complete else ()

    def kept(key: str, otherwise: str) -> str:
        values = {getattr(attributes, key) for attributes in old}
        return str(values.pop()) if len(values) == 1 else otherwise

    return WriteSeed(
        observed.path,
        desired.format,
        differing,
        nocloud.meta_value(contents[nocloud.META_DATA], nocloud.INSTANCE_ID) or "",
        observed.owner or kept("owner", observed.new_owner or "root"),
        observed.group or kept("group", observed.new_group or "root"),
        desired.mode or kept("mode", _DEFAULT_MODE),
        contents,
    )


def _attributes(observed: Observed, desired: Desired) -> Plan[Observed]:
    """Owner, group and mode of a seed whose contents are as they should be."""
    wanted = {"owner": observed.owner, "group": observed.group, "mode": desired.mode}
    seed = observed.seed or Seed()
    present = [*seed.attributes, *([observed.folder] if observed.folder else [])]
    wrong = {key: value for key, value in wanted.items() if value is not None and any(getattr(item, key) != value for item in present)}
    actions: List[Action] = []
    if "owner" in wrong or "group" in wrong:
        actions.append(SetOwner(observed.path, desired.format, wrong.get("owner"), wrong.get("group")))
    if "mode" in wrong:
        actions.append(SetMode(observed.path, desired.format, wrong["mode"]))
    distinct = dict.fromkeys(replace(item, **wrong) for item in seed.attributes)
    folder = replace(observed.folder, **wrong) if observed.folder else None
    after = replace(observed, seed=replace(seed, attributes=tuple(distinct)), folder=folder) if actions else observed
    return Plan(tuple(actions), after)
