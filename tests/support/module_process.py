# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run one module in this process, the way a target does: options on standard input, the result on standard output.

Standard input is {"ANSIBLE_MODULE_ARGS": {...}}, the one argument is the module's name.
"""

from __future__ import annotations

import importlib
import sys

from ansible.module_utils import basic

if __name__ == "__main__":
    basic._ANSIBLE_ARGS = sys.stdin.buffer.read()
    basic._ANSIBLE_PROFILE = "legacy"  # ansible-core 2.19 and newer ask for the form of the options; older ones ignore it
    importlib.import_module(f"ansible_collections.virtops.linux.plugins.modules.{sys.argv[1]}").main()
