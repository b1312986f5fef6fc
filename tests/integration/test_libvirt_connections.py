# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Other libvirts than the host's own: a user's session, another host over SSH, containers, and libvirt's own test driver."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from support.container_room import busybox_tree
from support.modules import apply, cycle, refused, run_module, served_by, settled
from support.private_libvirt import private_libvirt
from support.unpacked import laid_over
from support.virsh import clear, virsh

NAME = "vt-far"
NOBODY = 65534
NETWORK: Dict[str, Any] = {"name": NAME, "bridge": {"name": NAME}, "ips": [{"address": "203.0.113.1/24"}]}
GUEST: Dict[str, Any] = {"name": NAME, "type": "qemu", "memory": "32M"}
INFO = ("libvirt_domain_info", "libvirt_network_info", "libvirt_pool_info", "libvirt_nwfilter_info", "libvirt_secret_info")
#: Covers root's SSH folder in a mount namespace, and serves in it until standard input ends.
SERVER = """
set -e
mount -t tmpfs -o mode=700 vt-far "$1" && cd "$1"
ssh-keygen -q -t ed25519 -N '' -f key && cp key.pub authorized_keys
dropbearkey -t ed25519 -f host_key >host.pub 2>/dev/null
dropbear -F -E -s -p 127.0.0.1:22921 -r host_key -P pid >log 2>&1 &
until [ -s pid ]; do sleep 0.1; kill -0 $!; done
echo "[127.0.0.1]:22921 $(grep ^ssh- host.pub)" >known_hosts
echo ready; read -r _ || true
kill $!
"""

#: Certificates of an authority of their own, and a libvirtd that shows and asks for them.
TLS = """
mkdir /etc/libvirt/vt-far && cd /etc/libvirt/vt-far
new="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
openssl req -x509 $new -keyout cakey.pem -out cacert.pem -subj /CN=vt-far -days 2
echo subjectAltName=DNS:localhost >names
for who in server client; do
  openssl req $new -keyout ${who}key.pem -out request -subj /CN=localhost
  openssl x509 -req -in request -CA cacert.pem -CAkey cakey.pem -CAcreateserial -days 2 -extfile names -out ${who}cert.pem
done
mkdir nobody && cp cacert.pem nobody
cat >>/etc/libvirt/libvirtd.conf <<settings
listen_tls = 1
listen_addr = "127.0.0.1"
key_file = "/etc/libvirt/vt-far/serverkey.pem"
cert_file = "/etc/libvirt/vt-far/servercert.pem"
ca_file = "/etc/libvirt/vt-far/cacert.pem"
settings
"""


@pytest.fixture
def over_ssh(libvirtd: None) -> Iterator[str]:
    folder = Path("~root/.ssh").expanduser()
    made = not folder.exists()
    folder.mkdir(mode=0o700, exist_ok=True)
    server = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", SERVER, "sh", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout and server.stdout.readline() == "ready\n"
        with served_by("nsenter", "-t", str(server.pid), "-m"):
            yield f"qemu+ssh://root@127.0.0.1:22921/system?keyfile={folder}/key"
    finally:
        server.communicate("\n")
        clear(*((verb, NAME) for verb in ("net-destroy", "net-undefine", "undefine")))
        if made:
            folder.rmdir()


def test_another_host_over_ssh(over_ssh: str) -> None:
    for info in INFO:
        apply(info, {"uri": over_ssh})
    far = {"uri": over_ssh}
    apply("libvirt_domain", {**GUEST, **far})
    made = cycle("libvirt_network", {**NETWORK, **far})
    assert made["resource"]["state"] == "active" and f"name='{NAME}'" in virsh("net-dumpxml", NAME)
    settled("libvirt_network", NETWORK)
    dhcp = [{"address": "203.0.113.1/24", "dhcp": {"hosts": [{"mac": "52:54:00:00:00:01", "ip": "203.0.113.9"}]}}]
    assert [step["action"] for step in apply("libvirt_network", {**NETWORK, **far, "ips": dhcp})["actions"]] == ["define_network", "update_network"]
    refused("libvirt_domain", {**GUEST, "uri": over_ssh.replace("22921", "9")}, "libvirt_unreachable")


@pytest.fixture
def session(tmp_path: Path) -> Iterator[str]:
    """That of an ordinary user."""
    folder = Path("/run/vt-far")
    folder.mkdir(mode=0o700)
    os.chown(folder, NOBODY, NOBODY)
    names = [f"{name}={folder}" for name in ("HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")]
    try:
        with served_by("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "env", *names):
            yield "qemu:///session"
            run_module("libvirt_domain", {"uri": "qemu:///session", "name": NAME, "state": "absent", "timeout": 0, "force": True})
    finally:
        for pid in folder.glob("libvirt/*.pid"):
            with suppress(ProcessLookupError, ValueError):
                os.kill(int(pid.read_text()), signal.SIGTERM)
        subprocess.run(["rm", "-rf", str(folder)], check=True)


def test_the_session_of_an_ordinary_user(session: str) -> None:
    for info in INFO:
        apply(info, {"uri": session})
    cycle("libvirt_domain", {**GUEST, "uri": session, "state": "running"})
    apply("libvirt_network", {**NETWORK, "uri": session, "state": "inactive"})
    message = refused("libvirt_network", {**NETWORK, "uri": session}, "start_failed")
    assert message.endswith("qemu:///session has no more rights than its user; use qemu:///system for this")


def test_drivers_that_have_less() -> None:
    for info in ("libvirt_domain_info", "libvirt_network_info", "libvirt_pool_info"):
        apply(info, {"uri": "test:///default"})
    settled("libvirt_network", {"uri": "test:///default", "name": "default", "bridge": {"name": "virbr0"}})
    assert "test:///default does not" in refused("libvirt_secret_info", {"uri": "test:///default"}, "unsupported")
    message = refused("libvirt_domain_info", {"uri": "vt:///system"}, "libvirt_unreachable")
    assert "install libvirt's driver for vt (libvirt-daemon-driver-vt)" in message


@pytest.fixture
def containers(tmp_path: Path) -> Iterator[Path]:
    """lxc:///system, whose driver is in none of the machine's folders, and the root of a container. Of cgroups a container sees one hierarchy."""
    tree = busybox_tree(tmp_path / "root")
    init = tree / "sbin/init"
    init.parent.mkdir(exist_ok=True)
    init.write_text("#!/bin/busybox sh\ntrap 'exit 0' TERM\nwhile :; do /bin/busybox sleep 1; done\n")
    init.chmod(0o755)
    before = laid_over("lxc", "libvirt-daemon-driver-lxc") + "\n! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified"
    with private_libvirt(before) as private, served_by(*private.enter):
        yield tree
        run_module("libvirt_domain", {"uri": "lxc:///system", "name": NAME, "state": "absent", "timeout": 0, "force": True})


def test_a_container(containers: Path) -> None:
    """By options alone; its init listens to signals, and not to what libvirt says first."""
    container = {"uri": "lxc:///system", "name": NAME}
    options = {"memory": "64M", "filesystems": [{"source": str(containers), "target": "/"}]}
    made = cycle("libvirt_domain", {**container, **options, "title": "A & B"})
    assert made["resource"]["type"] == "lxc"
    cycle("libvirt_domain", {**container, "state": "running"})
    assert cycle("libvirt_domain", {**container, "memory": "96M"})["pending"] == ["memory", "currentMemory"]
    told = apply("libvirt_domain_info", {"uri": container["uri"]})
    assert told["details"][NAME]["pending"] == ["memory", "currentMemory"] and told["guests"][0]["filesystems"][0]["source"] == str(containers)
    settled("libvirt_domain", told["guests"][0])
    assert cycle("libvirt_domain", {**container, "memory": "96M", "restart": "if_required", "timeout": 60})["pending"] == []
    cycle("libvirt_domain", {**container, "state": "shutoff", "timeout": 60})
    cycle("libvirt_domain", {**container, "state": "absent"})


def test_another_host_over_tls() -> None:
    with private_libvirt(TLS, ("--listen",)) as private, served_by(*private.enter):
        uri = "qemu+tls://localhost/system?pkipath=/etc/libvirt/vt-far"
        cycle("libvirt_domain", {**GUEST, "uri": uri})
        cycle("libvirt_network", {**NETWORK, "uri": uri})
        settled("libvirt_network", NETWORK)
        assert NAME in apply("libvirt_domain_info", {"uri": uri})["details"]
        for unknown in (f"{uri}/nobody", uri.replace("localhost", "127.0.0.1"), uri.replace("localhost", "localhost:1")):
            message = refused("libvirt_domain_info", {"uri": unknown}, "libvirt_unreachable")
            assert message.endswith("check the URI and that the other host lets this one in") and "went away" not in message
