# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Secrets: what is wanted of one, and what libvirt lets be seen of it."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional

from ...engine.errors import Failure
from ...engine.plan import HIDDEN
from ..spelling import uuid_text
from ..uri import URI_SPEC
from ..xmltree import Node, parse, plain_text

#: Usage type → the element that has its id. Source: formatsecret.
USAGE = {"volume": "volume", "ceph": "name", "iscsi": "target", "tls": "name", "vtpm": "name"}

SPEC: Dict[str, Any] = {
    "argument_spec": {
        "uri": URI_SPEC,
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "uuid": {"type": "str"},
        "usage": {
            "type": "dict",
            "options": {"type": {"type": "str", "choices": sorted(USAGE), "required": True}, "id": {"type": "str", "required": True}},
        },
        "description": {"type": "str"},
        "ephemeral": {"type": "bool"},
        "private": {"type": "bool"},
        "xml": {"type": "str"},
        "value": {"type": "str", "no_log": True},
        "encoding": {"type": "str", "choices": ["text", "base64"], "default": "text"},
        "update_value": {"type": "str", "choices": ["if_different", "always", "on_create"], "default": "if_different"},
    },
    "required_one_of": [["uuid", "usage", "xml"]],
}


@dataclass(frozen=True)
class Usage:
    """What the secret is for. type: libvirt's word. id: a path, a target or a name; unique within the type."""

    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


@dataclass(frozen=True)
class Desired:
    """None leaves alone. update: if_different, always or on_create.

    written: not empty once this very run has set the value, which is all that can be known of a private one.
    """

    state: str
    uuid: Optional[str] = None
    usage: Optional[Usage] = None
    description: Optional[str] = None
    ephemeral: Optional[bool] = None
    private: Optional[bool] = None
    value: Optional[bytes] = field(default=None, metadata=HIDDEN, repr=False)
    update: str = "if_different"
    written: List[bool] = field(default_factory=list, compare=False, repr=False)

    @property
    def label(self) -> str:
        return str(self.usage or self.uuid)


#: What is known of a secret's value without showing it.
SAME, OTHER, NONE, UNKNOWN = "as wished", "another", "none", "unknown"


@dataclass(frozen=True)
class Secret:
    """One that is there. value: SAME, OTHER, NONE, or UNKNOWN where it is private and not of this run."""

    uuid: Optional[str]
    usage: Optional[Usage] = None
    description: str = ""
    ephemeral: bool = False
    private: bool = False
    value: str = NONE


@dataclass(frozen=True)
class Observed:
    """secret: None where there is none. usage_holder: the UUID of another one that has the usage."""

    secret: Optional[Secret] = None
    usage_holder: Optional[str] = None


def from_params(params: Mapping[str, Any]) -> Desired:
    given = secret_of(parse(params["xml"], "xml", "secret")) if params["xml"] is not None else None
    usage = params["usage"]
    wanted = Usage(usage["type"], plain_text(usage["id"], "usage.id")) if usage else None
    if wanted and not wanted.id.strip():
        raise Failure("usage.id: is empty; give the path, the target or the name that the secret is for", "invalid_value")
    desired = Desired(
        state=params["state"],
        uuid=uuid_text(params["uuid"], "uuid") if params["uuid"] else (given.uuid if given else None),
        usage=wanted or (given.usage if given else None),
        description=_said(params["description"], given.description if given else None),
        ephemeral=params["ephemeral"] if params["ephemeral"] is not None else (given.ephemeral if given else None),
        private=params["private"] if params["private"] is not None else (given.private if given else None),
        value=_value(params["value"], params["encoding"]),
        update=params["update_value"],
    )
    if desired.uuid is None and desired.usage is None:
        raise Failure("xml: has neither a uuid nor a usage, so that the secret cannot be found again; add one of them", "invalid_xml")
    return desired


def _said(option: Optional[str], in_xml: Optional[str]) -> Optional[str]:
    return plain_text(option, "description", lines=True) if option is not None else in_xml


def _value(text: Optional[str], encoding: str) -> Optional[bytes]:
    if text is None:
        return None
    if not text:
        raise Failure("value: is empty, and libvirt keeps no empty secret; give one, or leave value out", "invalid_value")
    if encoding == "text":
        return text.encode("utf-8", "surrogateescape")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise Failure("value: is not base64; correct it, or set encoding: text", "invalid_value") from error


def secret_of(tree: Node) -> Secret:
    """A secret out of its XML; what it does not say is libvirt's default."""
    usage = tree.find("usage")
    kind = usage.attributes.get("type", "none") if usage else "none"
    place = USAGE.get(kind)
    if kind != "none" and place is None:
        raise Failure(f"xml: {kind!r} is not a usage of secrets; use {', '.join(sorted(USAGE))}", "invalid_xml")
    uuid = tree.get("uuid")
    return Secret(
        uuid=uuid_text(uuid, "uuid") if uuid else None,
        usage=Usage(kind, ((usage.get(place) if usage else "") or "").strip()) if place else None,
        description=tree.get("description") or "",
        ephemeral=tree.attributes.get("ephemeral") == "yes",
        private=tree.attributes.get("private") == "yes",
    )
