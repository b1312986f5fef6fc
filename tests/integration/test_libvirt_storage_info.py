# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is read of libvirt's objects is what their modules take: nothing changes. And the whole of it in one task."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.modules import apply, check, refused, run_module
from support.virsh import clear, virsh

POOL, NETWORK, FILTER, GUEST = "vt-info", "vt-info", "vt-info", "vt-info"
UUID = "d0c1a2b3-1111-4222-8333-76742d696e66"
FOLDER = Path("/var/lib/libvirt/vt-info")
XML_DISK = {"pool": POOL, "volume": "two.qcow2", "target": "vda"}
WHOLE: dict[str, list[dict[str, Any]]] = {
    "secrets": [{"uuid": UUID, "usage": {"type": "ceph", "id": "vt-info"}, "value": "vt-hidden-0815"}],
    "pools": [{"name": POOL, "type": "dir", "target": {"path": str(FOLDER)}, "build": "missing"}],
    "volumes": [
        {"pool": POOL, "name": "one.raw", "capacity": "1M", "allocation": "0"},
        {"pool": POOL, "name": "two.qcow2", "capacity": "8M", "format": "qcow2", "backing": {"path": f"{FOLDER}/one.raw", "format": "raw"}},
    ],
    "networks": [{"name": NETWORK, "state": "inactive", "bridge": {"name": "vt-info0"}, "ips": [{"address": "198.18.79.1/24"}]}],
    "nwfilters": [{"name": FILTER, "rules": [{"action": "accept", "direction": "in", "protocol": "tcp", "match": {"dstportstart": 22}}]}],
    "guests": [{"name": GUEST, "type": "qemu", "state": "shutoff", "memory": "64M", "disks": [XML_DISK]}],
}


def remove() -> None:
    clear(
        ("undefine", GUEST),
        ("net-undefine", NETWORK),
        ("nwfilter-undefine", FILTER),
        ("pool-destroy", POOL),
        ("pool-undefine", POOL),
        ("secret-undefine", UUID),
    )
    subprocess.run(["rm", "-rf", str(FOLDER)], check=True)


@pytest.fixture(autouse=True)
def clean(libvirtd):
    remove()
    yield
    remove()


def whole_cycle(options: dict[str, Any]) -> dict[str, Any]:
    """As cycle(), for the module whose diff is a list."""
    predicted, made = check("virt_host", options), apply("virt_host", options)
    for key in ("changed", "actions", "diff", "pending"):
        assert predicted[key] == made[key], f"predicted {key}: {predicted[key]}, the run gave {made[key]}"
    assert made["changed"]
    unchanged(options)
    return made


def unchanged(options: dict[str, Any]) -> None:
    for run in (check, apply):
        assert run("virt_host", options)["actions"] == []


def test_a_whole_host_and_what_is_read_of_it():
    made = whole_cycle(WHOLE)
    assert "vt-hidden" not in json.dumps(made)
    assert [step["action"] for step in made["actions"]][:4] == ["define_secret", "set_secret_value", "define_pool", "build_pool"]
    again: dict[str, list[dict[str, Any]]] = {}
    for kind in ("secret", "pool", "volume", "network", "nwfilter"):
        read = run_module(f"libvirt_{kind}_info", {})
        assert not read["failed"] and not read["changed"], read
        again[f"{kind}s"] = [item for item in read[f"{kind}s"] if "vt-info" in json.dumps(item)]
        assert len(again[f"{kind}s"]) == len(WHOLE[f"{kind}s"]), read
        assert "vt-hidden" not in json.dumps(read)
    unchanged(again)
    details = run_module("libvirt_pool_info", {"name": POOL})["details"][POOL]
    assert details["volumes"] == ["one.raw", "two.qcow2"] and details["capacity"] > 0
    gone = {kind: [{**_identity(item), "state": "absent"} for item in items] for kind, items in WHOLE.items()}
    assert [step["action"] for step in whole_cycle(gone)["actions"]][-1] == "undefine_secret"


def _identity(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key in ("name", "pool", "uuid")}


def test_every_filter_that_libvirt_comes_with():
    filters = run_module("libvirt_nwfilter_info", {})["nwfilters"]
    assert "clean-traffic" in [item["name"] for item in filters]
    own = [item for item in filters if "vt-" not in item["name"]]
    unchanged({"nwfilters": own})


def test_a_transient_network_is_in_the_details_alone():
    virsh("net-create", "/dev/stdin", stdin=f"<network><name>{NETWORK}</name><bridge name='vt-info0'/></network>")
    try:
        read = run_module("libvirt_network_info", {"name": NETWORK})
        assert read["networks"] == [] and read["details"][NETWORK]["persistent"] is False and read["details"][NETWORK]["leases"] == []
    finally:
        clear(("net-destroy", NETWORK))


def test_some_of_them():
    apply("virt_host", {name: WHOLE[name] for name in ("secrets", "pools", "volumes")})
    assert [item["name"] for item in run_module("libvirt_volume_info", {"pool": POOL, "name": "one.raw"})["volumes"]] == ["one.raw"]
    assert UUID not in json.dumps(run_module("libvirt_secret_info", {"usage_type": "iscsi"}))
    assert run_module("libvirt_pool_info", {"name": "vt-none"})["pools"] == []


@pytest.mark.parametrize("kind", ["network", "pool", "volume", "secret", "nwfilter"])
def test_where_there_is_no_libvirt(kind):
    refused(f"libvirt_{kind}_info", {"uri": "qemu+unix:///system?socket=/nowhere"}, "libvirt_unreachable")
