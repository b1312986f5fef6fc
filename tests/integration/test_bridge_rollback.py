# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Changes to the bridge that a host is reached through: what works keeps the connection, what cuts the host off is undone.

Hosts are network namespaces with a real ssh server, see support/netns.py. All trials run at once, each on a host of its own.
VIRTOPS_REPEAT repeats them; the figures are printed at the end (pytest -s).
"""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any, Dict, Iterator, List

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.bridge.guard.machine import end_process, started
from support.netns import BEHIND, Fleet, NetnsHost

REPEAT = int(os.environ.get("VIRTOPS_REPEAT", "1"))
TIMEOUT = 15  # seconds that the changes of the trials wait
PATIENT = 45  # the same where the host stays reachable and is to say so itself, on a busy machine as well
BRIDGE = "virtops.linux.bridge"
TAKE: Dict[str, Any] = {"name": "br0", "ports": [{"name": "default_route"}]}
BRIDGED: Dict[str, Any] = {"name": "br0", "rollback_timeout": TIMEOUT}

# name → (options of the task, what the host does when the batch comes, words of the reason)
FROM_PORT = {
    "wrong address": ({"addresses": ["203.0.113.{other}/24"]}, None, "connection"),
    "wrong network": ({"addresses": ["10.99.0.9/24"]}, None, "connection"),
    "wrong prefix": ({"addresses": ["203.0.113.{own}/32"]}, None, "connection"),
    "no address": ({"addresses": []}, None, "connection"),
    "wrong gateway": ({"gateway4": "203.0.113.250", "confirm": "gateway"}, None, "203.0.113.250 did not answer"),
    "wrong gateway, controller behind it": ({"gateway4": "203.0.113.250"}, None, "connection"),
    "wrong gateway of IPv6": ({"gateway6": "2001:db8:113::250", "confirm": "gateway"}, None, "2001:db8:113::250 did not answer"),
    "the router's MAC address": ({"mac_address": "02:00:00:00:00:01"}, None, "connection"),
    "STP blocks": ({"stp": True, "forward_delay": 30}, None, "connection"),
    "an MTU without IPv6": ({"mtu": 1200, "verify_hosts": ["2001:db8:113::1"]}, None, "2001:db8:113::1 did not answer"),
    "a silent host": ({"verify_hosts": ["203.0.113.251"]}, None, "203.0.113.251 did not answer"),
    "a closed port": ({"verify_hosts": ["203.0.113.1:9"]}, None, "203.0.113.1:9 did not answer"),
    "module killed before the batch": ({}, "killed-before", "without a result"),
    "module killed after the batch": ({}, "killed-after", "without a result"),
    "module killed within the batch": ({}, "half-killed", ""),
    "batch fails half-way": ({}, "half", "the kernel refused to take port"),
    "module stuck half-way": ({}, "stuck", ""),
    "back end fails half-way": ({}, "files", "the back end failed"),
    "disk fills up": ({"addresses": ["203.0.113.{other}/24"]}, "full", "connection"),
    "watchdog's worker killed": ({"addresses": ["203.0.113.{other}/24"]}, "worker", "connection"),
}
FROM_BRIDGE = {
    "wrong port": ({"ports": [{"name": "eth1"}], "purge_ports": True}, None, "connection"),
    "no port": ({"ports": []}, None, "connection"),
    "addresses taken away": ({"addresses": []}, None, "connection"),
    "the router's MAC address on the bridge": ({"mac_address": "02:00:00:00:00:01"}, None, "connection"),
    "wrong address on the bridge": ({"addresses": ["203.0.113.{other}/24"]}, None, "connection"),
    "wrong gateway on the bridge, controller behind it": ({"gateway4": "203.0.113.250"}, None, "connection"),
    "bridge deleted": ({"state": "absent", "move_addresses": False, "force": True}, None, "connection"),
}
CONTROLLER_KILLED = ["controller killed, wrong address", "controller killed, right address"]
FULL_DISK = "full disk"


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet("vt-brh") as made:
        yield made


def options(host: NetnsHost, trial: Dict[str, Any]) -> Dict[str, Any]:
    return json.loads(json.dumps(trial).replace("{other}", str(host.number + 100)).replace("{own}", str(host.number)))


def anonymous(said: Any, host: NetnsHost) -> str:
    """Without what only this host has."""
    own = (host.address, host.address6, f"02:00:00:00:01:{host.number:02x}")
    return re.sub("|".join(rf"{re.escape(word)}\b" for word in own), "its own", json.dumps(said, sort_keys=True))


def task() -> List[Dict[str, Any]]:
    return [{BRIDGE: "{{ bridge }}"}]


def variables(options: Dict[str, Any], behind: bool = False) -> Dict[str, Any]:
    return {"bridge": options, **({"ansible_ssh_extra_args": f"-b {BEHIND}"} if behind else {})}


@pytest.fixture
def hosts(fleet: Fleet) -> Iterator[Fleet]:
    """The fleet, whose hosts leave with the test."""
    yield fleet
    fleet.dismiss()


def wait_for(host: NetnsHost, pattern: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not host.run("bash", "-c", f"ls {pattern} 2>/dev/null", check=False).strip():
        assert time.monotonic() < deadline, pattern
        time.sleep(0.05)


@pytest.mark.parametrize("turn", range(REPEAT))
def test_whatever_cuts_a_host_off_is_undone(hosts: Fleet, turn: int) -> None:
    trials = {**FROM_PORT, **FROM_BRIDGE}
    hosts.add(*trials, *CONTROLLER_KILLED, FULL_DISK)
    named = hosts.hosts
    bridged = hosts.results(hosts.playbook(task(), {name: variables({**TAKE, "confirm": "none", "force": True}) for name in FROM_BRIDGE}))
    assert all(bridged[name]["changed"] for name in FROM_BRIDGE), bridged
    for name, (_options, evil, _reason) in trials.items():
        if evil:
            named[name].evil(evil)
    named[FULL_DISK].fill_disk()
    before = {name: host.state() for name, host in named.items()}
    pinger = hosts.pinger([host.address for host in named.values()])

    given = {name: {**TAKE, "rollback_timeout": TIMEOUT, **options(named[name], FROM_PORT[name][0])} for name in FROM_PORT}
    given.update({name: {**BRIDGED, **options(named[name], FROM_BRIDGE[name][0])} for name in FROM_BRIDGE})
    for name, (_options, _evil, reason) in FROM_PORT.items():
        if "did not answer" in reason:
            given[name]["rollback_timeout"] = PATIENT
    given[FULL_DISK] = {**TAKE, "rollback_timeout": TIMEOUT}
    running = hosts.playbook(task(), {name: variables(item, "behind" in name) for name, item in given.items()})
    killed = []
    for name in CONTROLLER_KILLED:
        wrong = {"addresses": [f"203.0.113.{named[name].number + 100}/24"]} if "wrong" in name else {}
        killed.append(hosts.playbook(task(), {name: variables({**TAKE, "rollback_timeout": TIMEOUT, **wrong})}))
    for name, process in zip(CONTROLLER_KILLED, killed):
        wait_for(named[name], "/var/lib/virtops/rollback/*/armed")
        end_process(process.pid, started(process.pid))  # with its workers, which are in sessions of their own
        process.communicate()
    results = hosts.results(running)
    for name in CONTROLLER_KILLED:
        wait_for(named[name], "/var/lib/virtops/rollback/*/rolled_back", TIMEOUT + 20)
    time.sleep(1)  # the last ping's answer
    silence = pinger.stop()

    for name, (_options, _evil, reason) in trials.items():
        result = results[name]
        assert result.get("failed") and result["code"] == "rolled_back" and result["rolled_back"] is True, (name, result)
        assert reason in result["msg"] and result["reason"] in result["msg"], (name, result["msg"])
    assert results[FULL_DISK]["code"] == "no_space", results[FULL_DISK]
    for name, host in named.items():
        assert host.state() == before[name], name
        assert not host.run("find", "/etc", "-name", "*.rollback"), name
        assert silence[host.address] <= TIMEOUT + 10, (name, silence[host.address])
        cut = name in trials and trials[name][2] == "connection" and "behind" not in name
        assert not cut or silence[host.address] > 5, f"{name} did not cut the host off, so it shows nothing"
    figures = sorted((round(silence[host.address], 1), name) for name, host in named.items())
    print(f"\n{len(named)} trials, longest silence of each in seconds, of at most {TIMEOUT + 10}:")
    for seconds, name in figures:
        print(f"  {seconds:5} {name}")


def test_twelve_hosts_two_of_them_cut_off(hosts: Fleet) -> None:
    names = [f"host{number}" for number in range(12)]
    hosts.add(*names)
    cut = {"host3": {"addresses": ["203.0.113.200/24"]}, "host8": {"gateway4": "203.0.113.250", "confirm": "gateway"}}
    before = {name: hosts.hosts[name].state() for name in cut}
    pinger = hosts.pinger([host.address for host in hosts.hosts.values()])
    # Those that are to stay have all the time that a busy machine may need.
    given = {name: {**TAKE, "rollback_timeout": 15 if name == "host3" else PATIENT if name in cut else 120, **cut.get(name, {})} for name in names}
    # One for all that stay: they are asked for the same.
    predicted = hosts.results(hosts.playbook(task(), {"host0": variables(given["host0"])}, "--check", "--diff"))["host0"]
    results = hosts.results(hosts.playbook(task(), {name: variables(item) for name, item in given.items()}, "--diff"))
    silence = pinger.stop()
    for name in names:
        result, host = results[name], hosts.hosts[name]
        if name in cut:
            assert result["failed"] and result["rolled_back"] and result["code"] == "rolled_back", result
            assert host.state() == before[name]
            continue
        assert result["changed"] and result["confirmed"] and not result["rolled_back"], result
        for key in ("changed", "actions", "diff", "pending"):
            assert anonymous(result[key], host) == anonymous(predicted[key], hosts.hosts["host0"]), (name, key)
        assert silence[host.address] <= 5, (name, silence)
        state = host.state()
        assert state["links"]["eth0"]["addresses"] == [] and state["links"]["br0"]["addresses"] == [f"{host.address6}/64", f"{host.address}/24"]
        assert not any('"dev": "eth0"' in route for route in state["routes"]), state["routes"]
    assert "203.0.113.250 did not answer" in results["host8"]["msg"] and "connection" in results["host3"]["msg"]
    output = results[""]["output"]
    assert output.count("failed=1") == 2 and "the change was rolled back, because" in output
    kept = max(silence[hosts.hosts[name].address] for name in names if name not in cut)
    after = [result["confirmed_after"] for result in results.values() if "confirmed_after" in result]
    print(
        f"\n10 confirmed, 2 rolled back; longest silence of a confirmed one {kept:.1f} s; confirmed {min(after)} to {max(after)} s after the change"
    )


def test_there_and_back_again(hosts: Fleet) -> None:
    """The management address moves into a bridge, stays through changes, and comes back with the bridge's end; each run twice."""
    (host,) = hosts.add("host")
    before = host.state()
    pinger = hosts.pinger([host.address])
    steps = [
        {**TAKE, "stp": False, "forward_delay": 0},
        {"name": "br0", "ports": [{"name": "02-00-00-00-01-{mac}", "cost": 9}], "ageing_time": 20, "gateway4": "203.0.113.1"},
        {"name": "br0", "ports": [{"name": "eth0"}, {"name": "eth1"}], "addresses": ["{own}/24", "203.0.113.99/24", "2001:db8:113::{number}/64"]},
        {
            "name": "br0",
            "addresses": ["{own}/24", "2001:db8:113::{number}/64"],
            "confirm": "gateway",
            "verify_hosts": ["203.0.113.1", "203.0.113.{number}:22"],
        },
        {"name": "br0", "state": "absent"},
    ]
    text = json.dumps(steps).replace("{own}", host.address).replace("{number}", str(host.number)).replace("{mac}", f"{host.number:02X}")
    tasks = []
    for step in json.loads(text):
        common = {"ansible.builtin.assert": {"that": ["predicted.changed", "done.changed", "again is not changed", "done.confirmed"], "quiet": True}}
        same = [f"predicted.{key} == done.{key}" for key in ("actions", "diff", "pending")]
        common["ansible.builtin.assert"]["that"] += same
        full = {**step, "rollback_timeout": 90}
        become = {"become": True, "become_method": "su", "vars": {"ansible_pipelining": False}} if not tasks else {}
        tasks += [
            {BRIDGE: full, "check_mode": True, "diff": True, "register": "predicted"},
            {BRIDGE: full, "diff": True, "register": "done", **become},
            {BRIDGE: full, "register": "again"},
            common,
        ]
    results = hosts.results(hosts.playbook(tasks, {"host": {}}))
    assert not results["host"].get("failed"), results[""]["output"]
    silence = pinger.stop()
    after = host.state()
    assert after["links"].pop("eth1") and before["links"].pop("eth1")  # it was brought up
    assert after == before
    assert silence[host.address] <= 5, silence
    print(f"\nfive changes and back, longest silence {silence[host.address]:.1f} s")


def test_by_hand_and_from_the_host_itself(hosts: Fleet) -> None:
    """With a name of one's own the change waits for bridge_confirm; without a controller the module confirms what it could check."""
    hosts.add("confirmed", "undone", "itself", "itself wrong", "twice")
    undone = hosts.hosts["undone"].state()
    wrong = hosts.hosts["itself wrong"].state()
    confirm = "virtops.linux.bridge_confirm"
    item = {"bridges": [{**TAKE, "confirm": "gateway", "rollback_timeout": 30}]}
    plays = {
        "confirmed": [
            {BRIDGE: {**TAKE, "rollback_id": "one", "rollback_timeout": 60}},
            {confirm: {"rollback_id": "one", "verify_hosts": ["203.0.113.1"]}},
        ],
        "undone": [
            {BRIDGE: {**TAKE, "rollback_id": "one"}},
            {confirm: {"rollback_id": "one", "state": "rolled_back"}},
            {confirm: {"rollback_id": "one", "state": "rolled_back"}, "register": "again"},
            {"ansible.builtin.assert": {"that": ["again is not changed"]}},
            {confirm: {"rollback_id": "one"}, "register": "late", "failed_when": "late.code != 'rolled_back'"},
        ],
        "itself": [{"virtops.linux.virt_host": item}, {confirm: {"rollback_id": "nothing"}, "check_mode": True}],
        "itself wrong": [
            {
                "virtops.linux.virt_host": {"bridges": [{**item["bridges"][0], "gateway4": "203.0.113.250"}]},
                "register": "undone",
                "failed_when": "undone.code != 'rolled_back'",
            }
        ],
        "twice": [
            {BRIDGE: {**TAKE, "rollback_id": "one"}},
            {BRIDGE: {"name": "br0", "ageing_time": 20}, "register": "second", "failed_when": "second.code != 'change_pending'"},
            {confirm: {"rollback_id": "one"}},
        ],
    }
    output = hosts.results(hosts.playbook(plays, {name: {} for name in plays}))[""]["output"]
    for name in plays:
        assert re.search(rf"^{name} +: .*unreachable=0 .*failed=0 ", output, re.MULTILINE), (name, output)
    assert hosts.hosts["undone"].state() == undone and hosts.hosts["itself wrong"].state() == wrong
    for name in ("confirmed", "itself", "twice"):
        assert hosts.hosts[name].state()["links"]["br0"]["addresses"], name
