# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The layers of docs/architecture.md, held: what a room may import."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Iterator, Set

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
UTILS = PLUGINS / "module_utils"
PREFIX = "ansible_collections.virtops.linux.plugins.module_utils."

#: Rooms that are pure: no ansible, no libvirt, no operating system, and nothing that stands on them. A room may be several
#: files: plan.py, plan_slice.py.
PURE = {"model", "plan"}
IMPURE = {"os", "subprocess", "shutil", "socket", "tempfile", "glob", "fcntl", "ctypes", "libvirt", "ansible"}
PURE_ENGINE = {"errors", "names", "units", "plan"}
#: The engine alone knows of Ansible, and of it these files alone.
KNOW_ANSIBLE = {"engine/run.py", "engine/run_many.py"}


def imports(path: Path) -> Iterator[str]:
    """Absolute names of everything that a file imports; our own as engine.host, kernel_module.model, ..."""
    package = path.relative_to(UTILS).with_suffix("").parts[:-1] if UTILS in path.parents else ()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            stem = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"own:{stem}"] if node.module else [f"own:{stem}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        for name in names:
            yield name.replace(PREFIX, "own:")


SOURCES = sorted(path for path in UTILS.rglob("*.py") if path.name != "__init__.py")


def package(name: str) -> str:
    return name.split(".")[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(UTILS)))
def test_a_file_imports_what_its_room_may(path: Path) -> None:
    own_package = path.relative_to(UTILS).parts[0]
    for name in imports(path):
        outside = not name.startswith("own:")
        target = name.removeprefix("own:")
        if outside:
            assert package(target) in sys.stdlib_module_names | {"libvirt", "libvirt_qemu", "ansible"}, f"{target} is no part of a target"
            assert package(target) != "ansible" or str(path.relative_to(UTILS)) in KNOW_ANSIBLE, f"only the engine's run knows of ansible, not {path}"
            assert package(target) not in ("libvirt", "libvirt_qemu") or own_package == "libvirt", f"{path} imports libvirt"
        else:
            assert package(target) in {own_package, "engine"}, f"resource packages do not import each other: {path} imports {target}"
            assert own_package != "engine" or package(target) == "engine", "the engine knows nothing of virtualization"


def closure(path: Path, seen: Set[Path]) -> Set[Path]:
    """A file and all files of ours that it stands on."""
    seen.add(path)
    for name in imports(path):
        if name.startswith("own:"):
            found = UTILS.joinpath(*name.removeprefix("own:").split(".")).with_suffix(".py")
            if found.exists() and found not in seen:
                closure(found, seen)
    return seen


@pytest.mark.parametrize("path", [path for path in SOURCES if path.stem.split("_")[0] in PURE], ids=lambda path: str(path.relative_to(UTILS)))
def test_planning_is_pure(path: Path) -> None:
    for below in closure(path, set()):
        dirty = {package(name) for name in imports(below) if not name.startswith("own:")} & IMPURE
        assert not dirty, f"{path.relative_to(UTILS)} stands on {below.relative_to(UTILS)}, which imports {', '.join(sorted(dirty))}"
        if below.parent.name == "engine":
            assert below.stem in PURE_ENGINE, f"{path.relative_to(UTILS)} stands on {below.relative_to(UTILS)}"


def loads(node: ast.AST) -> bool:
    """Whether a function takes nothing, and does nothing but to import what is not always needed and to return it, or what a call of it gives."""
    if not isinstance(node, ast.FunctionDef) or ast.unparse(node.args) or len(node.body) < 2:
        return False
    *lines, last = node.body
    if not all(isinstance(line, ast.ImportFrom) for line in lines) or not isinstance(last, ast.Return) or last.value is None:
        return False
    return all(isinstance(part, (ast.Name, ast.Call, ast.Load)) for part in ast.walk(last.value))


@pytest.mark.parametrize("path", sorted((PLUGINS / "modules").glob("*.py")), ids=lambda path: path.stem)
def test_a_module_only_wires(path: Path) -> None:
    found = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    assert [node.name for node in found if not loads(node)] == ["main"], "logic belongs to module_utils"
    assert all(name.startswith(("own:", "__future__")) for name in imports(path))


def test_check_mode_is_known_to_the_engine_alone() -> None:
    knowing: Set[str] = {str(path.relative_to(UTILS)) for path in SOURCES if "check_mode" in path.read_text()}
    assert knowing <= KNOW_ANSIBLE


def test_no_shell_and_no_formatted_xml() -> None:
    for path in SOURCES:
        text = path.read_text()
        assert "shell=True" not in text and "os.system" not in text and "os.popen" not in text, path
