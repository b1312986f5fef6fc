# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a change and its rollback carry along beside addresses, routes and files: DHCP clients, router
advertisements, the state of a port, name servers."""

from __future__ import annotations

import json
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from support.back_ends import NAMESPACE, Host, host, until
from support.modules import apply, cycle, run_module, served_by

BRIDGE = "vt-br0"
PEER = "vt-boot-dhcp"
ADDRESS = "203.0.113.70"
TAKE: Dict[str, Any] = {"name": BRIDGE, "ports": [{"name": "eth0"}], "force": True}
WAITS: Dict[str, Any] = {"rollback_id": "one", "rollback_timeout": 120}
#: What the client does to the network.
SCRIPT = r"""#!/bin/sh
case $1 in bound|renew)
    ip address replace "$ip/$mask" valid_lft "$lease" preferred_lft "$lease" dev "$interface"
    ip route replace default via "$router" dev "$interface" ;;
esac
"""
PROFILE = "[connection]\nid=wired\ntype=ethernet\ninterface-name=eth0\n[ipv4]\nmethod=auto\n[ipv6]\nmethod=disabled\n"
#: As ifupdown starts them.
CLIENTS = {
    "udhcpc": ["/run/udhcpc", "-n", "-p", "/run/udhcpc.eth0.pid", "-i", "eth0", "-s", "/run/script"],
    "dhclient": [
        *("dhclient", "-4", "-v", "-i", "-pf", "/run/dhclient.eth0.pid", "-lf", "/var/lib/dhcp/dhclient.eth0.leases"),
        *("-I", "-df", "/var/lib/dhcp/dhclient6.eth0.leases", "eth0"),
    ],
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with host(tmp_path_factory.mktemp("rest")) as made, served_by(*made.inside):
        yield made


@pytest.fixture
def bare(machine: Host) -> Iterator[Host]:
    machine.bare(BRIDGE)
    yield machine
    run_module("bridge_confirm", {"rollback_id": "one", "state": "rolled_back"})  # where a test failed meanwhile
    for path in machine.run("sh", "-c", "ls /run/*.pid || true").split():
        with suppress(AssertionError):
            machine.run("pkill", "-KILL", "-F", path)


@pytest.fixture
def served(bare: Host) -> Iterator[Host]:
    """At the other end of eth0 is a DHCP server, which has one address."""
    inside = ["ip", "netns", "exec", PEER]
    subprocess.run(["ip", "netns", "delete", PEER], check=False, capture_output=True)  # of a run that was killed
    subprocess.run(["ip", "netns", "add", PEER], check=True)
    subprocess.run(["ip", "-n", NAMESPACE, "link", "set", "dev", "q0", "netns", PEER], check=True)
    for words in (["address", "add", "203.0.113.1/24", "dev", "q0"], ["link", "set", "dev", "q0", "up"]):
        subprocess.run([*inside, "ip", *words], check=True)
    leases = bare.disk / "leases"
    leases.unlink(missing_ok=True)  # the address is another client's there
    options = ["--port=0", "--interface=q0", f"--dhcp-range={ADDRESS},{ADDRESS},1h", "--dhcp-option=3,203.0.113.1", f"--dhcp-leasefile={leases}"]
    server = subprocess.Popen([*inside, "dnsmasq", "--keep-in-foreground", "--no-ping", "--conf-file=/dev/null", *options])
    try:
        yield bare
    finally:
        server.terminate()
        server.wait()
        subprocess.run(["ip", "netns", "delete", PEER], check=True)


@pytest.fixture(params=CLIENTS)
def leased(served: Host, request: pytest.FixtureRequest) -> Host:
    """eth0 has its address by DHCP, and a client of its own."""
    served.run("sh", "-c", "rm -rf /var/lib/dhcp; mkdir /var/lib/dhcp; ln -sf $(command -v busybox) /run/udhcpc")
    served.write("/run/script", SCRIPT)
    served.run("chmod", "755", "/run/script")
    served.run("ip", "link", "set", "dev", "eth0", "up")
    served.run(*CLIENTS[request.param])
    until(lambda: addresses(served, "eth0") == [ADDRESS], "eth0 has its lease")
    served.run("sh", "-c", f"until [ -s /run/{request.param}.eth0.pid ]; do sleep 0.1; done")  # the last that it does before it only waits
    return served


def clients() -> List[str]:
    """The interfaces that a client looks after."""
    pids = subprocess.run(["ip", "netns", "pids", NAMESPACE], check=True, capture_output=True, text=True).stdout.split()
    found = []
    for pid in pids:
        with suppress(OSError):  # ended meanwhile
            words = Path("/proc", pid, "cmdline").read_text().rstrip("\0").split("\0")
            found += [word for word in words if words[0].endswith(("udhcpc", "dhclient")) and word in ("eth0", BRIDGE)]
    return sorted(found)


def addresses(machine: Host, link: str) -> List[str]:
    found = json.loads(machine.run("ip", "-j", "-4", "address", "show", "dev", link))
    return [item["local"] for one in found for item in one.get("addr_info", [])]


def test_the_client_goes_where_its_lease_goes(leased: Host) -> None:
    assert clients() == ["eth0"]
    done = cycle("bridge", TAKE)
    assert {"action": "move_client", "target": "eth0", "to": BRIDGE} in done["actions"]
    assert clients() == [BRIDGE] and addresses(leased, BRIDGE) == [ADDRESS] and not addresses(leased, "eth0")
    cycle("bridge", {"name": BRIDGE, "state": "absent", "force": True})
    assert clients() == ["eth0"] and addresses(leased, "eth0") == [ADDRESS]


def test_the_client_comes_back_with_the_rollback(leased: Host) -> None:
    apply("bridge", {**TAKE, **WAITS})
    assert clients() == [BRIDGE]
    apply("bridge_confirm", {"rollback_id": "one", "state": "rolled_back"})
    assert clients() == ["eth0"] and addresses(leased, "eth0") == [ADDRESS]


def test_the_client_of_an_address_that_goes_ends_and_comes_back(leased: Host) -> None:
    apply("bridge", {**TAKE, **WAITS, "addresses": ["203.0.113.99/24"]})
    assert clients() == []
    apply("bridge_confirm", {"rollback_id": "one", "state": "rolled_back"})
    assert clients() == ["eth0"] and addresses(leased, "eth0") == [ADDRESS]


def test_a_lease_that_nobody_renews_does_not_run_out(served: Host) -> None:
    """NetworkManager's client goes on for the port, which hears no answers any more."""
    served.write("/etc/NetworkManager/system-connections/wired.nmconnection", PROFILE)
    with served.running("networkmanager"):
        until(lambda: addresses(served, "eth0") == [ADDRESS], "eth0 has its lease")
        cycle("bridge", {**TAKE, "persist": "networkmanager"})
        (found,) = json.loads(served.run("ip", "-j", "-4", "address", "show", "dev", BRIDGE))
        assert [item["local"] for item in found["addr_info"]] == [ADDRESS]
        assert found["addr_info"][0]["dynamic"] and found["addr_info"][0]["valid_life_time"] > 365 * 24 * 3600
        cycle("bridge", {"name": BRIDGE, "state": "absent", "force": True})
        assert addresses(served, "eth0") == [ADDRESS]


def test_router_advertisements_and_the_state_of_a_port_come_back(bare: Host) -> None:
    base = {"name": BRIDGE, "stp": False}
    apply("bridge", {**base, "accept_ra": True, "ports": [{"name": "eth1", "state": "disabled"}]})

    def seen() -> List[str]:
        return [bare.run("cat", f"/proc/sys/net/ipv6/conf/{BRIDGE}/accept_ra").strip(), bare.run("cat", "/sys/class/net/eth1/brport/state").strip()]

    assert seen() == ["2", "0"]
    apply("bridge", {**base, **WAITS, "accept_ra": False, "ports": [{"name": "eth1", "state": "learning", "cost": 9}]})
    assert seen() == ["0", "2"]
    apply("bridge_confirm", {"rollback_id": "one", "state": "rolled_back"})
    assert seen() == ["2", "0"]
    apply("bridge", {"name": BRIDGE, "state": "absent", **WAITS})
    apply("bridge_confirm", {"rollback_id": "one", "state": "rolled_back"})
    assert seen() == ["2", "0"]


def test_name_servers_come_back(bare: Host) -> None:
    base = {"name": BRIDGE, "ports": [{"name": "eth1"}]}

    def seen() -> List[str]:
        return [bare.run("resolvectl", word, BRIDGE).partition("): ")[2].strip() for word in ("dns", "domain")]

    with bare.running("resolved"):
        until(lambda: "Link" in bare.run("sh", "-c", "resolvectl dns eth0 || true"), "systemd-resolved answers")
        apply("bridge", {**base, "dns": {"nameservers": ["203.0.113.53", "2001:db8::53"], "search": ["example.org"]}})
        before = seen()
        assert before == ["203.0.113.53 2001:db8::53", "example.org"]
        for change in ({"dns": {"nameservers": ["203.0.113.99"], "search": []}}, {"state": "absent", "ports": None}):
            apply("bridge", {**base, **WAITS, **change})
            assert seen_or_gone(bare, seen) != before
            apply("bridge_confirm", {"rollback_id": "one", "state": "rolled_back"})
            assert seen() == before


def seen_or_gone(machine: Host, seen: Callable[[], List[str]]) -> List[str]:
    return seen() if BRIDGE in machine.run("ls", "/sys/class/net").split() else []
