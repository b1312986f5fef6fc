# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Addresses by DHCP and router advertisements, and name servers: what the files say, what is live at once, and what waits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.bridge import plan as planner
from ansible_collections.virtops.linux.plugins.module_utils.bridge import plan_actions as p
from ansible_collections.virtops.linux.plugins.module_utils.bridge.apply import apply
from ansible_collections.virtops.linux.plugins.module_utils.bridge.model import SPEC, Address, Desired, Link, Observed, WantedPort, from_params
from ansible_collections.virtops.linux.plugins.module_utils.bridge.model_rollback import Rollback
from ansible_collections.virtops.linux.plugins.module_utils.bridge.persist import ifupdown, netplan, networkd, networkmanager
from ansible_collections.virtops.linux.plugins.module_utils.bridge.persist.model import Kept, Stored, header, record
from ansible_collections.virtops.linux.plugins.module_utils.bridge.persist.read import stored as read_stored
from ansible_collections.virtops.linux.plugins.module_utils.bridge.read import read
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Result
from support.hosts import FakeHost, converged

PARAMS = {name: option.get("default") for name, option in SPEC["argument_spec"].items()}
SERVERS, SEARCH = ("203.0.113.53", "2001:db8::53"), ("example.org", "example.net")
ALL = {"dhcp4": True, "dhcp6": True, "accept_ra": True, "nameservers": SERVERS, "search": SEARCH}
OTHERS = {
    "networkd": {"/etc/systemd/network/10-eth0.network": "[Match]\nName=eth0\n[Network]\nDNS=203.0.113.1\nDomains=old\nIPv6AcceptRA=no\nNTP=pool\n"},
    "ifupdown": {
        ifupdown.MAIN: f"{ifupdown.READS_FOLDER}iface eth0 inet static\n  address 203.0.113.7/24\n  dns-nameservers 203.0.113.1\n  dns-domain old\n"
    },
    "netplan": {
        "/etc/netplan/50.yaml": "network:\n  ethernets:\n    eth0:\n      nameservers:\n        addresses: [203.0.113.1]\n        search:\n"
        "        - old\n      dhcp6: false\n      accept-ra: false\n"
    },
    "networkmanager": {
        f"{networkmanager.FOLDER}/wired": "[connection]\ninterface-name=eth0\n[ipv4]\nmethod=manual\ndns=203.0.113.1;\ndns-search=old;\n[ipv6]\n"
        "method=dhcp\ndns=2001:db8::1;\n"
    },
}
BACKENDS = {"networkd": networkd, "ifupdown": ifupdown, "netplan": netplan, "networkmanager": networkmanager}


def bridge(backend="none", **more):
    running = {"none": (), "ifupdown": ()}.get(backend, (backend,))
    stored = Stored(backend=backend, found=backend, running=running, files={ifupdown.MAIN: ifupdown.READS_FOLDER}, kept=Kept(), **more)
    return Observed("br0", kind="bridge", up=True, options={"stp": False}, accept_ra="1", stored=stored)


def text_of(backend, **declared):
    kept = Kept(ports={"eth0": {}}, addresses=("203.0.113.7/24",), **declared)
    assert record(header("br0", kept)) == kept
    files = BACKENDS[backend].wanted("br0", kept, Stored(files=OTHERS[backend]))
    return "".join(text or "" for path, text in sorted(files.items()) if "virtops" in path)


def test_what_nobody_speaks_of_is_carried_over_from_the_port():
    assert {"DNS=203.0.113.1", "Domains=old", "IPv6AcceptRA=no", "NTP=pool"} <= set(text_of("networkd").splitlines())
    assert {"    dns-nameservers 203.0.113.1", "    dns-domain old"} <= set(text_of("ifupdown").splitlines())
    assert {"        addresses: [203.0.113.1]", "        - old", "      dhcp6: false", "      accept-ra: false"} <= set(
        text_of("netplan").splitlines()
    )
    assert {"method=dhcp", "dns=203.0.113.1;", "dns-search=old;", "dns=2001:db8::1;"} <= set(text_of("networkmanager").splitlines())


def test_networkd_is_told_all_of_it():
    lines = text_of("networkd", **ALL).splitlines()
    assert {"DHCP=yes", "IPv6AcceptRA=yes", "DNS=203.0.113.53", "DNS=2001:db8::53", "Domains=example.org", "NTP=pool"} <= set(lines)
    assert not {"DNS=203.0.113.1", "Domains=old", "IPv6AcceptRA=no"} & set(lines)
    assert "\n[DHCPv6]\nWithoutRA=solicit\n" in text_of("networkd", dhcp6=True, accept_ra=False) and "WithoutRA" not in "".join(lines)
    off = text_of("networkd", dhcp4=False, dhcp6=False, leased=True, nameservers=())
    assert "DHCP=" not in off and "\n[IPv6AcceptRA]\nDHCPv6Client=no\n" in off and "DNS=" not in off and "Domains=old" in off


def test_ifupdown_is_told_all_of_it():
    lines = text_of("ifupdown", **ALL).splitlines()
    assert {"iface br0 inet dhcp", "iface br0 inet6 dhcp", "    accept_ra 2", "    dns-nameservers 203.0.113.53 2001:db8::53"} <= set(lines)
    assert "    dns-search example.org example.net" in lines and not any("dns-domain" in line or "203.0.113.1" in line for line in lines)
    assert "    pre-up [ ! -e /proc/sys/net/ipv6/conf/br0/accept_ra ] || echo 2 > /proc/sys/net/ipv6/conf/br0/accept_ra" in lines
    off = text_of("ifupdown", dhcp4=False, leased=True, search=())
    assert "iface br0 inet manual" in off and "inet6" not in off and "dns-domain" not in off and "dns-nameservers 203.0.113.1" in off
    assert ifupdown.gaps(Kept(dhcp4=True, dhcp6=True), Stored(has_client=False))[1].startswith("dhcp6, because no client")


def test_netplan_is_told_all_of_it():
    lines = text_of("netplan", **ALL).splitlines()
    assert {"      dhcp4: true", "      dhcp6: true", "      accept-ra: true"} <= set(lines) and "      accept-ra: false" not in lines
    start = lines.index("      nameservers:")
    assert lines[start + 1 :] == ['        addresses: ["203.0.113.53", "2001:db8::53"]', '        search: ["example.org", "example.net"]']
    lines = text_of("netplan", search=SEARCH).splitlines()
    start = lines.index("      nameservers:")
    assert lines[start + 1 :] == ["        addresses: [203.0.113.1]", '        search: ["example.org", "example.net"]'], "one is said, one is kept"
    assert "  nameservers:" not in text_of("netplan", nameservers=(), search=())
    inline = {"/etc/netplan/50.yaml": "network:\n  ethernets:\n    eth0:\n      nameservers: {addresses: [203.0.113.1]}\n"}
    with pytest.raises(Failure, match="say all of dns"):
        netplan.wanted("br0", Kept(ports={"eth0": {}}, addresses=("203.0.113.7/24",), search=SEARCH), Stored(files=inline))


def test_networkmanager_is_told_all_of_it():
    text = text_of("networkmanager", **ALL)
    assert "[ipv4]\nmethod=auto\naddress1=203.0.113.7/24\ndns=203.0.113.53;\ndns-search=example.org;example.net;\n" in text
    assert "[ipv6]\nmethod=auto\ndns=2001:db8::53;\n" in text and "old" not in text
    for declared, method in (
        ({"accept_ra": True}, "auto"),
        ({"dhcp6": True}, "auto"),
        ({"dhcp6": True, "accept_ra": False}, "dhcp"),
        ({"accept_ra": False}, "link-local"),
        ({"dhcp6": False}, "link-local"),
    ):
        assert f"[ipv6]\nmethod={method}\n" in text_of("networkmanager", **declared), declared


def test_what_networkmanager_cannot_keep():
    stored = Stored(files=OTHERS["networkmanager"])
    address = ("203.0.113.7/24",)
    for kept, gap in (
        (Kept(dhcp6=False, accept_ra=True), "dhcp6: false with router advertisements"),
        (Kept(nameservers=SERVERS, addresses=address, accept_ra=False), "name server 2001:db8::53"),
        (Kept(nameservers=SERVERS[:1]), "name server 203.0.113.53"),
        (Kept(search=SEARCH), "search domains"),
    ):
        (found,) = networkmanager.gaps(kept, stored)
        assert gap in found
    assert networkmanager.gaps(Kept(nameservers=SERVERS, search=SEARCH, dhcp4=True, dhcp6=True), stored) == []


# What is declared


def kept_after(*steps, backend="networkd"):
    observed = bridge(backend)
    for desired in steps:
        observed = converged(planner.plan, observed, desired).after
    return observed.stored.kept


def test_what_is_said_stays_said_and_the_rest_is_inferred():
    kept = kept_after(Desired("br0", **ALL), Desired("br0", addresses=("203.0.113.7/24",)), Desired("br0", search=()))
    assert kept.dhcp4 is kept.dhcp6 is kept.accept_ra is True and (kept.nameservers, kept.search) == (SERVERS, ())
    leased = Link("eth0", held=(Address("203.0.113.9/24", dynamic=True),))
    observed = replace(bridge("networkd"), links={"eth0": leased})
    for dhcp4, asks in ((None, True), (True, True), (False, False)):
        kept = converged(planner.plan, observed, Desired("br0", ports=(WantedPort("eth0"),), dhcp4=dhcp4, force=True)).after.stored.kept
        assert (kept.leased, kept.dhcp4, kept.asks4) == (True, dhcp4, asks)


# What is live, and what waits


@pytest.mark.parametrize(
    ("backend", "more", "waits"),
    [
        ("networkd", {}, ()),
        ("networkmanager", {}, ("dhcp4", "dhcp6", "accept_ra", "dns")),
        ("networkmanager", {"activated": True}, ("dhcp4", "dhcp6", "dns")),
        ("netplan", {}, ("dhcp4", "dhcp6", "dns")),
        ("ifupdown", {}, ("dhcp4", "dhcp6", "dns")),
    ],
)
def test_what_waits_for_the_next_start(backend, more, waits):
    plan = converged(planner.plan, bridge(backend, **more), Desired("br0", **ALL))
    assert plan.pending == waits
    there = replace(
        plan.after,
        leased=(Address("203.0.113.9/24", dynamic=True), Address("2001:db8::9/128", dynamic=True)),
        resolv_conf=(*SERVERS, *SEARCH, "other"),
    )
    assert converged(planner.plan, there, Desired("br0", **ALL)).pending == tuple(name for name in waits if name == "accept_ra")
    assert converged(planner.plan, bridge(backend, **more), Desired("br0", dhcp4=False, nameservers=())).pending == ()


def test_the_kernel_is_told_of_router_advertisements_where_no_daemon_takes_them(tmp_path):
    plan = converged(planner.plan, bridge(), Desired("br0", accept_ra=True))
    assert plan.actions == (p.SetAcceptRa("br0", True, "2"),) and planner.view(plan.after, Desired("br0", accept_ra=True))["accept_ra"] is True
    assert planner.view(bridge(), Desired("br0", accept_ra=True))["accept_ra"] == "1", "which a host that forwards does not obey"
    assert [action.kind for action in planner.plan(bridge("ifupdown"), Desired("br0", accept_ra=False)).actions][-1] == "set_accept_ra"
    assert "set_accept_ra" not in [action.kind for action in planner.plan(bridge("networkd"), Desired("br0", accept_ra=True)).actions]
    host = FakeHost(tmp_path, {"/proc/sys/net/ipv6/conf/br0/accept_ra": "1\n"})
    apply(host, plan.actions[0])
    assert host.text("/proc/sys/net/ipv6/conf/br0/accept_ra").strip() == "2"


def test_resolved_is_told_where_it_runs(tmp_path):
    desired = Desired("br0", nameservers=SERVERS, search=())
    runs = replace(bridge(), resolver=((), ("old",)))
    plan = converged(planner.plan, runs, desired)
    assert plan.actions == (p.SetDns("br0", SERVERS, ()),) and plan.pending == ()
    assert planner.view(runs, desired)["dns"] == {"nameservers": [], "search": ["old"]}
    assert planner.view(plan.after, desired)["dns"] == {"nameservers": list(SERVERS), "search": []}
    host = FakeHost(
        tmp_path, {}, [(["resolvectl", "dns", "br0", *SERVERS], Result(0, "", "")), (["resolvectl", "domain", "br0", ""], Result(0, "", ""))]
    )
    apply(host, plan.actions[0])
    assert host.exhausted()
    files = {
        "/run/systemd/resolve/stub-resolv.conf": "",
        "/proc/sys/net/ipv6/conf/default/accept_ra": "1\n",
        "/etc/resolv.conf": "nameserver 127.0.0.53\n",
    }
    link = '[{"ifname":"br0","flags":["UP"],"mtu":1500,"addr_info":[],"linkinfo":{"info_kind":"bridge","info_data":{}}}]'
    script = [(["ip", "-j", "-d", "addr", "show"], Result(0, link, ""))]
    script += [(["ip", "-j", family, "route", "show", "table", "all"], Result(0, "", "")) for family in ("-4", "-6")]
    script += [
        (["resolvectl", "dns", "br0"], Result(0, "Link 3 (br0): 203.0.113.53 2001:db8::53\n", "")),
        (["resolvectl", "domain", "br0"], Result(0, "Link 3 (br0):\n", "")),
    ]
    found = read(FakeHost(tmp_path / "again", files, script), replace(desired, accept_ra=True))
    assert (found.resolver, found.accept_ra, found.resolv_conf) == ((SERVERS, ()), None, ("127.0.0.53",))


def test_what_nobody_would_ever_do_is_refused():
    for desired, code in (
        (Desired("br0", dhcp4=True), "no_back_end"),
        (Desired("br0", dhcp6=True), "no_back_end"),
        (Desired("br0", nameservers=SERVERS), "no_back_end"),
        (Desired("br0", search=SEARCH), "no_back_end"),
    ):
        with pytest.raises(Failure) as caught:
            planner.plan(bridge(), desired)
        assert caught.value.code == code and "persist: auto" in caught.value.message
    with pytest.raises(Failure, match="has no IPv6"):
        planner.plan(replace(bridge(), accept_ra=None), Desired("br0", accept_ra=True))
    assert planner.plan(bridge(), Desired("br0", dhcp4=False, dhcp6=False, nameservers=(), search=())).actions == ()


def test_a_host_is_not_left_without_an_address_after_the_next_start():
    leased = Link("eth0", default_route=True, held=(Address("203.0.113.9/24", dynamic=True, words=("203.0.113.9/24",)),))
    observed = replace(bridge("networkd"), links={"eth0": leased})
    desired = Desired("br0", ports=(WantedPort("eth0"),), dhcp4=False)
    with pytest.raises(Failure, match="after the next start"):
        planner.plan(observed, replace(desired, rollback=Rollback("word", 60)))
    assert planner.plan(observed, replace(desired, force=True)).actions
    fixed = planner.plan(observed, replace(desired, addresses=("203.0.113.9/24",), force=True)).after.stored.kept
    assert fixed.addresses == ("203.0.113.9/24",) and not fixed.asks4


def test_what_the_user_writes():
    found = from_params({**PARAMS, "name": "br0", "dhcp4": True, "dns": {"nameservers": ["2001:DB8:0::53"], "search": ["Example.ORG."]}})
    assert (found.dhcp4, found.dhcp6, found.nameservers, found.search) == (True, None, ("2001:db8::53",), ("example.org",))
    for dns, code in (({"nameservers": ["ns1"]}, "invalid_address"), ({"search": ["a b"]}, "invalid_name"), ({"search": ["-x"]}, "invalid_name")):
        with pytest.raises(Failure) as caught:
            from_params({**PARAMS, "name": "br0", "dns": dns})
        assert caught.value.code == code


def test_what_is_read_of_the_daemons(tmp_path):
    profile = networkmanager.wanted("br0", Kept(), Stored())[f"{networkmanager.FOLDER}/virtops-br0.nmconnection"]
    number = next(line.partition("=")[2] for line in profile.splitlines() if line.startswith("uuid="))
    link = {"ifname": "br0", "ifindex": 7, "mtu": 1500}
    for text, active in ((f"[device]\nconnection-uuid={number}\n", True), ("[device]\nconnection-uuid=other\n", False)):
        host = FakeHost(tmp_path, {"/run/NetworkManager/devices/7": text})
        assert read_stored(host, "br0", [link]).activated is active
