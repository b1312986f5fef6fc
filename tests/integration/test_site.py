# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The site playbook: what --check --diff predicts is what the run then does, action by action."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator

import pytest
from support.modules import apply
from support.playbooks import play, said

IMAGE = "/var/lib/libvirt/images/vt-site.qcow2"

HOST: Dict[str, Any] = {
    "virt_host_cgroups": [{"name": "vt-site", "resources": {"memory": {"limit": "64MiB"}, "pids": {"limit": 50}}}],
    "virt_host_bridges": [{"name": "vt-site0", "stp": False, "addresses": ["203.0.113.33/28"]}],
    "virt_host_images": [{"path": IMAGE, "size": "64MiB"}],
    "virt_host_networks": [
        {"name": "vt-site", "bridge": {"name": "vt-site1"}, "forward": {"mode": "nat"}, "ips": [{"address": "203.0.113.65", "prefix": 28}]}
    ],
    "virt_host_guests": [
        {
            "name": "vt-site",
            "state": "running",
            "type": "qemu",
            "memory": "64MiB",
            "vcpus": 1,
            "disks": [{"path": IMAGE}],
            "interfaces": [{"type": "network", "source": "vt-site"}, {"type": "bridge", "source": "vt-site0"}],
        }
    ],
}

GONE = {
    "cgroups": [{"name": "vt-site", "state": "absent"}],
    "bridges": [{"name": "vt-site0", "state": "absent"}],
    "images": [{"path": IMAGE, "state": "absent"}],
    "networks": [{"name": "vt-site", "state": "absent"}],
    "guests": [{"name": "vt-site", "state": "absent", "timeout": 0, "force": True}],
}


@pytest.fixture
def clean(libvirtd: None) -> Iterator[None]:
    apply("virt_host", GONE)
    yield
    apply("virt_host", GONE)


def test_the_prediction_is_what_happens(clean: None) -> None:
    variables = ("--extra-vars", json.dumps(HOST))
    predicted = play("virtops.linux.site", "--check", *variables)
    done = play("virtops.linux.site", *variables)
    again = play("virtops.linux.site", *variables)

    assert [(task["task"], task.get("changed")) for task in predicted] == [(task["task"], task.get("changed")) for task in done]
    (foreseen,), (real,), (second,) = (said(tasks, "virtops.linux.virt_host") for tasks in (predicted, done, again))
    assert foreseen["actions"] == real["actions"] and len(real["actions"]) >= 8
    assert foreseen["diff"] == real["diff"]
    assert not any(task.get("changed") for task in again), again
    assert second["actions"] == []


def test_everything_can_be_taken_away_and_put_back(clean: None) -> None:
    lists = {key.replace("virt_host_", ""): items for key, items in HOST.items()}
    first = apply("virt_host", lists)
    gone = apply("virt_host", GONE)
    assert gone["actions"][0]["item"].startswith("guests["), "guests go before what they stand on"
    assert not apply("virt_host", GONE)["changed"]
    assert apply("virt_host", lists)["actions"] == first["actions"]
