# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every option of the modules of images has a test on real files, which names it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.image import cache, info
from ansible_collections.virtops.linux.plugins.module_utils.image.model import SPEC
from ansible_collections.virtops.linux.plugins.module_utils.seed.model import SPEC as SEED

INTEGRATION = Path(__file__).resolve().parents[2] / "integration"


def paths(spec: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for name, option in spec.items():
        yield above + name
        yield from paths(option.get("options") or {}, f"{above}{name}.")


def tables() -> Dict[str, Dict[str, ast.expr]]:
    tree = ast.parse((INTEGRATION / "test_qcow2_image_options.py").read_text())
    found = {}
    for statement in tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target] if isinstance(statement, ast.AnnAssign) else []
        if targets and isinstance(statement.value, ast.Dict):
            found[targets[0].id] = {ast.literal_eval(key): value for key, value in zip(statement.value.keys, statement.value.values)}
    return found


TABLES = tables()


def test_every_option_of_qcow2_image_has_a_row():
    rows = [option for table in ("ANEW", "OTHERS") for option in TABLES[table]]
    assert sorted(rows) == sorted(paths(SPEC["argument_spec"]))


@pytest.mark.parametrize("option", TABLES["OTHERS"])
def test_a_test_of_its_own_names_its_option(option):
    file, _colons, function = ast.literal_eval(TABLES["OTHERS"][option]).partition("::")
    text = (INTEGRATION / f"{file}.py").read_text()
    bodies = [ast.get_source_segment(text, node) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef) and node.name == function]
    assert bodies, f"{file} has no {function}"
    # As a key, as a keyword, or handed on by what the test is given.
    name = option.rpartition(".")[2]
    assert f'"{name}"' in bodies[0] or f"{name}=" in bodies[0] or f'"{name}"' in text, f"{function} does not say {name}"


@pytest.mark.parametrize(
    ("spec", "files"),
    [(SEED, "test_cloud_init_seed.py"), (cache.SPEC, "test_qcow2_image_cache.py"), (info.SPEC, "test_qcow2_image_info.py")],
)
def test_options_of_the_other_modules_are_given_in_their_tests(spec, files):
    text = (INTEGRATION / files).read_text()
    for option in paths(spec["argument_spec"]):
        assert f'"{option}"' in text, f"{files} never says {option}"
