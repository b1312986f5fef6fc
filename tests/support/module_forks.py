# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run one module again and again, each time in a fresh fork of this process, which has imported everything already.

What a target pays for each task, the start of Python and the imports, a test of hundreds of runs pays once.
Standard input: a line of JSON for each run, the options. Standard output: a line for each, what the module printed.
With the word "once" behind the module's name: one run in this very process, which may be killed, and its output as it is.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback

from ansible.module_utils import basic


def _become(main, arguments):
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
    basic._ANSIBLE_PROFILE = "legacy"  # ansible-core 2.19 and newer ask for the form of the options; older ones ignore it
    main()


def _run(main, arguments):
    with open(os.memfd_create("printed"), "w+b") as printed:
        child = os.fork()
        if not child:
            status = 1
            try:
                os.dup2(printed.fileno(), 1)
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                _become(main, arguments)
            except SystemExit as exit_:
                status = exit_.code or 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        os.waitpid(child, 0)
        printed.seek(0)
        return printed.read().decode()


if __name__ == "__main__":
    main = importlib.import_module(f"ansible_collections.virtops.linux.plugins.modules.{sys.argv[1]}").main
    for line in sys.stdin:
        if sys.argv[2:] == ["once"]:
            _become(main, json.loads(line))
        sys.stdout.write(json.dumps(_run(main, json.loads(line))) + "\n")
        sys.stdout.flush()
