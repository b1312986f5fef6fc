# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check mode calls nothing in libvirt that changes anything.

Every check run of every test is watched (support/watched_libvirt.py): one such call, and the module has no result. Here the watch is shown
to see, and each option of each module, generated from the argument specs, is given to an object that is there and running.
"""

from __future__ import annotations

import importlib
from typing import Any, Dict, Iterator, List, Mapping, Tuple

import pytest
from support.modules import apply, run_module
from support.virsh import clear, virsh

PACKAGES = "ansible_collections.virtops.linux.plugins.module_utils.libvirt."
NAME, UUID = "vt-bn", "d0c1a2b3-1111-4222-8333-76742d626e00"
FOLDER = "/var/lib/libvirt/vt-bn"
#: Of each module: an object, and how virsh shows it.
OBJECTS: Dict[str, Tuple[Dict[str, Any], Tuple[str, ...]]] = {
    "libvirt_secret": ({"uuid": UUID, "usage": {"type": "ceph", "id": NAME}, "value": "vt-hidden"}, ("secret-dumpxml", UUID)),
    "libvirt_pool": ({"name": NAME, "type": "dir", "target": {"path": FOLDER}, "build": "missing"}, ("pool-dumpxml", NAME)),
    "libvirt_volume": ({"pool": NAME, "name": NAME, "capacity": "1M", "format": "qcow2"}, ("vol-dumpxml", "--pool", NAME, NAME)),
    "libvirt_network": ({"name": NAME, "bridge": {"name": "vt-bn0"}, "ips": [{"address": "198.18.76.1/24"}]}, ("net-dumpxml", NAME)),
    "libvirt_nwfilter": ({"name": NAME, "rules": [{"action": "drop", "direction": "in"}]}, ("nwfilter-dumpxml", NAME)),
    "libvirt_domain": ({"name": NAME, "type": "qemu", "memory": "64M", "state": "running"}, ("dumpxml", NAME)),
}
#: What names the object in every run.
NAMED: Dict[str, Dict[str, Any]] = {"libvirt_secret": {"uuid": UUID}, "libvirt_volume": {"pool": NAME, "name": NAME}}
#: Good values by name or by path, where what is made up below is none. Of the outermost options these, states and switches must be accepted.
VALUES: Dict[str, Any] = {
    "name": NAME,
    "uri": "qemu:///system",
    "uuid": UUID,
    "usage": {"type": "ceph", "id": NAME},
    "memory": "96M",
    "current_memory": "48M",
    "mac": "52:54:00:00:b0:01",
    "machine": "q35",
    "capacity": "2M",
    "allocation": "64K",
    "mtu": 1400,
    "vcpus": 2,
    "title": "vt",
    "kernel": "/vt",
    "value": "other",
    "address": "198.18.75.1",
    "prefix": 25,
    "start": "198.18.75.10",
    "end": "198.18.75.20",
    "ip": "198.18.75.30",
    "gateway": "198.18.75.9",
    "path": "/srv/vt",
    "listen": "127.0.0.1",
    "target.mode": "0711",
    "cpu.mode": "host-model",
    "chain": "root",
}
#: What an element needs besides the option that it is given.
BESIDES: Dict[str, Dict[str, Any]] = {
    "disks": {"path": "/srv/vt.img"},
    "interfaces": {"type": "user"},
    "ips": {"address": "198.18.75.1", "prefix": 24},
    "routes": {"address": "203.0.113.0", "prefix": 24},
    "dns.hosts": {"ip": "198.18.75.30", "hostnames": ["vt"]},
    "hosts": {"ip": "198.18.75.30", "name": "vt"},
    "source.hosts": {"name": "vt"},
    "auth": {"type": "chap", "username": "vt", "secret_usage": "vt"},
}
#: What another option needs beside it.
WITH: Dict[str, Dict[str, Any]] = {"delete": {"state": "absent"}, "wipe": {"state": "absent"}, "max_vcpus": {"vcpus": 2}}


@pytest.fixture(scope="module")
def objects(libvirtd: None) -> Iterator[None]:
    _remove()
    try:
        for module, (options, _shown) in OBJECTS.items():
            apply(module, options)
        yield
    finally:
        _remove()


def _remove() -> None:
    clear(
        ("destroy", NAME),
        ("undefine", NAME),
        ("net-destroy", NAME),
        ("net-undefine", NAME),
        ("nwfilter-undefine", NAME),
        ("vol-delete", "--pool", NAME, NAME),
        ("pool-destroy", NAME),
        ("pool-delete", NAME),
        ("pool-undefine", NAME),
        ("secret-undefine", UUID),
    )


def _spec(module: str) -> Mapping[str, Any]:
    return importlib.import_module(f"{PACKAGES}{module.split('_')[1]}.model").SPEC["argument_spec"]


def _by_path(table: Dict[str, Any], path: str) -> Any:
    """The row of the longest end of a path that has one."""
    while path not in table:
        _head, dot, path = path.partition(".")
        if not dot:
            return None
    return table[path]


def _value(path: str, option: Mapping[str, Any], inner: Any = None) -> Any:
    """A value of the option's type; inner: of what is in it."""
    given = _by_path(VALUES, path)
    if inner is None and given is not None:
        return given
    kind = option.get("type", "str")
    if kind == "list":
        return [_value(path, {**option, "type": option["elements"]}, inner)]
    if kind == "dict":
        required = {name: _value(f"{path}.{name}", below) for name, below in option.get("options", {}).items() if below.get("required")}
        return {**required, **(_by_path(BESIDES, path) or {}), **(inner or {})}
    if "choices" in option:
        return option["choices"][-1]
    return {"bool": True, "int": 7, "path": "/vt"}.get(kind, "vt")


def _settings(spec: Mapping[str, Any], above: str = "") -> Iterator[Tuple[str, Any]]:
    """Each option and each one in it: its path, and a value of the outermost here that sets it."""
    for name, option in spec.items():
        path = above + name
        if name == "state":
            yield from ((path, choice) for choice in option["choices"])
            continue
        yield path, _value(path, option)
        for below, inner in _settings(option.get("options", {}), f"{path}."):
            yield below, _value(path, option, {below[len(path) + 1 :].split(".")[0]: inner})


@pytest.mark.parametrize("module", OBJECTS)
def test_every_option_of_every_module(objects: None, module: str) -> None:
    named, shown = NAMED.get(module, {"name": NAME}), OBJECTS[module][1]
    before = virsh(*shown)
    refused: List[str] = []
    settings = [*_settings({name: option for name, option in _spec(module).items() if name != "xml"}), ("xml", _xml(module))]
    for path, value in settings:
        option = path.split(".")[0]
        result = run_module(module, {**named, option: value, **WITH.get(path, {})}, check=True)
        assert result.get("code") != "internal_error", result
        if result["failed"]:
            assert path not in VALUES and path != "state", f"{path}: {value} is no good value: {result['msg']}"
            refused.append(path)
    assert len(refused) < len(settings) / 3, f"too many of the values are no good to show anything: {refused}"
    assert virsh(*shown) == before


def _xml(module: str) -> str:
    return {"libvirt_nwfilter": "<filter priority='7'/>"}.get(module, f"<{module.split('_')[1]}/>")


#: Real runs that are watched: the step that each begins with, and libvirt's name for it.
CHANGES: List[Tuple[str, Dict[str, Any], str]] = [
    ("libvirt_secret", {"uuid": UUID, "description": "vt"}, "virSecretDefineXML"),
    ("libvirt_secret", {"uuid": UUID, "value": "other"}, "virSecretSetValue"),
    ("libvirt_pool", {"name": NAME, "state": "inactive"}, "virStoragePoolDestroy"),
    ("libvirt_pool", {"name": NAME, "autostart": True}, "virStoragePoolSetAutostart"),
    ("libvirt_volume", {"pool": NAME, "name": NAME, "capacity": "2M"}, "virStorageVolResize"),
    ("libvirt_volume", {"pool": NAME, "name": NAME, "state": "absent"}, "virStorageVolDelete"),
    ("libvirt_network", {"name": NAME, "domain": "vt.example"}, "virNetworkDefineXML"),
    ("libvirt_nwfilter", {"name": NAME, "priority": 7}, "virNWFilterDefineXML"),
    ("libvirt_nwfilter", {"name": NAME, "state": "absent"}, "virNWFilterUndefine"),
    ("libvirt_domain", {"name": NAME, "machine": "q35"}, "virDomainDefineXML"),
    ("libvirt_domain", {"name": NAME, "state": "paused"}, "virDomainSuspend"),
    ("libvirt_domain", {"name": NAME, "state": "shutoff"}, "virDomainShutdown"),
]


@pytest.mark.parametrize(("module", "options", "call"), CHANGES, ids=[call for _module, _options, call in CHANGES])
def test_a_call_that_changes_something_is_caught(objects: None, module: str, options: Dict[str, Any], call: str) -> None:
    before = virsh(*OBJECTS[module][1])
    with pytest.raises(AssertionError, match=f"gave no result(.|\n)*ChangingCall: {call}"):
        run_module(module, options, env={"VIRTOPS_WATCH": "1"})
    assert virsh(*OBJECTS[module][1]) == before


def test_every_module_of_libvirts_objects_is_here() -> None:
    packages = {module.split("_")[1] for module in OBJECTS}
    sections = importlib.import_module("ansible_collections.virtops.linux.plugins.modules.virt_host").SECTIONS
    of_libvirt = {section.option for section in sections if section.inherits} - {"images"}
    assert of_libvirt == {{"domain": "guests"}.get(name, f"{name}s") for name in packages}
