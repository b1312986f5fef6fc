# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The documentation of each option says when it takes effect, as the table says that the planner or the trials in libvirt go by."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.network.plan_live import at_once
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.network.spec import SPEC as NETWORK
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.nwfilter.model import SPEC as NWFILTER
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.objects.model import COMMON
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.pool.model import SPEC as POOL
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.secret.model import SPEC as SECRET
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.volume.model import SPEC as VOLUME
from ansible_collections.virtops.linux.plugins.modules import libvirt_network, libvirt_nwfilter, libvirt_pool, libvirt_secret, libvirt_volume
from support import network_options, nwfilter_options, pool_options, secret_options, volume_options
from support.option_cases import by_path, effects, leaves

BEGINNING = "An active network gets it "


def test_every_option_is_one_of_the_definition_or_one_of_every_module():
    assert set(NETWORK["argument_spec"]) == {name for name in network_options.FIELDS if "." not in name} | set(COMMON)


@pytest.mark.parametrize("option", [name for name in leaves(NETWORK["argument_spec"]) if name.split(".")[0] in network_options.FIELDS])
def test_a_network(option):
    said = effects(yaml.safe_load(libvirt_network.DOCUMENTATION)["options"], option, (BEGINNING,))
    live = at_once(by_path(network_options.FIELDS, option))
    assert said and said[-1].startswith(BEGINNING + ("at once" if live else "at its next start"))


#: Module → its options, its documentation and what that says of them.
TABLES = {
    "pool": (POOL, libvirt_pool, pool_options.EFFECTS),
    "volume": (VOLUME, libvirt_volume, volume_options.EFFECTS),
    "secret": (SECRET, libvirt_secret, secret_options.EFFECTS),
    "nwfilter": (NWFILTER, libvirt_nwfilter, nwfilter_options.EFFECTS),
}
#: What is nothing of the object itself: which one, where, and what the task may do to it.
OTHERS = {*COMMON, "pool", "build", "delete", "allow_shrink", "wipe", "update_value"}


@pytest.mark.parametrize("kind", TABLES)
def test_other_objects(kind):
    spec, module, table = TABLES[kind]
    documented = yaml.safe_load(module.DOCUMENTATION)["options"]
    options = [name for name in leaves(spec["argument_spec"]) if name in table or name.split(".")[0] not in OTHERS]
    assert {name.split(".")[0] for name in options} == {name.split(".")[0] for name in table}
    for option in options:
        said = effects(documented, option, tuple(table.values()))
        assert said and said[-1] == by_path(table, option), option
