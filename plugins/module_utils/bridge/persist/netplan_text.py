# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a netplan file says what, by its lines. Pure, and without a YAML library, which hosts need not have.

Only the outline is read: keys, and how far they are indented. What is on one line ({...}) is not taken apart.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Tuple

from ...engine.errors import Failure

Span = Tuple[int, int]  # the lines from, and up to but without

_KEY = re.compile(r"""(?P<indent>\s*)(?P<quote>["']?)(?P<key>[^\s"'#:{}\[\],&*!|>%@`-][^"':]*?)(?P=quote)\s*:(\s+(?P<value>.*))?""")
_KINDS = ("ethernets", "bonds", "bridges", "vlans", "wifis", "tunnels", "vrfs", "dummy-devices", "virtual-ethernets")


@dataclass(frozen=True)
class Definition:
    """An interface. start, end: its lines. inline: its value where that stands on the first line. name: what other definitions call it.

    match: what its match: and set-name: say.
    """

    name: str
    start: int
    end: int
    inline: str
    match: Tuple[Tuple[str, str], ...] = ()
    set_name: str = ""

    def is_for(self, port: str, mac: Optional[str]) -> bool:
        if not self.match:
            return self.name == port
        given = dict(self.match)
        if self.set_name == port:
            return True
        if given.get("macaddress", mac or "").lower() != (mac or "") or not fnmatch.fnmatchcase(port, given.get("name", port)):
            return False
        if "macaddress" in given or given.get("name") == port:
            return not self.set_name
        raise Failure(
            f"{port}: netplan's definition {self.name} matches it among others ({', '.join(given)}); give it a definition of its own, "
            "or set persist: none",
            "backend_unsuitable",
        )


def is_content(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _children(lines: List[str], span: Span) -> Iterator[Tuple[str, str, Span]]:
    """The keys of the outermost level within these lines: key, the value on its line, the lines that are its."""
    starts: List[Tuple[str, str, int]] = []
    level: Optional[int] = None
    for number in range(*span):
        line = lines[number]
        if not is_content(line) or line.startswith("---"):
            continue
        level = _indent(line) if level is None else level
        found = _KEY.fullmatch(line.rstrip())
        if _indent(line) == level and found and not line.lstrip().startswith("-"):
            value = re.sub(r"\s+#.*", "", found["value"] or "").strip()
            starts.append((found["key"], value, number))
    ends = [number for _key, _value, number in starts[1:]] + [span[1]]
    for (key, value, start), end in zip(starts, ends):
        yield key, value, (start, end)


def _network(path: str, lines: List[str]) -> Optional[Span]:
    for key, value, span in _children(lines, (0, len(lines))):
        if key == "network":
            _in_lines(path, key, value)
            return span[0] + 1, span[1]
    if any(is_content(line) for line in lines):
        _in_lines(path, "network", "{")
    return None


def _in_lines(path: str, key: str, value: str) -> None:
    if value not in ("", "{}", "null", "~"):
        raise Failure(f"{path}: has {key} on one line, which cannot be taken apart; write a key a line, or set persist: none", "backend_unsuitable")


def definitions(path: str, text: str) -> Iterator[Definition]:
    lines = text.splitlines(keepends=True)
    network = _network(path, lines)
    if network is None:
        return
    for kind, value, span in _children(lines, network):
        if kind not in _KINDS:
            continue
        _in_lines(path, kind, value)
        for name, inline, (start, end) in _children(lines, (span[0] + 1, span[1])):
            found = {key: (given, at) for key, given, at in _children(lines, (start + 1, end))}
            match: Tuple[Tuple[str, str], ...] = ()
            if "match" in found:
                given, (first, last) = found["match"]
                pairs = re.findall(r"([\w-]+):\s*([^,{}]+)", given) if given else [(k, v) for k, v, _at in _children(lines, (first + 1, last))]
                match = tuple((key, _bare(text)) for key, text in pairs)
            set_name = _bare(found["set-name"][0]) if "set-name" in found else ""
            yield Definition(name, start, end, inline, match, set_name)


def _bare(text: str) -> str:
    return text.strip().strip("\"'")


def keys(text: str, item: Definition) -> Dict[str, Span]:
    """The keys of a definition, each with its lines."""
    return {key: span for key, _value, span in _children(text.splitlines(keepends=True), (item.start + 1, item.end))}


def body(text: str, span: Span, indent: int) -> List[str]:
    """Lines as they are, without comments, moved to another indentation."""
    lines = [line.rstrip() for line in text.splitlines()[slice(*span)] if is_content(line)]
    return [" " * indent + line[_indent(lines[0]) :] for line in lines]


def without_keys(lines: List[str], names: List[str]) -> List[str]:
    """The lines of a key without some of the keys below it; none where nothing is left."""
    _key, inline, span = next(iter(_children(lines, (0, len(lines)))), ("", "", (0, 0)))
    if inline:
        raise Failure(
            f"{lines[0].strip()}: is on one line in netplan's own file, which cannot be taken apart; write a key a line, or say all of dns",
            "backend_unsuitable",
        )
    taken = {number for key, _value, (start, end) in _children(lines, (span[0] + 1, span[1])) if key in names for number in range(start, end)}
    left = [line for number, line in enumerate(lines) if number not in taken]
    return left if len(left) > 1 else []


def renderer(text: str) -> str:
    """What a file wants everything rendered for; empty where it does not say."""
    lines = text.splitlines(keepends=True)
    for key, _value, (start, end) in _children(lines, (0, len(lines))):
        if key == "network":
            return next((_bare(value) for name, value, _span in _children(lines, (start + 1, end)) if name == "renderer"), "")
    return ""
