# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hosts made of network namespaces: each with files of its own and a real ssh server, all on one switch that only they and the controller see.

The controller has a namespace as well, in which ansible-playbook and the pinger run. Nothing of the machine's own network is touched, and
nothing that else uses its addresses disturbs.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, List, Optional, Union

import yaml

from support import target_python

ROUTER = "203.0.113.1"
BEHIND = "198.51.100.1"  # the controller's address beyond the router
SUPPORT = Path(__file__).parent
_SBIN = ":/usr/local/sbin:/usr/sbin:/sbin"
Json = Dict[str, Any]

# A mount namespace for each host, so that files and daemons are its own. The wrapper of ip does what /run/evil says when the batch comes.
START = r"""
set -e
mount --make-rprivate /
exec 3< "$VT_IP_PATH"
mount -t tmpfs -o size=24m vt /run; mkdir /run/compiled; mount --bind "$VT_COMPILED" /run/compiled
for folder in /root /tmp /var/lib; do mount -t tmpfs -o size=24m vt "$folder"; done
chmod 700 /root; chmod 755 /run /var/lib
mkdir /root/.ssh /var/lib/disk
mount -t tmpfs -o size=1m vt /var/lib/disk
mkdir /var/lib/disk/etc /var/lib/disk/work /var/lib/disk/virtops /var/lib/virtops
mount -t overlay -o lowerdir=/etc,upperdir=/var/lib/disk/etc,workdir=/var/lib/disk/work vt /etc
mount --bind /var/lib/disk/virtops /var/lib/virtops
chmod 700 /root/.ssh
echo "$VT_PUBLIC_KEY" > /root/.ssh/authorized_keys
printf '%s' "$VT_HOST_KEY" | base64 -d > /run/host_key
mkdir -p /etc/network/interfaces.d /etc/netplan /etc/systemd/network
printf 'auto eth0\niface eth0 inet static\n' > /etc/network/interfaces.d/eth0
printf '[Match]\nName=eth0\n' > /etc/systemd/network/10-eth0.network
cat <&3 > /run/ip; exec 3<&-; chmod 755 /run/ip
printf '%s' "$VT_WRAPPER" | base64 -d > /run/ip-wrapper; chmod 755 /run/ip-wrapper
mount --bind /run/ip-wrapper "$VT_IP_PATH"
exec dropbear -F -E -s -p 22 -r /run/host_key -P /run/dropbear.pid
"""

WRAPPER = r"""#!/bin/bash
if [ -e /run/evil ] && [ "$1 $2" = "-batch -" ]; then
    evil=$(cat /run/evil)
    rm /run/evil
    cat > /run/lines
    case $evil in
    killed-before) kill -9 $PPID; exit 1 ;;
    killed-after) /run/ip -batch - < /run/lines; kill -9 $PPID; exit 1 ;;
    half) head -n 2 /run/lines | /run/ip -batch -; echo "vt: no more" >&2; exit 1 ;;
    half-killed) head -n 3 /run/lines | /run/ip -batch -; kill -9 $PPID; exit 1 ;;
    stuck) head -n 3 /run/lines | /run/ip -batch -; sleep 60; /run/ip -batch - < /run/lines; exit ;;
    files) echo broken > /etc/network/interfaces.d/eth0; rm /etc/systemd/network/10-eth0.network; echo new > /etc/netplan/99-new.yaml
           echo "vt: the back end failed" >&2; exit 1 ;;
    full) echo broken > /etc/network/interfaces.d/eth0; : > /etc/systemd/network/10-eth0.network
          dd if=/dev/zero of=/var/lib/disk/etc/filler bs=4k 2>/dev/null; /run/ip -batch - < /run/lines; exit ;;
    worker) pkill -9 -n --ns $$ --nslist net -f 'guard.watchdog.*watch'; /run/ip -batch - < /run/lines; exit ;;
    esac
fi
exec /run/ip "$@"
"""


def run(*words: str, check: bool = True, stdin: Optional[str] = None) -> str:
    env = {**os.environ, "PATH": os.environ["PATH"] + _SBIN}
    done = subprocess.run(words, check=False, capture_output=True, text=True, env=env, input=stdin)
    assert not check or done.returncode == 0, f"{words}: {done.stderr or done.stdout}"
    return done.stdout


class NetnsHost:
    """name: of the namespace. number: the last part of its address, on eth0; eth1 has a link that leads nowhere."""

    def __init__(self, fleet: Fleet, name: str, number: int) -> None:
        self.fleet, self.name, self.number = fleet, name, number
        self.address, self.address6 = f"203.0.113.{number}", f"2001:db8:113::{number}"
        self.server: Optional[subprocess.Popen[bytes]] = None

    def start(self) -> None:
        run("ip", "netns", "add", self.name)
        for interface, switch in (("eth0", "sw0"), ("eth1", "sw1")):
            port = f"{interface[-1]}p{self.number}"
            run("ip", "-n", self.fleet.name, "link", "add", port, "type", "veth", "peer", "name", interface, "netns", self.name)
            run("ip", "-n", self.fleet.name, "link", "set", "dev", port, "master", switch, "up")
        lines = [
            "link set dev lo up",
            "link set dev eth1 up",
            f"link set dev eth0 address 02:00:00:00:01:{self.number:02x} up",
            f"address add {self.address}/24 broadcast 203.0.113.255 dev eth0",
            f"address add {self.address6}/64 dev eth0 nodad",
            f"route add default via {ROUTER} dev eth0 metric 50",
            "route add ::/0 via 2001:db8:113::1 dev eth0 metric 77",
            f"route add 198.51.100.128/25 via {ROUTER} dev eth0 table 100",
            f"route add 198.51.100.64/26 via {ROUTER} dev eth0 proto static mtu 1400",
            "rule add from 198.51.100.200 table 100 priority 900",
        ]
        run("ip", "-n", self.name, "-batch", "-", stdin="\n".join(lines) + "\n")
        self.serve()

    def serve(self) -> None:
        """The host's files and its ssh server. It is forked from here, so that nothing of it outlives the namespace's processes."""
        self.server = subprocess.Popen(
            ["ip", "netns", "exec", self.name, "bash", "-c", START],
            env={**self.fleet.environment, "PATH": os.environ["PATH"] + _SBIN, "HOME": "/root"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.fleet.folder / f"{self.name}.log").open("wb"),
        )

    def stop(self) -> None:
        for pid in run("ip", "netns", "pids", self.name, check=False).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        if self.server:
            self.server.wait()
        run("ip", "netns", "delete", self.name, check=False)

    def run(self, *words: str, check: bool = True, stdin: Optional[str] = None) -> str:
        assert self.server
        return run("nsenter", "-t", str(self.server.pid), "-m", "-n", "--", *words, check=check, stdin=stdin)

    def ready(self) -> bool:
        return (
            subprocess.run(
                ["nsenter", "-t", str(self.server.pid if self.server else 1), "-m", "-n", "test", "-e", "/run/dropbear.pid"], check=False
            ).returncode
            == 0
        )

    def evil(self, what: str) -> None:
        self.run("tee", "/run/evil", stdin=what)

    def fill_disk(self) -> None:
        self.run("dd", "if=/dev/zero", "of=/var/lib/disk/filler", "bs=4k", check=False)

    def state(self) -> Json:
        """The network as it is, without what changes by itself, and all configuration files with their bytes and modes."""
        links = json.loads(self.run("/run/ip", "-j", "-d", "addr", "show"))
        shown = {}
        for link in links:
            data = link.get("linkinfo", {})
            shown[link["ifname"]] = {
                **{key: link.get(key) for key in ("master", "mtu", "address")},
                "up": "UP" in link["flags"],
                "addresses": sorted(f"{item['local']}/{item['prefixlen']}" for item in link["addr_info"] if item["scope"] == "global"),
                "bridge": {
                    key: value
                    for key, value in data.get("info_data", {}).items()
                    if data.get("info_kind") == "bridge"
                    and not key.endswith("timer")
                    and key not in ("root_id", "bridge_id", "topology_change_detected")
                },
                "port": {key: data.get("info_slave_data", {}).get(key) for key in ("cost", "priority", "locked", "learning", "isolated")},
            }
        routes = [
            json.dumps(route, sort_keys=True)
            for family in ("-4", "-6")
            for route in json.loads(self.run("/run/ip", "-j", family, "route", "show", "table", "all"))
            if not str(route.get("dst")).startswith(("fe80", "ff00", "multicast")) and route.get("table") != "local"
        ]
        rules = self.run("/run/ip", "-j", "rule", "show")
        files = self.run(
            "bash", "-c", "cd /etc; find network netplan systemd/network -printf '%p %m %U %G %l\\n' -type f -exec sha256sum {} + | sort"
        )
        return {"links": shown, "routes": sorted(routes), "rules": rules, "files": files}


class Fleet:
    """All hosts, and the switch that they hang on."""

    def __init__(self, prefix: str) -> None:
        self.prefix, self.name = prefix, f"{prefix}c"
        self.hosts: Dict[str, NetnsHost] = {}
        self._numbers = itertools.cycle(range(10, 99))
        self._temporary = tempfile.TemporaryDirectory(prefix="vt-br.")
        self.folder = Path(self._temporary.name)
        self.environment: Dict[str, str] = {}

    def __enter__(self) -> Fleet:
        self.sweep()
        key, host_key = self.folder / "key", self.folder / "host_key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
        run("dropbearkey", "-t", "ed25519", "-f", str(host_key))
        path = run("sh", "-c", "command -v ip").strip()
        self.environment = {
            **os.environ,
            "VT_PUBLIC_KEY": key.with_suffix(".pub").read_text().strip(),
            "VT_HOST_KEY": _base64(host_key.read_bytes()),
            "VT_WRAPPER": _base64(WRAPPER.encode()),
            "VT_IP_PATH": os.path.realpath(path),
            "VT_COMPILED": str(target_python.folder()),
        }
        run("ip", "netns", "add", self.name)
        for switch in ("sw0", "sw1"):
            run("ip", "-n", self.name, "link", "add", "name", switch, "type", "bridge")
        lines = [
            "link set dev lo up",
            "link set dev sw0 address 02:00:00:00:00:01 up",
            f"address add {ROUTER}/24 dev sw0",
            "address add 2001:db8:113::1/64 dev sw0 nodad",
            f"address add {BEHIND}/32 dev lo",
        ]
        run("ip", "-n", self.name, "-batch", "-", stdin="\n".join(lines) + "\n")
        return self

    def __exit__(self, *_error: object) -> None:
        self.sweep()
        self._temporary.cleanup()

    def sweep(self) -> None:
        """No namespace of ours and none of their processes, from an earlier run either."""
        self.dismiss()
        for line in run("ip", "netns", "list").splitlines():
            name = line.split()[0]
            if name.startswith(self.prefix):
                NetnsHost(self, name, 0).stop()

    def dismiss(self) -> None:
        """End all hosts; the switch and the controller stay."""
        for host in self.hosts.values():
            host.stop()
        self.hosts = {}

    def add(self, *names: str) -> List[NetnsHost]:
        # A number is not used again soon: the kernel takes the links of a namespace away in its own time.
        made = [NetnsHost(self, f"{self.prefix}{number}", number) for number, _name in zip(self._numbers, names)]
        for name, host in zip(names, made):
            self.hosts[name] = host
            host.start()
        deadline = time.monotonic() + 60
        while not all(host.ready() for host in made):
            assert time.monotonic() < deadline, "an ssh server did not start: " + " ".join(path.read_text() for path in self.folder.glob("*.log"))
            time.sleep(0.1)
        return made

    # The controller

    def playbook(
        self, tasks: Union[List[Json], Dict[str, List[Json]]], variables: Dict[str, Json], *arguments: str, forks: int = 30
    ) -> subprocess.Popen[str]:
        """Start ansible-playbook in the controller's namespace. tasks: for all, or host → its own, without waiting.

        variables: host → its own.
        """
        strategy = "linear"
        if isinstance(tasks, dict):
            for name, its in tasks.items():
                (self.folder / f"{name}.tasks.yml").write_text(yaml.safe_dump(its))
            strategy, tasks = "free", [{"ansible.builtin.include_tasks": str(self.folder / "{{ inventory_hostname }}.tasks.yml")}]
        with tempfile.NamedTemporaryFile("w", dir=self.folder, suffix=".yml", delete=False) as play:
            yaml.safe_dump([{"hosts": "all", "gather_facts": False, "strategy": strategy, "tasks": tasks}], play)
        inventory = Path(play.name).with_suffix(".json.yml")
        common = {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.folder / "key"),
            "ansible_python_interpreter": "/run/compiled/python3",
            "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o IdentitiesOnly=yes",
            "ansible_ssh_transfer_method": "piped",
            "ansible_pipelining": True,
        }
        hosts = {name: {"ansible_host": self.hosts[name].address, **own} for name, own in variables.items()}
        inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": common}}))
        results = Path(play.name).with_suffix(".results")
        results.touch()
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, "ansible-playbook", "-i", str(inventory), play.name, "--forks", str(forks), *arguments],
            env={
                **os.environ,
                "PATH": os.environ["PATH"] + _SBIN,
                "ANSIBLE_COLLECTIONS_PATH": os.environ["VIRTOPS_COLLECTIONS"],
                "ANSIBLE_CALLBACK_PLUGINS": str(SUPPORT / "callbacks"),
                "ANSIBLE_CALLBACKS_ENABLED": "task_results",
                "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "cp"),
                "ANSIBLE_RETRY_FILES_ENABLED": "False",
                "VIRTOPS_TASK_RESULTS": str(results),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        process.results = results  # type: ignore[attr-defined]
        return process

    def results(self, process: subprocess.Popen[str]) -> Dict[str, Json]:
        """Host → the result of its last task, when all is done. output: under "" what ansible-playbook printed."""
        output, _nothing = process.communicate(timeout=400)
        lines = [json.loads(line) for line in process.results.read_text().splitlines()]  # type: ignore[attr-defined]
        found: Dict[str, Json] = {line["host"]: line for line in lines}
        return {**found, "": {"output": output}}

    def pinger(self, addresses: List[str]) -> Pinger:
        return Pinger(self, addresses)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Pinger:
    """Pings every address ten times a second from the controller. silence: address → its longest silence in seconds."""

    def __init__(self, fleet: Fleet, addresses: List[str]) -> None:
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", fleet.name, sys.executable, str(SUPPORT / "pinger.py"), *addresses],
            env={**os.environ, "PATH": os.environ["PATH"] + _SBIN},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout and self.process.stdout.readline() == "pinging\n"

    def stop(self) -> Dict[str, float]:
        output, _nothing = self.process.communicate("stop\n", timeout=30)
        return dict(json.loads(output))
