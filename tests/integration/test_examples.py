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
from support import target_python
from support.modules import check
from support.playbooks import run

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


def plain(task: Dict[str, Any]) -> bool:
    """A module with values, and nothing that Ansible does on its side."""
    words = set(task) - {"name"}
    ours = {f"virtops.linux.{path.stem}" for path in MODULES if path.stem not in ACTIONS}
    return len(words) == 1 and words <= ours and "{{" not in yaml.safe_dump(task)


MODULES = sorted((ROOT / "plugins/modules").glob("*.py"))
#: Actions that do more than to show how far the module is.
ACTIONS = {path.stem for path in (ROOT / "plugins/action").glob("*.py") if "plugin_utils.shows_progress" not in path.read_text()}
SOURCES = {path.stem: examples_of_module(path) for path in MODULES}
SOURCES["README"] = tasks_of_page(ROOT / "README.md")
EXAMPLES = {source: [task for task in tasks if not needs_the_network(task)] for source, tasks in SOURCES.items()}
PLAIN = {source: [task for task in tasks if plain(task)] for source, tasks in EXAMPLES.items()}
OTHERS = {source: [task for task in tasks if not plain(task)] for source, tasks in EXAMPLES.items()}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory, libvirtd: None) -> Dict[str, Tasks]:
    """What all other tasks said, by source. Ansible starts once, and reads the plain ones too; each source is a host, so none stops the others."""
    common = {"gather_facts": False, "connection": "local", "vars": {"ansible_python_interpreter": target_python.interpreter()}}
    plays = [{"name": source, "hosts": source, **common, "tasks": tasks} for source, tasks in OTHERS.items()]
    plays.append({"name": "plain", "hosts": "plain", **common, "tasks": [task for tasks in PLAIN.values() for task in tasks]})
    playbook = tmp_path_factory.mktemp("examples") / "examples.yml"
    playbook.write_text(yaml.safe_dump(plays, sort_keys=False))
    done, said = run(str(playbook), "--check", "--inventory", ",".join([*OTHERS, "plain"]), "--limit", ",".join(OTHERS))
    assert said, done.stdout + done.stderr
    return {source: [task for task in said if task["host"] == source] for source in OTHERS}


def test_every_source_shows_examples() -> None:
    assert all(EXAMPLES.values()) and any(PLAIN.values()) and any(OTHERS.values())


@pytest.mark.parametrize("source", [source for source, tasks in OTHERS.items() if tasks])
def test_examples_run(output: Dict[str, Tasks], source: str) -> None:
    assert not [task for task in output[source] if task.get("failed")]
    assert len(output[source]) >= len(OTHERS[source])


@pytest.mark.parametrize("source", [source for source, tasks in PLAIN.items() if tasks])
def test_plain_examples_run(source: str, libvirtd: None) -> None:
    for task in PLAIN[source]:
        ((module, options),) = ((word, value) for word, value in task.items() if word != "name")
        check(module.removeprefix("virtops.linux."), options or {})
