# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waiting for a guest that boots: its address of a DHCP server, its guest agent, and what cloud-init leaves behind. One guest for all of it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from support import tiny
from support.modules import apply, check, cycle, refused, settled
from support.virsh import clear, virsh

MODULE, NAME = "libvirt_domain", "vt-wait"
LOG = Path("/var/log/libvirt/qemu/vt-wait-console.log")
INITRD = Path("/var/lib/libvirt/images/vt-wait-initrd.img")
ON = {"name": NAME, "state": "running", "timeout": 0, "wait_timeout": 280}
#: What the tiny guest does before its shell: the agent on the first channel that there is.
AGENT = """
mkdir -p /run/cloud-init
for port in /dev/vport*; do qemu-ga -m virtio-serial -p "$port" -t /run -f /run/qga.pid & done
"""


def remove() -> None:
    clear(("destroy", NAME), ("undefine", NAME), ("destroy", f"{NAME}-2"), ("undefine", f"{NAME}-2"), ("net-destroy", NAME), ("net-undefine", NAME))
    clear(("net-destroy", f"{NAME}-2"), ("net-undefine", f"{NAME}-2"))
    for path in (LOG, INITRD):
        path.unlink(missing_ok=True)


def with_agent(initrd: Path, scratch: Path) -> None:
    """The tiny guest's initramfs, with a second one behind it: the distribution's guest agent, and who starts it."""
    agent = shutil.which("qemu-ga", path=os.environ["PATH"] + ":/usr/sbin") or "qemu-ga"
    libraries = [word for word in subprocess.run(["ldd", agent], capture_output=True, text=True, check=True).stdout.split() if word.startswith("/")]
    for source in [agent, *libraries]:
        target = scratch / ("bin/qemu-ga" if source == agent else source[1:])
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    names: Dict[str, str] = {}
    exec(tiny.BUILD.read_text().partition("def output")[0], names)  # noqa: S102  # its constants
    last = "\nwhile :; do setsid"
    assert last in names["INIT"]
    (scratch / "init").write_text(names["INIT"].replace(last, AGENT + last))
    (scratch / "init").chmod(0o755)
    listing = "\n".join(str(path.relative_to(scratch)) for path in sorted(scratch.rglob("*")))
    cpio = subprocess.run(["busybox", "cpio", "-o", "-H", "newc"], cwd=scratch, input=listing.encode(), capture_output=True, check=True).stdout
    INITRD.write_bytes(initrd.read_bytes() + cpio)


@pytest.fixture(scope="module", autouse=True)
def networks(libvirtd: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    remove()
    try:
        with_agent(tiny.folder() / "initrd.img", tmp_path_factory.mktemp("agent"))
        dhcp = {"ranges": [{"start": "198.18.77.9", "end": "198.18.77.9"}]}
        apply("libvirt_network", {"name": NAME, "bridge": {"name": "vt-wait0"}, "ips": [{"address": "198.18.77.1/24", "dhcp": dhcp}]})
        apply("libvirt_network", {"name": f"{NAME}-2", "bridge": {"name": "vt-wait1"}})
        yield
    finally:
        remove()


def leaves(path: str, content: Any) -> None:
    """The guest's own system, as far as this is tried: a file in it."""

    def ask(command: str, **arguments: Any) -> Any:
        return json.loads(virsh("qemu-agent-command", NAME, json.dumps({"execute": command, "arguments": arguments})))["return"]

    handle = ask("guest-file-open", path=path, mode="w")
    ask("guest-file-write", handle=handle, **{"buf-b64": base64.b64encode(json.dumps(content).encode()).decode()})
    ask("guest-file-close", handle=handle)


def test_from_its_start_to_the_end_of_cloud_init() -> None:
    boot = tiny.folder()
    options = {
        **ON,
        "type": "qemu",
        "memory": "160M",
        "machine": "pc",
        "kernel": str(boot / "vmlinuz"),
        "initrd": str(INITRD),
        "cmdline": "console=ttyS0 no_timer_check quiet",
        "console_log": str(LOG),
        "interfaces": [{"source": NAME, "mac": "52:54:00:77:00:01"}],
        "guest_agent": True,
        "wait_for": ["address", "agent"],
        "xml": "<domain><os><type>hvm</type></os><features><acpi/><apic/></features></domain>",
    }
    made = cycle(MODULE, options)
    (entry,) = [one for one in made["resource"]["addresses"] if one["address"] == "198.18.77.9"]
    assert entry["mac"] == "52:54:00:77:00:01" and {"lease"} <= set(entry["sources"])
    assert [step["action"] for step in made["actions"]] == ["define_domain", "start_domain"] and "addresses" not in check(MODULE, options)["resource"]
    (entry,) = [one for one in settled(MODULE, {**ON, "wait_for": ["agent"]})["resource"]["addresses"] if one["address"] == "198.18.77.9"]
    assert entry["name"] == "eth0" and "agent" in entry["sources"]

    (lease,) = apply("libvirt_network_info", {"name": NAME})["details"][NAME]["leases"]
    assert lease["mac"] == entry["mac"] and lease["address"] == "198.18.77.9"

    for_cloud_init = {**ON, "wait_for": ["cloud_init"]}
    message = refused(MODULE, {**for_cloud_init, "wait_timeout": 0}, "wait_timeout")
    assert "the end of cloud-init did not come within 0 seconds: it is running; 52:54:00:77:00:01 on vt-wait has 198.18.77.9" in message
    assert "its agent answers; cloud-init has not started; the last line of its console is '" in message
    leaves("/run/cloud-init/status.json", {"v1": {"stage": "modules-config"}})
    assert "cloud-init is in its stage modules-config" in refused(MODULE, {**for_cloud_init, "wait_timeout": 0}, "wait_timeout")
    leaves("/run/cloud-init/result.json", {"v1": {"datasource": "DataSourceNoCloud", "errors": []}})
    assert settled(MODULE, for_cloud_init)["resource"]["cloud_init"] == {"datasource": "DataSourceNoCloud", "errors": []}
    leaves("/run/cloud-init/result.json", {"v1": {"datasource": None, "errors": ["('scripts-user', RuntimeError())"]}})
    assert "ended with errors: ('scripts-user'" in refused(MODULE, for_cloud_init, "cloud_init_failed")


def test_what_never_comes() -> None:
    bare = {**ON, "name": f"{NAME}-2", "type": "qemu", "memory": "32M", "wait_for": "address"}
    assert "give it interfaces" in refused(MODULE, bare, "no_interface", check_mode=True)
    with_one = {**bare, "interfaces": [{"source": f"{NAME}-2", "mac": "52:54:00:77:00:02"}], "wait_timeout": 1}
    apply(MODULE, {**with_one, "wait_for": []})
    message = refused(MODULE, with_one, "wait_timeout")
    assert "52:54:00:77:00:02 on vt-wait-2 has no address, because that network gives no addresses; its console is kept nowhere" in message
    assert "set guest_agent: true" in refused(MODULE, {**with_one, "wait_for": "agent"}, "no_guest_agent")
    assert "state is shutoff" in refused(MODULE, {**with_one, "state": "shutoff"}, "invalid_value")


def test_libvirts_own_test_driver() -> None:
    there = settled(MODULE, {"uri": "test:///default", "name": "test", "state": "running", "wait_for": "address"})
    assert there["resource"]["addresses"][0]["sources"]
