# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""docs/comparison.md claims nothing without a test that exists, or says that it is missing."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Set

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/comparison.md").read_text()
#: The cells of every row; tables have a line of dashes below their heading.
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in re.sub(r"\|[^\n]*\|\n\|---[^\n]*", "", TEXT).splitlines() if line[:1] == "|"
]
SHOWN = sorted({name for row in ROWS for name in re.findall("`([^`]+)`", row[-1])})


def functions(path: Path) -> Set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_every_row_is_shown_or_said_to_be_missing() -> None:
    assert len(ROWS) > 70
    for row in ROWS:
        assert len(row) == 3, f"not three cells: {row}"
        assert "`" in row[2] or re.search(r"Partly|\*\*missing\*\*", row[1], re.IGNORECASE) or "**Missing**" in row[1], (
            f"neither shown nor missing: {row}"
        )


@pytest.mark.parametrize("name", SHOWN)
def test_what_shows_it_exists(name: str) -> None:
    file, colons, function = name.partition("::")
    if colons:
        assert function.startswith("test_") and function in functions(ROOT / "tests" / file)
    else:
        assert (ROOT / "extensions/molecule" / file / "molecule.yml").is_file()
