# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of a guest that come from tables, and their cases. Several options share a case, so that all of them are tried in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.options.disk import DISK
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.options.interface import INTERFACE
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.options.kinds import FILE, RANDOM
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.options.rows import Entry, Group, Pairs, Row, Table
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.options.table import DOMAIN
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.options.tell import leaves

from support import option_cases
from support.domain_cases.case import Case, Options
from support.domain_cases.devices import DEVICES
from support.domain_cases.machine import MACHINE

#: Everything that has a row.
TABLE: Table = (*DOMAIN, Group("disks", "devices/disk", "", DISK, many=True), Group("interfaces", "devices/interface", "", INTERFACE, many=True))
CASES: dict[str, Case] = {**MACHINE, **DEVICES}


def under(first: Options, second: Options) -> Options:
    """Options over others, dictionaries merged."""
    both = {
        name: under(first[name], value) for name, value in second.items() if isinstance(value, dict) and value and isinstance(first.get(name), dict)
    }
    return {**first, **second, **both}


def values(options: Options, above: str = "") -> Iterator[tuple[str, Any]]:
    """The whole name and the value of each option in a case, those in lists one by one."""
    for name, value in options.items():
        if isinstance(value, dict) and above + name not in PAIRS:
            yield from values(value, f"{above}{name}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for member in value:
                yield from values(member, f"{above}{name}.")
        else:
            yield above + name, value


def rows(table: Table = TABLE, name: str = "") -> Iterator[tuple[str, Entry]]:
    """Each option that has no options of its own, and its row."""
    for entry in table:
        if isinstance(entry, Group):
            yield from rows(entry.rows, f"{name}{entry.option}.")
        else:
            yield name + entry.option, entry


FIELDS = {**dict(leaves(TABLE)), "vsock.cid": "devices/vsock/cid"}  # which is a number, or the word that there is none
#: Options whose keys are free.
PAIRS = {name for name, row in rows() if isinstance(row, Pairs)}


def told(options: Options) -> dict[str, list[Any]]:
    """Option → all its values in a case."""
    found: dict[str, list[Any]] = {}
    for name, value in values(options):
        found.setdefault(name, []).append(value)
    return found


def changed(before: Options, after: Options) -> set[str]:
    """The options with a row that the second says otherwise than the first does."""
    old, new = told(before), told(after)
    return {name for name in FIELDS if name in old and name in new and old[name] != new[name]}


def concerns(changes: list[str], option: str, fields: Mapping[str, str] = FIELDS) -> bool:
    """Whether a change of this option is among the fields."""
    path = fields[option]
    if path.endswith("[]"):  # that it comes or goes
        return path[:-2] in map(option_cases.plain, changes)
    return option_cases.concerns(changes, path)


ROWS = dict(rows())
#: Options that are paths on the host.
FILES = {name for name, row in ROWS.items() if isinstance(row, Row) and row.kind in (FILE, RANDOM)}


def is_text(name: str) -> bool:
    row = ROWS[name]
    return not isinstance(row, Row) or (row.kind.spec["type"] == "str" and "choices" not in row.kind.spec)


def in_every_text(options: Options, names: Iterable[str], text: str, above: str = "") -> tuple[Options, dict[str, str]]:
    """The options with a text in each of these that they say, and what stands where."""
    wanted, stands, changed_options = set(names), {}, {}
    for name, value in options.items():
        path = above + name
        if isinstance(value, dict) and path not in PAIRS:
            changed_options[name], more = in_every_text(value, wanted, text, path + ".")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            members = [in_every_text(member, wanted, text, path + ".") for member in value]
            changed_options[name], more = [member for member, _more in members], {key: one for _member, said in members for key, one in said.items()}
        elif path in wanted:
            more = {path: ("/srv/" if path in FILES else "") + text}
            changed_options[name] = {"NAME": text} if path in PAIRS else [text] if isinstance(value, list) else more[path]
        else:
            changed_options[name], more = value, {}
        stands.update(more)
    return changed_options, stands
