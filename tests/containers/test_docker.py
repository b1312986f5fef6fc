# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Docker by the role container_host on this machine, from nothing, and a container in a cgroup of ours. `make test-containers`.

Docker has a network of its own here. What it keeps and what the role writes is the machine's, and is removed, packages included.
"""

from __future__ import annotations

import grp
import json
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set

import pytest
from support.cgroups import remove_all
from support.checklist import TAKE_50_MB, is_container
from support.container_room import busybox_tree, room
from support.modules import apply, cycle, served_by
from support.playbooks import Task, play

CGROUP, OWN, IMAGE, SETTINGS = "vt-ch", "vt-own", "vt-ch:1", Path("/etc/docker/daemon.json")
FOLDERS = [Path(path) for path in ("/etc/docker", "/var/lib/docker", "/var/lib/containerd", "/run/docker", "/run/containerd")]
DOCKERS = "docker"
ROLE: Dict[str, Any] = {
    "container_host_engines": ["docker"],
    "container_host_cgroups": [{"name": CGROUP, "resources": {"memory": {"limit": "32M"}, "pids": {"limit": 20}}}],
    "container_host_cgroup_parent": CGROUP,
    "container_host_bridge": {"name": "vt-ch0", "stp": False, "addresses": ["198.51.100.1/24"]},
    "container_host_log": {"max_size": "1m", "max_file": 2},
    "container_host_registry_mirrors": ["https://mirror.example.org"],
}


def installed() -> Set[str]:
    words = ["dpkg-query", "--show", "--showformat", "${binary:Package} ${db:Status-Status}\n"]
    lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.split()[0] for line in lines if line.endswith(" installed")}


DOCKER = ["/usr/bin/docker", "--host", "unix:///run/docker.sock"]  # by its path: a machine may have another program of this name first


def docker(*words: str, fails: bool = False) -> str:
    done = subprocess.run([*DOCKER, *words], check=False, capture_output=True, text=True)
    assert fails == bool(done.returncode), f"docker {words}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[List[str]]:
    """The words that run a command in the network that Docker is in. Afterwards the machine is as it was."""
    assert not any(path.exists() for path in FOLDERS), "this machine has a Docker that is somebody's"
    before, group = installed(), DOCKERS in [item.gr_name for item in grp.getgrall()]
    with room(tmp_path_factory.mktemp("room")) as words:
        try:
            yield words
        finally:
            if Path("/run/docker.pid").exists():
                for name in docker("ps", "--all", "--quiet").split():
                    docker("rm", "--force", name)
                subprocess.run(["start-stop-daemon", "--stop", "--pidfile", "/run/docker.pid", "--name", "dockerd", "--retry", "30"], check=True)
            remove_all(CGROUP, OWN, "docker")
            new = sorted(installed() - before)
            if new:
                subprocess.run(["apt-get", "purge", "--yes", *new], check=True, capture_output=True)
            for path in FOLDERS:
                shutil.rmtree(path, ignore_errors=True)
            Path("/var/log/docker.log").unlink(missing_ok=True)
            if new and not group:
                subprocess.run(["groupdel", DOCKERS], check=False)  # which the package leaves


@pytest.fixture(scope="module")
def playbook(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("play") / "play.yml"
    path.write_text(json.dumps([{"hosts": "all", "gather_subset": ["min"], "roles": [{"role": "virtops.linux.container_host"}], "vars": ROLE}]))
    return str(path)


def changed(tasks: List[Task]) -> List[str]:
    return [task["task"] for task in tasks if task.get("changed")]


@pytest.fixture(scope="module")
def runs(inside: List[str], playbook: str) -> List[str]:
    """Docker runs, by the role: what the run changed. The packages come by the machine's own network."""
    no_service = ("-e", json.dumps({"container_host_service": False, "container_host_bridge": {}}))
    assert changed(play(playbook, "--check", *no_service)) == changed(play(playbook, *no_service))
    return changed(play(playbook, within=inside))


def test_a_second_run_changes_nothing(runs: List[str], inside: List[str], playbook: str) -> None:
    assert "Start Docker" in str(runs)
    assert changed(play(playbook, within=inside)) == []
    assert SETTINGS.stat().st_mode & 0o777 == 0o644
    assert json.loads(SETTINGS.read_text()) == {
        "bridge": "vt-ch0",
        "cgroup-parent": f"/{CGROUP}",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "log-driver": "json-file",
        "log-opts": {"max-file": "2", "max-size": "1m"},
        "registry-mirrors": ["https://mirror.example.org"],
        "storage-driver": "overlay2",
    }


@pytest.fixture
def container(runs: List[str], tmp_path: Path) -> Iterator[str]:
    """One of an image of the test's own."""
    tree = busybox_tree(tmp_path / "tree")
    packed = subprocess.run(["tar", "--create", "--directory", str(tree), "."], check=True, capture_output=True).stdout
    subprocess.run([*DOCKER, "import", "-", IMAGE], input=packed, check=True, capture_output=True)
    name = docker("run", "--detach", "--hostname", "vt-ch", IMAGE, "/bin/sleep", "3600")
    yield name
    docker("rm", "--force", name)


def test_a_limit_changes_while_the_container_runs_and_is_felt_inside(container: str, inside: List[str]) -> None:
    def seen() -> List[str]:
        return [line for line in docker("exec", container, "cat", "/sys/fs/cgroup/memory/memory.stat").splitlines() if "hierarchical_memory" in line]

    state = docker("inspect", "--format", "{{.Id}} {{.State.Pid}} {{.State.StartedAt}}", container)
    assert f"/{CGROUP}/{container}" in Path(f"/proc/{state.split()[1]}/cgroup").read_text()
    assert f"hierarchical_memory_limit {32 * 2**20}" in seen()
    docker("exec", container, *TAKE_50_MB, fails=True)
    cycle("container_cgroup", {"name": CGROUP, "resources": {"memory": {"limit": "128M"}}})
    assert f"hierarchical_memory_limit {128 * 2**20}" in seen()
    docker("exec", container, *TAKE_50_MB)
    assert docker("inspect", "--format", "{{.Id}} {{.State.Pid}} {{.State.StartedAt}}", container) == state
    apply("container_cgroup", ROLE["container_host_cgroups"][0])


def test_docker_makes_containers(container: str, inside: List[str]) -> None:
    pid = int(docker("inspect", "--format", "{{.State.Pid}}", container))
    is_container([*DOCKER, "exec", container], inside, pid, "vt-ch", "vt-ch0", "198.51.100.1", CGROUP)


def test_our_modules_alone_make_containers(runs: List[str], inside: List[str], tmp_path: Path) -> None:
    tree = busybox_tree(tmp_path / "tree")
    os.mknod(tree / "dev/zero", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    os.mknod(tree / "dev/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    overlay = {"path": str(tmp_path / "root"), "lowerdir": [str(tree)], "upperdir": str(tmp_path / "upper"), "workdir": str(tmp_path / "work")}
    namespaces = {
        "name": OWN,
        "types": ["pid", "mount", "uts", "ipc", "network"],
        "hostname": OWN,
        "loopback": True,
        "interfaces": [
            {
                "name": "eth0",
                "peer": "vt-own0",
                "bridge": "vt-ch0",
                "addresses": ["198.51.100.200/24"],
                "routes": [{"to": "default", "via": "198.51.100.1"}],
            }
        ],
        "process": {"args": ["/bin/sleep", "3600"], "root": overlay["path"], "cgroups_path": OWN},
    }
    with served_by(*inside):
        try:
            cycle("container_cgroup", {"name": OWN, "resources": {"memory": {"limit": "32M"}}})
            cycle("overlay_mount", {**overlay, "persistent": "none", "create_dirs": True})
            pid = cycle("container_namespace", namespaces)["resource"]["process_pids"][-1]
            join = f'for file in /sys/fs/cgroup/*/{OWN}/cgroup.procs; do echo 0 > $file; done; exec "$@"'
            enter = [*inside, "sh", "-c", join, "sh", "nsenter", f"--target={pid}", "--pid", "--mount", "--uts", "--ipc", "--net", "--root", "--wd"]
            is_container(enter, inside, pid, OWN, "vt-ch0", "198.51.100.1", OWN)
        finally:
            apply("container_namespace", {"name": OWN, "state": "absent", "force": True})
            apply("overlay_mount", {"path": overlay["path"], "state": "absent"})
            remove_all(OWN)


def test_settings_of_others_stay_and_bad_ones_are_taken_back(runs: List[str], inside: List[str], playbook: str) -> None:
    ours = json.loads(SETTINGS.read_text())
    SETTINGS.write_text(json.dumps({**ours, "labels": ["of=others"], "log-opts": {"tag": "theirs"}, "exec-opts": []}))
    assert "Write Docker's settings" in str(changed(play(playbook, within=inside)))
    merged = json.loads(SETTINGS.read_text())
    assert merged == {**ours, "labels": ["of=others"], "log-opts": {**ours["log-opts"], "tag": "theirs"}}
    with pytest.raises(AssertionError, match="is as it was before"):
        play(playbook, "-e", json.dumps({"container_host_docker_settings": {"bip": "198.51.100.1/24"}}), within=inside)
    assert json.loads(SETTINGS.read_text()) == merged and docker("info", "--format", "{{.Driver}}") == "overlay2"
    SETTINGS.write_text("{,}")
    with pytest.raises(AssertionError, match="no JSON object"):
        play(playbook, within=inside)
    SETTINGS.write_text(json.dumps(merged))
