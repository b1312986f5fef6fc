# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a volume is to what it should be. Content is never touched once it is there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Optional, Tuple

from ...engine.errors import Failure
from ...engine.plan import HIDDEN, Action, Plan
from ...engine.units import format_size
from ..xmltree import Node, element
from .model import Desired, Observed, Source, Volume


@dataclass(frozen=True)
class VolumeStep(Action):
    pool: str


@dataclass(frozen=True)
class CreateVolume(VolumeStep):
    """capacity: bytes; None where the definition leaves it to libvirt. clone: pool and volume that it is copied from."""

    capacity: Optional[int]
    clone: Optional[Tuple[str, str]]
    definition: Node = field(metadata=HIDDEN)


@dataclass(frozen=True)
class UploadVolume(VolumeStep):
    """Fill the volume with a local file's bytes, and read them back."""

    source: str


@dataclass(frozen=True)
class ResizeVolume(VolumeStep):
    """capacity: bytes. guest, disk: which running guest does it, and for which of its disks."""

    capacity: int
    shrink: Optional[bool] = None
    guest: Optional[str] = None
    disk: Optional[str] = None


@dataclass(frozen=True)
class WipeVolume(VolumeStep):
    algorithm: str


@dataclass(frozen=True)
class DeleteVolume(VolumeStep):
    pass


def plan(observed: Observed, desired: Desired) -> Plan[Observed]:
    if desired.state == "absent":
        return _absent(observed, desired)
    volume = observed.volume
    if volume is None:
        return _create(observed, desired)
    if volume.unfinished and desired.source is not None and observed.source is not None:
        return _fill(observed, desired, volume, observed.source, [])
    if volume.unfinished:
        raise Failure(
            f"volume {_label(desired)}: an upload into it was interrupted; run the task that uploads it again, or delete it", "upload_unfinished"
        )
    _unchangeable(volume, desired)
    actions, after = _resized(volume, desired, observed.grain)
    return Plan(tuple(actions), replace(observed, volume=after))


def _label(desired: Desired) -> str:
    return f"{desired.pool}/{desired.name}"


def _create(observed: Observed, desired: Desired) -> Plan[Observed]:
    label, source = _label(desired), observed.source
    if source is None:
        if desired.capacity is None and desired.backing is None and not desired.definition.says_something:
            raise Failure(
                f"volume {label}: there is none, and the task does not say how large it is; give capacity, source or clone", "missing_option"
            )
        create = CreateVolume(desired.name, desired.pool, desired.capacity, None, _definition(desired, desired.capacity, desired.format))
        made = Volume(desired.capacity or 0, desired.format, desired.backing)
        return Plan((create,), replace(observed, volume=made))
    if desired.capacity is not None and desired.capacity < source.capacity:
        _refuse_smaller(desired, source)
    if desired.source is not None:
        # A file that a pool probes starts empty, so that at no time it looks like anything.
        size = 0 if observed.probed else max(source.size, desired.capacity or 0)
        create = CreateVolume(desired.name, desired.pool, size, None, _definition(desired, size, "raw" if observed.probed else None))
        return _fill(observed, desired, Volume(size), source, [create])
    if source.running:
        raise Failure(
            f"volume {label}: its origin {'/'.join(desired.clone or ())} is in use by the guest {source.running[0]}; shut that guest down first",
            "volume_in_use",
        )
    kind = desired.format or source.format
    made = Volume(source.capacity, kind)
    create = CreateVolume(desired.name, desired.pool, source.capacity, desired.clone, _definition(desired, source.capacity, kind))
    actions, after = _resized(made, desired, observed.grain)
    return Plan((create, *actions), replace(observed, volume=after))


def _fill(observed: Observed, desired: Desired, volume: Volume, source: Source, before: List[Action]) -> Plan[Observed]:
    """The steps from an empty or half filled volume to a whole one."""
    if volume.running:
        raise Failure(f"volume {_label(desired)}: is in use by the guest {volume.running[0]}; shut that guest down first", "volume_in_use")
    kind = source.format if observed.probed else None
    if desired.format and kind and desired.format != kind:
        raise Failure(
            f"volume {_label(desired)}: {desired.source} is {kind}, not {desired.format}; convert it with qcow2_image first",
            "format_differs",
        )
    filled = Volume(source.capacity if observed.probed else volume.capacity, desired.format or kind)
    actions, after = _resized(filled, desired, observed.grain)
    return Plan((*before, UploadVolume(desired.name, desired.pool, desired.source or ""), *actions), replace(observed, volume=after))


def _refuse_smaller(desired: Desired, source: Source) -> None:
    raise Failure(
        f"volume {_label(desired)}: {format_size(desired.capacity or 0)} is less than the {format_size(source.capacity)} of what it is made of; "
        "give a larger capacity, or none",
        "too_small",
    )


def _unchangeable(volume: Volume, desired: Desired) -> None:
    """Refuses what no call of libvirt's changes in a volume that is there."""
    label = _label(desired)
    if desired.format and volume.format and desired.format != volume.format:
        raise Failure(f"volume {label}: is {volume.format}, and cannot become {desired.format}; clone it into another volume", "format_differs")
    if desired.backing and (volume.backing is None or desired.backing[0] != volume.backing[0]):
        stands = f"stands on {volume.backing[0]}" if volume.backing else "stands on no backing file"
        raise Failure(f"volume {label}: {stands}, not on {desired.backing[0]}; rebase it with qcow2_image, or make another volume", "backing_differs")


def _as_wished(capacity: int, wanted: Optional[int], grain: int) -> bool:
    """0 leaves it to libvirt, and what is stored in larger units is rounded up."""
    return not wanted or 0 <= capacity - wanted < grain


def _resized(volume: Volume, desired: Desired, grain: int) -> Tuple[List[Action], Volume]:
    wanted, label = desired.capacity, _label(desired)
    if not wanted or _as_wished(volume.capacity, wanted, grain):
        return [], volume
    shrink = wanted < volume.capacity
    if shrink and not desired.allow_shrink:
        raise Failure(
            f"volume {label}: is {format_size(volume.capacity)}, and making it {format_size(wanted)} would cut off what is at its end; "
            "set allow_shrink: true if nothing is there",
            "shrink_refused",
        )
    if volume.running and (shrink or volume.disk is None):
        raise Failure(
            f"volume {label}: the guest {volume.running[0]} runs with it, and only a disk of a single guest can grow; shut it down first",
            "volume_in_use",
        )
    guest = volume.running[0] if volume.running else None
    return [ResizeVolume(desired.name, desired.pool, wanted, shrink or None, guest, volume.disk)], replace(volume, capacity=wanted)


def _definition(desired: Desired, capacity: Optional[int], kind: Optional[str]) -> Node:
    """The XML of a new volume: the user's, with the options on top."""
    given = desired.definition
    target = given.find("target") or Node("target")
    if kind:
        target = target.without("format").with_children(element("format", type=kind))
    children = [element("name", text=desired.name)]
    if capacity is not None:
        children.append(element("capacity", text=str(capacity), unit="bytes"))
    if desired.allocation is not None:
        children.append(element("allocation", text=str(desired.allocation), unit="bytes"))
    elif capacity == 0 or kind not in (None, "raw"):  # a raw one is as full as libvirt makes it
        children.append(element("allocation", text="0", unit="bytes"))
    if desired.backing and given.find("backingStore") is None:
        path, format_ = desired.backing
        children.append(element("backingStore", element("path", text=path), element("format", type=format_)))
    rest = given.without("name", "capacity", "allocation", "target")
    return replace(rest, children=(*children, target, *rest.children))


def _absent(observed: Observed, desired: Desired) -> Plan[Observed]:
    volume, label = observed.volume, _label(desired)
    if volume is None:
        return Plan((), observed)
    # An earlier task of the same play may be about to take these away, so this is refused when it comes to it.
    user = in_use(volume, label)
    actions: List[Action] = [WipeVolume(desired.name, desired.pool, desired.wipe)] if desired.wipe else []
    return Plan((*actions, DeleteVolume(desired.name, desired.pool)), replace(observed, volume=None), warnings=(user,) if user else ())


def in_use(volume: Volume, label: str) -> Optional[str]:
    """The sentence that refuses to delete a volume, or None."""
    if volume.guests:
        return f"volume {label}: the guest {volume.guests[0]} has it as a disk; take it from that guest first"
    if volume.dependents:
        return f"volume {label}: {', '.join(volume.dependents)} stands on it; delete that first, or make it stand alone"
    return None


def view(observed: Observed, desired: Desired) -> Dict[str, Any]:
    volume = observed.volume
    shown: Dict[str, Any] = {"pool": desired.pool, "name": desired.name, "state": "present" if volume else "absent"}
    if volume is None:
        return shown
    if desired.capacity or desired.source or desired.clone:
        exact = desired.capacity if _as_wished(volume.capacity, desired.capacity, observed.grain) else None
        shown["capacity"] = exact or volume.capacity
    if desired.format:
        shown["format"] = volume.format
    if desired.backing:
        shown["backing"] = {"path": volume.backing[0] if volume.backing else None}
    if volume.unfinished:
        shown["unfinished"] = True
    return shown


def facts(observed: Observed) -> Dict[str, Any]:
    volume = observed.volume
    if volume is None:
        return {}
    return {"path": volume.path, "format": volume.format, "capacity": volume.capacity, "allocation": volume.allocation}


def nothing(desired: Desired) -> Observed:
    return Observed(source=Source(0, desired.capacity or 0) if desired.source or desired.clone else None)
