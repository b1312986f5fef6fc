# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bridges in the files of network configurations, in a namespace with an /etc of its own.

No back end runs there. For ifupdown, whose stanza is commands, a test runs them on a bare network as it does at boot.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Dict, Iterator, List

import pytest
from support.modules import apply, check, cycle, refused, run_module, served_by, settled

NAMESPACE = "vt-persist"
BRIDGE = "vt-br0"
INTERFACES = "source /etc/network/interfaces.d/*\n\nauto lo vt-p0\niface lo inet loopback\niface vt-p0 inet static\n    address 203.0.113.7/24\n"
ENV = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
#: The folders of all back ends, whatever this machine has and runs. ip netns exec makes a mount namespace, so nobody else sees them.
ETC = """
set -e
mount -t overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" vt /etc
for folder in network systemd/network netplan; do mount --bind "$1/etc/$folder" "/etc/$folder"; done
mount --bind "$1/run" /run
mount --bind "$1/lib" /var/lib
shift
exec "$@"
"""


def ip(*words: str) -> str:
    return subprocess.run(["ip", "-n", NAMESPACE, *words], check=True, capture_output=True, text=True, env=ENV).stdout


@pytest.fixture(scope="module")
def etc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("etc")
    subprocess.run(["mount", "-t", "tmpfs", "vt-persist", str(folder)], check=True)  # an overlay's folders cannot be on an overlay
    try:
        for name in ("network/interfaces.d", "systemd/network", "netplan"):
            (folder / "etc" / name).mkdir(parents=True)
            (folder / "upper" / name).mkdir(parents=True)
        for name in ("work", "run", "lib"):
            (folder / name).mkdir()
        subprocess.run(["ip", "netns", "delete", NAMESPACE], check=False, capture_output=True, env=ENV)
        subprocess.run(["ip", "netns", "add", NAMESPACE], check=True, env=ENV)
        try:
            with served_by("ip", "netns", "exec", NAMESPACE, "sh", "-c", ETC, "sh", str(folder)):
                yield folder / "etc"
        finally:
            subprocess.run(["ip", "netns", "delete", NAMESPACE], check=True, env=ENV)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(autouse=True)
def clean(etc: Path) -> None:
    """Bare interfaces and bare configurations for every test."""
    for line in ip("-br", "link", "show").splitlines():
        name = line.split()[0].split("@")[0]
        if name in (BRIDGE, "vt-p0", "vt-p1"):
            ip("link", "delete", "dev", name)
    for name in ("vt-p0", "vt-p1"):
        ip("link", "add", "name", name, "type", "veth", "peer", "name", name.replace("p", "q"))
        ip("link", "set", "dev", name, "up")
    ip("address", "add", "203.0.113.7/24", "dev", "vt-p0")
    ip("route", "add", "198.51.100.0/24", "via", "203.0.113.1", "dev", "vt-p0")
    for path in (*etc.glob("network/interfaces.d/*"), *etc.glob("systemd/network/*"), *etc.glob("netplan/*")):
        path.unlink()
    (etc.parent / "run/systemd/netif/state").unlink(missing_ok=True)
    (etc / "network/interfaces").write_text(INTERFACES)
    (etc / "systemd/network/10-vt-p0.network").write_text("[Match]\nName=vt-p0\n[Network]\nAddress=203.0.113.7/24\nDNS=203.0.113.53\n")


def files(etc: Path) -> Dict[str, str]:
    return {
        str(path.relative_to(etc)): path.read_text() for folder in ("network", "systemd") for path in etc.glob(f"{folder}/**/*") if path.is_file()
    }


TAKEN = {"name": BRIDGE, "ports": [{"name": "vt-p0", "cost": 9}], "stp": False, "forward_delay": 0, "ageing_time": 20}


@pytest.mark.parametrize(("backend", "written"), [("networkd", 3), ("ifupdown", 2)])
def test_files_come_and_go_with_the_bridge(etc, backend, written):
    before = files(etc)
    result = cycle("bridge", {**TAKEN, "persist": backend})
    assert [action["action"] for action in result["actions"]].count("write_file") == written
    assert result["resource"]["backend"] == backend and result["resource"]["persistent"] is True
    kept = files(etc)
    changed = {f"/etc/{path}": text for path, text in kept.items() if before.get(path) != text}
    shown = result["resource"]["files"]
    assert set(shown) == set(changed) and all(shown[path] == changed[path] for path in shown if "virtops" in path)
    ours = [path for path in etc.glob("**/*virtops*") if path.is_file()]
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in ours) and "203.0.113.7/24" in "".join(path.read_text() for path in ours)
    settled("bridge", {**TAKEN, "persist": "auto"})
    settled("bridge", {"name": BRIDGE})
    cycle("bridge", {"name": BRIDGE, "ageing_time": 30})
    assert files(etc) != kept, "what keeps the bridge goes on doing so, without a word"
    other = {"networkd": "ifupdown", "ifupdown": "networkd"}[backend]
    assert cycle("bridge", {"name": BRIDGE, "persist": other})["resource"]["backend"] == other
    cycle("bridge", {"name": BRIDGE, "persist": "none"})
    assert files(etc) == before
    cycle("bridge", {**TAKEN, "persist": backend})
    cycle("bridge", {"name": BRIDGE, "state": "absent", "force": True})
    assert files(etc) == before and "203.0.113.7/24" in ip("-br", "address", "show", "dev", "vt-p0")


def hooks(etc: Path, *kinds: str) -> List[str]:
    """The commands of the stanza, in the order in which ifup runs them."""
    lines = (etc / f"network/interfaces.d/virtops-{BRIDGE}").read_text().splitlines()
    return [line.split(None, 1)[1] for kind in kinds for line in lines if line.split()[:1] == [kind]]


def run_hooks(etc: Path, *kinds: str) -> None:
    for command in hooks(etc, *kinds):
        subprocess.run(["ip", "netns", "exec", NAMESPACE, "sh", "-e", "-c", command], check=True, env=ENV)


def test_the_stanza_makes_the_bridge_again_on_a_bare_network(etc):
    params = {
        **TAKEN,
        "persist": "ifupdown",
        "mtu": 1400,
        "mcast_mld_version": 2,
        "group_fwd_mask": "0x4000",
        "nf_call_iptables": False,
        "gateway4": "203.0.113.1",
        "ports": [{"name": "vt-p0", "cost": 9, "guard": True, "root_block": True, "locked": True}, {"name": "vt-p1", "isolated": True}],
    }
    apply("bridge", params)
    for again in (False, True):
        if not again:
            run_hooks(etc, "post-down")
            ip("address", "flush", "dev", "vt-p0")
        run_hooks(etc, "pre-up", "up")
        assert "203.0.113.7/24" in ip("-br", "address", "show", "dev", BRIDGE)
        assert "default via 203.0.113.1" in ip("route", "show") and "198.51.100.0/24 via 203.0.113.1" in ip("route", "show")
        settled("bridge", params)


def test_addresses_and_names_by_the_daemons_are_kept(etc):
    """networkd does not run here, so that what it would do is told to be pending; the files say all of it."""
    named = {"dhcp4": True, "dhcp6": True, "accept_ra": False, "dns": {"nameservers": ["203.0.113.99", "2001:db8::53"], "search": ["example.org"]}}
    result = cycle("bridge", {**TAKEN, **named, "persist": "networkd"})
    assert result["pending"] == ["dhcp4", "dhcp6", "dns"] and result["restart_required"]
    text = result["resource"]["files"][f"/etc/systemd/network/00-virtops-bridge-{BRIDGE}.network"]
    assert {"DHCP=yes", "IPv6AcceptRA=no", "DNS=203.0.113.99", "DNS=2001:db8::53", "Domains=example.org"} <= set(text.splitlines())
    assert "203.0.113.53" not in text, "the port's own name server"
    settled("bridge", {"name": BRIDGE})
    result = cycle("bridge", {"name": BRIDGE, "dhcp4": False, "dhcp6": False, "dns": {"nameservers": [], "search": []}})
    assert result["pending"] == [] and "DHCP=" not in result["resource"]["files"][f"/etc/systemd/network/00-virtops-bridge-{BRIDGE}.network"]


def test_a_file_that_was_edited_is_made_anew(etc):
    apply("bridge", {**TAKEN, "persist": "networkd"})
    for name in ("00-virtops-port-vt-p0.network", f"00-virtops-bridge-{BRIDGE}.netdev"):
        path = etc / "systemd/network" / name
        before = path.read_text()
        path.write_text(before + "# mine\n")
        assert [action["action"] for action in cycle("bridge", {"name": BRIDGE})["actions"]] == ["write_file"]
        assert path.read_text() == before


def test_what_cannot_be_kept_changes_nothing(etc):
    before = files(etc)
    for params, code in (
        ({"persist": "networkd", "mcast_mld_version": 2}, "unsupported_by_backend"),
        ({"persist": "netplan", "mcast_snooping": False}, "unsupported_by_backend"),
        ({"persist": "networkmanager", "ageing_time": 0.5}, "unsupported_by_backend"),
        ({"persist": "systemd"}, "invalid_options"),
    ):
        assert refused("bridge", {**TAKEN, **params}, code) == refused("bridge", {**TAKEN, **params}, code, check_mode=True)
    (etc / "netplan/50-host.yaml").write_text("network: {ethernets: {vt-p0: {dhcp4: true}}}\n")
    assert "50-host.yaml" in refused("bridge", {**TAKEN, "persist": "auto"}, "backend_unsuitable")
    (etc / "netplan/50-host.yaml").unlink()
    (etc / "network/interfaces").write_text("iface lo inet loopback\n")
    assert "add the line source" in refused("bridge", {**TAKEN, "persist": "ifupdown"}, "backend_unsuitable")
    (etc / "network/interfaces").write_text(INTERFACES)
    assert files(etc) == before and BRIDGE not in ip("-br", "link", "show")


def test_a_rollback_gives_the_files_back(etc):
    before = files(etc)
    result = run_module("bridge", {**TAKEN, "persist": "ifupdown", "verify_hosts": ["203.0.113.250"], "rollback_timeout": 6})
    assert result["failed"] and result["code"] == "rolled_back", result
    assert files(etc) == before and BRIDGE not in ip("-br", "link", "show")
    answered = {"gateway4": "203.0.113.1", "verify_hosts": ["203.0.113.7"], "rollback_timeout": 30}
    assert run_module("bridge", {**TAKEN, **answered})["changed"]
    assert not list((etc.parent / "lib/virtops/rollback").iterdir()), "nobody has a name for these changes, so nothing stays of them"


def test_a_back_end_that_fails_is_undone_with_everything_else(etc):
    """The live change is made and the files are written, then systemd-networkd, which seems to run, cannot be told."""
    before = files(etc)
    state = etc.parent / "run/systemd/netif/state"
    state.parent.mkdir(parents=True, exist_ok=True)
    state.touch()
    result = run_module("bridge", {**TAKEN, "persist": "networkd", "verify_hosts": ["203.0.113.7"], "rollback_timeout": 5})
    assert result["failed"] and "networkctl" in result["msg"] and "write_file" in [action["action"] for action in result["actions"]]
    deadline = time.monotonic() + 60
    while BRIDGE in ip("-br", "link", "show") or files(etc) != before:
        assert time.monotonic() < deadline, files(etc)
        time.sleep(0.1)
    assert "203.0.113.7/24" in ip("-br", "address", "show", "dev", "vt-p0") and "via 203.0.113.1 dev vt-p0" in ip("route", "show")


def test_auto_finds_the_back_end_and_check_mode_writes_nothing(etc):
    before = files(etc)
    predicted = check("bridge", {**TAKEN, "persist": "auto"})
    assert predicted["resource"]["backend"] == "ifupdown" and files(etc) == before
