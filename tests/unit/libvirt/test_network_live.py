# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Networks that change while they run. How libvirt takes each update was seen with 9.0: see integration/test_libvirt_network_live.py."""

from __future__ import annotations

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.network import plan as p
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.network import plan_live
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.network.model import SPEC, Observed, Plug, from_params
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.network.rules import RULES
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.xmlmerge import canonical
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.xmltree import parse
from support.hosts import converged
from support.network_options import CASES as OPTIONS
from support.network_options import FIELDS, IPS, NEEDS_AN_ADDRESS
from support.option_cases import by_path, changed, concerns, plain

FIXED = "<bridge name='vt0'/><mac address='52:54:00:11:22:33'/>"
IP4 = "<ip address='203.0.113.1' prefix='24'><dhcp>{}</dhcp></ip>"
IP6 = "<ip family='ipv6' address='fd00:77::1' prefix='64'><dhcp>{}</dhcp></ip>"
RANGE = "<range start='203.0.113.100' end='203.0.113.120'/>"
ONE = "<host mac='52:54:00:00:00:01' name='one' ip='203.0.113.11'/>"
TWO = "<host mac='52:54:00:00:00:02' name='two' ip='203.0.113.12'/>"


def tree(inside, **attributes):
    said = "".join(f" {name}='{value}'" for name, value in attributes.items())
    return canonical(parse(f"<network{said}><name>n</name>{FIXED}{inside}</network>", "xml", "network"), RULES)


def desired(**given):
    checked = ArgumentSpecValidator(**SPEC).validate({"name": "n", **given})
    assert not checked.error_messages, checked.error_messages
    return from_params(checked.validated_parameters)


def running(inside, defined=None, plugs=()):
    return Observed(inactive=tree(inside if defined is None else defined), active=tree(inside), plugs=plugs)


def updates(plan):
    assert plan.actions[0].kind == "define_network"
    return [f"{action.command} {action.section} {action.member}" for action in plan.actions[1:]]


CASES = {
    "a host comes": (IP4.format(RANGE + ONE), IP4.format(RANGE + ONE + TWO), ["add ip-dhcp-host ip[203.0.113.1]/dhcp/host[52:54:00:00:00:02]"]),
    "a host goes": (IP4.format(RANGE + ONE), IP4.format(RANGE), None),
    "a host is another one": (
        IP4.format(ONE),
        IP4.format(ONE.replace("one", "eins").replace("113.11", "113.19")),
        ["modify ip-dhcp-host ip[203.0.113.1]/dhcp/host[52:54:00:00:00:01]"],
    ),
    # Modified one after the other, libvirt would take the one for the other: it looks for any of MAC, name and address.
    "two hosts change places": (
        IP4.format(ONE + TWO),
        IP4.format(ONE.replace("113.11", "113.12") + TWO.replace("113.12", "113.11")),
        [f"{what} ip-dhcp-host ip[203.0.113.1]/dhcp/host[52:54:00:00:00:0{n}]" for what in ("delete", "add") for n in (1, 2)],
    ),
    "a range is another one": (
        IP4.format(RANGE),
        IP4.format(RANGE.replace("100", "90")),
        [
            "delete ip-dhcp-range ip[203.0.113.1]/dhcp/range[203.0.113.100-203.0.113.120]",
            "add ip-dhcp-range ip[203.0.113.1]/dhcp/range[203.0.113.90-203.0.113.120]",
        ],
    ),
    "leases of another time": (
        IP4.format(RANGE),
        IP4.format(RANGE.replace("/>", "><lease expiry='5' unit='hours'/></range>")),
        [f"{what} ip-dhcp-range ip[203.0.113.1]/dhcp/range[203.0.113.100-203.0.113.120]" for what in ("delete", "add")],
    ),
    "DHCP of an address that has none": (
        "<ip address='203.0.113.1' prefix='24'/>",
        IP4.format(RANGE),
        ["add ip-dhcp-range ip[203.0.113.1]/dhcp/range[203.0.113.100-203.0.113.120]"],
    ),
    "DHCP of the other family": (
        IP4.format(RANGE) + "<ip family='ipv6' address='fd00:77::1' prefix='64'/>",
        IP4.format(RANGE) + IP6.format("<host name='six' ip='fd00:77::6'/>"),
        ["add ip-dhcp-host ip[fd00:77::1]/dhcp/host[six]"],
    ),
    "a name of the DNS is another address": (
        "<dns><host ip='203.0.113.5'><hostname>web</hostname></host></dns>",
        "<dns><host ip='203.0.113.6'><hostname>web</hostname></host></dns>",
        ["delete dns-host dns/host[203.0.113.5]", "add dns-host dns/host[203.0.113.6]"],
    ),
    "an address has another name": (
        "<dns><host ip='203.0.113.5'><hostname>web</hostname></host></dns>",
        "<dns><host ip='203.0.113.5'><hostname>www</hostname></host></dns>",
        ["delete dns-host dns/host[203.0.113.5]", "add dns-host dns/host[203.0.113.5]"],
    ),
    "a text": (
        "<dns><txt name='a' value='b'/></dns>",
        "<dns><txt name='a' value='c d'/><txt name='e' value='f'/></dns>",
        ["delete dns-txt dns/txt[a]", "add dns-txt dns/txt[a]", "add dns-txt dns/txt[e]"],
    ),
    # A record without a domain stands for those with one: it is deleted last and added first.
    "records, the less one says the wider it is taken": (
        "<dns><srv service='x' protocol='tcp' target='t' port='1'/><srv service='x' protocol='tcp' domain='d' target='t' port='1'/></dns>",
        "<dns><srv service='x' protocol='tcp' domain='d' target='t' port='2'/><srv service='x' protocol='tcp' target='t' port='2'/></dns>",
        [
            "delete dns-srv dns/srv[x-tcp-d-t]",
            "delete dns-srv dns/srv[x-tcp--t]",
            "add dns-srv dns/srv[x-tcp--t]",
            "add dns-srv dns/srv[x-tcp-d-t]",
        ],
    ),
    # There is one default at any time.
    "another portgroup is the default": (
        "<portgroup name='a' default='yes'/><portgroup name='b'/>",
        "<portgroup name='b' default='yes'/><portgroup name='a' default='no'/><portgroup name='c'/>",
        ["modify portgroup portgroup[a]", "modify portgroup portgroup[b]", "add portgroup portgroup[c]"],
    ),
    "the only interface of nat is another one": (
        "<forward mode='nat' dev='eth7'><interface dev='eth7'/></forward>" + IP4.format(""),
        "<forward mode='nat' dev='eth8'/>" + IP4.format(""),
        ["delete forward-interface forward/interface[eth7]", "add forward-interface forward/interface[eth8]"],
    ),
    "an interface of a pool is another one": (
        "<forward mode='private' dev='eth7'><interface dev='eth7'/><interface dev='eth9'/></forward>",
        "<forward mode='private'><interface dev='eth8'/></forward>",
        ["add forward-interface forward/interface[eth8]"],  # the list is libvirt's own to add to: naming one takes none away
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_at_once(name):
    before, after, expected = CASES[name]
    wish = desired(xml=f"<network>{after}</network>") if expected is not None else desired(ips=[{"address": "203.0.113.1/24", "dhcp": {"hosts": []}}])
    plan = converged(p.plan, running(before), wish)
    assert updates(plan) == (expected or ["delete ip-dhcp-host ip[203.0.113.1]/dhcp/host[52:54:00:00:00:01]"])
    assert plan.pending == ()


def test_dhcp_moves_from_one_address_to_another():
    other = "<ip address='198.51.100.1' prefix='24'/>"
    wish = [{"address": "203.0.113.1/24", "dhcp": {"ranges": [], "hosts": []}}]
    wish.insert(0, {"address": "198.51.100.1/24", "dhcp": {"ranges": [{"start": "198.51.100.10", "end": "198.51.100.20"}]}})
    plan = converged(p.plan, running(IP4.format(RANGE) + other), desired(ips=wish))
    assert [(action.command, action.index) for action in plan.actions[1:]] == [("delete", 0), ("add", 1)] and plan.pending == ()


WAITS = {
    "two records of one text": (
        "<dns><txt name='a' value='b'/></dns>",
        "<dns><txt name='a' value='b'/><srv service='x' protocol='tcp'/></dns><portgroup name='p'/><domain name='d'/><mtu size='1400'/>",
        ["add dns-srv dns/srv[x-tcp--]", "add portgroup portgroup[p]"],
        ("domain", "mtu"),
    ),
    "a record that stands for another one": (
        "<dns><srv service='x' protocol='tcp' domain='d'/></dns>",
        "<dns><srv service='x' protocol='tcp' domain='d'/><srv service='x' protocol='tcp'/></dns>",
        [],
        ("dns/srv[x-tcp--]",),
    ),
    "two machines of one name": (
        IP4.format(ONE),
        IP4.format(ONE + TWO.replace("two", "one")),
        [],
        ("ip[203.0.113.1]/dhcp/host[52:54:00:00:00:02]",),
    ),
    "an address": (IP4.format(ONE), IP4.format(ONE) + IP6.format("<host name='six' ip='fd00:77::6'/>"), [], ("ip[fd00:77::1]",)),
    "another mode": (
        "<forward mode='nat' dev='eth7'><interface dev='eth7'/></forward>" + IP4.format(""),
        "<forward mode='route' dev='eth8'/>" + IP4.format(""),
        [],
        ("forward@mode", "forward@dev"),
    ),
}


@pytest.mark.parametrize("name", WAITS)
def test_what_waits_for_the_next_start(name):
    before, after, expected, pending = WAITS[name]
    wish = desired(xml=f"<network>{after}</network>")
    plan = converged(p.plan, running(before), wish)
    assert updates(plan) == expected and plan.pending == pending
    again = converged(p.plan, running(before), desired(xml=f"<network>{after}</network>", restart="if_required"))
    assert [action.kind for action in again.actions] == ["define_network", "stop_network", "start_network"] and again.pending == ()


def test_an_interface_that_a_guest_has_stays():
    before = "<forward mode='nat' dev='eth7'><interface dev='eth7' connections='1'/></forward>" + IP4.format("")
    plan = converged(p.plan, running(before), desired(forward={"mode": "nat", "dev": "eth8"}))
    assert updates(plan) == [] and "forward@dev" in plan.pending


def test_what_runs_is_brought_to_a_definition_that_is_right_already():
    plan = converged(p.plan, running(IP4.format(RANGE), IP4.format(RANGE + ONE)), desired(xml=f"<network>{IP4.format(RANGE + ONE)}</network>"))
    assert [action.kind for action in plan.actions] == ["update_network"]


def test_a_network_that_does_not_run_is_only_defined():
    observed = Observed(inactive=tree(IP4.format(RANGE)))
    plan = converged(p.plan, observed, desired(state="present", xml=f"<network>{IP4.format(RANGE + ONE)}</network>"))
    assert [action.kind for action in plan.actions] == ["define_network"]


# Guests on it.

WEB = Plug("web", "52:54:00:00:00:07", "vnet3", master="vt0", portgroup="a")


def test_after_a_restart_guests_are_plugged_in_again():
    plan = converged(p.plan, running("", plugs=(WEB,)), desired(mtu=1400, restart="if_required"))
    assert [action.kind for action in plan.actions] == ["define_network", "stop_network", "start_network", "plug_in_interface"]
    assert plan.actions[-1].describe() == {
        "action": "plug_in_interface",
        "target": "n",
        "guest": "web",
        "mac": WEB.mac,
        "device": "vnet3",
        "bridge": "vt0",
    }
    assert plan.after.plugs == (WEB,) and p.facts(plan.after)["guests"] == ["web"]


def test_one_that_is_loose_is_plugged_in_and_one_on_another_bridge_is_left_alone():
    loose, elsewhere = Plug("db", "52:54:00:00:00:08", "vnet4"), Plug("x", "52:54:00:00:00:09", "vnet5", master="br9")
    plan = converged(p.plan, running("", plugs=(elsewhere, loose, WEB)), desired())
    assert [(action.kind, action.guest) for action in plan.actions] == [("plug_in_interface", "db")]


@pytest.mark.parametrize(
    ("inside", "plug"),
    [
        ("", Plug("web", WEB.mac, "vnet3", here=False)),
        ("<bridge name='vt0' macTableManager='libvirt'/>", WEB),
    ],
)
def test_a_restart_that_would_cut_guests_off_is_refused(inside, plug):
    observed = running("", plugs=(plug,))
    if inside:
        observed = Observed(
            inactive=observed.inactive, active=canonical(parse(f"<network>{inside}</network>", "xml", "network"), RULES), plugs=(plug,)
        )
    with pytest.raises(Failure) as caught:
        p.plan(observed, desired(mtu=1400, restart="if_required"))
    assert caught.value.code == "guests_connected" and "web" in caught.value.message and "\n" not in caught.value.message


def test_who_loses_the_network_is_told():
    plan = converged(p.plan, running("", plugs=(WEB,)), desired(state="inactive"))
    assert "the guest web" in plan.warnings[0]
    bridged = desired(xml="<network><forward mode='private' dev='eth7'/></network>", restart="if_required")
    assert "it has no bridge any more, so the guest web" in p.plan(running("", plugs=(WEB,)), bridged).warnings[0]


def test_who_keeps_an_old_portgroup_is_told():
    plan = converged(p.plan, running("<portgroup name='a'/>", plugs=(WEB,)), desired(xml="<network><portgroup name='a' default='yes'/></network>"))
    assert "web keep what portgroup a was" in plan.warnings[0]


@pytest.mark.parametrize("case", OPTIONS.values(), ids=OPTIONS)
def test_each_option_comes_at_once_or_waits_as_its_documentation_says(case):
    """Options that change in a network which runs. Another mode takes all that is said of packets that leave with it."""
    options = changed(SPEC["argument_spec"], *case)
    start = {"ips": IPS} if case[0]["forward"]["mode"] in NEEDS_AN_ADDRESS else {}
    for one, other in (case, case[::-1]):
        before = converged(p.plan, Observed(), desired(**{**start, **one})).after
        pending = converged(p.plan, before, desired(**other)).pending
        for option in options:
            field = by_path(FIELDS, option)
            if plan_live.at_once(field) and not (option.startswith("forward.") and "forward.mode" in options):
                assert not [label for label in pending if plain(label).startswith(field)], f"{option} waits"
            else:
                assert concerns(pending, field), f"{option} does not wait: {pending}"
