# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""cloud-init seeds of the NoCloud datasource: what is wanted of one, and what is there."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Tuple

from ..engine.errors import Failure
from ..engine.names import parse_account
from . import nocloud

ISO, DIRECTORY = "iso", "directory"
IGNORE, REFRESH, NEW_INSTANCE_ID = "ignore", "refresh", "new_instance_id"

SPEC: Dict[str, Any] = {
    "argument_spec": {
        "path": {"type": "path", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "format": {"type": "str", "choices": [ISO, DIRECTORY], "default": ISO},
        "user_data": {"type": "raw", "no_log": True},
        "meta_data": {"type": "dict"},
        "network_config": {"type": "raw", "no_log": True},
        "vendor_data": {"type": "raw", "no_log": True},
        "instance_id": {"type": "str"},
        "on_change": {"type": "str", "choices": [IGNORE, REFRESH, NEW_INSTANCE_ID], "default": REFRESH},
        "owner": {"type": "str"},
        "group": {"type": "str"},
        "mode": {"type": "raw"},
    },
}

#: A file name may have 255 bytes; the temporary one adds 14 (see engine.temporary).
_LONGEST_NAME = 241


@dataclass(frozen=True)
class Attributes:
    """Of files. mode: four octal digits."""

    owner: str
    group: str
    mode: str


@dataclass(frozen=True)
class Desired:
    """contents: the files that were given; None as content is "no such file". A file that was not given is left as it is.

    meta_data: without instance-id; None leaves it as it is. instance_id: the one asked for.
    """

    path: str
    present: bool = True
    format: str = ISO
    contents: Mapping[str, Optional[bytes]] = field(default_factory=dict, repr=False)
    meta_data: Optional[Mapping[str, Any]] = None
    instance_id: Optional[str] = None
    on_change: str = REFRESH
    owner: Optional[str] = None
    group: Optional[str] = None
    mode: Optional[str] = None


@dataclass(frozen=True)
class Seed:
    """contents: the seed's files. attributes: of the ISO, or of the files of a directory, each distinct one once."""

    contents: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    attributes: Tuple[Attributes, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether cloud-init would take it: without both files, it looks for another datasource."""
        return {nocloud.META_DATA, nocloud.USER_DATA} <= set(self.contents)


@dataclass(frozen=True)
class Observed:
    """seed: None where there is none. folder: of a seed's directory, the mode as it would be of a file.

    others: what else the directory holds. leftovers: the temporary directories of runs that were interrupted.
    owner, group: those asked for, as the host spells them; new_owner, new_group: what a new file gets otherwise.
    """

    path: str
    seed: Optional[Seed] = None
    folder: Optional[Attributes] = None
    others: Tuple[str, ...] = ()
    leftovers: Tuple[str, ...] = ()
    owner: Optional[str] = None
    group: Optional[str] = None
    new_owner: Optional[str] = None
    new_group: Optional[str] = None


def from_params(params: Mapping[str, Any]) -> Desired:
    path = _path(params["path"])
    if params["state"] == "absent":
        return Desired(path, present=False, format=params["format"])
    meta_data = params["meta_data"]
    if meta_data is not None:
        nocloud.check_meta_data(meta_data)
    return Desired(
        path,
        format=params["format"],
        contents=_contents(params),
        meta_data=None if meta_data is None else {key: value for key, value in meta_data.items() if key != nocloud.INSTANCE_ID},
        instance_id=_instance_id(params),
        on_change=params["on_change"],
        owner=parse_account(params["owner"], "owner"),
        group=parse_account(params["group"], "group"),
        mode=_mode(params["mode"]),
    )


def _path(text: str) -> str:
    if not text.startswith("/"):
        raise Failure(f"path: {text!r} is not absolute; write the whole path, from / on", "invalid_path")
    if not text.isprintable() or ".." in text.split("/") or not text.strip("/"):
        raise Failure(f"path: {text!r} is not a plain path; write it without .. and control characters", "invalid_path")
    if len(posixpath.basename(text.rstrip("/")).encode()) > _LONGEST_NAME:
        raise Failure(f"path: the name of the seed is longer than {_LONGEST_NAME} bytes; choose a shorter one", "invalid_path")
    return "/" + posixpath.normpath(text).lstrip("/")


def _contents(params: Mapping[str, Any]) -> Dict[str, Optional[bytes]]:
    """The files that were given. A seed needs user-data, so empty ones are an empty cloud-config and not "no such file"."""
    given: Dict[str, Optional[bytes]] = {}
    if params["user_data"] is not None:
        given[nocloud.USER_DATA] = nocloud.user_data("user_data", params["user_data"]) or nocloud.EMPTY_USER_DATA
    if params["vendor_data"] is not None:
        given[nocloud.VENDOR_DATA] = nocloud.user_data("vendor_data", params["vendor_data"])
    if params["network_config"] is not None:
        given[nocloud.NETWORK_CONFIG] = nocloud.network_config(params["network_config"])
    return given


def _instance_id(params: Mapping[str, Any]) -> Optional[str]:
    option, key = params["instance_id"], (params["meta_data"] or {}).get(nocloud.INSTANCE_ID)
    if option is not None and key is not None and option != str(key):
        raise Failure(f"instance_id: {option!r} is not what meta_data has, {str(key)!r}; leave one of them out", "invalid_option_combination")
    chosen = option if option is not None else key
    if chosen is None:
        return None
    if params["on_change"] == NEW_INSTANCE_ID:
        raise Failure(
            "instance_id: on_change: new_instance_id chooses it itself; leave the instance id out, or change it yourself with on_change: refresh",
            "invalid_option_combination",
        )
    return nocloud.instance_id(chosen)


def _mode(raw: Any) -> Optional[str]:
    if raw is None:
        return None
    if not isinstance(raw, str) or not re.fullmatch(r"0?[0246]{3}", raw):
        raise Failure(f"mode: {raw!r} is not an octal mode in quotes without x bits; write for example '0640'", "invalid_mode")
    return raw.rjust(4, "0")
