# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role host_network, in a namespace with a network and configurations of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
import yaml
from support import target_python

NAMESPACE = "vt-hostnet"
ENV = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
#: Folders of the test's own over those that the role writes to. ip netns exec makes a mount namespace, so nobody else sees them.
FOLDERS = """
set -e
mount -t overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" vt /etc
for folder in network systemd/network netplan sysctl.d udev/rules.d; do mount --bind "$1/etc/$folder" "/etc/$folder"; done
for folder in /run /var/lib; do mount -t tmpfs vt "$folder"; done
shift
exec "$@"
"""
BRIDGE = {"name": "vt-br0", "addresses": ["198.51.100.1/24"], "stp": False, "forward_delay": 0, "ports": [{"name": "vt-p0", "isolated": True}]}


@pytest.fixture
def etc(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "vt-hostnet", str(folder)], check=True)
    try:
        for name in ("network/interfaces.d", "systemd/network", "netplan", "sysctl.d", "udev/rules.d"):
            (folder / "etc" / name).mkdir(parents=True)
            (folder / "upper" / name).mkdir(parents=True)
        (folder / "work").mkdir()
        (folder / "etc/network/interfaces").write_text("source /etc/network/interfaces.d/*\n")
        subprocess.run(["ip", "netns", "delete", NAMESPACE], check=False, capture_output=True, env=ENV)
        subprocess.run(["ip", "netns", "add", NAMESPACE], check=True, env=ENV)
        try:
            subprocess.run(["ip", "-n", NAMESPACE, "link", "add", "name", "vt-p0", "type", "veth", "peer", "name", "vt-q0"], check=True, env=ENV)
            yield folder / "etc"
        finally:
            subprocess.run(["ip", "netns", "delete", NAMESPACE], check=True, env=ENV)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def role(etc: Path, variables: Dict[str, Any], *arguments: str) -> Dict[str, Any]:
    """What the play recap says of the run."""
    book = etc.parent.parent / "play.yml"
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": target_python.interpreter(), **variables},
    }
    book.write_text(yaml.safe_dump([{**play, "roles": ["virtops.linux.host_network"]}]))
    done = subprocess.run(
        ["ip", "netns", "exec", NAMESPACE, "sh", "-c", FOLDERS, "sh", str(etc.parent), "ansible-playbook", "-i", "localhost,", str(book), *arguments],
        env={
            **ENV,
            "ANSIBLE_COLLECTIONS_PATH": os.environ["VIRTOPS_COLLECTIONS"],
            "ANSIBLE_FORCE_COLOR": "0",
            "ANSIBLE_PIPELINING": "True",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    recap = next(line for line in done.stdout.splitlines() if line.startswith("localhost ") and "ok=" in line)
    return {"output": done.stdout, **{key: int(value) for key, value in (item.split("=") for item in recap.split(":")[1].split())}}


def inside(*words: str) -> str:
    return subprocess.run(["ip", "netns", "exec", NAMESPACE, *words], check=False, capture_output=True, text=True, env=ENV).stdout.strip()


def drops() -> bool:
    return "-P FORWARD DROP" in inside("iptables", "-S", "FORWARD")


def filters() -> str:
    """Nothing without br_netfilter in this kernel: then there is nothing to set."""
    return inside("sysctl", "-e", "-n", "net.bridge.bridge-nf-call-iptables")


def test_bridges_are_built_and_kept_and_a_second_run_changes_nothing(etc):
    variables = {"host_network_bridges": [BRIDGE], "host_network_forward": True, "host_network_filter_bridged": False}
    inside("iptables", "-P", "FORWARD", "DROP")
    assert role(etc, variables, "--check")["changed"] > 0
    assert not list((etc / "sysctl.d").iterdir()) and not list((etc / "network/interfaces.d").iterdir())
    assert role(etc, variables)["changed"] > 0
    link = json.loads(subprocess.check_output(["ip", "-n", NAMESPACE, "-j", "addr", "show", "dev", "vt-br0"], env=ENV))[0]
    assert any(item.get("local") == "198.51.100.1" for item in link["addr_info"])
    assert "iface vt-br0" in (etc / "network/interfaces.d/virtops-vt-br0").read_text()
    settings = (etc / "sysctl.d/60-virtops-host-network.conf").read_text()
    assert "net.ipv4.ip_forward = 1\n" in settings and "net.bridge.bridge-nf-call-iptables = 0\n" in settings
    assert "br_netfilter" in (etc / "udev/rules.d/60-virtops-host-network.rules").read_text()
    forwards = subprocess.check_output(["ip", "netns", "exec", NAMESPACE, "cat", "/proc/sys/net/ipv4/ip_forward"], text=True, env=ENV)
    assert forwards == "1\n"
    again = role(etc, variables)
    assert again["changed"] == 0 and "WARNING" not in again["output"] and filters() in ("", "0")
    gone = {"host_network_bridges": [{"name": "vt-br0", "state": "absent"}]}
    assert role(etc, gone)["changed"] == 1 and not list((etc / "network/interfaces.d").iterdir())


def test_a_firewall_that_cuts_guests_off_is_warned_of(etc):
    """Where bridged packets are given to it. Where they are not, the test above sees no warning."""
    inside("iptables", "-P", "FORWARD", "DROP")
    said = role(etc, {"host_network_bridges": [{"name": "vt-br0"}], "host_network_filter_bridged": True})
    assert filters() in ("", "1")
    assert ("WARNING: localhost drops packets" in said["output"]) == (drops() and filters() == "1")
