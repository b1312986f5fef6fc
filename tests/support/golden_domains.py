# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every definition given, against a real libvirt: many convergences in one process, on the target's Python.

Arguments: the name that all of them have, then XML files. Output: {file's stem: [what did not hold]}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Dict, List

import libvirt
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Host
from ansible_collections.virtops.linux.plugins.module_utils.engine.run import converge
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.info import gather
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.resource import domain_resource

RESOURCE = domain_resource(lambda host: False)
DEFAULTS = {name: option.get("default") for name, option in RESOURCE.spec["argument_spec"].items()}


def run(check: bool, **options: Any) -> Dict[str, Any]:
    return converge(RESOURCE, Host(), {**DEFAULTS, **options}, check)


def problems(virt: Any, name: str, xml: str) -> List[str]:
    found = []
    predicted, applied = run(True, name=name, xml=xml), run(False, name=name, xml=xml)
    if not applied["changed"] or applied["warnings"]:
        found.append(f"defined with {applied['warnings']}")
    found += [
        f"{key}: predicted {predicted[key]}, got {applied[key]}"
        for key in ("changed", "actions", "diff", "pending")
        if predicted[key] != applied[key]
    ]
    for check in (True, False):
        again = run(check, name=name, xml=xml)
        if again["changed"]:
            found.append(f"changes again: {again['actions']}")
    guest = virt.lookupByName(name)
    back = run(True, xml=guest.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))
    if back["changed"]:
        found.append(f"fed back, changes: {back['actions']}")
    found += unlike_its_info(name)
    run(False, name=name, state="absent")
    virt.defineXML(xml)
    found += unlike_its_info(name)
    adopted = run(True, name=name, xml=xml)
    if adopted["changed"]:
        found.append(f"adopted, changes: {adopted['actions']}")
    run(False, name=name, state="absent")
    return found


def unlike_its_info(name: str) -> List[str]:
    """What is read of a guest in the module's own words: in options as well as XML, and given back it changes nothing."""
    (read,) = gather(Host(), {"uri": "qemu:///system", "name": name, "addresses": []})["guests"]
    checked = ArgumentSpecValidator(**RESOURCE.spec).validate(read)
    again = converge(RESOURCE, Host(), checked.validated_parameters, True)
    return [f"what is read of it, fed back, changes: {again['actions']}"] * again["changed"] + ["is read as XML alone"] * ("memory" not in read)


def main() -> None:
    virt = libvirt.open("qemu:///system")
    results = {}
    for path in map(Path, sys.argv[2:]):
        try:
            results[path.stem] = problems(virt, sys.argv[1], path.read_text())
        except Exception as error:
            results[path.stem] = [repr(error)]
            run(False, name=sys.argv[1], state="absent")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
