# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bridges in NetworkManager's profiles and in netplan's files: what they say, what others' say meanwhile, and that everything comes back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.bridge import plan as planner
from ansible_collections.virtops.linux.plugins.module_utils.bridge import plan_actions as p
from ansible_collections.virtops.linux.plugins.module_utils.bridge.fields import BRIDGE_FIELDS, PORT_FIELDS
from ansible_collections.virtops.linux.plugins.module_utils.bridge.model import Address, Desired, Link, Observed, WantedPort
from ansible_collections.virtops.linux.plugins.module_utils.bridge.model_rollback import Rollback
from ansible_collections.virtops.linux.plugins.module_utils.bridge.persist import netplan, networkmanager
from ansible_collections.virtops.linux.plugins.module_utils.bridge.persist.marks import give_back
from ansible_collections.virtops.linux.plugins.module_utils.bridge.persist.model import Kept, Stored
from ansible_collections.virtops.linux.plugins.module_utils.bridge.persist.netplan_text import definitions, renderer
from ansible_collections.virtops.linux.plugins.module_utils.bridge.persist.read import stored as read_stored
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from support.hosts import FakeHost, converged

DATA = Path(__file__).with_name("data") / "persist"
MAC = "52:54:00:00:00:aa"
BACKENDS = {"networkmanager": networkmanager, "netplan": netplan}
ETH0 = Link(
    "eth0",
    mac=MAC,
    up=True,
    default_route=True,
    held=(Address("203.0.113.7/24", words=("203.0.113.7/24",)), Address("2001:db8:113::7/64", words=("2001:db8:113::7/64",))),
    routes=(
        ("default", "via", "203.0.113.1", "dev", "eth0", "metric", "50"),
        ("198.51.100.0/24", "via", "203.0.113.2", "dev", "eth0", "proto", "static", "src", "203.0.113.7", "mtu", "1400"),
        ("198.51.100.128/25", "dev", "eth0", "scope", "link"),
        ("::/0", "via", "2001:db8:113::1", "dev", "eth0", "metric", "1024", "table", "100"),
    ),
)
ETH1 = Link("eth1", mac="52:54:00:00:00:bb", up=True)
OPTIONS = {"stp": True, "forward_delay": 2, "hello_time": 3, "max_age": 10, "ageing_time": 20, "priority": 4096}
WIRED = """[connection]
id=wired
uuid=6bd0cf31-8d76-3481-a157-64b37bae1191
type=ethernet
autoconnect=yes
zone=internal

[802-3-ethernet]
mac-address=52:54:00:00:00:AA
wake-on-lan=64

[802-1x]
eap=md5;
password=Geheimnis

[ipv4]
address1=203.0.113.7/24,203.0.113.1
dns=203.0.113.53;
method=manual
route-metric=50
route1=198.51.100.0/24,203.0.113.2
routing-rule1=priority 900 from 198.51.100.200 table 100

[ipv6]
addr-gen-mode=eui64
method=auto
"""
PROFILES = {
    f"{networkmanager.FOLDER}/wired.nmconnection": WIRED,
    f"{networkmanager.FOLDER}/other.nmconnection": "[connection]\nid=other\ntype=ethernet\ninterface-name=eth7\n[802-1x]\npassword=Geheimnis\n",
}
HOST = """# the host
network:
  version: 2
  ethernets:
    lan:
      match: {macaddress: "52:54:00:00:00:aa"}
      set-name: eth0  # as it always was
      mtu: 1500
      dhcp4: false
      addresses:
      - 203.0.113.7/24
      - 2001:db8:113::7/64

      # the router
      routes:
        - to: default
          via: 203.0.113.1
          metric: 50
      nameservers:
        addresses: [203.0.113.53]
        search: [example.org]
      accept-ra: true
    "eth1":
      dhcp4: true
  wifis:
    wlan0:
      access-points: {home: {password: Geheimnis}}
"""
YAML = {"/etc/netplan/50-host.yaml": HOST, "/etc/netplan/60-more.yaml": "network:\n  ethernets:\n    eth1: {dhcp4: true, optional: true}\n"}
FILES = {"networkmanager": PROFILES, "netplan": YAML}


def host_with(backend, files, **more):
    return Stored(found=backend, running=("networkd", "networkmanager"), files=files, **{"macs": {"eth0": MAC, "eth1": ETH1.mac}, **more})


def taken(stored, **options):
    wanted = {
        "options": OPTIONS,
        "mtu": 1500,
        "ports": (WantedPort("eth0"), WantedPort("eth1", {"priority": 8, "cost": 7})),
        "persist": "auto",
        "rollback": Rollback("word", 60),
        **options,
    }
    before = Observed("br0", links={"eth0": ETH0, "eth1": ETH1}, stored=stored)
    return converged(planner.plan, before, Desired("br0", **wanted))


@pytest.mark.parametrize("backend", FILES)
def test_the_files(backend):
    plan = taken(host_with(backend, FILES[backend]))
    files = plan.after.stored.files
    golden = {path.name.removesuffix(".golden"): path.read_text() for path in (DATA / backend).iterdir()}
    assert {path.rpartition("/")[2]: text for path, text in files.items() if "other" not in path} == golden
    written = [action for action in plan.actions if isinstance(action, p.WriteFile)]
    assert written and all(action.mode == 0o600 for action in written)
    for path, text in FILES[backend].items():
        assert give_back(files[path], "br0") == text
    shown = str(planner.view(plan.after, Desired("br0"))["files"]) + str([action.describe() for action in plan.actions])
    assert "Geheimnis" in str(files) and "Geheimnis" not in shown
    assert plan.actions[0].files == tuple(action.target for action in written)


def test_each_daemon_is_told_and_netplan_renders_first():
    def told(backend, files, **more):
        return [action.argv for action in taken(replace(host_with(backend, files), **more)).actions if isinstance(action, p.ReloadBackend)]

    generate = ("netplan", "generate")
    assert told("netplan", YAML) == [generate, ("networkctl", "reload")]
    rendered = {**YAML, "/etc/netplan/01.yaml": "network:\n  renderer: NetworkManager\n"}
    assert told("netplan", rendered) == [generate, ("nmcli", "connection", "reload")]
    assert told("netplan", YAML, running=()) == [generate]
    assert told("networkmanager", PROFILES) == [("nmcli", "connection", "reload")]
    assert told("networkmanager", PROFILES, running=()) == []


@pytest.mark.parametrize("backend", FILES)
def test_everything_comes_back(backend):
    kept = taken(host_with(backend, FILES[backend])).after
    for desired in (Desired("br0", present=False, force=True), Desired("br0", persist="none")):
        plan = converged(planner.plan, kept, desired)
        assert plan.after.stored.files == FILES[backend] and plan.after.stored.backend == "none"
    second = converged(planner.plan, kept, Desired("br0", options={"ageing_time": 30})).after
    assert second.stored.kept.options == {**OPTIONS, "ageing_time": 30}
    alone = converged(planner.plan, replace(kept, links={"eth1": ETH1}), Desired("br0", ports=(WantedPort("eth1"),), purge=True, force=True)).after
    wired, host = f"{networkmanager.FOLDER}/wired.nmconnection", "/etc/netplan/50-host.yaml"
    own = {"networkmanager": wired, "netplan": host}[backend]
    assert list(alone.stored.kept.ports) == ["eth1"]
    assert "eth0" not in "".join(text for path, text in alone.stored.files.items() if "virtops-br0-port" in path)
    assert (alone.stored.files[own] == FILES[backend][own]) is (backend == "networkmanager"), "the second port has a part of netplan's file"


def test_a_profile_that_nmcli_wrote_anew_starts_by_itself_again():
    kept = taken(host_with("networkmanager", PROFILES)).after
    path = f"{networkmanager.FOLDER}/wired.nmconnection"
    bare = WIRED.replace("autoconnect=yes\n", "")
    rewritten = replace(
        kept, stored=replace(kept.stored, files={**kept.stored.files, path: bare.replace("[connection]\n", "[connection]\nautoconnect=false\n")})
    )
    again = converged(planner.plan, rewritten, Desired("br0")).after
    assert converged(planner.plan, again, Desired("br0", present=False, force=True)).after.stored.files[path] == bare
    assert converged(planner.plan, rewritten, Desired("br0", present=False, force=True)).after.stored.files[path] == bare


def test_a_lease_is_asked_for_again_and_a_bare_bridge_has_no_address():
    leased = replace(ETH0, held=(Address("203.0.113.7/24", dynamic=True, words=("203.0.113.7/24",)),), routes=())
    for backend, words in (("networkmanager", "[ipv4]\nmethod=auto\n"), ("netplan", "      dhcp4: true\n")):
        observed = Observed("br0", links={"eth0": leased}, stored=host_with(backend, FILES[backend]))
        plan = converged(planner.plan, observed, Desired("br0", ports=(WantedPort("eth0"),), persist="auto", force=True))
        assert words in "".join(plan.after.stored.files.values())
    bare = converged(planner.plan, Observed("br0", stored=host_with("networkmanager", {})), Desired("br0", persist="auto")).after.stored.files
    assert "[ipv4]\nmethod=disabled\n\n[ipv6]\nmethod=ignore\n" in "".join(bare.values()) and "stp=false" in "".join(bare.values())
    bare = converged(planner.plan, Observed("br0", stored=host_with("netplan", {})), Desired("br0", persist="auto")).after.stored.files
    assert "optional: true" in "".join(bare.values()) and "stp: false" in "".join(bare.values())


def refused(code, stored, **options):
    with pytest.raises(Failure) as caught:
        taken(stored, **options)
    assert caught.value.code == code, caught.value.message
    assert "persist: none" in caught.value.message
    return caught.value.message


@pytest.mark.parametrize("backend", FILES)
def test_what_cannot_be_kept_is_said_before_anything_is_changed(backend):
    stored = host_with(backend, FILES[backend])
    for item in BRIDGE_FIELDS:
        value = {"flag": True, "mask": "0x8", "word": "802.1Q", "group": "01:80:c2:00:00:0e"}.get(item.form, 2)
        if item.name in BACKENDS[backend]._BRIDGE_KEYS:
            assert BACKENDS[backend].gaps(Kept(options={item.name: value}), stored) == []
        else:
            assert item.name in refused("unsupported_by_backend", stored, options={item.name: value})
    for item in PORT_FIELDS:
        if item.name in BACKENDS[backend]._PORT_KEYS:
            assert BACKENDS[backend].gaps(Kept(ports={"eth1": {item.name: 8}}), stored) == []
        else:
            assert f"{item.name} of the port eth1" in refused("unsupported_by_backend", stored, ports=(WantedPort("eth1", {item.name: True}),))
    kept = BACKENDS[backend].gaps(
        Kept(routes=(("198.51.100.0/24", "nexthop", "via", "203.0.113.1"), ("::/0", "via", "inet6", "fe80::1"), ("10.0.0.0/8", "pref", "high"))),
        stored,
    )
    assert len(kept) == 3


def test_fractions_and_an_mtu_that_is_not_that_of_the_ports():
    rendered = {"/etc/netplan/01.yaml": "network:\n  renderer: NetworkManager\n"}
    half = Kept(mtu=1400, options={"ageing_time": 0.5}, ports={"eth0": {}})
    assert len(networkmanager.gaps(half, host_with("networkmanager", {}, mtus={"eth0": 1500}))) == 1
    assert len(netplan.gaps(half, host_with("netplan", rendered, mtus={"eth0": 1500}))) == 1
    assert netplan.gaps(half, host_with("netplan", {}, mtus={"eth0": 1500})) == ["an mtu of 1400 over ports of 1500"]
    assert netplan.gaps(half, host_with("netplan", {}, mtus={"eth0": 1400})) == []
    assert netplan.gaps(Kept(options={"priority": 0}, ports={"eth0": {"priority": 0}}), host_with("netplan", {})) != []


@pytest.mark.parametrize(
    ("backend", "path", "text", "code"),
    [
        ("networkmanager", f"{networkmanager.FOLDER}/b", "[connection]\ntype=bridge\ninterface-name=br0\n", "kept_by_others"),
        ("networkmanager", f"{networkmanager.FOLDER}/virtops-br0.nmconnection", "[connection]\n", "file_in_the_way"),
        ("netplan", "/etc/netplan/70.yaml", "network:\n  bridges:\n    br0: {}\n", "kept_by_others"),
        ("netplan", "/etc/netplan/90-virtops-br0.yaml", "network:\n", "file_in_the_way"),
        ("netplan", "/etc/netplan/70.yaml", "network: {ethernets: {eth0: {dhcp4: true}}}\n", "backend_unsuitable"),
        ("netplan", "/etc/netplan/70.yaml", '{"network": {"version": 2}}\n', "backend_unsuitable"),
        ("netplan", "/etc/netplan/70.yaml", "network:\n  ethernets: {eth0: {dhcp4: true}}\n", "backend_unsuitable"),
        ("netplan", "/etc/netplan/70.yaml", "network:\n  ethernets:\n    eth0: {addresses: [203.0.113.8/24]}\n", "backend_unsuitable"),
        (
            "netplan",
            "/etc/netplan/70.yaml",
            "network:\n  ethernets:\n    all:\n      match: {name: 'eth*'}\n      dhcp4: true\n",
            "backend_unsuitable",
        ),
        ("netplan", "/run/netplan/70.yaml", "network:\n  ethernets:\n    eth0:\n      dhcp4: true\n", "kept_by_others"),
    ],
)
def test_files_of_others_that_say_otherwise(backend, path, text, code):
    sentence = refused(code, host_with(backend, {**FILES[backend], path: text}))
    assert path in sentence or "matches it among others (name)" in sentence


def test_which_definition_is_of_which_interface():
    text = """
network:
    renderer: "NetworkManager"
    ethernets:
        first:
            match:
                name: eth0
        second: {match: {macaddress: 52:54:00:00:00:bb}}
        third:
            match: {macaddress: 52:54:00:00:00:CC}
            set-name: lan0
        eth3: {}
        wide: {dhcp4: true}
    vlans: {}
"""
    assert renderer(text) == "NetworkManager"
    found = {item.name: item for item in definitions("x", text)}
    assert list(found) == ["first", "second", "third", "eth3", "wide"]
    assert found["first"].is_for("eth0", MAC) and not found["first"].is_for("eth1", MAC)
    assert found["third"].is_for("lan0", MAC) and not found["third"].is_for("eth9", "52:54:00:00:00:cc")
    assert found["eth3"].is_for("eth3", None) and not found["eth3"].is_for("wide", None)
    assert list(definitions("x", "# nothing\n")) == [] and list(definitions("x", "network:\n  version: 2\n")) == []


@pytest.mark.parametrize("backend", FILES)
def test_files_are_read_again_as_they_were_written(tmp_path, backend):
    plan = taken(host_with(backend, FILES[backend]))
    hidden = {f"{networkmanager.FOLDER}/.wired.nmconnection.word.rollback": "x", f"{networkmanager.FOLDER}/wired.nmconnection~": "x"}
    found = read_stored(FakeHost(tmp_path, {**plan.after.stored.files, **hidden, "/run/NetworkManager/devices/2": ""}), "br0", [])
    assert found.files == plan.after.stored.files and found.kept == plan.after.stored.kept
    assert (found.backend, found.running) == (backend, ("networkmanager",))


@pytest.mark.parametrize(
    ("backend", "files"),
    [
        ("networkmanager", PROFILES),
        ("netplan", {f"{netplan.FOLDER}/50-host.yaml": "network:\n  version: 2\n  renderer: NetworkManager\n"}),
    ],
)
def test_what_networkmanager_sets_with_stp_alone_is_left_as_it_is_without(backend, files):
    """It would be another after each start."""
    stored = Stored(backend=backend, files=files, found=backend)
    observed = Observed("br0", kind="bridge", up=True, mac=MAC, options={"stp": False, "forward_delay": 15, "ageing_time": 300}, stored=stored)
    times = {"forward_delay": 0, "ageing_time": 20}
    plan = planner.plan(observed, Desired("br0", options=times, persist="auto"))
    assert [action.option for action in plan.actions if isinstance(action, p.SetBridgeOption)] == ["ageing_time"]
    assert ["forward_delay with stp: true only" in warning for warning in plan.warnings] == [True]
    with_stp = planner.plan(observed, Desired("br0", options={"stp": True, "forward_delay": 4}, persist="auto"))
    assert [action.option for action in with_stp.actions if isinstance(action, p.SetBridgeOption)] == ["forward_delay", "stp"]
    assert not with_stp.warnings
