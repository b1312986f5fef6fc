# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Volumes: what is wanted of one, and what is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Tuple

from ...engine.errors import Failure
from ...engine.units import optional_size, parse_size
from ..uri import URI_SPEC
from ..xmltree import Node, object_name, parse, plain_text

#: libvirt's words for how a volume is overwritten. Source: virStorageVolWipeAlgorithm.
WIPES = ["zero", "nnsa", "dod", "bsi", "gutmann", "schneier", "pfitzner7", "pfitzner33", "random", "trim"]

SPEC: Dict[str, Any] = {
    "argument_spec": {
        "uri": URI_SPEC,
        "pool": {"type": "str", "required": True},
        "name": {"type": "str"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "xml": {"type": "str"},
        "capacity": {"type": "str"},
        "allocation": {"type": "str"},
        "format": {"type": "str"},
        "backing": {"type": "dict", "options": {"path": {"type": "str", "required": True}, "format": {"type": "str", "required": True}}},
        "clone": {"type": "dict", "options": {"volume": {"type": "str", "required": True}, "pool": {"type": "str"}}},
        "source": {"type": "path"},
        "allow_shrink": {"type": "bool", "default": False},
        "wipe": {"type": "str", "choices": WIPES},
    },
    "required_one_of": [["name", "xml"]],
    "mutually_exclusive": [["clone", "source"], ["clone", "backing"], ["source", "backing"]],
}


@dataclass(frozen=True)
class Desired:
    """capacity, allocation: bytes; None leaves alone. definition: XML to make a new one of, besides. clone: pool and volume."""

    pool: str
    name: str
    state: str
    capacity: Optional[int] = None
    allocation: Optional[int] = None
    format: Optional[str] = None
    backing: Optional[Tuple[str, str]] = None
    clone: Optional[Tuple[str, str]] = None
    source: Optional[str] = None
    definition: Node = field(default_factory=lambda: Node("volume"))
    allow_shrink: bool = False
    wipe: Optional[str] = None


@dataclass(frozen=True)
class Source:
    """What a volume is made of: a local file, or another volume. size: of its bytes; capacity: what a guest sees of it.

    format: where its first bytes tell. running: guests that run with it.
    """

    size: int
    capacity: int
    format: Optional[str] = None
    running: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Volume:
    """One that is there. unfinished: an upload into it was interrupted.

    guests: whose definition has it; running: those of them that run; dependents: volumes that stand on it. Known where they matter.
    disk: of the only guest that runs with it, where that can make it larger.
    """

    capacity: int
    format: Optional[str] = None
    backing: Optional[Tuple[str, str]] = None
    path: str = ""
    allocation: int = 0
    unfinished: bool = False
    guests: Tuple[str, ...] = ()
    running: Tuple[str, ...] = ()
    dependents: Tuple[str, ...] = ()
    disk: Optional[str] = None


@dataclass(frozen=True)
class Observed:
    """volume: None where there is none. source: None where the task names none, or where it is not needed any more.

    probed: whether the pool tells a volume's format from its first bytes: those of files.
    grain: bytes; the pool's storage is handed out in multiples of so many.
    """

    volume: Optional[Volume] = None
    source: Optional[Source] = None
    probed: bool = True
    grain: int = 1024


def from_params(params: Mapping[str, Any]) -> Desired:
    given = parse(params["xml"], "xml", "volume") if params["xml"] is not None else Node("volume")
    in_xml = (given.get("name") or "").strip()
    name = object_name(params["name"] if params["name"] is not None else in_xml, "volume")
    if in_xml and in_xml != name:
        raise Failure(f"name: the task says {name!r} and its xml says {in_xml!r}; leave one of them out", "invalid_xml")
    if params["wipe"] and params["state"] != "absent":
        raise Failure("wipe: only a volume that goes is wiped; add state: absent, or leave wipe out", "invalid_value")
    backing = params["backing"]
    clone = params["clone"]
    if params["xml"] is not None and (clone or params["source"]):
        raise Failure("xml: a volume is made of xml, of clone or of source; leave the others out", "invalid_value")
    capacity, allocation = optional_size(params["capacity"], "capacity"), optional_size(params["allocation"], "allocation")
    return Desired(
        pool=object_name(params["pool"], "pool"),
        name=name,
        state=params["state"],
        capacity=capacity if capacity is not None else _size_in(given, "capacity"),
        allocation=allocation if allocation is not None else _size_in(given, "allocation"),
        format=plain_text(params["format"], "format") if params["format"] else given.get("target/format@type"),
        backing=(_absolute(backing["path"]), plain_text(backing["format"], "backing.format")) if backing else backing_of(given),
        clone=(clone["pool"] or params["pool"], clone["volume"]) if clone else None,
        source=params["source"],
        definition=given,
        allow_shrink=params["allow_shrink"],
        wipe=params["wipe"],
    )


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise Failure(f"backing.path: {path!r} is not an absolute path; start it with a slash", "invalid_path")
    return plain_text(path, "backing.path")


def _size_in(tree: Node, tag: str) -> Optional[int]:
    found = tree.find(tag)
    return parse_size(found.text.strip() or "0", tag, found.attributes.get("unit", "B")) if found else None


def backing_of(tree: Node) -> Optional[Tuple[str, str]]:
    """Path and format of the backing file in a volume's XML; its format may be unknown."""
    path = (tree.get("backingStore/path") or "").strip()
    return (path, tree.get("backingStore/format@type") or "") if path else None


def volume_of(text: str) -> Volume:
    """A volume out of libvirt's XML of it."""
    tree = parse(text, "libvirt's XML of a volume", "volume")
    return Volume(
        capacity=_size_in(tree, "capacity") or 0,
        format=tree.get("target/format@type"),
        backing=backing_of(tree),
        path=(tree.get("target/path") or "").strip(),
        allocation=_size_in(tree, "allocation") or 0,
    )
