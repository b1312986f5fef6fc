# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of a NoCloud seed: how they are written, and what cloud-init takes.

Source: cloud-init's documentation of the NoCloud datasource, of the formats of user data and of network configuration.

Structures are written as JSON: a target has a JSON library and no YAML library, and YAML readers take JSON for what it is.
A YAML writer of our own would be the nicer file and the likelier mistake.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Dict, Mapping, Optional

from ..engine.errors import Failure

META_DATA, USER_DATA, VENDOR_DATA, NETWORK_CONFIG = "meta-data", "user-data", "vendor-data", "network-config"
#: In the order in which a directory gets them. An interrupted change has the new instance-id and lacks the rest, so that the next
#: run sees a difference and, with new_instance_id, chooses another one; a new seed is complete with user-data.
FILES = (META_DATA, VENDOR_DATA, NETWORK_CONFIG, USER_DATA)
INSTANCE_ID, LOCAL_HOSTNAME = "instance-id", "local-hostname"

#: A file of a seed, in bytes. cloud-init keeps them all in memory, several times over.
LARGEST_FILE = 8 * 1024**2

_CLOUD_CONFIG = "#cloud-config\n"
EMPTY_USER_DATA = (_CLOUD_CONFIG + "{}\n").encode()

_HEADERS = (
    "#cloud-config",
    "#cloud-config-archive",
    "#cloud-config-jsonp",
    "#cloud-boothook",
    "#include",
    "#include-once",
    "#part-handler",
    "## template: jinja",
)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOSTNAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
#: What YAML 1.1 readers refuse or take for a line break where it stands as it is, and take where it is written \uXXXX.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def as_json(value: Any, what: str) -> str:
    """A structure as JSON that YAML 1.1 readers, PyYAML above all, read as the same structure. Equal structures give equal text."""
    _check_numbers(value, what)
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"


def _check_numbers(value: Any, what: str) -> None:
    """JSON's 1e-07 has no point, which makes it a text to YAML 1.1; NaN and Infinity are no JSON at all."""
    if isinstance(value, dict):
        for item in value.values():
            _check_numbers(item, what)
    elif isinstance(value, list):
        for item in value:
            _check_numbers(item, what)
    elif isinstance(value, float) and not re.fullmatch(r"-?[0-9]+\.[0-9]+(?:e[+-][0-9]+)?", repr(value)):
        raise Failure(f"{what}: the number {value!r} reads differently in JSON and YAML; write it in quotes", "invalid_number")


def _encoded(text: str, what: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise Failure(f"{what}: it is not valid Unicode; write binary contents as base64", "invalid_text") from error
    if "\0" in text:
        raise Failure(f"{what}: it contains a NUL character; write binary contents as base64", "invalid_text")
    if len(data) > LARGEST_FILE:
        raise Failure(f"{what}: {len(data)} bytes are more than a seed should carry; have the guest fetch what is large", "seed_too_large")
    return data


def user_data(option: str, value: Any) -> Optional[bytes]:
    """user-data or vendor-data: a structure is a cloud-config, text must say what it is. None for an empty one."""
    if isinstance(value, dict):
        return _encoded(_CLOUD_CONFIG + as_json(value, option), option) if value else None
    if not isinstance(value, str):
        raise Failure(f"{option}: neither a dictionary nor text; write a dictionary, or text that begins with #cloud-config", f"invalid_{option}")
    if value and not _has_header(value):
        raise Failure(
            f"{option}: the text does not begin with #cloud-config, #! or another header of cloud-init's, which would ignore it; "
            "write the header on the first line",
            f"invalid_{option}",
        )
    return _encoded(value, option) if value else None


def _has_header(text: str) -> bool:
    """A MIME message is known by its MIME-Version, as cloud-init does it."""
    first = text.split("\n", 1)[0].rstrip().lower()
    words = first if first.startswith("## ") else first.split(" ", 1)[0]
    return words in _HEADERS or first.startswith("#!") or (not first.startswith("#") and "mime-version:" in text[:4096].lower())


def network_config(value: Any) -> Optional[bytes]:
    """network-config of version 1 or 2, also below the key C(network). None for an empty one."""
    if isinstance(value, dict):
        if not value:
            return None
        inner = value["network"] if set(value) == {"network"} else value
        version = inner.get("version") if isinstance(inner, dict) else None
        if version not in (1, 2) or isinstance(version, bool):
            raise Failure("network_config: it does not say version: 1 or version: 2, as a number; add it", "invalid_network_config")
        if version == 1 and "config" not in inner:
            raise Failure("network_config: version 1 has its interfaces in the list config; add it, or use version: 2", "invalid_network_config")
        return _encoded(as_json(value, "network_config"), "network_config")
    if not isinstance(value, str):
        raise Failure("network_config: neither a dictionary nor text; write a dictionary with version: 2", "invalid_network_config")
    if value and not re.search(r"""^\s*[{,]?\s*(["']?)version\1\s*:\s*[12]\s*(?:[,}#]|$)""", value, re.MULTILINE):
        raise Failure("network_config: it does not say version: 1 or version: 2 on a line of its own; add it", "invalid_network_config")
    return _encoded(value, "network_config") if value else None


def check_meta_data(value: Mapping[str, Any]) -> None:
    for wrong, right in (("instance_id", INSTANCE_ID), ("local_hostname", LOCAL_HOSTNAME)):
        if wrong in value:
            raise Failure(f"meta_data: NoCloud does not know {wrong}; write {right}", "invalid_meta_data")
    name = value.get(LOCAL_HOSTNAME)
    if name is not None and not (isinstance(name, str) and len(name) <= 253 and _HOSTNAME.fullmatch(name)):
        raise Failure(
            f"meta_data: {LOCAL_HOSTNAME} {name!r} is not a host name; use letters, digits, - and dots between the labels", "invalid_hostname"
        )
    meta_data(value, "x")


def instance_id(value: Any) -> str:
    """cloud-init names a directory after it."""
    text = str(value)
    if not isinstance(value, (str, int)) or isinstance(value, bool) or not re.fullmatch(r"[^\s/]{1,255}", text) or text in (".", ".."):
        raise Failure(f"instance_id: {text[:80]!r} is not an instance id; write text without spaces and slashes", "invalid_instance_id")
    if not text.isprintable():
        raise Failure(f"instance_id: {text[:80]!r} has control characters; write plain text", "invalid_instance_id")
    return text


def meta_data(value: Mapping[str, Any], identity: str) -> bytes:
    return _encoded(as_json({**value, INSTANCE_ID: identity}, "meta_data"), "meta_data")


def with_instance_id(old: bytes, identity: str) -> bytes:
    """Existing meta-data with another instance-id, whoever wrote them."""
    if meta_value(old, INSTANCE_ID) == identity:
        return old
    found = _json_object(old)
    if found is not None:
        return meta_data(found, identity)
    line = f"{INSTANCE_ID}: {json.dumps(identity)}".encode()
    changed, count = re.subn(rb"^instance-id[ \t]*:[^\r\n]*", lambda match: line, old, count=1, flags=re.MULTILINE)
    if not count and old.strip():
        raise Failure(
            "meta_data: the meta-data that are there have no line instance-id: that could be changed; give meta_data, to write them anew",
            "unreadable_meta_data",
        )
    return changed if count else line + b"\n"


def meta_value(data: Optional[bytes], key: str) -> Optional[str]:
    """instance-id or local-hostname of existing meta-data: JSON, or a line of YAML."""
    if data is None:
        return None
    found = _json_object(data)
    if found is not None:
        return str(found[key]) if key in found else None
    match = re.search(rf"^{key}[ \t]*:[ \t]+(.*)$", data.decode("utf-8", "replace"), re.MULTILINE)
    if not match:
        return None
    quoted = re.match(r"""(["'])(.*?)\1""", match[1])
    return quoted[2] if quoted else re.split(r"\s#", match[1])[0].strip() or None


def _json_object(data: bytes) -> Optional[Dict[str, Any]]:
    try:
        found = json.loads(data.decode())
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def derived_instance_id(contents: Mapping[str, bytes], previous: str) -> str:
    """An instance-id of the contents, instance-id aside.

    previous: the one that it follows. Without it, a change and the way back would give the first id again, which the guest knows already,
    and cloud-init would not run.
    """
    digest = hashlib.sha256(previous.encode())
    for name in FILES:
        data = contents.get(name)
        if data is not None:
            data = with_instance_id(data, "") if name == META_DATA else data
            digest.update(f"\0{name}\0{len(data)}\0".encode() + data)
    return f"iid-{digest.hexdigest()[:20]}"


def fingerprint(data: Optional[bytes]) -> Optional[str]:
    """What results show of a file."""
    return None if data is None else f"sha256:{hashlib.sha256(data).hexdigest()}"
