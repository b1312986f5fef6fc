# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Namespaces of this machine's kernel, kept under names of the tests' own."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Host
from ansible_collections.virtops.linux.plugins.module_utils.namespace.actions import WriteUnit
from ansible_collections.virtops.linux.plugins.module_utils.namespace.model import SPEC, Link, from_params
from ansible_collections.virtops.linux.plugins.module_utils.namespace.plan import nothing, plan
from ansible_collections.virtops.linux.plugins.module_utils.namespace.read import ended
from support.container_room import busybox_tree
from support.modules import apply, check, cycle, option_cycle, refused, settled

NAME = "vt-ns"
#: On the host itself, where others have links as well.
LINKS = {"vt-br0", "vt-br1", "vt-h0", "vt-h1", "vt-l0", "vt-l1", "vt-mv"}
ROOT = Path("/run/virtops/namespaces") / NAME
BASE: Dict[str, Any] = {"name": NAME, "types": ["network", "uts"]}
GONE = {"name": NAME, "state": "absent"}
HOST = Host()
FILES = {"network": "net", "mount": "mnt"}


def run(*words: str, fails: bool = False) -> str:
    env = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    return subprocess.run(words, check=not fails, capture_output=True, text=True, env=env).stdout


def enter(kind: str, *words: str) -> str:
    return run("nsenter", f"--{FILES.get(kind, kind).replace('mnt', 'mount')}={ROOT / FILES.get(kind, kind)}", *words)


def link(name: str) -> Dict[str, Any]:
    return json.loads(enter("network", "ip", "-j", "-d", "addr", "show", "dev", name))[0]


def inode(path: Any) -> Any:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def keepers() -> List[int]:
    """Processes of the tests' pid namespace."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and inode(process / "ns/pid_for_children") == inode(ROOT / "pid"):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; this machine's own init may be slow to bury it."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "\nState:\tZ" not in status.read_text()


def sweep() -> None:
    if (ROOT / "pid").exists():
        for pid in keepers():
            os.kill(pid, signal.SIGKILL)
    for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
        path = line.split()[4]
        if path.startswith(str(ROOT)) or path == f"/run/netns/{NAME}":
            run("umount", "--lazy", path, fails=True)
    run("rm", "-rf", str(ROOT), f"/run/netns/{NAME}")
    for name in LINKS.intersection(os.listdir("/sys/class/net")):
        run("ip", "link", "delete", "dev", name, fails=True)


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    sweep()
    yield
    sweep()


@pytest.fixture
def inside() -> Iterator[List[subprocess.Popen[bytes]]]:
    """Processes to start in the namespaces; they are ended after the test."""
    found: List[subprocess.Popen[bytes]] = []
    yield found
    for process in found:
        process.kill()
        process.wait(10)


def test_a_set_comes_and_goes():
    result = cycle("container_namespace", BASE)
    assert result["resource"]["types"] == ["network", "uts"] and result["resource"]["persistent"] is False
    assert inode(ROOT / "net") != inode("/proc/self/ns/net") and inode(ROOT / "uts") != inode("/proc/self/ns/uts")
    assert NAME in run("ip", "netns", "list").split()
    assert inode(f"/run/netns/{NAME}") == inode(ROOT / "net")
    settled("container_namespace", {"name": NAME})
    cycle("container_namespace", GONE)
    assert not ROOT.exists() and not os.path.exists(f"/run/netns/{NAME}")
    settled("container_namespace", GONE)


@pytest.mark.parametrize("kind", ["ipc", "cgroup", "time", "mount"])
def test_each_type_and_one_added_later(kind):
    file = FILES.get(kind, kind)
    cycle("container_namespace", {"name": NAME, "types": [kind]})
    assert inode(ROOT / file) != inode(f"/proc/self/ns/{file}")
    before = inode(ROOT / file)
    cycle("container_namespace", {"name": NAME, "types": [kind, "uts"]})
    assert inode(ROOT / file) == before
    assert "uts" in refused("container_namespace", {"name": NAME, "types": [kind]}, "recreate_needed", check_mode=True)


def test_everything_in_the_namespace_is_its_own():
    cycle("container_namespace", {"name": NAME, "types": ["mount", "ipc"]})
    enter("mount", "mount", "-t", "tmpfs", "vt-inside", "/mnt")
    assert "vt-inside" in enter("mount", "cat", "/proc/self/mountinfo") and "vt-inside" not in Path("/proc/self/mountinfo").read_text()
    enter("ipc", "ipcmk", "-Q")
    assert enter("ipc", "ipcs", "-q") != run("ipcs", "-q")


def test_files_of_an_earlier_boot_are_not_in_the_way():
    ROOT.mkdir(parents=True)
    Path("/run/netns").mkdir(exist_ok=True)
    for path in (ROOT / "net", ROOT / "uts", Path("/run/netns") / NAME):
        path.touch()
    settled("container_namespace", GONE)
    cycle("container_namespace", BASE)


def test_hostname():
    apply("container_namespace", BASE)
    before = run("hostname")
    option_cycle("container_namespace", BASE, "hostname", "vt-one.example.org", "vt-two")
    assert enter("uts", "hostname").strip() == "vt-one.example.org" and run("hostname") == before


def test_loopback():
    apply("container_namespace", BASE)
    option_cycle("container_namespace", BASE, "loopback", True, False)
    assert "UP" in link("lo")["flags"]


def test_a_pid_namespace_has_an_init_that_buries_orphans():
    params = {"name": NAME, "types": ["pid", "mount", "uts"], "hostname": "vt-pid"}
    result = cycle("container_namespace", params)
    assert result["resource"]["init"] is True
    words = ("nsenter", f"--pid={ROOT}/pid", f"--mount={ROOT}/mnt")
    assert run(*words, "ps", "-e", "-o", "pid=,comm=").split()[:2] == ["1", "sleep"]
    run(*words, "setsid", "--fork", "sleep", "0.1")
    time.sleep(0.6)
    assert "defunct" not in run(*words, "ps", "-e", "-f")
    before = inode(ROOT / "uts")
    os.kill(min(keepers()), signal.SIGKILL)  # unshare, and with it the init
    while keepers():
        time.sleep(0.05)
    cycle("container_namespace", params)
    assert inode(ROOT / "uts") == before and enter("uts", "hostname").strip() == "vt-pid"
    assert run(*words, "ps", "-e", "-o", "pid=,comm=").split()[:2] == ["1", "sleep"]
    assert len(keepers()) == 2
    pids = keepers()
    cycle("container_namespace", GONE)
    assert not any(alive(pid) for pid in pids)


MAPPING = [{"container_id": 0, "host_id": 100000, "size": 1000}, {"container_id": 1000, "host_id": 0, "size": 1}]


@pytest.mark.parametrize("types", [["user", "uts", "network"], ["user", "mount"], ["user", "pid", "network"]])
def test_a_user_namespace_owns_the_others(types):
    params = {"name": NAME, "types": types, "uid_mappings": MAPPING, "gid_mappings": MAPPING[:1]}
    cycle("container_namespace", {"name": NAME, "types": types})
    cycle("container_namespace", params)
    words = ("nsenter", f"--user={ROOT}/user")
    assert run(*words, "cat", "/proc/self/uid_map").split() == ["0", "100000", "1000", "1000", "0", "1"]
    assert run(*words, "cat", "/proc/self/gid_map").split() == ["0", "100000", "1000"]
    if "network" in types:
        run(*words, f"--net={ROOT}/net", "ip", "link", "set", "dev", "lo", "up")
    refused("container_namespace", {**params, "uid_mappings": MAPPING[:1]}, "recreate_needed", check_mode=True)
    refused("container_namespace", {**params, "types": [*types, "ipc"]}, "recreate_needed")
    cycle("container_namespace", GONE)


@pytest.fixture
def bridge() -> None:
    for name in ("vt-br0", "vt-br1"):
        run("ip", "link", "add", "name", name, "type", "bridge")
        run("ip", "link", "set", "dev", name, "up")
    run("ip", "address", "add", "198.18.71.1/24", "dev", "vt-br0")


def veth(**more: Any) -> Dict[str, Any]:
    return {**BASE, "interfaces": [{"name": "eth0", "peer": "vt-h0", **more}]}


def test_an_interface_reaches_the_bridge(bridge):
    cycle("container_namespace", veth(bridge="vt-br0", addresses=["198.18.71.10/24", "2001:db8::10/64"]))
    assert os.path.realpath("/sys/class/net/vt-h0/master").endswith("vt-br0")
    with socket.create_server(("198.18.71.1", 0)) as server:
        port = server.getsockname()[1]
        enter("network", "python3", "-c", f"import socket; socket.create_connection(('198.18.71.1', {port}), 5)")
    cycle("container_namespace", veth(bridge="vt-br1"))
    cycle("container_namespace", veth(bridge=""))
    cycle("container_namespace", veth(mtu=1400, addresses=["198.18.71.11/24"]))
    assert link("eth0")["mtu"] == 1400 and [item["local"] for item in link("eth0")["addr_info"] if item["scope"] == "global"] == ["198.18.71.11"]
    cycle("container_namespace", veth(mtu=1450, addresses=[]))
    enter("network", "ip", "link", "set", "dev", "eth0", "down")
    run("ip", "link", "set", "dev", "vt-h0", "down")
    cycle("container_namespace", veth())
    settled("container_namespace", BASE)
    cycle("container_namespace", {**BASE, "interfaces": []})
    assert not os.path.exists("/sys/class/net/vt-h0")


def routes() -> List[str]:
    said = [enter("network", "ip", family, "route", "show", "dev", "eth0").splitlines() for family in ("-4", "-6")]
    return [" ".join(line.split()[:3]) for lines in said for line in lines if "proto kernel" not in line]


def test_routes_of_an_interface(bridge):
    here = veth(bridge="vt-br0", addresses=["198.18.71.10/24", "2001:db8::10/64"])
    apply("container_namespace", here)

    def routed(given: List[Dict[str, Any]], **more: Any) -> Dict[str, Any]:
        return {**here, "interfaces": [{**here["interfaces"][0], "routes": given, **more}]}

    both = [{"to": "default", "via": "198.18.71.1"}, {"to": "default", "via": "2001:db8::1"}, {"to": "203.0.113.0/24", "via": "198.18.71.2"}]
    cycle("container_namespace", routed(both))
    assert routes() == ["default via 198.18.71.1", "203.0.113.0/24 via 198.18.71.2", "default via 2001:db8::1"]
    settled("container_namespace", here)
    moved = {"addresses": ["203.0.113.9/28"]}
    cycle("container_namespace", routed([{"to": "0.0.0.0/0", "via": "203.0.113.1"}, {"to": "198.18.71.64/26"}], **moved))
    assert sorted(routes()) == ["198.18.71.64/26 scope link", "default via 203.0.113.1"]
    assert "none of its networks" in refused(
        "container_namespace", routed([{"to": "default", "via": "203.0.113.77"}], **moved), "gateway_unreachable"
    )
    enter("network", "ip", "link", "set", "dev", "eth0", "down")
    apply("container_namespace", routed([{"to": "default", "via": "203.0.113.1"}], **moved))
    assert routes() == ["default via 203.0.113.1"]
    cycle("container_namespace", routed([], **moved))
    assert routes() == []


def in_all(*words: str) -> str:
    """A command in the namespaces of the tests' set, as far as they have files."""
    kinds = {"mount": "mnt", "pid": "pid", "uts": "uts", "net": "net", "ipc": "ipc"}
    return run("nsenter", *(f"--{kind}={ROOT / file}" for kind, file in kinds.items() if (ROOT / file).exists()), *words)


def test_a_process_is_kept_running_in_the_namespaces():
    base = {"name": NAME, "types": ["pid", "mount", "uts", "network"], "hostname": "vt-process"}

    def with_process(*args: str, **more: Any) -> Dict[str, Any]:
        return {**base, "process": {"args": list(args), **more}}

    apply("container_namespace", base)
    result = cycle("container_namespace", with_process("sleep", "1000", env={"GREETING": "hello you"}))
    _parent, child = result["resource"]["process_pids"]
    assert inode(f"/proc/{child}/ns/pid") == inode(ROOT / "pid") and inode(f"/proc/{child}/ns/net") == inode(ROOT / "net")
    environment = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
    assert b"GREETING=hello you" in environment and len(environment) == 3, "nothing of ours but what was asked for"
    assert "sleep 1000" in in_all("ps", "-e", "-o", "args=")
    settled("container_namespace", base)
    other = with_process("sleep", "2000", cwd="/var")
    pids = cycle("container_namespace", other)["resource"]["process_pids"]
    assert not alive(child) and "sleep 2000" in in_all("ps", "-e", "-o", "args=")
    pids = sorted({*pids, *keepers()})
    for pid in pids:
        with suppress(ProcessLookupError):  # one takes the next along
            os.kill(pid, signal.SIGKILL)  # with the init, which takes long to go
    while not all(ended(HOST.try_read(f"/proc/{pid}/stat") or "") for pid in pids):
        time.sleep(0.02)
    pids = cycle("container_namespace", other)["resource"]["process_pids"]
    assert "ended at once" in refused("container_namespace", with_process("false"), "process_ended")
    assert not any(alive(pid) for pid in pids)
    apply("container_namespace", other)
    cycle("container_namespace", with_process())
    pids = apply("container_namespace", other)["resource"]["process_pids"]
    apply("container_namespace", GONE)
    assert not any(alive(pid) for pid in pids)


def test_a_process_has_its_root_and_its_cgroup(tmp_path):
    tree = busybox_tree(tmp_path / "root")
    base = {"name": NAME, "types": ["pid", "mount", "uts"]}
    process = {"args": ["/bin/sh", "-c", "ps > /tmp/seen; exec sleep 1000"], "root": str(tree), "cgroups_path": NAME}
    assert "no cgroup vt-ns" in refused("container_namespace", {**base, "process": process}, "cgroup_missing")
    assert check("container_namespace", {**base, "process": process})["changed"]
    apply("container_cgroup", {"name": NAME, "resources": {"pids": {"limit": 50}}})
    try:
        result = cycle("container_namespace", {**base, "process": process})
        pids = result["resource"]["process_pids"]
        assert all(f"/{NAME}\n" in Path(f"/proc/{pid}/cgroup").read_text() for pid in pids)
        assert NAME not in Path("/proc/self/cgroup").read_text()
        assert os.readlink(f"/proc/{pids[-1]}/root") == str(tree)
        seen = (tree / "tmp/seen").read_text()
        assert len(seen.splitlines()) <= 5, seen  # init, the shell and ps, and nothing of the host
        refused("container_namespace", {**base, "process": {**process, "root": "/vt-none"}}, "root_missing")
        cycle("container_namespace", GONE)
    finally:
        sweep()
        apply("container_cgroup", {"name": NAME, "state": "absent", "force": True})


def test_a_link_of_the_host_moves_in_and_comes_back(bridge):
    run("ip", "link", "add", "vt-l0", "type", "veth", "peer", "name", "vt-l1")
    run("ip", "link", "add", "vt-mv", "link", "vt-l0", "mtu", "1300", "type", "macvlan")
    params = {**BASE, "interfaces": [{"name": "eth0", "link": "vt-mv", "addresses": ["198.51.100.20/24"]}]}
    cycle("container_namespace", params)
    assert link("eth0")["mtu"] == 1300 and not os.path.exists("/sys/class/net/vt-mv")
    enter("network", "ip", "link", "set", "dev", "eth0", "name", "vt-mv")
    cycle("container_namespace", GONE)
    assert os.path.exists("/sys/class/net/vt-mv")


def test_what_is_not_there_or_taken(bridge):
    refused("container_namespace", veth(bridge="vt-none"), "bridge_missing")
    assert check("container_namespace", veth(bridge="vt-none"))["changed"]
    refused("container_namespace", {**BASE, "interfaces": [{"name": "eth0", "link": "vt-none"}]}, "link_missing")
    refused("container_namespace", {**BASE, "interfaces": [{"name": "eth0", "peer": "vt-br0"}]}, "name_taken", check_mode=True)
    assert not ROOT.exists()
    apply("container_namespace", veth())
    refused("container_namespace", {**BASE, "interfaces": [{"name": "eth0", "peer": "vt-h1"}]}, "name_taken")
    apply("container_namespace", GONE)
    run("ip", "netns", "add", NAME)
    refused("container_namespace", BASE, "name_taken", check_mode=True)
    settled("container_namespace", GONE)
    assert NAME in run("ip", "netns", "list")
    assert "say its types" in refused("container_namespace", {"name": "vt-other"}, "missing_types", check_mode=True)


def test_processes_inside_are_named_and_ended_only_by_force(inside):
    apply("container_namespace", {"name": NAME, "types": ["network", "pid"]})
    inside.append(subprocess.Popen(["nsenter", f"--net={ROOT}/net", "sleep", "60"]))
    inside.append(subprocess.Popen(["nsenter", f"--pid={ROOT}/pid", "sleep", "60"]))
    time.sleep(0.3)
    sentence = refused("container_namespace", GONE, "namespace_in_use", check_mode=True)
    assert refused("container_namespace", GONE, "namespace_in_use") == sentence and f"{inside[0].pid} (sleep)" in sentence
    assert inside[0].poll() is None and ROOT.exists()
    predicted, result = check("container_namespace", {**GONE, "force": True}), apply("container_namespace", {**GONE, "force": True})
    assert (predicted["actions"], predicted["diff"]) == (result["actions"], result["diff"])
    assert inside[0].wait(5) == -signal.SIGKILL and not ROOT.exists()


def test_without_systemd_nothing_is_kept():
    assert not os.path.exists("/run/systemd/system")
    refused("container_namespace", {**BASE, "persistent": True}, "systemd_missing", check_mode=True)
    cycle("container_namespace", {**BASE, "persistent": False})


def lines(text: str, key: str) -> Iterator[List[str]]:
    """The commands of a unit, as systemd would run them."""
    for line in text.splitlines():
        if line.startswith(f"{key}="):
            words = shlex.split(line.partition("=")[2].removeprefix("-"))
            yield [word.replace("%%", "%").replace("$$", "$") for word in words]


def test_the_unit_makes_at_boot_what_the_module_makes_now(bridge, tmp_path):
    params = {
        **veth(bridge="vt-br0", addresses=["198.18.71.10/24"], mtu=1400),
        "types": ["network", "uts", "ipc", "cgroup", "time", "mount", "pid"],
        "hostname": "vt-boot",
        "loopback": True,
    }
    desired = from_params(
        {
            **dict.fromkeys(SPEC["argument_spec"]),
            "state": "present",
            "force": False,
            **params,
            "interfaces": [{**dict.fromkeys(SPEC["argument_spec"]["interfaces"]["options"]), **params["interfaces"][0]}],
        }
    )
    observed = replace(nothing(desired), systemd=True, links={"vt-br0": Link()})
    text = next(action.text for action in plan(observed, desired).actions if isinstance(action, WriteUnit))
    if shutil.which("systemd-analyze"):
        unit = tmp_path / "vt-boot.service"
        unit.write_text(text)
        run("systemd-analyze", "verify", str(unit))
    for words in lines(text, "ExecStart"):
        run(*words)
    while not keepers():
        time.sleep(0.05)
    settled("container_namespace", {**params, "persistent": False})
    for pid in keepers():
        os.kill(pid, signal.SIGKILL)  # systemd does, to what is left of a service
    for words in lines(text, "ExecStopPost"):
        run(*words, fails=True)
    settled("container_namespace", GONE)
    assert not ROOT.exists() and not os.path.exists("/sys/class/net/vt-h0")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"name": "../x"}, "invalid_name"),
        ({"name": ""}, "invalid_name"),
        ({"types": []}, "missing_types"),
        ({"types": ["uts"], "loopback": True}, "missing_type"),
        ({"types": ["network"], "hostname": "x"}, "missing_type"),
        ({"uid_mappings": MAPPING}, "missing_type"),
        ({"types": ["user"], "uid_mappings": []}, "missing_mapping"),
        ({"types": ["user"], "uid_mappings": [{"container_id": 0, "host_id": 0, "size": 0}]}, "out_of_range"),
        ({"types": ["user"], "gid_mappings": [*MAPPING, {"container_id": 5, "host_id": 9, "size": 1}]}, "overlapping_mappings"),
        ({"types": ["user"], "persistent": True}, "not_persistent"),
        ({"hostname": "-x"}, "invalid_hostname"),
        ({"interfaces": [{"name": "a/b", "peer": "vt-h0"}]}, "invalid_name"),
        ({"interfaces": [{"name": "a", "peer": ""}]}, "invalid_name"),
        ({"interfaces": [{"name": "a", "peer": "vt-h0"}, {"name": "b", "peer": "vt-h0"}]}, "duplicate_interface"),
        ({"interfaces": [{"name": "a", "peer": "vt-h0", "mtu": 1}]}, "out_of_range"),
        ({"interfaces": [{"name": "a", "peer": "vt-h0", "addresses": ["198.51.100.1"]}]}, "invalid_address"),
        ({"interfaces": [{"name": "a", "peer": "vt-h0", "routes": [{"to": "default"}]}]}, "invalid_route"),
        ({"interfaces": [{"name": "a", "peer": "vt-h0", "routes": [{"to": "198.51.100.7/24"}]}]}, "invalid_route"),
        ({"interfaces": [{"name": "a", "peer": "vt-h0", "routes": [{"to": "2001:db8::/64", "via": "198.51.100.1"}]}]}, "invalid_route"),
        ({"interfaces": [{"name": "a", "peer": "vt-h0", "routes": [{"to": "198.51.100.0/24"}] * 2}]}, "duplicate_route"),
        ({"process": {"args": ["a\nb"]}}, "invalid_process"),
        ({"process": {"args": [""]}}, "invalid_process"),
        ({"process": {"args": ["a"], "cwd": "b"}}, "invalid_process"),
        ({"process": {"args": ["a"], "env": {"a=b": "c"}}}, "invalid_process"),
        ({"process": {"args": ["a"], "cgroups_path": "../b"}}, "invalid_process"),
    ],
)
def test_bad_input(given, code):
    refused("container_namespace", {**BASE, **given}, code)
    assert not ROOT.exists()
