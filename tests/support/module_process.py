# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs modules the way a target does: each in a process of its own, with nothing of the controller but ansible.module_utils.

module_process.py NAME runs one module, with {"ANSIBLE_MODULE_ARGS": {...}} on standard input.

module_process.py alone answers requests, a line of JSON each: {"module": NAME, "arguments": {...}, "env": {...}} gives
{"stdout": ..., "stderr": ...}. Only the start of Python and the loading of libraries are shared: every module runs in a fork of its own.

In check mode, in a module that only reads and where the environment has VIRTOPS_WATCH, a call that changes something in libvirt ends the
module. VIRTOPS_KILL=2:FILE kills the process of the pid file after two such calls. VIRTOPS_COMPILED is a folder for what Python compiles.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import traceback
from contextlib import suppress
from types import ModuleType

from ansible.module_utils import basic
from watched_libvirt import killing, watch


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"ansible_collections.virtops.linux.plugins.modules.{name}")


def _watch(name: str, arguments: dict) -> None:
    count, _colon, pid_file = os.environ.get("VIRTOPS_KILL", "").partition(":")
    if count:
        watch(killing(int(count), pid_file))
    elif name.endswith("_info") or arguments.get("_ansible_check_mode") or os.environ.get("VIRTOPS_WATCH"):
        watch()


def _run(name: str, arguments: bytes) -> None:
    _watch(name, json.loads(arguments)["ANSIBLE_MODULE_ARGS"])
    basic._ANSIBLE_ARGS = arguments
    basic._ANSIBLE_PROFILE = "legacy"  # ansible-core 2.19 and newer ask for the form of the options; older ones ignore it
    _module(name).main()


def _in_child(request: dict, outputs: list) -> None:
    """Never returns. The module's result goes to the first output, whatever it complains of to the second."""
    status = 0
    try:
        for descriptor, output in enumerate(outputs, start=1):
            os.dup2(output.fileno(), descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.update(request["env"])
        _run(request["module"], json.dumps({"ANSIBLE_MODULE_ARGS": request["arguments"]}).encode())
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _answer(request: dict) -> dict:
    _module(request["module"])  # imported before the fork, once for all
    with open(os.memfd_create("stdout"), "w+b") as stdout, open(os.memfd_create("stderr"), "w+b") as stderr:
        child = os.fork()
        if not child:
            _in_child(request, [stdout, stderr])
        os.waitpid(child, 0)
        texts = []
        for output in (stdout, stderr):
            output.seek(0)
            texts.append(output.read().decode(errors="replace"))
    return {"stdout": texts[0], "stderr": texts[1]}


if __name__ == "__main__":
    # What is imported below and by forks is compiled once for all, whatever PYTHONDONTWRITEBYTECODE says of the folders that people look at.
    if "VIRTOPS_COMPILED" in os.environ:
        sys.dont_write_bytecode, sys.pycache_prefix = False, os.environ.pop("VIRTOPS_COMPILED")
    if len(sys.argv) > 1:
        _run(sys.argv[1], sys.stdin.buffer.read())
    with suppress(ImportError):
        importlib.import_module("libvirt")  # to link it with its fifty libraries costs more than most runs
    gc.freeze()  # what is here by now is garbage in no fork, and is not copied for being looked at
    for line in iter(sys.stdin.readline, ""):
        print(json.dumps(_answer(json.loads(line))), flush=True)
