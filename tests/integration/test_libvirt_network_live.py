# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Networks that change while they run: in libvirt's live XML, in the files of the dnsmasq that runs, and in what it answers."""

from __future__ import annotations

import socket
import struct
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Dict, Iterator, List

import pytest
from support.modules import apply, cycle, refused
from support.virsh import clear, virsh

NAME, GUEST = "vt-ntl", "vt-ntl-guest"
MODULE = "libvirt_network"
BASE = {"name": NAME, "bridge": {"name": NAME}, "forward": {"mode": "nat"}}
GUEST_XML = f"""<domain type='qemu'><name>{GUEST}</name><memory unit='MiB'>32</memory><os><type arch='x86_64' machine='pc'>hvm</type></os>
<devices><interface type='network'><source network='{NAME}'/><model type='virtio'/></interface></devices></domain>"""
WEB = {"mac": "52:54:00:00:00:0a", "name": "web", "ip": "203.0.113.10"}


@pytest.fixture(autouse=True)
def clean(libvirtd: None) -> Iterator[None]:
    _remove()
    yield
    _remove()


def _remove() -> None:
    clear(("destroy", GUEST), ("net-destroy", NAME), ("net-undefine", NAME))


def _live(path: str) -> List[Dict[str, str]]:
    return [dict(node.attrib) for node in ET.fromstring(virsh("net-dumpxml", NAME)).findall(path)]  # noqa: S314  # libvirt's own


def _file(ending: str) -> str:
    folder = "/run/libvirt/network" if ending == "pid" else "/var/lib/libvirt/dnsmasq"
    return Path(f"{folder}/{NAME}.{ending}").read_text()


def _address_of(name: str) -> str:
    """What the network's DNS server answers, by a query of our own: its socket is there as long as it runs."""
    question = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0" + struct.pack(">HH", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.settimeout(1)
        for _attempt in range(30):  # a server that starts again loses queries
            server.sendto(struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + question, ("203.0.113.1", 53))
            try:
                answer = server.recv(512)
            except (TimeoutError, ConnectionError):
                continue
            return socket.inet_ntoa(answer[-4:]) if struct.unpack(">H", answer[6:8])[0] else ""
    raise AssertionError("the network's DNS server does not answer")


BEFORE = """<network>
  <dns>
    <txt name='a.example' value='b c'/>
    <host ip='203.0.113.20'><hostname>one</hostname></host>
  </dns>
  <ip address='203.0.113.1' prefix='24'>
    <dhcp>
      <range start='203.0.113.100' end='203.0.113.120'/>
      <host mac='52:54:00:00:00:0a' name='web' ip='203.0.113.10'/>
      <host mac='52:54:00:00:00:0b' name='db' ip='203.0.113.11'/>
      <host mac='52:54:00:00:00:0c' name='mx' ip='203.0.113.12'/>
    </dhcp>
  </ip>
  <ip family='ipv6' address='fd00:77::1' prefix='64'/>
  <portgroup name='a' default='yes'/>
</network>"""

#: Another address for one name and both families for another; two hosts that change places, a third with another address; DHCP of IPv6 where
#: there was none.
AFTER = """<network>
  <dns>
    <host ip='203.0.113.21'><hostname>one</hostname></host>
    <host ip='203.0.113.22'><hostname>two</hostname></host>
    <host ip='fd00:77::22'><hostname>two</hostname></host>
  </dns>
  <ip address='203.0.113.1' prefix='24'>
    <dhcp>
      <range start='203.0.113.100' end='203.0.113.120'/>
      <host mac='52:54:00:00:00:0a' name='web' ip='203.0.113.11'/>
      <host mac='52:54:00:00:00:0b' name='db' ip='203.0.113.10'/>
      <host mac='52:54:00:00:00:0c' name='mx' ip='203.0.113.13'/>
    </dhcp>
  </ip>
  <ip family='ipv6' address='fd00:77::1' prefix='64'>
    <dhcp><host name='six' ip='fd00:77::6'/></dhcp>
  </ip>
  <portgroup name='b' default='yes'/>
  <portgroup name='a' default='no'/>
</network>"""


def test_everything_that_can_change_at_once() -> None:
    apply(MODULE, {**BASE, "xml": BEFORE})
    assert _address_of("one") == "203.0.113.20"
    process = _file("pid")
    changed = cycle(MODULE, {**BASE, "xml": AFTER, "forward": {"mode": "nat", "dev": "eth7"}})
    assert changed["pending"] == []
    assert sorted(f"{action['command']} {action['section']}" for action in changed["actions"][1:]) == [
        *["add dns-host"] * 3,
        "add forward-interface",
        *["add ip-dhcp-host"] * 3,
        "add portgroup",
        "delete dns-host",
        *["delete ip-dhcp-host"] * 2,
        "modify ip-dhcp-host",
        "modify portgroup",
    ]
    lines = _file("hostsfile").split()
    assert sorted(lines) == [
        "52:54:00:00:00:0a,203.0.113.11,web",
        "52:54:00:00:00:0b,203.0.113.10,db",
        "52:54:00:00:00:0c,203.0.113.13,mx",
        "six,[fd00:77::6]",
    ]
    assert _address_of("one") == "203.0.113.21" and _address_of("two") == "203.0.113.22"
    assert [group["name"] for group in _live("portgroup") if group.get("default") == "yes"] == ["b"]
    # What is on dnsmasq's command line takes a restart of dnsmasq, and none of the network.
    xml = "<network><dns><txt name='a.example' value='d'/></dns></network>"
    apply(MODULE, {"name": NAME, "xml": xml})
    assert "txt-record=a.example,d" in _file("conf") and _address_of("one") == "203.0.113.21" and _file("pid") != process
    assert [node["dev"] for node in _live("forward/interface")] == ["eth7"]


def test_what_drifted_while_it_ran_is_put_right() -> None:
    options = {**BASE, "ips": [{"address": "203.0.113.1/24", "dhcp": {"hosts": [WEB]}}]}
    apply(MODULE, options)
    host = f"<host mac='{WEB['mac']}' name='web' ip='203.0.113.10'/>"
    virsh("net-update", NAME, "delete", "ip-dhcp-host", host, "--live", "--parent-index", "0")
    assert _file("hostsfile") == ""
    (action,) = cycle(MODULE, options)["actions"]
    assert (action["action"], action["command"]) == ("update_network", "add") and "web" in _file("hostsfile")


def _tap() -> str:
    device = ET.fromstring(virsh("dumpxml", GUEST)).find("devices/interface/target")  # noqa: S314  # libvirt's own
    assert device is not None
    return device.attrib["dev"]


def _bridge_of(device: str) -> str:
    master = Path(f"/sys/class/net/{device}/master")
    return master.resolve().name if master.exists() else ""


def test_a_restart_plugs_guests_in_again() -> None:
    options = {"name": NAME, "bridge": {"name": NAME}, "ips": [{"address": "203.0.113.1/24"}]}
    apply(MODULE, options)
    virsh("create", "/dev/stdin", stdin=GUEST_XML)
    tap = _tap()
    waiting = apply(MODULE, {**options, "mtu": 1400})
    assert waiting["pending"] == ["mtu"] and waiting["resource"]["guests"] == [GUEST] and _bridge_of(tap) == NAME
    restarted = cycle(MODULE, {**options, "bridge": {"name": f"{NAME}2"}, "restart": "if_required"})
    assert [action["action"] for action in restarted["actions"]] == ["define_network", "stop_network", "start_network", "plug_in_interface"]
    assert restarted["actions"][-1]["guest"] == GUEST and _bridge_of(tap) == f"{NAME}2"
    # What does not start is taken back, and the guest has what it had.
    message = refused(MODULE, {**options, "bridge": {"name": "lo"}, "restart": "if_required"}, "start_failed")
    assert "its previous definition is back in place, and runs again" in message and _bridge_of(tap) == f"{NAME}2"
    # Stopped, also by someone else, the network is without its guests until it runs again.
    assert GUEST in str(apply(MODULE, {"name": NAME, "state": "inactive"})["warnings"])
    virsh("net-start", NAME)
    assert _bridge_of(tap) == ""
    assert [action["action"] for action in cycle(MODULE, {"name": NAME})["actions"]] == ["plug_in_interface"] and _bridge_of(tap) == f"{NAME}2"
