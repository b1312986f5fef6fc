# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A pool of each type there and back, in this machine's libvirt and in one of its own."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.virtops.linux.plugins.module_utils.libvirt.pool.model import SPEC

from support.modules import refused, settled
from support.option_cases import by_path, changed, concerns, there_and_back
from support.pool_options import FIELDS, Case

MODULE = "libvirt_pool"


def options_of_a_type(case: Case, name: str, virsh: Callable[..., str]) -> None:
    """Defined, not started; the table says why."""
    base = {"name": name, "state": "present"}
    if case.missing:
        assert case.missing in refused(MODULE, {**base, **case.one}, "libvirt_error")
        return
    _made, *moved = there_and_back(MODULE, base, case.one, case.other)
    for result in moved:
        changes = result["actions"][0]["changes"]
        for option in changed(SPEC["argument_spec"], case.one, case.other):
            assert concerns(changes, by_path(FIELDS, option)), f"{option} changed nothing: {changes}"
    definition = virsh("pool-dumpxml", name)
    assert case.word in definition
    settled(MODULE, {"state": "present", "xml": definition})
