# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files that say what becomes of a module: modprobe.d, modules-load.d and the kernel command line."""

from __future__ import annotations

import shlex
from typing import Dict, Iterator, List, Tuple

from ..engine.host import Host
from .model import ALIAS, AUTOLOAD, BLACKLIST, FALSE, FORBIDDEN, INSTALL, NO_BLACKLIST, OPTIONS, Kept, Line, fold

_HEADER = "# Written by the Ansible collection virtops.linux; changes are overwritten.\n"

# Source: modprobe.d(5) and modules-load.d(5). A file hides those of the same name in the directories after its own;
# whatever its directory, files are read in the order of their names.
_DIRECTORIES = ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
_STOPPERS = {"true", "false", ":"}
CMDLINE = "/proc/cmdline"


def autoload_path(name: str) -> str:
    return f"/etc/modules-load.d/virtops-{name}.conf"


def options_path(name: str) -> str:
    return f"/etc/modprobe.d/virtops-{name}.conf"


def render_autoload(name: str) -> str:
    return f"{_HEADER}{name}\n"


def render(name: str, kept: Kept) -> str:
    """Our modprobe.d file. blacklist only takes a module's aliases away; the install line is what stops modprobe."""
    lines = [f"options {name} " + " ".join(f"{key}={value}" for key, value in kept.options.items())] if kept.options else []
    if kept.blacklist != NO_BLACKLIST:
        lines.append(f"blacklist {name}")
    if kept.blacklist == INSTALL:
        lines.append(f"install {name} /bin/false")
    return _HEADER + "".join(line + "\n" for line in lines)


def statements(text: str) -> Iterator[Tuple[int, str]]:
    """The lines that say something, with their number: \\ goes on in the next line, # starts a comment at the start of a line only."""
    number, parts = 0, []  # type: int, List[str]
    for index, raw in enumerate(text.splitlines(), start=1):
        if not parts:
            number = index
        if raw.endswith("\\"):
            parts.append(raw[:-1])
            continue
        line = "".join([*parts, raw]).strip()
        parts = []
        if line and not line.startswith("#"):
            yield number, line


def assignments(words: List[str]) -> Dict[str, str]:
    """The words k=v, and k alone, which a boolean takes as 1."""
    pairs = (word.partition("=") for word in words)
    return {fold(key): value if equals else "1" for key, equals, value in pairs}


def parse_modprobe(text: str, name: str, file: str, wins: bool) -> List[Line]:
    """What a modprobe.d file says of a module."""
    found: List[Line] = []
    for number, statement in statements(text):
        words = statement.split()
        if len(words) < 2 or fold(words[1]) != name:
            continue
        if words[0] == "options":
            found.append(Line(file, number, statement, OPTIONS, assignments(words[2:]), wins))
        elif words[0] == "blacklist":
            found.append(Line(file, number, statement, BLACKLIST))
        elif words[0] == "install" and len(words) > 2 and words[2].rsplit("/", 1)[-1] in _STOPPERS:
            found.append(Line(file, number, statement, FALSE))
    return found


def parse_kept(text: str, name: str) -> Kept:
    """What our own file says."""
    options: Dict[str, str] = {}
    kinds = set()
    for line in parse_modprobe(text, name, "", False):
        options.update(line.parameters)
        kinds.add(line.kind)
    blacklist = INSTALL if FALSE in kinds else ALIAS if BLACKLIST in kinds else NO_BLACKLIST
    return Kept(options if OPTIONS in kinds or blacklist == NO_BLACKLIST else None, blacklist)


def parse_cmdline(text: str, name: str) -> List[Line]:
    """What the kernel command line says of a module. modprobe reads it after all files."""
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    found: List[Line] = []
    for word in words:
        key, _equals, given = word.partition("=")
        module, dot, _parameter = key.partition(".")
        listed = name in {fold(item) for item in given.split(",")}
        if key == "modprobe.blacklist" and listed:
            found.append(Line(CMDLINE, 1, word, BLACKLIST))
        elif key == "module_blacklist" and listed:
            found.append(Line(CMDLINE, 1, word, FORBIDDEN))
        elif dot and fold(module) == name:
            found.append(Line(CMDLINE, 1, word, OPTIONS, assignments([word[len(module) + 1 :]]), True))
    return found


def parse_autoload(text: str, name: str, file: str) -> List[Line]:
    """Where a modules-load.d file names a module."""
    said = ((number, raw.strip()) for number, raw in enumerate(text.splitlines(), start=1))
    return [Line(file, number, line, AUTOLOAD) for number, line in said if line[:1] not in ("", "#", ";") and fold(line) == name]


def lines_elsewhere(host: Host, name: str) -> Tuple[Line, ...]:
    """Everything that files other than ours say of a module, in the order in which it is read."""
    found: List[Line] = []
    own = options_path(name)
    for file in _in_force(host, "modprobe.d"):
        if file != own:
            later = file.rsplit("/", 1)[-1] > own.rsplit("/", 1)[-1]
            found += parse_modprobe(host.try_read(file) or "", name, file, later)
    found += parse_cmdline(host.try_read(CMDLINE) or "", name)
    for file in _in_force(host, "modules-load.d"):
        if file != autoload_path(name):
            found += parse_autoload(host.try_read(file) or "", name, file)
    return tuple(found)


def _in_force(host: Host, directory: str) -> List[str]:
    """The files that are read, in that order."""
    paths: Dict[str, str] = {}
    for base in _DIRECTORIES:
        for name in host.list(f"{base}/{directory}"):
            if name.endswith(".conf") and not name.startswith("."):
                paths.setdefault(name, f"{base}/{directory}/{name}")
    return [paths[name] for name in sorted(paths)]
