# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Many runs of libvirt_domain in one process, as each of its own would take longer than all that they do."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support import modules

Run = Callable[..., dict[str, Any]]
_PREDICTED = ("changed", "actions", "diff", "pending", "restart_required")


@contextmanager
def one_process() -> Iterator[Run]:
    script = Path(__file__).with_name("convergences.py")
    environment = {**os.environ, "PYTHONPATH": modules.python_path()}
    with subprocess.Popen([modules.TARGET_PYTHON, str(script)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def one(options: dict[str, Any], check: bool = False) -> dict[str, Any]:
            assert process.stdin and process.stdout
            print(json.dumps({"options": options, "check": check}), file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())

        yield one


def cycled(run: Run, options: dict[str, Any]) -> dict[str, Any]:
    """What support.modules.cycle holds: check, apply, check, apply are changed as was predicted, changed, ok, ok. What waits, waits in all."""
    predicted, applied = run(options, check=True), run(options)
    for result in (predicted, applied):
        assert not result["failed"], result
    for key in _PREDICTED:
        assert predicted[key] == applied[key], f"predicted {key}: {predicted[key]}, got {applied[key]}"
    assert applied["changed"], applied
    for check in (True, False):
        again = run(options, check)
        assert not again["failed"] and not again["changed"], again
        assert (again["pending"], again["restart_required"]) == (applied["pending"], applied["restart_required"])
    return applied
