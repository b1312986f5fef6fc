# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""YAML text of plain data for diffs. Targets have no YAML library, and a diff needs no more than this."""

from __future__ import annotations

import json
import re
from typing import Any, Iterator

_PLAIN = re.compile(r"[A-Za-z0-9_/.][A-Za-z0-9_/.:+@-]*")
# What YAML 1.1 reads as a number, a date, a truth value or nothing, and some more: a text in quotes is never wrong.
_LOOKS_TYPED = re.compile(r"[0-9.]+([e_:].*)?|0[xbo].*|[.](inf|nan)|[0-9]{4}-[0-9].*|true|false|yes|no|on|off|null|~", re.IGNORECASE)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and not _LOOKS_TYPED.fullmatch(value) and not value.endswith(":"):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _lines(value: Any, indent: str) -> Iterator[str]:
    pairs = [(f"{key}:", item) for key, item in value.items()] if isinstance(value, dict) else [("-", item) for item in value]
    for head, item in pairs:
        if isinstance(item, (dict, list, tuple)) and item:
            yield f"{indent}{head}"
            yield from _lines(item, indent + "  ")
        elif isinstance(item, str) and "\n" in item.strip("\n"):
            yield f"{indent}{head} |"
            for line in item.strip("\n").split("\n"):
                yield f"{indent}  {line}".rstrip()
        else:
            yield f"{indent}{head} {_scalar(list(item) if isinstance(item, tuple) else item)}"


def to_yaml(value: Any) -> str:
    """Block-style YAML of dicts, lists, strings, numbers, booleans and None; empty text for an empty value."""
    return "".join(line + "\n" for line in _lines(value, "")) if value else ""
