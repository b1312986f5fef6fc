# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What must stay in step across files."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.virtops.linux.plugins.modules.virt_host import SECTIONS

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())


def test_the_action_group_has_every_module():
    runtime = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())
    assert runtime["action_groups"]["all"] == MODULES


def test_what_is_said_of_ansible_core_is_what_the_matrix_tests():
    tested = list(runpy.run_path(str(ROOT / "scripts/matrix"))["MATRIX"])
    lowest, newest = tested[0], tested[-1]
    major, minor = newest.split(".")
    runtime = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())
    assert runtime["requires_ansible"] == f">={lowest},<{major}.{int(minor) + 1}.0"
    assert f"ansible-core>={tested[1]},<{major}.{int(minor) + 1}\n" in (ROOT / "requirements.txt").read_text()
    assert f"- Controller: ansible-core {tested[1]} to {newest}.\n" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("module", MODULES)
def test_the_readme_has_every_module(module):
    assert f"| `{module}` |" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("role", ROLES)
def test_a_role_says_what_it_takes(role):
    folder = ROOT / "roles" / role
    options = yaml.safe_load((folder / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((folder / "defaults/main.yml").read_text())
    readme = (folder / "README.md").read_text()
    assert set(defaults) <= set(options)
    for name, option in options.items():
        assert name.startswith(f"{role}_") and f"`{name}`" in readme, name
        if "default" in option:
            assert option["default"] == defaults[name], name


def has_secrets(spec):
    return any(option.get("no_log") or has_secrets(option.get("options") or {}) for option in spec.values())


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.option)
def test_what_virt_host_says_of_secrets_is_so(section):
    """Said and not looked up, because that would import all of them."""
    assert section.secrets == has_secrets(section.resource.spec["argument_spec"])


def test_virt_host_imports_what_it_is_asked_for():
    names = [f"ansible_collections.virtops.linux.plugins.module_utils.{name}" for name in ("libvirt", "bridge", "kernel_module")]
    asks = "import sys; import ansible_collections.virtops.linux.plugins.modules.virt_host as it; it.modules()"
    shows = "print([name in sys.modules for name in sys.argv[1:]])"
    environment = {**os.environ, "PYTHONPATH": os.environ["VIRTOPS_COLLECTIONS"]}
    done = subprocess.run([sys.executable, "-c", f"{asks}; {shows}", *names], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[False, False, True]"


def test_sanity_ignores_nothing():
    for path in (ROOT / "tests/sanity").glob("ignore-*.txt"):
        assert not path.read_text().strip(), f"{path} ignores something"
