# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the tools that tests/integration/test_other_tools.py compares us with say of this machine: command → its end, as JSON."""

import json
import os
import subprocess

COMMANDS = (
    "virt-host-validate qemu",
    "virt-host-validate lxc",
    "kvm-ok",
    "systemd-detect-virt --vm",
    "systemd-detect-virt --container",
    "systemd-detect-virt --chroot",
    "systemd-detect-virt --private-users",
)


def said(command):
    done = subprocess.run(command.split(), capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "LC_ALL": "C"})
    return {"returncode": done.returncode, "stdout": done.stdout, "stderr": done.stderr}


print(json.dumps({command: said(command) for command in COMMANDS}))
