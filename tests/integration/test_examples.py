# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every example of the documentation runs: those of the modules and the tasks in the README, in check mode."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, Dict, List

import pytest
import yaml
from support.playbooks import play

ROOT = Path(__file__).resolve().parents[2]
Tasks = List[Dict[str, Any]]


def examples_of_module(path: Path) -> Tasks:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "EXAMPLES":
            return yaml.safe_load(ast.literal_eval(node.value))
    raise AssertionError(f"{path} has no EXAMPLES")


def tasks_of_page(path: Path) -> Tasks:
    """The YAML blocks of a page that are lists of tasks of ours."""
    blocks = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", path.read_text(), re.DOTALL))
    return [task for block in blocks if isinstance(block, list) for task in block if any(key.startswith("virtops.linux.") for key in task)]


def needs_the_network(task: Dict[str, Any]) -> bool:
    """Examples that download from a server of others; test_qcow2_image_source.py downloads from one of its own."""
    return "https://" in yaml.safe_dump(task)


SOURCES = {path.stem: examples_of_module(path) for path in sorted((ROOT / "plugins/modules").glob("*.py"))}
SOURCES["README"] = tasks_of_page(ROOT / "README.md")


@pytest.mark.parametrize("source", SOURCES)
def test_examples_run(source: str, tmp_path: Path, libvirtd: None) -> None:
    tasks = [task for task in SOURCES[source] if not needs_the_network(task)]
    assert tasks, f"{source} shows no example"
    playbook = tmp_path / "examples.yml"
    playbook.write_text(yaml.safe_dump([{"name": source, "hosts": "all", "gather_facts": False, "tasks": tasks}], sort_keys=False))
    assert len(play(str(playbook), "--check")) >= len(tasks)
