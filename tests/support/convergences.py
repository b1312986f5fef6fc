# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Many runs of libvirt_domain in one process, on the target's Python: a line of JSON in, with its options, and a line out, with its result."""

from __future__ import annotations

import json
import sys
from typing import Any, Dict

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Host
from ansible_collections.virtops.linux.plugins.module_utils.engine.run import converge
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.resource import domain_resource

RESOURCE = domain_resource(lambda host: False)
VALIDATOR = ArgumentSpecValidator(**RESOURCE.spec)


def run(options: Dict[str, Any], check: bool) -> Dict[str, Any]:
    checked = VALIDATOR.validate(options)
    if checked.error_messages:
        return {"failed": True, "code": "invalid_options", "msg": str(checked.error_messages)}
    try:
        return {"failed": False, **converge(RESOURCE, Host(), checked.validated_parameters, check)}
    except Failure as failure:
        return {"failed": True, "code": failure.code, "msg": failure.message}


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(run(asked["options"], asked["check"])), flush=True)


if __name__ == "__main__":
    main()
