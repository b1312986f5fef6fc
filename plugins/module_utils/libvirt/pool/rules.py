# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a pool's XML is spelled, and which of it means the same. Source: libvirt's formatstorage and src/conf/storage_conf.c."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Dict, Optional, Tuple

from ..spelling import number, uuid_text
from ..xmlmerge import Key, Rules
from ..xmltree import Node

FS = "{http://libvirt.org/schemas/storagepool/fs/1.0}"
RBD = "{http://libvirt.org/schemas/storagepool/rbd/1.0}"

#: Lists, and what tells their members apart.
_LISTS: Dict[str, Tuple[str, ...]] = {
    "source/host": ("@name", "@port"),
    "source/device": ("@path",),
    f"{FS}mount_opts/{FS}option": ("@name",),
    f"{RBD}config_opts/{RBD}option": ("@name",),
}

#: Pools whose target libvirt derives from the source, or which have none, whatever the definition says.
WITHOUT_TARGET_PATH = ("logical", "zfs", "rbd", "sheepdog", "gluster", "iscsi-direct")
#: Of these libvirt prints no target at all.
_WITHOUT_TARGET = ("zfs", "rbd", "sheepdog", "gluster", "iscsi-direct")
#: What libvirt writes where a definition says nothing.
_UNSAID = {"source/host@port": "0"}
_NOBODY = ("-1", str(2**32 - 1))


def sanitized(path: str) -> str:
    """A path as libvirt keeps it: single slashes, none at the end. Exactly two at the start are left to POSIX. Source: virFileSanitizePath."""
    head = "//" if re.match(r"//(?!/)", path) else "/" if path.startswith("/") else ""
    return head + "/".join(part for part in path.split("/") if part)


def _key(path: str, node: Node, place: int) -> Key:
    if path in _LISTS:
        values = [node.attributes.get(name[1:]) or "" for name in _LISTS[path]]
        return path, "-".join(value for value in values if value) if any(values) else None
    return "", ""


def _spell(path: str, node: Node) -> Node:
    if path == "":
        return _pool(node)
    if path == "uuid":
        return replace(node, text=uuid_text(node.text, "uuid"))
    if path == "target/permissions/mode":
        digits = node.text.strip()
        return replace(node, text=f"{int(digits, 8):04o}" if re.fullmatch("[0-7]+", digits) else digits)
    if path == "target/permissions":
        return _permissions(node)
    if path in ("target/permissions/owner", "target/permissions/group"):
        return replace(node, text=number(node.text.strip()))
    if path == "source/device":
        return node.without("freeExtent")
    if path == "source/adapter":
        return _adapter(node)
    return node if path in ("target/path", "source/name") else replace(node, text=node.text.strip())


def _pool(node: Node) -> Node:
    kind = node.attributes.get("type")
    children = [child for child in node.children if child.tag != "target" or kind not in _WITHOUT_TARGET]
    return replace(node, children=tuple(_target(child, kind) if child.tag == "target" else _source(child, kind) for child in children))


def _target(node: Node, kind: Optional[str]) -> Node:
    if node.tag != "target":
        return node
    if kind in WITHOUT_TARGET_PATH:
        return node.without("path")
    return replace(
        node, children=tuple(replace(child, text=sanitized(child.text.strip())) if child.tag == "path" else child for child in node.children)
    )


def _source(node: Node, kind: Optional[str]) -> Node:
    if node.tag != "source":
        return node
    return replace(node, children=tuple(_sanitized_dir(child) if child.tag == "dir" else child for child in node.children))


def _sanitized_dir(node: Node) -> Node:
    return node.with_attributes(path=sanitized(node.attributes["path"])) if "path" in node.attributes else node


def _permissions(node: Node) -> Node:
    """An owner or a group of -1 is none, and libvirt does not print it."""
    gone = {child.tag for child in node.children if child.tag in ("owner", "group") and child.text.strip() in _NOBODY}
    return replace(node.without(*gone), owned=node.owned | gone)


def _adapter(node: Node) -> Node:
    """Source: virStorageAdapterParseXML. A bare name is a SCSI host, and the old names lack its prefix."""
    kind = node.attributes.get("type", "scsi_host")
    name = node.attributes.get("name")
    said = {"type": kind}
    if name and re.fullmatch("host[0-9]+", name):
        said["name"] = f"scsi_{name}"
    return node.with_attributes(**said)


def _same(field: str, observed: Optional[str], desired: str) -> bool:
    if observed is None:
        return field in _UNSAID and _UNSAID[field] == desired
    return observed == desired


def _implied(path: str, node: Node) -> bool:
    if path in ("source", "target", "target/permissions", "features"):
        return not node.attributes and all(_implied(f"{path}/{child.tag}", child) for child in node.children)
    return path == "target/permissions/label" and not node.text


def _prune(path: str, observed: Node, wish: Node) -> Node:
    if path == "" and wish.attributes.get("type", observed.attributes.get("type")) != observed.attributes.get("type"):
        return observed.without("source", "target", f"{FS}mount_opts", f"{RBD}config_opts")
    return observed


RULES = Rules(spell=_spell, key=_key, same=_same, implied=_implied, prune=_prune, opaque=lambda path: False)
