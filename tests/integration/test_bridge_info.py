# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What bridge_info says of bridges with a guest's tap device and a container behind them, and that it can be given back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, Dict, Iterator, List

import pytest
from support.modules import apply, check, refused, served_by, settled

NAMESPACE, CONTAINER = "vt-brinfo", "vt-brinfo-c"
BRIDGE = "vt-br0"
ENV = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
#: Opens a tap device as an emulator does, says so, and keeps it until its input ends.
EMULATOR = """
import fcntl, struct, sys
device = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(device, 0x400454CA, struct.pack("16sH22x", b"vt-tap0", 0x1002))  # TUNSETIFF, IFF_TAP | IFF_NO_PI
print("open", flush=True)
sys.stdin.read()
"""


def ip(*words: str, namespace: str = NAMESPACE) -> str:
    return subprocess.run(["ip", "-n", namespace, *words], check=True, capture_output=True, text=True, env=ENV).stdout


def start(namespace: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(["ip", "netns", "exec", namespace, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENV)


@pytest.fixture(scope="module")
def network() -> Iterator[Dict[str, int]]:
    """A bridge with an interface of the host's, a guest's and a container's. The pids of the last two."""
    processes: List[subprocess.Popen[str]] = []
    for name in (NAMESPACE, CONTAINER):
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True, env=ENV)
        subprocess.run(["ip", "netns", "add", name], check=True, env=ENV)
    try:
        for name, home in (("vt-p0", NAMESPACE), ("vt-p1", CONTAINER)):
            ip("link", "add", "name", name, "type", "veth", "peer", "name", name.replace("p", "q"), "netns", home)
        processes.append(start(NAMESPACE, sys.executable, "-c", EMULATOR, "-name", "guest=vt-web,debug-threads=on"))
        assert processes[0].stdout and processes[0].stdout.readline() == "open\n"
        processes.append(start(CONTAINER, "sh", "-c", "echo open; read nothing"))
        assert processes[1].stdout and processes[1].stdout.readline() == "open\n"
        with served_by("ip", "netns", "exec", NAMESPACE):
            apply(
                "bridge",
                {
                    "name": BRIDGE,
                    "mac_address": "52:54:00:00:00:77",
                    "addresses": ["198.51.100.1/24"],
                    "ageing_time": 20,
                    "ports": [{"name": "vt-p0", "cost": 9}, {"name": "vt-p1"}, {"name": "vt-tap0"}],
                },
            )
            yield {"guest": processes[0].pid, "container": processes[1].pid}
    finally:
        for process in processes:
            process.communicate()
        for name in (NAMESPACE, CONTAINER):
            subprocess.run(["ip", "netns", "delete", name], check=True, env=ENV)


def read() -> Dict[str, Any]:
    result = apply("bridge_info", {})
    assert result["changed"] is False
    return result


def test_who_is_attached(network):
    ports = {port["name"]: port for port in read()["details"][BRIDGE]["ports"]}
    assert ports["vt-tap0"]["attached"] == {"pid": network["guest"], "command": os.path.basename(sys.executable), "guest": "vt-web"}
    assert ports["vt-p1"]["attached"] == {"pid": network["container"], "command": "sh", "namespace": f"/run/netns/{CONTAINER}"}
    assert ports["vt-p0"]["attached"] == {} and ports["vt-p0"]["kind"] == "veth" and ports["vt-tap0"]["kind"] == "tun"


def test_given_back_nothing_changes(network):
    found = read()
    (bridge,) = found["bridges"]
    assert [port["name"] for port in bridge["ports"]] == ["vt-p0"] and bridge["mac_address"] == "52:54:00:00:00:77"
    settled("bridge", bridge)
    assert not apply("virt_host", {"bridges": found["bridges"]})["changed"]
    ip("address", "add", "203.0.113.7/24", "dev", "vt-p0")
    try:
        (bridge,) = read()["bridges"]
        assert bridge["move_addresses"] is False
        settled("bridge", bridge)
    finally:
        ip("address", "delete", "203.0.113.7/24", "dev", "vt-p0")


def test_the_forwarding_table(network):
    ip("link", "set", "dev", "vt-q0", "up")
    subprocess.run(["bridge", "-n", NAMESPACE, "fdb", "add", "52:54:00:00:00:10", "dev", "vt-p0", "master", "static"], check=True, env=ENV)
    entries = {(entry["mac"], entry["port"]): entry for entry in read()["details"][BRIDGE]["fdb"]}
    assert entries["52:54:00:00:00:10", "vt-p0"]["static"] and not entries["52:54:00:00:00:10", "vt-p0"]["local"]
    own = json.loads(ip("-j", "link", "show", "dev", "vt-p1"))[0]["address"]
    assert entries[own, "vt-p1"]["local"]


def test_one_bridge_or_none(network):
    assert [bridge["name"] for bridge in check("bridge_info", {"name": BRIDGE})["bridges"]] == [BRIDGE]
    assert apply("bridge_info", {"name": "vt-br9"})["bridges"] == [] and apply("bridge_info", {"name": "vt-p0"})["details"] == {}
    refused("bridge_info", {"bridge": BRIDGE}, "invalid_options")
