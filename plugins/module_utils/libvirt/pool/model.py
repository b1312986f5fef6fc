# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Storage pools: what is wanted of one, and what is there of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ...engine.errors import Failure
from ..objects import model as objects
from ..objects.model import COMMON, Kind, name_and_wish
from ..spelling import uuid_text
from ..xmltree import Node, element, plain_text
from .rules import RULES, sanitized

#: Source: formatstorage, and the types of virsh pool-capabilities.
TYPES = ["dir", "fs", "netfs", "logical", "disk", "iscsi", "iscsi-direct", "scsi", "mpath", "rbd", "gluster", "zfs", "vstorage"]
#: Types whose volumes are files below target.path, which must be there when the pool starts.
DIRECTORIES = ("dir", "fs", "netfs")
#: Types whose building writes to the source's devices.
FORMATTED = ("fs", "disk", "logical")

POOL = Kind("pool", "pool", RULES, "type, source and target, or xml", unseen=("capacity", "allocation", "available"))

SPEC: Dict[str, Any] = {
    "argument_spec": {
        **COMMON,
        "type": {"type": "str", "choices": TYPES},
        "source": {
            "type": "dict",
            "options": {
                "name": {"type": "str"},
                "hosts": {"type": "list", "elements": "dict", "options": {"name": {"type": "str", "required": True}, "port": {"type": "int"}}},
                "devices": {"type": "list", "elements": "str"},
                "dir": {"type": "str"},
                "format": {"type": "str"},
                "initiator": {"type": "str"},
                "adapter": {"type": "str"},
                "protocol_version": {"type": "str"},
                "auth": {
                    "type": "dict",
                    "options": {
                        "type": {"type": "str", "choices": ["chap", "ceph"], "required": True},
                        "username": {"type": "str", "required": True},
                        "secret": {"type": "str", "no_log": False},
                        "secret_usage": {"type": "str", "no_log": False},
                    },
                    "required_one_of": [["secret", "secret_usage"]],
                    "mutually_exclusive": [["secret", "secret_usage"]],
                },
            },
        },
        "target": {
            "type": "dict",
            "options": {
                "path": {"type": "str"},
                "mode": {"type": "str"},
                "owner": {"type": "int"},
                "group": {"type": "int"},
            },
        },
        "build": {"type": "str", "choices": ["never", "missing", "overwrite"], "default": "never"},
        "delete": {"type": "bool", "default": False},
    },
    "required_one_of": [["name", "xml"]],
}


@dataclass(frozen=True)
class Desired(objects.Desired):
    """build: never, missing or overwrite. delete: whether what the pool stands on goes with it."""

    build: str = "never"
    delete: bool = False


@dataclass(frozen=True)
class Observed(objects.Observed):
    """What the pool stands on, as far as this machine can tell; None where it cannot.

    directory: whether its target directory is there. content: whether its source device holds something already.
    contents: names of what is in it. sizes: capacity, allocation and available, in bytes; of an active pool.
    """

    directory: Optional[bool] = None
    content: Optional[bool] = None
    contents: Tuple[str, ...] = ()
    sizes: Tuple[int, ...] = ()


def from_params(params: Mapping[str, Any]) -> Desired:
    name, wish = name_and_wish(params, POOL, _wish_from_options(params))
    if params["delete"] and params["state"] != "absent":
        raise Failure("delete: only a pool that goes can be deleted; add state: absent, or leave delete out", "invalid_value")
    restart = params["restart"] == "if_required"
    return Desired(name, params["state"], wish, params["autostart"], restart, params["build"], params["delete"])


def _wish_from_options(params: Mapping[str, Any]) -> Node:
    return element("pool", _source(params["source"]), _target(params["target"]), type=params["type"])


def _text(value: Optional[str], tag: str, what: str) -> Optional[Node]:
    return element(tag, text=plain_text(value, what)) if value else None


def _source(options: Optional[Mapping[str, Any]]) -> Optional[Node]:
    if options is None:
        return None
    owned = set()
    children: List[Optional[Node]] = []
    for entry in options["hosts"] or []:
        if entry["port"] is not None and not 0 < entry["port"] < 2**16:
            raise Failure(f"source.hosts: {entry['port']} is no port; use 1 to 65535", "invalid_value")
        port = str(entry["port"]) if entry["port"] is not None else None
        children.append(element("host", name=plain_text(entry["name"], "source.hosts.name"), port=port))
    for path in options["devices"] or []:
        children.append(element("device", path=plain_text(path, "source.devices")))
    for name, tag in (("hosts", "host"), ("devices", "device")):
        if options[name] is not None:
            owned.add(tag)
    if options["dir"]:
        children.append(element("dir", path=plain_text(options["dir"], "source.dir")))
    children.append(_text(options["name"], "name", "source.name"))
    if options["initiator"]:
        children.append(element("initiator", element("iqn", name=plain_text(options["initiator"], "source.initiator"))))
    if options["adapter"]:
        children.append(element("adapter", type="scsi_host", name=_adapter(options["adapter"])))
    if options["format"]:
        children.append(element("format", type=plain_text(options["format"], "source.format")))
    if options["protocol_version"]:
        children.append(element("protocol", ver=plain_text(options["protocol_version"], "source.protocol_version")))
    children.append(_auth(options["auth"]))
    for name, tag in (("initiator", "initiator"), ("protocol_version", "protocol")):
        if options[name] == "":
            owned.add(tag)
    return replace(element("source", *children), owned=frozenset(owned))


def _adapter(name: str) -> str:
    """Libvirt takes any name, and prints it as it is: of what is no name it makes XML that nobody can read."""
    if not re.fullmatch("(scsi_)?host[0-9]+", name):
        raise Failure(f"source.adapter: {name!r} is no SCSI host; name one as in /sys/class/scsi_host, for example 'scsi_host0'", "invalid_name")
    return name


def _auth(options: Optional[Mapping[str, Any]]) -> Optional[Node]:
    if not options:
        return None
    uuid, usage = options["secret"], options["secret_usage"]
    secret = element(
        "secret",
        uuid=uuid_text(uuid, "source.auth.secret") if uuid else None,
        usage=plain_text(usage, "source.auth.secret_usage") if usage else None,
    )
    secret = replace(secret, owned=frozenset({"@uuid", "@usage"}))
    return element("auth", secret, type=options["type"], username=plain_text(options["username"], "source.auth.username"))


def _target(options: Optional[Mapping[str, Any]]) -> Optional[Node]:
    if options is None:
        return None
    path = options["path"]
    if path is not None and not path.startswith("/"):
        raise Failure(f"target.path: {path!r} is not an absolute path; start it with a slash", "invalid_path")
    mode = options["mode"]
    if mode is not None and not re.fullmatch("0*[0-7]{1,4}", mode):
        raise Failure(f"target.mode: {mode!r} is no mode; write octal digits in quotes, for example '0711'", "invalid_value")
    permissions = [
        element("mode", text=mode) if mode is not None else None,
        *(element(tag, text=str(options[tag])) for tag in ("owner", "group") if options[tag] is not None),
    ]
    return element(
        "target",
        element("path", text=sanitized(plain_text(path, "target.path"))) if path else None,
        element("permissions", *permissions) if any(permissions) else None,
    )
