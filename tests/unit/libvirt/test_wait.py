# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waiting for guests, on data: what is there, what is not, and what is said of it."""

from __future__ import annotations

import json

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.connection import Connection
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain import plan_wait, wait
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.plan import nothing, plan
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.xmltree import parse
from guests import desired, guest

AGENT = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel>"
NICS = """
<interface type='network'><mac address='52:54:00:00:00:01'/><source network='lan' portid='1' bridge='virbr0'/></interface>
<interface type='bridge'><mac address='52:54:00:00:00:02'/><source bridge='br0'/><link state='down'/></interface>
<interface type='user'><mac address='52:54:00:00:00:03'/></interface>
"""


def tree(devices):
    return parse(f"<domain type='qemu'><name>g</name><devices>{devices}</devices></domain>", "xml", "domain")


def address(text, mac="52:54:00:00:00:01"):
    return {"mac": mac, "address": text, "sources": ["arp"]}


def test_what_is_there_already_is_not_missing():
    goals = ("address", "agent", "cloud_init")
    assert plan_wait.missing(goals, plan_wait.Seen(tree(""))) == list(goals)
    link_local = plan_wait.Seen(tree(""), addresses=(address("fe80::1"), address("169.254.1.1")), agent=False)
    assert plan_wait.missing(goals, link_local) == list(goals)
    seen = plan_wait.Seen(tree(""), addresses=(address("2001:db8::1"),), agent=True, outcome={"errors": []})
    assert plan_wait.missing(goals, seen) == []


def test_one_sentence_tells_what_was_seen():
    seen = plan_wait.Seen(tree(NICS), addresses=(address("198.51.100.7", "52:54:00:00:00:03"),), console="login:", no_dhcp=("lan",))
    failure = plan_wait.late("g", 7, ("address", "agent"), seen)
    assert failure.code == "wait_timeout" and failure.details["missing"] == ["agent"]
    assert failure.message == (
        "guest g: an answer of its guest agent did not come within 7 seconds: it is running; "
        "52:54:00:00:00:01 on lan has no address, because that network gives no addresses; "
        "52:54:00:00:00:02 on br0 has no address, because its link is down; 52:54:00:00:00:03 on user has 198.51.100.7; "
        "its agent is not connected; the last line of its console is 'login:'; look into that, or give it a longer wait_timeout"
    )


@pytest.mark.parametrize(
    "text, line",
    [
        ("", ""),
        ("a\r\nlogin: \r\n\n", "login:"),
        ("\x1b[2J\x1b[01;1Hboot\x1b[0m ok\x07\r\n\x1b(B", "boot ok"),
        ("x" * 300, "x" * 200),
    ],
)
def test_the_last_line_of_a_console(text, line):
    assert plan_wait.last_line(text) == line


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"v1": 1}'])
def test_what_cloud_init_leaves_may_be_anything(text):
    assert plan_wait.ended(text)["errors"] and plan_wait.stage(text) == "started"


@pytest.mark.parametrize(
    "devices, goal, code",
    [("", "address", "no_interface"), (NICS, "agent", "no_guest_agent"), (NICS, "cloud_init", "no_guest_agent")],
)
def test_what_no_time_brings_is_refused_before_anything_is_touched(devices, goal, code):
    observed = guest(f"<devices><emulator>/e</emulator>{devices}</devices>", state="shutoff")
    wanted = desired(state="running", wait_for=[goal])
    with pytest.raises(Failure) as caught:
        plan(observed, wanted)
    assert caught.value.code == code
    assert plan(guest(f"<devices>{NICS}{AGENT}</devices>"), wanted).actions
    assert plan(nothing(wanted), wanted).actions  # an earlier task may say what it is
    with pytest.raises(Failure, match="state is present"):
        desired(wait_for=[goal])
    with pytest.raises(Failure, match=r"^wait_timeout: a negative number"):
        desired(wait_timeout=-1)


class Refusal(Exception):
    def __init__(self, code, words):
        super().__init__(words)
        self.code = code

    def get_error_code(self):
        return self.code

    def get_error_domain(self):
        return 0

    def get_error_message(self):
        return str(self)


class Api:
    libvirtError = Refusal
    VIR_FROM_RPC, VIR_ERR_NO_SUPPORT, VIR_ERR_AGENT_UNRESPONSIVE, VIR_ERR_AGENT_UNSYNCED = 7, 3, 86, 97
    VIR_DOMAIN_RUNNING, VIR_DOMAIN_BLOCKED, VIR_DOMAIN_PAUSED, VIR_DOMAIN_SHUTDOWN, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_CRASHED = 1, 2, 3, 4, 5, 6
    VIR_DOMAIN_PMSUSPENDED, VIR_DOMAIN_XML_SECURE, VIR_DOMAIN_XML_INACTIVE = 7, 1, 2
    VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE, VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT, VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP = 0, 1, 2


class Guest:
    """states: one for each look. files: of the guest, by path; a Refusal is raised."""

    def __init__(self, states=(1,), files=None):
        self.states, self.files = list(states), files or {}

    def state(self):
        return [self.states.pop(0) if len(self.states) > 1 else self.states[0]]

    def XMLDesc(self, flags):
        return f"<domain type='qemu'><name>g</name><devices>{NICS}{AGENT}</devices></domain>"

    def interfaceAddresses(self, source, flags):
        return {}

    def getTime(self):
        return {}


class Virt:
    def __init__(self, one):
        self.one = one

    def lookupByName(self, name):
        return self.one

    def networkLookupByName(self, name):
        raise Refusal(38, "gone")


@pytest.fixture
def waited(monkeypatch):
    """Waits for a guest; how many seconds it asked to sleep."""
    slept = []
    monkeypatch.setattr(wait.time, "sleep", slept.append)
    monkeypatch.setattr(wait, "_ask", lambda guest, command, **arguments: answered(guest, command, arguments))

    def ask(one, *goals, seconds=60):
        connection = Connection(Virt(one), Api, "qemu+ssh://far/system", None)
        return wait.wait(connection, desired(state="running", wait_for=list(goals), wait_timeout=seconds)), slept

    return ask


def answered(one, command, arguments):
    if command != "guest-file-open":
        return {"buf-b64": arguments["handle"]} if command == "guest-file-read" else {}
    content = one.files.get(arguments["path"], Refusal(1, "failed to open file: No such file or directory"))
    if isinstance(content, list):
        content = content.pop(0)
    if isinstance(content, Refusal):
        raise content
    return wait.base64.b64encode(json.dumps(content).encode()).decode()


def test_a_guest_that_stops_is_not_waited_for(waited):
    with pytest.raises(Failure, match=r"^guest g: shutoff while an address was waited for") as caught:
        waited(Guest(states=[1, 1, 5]), "address")
    assert caught.value.code == "guest_stopped"


def test_cloud_init_is_waited_for_over_moments_without_an_agent(waited):
    late = [Refusal(1, "No such file"), Refusal(86, "Guest agent is not responding"), {"v1": {"datasource": "NoCloud", "errors": []}}]
    result, slept = waited(Guest(files={"/run/cloud-init/result.json": late}), "cloud_init")
    assert result == {"addresses": [], "cloud_init": {"datasource": "NoCloud", "errors": []}} and len(slept) == 2


@pytest.mark.parametrize(
    "files, code",
    [
        ({"/run/cloud-init/result.json": Refusal(1, "The command guest-file-open has been disabled for this instance")}, "agent_refuses"),
        ({"/run/cloud-init/disabled": {}}, "cloud_init_off"),
        ({"/run/cloud-init/result.json": {"v1": {"errors": ["no"]}}}, "cloud_init_failed"),
    ],
)
def test_what_no_wait_mends_ends_it(waited, files, code):
    with pytest.raises(Failure) as caught:
        waited(Guest(files=files), "cloud_init")
    assert caught.value.code == code


def test_nothing_is_asked_where_nothing_is_waited_for():
    assert wait.wait(None, desired(state="running")) == {}
