# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every option that comes from a table, in libvirt itself: predicted, kept, changed, and back. Where libvirt cannot, one sentence."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import modules
from support.domain_options import CASES, changed, concerns, under
from support.modules import cycle
from support.virsh import clear, virsh

NAME = "vt-op-guest"
NEW = {"name": NAME, "type": "qemu", "machine": "q35", "memory": "256M"}
Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def run(libvirtd: None) -> Iterator[Run]:
    """One process for all runs, as each of its own would take longer than all that they do."""
    script = Path(__file__).parents[1] / "support/convergences.py"
    environment = {**os.environ, "PYTHONPATH": modules.python_path()}
    with subprocess.Popen([modules.TARGET_PYTHON, str(script)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def one(options: dict[str, Any], check: bool = False) -> dict[str, Any]:
            assert process.stdin and process.stdout
            print(json.dumps({"options": options, "check": check}), file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())

        yield one


@pytest.fixture(autouse=True)
def clean(libvirtd: None) -> Iterator[None]:
    clear(["undefine", "--nvram", NAME])
    yield
    clear(["undefine", "--nvram", NAME])


def cycled(run: Run, options: dict[str, Any]) -> dict[str, Any]:
    """What support.modules.cycle holds: check, apply, check, apply are changed as was predicted, changed, ok, ok."""
    predicted, applied = run(options, check=True), run(options)
    for result in (predicted, applied):
        assert not result["failed"], result
    for key in ("changed", "actions", "diff", "pending"):
        assert predicted[key] == applied[key], f"predicted {key}: {predicted[key]}, got {applied[key]}"
    assert applied["changed"] and not applied["warnings"], applied
    for check in (True, False):
        again = run(options, check)
        assert not again["failed"] and not again["changed"], again
    return applied


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_options_there_and_back(run, case):
    one, other = (under({**NEW, **case.beside}, options) for options in (case.one, case.other))
    first = run(one, check=False)
    if case.missing and first["failed"]:
        assert case.missing in first["msg"] and first["code"] == "unsupported_configuration" and "\n" not in first["msg"], first
        return
    assert not first["failed"] and not first["warnings"], first
    for there, back in ((one, other), (other, one)):
        changes = cycled(run, back)["actions"][0]["changes"]
        for name in changed(there, back):
            assert concerns(changes, name), f"{name} changed nothing: {changes}"


def test_other_namespaces_of_the_metadata_stay(run):
    cycle("libvirt_domain", {**NEW, "metadata": "<a:x xmlns:a='urn:vt:a' b='&lt;c&gt;'>d</a:x>"})
    cycled(run, {"name": NAME, "metadata": "<y xmlns='urn:vt:b'/>"})
    cycled(run, {"name": NAME, "metadata": "<a:x xmlns:a='urn:vt:a'/>"})
    assert "urn:vt:a" in virsh("dumpxml", NAME) and "urn:vt:b" in virsh("dumpxml", NAME)
    cycled(run, {"name": NAME, "metadata": ""})
    assert "urn:vt" not in virsh("dumpxml", NAME)
