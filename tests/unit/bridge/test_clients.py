# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from ansible_collections.virtops.linux.plugins.module_utils.bridge.guard import clients, names

#: As ifupdown 0.8.41 starts it.
DHCLIENT = (
    *("dhclient", "-4", "-v", "-i", "-pf", "/run/dhclient.eth0.pid", "-lf", "/var/lib/dhcp/dhclient.eth0.leases"),
    *("-I", "-df", "/var/lib/dhcp/dhclient6.eth0.leases", "eth0"),
)
FILES = {
    "/run/dhclient.eth0.pid": "17\n",
    "/proc/17/cmdline": "\0".join(DHCLIENT) + "\0",
    "/run/udhcpc.wan.pid": "18\n",  # the number of another program by now
    "/proc/18/cmdline": "sleep\0wan\0",
    "/run/dhclient.eth1.pid": "19\n",  # gone
    "/run/udhcpc.eth2.pid": "none",
}


def test_a_client_is_known_by_its_file_and_its_words():
    found = clients.running([path[len("/run/") :] for path in FILES if path.startswith("/run/")] + ["dhclient.pid", "lock"], FILES.get)
    assert found == {"eth0": clients.Client(17, DHCLIENT, "/run/dhclient.eth0.pid")}


def test_it_goes_on_for_another_interface():
    moved = clients.moved(DHCLIENT, "eth0", "br0")
    assert " ".join(moved) == (
        "dhclient -nw -4 -v -i -pf /run/dhclient.br0.pid -lf /var/lib/dhcp/dhclient.br0.leases -I -df /var/lib/dhcp/dhclient6.br0.leases br0"
    )
    assert clients.moved(moved, "br0", "eth0")[:3] == ("dhclient", "-nw", "-4")
    assert clients.renamed('interface "eth0"; eth01 eth0.5', "eth0", "br0") == 'interface "br0"; eth01 br0.5'
    assert clients.leases(DHCLIENT, "eth0", "br0") == (
        ("/var/lib/dhcp/dhclient.eth0.leases", "/var/lib/dhcp/dhclient.br0.leases"),
        ("/var/lib/dhcp/dhclient6.eth0.leases", "/var/lib/dhcp/dhclient6.br0.leases"),
    )


def test_name_servers_are_set_where_they_differ():
    before = {"dns": ["203.0.113.1"], "domain": []}
    assert names.restore("br0", before, before) == [] == names.restore("br0", before, {})
    assert names.restore("br0", before, {"dns": [], "domain": ["example.org"]}) == [
        ["resolvectl", "dns", "br0", "203.0.113.1"],
        ["resolvectl", "domain", "br0", ""],
    ]
