# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The table of when fields take effect, and the documentation that is held against it."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.virtops.linux.plugins.doc_fragments.libvirt_domain import ModuleDocFragment
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain import actions, apply_live, fields
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.model import SPEC
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.options.rows import Group, Row
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.options.table import ALONE, DOMAIN, UNDER
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.options.tell import leaves, path_of
from ansible_collections.virtops.linux.plugins.modules import libvirt_domain

DOCUMENTED = {**yaml.safe_load(libvirt_domain.DOCUMENTATION)["options"], **yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]}
#: Options of other things than the definition.
OTHERS = {
    "uri",
    "name",
    "state",
    "autostart",
    "xml",
    "profile",
    "profiles",
    "restart",
    "force",
    "timeout",
    "wait_for",
    "wait_timeout",
    *(name for name in DOCUMENTED if name.startswith("remove_")),
}


def documented(option):
    head, _dot, rest = option.partition(".")
    found = DOCUMENTED[head]
    return found["suboptions"][rest] if rest else found


@pytest.mark.parametrize("option", fields.OPTIONS)
def test_each_option_says_when_it_takes_effect(option):
    assert documented(option)["description"][-1] == fields.effect(option)


def test_every_option_has_an_effect():
    own_code = {option for option in fields.OPTIONS if "." not in option}
    assert set(SPEC["argument_spec"]) - OTHERS == own_code | {entry.option for entry in ALONE}
    assert not own_code & {entry.option for entry in ALONE}


def descriptions(option):
    """All that the documentation says of an option and of those above it, option by option."""
    found, lines = {"suboptions": DOCUMENTED}, []
    for name in option.split("."):
        found = found["suboptions"][name]
        lines.append([found["description"]] if isinstance(found["description"], str) else found["description"])
    return lines


def sentences(option):
    """All of that which says when it takes effect."""
    return [line for lines in descriptions(option) for line in lines if line.startswith("A running guest gets ")]


FROM_ROWS = [
    *leaves(DOMAIN),
    *(leaf for option in ("disks", "interfaces") for leaf in leaves(UNDER[option][0], UNDER[option][1], option + ".")),
]


@pytest.mark.parametrize(("option", "path"), FROM_ROWS, ids=lambda value: value)
def test_each_option_of_a_table_says_when_it_takes_effect(option, path):
    said = sentences(option)
    row = fields.row_of(path)
    assert said, "nothing is said of when it takes effect"
    waits_with_all = said[-1].endswith(fields.KEPT) and row.when == fields.NEXT_BOOT
    assert said[-1] == fields.sentence(row) or waits_with_all


def clearable(table, above="", name=""):
    """Each option that can take something away by itself, and all fields that go with it, by the option for each below it."""
    for entry in table:
        path, option = path_of(above, entry.xml), name + entry.option
        if isinstance(entry, Group):
            members = {"": path + "[]"} if entry.many or entry.only else dict(leaves(entry.rows, path))
            if entry.many or not entry.stays:
                yield option, members
            yield from clearable(entry.rows, path, option + ".")
        elif not isinstance(entry, Row) or (entry.kind.clears and not entry.required):
            yield option, {"": path}


CLEARABLE = [
    *clearable(DOMAIN),
    *(one for option in ("disks", "interfaces") for one in clearable(UNDER[option][0], UNDER[option][1], option + ".")),
    *((option, {"": fields.OPTIONS[option]}) for option in fields.TAKEN_AWAY),
]


@pytest.mark.parametrize(("option", "paths"), CLEARABLE, ids=lambda value: value if isinstance(value, str) else "")
def test_what_cannot_be_taken_away_at_once_is_not_said_to_be(option, paths):
    """By the table alone, not by the code that writes the sentences."""
    said = " ".join(descriptions(option)[-1])
    rows = {name: fields.row_of_member(path[:-2]) if path.endswith("[]") else fields.row_of(path) for name, path in paths.items()}
    live = {name: row for name, row in rows.items() if row.when == fields.LIVE}
    assert (fields.KEEPS[:-1] in said) is any(not row.goes for row in live.values())
    if live and all(row.goes for row in live.values()):
        assert all(f"What is taken away goes at once {row.goes_where}, else" in said for row in live.values() if row.goes_where)
    else:
        assert all(f"C({name.partition('.')[0]})" in said for name, row in live.items() if row.goes)


def test_what_goes_at_once_under_a_condition_is_live():
    assert all(row.when == fields.LIVE and row.goes for row in fields.TABLE if row.goes_where)
    assert all(row.when == fields.LIVE for row in fields.TABLE if row.goes)


def test_paths_are_told_once_and_options_name_rows():
    paths = [row.path for row in fields.TABLE]
    assert len(paths) == len(set(paths))
    assert set(fields.OPTIONS.values()) <= set(paths)


def test_every_live_row_names_an_action_that_can_be_done():
    kinds = {name for name, one in vars(actions).items() if isinstance(one, type)}
    words = {"".join(part.capitalize() for part in row.by.split("_")) for row in fields.TABLE if row.when == fields.LIVE}
    assert words <= kinds
    able = {one.__name__ for one in apply_live._do.registry}
    assert words <= able and all(not row.by for row in fields.TABLE if row.when != fields.LIVE)


@pytest.mark.parametrize(
    ("path", "row"),
    [
        ("os/kernel", ""),
        ("vcpu@current", "vcpu@current"),
        ("vcpu@placement", "vcpu"),
        ("devices/disk/source/host@name", "devices/disk/source"),
        ("devices/disk/target@bus", ""),
        ("devices/graphics@passwd", "devices/graphics@passwd"),
    ],
)
def test_a_field_without_a_row_is_as_the_one_above(path, row):
    assert fields.row_of(path).path == row
    assert fields.row_of_member("devices/disk").path == "devices/disk[]"
    assert fields.row_of_member("devices/video").path == ""
