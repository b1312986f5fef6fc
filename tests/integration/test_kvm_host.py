# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role kvm_host: who may use KVM, on this machine, and what each distribution needs. The whole of it runs in the lab's scenario kernel."""

from __future__ import annotations

import grp
import json
import subprocess
from pathlib import Path
from typing import Iterator

import pytest
import yaml
from support.playbooks import play, said

USER = "vt-kvmhost"
VARS = Path(__file__).resolve().parents[2] / "roles" / "kvm_host" / "vars"
FAMILIES = yaml.safe_load((VARS / "main.yml").read_text())["kvm_host_families"]


def membership() -> dict[str, bool]:
    return {name: USER in grp.getgrnam(name).gr_mem for name in ("libvirt", "kvm")}


@pytest.fixture
def user() -> Iterator[str]:
    subprocess.run(["useradd", "--system", "--no-create-home", USER], check=True)
    yield USER
    subprocess.run(["userdel", USER], check=True, capture_output=True)


@pytest.fixture
def playbook(tmp_path: Path) -> str:
    """The role, with nothing but the users that there are to be, and what else is given on the command line."""
    variables = {"kvm_host_install": False, "kvm_host_service": False, "kvm_host_modules": [], "kvm_host_users": [USER]}
    path = tmp_path / "play.yml"
    path.write_text(json.dumps([{"hosts": "all", "gather_subset": ["min"], "roles": [{"role": "virtops.linux.kvm_host"}], "vars": variables}]))
    return str(path)


def test_a_user_is_let_in_and_told_to_log_in_anew(playbook: str, user: str) -> None:
    words = f"{USER} must log in anew to be in libvirt and kvm"
    predicted, nobody_yet = play(playbook, "--check"), membership()
    assert not any(nobody_yet.values()) and words in json.dumps(predicted)
    done = play(playbook)
    assert all(membership().values()) and words in json.dumps(done)
    again = play(playbook)
    assert not any(task.get("changed") for task in again) and words not in json.dumps(again)


def test_a_user_who_is_not_there_is_not_made(playbook: str) -> None:
    with pytest.raises(AssertionError, match=f"kvm_host_users: this host has no user {USER}; create them first, or leave them out"):
        play(playbook)
    assert subprocess.run(["id", USER], capture_output=True, check=False).returncode == 1


def test_memory_is_shared_as_asked(playbook: str) -> None:
    tasks = play(
        playbook, "--check", "-e", json.dumps({"kvm_host_users": [], "kvm_host_memory_sharing": {"transparent_hugepages": {"enabled": "never"}}})
    )
    (task,) = said(tasks, "virtops.linux.memory_sharing")
    assert task["resource"]["transparent_hugepages"] == {"enabled": "never"}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_distribution_is_data(family: str) -> None:
    data = yaml.safe_load((VARS / f"{family}.yml").read_text())
    assert {"kvm_host_distribution_packages", "kvm_host_modular"} <= set(data)
    assert all(isinstance(name, str) for name in data["kvm_host_distribution_packages"])
    assert len(set(data["kvm_host_distribution_packages"])) == len(data["kvm_host_distribution_packages"])
