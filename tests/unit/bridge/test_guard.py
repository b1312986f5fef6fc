# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import copy
import json
import os
import subprocess

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.bridge.guard import change as changes
from ansible_collections.virtops.linux.plugins.module_utils.bridge.guard import machine
from ansible_collections.virtops.linux.plugins.module_utils.bridge.guard.files import forget_files, restore_files, save_files
from ansible_collections.virtops.linux.plugins.module_utils.bridge.guard.restore import restore
from ansible_collections.virtops.linux.plugins.module_utils.bridge.guard.watchdog import boot

FOREVER = 4294967295


def inet(local, **more):
    family = "inet6" if ":" in local else "inet"
    return {"family": family, "local": local, "prefixlen": 64 if ":" in local else 24, "scope": "global", "valid_life_time": FOREVER, **more}


def link(name, *addresses, **more):
    found = {"ifname": name, "flags": ["UP"], "mtu": 1500, "link_type": "ether", "address": "52:54:00:00:00:aa", "addr_info": list(addresses)}
    return {**found, **more}


def bridge(name, *addresses, **options):
    return link(name, *addresses, linkinfo={"info_kind": "bridge", "info_data": {"stp_state": 0, "ageing_time": 30000, **options}})


def state(*links, **more):
    empty = {key: [] for key in ("routes4", "routes6", "rules4", "rules6", "vlans")}
    return {"links": list(links), **empty, **more}


def default(device, gateway="203.0.113.1"):
    return {"dst": "default", "gateway": gateway, "dev": device, "flags": []}


PLAIN = state(link("eth0", inet("203.0.113.7")), routes4=[default("eth0")])
MOVED = state(link("eth0", master="br0"), bridge("br0", inet("203.0.113.7")), routes4=[default("br0")])
SCOPE = ("br0", "eth0")


def text(commands):
    return [" ".join(command) for command in commands]


def test_nothing_changed_nothing_restored():
    for snapshot in (PLAIN, MOVED):
        assert restore(snapshot, copy.deepcopy(snapshot), SCOPE) == []


def test_a_move_is_undone():
    assert text(restore(PLAIN, MOVED, SCOPE)) == [
        "ip link delete dev br0",
        "ip link set dev eth0 nomaster",
        "ip address replace 203.0.113.7/24 dev eth0",
        "ip route delete default via 203.0.113.1 dev br0",
        "ip route replace default via 203.0.113.1 dev eth0",
    ]


def test_half_a_move_is_undone_half():
    half = state(link("eth0", inet("203.0.113.7"), master="br0"), bridge("br0"), routes4=[default("eth0")])
    assert text(restore(PLAIN, half, SCOPE)) == ["ip link delete dev br0", "ip link set dev eth0 nomaster"]


def test_a_bridge_that_is_gone_comes_back_in_two_looks():
    first = text(restore(MOVED, PLAIN, SCOPE))
    assert first[:2] == ["ip link add name br0 address 52:54:00:00:00:aa type bridge", "ip link set dev eth0 master br0"]
    seen = state(link("eth0", master="br0"), bridge("br0", stp_state=1, flags=[]))
    assert "ip link set dev br0 type bridge stp_state 0" in text(restore(MOVED, seen, SCOPE))


def test_options_of_bridges_and_ports():
    def with_port(**options):
        return link("eth0", master="br0", linkinfo={"info_slave_data": {"cost": 4, "locked": False, "multicast_router": 1, **options}})

    before = state(with_port(), bridge("br0", group_addr="01:80:c2:00:00:00", forward_delay=1499))
    now = state(
        with_port(cost=9, locked=True, multicast_router=2), bridge("br0", ageing_time=100, group_addr="01:80:c2:00:00:0e", forward_delay=1500)
    )
    assert text(restore(before, now, SCOPE)) == [
        "ip link set dev eth0 type bridge_slave cost 4",
        "ip link set dev eth0 type bridge_slave locked off",
        "ip link set dev eth0 type bridge_slave mcast_router 1",
        "ip link set dev br0 type bridge ageing_time 30000",
        "ip link set dev br0 type bridge group_address 01:80:c2:00:00:00",
    ]


def test_links_vlans_and_rules():
    vlans = [{"ifname": "eth0", "vlans": [{"vlan": 1, "flags": ["PVID", "Egress Untagged"]}, {"vlan": 10, "vlanEnd": 11}]}]
    rule = {"priority": 900, "src": "198.51.100.0", "srclen": 24, "table": "100"}
    before = state(link("eth0", mtu=1400), vlans=vlans, rules4=[rule])
    now = state(link("eth0", flags=[], address="52:54:00:00:00:bb"), vlans=[{"ifname": "eth0", "vlans": [{"vlan": 1}, {"vlan": 20}]}])
    commands = text(restore(before, now, SCOPE))
    assert commands[:3] == ["ip link set dev eth0 address 52:54:00:00:00:aa", "ip link set dev eth0 mtu 1400", "ip link set dev eth0 up"]
    assert "bridge vlan delete vid 20 dev eth0" in [command.strip() for command in commands]
    assert "bridge vlan add vid 1 dev eth0 pvid untagged" in commands and "bridge vlan add vid 11 dev eth0" in commands
    assert commands[-1] == "ip -4 rule add priority 900 from 198.51.100.0/24 table 100"


def test_interfaces_of_others_and_expired_addresses_are_let_alone():
    other = state(
        link("eth0", inet("203.0.113.7")), link("tap7", inet("10.0.0.1"), master="docker0"), routes4=[default("eth0"), default("tap7", "10.0.0.9")]
    )
    assert restore(PLAIN, other, SCOPE) == []
    leased = state(link("eth0", inet("203.0.113.7", valid_life_time=30)))
    assert restore(leased, state(link("eth0")), SCOPE, passed=31) == []
    assert text(restore(leased, state(link("eth0")), SCOPE, passed=10)) == ["ip address replace 203.0.113.7/24 valid_lft 20 dev eth0"]


def test_batches_by_tool_and_family():
    commands = [("ip", "link", "a"), ("ip", "route", "b"), ("ip", "-6", "rule", "c"), ("bridge", "vlan", "d"), ("ip", "link", "e")]
    assert machine.in_batches(commands) == [
        (("ip",), [("link", "a"), ("route", "b")]),
        (("ip", "-6"), [("rule", "c")]),
        (("bridge",), [("vlan", "d")]),
        (("ip",), [("link", "e")]),
    ]


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "interfaces.d"
    folder.mkdir()
    (folder / "eth0").write_bytes(b"auto eth0\n\xff")
    (folder / "eth0").chmod(0o640)
    (folder / "link").symlink_to("eth0")
    (tmp_path / "resolv.conf").write_text("nameserver 203.0.113.1\n")
    return tmp_path


def paths(tree):
    return [str(tree / name) for name in ("interfaces.d", "resolv.conf", "missing", "netplan")]


def listing(tree):
    return sorted((str(path.relative_to(tree)), os.lstat(path).st_mode, path.read_bytes() if path.is_file() else b"") for path in tree.rglob("*"))


def test_files_come_back_byte_for_byte(tree):
    before = listing(tree)
    saved = save_files(paths(tree), "word")
    assert restore_files(saved) == []
    (tree / "interfaces.d/eth0").write_text("broken")
    (tree / "interfaces.d/eth0").chmod(0o600)
    (tree / "interfaces.d/link").unlink()
    (tree / "interfaces.d/br0").write_text("new")
    (tree / "resolv.conf").unlink()
    (tree / "missing").write_text("new")
    (tree / "netplan").mkdir()
    (tree / "netplan/br0.yaml").write_text("new")
    saved = json.loads(json.dumps(saved))
    assert len(restore_files(saved)) == 6
    forget_files(saved)
    assert listing(tree) == before


def test_a_copy_that_fails_leaves_none_behind(tree, monkeypatch):
    before = listing(tree)

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_files(paths(tree), "word")
    assert listing(tree) == before


@pytest.fixture
def waiting(tree, monkeypatch):
    """A change that is armed, whose folder and unit are in a tree of the test's own."""
    for name in ("UNIT", "WANTED_BY"):
        monkeypatch.setattr(changes, name, str(tree / "units" / name))
    folder = tree / "rollback/word"
    folder.mkdir(parents=True)
    (tree / "units").mkdir()
    changes.install_boot(["python3", "-c", "boot()"])
    snapshot = {"boot_id": "another", "bridge": "br0", "timeout": 60, "taken": 0, "network": {}, "scope": [], "reload": [["false"]]}
    (folder / "snapshot.json").write_text(json.dumps({**snapshot, "files": save_files([str(tree / "resolv.conf")], "word")}))
    for name in ("lock", "armed"):
        (folder / name).touch()
    (folder / "report").write_text(" " * 100)
    return tree


def test_after_a_restart_the_files_are_those_of_before(waiting):
    assert "Before=network-pre.target" in (waiting / "units/UNIT").read_text() and (waiting / "units/WANTED_BY").is_symlink()
    (waiting / "resolv.conf").write_text("broken")
    boot(str(waiting / "rollback"))
    assert (waiting / "resolv.conf").read_text() == "nameserver 203.0.113.1\n"
    change = changes.Change(str(waiting / "rollback/word"))
    assert change.state == "rolled_back" and "restarted" in change.report["reason"]
    assert not list(waiting.glob(".*rollback*")) and not list((waiting / "units").iterdir())
    assert not change.confirm()


def test_what_netplan_rendered_before_is_rendered_again_after_a_restart(waiting, monkeypatch):
    """Its generator runs before all units, so what it made of the change's files is there when they are given back."""
    ran = []
    monkeypatch.setattr(machine, "run", lambda argv, stdin=None: ran.append(argv) or subprocess.CompletedProcess(argv, 0, "", ""))
    path = waiting / "rollback/word/snapshot.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "reload": [["netplan", "generate"], ["networkctl", "reload"]]}))
    (waiting / "resolv.conf").write_text("broken")
    boot(str(waiting / "rollback"))
    assert ran == [["netplan", "generate"]]


def test_a_confirmed_change_stays(waiting):
    change = changes.Change(str(waiting / "rollback/word"))
    (waiting / "resolv.conf").write_text("new")
    assert not change.watched() and change.confirm() and change.state == "confirmed"
    assert not change.go("armed", "rolling_back")
    boot(str(waiting / "rollback"))
    assert (waiting / "resolv.conf").read_text() == "new" and not list(waiting.glob(".*rollback*"))
