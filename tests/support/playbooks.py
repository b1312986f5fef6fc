# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Playbooks as their users run them, and what every task of them said."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

from support import target_python

Task = Dict[str, Any]


def run(playbook: str, *arguments: str, within: Sequence[str] = ()) -> Tuple[subprocess.CompletedProcess[str], List[Task]]:
    """Run a playbook on this machine, and what its tasks said, however it ended. within: the words of a command that runs it somewhere else."""
    with tempfile.TemporaryDirectory(prefix="vt-play.") as folder:
        inventory, results = Path(folder) / "inventory", Path(folder) / "results"
        inventory.write_text(f"localhost ansible_connection=local ansible_python_interpreter={target_python.interpreter()}\n")
        results.touch()
        done = subprocess.run(
            [*within, "ansible-playbook", "-i", str(inventory), "--diff", playbook, *arguments],
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": os.environ["VIRTOPS_COLLECTIONS"],
                "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).with_name("callbacks")),
                "ANSIBLE_CALLBACKS_ENABLED": "task_results",
                "ANSIBLE_PIPELINING": "True",  # four processes less for each task
                "VIRTOPS_TASK_RESULTS": str(results),
            },
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        return done, [json.loads(line) for line in results.read_text().splitlines()]


def play(playbook: str, *arguments: str, within: Sequence[str] = ()) -> List[Task]:
    """Run a playbook on this machine: a list of its tasks with their results. AssertionError with the output where it fails."""
    done, tasks = run(playbook, *arguments, within=within)
    assert done.returncode == 0, f"{playbook} failed:\n{done.stdout}\n{done.stderr}"
    return tasks


def said(tasks: List[Task], action: str) -> List[Task]:
    """The tasks of one module, by its full name."""
    return [task for task in tasks if task["action"] == action]
