# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host with a network and configurations of its own, on which the real daemons of the back ends run: a namespace.

Their programs are those of the distribution, unpacked and not installed (scripts/unpacked), so that nothing begins to run this machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Dict, Iterator, List

from support.modules import Result, run_module

NAMESPACE = "vt-boot"
UNPACKED = Path(os.environ["VIRTOPS_COLLECTIONS"]) / "back-ends/tree"
MAC = "02:00:00:00:07:01"
_ENV = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
_PATIENCE = 60  # seconds

# With /sys read-only the daemons know that no udev will tell them of interfaces, as in containers.
_START = """
set -e
mount -t overlay -o "lowerdir=$2/usr:/usr" vt /usr
mount -t overlay -o "lowerdir=$2/etc:/etc,upperdir=$1/upper,workdir=$1/work" vt /etc
mount --bind "$1/run" /run
mount -t tmpfs vt /var/lib
mount --bind /sys/devices /sys/devices
mount -o remount,bind,ro /sys
rm -rf /etc/systemd/network/* /etc/netplan/* /etc/network/interfaces.d/*
mkdir -p /etc/netplan /etc/network/interfaces.d /etc/NetworkManager/system-connections /run/dbus /var/lib/NetworkManager
ldconfig
: > /etc/network/interfaces
: > /run/ready
exec sleep infinity
"""
_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN" "busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/>
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
"""
_NETWORKMANAGER = (
    "[main]\nplugins=keyfile\nauth-polkit=false\nno-auto-default=*\nrc-manager=unmanaged\n[keyfile]\nunmanaged-devices=interface-name:q*\n"
)
#: What systemd makes for systemd-networkd before it starts it.
_STATE = "mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp; chown -R systemd-network: /run/systemd/netif"
_DAEMONS = {
    "networkd": ["/usr/lib/systemd/systemd-networkd"],
    "networkmanager": ["/usr/sbin/NetworkManager", "--no-daemon"],
    "resolved": ["/usr/lib/systemd/systemd-resolved"],
}
#: Its user, which its package makes when it is installed.
_RESOLVED = "id systemd-resolve || useradd --system systemd-resolve; mkdir -p /run/systemd/resolve; chown systemd-resolve: /run/systemd/resolve"


class Host:
    """Two interfaces, eth0 and eth1, whose other ends are up."""

    def __init__(self, disk: Path) -> None:
        self.disk = disk
        for name in ("upper", "work", "run", "log"):
            (disk / name).mkdir()
        (disk / "bus.conf").write_text(_BUS)
        self.holder = subprocess.Popen(["ip", "netns", "exec", NAMESPACE, "sh", "-c", _START, "sh", str(disk), str(UNPACKED)], env=_ENV)
        self.inside = ["nsenter", "-t", str(self.holder.pid), "-m", "-n", "--"]
        until(lambda: (disk / "run/ready").exists() or self.holder.poll() is not None, "the host is there")
        self.write("/etc/NetworkManager/NetworkManager.conf", _NETWORKMANAGER)

    def run(self, *words: str) -> str:
        done = subprocess.run([*self.inside, *words], check=False, capture_output=True, text=True, env=_ENV)
        assert done.returncode == 0, f"{words}: {done.stderr or done.stdout}"
        return done.stdout

    def write(self, path: str, text: str) -> None:
        mode = "600" if path.endswith((".nmconnection", ".yaml")) else "644"
        subprocess.run([*self.inside, "sh", "-c", f"cat > {path}; chmod {mode} {path}"], input=text, text=True, check=True, env=_ENV)

    def files(self) -> Dict[str, str]:
        """Every configuration file of the host's: path → its mode and text."""
        folders = ("/etc/netplan", "/etc/network/interfaces.d", "/etc/systemd/network", "/etc/NetworkManager/system-connections")
        names = self.run("find", *folders, "/etc/network/interfaces", "-type", "f").split()
        return {name: self.run("stat", "-c", "%a", name) + self.run("cat", name) for name in names}

    def bare(self, *bridges: str) -> None:
        """The network as the kernel has it at boot."""
        names = set(self.run("ls", "/sys/class/net").split())
        lines = [f"link delete dev {name}" for name in (*bridges, "eth0", "eth1") if name in names]
        for name in ("eth0", "eth1"):
            peer = name.replace("eth", "q")
            lines += [f"link add name {name} type veth peer name {peer}", f"link set dev {peer} addrgenmode none up"]
        self.run("sh", "-c", "printf '%s\\n' \"$@\" | ip -batch -", "sh", *lines, f"link set dev eth0 address {MAC}", "link set dev lo up")

    @contextmanager
    def running(self, *daemons: str) -> Iterator[None]:
        """The daemons, with a bus of their own. What they say is in their logs."""
        commands: List[List[str]] = [["dbus-daemon", "--nofork", f"--config-file={self.disk}/bus.conf"], *(_DAEMONS[name] for name in daemons)]
        running: List[subprocess.Popen[bytes]] = []
        try:
            for name, command in zip(("bus", *daemons), commands):
                with (self.disk / "log" / name).open("ab") as log:
                    running.append(subprocess.Popen([*self.inside, *command], stdout=log, stderr=log, env=_ENV))
                if name == "bus":
                    self.run("sh", "-c", _STATE)
                    if "resolved" in daemons:
                        self.run("sh", "-c", _RESOLVED)
                    until((self.disk / "run/dbus/system_bus_socket").exists, "there is a bus")
            yield
        finally:
            for process in reversed(running):
                process.terminate()
                process.wait()
            for left in ("dbus", "systemd/netif", "systemd/resolve", "NetworkManager"):
                shutil.rmtree(self.disk / "run" / left, ignore_errors=True)
            (self.disk / "run/dbus").mkdir()

    def has_configured(self, daemon: str, interface: str) -> bool:
        """By the daemon's own word, after which it does nothing more of itself."""
        words = {"networkd": ["networkctl", "list"], "networkmanager": ["nmcli", "-t", "-f", "DEVICE,STATE", "device"]}[daemon]
        done = subprocess.run([*self.inside, *words], check=False, capture_output=True, text=True, env=_ENV)  # which fails while it starts
        found = [line.replace(":", " ").split() for line in done.stdout.splitlines()]
        return any(interface in line and line[-1] in ("configured", "connected") for line in found)

    def log(self, daemon: str) -> str:
        return (self.disk / "log" / daemon).read_text()

    def close(self) -> None:
        self.holder.kill()
        self.holder.wait()


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"not within {_PATIENCE} seconds: {what}"
        time.sleep(0.05)


def settles(params: Result) -> None:
    """In the end a daemon has the bridge as these options say."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        found = run_module("bridge", params, check=True)  # which is refused as well while the addresses are missing
        if not found["failed"] and not found["changed"]:
            return
        assert time.monotonic() < deadline, found.get("diff", found)
        time.sleep(0.1)


@contextmanager
def host(disk: Path) -> Iterator[Host]:
    assert UNPACKED.is_dir(), "the daemons are missing; start these tests by: make test-integration"
    subprocess.run(["mount", "-t", "tmpfs", "vt-boot", str(disk)], check=True)  # an overlay's folders cannot be on an overlay
    try:
        subprocess.run(["ip", "netns", "delete", NAMESPACE], check=False, capture_output=True, env=_ENV)
        subprocess.run(["ip", "netns", "add", NAMESPACE], check=True, env=_ENV)
        try:
            made = Host(disk)
            try:
                yield made
            finally:
                made.close()
        finally:
            subprocess.run(["ip", "netns", "delete", NAMESPACE], check=True, env=_ENV)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
