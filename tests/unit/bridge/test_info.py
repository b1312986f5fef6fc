# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.bridge import attached, info
from ansible_collections.virtops.linux.plugins.module_utils.bridge.read import parse_bridge
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Result
from support.hosts import FakeHost

CAPTURED = Path(__file__).with_name("data").joinpath("ip-6.1.0-addr.json").read_text()
VLANS = json.dumps(
    [
        {"ifname": "vt-c1", "vlans": [{"vlan": 1, "flags": ["PVID", "Egress Untagged"]}, {"vlan": 10, "vlanEnd": 20}]},
        {"ifname": "vt-c0", "vlans": [{"vlan": 1, "flags": ["PVID"]}]},
    ]
)
FDB = json.dumps(
    [
        {"mac": "52:54:00:00:00:10", "ifname": "vt-c1", "vlan": 10, "flags": [], "master": "vt-c0", "state": ""},
        {"mac": "33:33:00:00:00:01", "ifname": "vt-c1", "flags": ["self"], "state": "permanent"},
        {"mac": "33:33:00:00:00:01", "ifname": "vt-c0", "flags": ["self"], "state": "permanent"},
        {"mac": "52:54:00:00:00:01", "ifname": "vt-c0", "flags": [], "state": "permanent"},
        {"mac": "52:54:00:00:00:02", "ifname": "eth9", "flags": [], "master": "br9", "state": "static"},
    ]
)


def test_all_that_is_told_of_a_bridge(tmp_path):
    script = [
        (["ip", "-j", "-d", "addr", "show"], Result(0, CAPTURED, "")),
        (["bridge", "-j", "vlan", "show"], Result(0, VLANS, "")),
        (["bridge", "-j", "fdb", "show"], Result(0, FDB, "")),
    ]
    host = FakeHost(tmp_path, {"/sys/class/net/vt-c0/addr_assign_type": "3\n"}, script)
    found = info.gather(host, {"name": "vt-c0"})
    (bridge,) = found["bridges"]
    assert (bridge["name"], bridge["state"], bridge["forward_delay"]) == ("vt-c0", "present", 4) and "persist" not in bridge
    assert [port["name"] for port in bridge["ports"]] == ["vt-c1"] and bridge["ports"][0]["cost"] == 7
    details = found["details"]["vt-c0"]
    assert [port["name"] for port in details["ports"]] == ["vt-c1", "vt-c3"] and details["ports"][1]["kind"] == "tun"
    assert details["ports"][0]["vlans"][0] == {"vid": "1", "pvid": True, "untagged": True}
    assert details["ports"][0]["vlans"][1] == {"vid": "10-20", "pvid": False, "untagged": False}
    assert details["vlans"] == [{"vid": "1", "pvid": True, "untagged": False}]
    assert "vlans" not in bridge, "a bridge that does not look at them is declared without"
    assert details["fdb"] == [
        {"mac": "52:54:00:00:00:10", "port": "vt-c1", "local": False, "static": False, "vlan": 10},
        {"mac": "52:54:00:00:00:01", "port": "vt-c0", "local": True, "static": False},
    ]
    assert (details["backend"], details["files"]) == ("none", {}) and host.exhausted()


def test_a_bridge_that_is_not_there(tmp_path):
    host = FakeHost(tmp_path, {}, [(["ip", "-j", "-d", "addr", "show"], Result(0, CAPTURED, ""))])
    assert info.gather(host, {"name": "br9"}) == {"bridges": [], "details": {}}


def test_the_mtu_is_declared_only_where_the_kernel_would_choose_another():
    links = json.loads(CAPTURED)
    item = next(link for link in links if link["ifname"] == "vt-c0")
    assert "mtu" not in info.options(links, parse_bridge(links, "vt-c0", frozenset()))
    item["mtu"] = 1280
    assert info.options(links, parse_bridge(links, "vt-c0", frozenset()))["mtu"] == 1280


@pytest.mark.parametrize(
    ("cmdline", "guest"),
    [
        ("/usr/bin/qemu-system-x86_64\0-name\0guest=web,debug-threads=on\0-S\0", "web"),
        ("qemu-system-x86_64\0-name\0web,process=x\0", "web"),
        ("qemu-system-x86_64\0-name\0debug-threads=on\0", None),
        ("openvpn\0--dev\0tap0\0", None),
        ("qemu-system-x86_64\0-name", None),
        ("", None),
    ],
)
def test_the_guest_of_an_emulator(cmdline, guest):
    found = attached.process(7, cmdline)
    assert found["pid"] == 7 and found.get("guest") == guest and found["command"] == cmdline.split("\0")[0].rpartition("/")[2]


def test_the_device_of_an_open_file():
    assert attached.tap_device("pos:\t0\nflags:\t0104002\niff:\tvnet0\n") == "vnet0"
    assert attached.tap_device("pos:\t0\n") is None


def answer(kind, *attributes):
    body = b"\0" * 4 + b"".join(struct.pack("=HHi", 8, number, value) for number, value in attributes)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 1, 0) + body


def test_the_kernels_number_of_a_namespace():
    assert attached.parse_number(answer(88, (5, 9), (1, 3))) == 3
    assert attached.parse_number(answer(88, (1, -1))) is None and attached.parse_number(answer(88)) is None
    assert attached.parse_number(answer(2, (1, 3))) is None
    assert attached.number_of("/nowhere") is None
