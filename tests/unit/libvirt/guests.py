# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Guests as data."""

from __future__ import annotations

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.model import SPEC, Observed, from_params
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.rules import RULES
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.xmlmerge import canonical
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.xmltree import parse


def params(**given):
    checked = ArgumentSpecValidator(**SPEC).validate({"name": "g", **given})
    assert not checked.error_messages, checked.error_messages
    return checked.validated_parameters


def desired(**given):
    return from_params(params(**given))


def guest(text="", state="shutoff", **more):
    tree = canonical(
        parse(f"<domain type='qemu'><name>g</name><uuid>11111111-1111-1111-1111-111111111111</uuid>{text}</domain>", "xml", "domain"), RULES
    )
    return Observed(inactive=tree, active=tree if state in ("running", "paused") else None, state=state, machine_id="m", **more)


def kinds(plan):
    return [action.kind for action in plan.actions]
