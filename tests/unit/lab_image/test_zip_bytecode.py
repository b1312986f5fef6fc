# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Python with zip_bytecode beside its modules: what is in a zip runs as without it, and is compiled once."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[3] / "roles/lab_image/files/zip_bytecode.py"
FAILS = "def fails():\n    raise ValueError(WORD)\n"
PROGRAM = """
import sys, zipimport
compiled = []
real = zipimport._compile_source
zipimport._compile_source = lambda path, source: compiled.append(path) or real(path, source)
import zip_bytecode
sys.path.insert(0, sys.argv[1])
import inside
print(inside.WORD, len(compiled))
if len(sys.argv) > 2:
    inside.fails()
"""


@pytest.fixture
def place(tmp_path):
    shutil.copy(SOURCE, tmp_path)
    return tmp_path


def run(place: Path, word: str, *more: str, name: str = "a.zip") -> subprocess.CompletedProcess:
    with zipfile.ZipFile(place / name, "w") as archive:
        archive.writestr("inside.py", f"WORD = {word!r}\n{FAILS}")
    argv = [sys.executable, "-c", PROGRAM, str(place / name), *more]
    return subprocess.run(argv, env={"PYTHONPATH": str(place)}, capture_output=True, text=True, check=False)


def test_a_source_is_compiled_once_and_another_one_is_another(place):
    assert [run(place, word).stdout for word in ("one", "one", "two", "one")] == ["one 1\n", "one 0\n", "two 1\n", "one 0\n"]


def test_a_traceback_names_the_zip_that_runs(place):
    run(place, "one")
    again = run(place, "one", "fail", name="b.zip")
    assert again.stdout == "one 0\n" and f'{place}/b.zip/inside.py", line 3, in fails' in again.stderr


@pytest.mark.parametrize("damage", [b"", b"\x00", b"no bytecode"])
def test_what_is_damaged_is_compiled_again(place, damage):
    run(place, "one")
    (kept,) = (place / "zip_bytecode.kept").iterdir()
    kept.write_bytes(damage)
    assert run(place, "one").stdout == "one 1\n" and run(place, "one").stdout == "one 0\n"


def test_where_nothing_can_be_kept_it_runs_all_the_same(place):
    (place / "zip_bytecode.kept").write_text("no folder")
    first, second = run(place, "one"), run(place, "one")
    assert first.stdout == second.stdout and first.stdout > "one 0\n" and not first.stderr + second.stderr
