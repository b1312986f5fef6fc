#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: bridge_confirm
short_description: Confirm or undo a bridge change that waits
version_added: 0.1.0
description:
  - A change that M(virtops.linux.bridge) made with a O(rollback_id) is undone by a watchdog on the host unless it is confirmed in time.
    This module confirms it, or has it undone at once.
  - A task of M(virtops.linux.bridge) confirms its own change. This module is for those who want to decide by hand.
  - That the module runs at all proves that the host can be reached. Reset the connection before (M(ansible.builtin.meta)), because one
    that was open before the change proves little.
author:
  - virtops.linux contributors (@virtops)
options:
  rollback_id:
    description: The name of the change, as it was given to M(virtops.linux.bridge).
    type: str
    required: true
  state:
    description:
      - V(confirmed) keeps the change. It is an error where it was undone already.
      - V(rolled_back) restores everything as it was before the change, and returns when it is done.
    type: str
    choices: [confirmed, rolled_back]
    default: confirmed
  confirm:
    description: V(gateway) confirms only when the default gateways answer the host.
    type: str
    choices: [connection, gateway]
  verify_hosts:
    description: Addresses that must answer the host before the change is confirmed, as in M(virtops.linux.bridge).
    type: list
    elements: str
  reason:
    description: Why the change is rolled back, for the report.
    type: str
extends_documentation_fragment:
  - virtops.linux.attributes
  - virtops.linux.attributes.converge
  - virtops.linux.results
seealso:
  - module: virtops.linux.bridge
"""

EXAMPLES = r"""
- name: Keep the change that waits under this name, if the routers answer
  virtops.linux.bridge_confirm:
    rollback_id: move-1
    confirm: gateway
"""

RETURN = r"""
resource:
  description: The change.
  returned: success
  type: dict
  contains:
    rollback_id:
      description: Its name.
      type: str
    bridge:
      description: The bridge that it was about.
      type: str
    state:
      description: V(confirmed) or V(rolled_back).
      type: str
    reason:
      description: Why it was rolled back.
      type: str
  sample: {rollback_id: move-1, bridge: br0, state: confirmed, reason: null}
"""

from ansible_collections.virtops.linux.plugins.module_utils.bridge.confirm import RESOURCE
from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run


def main():
    run(RESOURCE)


if __name__ == "__main__":
    main()
