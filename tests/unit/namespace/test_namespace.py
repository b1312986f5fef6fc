# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure, NotReady
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Result
from ansible_collections.virtops.linux.plugins.module_utils.namespace import actions as do
from ansible_collections.virtops.linux.plugins.module_utils.namespace import plan as p
from ansible_collections.virtops.linux.plugins.module_utils.namespace.apply import apply
from ansible_collections.virtops.linux.plugins.module_utils.namespace.commands import INIT, commands
from ansible_collections.virtops.linux.plugins.module_utils.namespace.model import FILES, Desired, Interface, Link, Observed, Process, WantedInterface
from ansible_collections.virtops.linux.plugins.module_utils.namespace.model_process import wanted as process_wanted
from ansible_collections.virtops.linux.plugins.module_utils.namespace.model_routes import Route, parse
from ansible_collections.virtops.linux.plugins.module_utils.namespace.read import ended, mount_points, parse_inside, parse_mapping
from ansible_collections.virtops.linux.plugins.module_utils.namespace.unit import declared, unit_text
from support.hosts import FakeHost, converged

OK = Result(0, "", "")
ROOT = "/run/virtops/namespaces/web"
NOTHING = Observed("web", limits=dict.fromkeys(FILES, 9))
WANTED = Desired("web", types=("network", "uts"))
THERE = replace(NOTHING, types=("network", "uts"), directory=True, netns="here", hostname="host")


def kinds(plan):
    return [action.kind for action in plan.actions]


def test_a_set_is_made_in_one_step():
    plan = converged(p.plan, NOTHING, replace(WANTED, hostname="h", loopback=True))
    assert kinds(plan) == ["make_directory", "create_namespaces", "name_network", "set_hostname", "set_loopback"]
    assert commands(plan.actions[1])[1] == ["unshare", f"--net={ROOT}/net", f"--uts={ROOT}/uts", "true"]


def test_the_init_joins_what_is_made_before_it():
    plan = converged(p.plan, NOTHING, replace(WANTED, types=("uts", "mount", "pid")))
    assert plan.actions[1:] == (do.CreateNamespaces("web", ("uts",)), do.StartInit("web", ("mount", "pid"), ("uts",)))
    words = commands(plan.actions[2])[-1]
    assert words[words.index("--") - 1 :] == [
        "/usr/bin/nsenter",
        "--",
        f"--uts={ROOT}/uts",
        "unshare",
        f"--mount={ROOT}/mnt",
        f"--pid={ROOT}/pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        *INIT,
    ]


def test_with_a_user_namespace_all_are_made_at_once():
    plan = converged(p.plan, NOTHING, Desired("web", types=("user", "uts", "pid"), uid_mappings=((0, 1000, 1),)))
    assert plan.actions[1:] == (do.StartInit("web", ("user", "uts", "pid")), do.WriteMapping("web", "uid", ((0, 1000, 1),)))
    assert "--mount" in commands(do.CreateNamespaces("web", ("user", "uts")))[1]


def test_an_init_that_ended_is_started_again():
    observed = replace(NOTHING, types=("uts", "mount", "pid"), directory=True, init=False)
    plan = converged(p.plan, observed, Desired("web"))
    assert plan.actions == (do.RemoveNamespaces("web", ("mount", "pid")), do.StartInit("web", ("mount", "pid"), ("uts",)))
    with pytest.raises(Failure, match="has ended"):
        p.plan(replace(observed, types=("user", "pid")), Desired("web"))


@pytest.mark.parametrize(
    ("observed", "desired", "code"),
    [
        (NOTHING, Desired("web"), "missing_types"),
        (THERE, Desired("web", types=("uts",)), "recreate_needed"),
        (THERE, Desired("web", types=("network", "uts", "pid")), "recreate_needed"),
        (THERE, Desired("web", uid_mappings=((0, 0, 1),)), "missing_type"),
        (replace(NOTHING, netns="elsewhere"), WANTED, "name_taken"),
        (replace(NOTHING, limits={**NOTHING.limits, "uts": 0}), WANTED, "forbidden_by_kernel"),
        (replace(NOTHING, limits={**NOTHING.limits, "uts": None}), WANTED, "unsupported_by_kernel"),
        (NOTHING, replace(WANTED, persistent=True), "systemd_missing"),
        (replace(NOTHING, systemd=True), Desired("web", types=("user",), persistent=True), "not_persistent"),
    ],
)
def test_refusals(observed, desired, code):
    with pytest.raises(Failure) as caught:
        p.plan(observed, desired)
    assert caught.value.code == code


def test_an_interface_is_made_and_then_only_what_differs():
    wanted = WantedInterface("eth0", peer="vt-h0", bridge="br0", addresses=("192.0.2.1/24",), mtu=1400)
    desired = replace(WANTED, interfaces=(wanted,))
    observed = replace(THERE, links={"br0": Link("bridge")})
    plan = converged(p.plan, observed, desired)
    assert kinds(plan) == ["add_veth", "set_bridge", "set_mtu", "add_address", "bring_up", "bring_peer_up"]
    there = Interface("eth0", "veth", True, 1400, ("192.0.2.1/24", "192.0.2.9/24"), "vt-h0", "br1", True)
    plan = converged(p.plan, replace(observed, interfaces=(there,)), desired)
    assert plan.actions == (do.SetBridge("web", "vt-h0", "br0"), do.RemoveAddress("web", "eth0", "192.0.2.9/24"))
    with pytest.raises(NotReady, match="no bridge br0"):
        p.plan(THERE, desired)


def test_an_empty_list_removes_pairs_and_gives_links_back():
    observed = replace(THERE, interfaces=(Interface("eth0", "veth", peer="x"), Interface("eth1", "macvlan")))
    plan = converged(p.plan, observed, replace(WANTED, interfaces=()))
    assert plan.actions == (do.RemoveInterface("web", "eth0", True), do.RemoveInterface("web", "eth1", False))
    assert commands(plan.actions[1]) == [["nsenter", f"--net={ROOT}/net", "ip", "link", "set", "dev", "eth1", "netns", "1"]]


def test_absent_names_processes_and_ends_them_only_by_force():
    observed = replace(THERE, processes=(Process(7, "sh"), Process(8, "sleep", keeper=True)))
    with pytest.raises(Failure, match=r"7 \(sh\); end them"):
        p.plan(observed, Desired("web", present=False))
    plan = converged(p.plan, observed, Desired("web", present=False, force=True))
    assert kinds(plan) == ["end_processes", "stop_init", "unname_network", "remove_namespaces", "remove_directory"]
    assert plan.actions[:2] == (do.EndProcesses("web", (7,)), do.StopInit("web", (8,)))


def test_where_systemd_runs_a_unit_makes_it_again():
    desired = replace(WANTED, hostname="h", interfaces=(WantedInterface("eth0", link="eth1", addresses=("192.0.2.1/24",)),))
    observed = replace(NOTHING, systemd=True, links={"eth1": Link()})
    plan = converged(p.plan, observed, desired)
    assert kinds(plan)[-2:] == ["write_unit", "enable_unit"]
    text = plan.actions[-2].text
    assert f"ExecStart=unshare --net={ROOT}/net --uts={ROOT}/uts true\n" in text
    assert f"ExecStart=ip link set dev eth1 netns {ROOT}/net name eth0\n" in text
    assert "Wants=sys-subsystem-net-devices-eth1.device\nAfter=sys-subsystem-net-devices-eth1.device\n" in text
    assert f"ExecStopPost=-umount {ROOT}\n" in text and "RemainAfterExit=yes\n" in text
    kept = declared(text)
    assert kept == plan.after.kept
    # What is not named stays in the unit too.
    assert converged(p.plan, plan.after, Desired("web")).actions == ()
    more = converged(p.plan, plan.after, Desired("web", hostname="other"))
    assert kinds(more) == ["set_hostname", "write_unit"] and more.after.kept == {**kept, "hostname": "other"}
    assert kinds(converged(p.plan, plan.after, Desired("web", persistent=False))) == ["remove_unit"]
    assert kinds(converged(p.plan, plan.after, Desired("web", present=False)))[-1] == "remove_unit"
    assert "lasts until the next boot" in p.plan(observed, Desired("web", types=("user",))).warnings[0]


def test_a_unit_waits_for_the_bridges_and_links_of_the_host():
    interfaces = [{"name": "a", "peer": "p", "bridge": "br-web.10"}, {"name": "b", "link": "ens3"}, {"name": "c", "peer": "q", "bridge": ""}]
    text = unit_text("web", {"interfaces": interfaces}, [], [])
    for word in ("Wants", "After"):
        assert f"\n{word}=sys-subsystem-net-devices-br\\x2dweb.10.device sys-subsystem-net-devices-ens3.device\n" in text
    assert "Wants=" not in unit_text("web", {}, [], [])


def test_words_of_a_unit():
    text = unit_text("web", {}, [["a", "b c", '50%"', "$x\\"]], [])
    assert 'ExecStart=a "b c" "50%%\\"" "$$x\\\\"\n' in text
    assert declared(None) is None and declared("[Unit]\n") == {} and declared("# declared: {\n") == {}


def test_a_fresh_host_is_predicted():
    desired = replace(WANTED, interfaces=(WantedInterface("a", link="x"), WantedInterface("b", peer="y", bridge="z")))
    converged(p.plan, p.nothing(desired), desired)


# iproute2 6.1, in a namespace and outside
INSIDE = [
    {"ifindex": 1, "ifname": "lo", "flags": ["LOOPBACK", "UP"], "mtu": 65536, "addr_info": []},
    {"ifindex": 2, "ifname": "sit0", "flags": ["NOARP"], "mtu": 1480, "linkinfo": {"info_kind": "sit"}, "addr_info": []},
    {
        "ifindex": 3,
        "link_index": 8,
        "ifname": "eth0",
        "flags": ["BROADCAST", "UP"],
        "mtu": 1500,
        "linkinfo": {"info_kind": "veth"},
        "addr_info": [
            {"local": "192.0.2.1", "prefixlen": 24, "scope": "global"},
            {"local": "fe80::1", "prefixlen": 64, "scope": "link"},
        ],
    },
]
OUTSIDE = [{"ifindex": 8, "ifname": "vt-h0", "flags": ["UP"], "master": "br0", "mtu": 1500, "linkinfo": {"info_kind": "veth"}}]


def test_interfaces_inside():
    assert parse_inside(INSIDE, OUTSIDE) == ((Interface("eth0", "veth", True, 1500, ("192.0.2.1/24",), "vt-h0", "br0", True),), True)


def test_files_of_an_earlier_boot_are_no_namespaces():
    text = "44 27 254:0 /run/a /run/virtops/namespaces/web rw - ext4 /dev/vda rw\n45 44 0:4 net:[4026532180] /run/netns/web rw - nsfs nsfs rw\n"
    assert mount_points(text) == {ROOT: "ext4", "/run/netns/web": "nsfs"}


def test_mappings():
    assert parse_mapping("         0     100000       1000\n      1000          0          1\n") == ((0, 100000, 1000), (1000, 0, 1))


def test_the_kernels_refusals_tell_the_setting(tmp_path):
    script = [
        (["touch", f"{ROOT}/uts"], OK),
        (["unshare", f"--uts={ROOT}/uts", "true"], Result(1, "", "unshare: unshare failed: No space left on device\n")),
        (["touch", f"{ROOT}/uts"], OK),
        (["unshare", f"--uts={ROOT}/uts", "true"], Result(1, "", "unshare: unshare failed: Operation not permitted\n")),
    ]
    host = FakeHost(tmp_path, {"/proc/sys/kernel/unprivileged_userns_clone": "0\n"}, script)
    with pytest.raises(Failure, match=r"max_\*_namespaces"):
        apply(host, do.CreateNamespaces("web", ("uts",)))
    with pytest.raises(Failure, match=r"unprivileged_userns_clone is 0"):
        apply(host, do.CreateNamespaces("web", ("uts",)))
    assert host.exhausted()


def test_the_files_and_commands_of_a_unit(tmp_path):
    name = "virtops-namespace-web.service"
    script = [
        (["systemctl", "daemon-reload"], OK),
        (["systemctl", "enable", name], OK),
        (["systemctl", "disable", name], OK),
        (["systemctl", "daemon-reload"], OK),
    ]
    host = FakeHost(tmp_path, script=script)
    apply(host, do.WriteUnit("web", "text"))
    assert host.text(f"/etc/systemd/system/{name}") == "text"
    apply(host, do.EnableUnit("web"))
    apply(host, do.RemoveUnit("web"))
    assert host.exhausted() and not host.exists(f"/etc/systemd/system/{name}")


@pytest.mark.parametrize(
    ("stat", "dead"),
    [
        ("7 (a) b) S 1 7 7 0 -1 4194560 99", False),
        ("7 (init) D 1 7 7 0 -1 4194564 99", True),  # it waits for others to be buried
        ("7 (sleep) Z 1 7 7 0 -1 4194560 99", True),
        ("", True),
    ],
)
def test_who_is_dead_or_dying(stat, dead):
    assert ended(stat) is dead


def test_a_process_is_a_unit_where_systemd_runs():
    there = replace(THERE, systemd=True)
    desired = replace(WANTED, process=process_wanted({"args": ["serve", "100%"], "cgroups_path": "web", "root": "/srv/web"}), persistent=True)
    plan = converged(p.plan, there, desired)
    step = plan.actions[-1]
    assert kinds(plan) == ["write_unit", "enable_unit", "keep_process"], "its unit asks for that of the set"
    lines = step.text.splitlines()
    assert step.boot and "Slice=web.slice" in lines and "Requires=virtops-namespace-web.service" in lines
    (start,) = [line for line in lines if line.startswith("ExecStart=")]
    assert start.endswith(f'nsenter --net={ROOT}/net --uts={ROOT}/uts unshare --root=/srv/web --wd=/ serve "100%%"')
    assert kinds(p.plan(plan.after, replace(desired, process=process_wanted({"args": []}))))[:1] == ["remove_process_unit"]
    for_now = p.plan(replace(there, kept=None), replace(desired, persistent=False))
    assert not for_now.actions[-1].boot and "Requires" not in for_now.actions[-1].text


def test_a_process_waits_for_what_it_needs():
    with pytest.raises(NotReady) as caught:
        p.plan(replace(THERE, lacks=("process: root: none", "root_missing")), replace(WANTED, process=process_wanted({"args": ["a"]})))
    assert caught.value.code == "root_missing"


def test_routes_as_ip_shows_them():
    said = [
        {"dst": "default", "gateway": "198.51.100.1", "dev": "eth0", "flags": []},
        {"dst": "198.51.100.0/24", "dev": "eth0", "protocol": "kernel", "scope": "link", "prefsrc": "198.51.100.10", "flags": []},
        {"dst": "203.0.113.7", "dev": "eth0", "scope": "link", "flags": []},
        {"dst": "default", "gateway": "fe80::1", "dev": "eth0", "protocol": "ra", "metric": 1024, "flags": []},
        {"type": "unreachable", "dst": "203.0.113.8", "dev": "lo", "flags": []},
    ]
    assert parse(said) == (Route("203.0.113.7/32"), Route("default", "198.51.100.1"))


def test_routes_go_before_addresses_and_come_after_them():
    found = Interface(
        "eth0", "veth", True, addresses=("198.51.100.9/24",), peer="p0", peer_up=True, routes=(Route("203.0.113.0/24", "198.51.100.1"),)
    )
    wanted = WantedInterface("eth0", peer="p0", addresses=("198.51.100.10/24",), routes=(Route("default", "198.51.100.1"),))
    there = replace(THERE, interfaces=(found,), links={"p0": Link()})
    plan = converged(p.plan, there, replace(WANTED, interfaces=(wanted,)))
    assert kinds(plan) == ["remove_route", "remove_address", "add_address", "add_route"]
    assert commands(plan.actions[-1])[0][2:] == ["ip", "-4", "route", "replace", "default", "via", "198.51.100.1", "dev", "eth0"]
