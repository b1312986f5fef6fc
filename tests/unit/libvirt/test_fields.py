# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The table of when fields take effect, and the documentation that is held against it."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.virtops.linux.plugins.doc_fragments.libvirt_domain import ModuleDocFragment
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain import actions, apply_live, fields
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.model import SPEC
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.options.table import ALONE, DOMAIN, UNDER
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.options.tell import leaves
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


def sentences(option):
    """All that the documentation of an option and of those above it says of when it takes effect."""
    found, lines = {"suboptions": DOCUMENTED}, []
    for name in option.split("."):
        found = found["suboptions"][name]
        lines += [found["description"]] if isinstance(found["description"], str) else found["description"]
    return [line for line in lines if line.startswith("A running guest gets ")]


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
