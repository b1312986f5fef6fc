# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pools: as every object of libvirt, and besides, what they stand on is built and deleted where that is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ...engine.errors import Failure, NotReady
from ...engine.plan import HIDDEN, Action, Plan
from ..objects import plan as objects
from ..objects.plan import Define, Start, Undefine
from ..xmlmerge import differences
from ..xmltree import Node, element
from .model import DIRECTORIES, FORMATTED, POOL, Desired, Observed


@dataclass(frozen=True)
class Build(objects.Step):
    """Make what the pool stands on. format: also write to its source device, refusing (missing) or not (overwrite) to lose what is there.

    undo: whether the pool was defined only for this, and goes again where building fails.
    """

    format: Optional[str] = None
    undo: bool = field(default=False, metadata=HIDDEN)


@dataclass(frozen=True)
class StopEmpty(objects.Stop):
    """Stop it if it has no volumes, because it is to be deleted."""

    @property
    def kind(self) -> str:
        return "stop_pool"


@dataclass(frozen=True)
class Delete(objects.Step):
    """Remove what the pool stood on."""


def field_of(observed: Observed, desired: Desired, path: str) -> str:
    """A field of the definition that the pool will have."""
    return desired.wish.get(path) or (observed.inactive.get(path) if observed.inactive else None) or ""


def _lacks(observed: Observed, desired: Desired) -> bool:
    """Whether something is missing that building makes. Where that cannot be told, a new pool lacks it, an old one does not."""
    if observed.active is not None:
        return False
    known = [part for part in (observed.directory, observed.content) if part is not None]
    return not all(known) if known else observed.inactive is None


def _of_definition(observed: Observed, desired: Desired) -> Desired:
    """What of the wish is the definition's. In an active pool libvirt puts what its directory has in the place of what was said of permissions."""
    wish, active = desired.wish, observed.active
    target = wish.find("target")
    if active is None or target is None or active.get("@type") not in DIRECTORIES or differences(active, _at(wish), POOL.rules):
        return desired
    rest = target.without("permissions")
    wish = wish.without("target")
    return replace(desired, wish=wish.with_children(rest) if rest.says_something else wish)


def _at(wish: Node) -> Node:
    """Of a wish, which directory it is about."""
    path = wish.find("target/path")
    return element("pool", element("target", path) if path else None, type=wish.attributes.get("type"))


def _other_permissions(observed: Observed, desired: Desired) -> Tuple[str, ...]:
    """The warning that the directory has other permissions than the task says."""
    if observed.active is None or _of_definition(observed, desired) is desired:
        return ()
    said = [f"target/permissions/{tag}" for tag in ("mode", "owner", "group") if desired.wish.get(f"target/permissions/{tag}")]
    other = [label.rpartition("/")[2] for label in differences(observed.active, desired.wish, POOL.rules) if label in said]
    path = observed.active.get("target/path")
    sentence = f"pool {desired.name}: {path} is there with another {', '.join(other)}, which only building a missing directory sets; set it with file"
    return (sentence,) if other else ()


def plan(observed: Observed, desired: Desired) -> Plan[Observed]:
    if desired.state == "absent":
        return _absent(observed, desired)
    base = objects.plan(observed, _of_definition(observed, desired), POOL)
    base = replace(base, warnings=(*base.warnings, *_other_permissions(observed, desired)))
    build = _build(observed, desired)
    if build is None and observed.directory is False and any(isinstance(action, Start) for action in base.actions):
        path = field_of(observed, desired, "target/path")
        raise NotReady(f"pool {desired.name}: there is no directory {path}; make it first, or set build: missing", "directory_missing")
    if build is None:
        return base
    place = next((index for index, action in enumerate(base.actions) if not isinstance(action, Define)), len(base.actions))
    after = replace(base.after, directory=True if observed.directory is not None else None, content=True if observed.content is not None else None)
    return replace(base, actions=(*base.actions[:place], build, *base.actions[place:]), after=after)


def _build(observed: Observed, desired: Desired) -> Optional[Build]:
    new = observed.inactive is None
    if desired.build == "never" or observed.active is not None:
        return None
    writes = field_of(observed, desired, "@type") in FORMATTED
    if new and desired.build == "overwrite":
        return Build(desired.name, POOL, "overwrite" if writes else None, undo=True)
    if not _lacks(observed, desired):
        return None
    return Build(desired.name, POOL, "missing" if writes and not observed.content else None, undo=new)


def _absent(observed: Observed, desired: Desired) -> Plan[Observed]:
    base = objects.plan(observed, desired, POOL)
    if not desired.delete or observed.inactive is None:
        return replace(base, after=replace(base.after, sizes=()))
    name = desired.name
    # An earlier task of the same play may be about to empty it, so this is refused when it comes to it.
    full = not_empty(name, observed.contents)
    if not observed.persistent:
        raise Failure(f"pool {name}: goes when it stops, for it is not persistent; make it so first, or leave delete out", "invalid_state_change")
    if observed.active is None and observed.inactive.get("@type") not in DIRECTORIES:  # a directory with files in it is not removed
        raise Failure(f"pool {name}: is not active, so whether it has volumes cannot be seen; start it first, or leave delete out", "pool_not_active")
    actions: List[Action] = []
    for action in base.actions:
        if isinstance(action, objects.Stop):
            action = StopEmpty(name, POOL)
        if isinstance(action, Undefine) and observed.directory is not False:
            actions.append(Delete(name, POOL))
        actions.append(action)
    after = replace(base.after, directory=None, content=None, contents=(), sizes=())
    return Plan(tuple(actions), after, warnings=(full,) if full else ())


def not_empty(name: str, contents: Sequence[str]) -> Optional[str]:
    """The sentence that refuses to delete what a pool stands on, or None."""
    some = ", ".join(contents[:5]) + (", ..." if len(contents) > 5 else "")
    return f"pool {name}: still holds {some}; delete these volumes first, or leave delete out to keep all of it" if contents else None


def view(observed: Observed, desired: Desired) -> Dict[str, Any]:
    shown = objects.view(observed, _of_definition(observed, desired), POOL)
    if desired.build != "never" and desired.state != "absent":
        shown["built"] = not _lacks(observed, desired)
    return shown


def facts(observed: Observed) -> Dict[str, Any]:
    if observed.inactive is None:
        return {}
    found: Dict[str, Any] = {"uuid": observed.inactive.get("uuid"), "type": observed.inactive.get("@type")}
    found["path"] = observed.inactive.get("target/path")
    found.update(zip(("capacity", "allocation", "available"), observed.sizes))
    return found


def nothing(desired: Desired) -> Observed:
    return Observed()
