# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bridges in network configurations: what is declared, what the files say, and that everything comes back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.bridge import plan as planner
from ansible_collections.virtops.linux.plugins.module_utils.bridge import plan_actions as p
from ansible_collections.virtops.linux.plugins.module_utils.bridge.apply import apply
from ansible_collections.virtops.linux.plugins.module_utils.bridge.fields import BRIDGE_FIELDS, PORT_FIELDS
from ansible_collections.virtops.linux.plugins.module_utils.bridge.model import Address, Desired, Link, Observed, Port, WantedPort
from ansible_collections.virtops.linux.plugins.module_utils.bridge.model_rollback import Rollback
from ansible_collections.virtops.linux.plugins.module_utils.bridge.persist import ifupdown, networkd
from ansible_collections.virtops.linux.plugins.module_utils.bridge.persist.model import Kept, Stored, header, record
from ansible_collections.virtops.linux.plugins.module_utils.bridge.persist.read import stored as read_stored
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Result
from support.hosts import FakeHost, converged

DATA = Path(__file__).with_name("data") / "persist"
MAC = "52:54:00:00:00:aa"
ROUTES = (
    ("default", "via", "203.0.113.1", "dev", "eth0", "metric", "50"),
    ("198.51.100.0/24", "via", "203.0.113.2", "dev", "eth0", "proto", "static", "src", "203.0.113.7", "mtu", "1400"),
    ("203.0.113.0/24", "dev", "eth0", "proto", "kernel", "scope", "link", "src", "203.0.113.7"),
    ("::/0", "via", "2001:db8:113::1", "dev", "eth0", "metric", "1024", "table", "100"),
)
ETH0 = Link(
    "eth0",
    mac=MAC,
    up=True,
    default_route=True,
    held=(Address("203.0.113.7/24", words=("203.0.113.7/24",)), Address("2001:db8:113::7/64", words=("2001:db8:113::7/64",))),
    routes=ROUTES,
)
ETH1 = Link("eth1", mac="52:54:00:00:00:bb", up=True)
#: Everything that a back end can be asked to keep, by its own measure.
OPTIONS = {
    "stp": True,
    "forward_delay": 2,
    "ageing_time": 0.5,
    "priority": 4096,
    "vlan_filtering": True,
    "vlan_default_pvid": 5,
    "vlan_protocol": "802.1Q",
}
WATCHED = Rollback("word", 60)

NETWORKD_FILES = {
    "/etc/systemd/network/10-eth0.network": (
        "[Match]\nName=eth0\n[Link]\nMTUBytes=1500\n[Network]\n# ours\nAddress=203.0.113.7/24\nDNS=203.0.113.53\nVLAN=eth0.10\n"
    ),
    "/usr/lib/systemd/network/80-all.network": "[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n",
}
INTERFACES = """# the host
source /etc/network/interfaces.d/*

auto lo eth0
iface lo inet loopback
allow-hotplug eth0 eth1
iface eth0 inet static
    address 203.0.113.7/24
    # the router
    gateway 203.0.113.1
    dns-nameservers 203.0.113.53 \\
        203.0.113.54
    mtu 1500
    up ethtool -K eth0 gro off

iface eth1 inet manual
"""
IFUPDOWN_FILES = {ifupdown.MAIN: INTERFACES, f"{ifupdown.FOLDER}/eth0": "iface eth0 inet6 static\n    address 2001:db8:113::7/64\n"}


def test_other_stanzas_are_never_shown():
    wireless = "iface wlan0 inet dhcp\n    wpa-psk Geheim\n"
    plan = taken(host_with("ifupdown", {**IFUPDOWN_FILES, ifupdown.MAIN: INTERFACES + wireless}))
    shown = planner.view(plan.after, Desired("br0"))["files"]
    assert "Geheim" in plan.after.stored.files[ifupdown.MAIN] and "#virtops br0: iface eth0 inet static" in shown[ifupdown.MAIN]
    assert "Geheim" not in str(shown) and "Geheim" not in str([action.describe() for action in plan.actions])


def host_with(backend, files, **more):
    return Stored(found=backend, running=(backend,), files=files, **more)


def before(stored, *links):
    return Observed("br0", links={link.name: link for link in links}, stored=stored)


def taken(stored, **options):
    """The management address onto a bridge, with a second port."""
    desired = Desired(
        "br0",
        options=OPTIONS,
        mtu=1500,
        ports=(WantedPort("eth0"), WantedPort("eth1", {"cost": 7, "isolated": True, "mcast_router": 2})),
        rollback=WATCHED,
        **{"persist": "auto", **options},
    )
    return converged(planner.plan, before(stored, ETH0, ETH1), desired)


def golden(plan, folder):
    """The files of a plan, each as in the golden one of its name."""
    files = plan.after.stored.files
    for path in sorted((DATA / folder).iterdir()):
        found = next(text for name, text in files.items() if name.rpartition("/")[2] == path.name)
        assert found == path.read_text(), path.name
    return files


def test_networkd_keeps_a_bridge_with_the_management_address():
    plan = taken(host_with("networkd", NETWORKD_FILES))
    files = golden(plan, "networkd")
    assert {path: files[path] for path in NETWORKD_FILES} == NETWORKD_FILES, "files of others stay as they are"
    kinds = [action.kind for action in plan.actions]
    assert kinds[0] == "arm_rollback" and kinds[-5:] == ["write_file"] * 4 + ["reload_backend"]
    armed = plan.actions[0]
    assert set(armed.files) == set(files) - set(NETWORKD_FILES) and armed.reload == (("networkctl", "reload"),)
    assert plan.after.stored.backend == "networkd" and planner.facts(plan.after)["persistent"] is True


def test_ifupdown_keeps_it_and_the_ports_own_stanzas_are_set_aside():
    plan = taken(host_with("ifupdown", IFUPDOWN_FILES))
    files = golden(plan, "ifupdown")
    assert not any(isinstance(action, p.ReloadBackend) for action in plan.actions)
    assert any("ethtool" in warning for warning in plan.warnings) and len(plan.warnings) == 1
    for path, text in IFUPDOWN_FILES.items():
        assert files[path] != text and ifupdown.give_back(files[path], "br0") == text


@pytest.mark.parametrize(("backend", "files"), [("networkd", NETWORKD_FILES), ("ifupdown", IFUPDOWN_FILES)])
def test_everything_comes_back(backend, files):
    kept = taken(host_with(backend, files)).after
    for desired in (Desired("br0", present=False, force=True), Desired("br0", persist="none")):
        plan = converged(planner.plan, kept, desired)
        assert plan.after.stored.files == files and plan.after.stored.backend == "none"
        assert any(isinstance(action, p.RemoveFile) for action in plan.actions)
    gone = Observed("br0", stored=kept.stored)
    plan = converged(planner.plan, gone, Desired("br0", present=False))
    assert plan.after.stored.files == files, "files are taken away for a bridge that is gone, too"
    assert planner.view(gone, Desired("br0", present=False))["files"] and not planner.view(plan.after, Desired("br0", present=False)).get("files")


@pytest.mark.parametrize(("backend", "files"), [("networkd", NETWORKD_FILES), ("ifupdown", IFUPDOWN_FILES)])
def test_what_is_said_later_is_kept_with_what_was_said_before(backend, files):
    first = taken(host_with(backend, files)).after
    assert converged(planner.plan, first, Desired("br0", persist="auto")).actions == ()
    second = converged(planner.plan, first, Desired("br0", options={"ageing_time": 20})).after
    assert second.stored.kept.options == {**OPTIONS, "ageing_time": 20} and set(second.stored.kept.ports) == {"eth0", "eth1"}
    third = converged(planner.plan, second, Desired("br0", addresses=("203.0.113.8/24",), force=True)).after
    assert third.stored.kept.addresses == ("203.0.113.8/24",)
    assert not any("2001:db8:113::1" in route for route in third.stored.kept.routes), "a route by way of a gateway that cannot be reached"
    alone = replace(third, links={"eth1": ETH1})
    fourth = converged(planner.plan, alone, Desired("br0", ports=(WantedPort("eth1"),), purge=True, force=True)).after
    assert list(fourth.stored.kept.ports) == ["eth1"] and fourth.stored.kept.ports["eth1"]["cost"] == 7


def test_what_is_only_missing_now_stays_declared():
    first = taken(host_with("networkd", NETWORKD_FILES)).after
    poor = replace(first, ports=(), addresses=(), routes=())
    plan = converged(planner.plan, poor, Desired("br0"))
    assert plan.actions == () and plan.after.stored.kept == first.stored.kept


def test_a_bridge_that_runs_already_is_kept_as_it_is():
    observed = Observed(
        "br0",
        kind="bridge",
        up=True,
        mac=MAC,
        mac_fixed=True,
        options={"stp": False, "forward_delay": 15},
        ports=(Port("eth0"), Port("vnet0", kind="tun"), Port("veth1", kind="veth")),
        addresses=(Address("203.0.113.7/24"),),
        leased=(Address("203.0.113.99/24", dynamic=True),),
        routes=(("default", "via", "203.0.113.1", "dev", "br0", "proto", "dhcp"),),
        stored=host_with("networkd", {}),
    )
    kept = converged(planner.plan, observed, Desired("br0", persist="auto")).after.stored.kept
    assert kept == Kept(mac=MAC, ports={"eth0": {}}, addresses=("203.0.113.7/24",), leased=True)


LEASED = Observed(
    "br0",
    kind="bridge",
    up=True,
    mac=MAC,
    mac_fixed=True,
    ports=(Port("eth0"),),
    leased=(Address("203.0.113.99/24", dynamic=True),),
    routes=(("default", "via", "203.0.113.1", "dev", "br0", "proto", "dhcp", "metric", "1024"),),
)


def test_a_gateway_beside_a_lease_is_not_the_clients():
    """Else the client's default route comes back beside ours, with the same metric."""
    said = {
        "networkd": "[DHCPv4]\nUseGateway=no\n",
        "networkmanager": "\nnever-default=true\n",
        "netplan": "      dhcp4-overrides:\n        use-routes: false\n",
    }
    for backend, words in said.items():
        observed = replace(LEASED, stored=host_with(backend, {}))
        for gateways, there in (((), False), ((("4", "203.0.113.254"),), True)):
            kept = converged(planner.plan, observed, Desired("br0", persist=backend, gateways=gateways)).after
            assert (words in "".join(kept.stored.files.values())) is there, (backend, gateways)
    overrides = "network:\n  ethernets:\n    eth0:\n      dhcp4: true\n      dhcp4-overrides:\n        use-dns: false\n        use-routes: true\n"
    wanted = Desired("br0", persist="netplan", gateways=(("4", "203.0.113.254"),))
    stored = host_with("netplan", {"/etc/netplan/50.yaml": overrides})
    ours = converged(planner.plan, replace(LEASED, stored=stored), wanted).after.stored.files["/etc/netplan/90-virtops-br0.yaml"]
    assert "      dhcp4-overrides:\n        use-dns: false\n        use-routes: false\n" in ours
    one_line = host_with("netplan", {"/etc/netplan/50.yaml": overrides.partition("\n        use-dns")[0] + " {use-dns: false}\n"})
    with pytest.raises(Failure, match="on one line") as caught:
        planner.plan(replace(LEASED, stored=one_line), wanted)
    assert caught.value.code == "backend_unsuitable"


def test_nothing_is_written_where_nothing_is_said():
    stored = host_with("networkd", NETWORKD_FILES)
    plan = taken(stored, persist=None)
    assert plan.after.stored.files == NETWORKD_FILES and planner.facts(plan.after)["backend"] == "none"
    assert "files" not in planner.view(plan.after, Desired("br0"))


def refused(code, stored, links=(), **options):
    with pytest.raises(Failure) as caught:
        planner.plan(before(stored, *links), Desired("br0", **{"persist": "auto", **options}))
    assert caught.value.code == code, caught.value.message
    return caught.value.message


def test_what_cannot_be_kept_is_said_before_anything_is_changed():
    networkd_host = host_with("networkd", {})
    for item in BRIDGE_FIELDS:
        value = {"flag": True, "mask": "0x8", "word": "802.1Q"}.get(item.form, 4)
        if item.name in networkd._BRIDGE_KEYS:
            assert networkd.gaps(Kept(options={item.name: value}), networkd_host) == []
        else:
            assert item.name in refused("unsupported_by_backend", networkd_host, options={item.name: value})
    for item in PORT_FIELDS:
        if item.name not in networkd._PORT_KEYS:
            assert f"{item.name} of the port eth1" in refused(
                "unsupported_by_backend", networkd_host, (ETH1,), ports=(WantedPort("eth1", {item.name: True}),)
            )
    assert "priority: 0" in refused("unsupported_by_backend", networkd_host, options={"priority": 0})
    hops = replace(
        ETH1, held=(Address("203.0.113.7/24"),), routes=(("198.51.100.0/24", "nexthop", "via", "203.0.113.1", "dev", "eth1", "weight", "1"),)
    )
    assert "the route 198.51.100.0/24 nexthop" in refused("unsupported_by_backend", networkd_host, (hops,), ports=(WantedPort("eth1"),))


@pytest.mark.parametrize(
    ("backend", "path", "text", "code"),
    [
        ("networkd", "/etc/systemd/network/00-a.network", "[Match]\nName=eth*\n", "kept_by_others"),
        ("networkd", "/etc/systemd/network/00-a.network", f"[Match]\nMACAddress={MAC.upper()}\n", "kept_by_others"),
        ("networkd", "/etc/systemd/network/20-br.netdev", "[NetDev]\nName=br0\nKind=bridge\n", "kept_by_others"),
        ("networkd", "/etc/systemd/network/00-virtops-port-eth0.network", "[Match]\n", "file_in_the_way"),
        ("ifupdown", "/etc/network/interfaces.d/br", "iface br0 inet manual\n", "kept_by_others"),
        ("ifupdown", "/etc/network/interfaces.d/virtops-br0", "# mine\n", "file_in_the_way"),
        ("ifupdown", "/etc/network/interfaces", "iface lo inet loopback\n", "backend_unsuitable"),
    ],
)
def test_files_of_others_that_say_otherwise(backend, path, text, code):
    files = {"networkd": NETWORKD_FILES, "ifupdown": IFUPDOWN_FILES}[backend]
    stored = host_with(backend, {**files, path: text}, macs={"eth0": MAC})
    sentence = refused(code, stored, (ETH0,), ports=(WantedPort("eth0"),), rollback=WATCHED)
    assert path in sentence and "persist: none" in sentence


def test_a_name_that_is_code_elsewhere():
    link = Link("$(reboot)", mac=MAC, up=True)
    assert "$(reboot)" in refused("invalid_name", host_with("ifupdown", IFUPDOWN_FILES), (link,), ports=(WantedPort("$(reboot)"),))


def test_a_host_without_any_back_end_says_so():
    plan = converged(planner.plan, before(Stored()), Desired("br0", persist="auto"))
    assert "gone after a reboot" in plan.warnings[0] and planner.facts(plan.after)["persistent"] is False
    other = converged(planner.plan, before(host_with("ifupdown", IFUPDOWN_FILES)), Desired("br0", persist="networkd"))
    assert "seems to be kept by ifupdown" in other.warnings[0] and other.after.stored.backend == "networkd"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "iface eth0 inet dhcp",
        INTERFACES,
        "auto eth0 \\\n  lo\niface eth0 inet static\n\taddress 203.0.113.7/24\n\n# end\n",
        "auto eth0 eth0:1\niface eth0:1 inet static\n  address 203.0.113.8/24\n",
    ],
)
def test_stanzas_come_back_byte_for_byte(text):
    hidden = ifupdown.hide(text, "br0", "eth0")
    assert ifupdown.give_back(hidden, "br0") == text and ifupdown.hide(hidden, "br0", "eth0") == hidden
    left = [line for line in hidden.splitlines() if not line.startswith("#")]
    assert not any(word.startswith("eth0") for line in left for word in line.split()) and ifupdown.give_back(hidden, "br1") == hidden


def test_a_record_that_was_edited_is_made_anew():
    kept = Kept(mac=MAC, ports={"eth0": {"cost": 7}}, addresses=("203.0.113.7/24",), routes=(("default", "via", "203.0.113.1"),))
    assert record(header("br0", kept)) == kept
    assert record("# Declared: {") is None and record('# Declared: {"mac": null, "colour": 1}') is None and record("") is None


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, "none"),
        ({"/run/systemd/netif/state": ""}, "networkd"),
        ({"/run/NetworkManager/devices/2": "", "/run/systemd/netif/state": ""}, "networkmanager"),
        ({"/etc/netplan/50.yaml": "", "/run/systemd/netif/state": ""}, "netplan"),
        ({"/etc/network/interfaces": "iface lo inet loopback\n", "/run/systemd/netif/state": ""}, "networkd"),
        ({"/etc/network/interfaces": "iface lo inet loopback\n"}, "ifupdown"),
        ({"/etc/network/interfaces.d/a": "iface eth0 inet dhcp\n", "/run/systemd/netif/state": ""}, "ifupdown"),
    ],
)
def test_the_back_end_is_found_by_itself(tmp_path, files, found):
    assert read_stored(FakeHost(tmp_path, files), "br0", []).found == found


def test_files_are_read_again_as_they_were_written(tmp_path):
    plan = taken(host_with("networkd", NETWORKD_FILES))
    host = FakeHost(tmp_path, {**NETWORKD_FILES, "/run/systemd/netif/state": ""}, [(("networkctl", "reload"), Result(0, "", ""))])
    for action in plan.actions:
        if isinstance(action, (p.WriteFile, p.RemoveFile, p.ReloadBackend)):
            apply(host, action)
    found = read_stored(host, "br0", [])
    assert host.exhausted() and found == replace(plan.after.stored, macs={})
    apply(host, p.RemoveFile("/etc/systemd/network/00-virtops-port-eth0.network"))
    assert read_stored(host, "br0", []).files != found.files
