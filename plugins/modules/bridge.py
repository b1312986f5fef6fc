#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: bridge
short_description: Build Linux bridges for guests and containers
version_added: 0.1.0
description:
  - Creates a bridge in the running kernel, or adopts one, whoever made it, and gives it options, ports and addresses.
  - Everything is compared with the kernel's own values. What an option does not say is left as it is.
  - With O(persist) the host's network configuration keeps the bridge over the reboot, as tasks have declared it. RV(resource.persistent)
    and RV(resource.backend) say whether and where. Without it the bridge lasts until the reboot.
  - The live change is made in the kernel itself, whatever the back end. Only then its files are written, and it reads them again.
  - What a port has (addresses, routes, its MAC address) moves to the bridge in one step, and back to the port when the bridge is deleted.
    So the interface that the host is reached through can be a port.
  - A change that may cut the host off is watched over. The host snapshots its network (addresses, routes, rules, links, options of bridges
    and ports, files of network configurations) and starts a watchdog, which outlives the module and the connection. Then the change is made.
    The controller drops its connection, connects anew, has the host check O(confirm) and O(verify_hosts), and confirms. A change that is not
    confirmed within O(rollback_timeout) is undone. The task then fails with RV(rolled_back=true) and says why.
    Files come back after a restart of the host too, where systemd runs it.
  - Where no controller takes part, in M(virtops.linux.virt_host), what may cut the host off is refused unless O(confirm=gateway) or
    O(verify_hosts) tells what the host itself can check, or O(force=true).
  - Over a connection that cannot be reset (C(local)) a new connection proves nothing, so use O(confirm=gateway) there.
author:
  - virtops.linux contributors (@virtops)
options:
  name:
    description: The bridge, at most 15 characters.
    type: str
    required: true
  state:
    description:
      - V(present) makes the bridge as described and brings it up, with all ports that O(ports) lists.
      - V(absent) releases its ports and deletes it. Its addresses and routes go to the port that has its MAC address.
        Refused for a bridge with running guests plugged in, and for one that holds the default route and has no such port,
        unless O(force=true).
    type: str
    choices: [present, absent]
    default: present
  mac_address:
    description:
      - The bridge's MAC address, for example V(52:54:00:12:34:56). Set, it no longer changes when ports come and go.
      - V(inherit) is the address of the first of O(ports).
      - Without it, a bridge that takes addresses over from a port takes its MAC address too. Any other takes one of its own, or the lowest
        one of its ports.
    type: str
  mtu:
    description: The bridge's MTU in bytes. Without it, the kernel keeps it at that of the smallest port.
    type: int
  addresses:
    description:
      - The bridge's own IPv4 and IPv6 addresses with their prefixes, for example V(203.0.113.1/24) and V(2001:db8::1/64).
      - Other addresses of the bridge are removed, except link-local ones of IPv6 and those with a lifetime (DHCP, router advertisements).
      - An empty list removes all of them.
    type: list
    elements: str
  ports:
    description:
      - Interfaces that are to be ports, with their options. They are added where needed, and brought up.
      - Ports that are not listed stay, unless O(purge_ports=true).
      - An empty list releases all ports, with or without O(purge_ports).
      - Tap devices of running guests are never released. Their hypervisor does that.
      - Wi-Fi interfaces, the loopback interface, bridges, and interfaces that are in another bridge or bond are refused.
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - The interface, by its name, an alternative name or its MAC address.
          - V(default_route) is the one that the host is reached through, also when it is in this bridge already.
        type: str
        required: true
      priority:
        description: The port's priority in the spanning tree, V(0) to V(63).
        type: int
      cost:
        description: The port's path cost in the spanning tree, V(1) to V(65535).
        type: int
      guard:
        description: Switch the port off when a spanning tree packet (BPDU) arrives.
        type: bool
      hairpin:
        description: Send frames back through the port that they came from.
        type: bool
      fastleave:
        description: Leave a multicast group at once when the port says so.
        type: bool
      learning:
        description: Learn addresses from the port's frames.
        type: bool
      flood:
        description: Send unicast frames for unknown addresses to the port.
        type: bool
      isolated:
        description: Let the port talk only to ports that are not isolated.
        type: bool
      mcast_flood:
        description: Send multicast frames to the port where nobody is known to have asked for them.
        type: bool
      bcast_flood:
        description: Send broadcast frames to the port.
        type: bool
      mcast_router:
        description: Whether a multicast router is behind the port, V(0) never, V(1) as it is seen, V(2) always, V(3) for a while.
        type: int
      mcast_to_unicast:
        description: Send multicast frames to each member by unicast.
        type: bool
      root_block:
        description: Never let the port lead to the root of the spanning tree.
        type: bool
      locked:
        description: Let in only frames from addresses that the forwarding table has for the port.
        type: bool
      neigh_suppress:
        description: Answer ARP and neighbour discovery for the port from the bridge's own table.
        type: bool
      vlans:
        description:
          - The VLANs of the port, all of them. Others are removed, and an empty list removes all.
          - A new port has O(vlan_default_pvid), which goes as well unless it is listed.
        type: list
        elements: dict
        suboptions:
          vid:
            description: A VLAN or a range of them, V(1) to V(4094), for example V(10) or V(20-29).
            type: str
            required: true
          pvid:
            description: Frames that come without a tag belong to this VLAN. At most one, and no range.
            type: bool
          untagged:
            description: Frames of these VLANs leave without a tag.
            type: bool
      state:
        description:
          - The state of the port, which is only for O(stp=false). With a spanning tree the kernel decides.
          - It lasts until the port's carrier comes back or the host reboots, so no back end of O(persist) keeps it, and every run sets it again.
          - There is no blocking, which the kernel makes forwarding at once where there is no spanning tree.
        type: str
        choices: [disabled, listening, learning, forwarding]
  purge_ports:
    description: Release the ports that O(ports) does not list, except tap devices of running guests.
    type: bool
    default: false
  move_addresses:
    description:
      - V(true), as it is where nothing is said, moves the addresses of a port and all routes by way of it, in all tables, to the bridge,
        and back when the bridge is deleted. With O(addresses), only those that it lists.
      - V(false) leaves them on the port, where they stop answering.
    type: bool
  gateway4:
    description: The router of the default route of IPv4 by way of the bridge. It must be in a network of the bridge.
    type: str
  gateway6:
    description: The router of the default route of IPv6 by way of the bridge.
    type: str
  dhcp4:
    description:
      - V(true) has the bridge ask for an IPv4 address by DHCP, which the back end of O(persist) does. Refused where there is none.
      - Where the back end begins with it only at its next start (NetworkManager, ifupdown), it is in RV(ignore:pending), unless a lease moved
        from a port. A client that looks after that port alone, as ifupdown starts dhclient or udhcpc, then goes on for the bridge.
      - A lease that moved, and that nobody renews on the bridge before that start (NetworkManager), stays until then and does not run out.
      - V(false) is for static O(addresses). Refused where the only IPv4 address is a lease, unless O(force=true).
      - Where nothing is said, a bridge that takes an address by DHCP over from a port asks for it again.
    type: bool
  dhcp6:
    description: The same for an IPv6 address by DHCPv6. Where nothing is said, what the port's own configuration says goes on.
    type: bool
  accept_ra:
    description:
      - Whether the host obeys router advertisements that come over the bridge, also when it forwards packets.
      - Where no daemon does it (O(persist=none), O(persist=ifupdown)), it is the kernel's own value for the bridge, now as well.
    type: bool
  dns:
    description:
      - The name servers and search domains that the host has by way of the bridge, kept by the back end of O(persist).
      - Where systemd-resolved runs, it is told at once. Elsewhere what is not in C(/etc/resolv.conf) yet is told in RV(ignore:pending).
      - What is not said here goes on as the port's own configuration has it.
    type: dict
    suboptions:
      nameservers:
        description: Addresses of name servers. An empty list is none.
        type: list
        elements: str
      search:
        description: Domains to look short names up in. An empty list is none.
        type: list
        elements: str
  confirm:
    description:
      - What must hold before a change is kept. V(connection), the controller's choice where nothing is said, is a new connection to the host.
      - V(gateway) is that, and that the default gateways answer the host.
      - V(none) makes the change without a way back. What may cut the connection then needs O(force=true).
    type: str
    choices: [connection, gateway, none]
  verify_hosts:
    description:
      - Addresses that must answer the host before the change is kept, by ping, or with a TCP port that must take a connection.
      - For example V(203.0.113.1), V(203.0.113.5:443), V(2001:db8::1), V([2001:db8::1]:443).
    type: list
    elements: str
  persist:
    description:
      - What keeps the bridge over a reboot, with its options, ports, addresses and routes.
      - V(auto) takes the back end that the host's network is kept by. V(none) takes the files of this module away again.
        Where nothing is said, a back end that keeps the bridge already goes on doing so, and no other begins to.
      - V(networkd) is systemd-networkd. Files that begin with C(00-virtops-) are written to C(/etc/systemd/network), before all others.
        What a port's own file says of DNS, time servers, router advertisements, VLANs and the link goes on in them.
      - V(ifupdown) is C(/etc/network/interfaces.d), which C(/etc/network/interfaces) must read with C(source). The stanza needs no package but
        iproute2. Stanzas of the ports are commented out where they stand, with a mark, and given back byte for byte.
      - V(networkmanager) is C(/etc/NetworkManager/system-connections), with a profile for the bridge and one for each port, of mode 0600.
        NetworkManager is told of them but not to activate them, so it leaves the running bridge alone and makes it so at the next start.
        What a port's own profile says of DNS, DHCP, router advertisements, rules, the firewall's zone and the link goes on in them.
        The profile itself stays, with C(autoconnect=false) behind a mark, and is given back byte for byte.
      - V(netplan) is C(/etc/netplan/90-virtops-NAME.yaml), of mode 0600. Then C(netplan generate) renders it, for systemd-networkd or
        NetworkManager, and that is told. C(netplan apply), which takes links down, is never run. What a port's own definition says of addresses
        is commented out where it stands, with a mark, and given back byte for byte. What it says of DNS, DHCP and rules goes on.
      - Only what tasks have said is kept, together with what moved from ports. A bridge that runs already when it is first kept is kept with
        its addresses, routes and hardware ports.
      - An IPv4 address from DHCP is asked for again by way of the bridge.
      - Refused, before anything is changed, is what the back end cannot keep, and routes with several next hops. For V(networkd) these are
        O(vlan_stats_enabled), O(mcast_router), O(mcast_mld_version), O(group_address), O(nf_call_iptables) and its siblings, O(priority=0),
        O(ports[].guard), O(ports[].root_block), O(ports[].bcast_flood), O(ports[].locked). It and V(networkmanager) keep lists of VLANs
        that have O(vlan_default_pvid) as new ports have it, or O(vlan_default_pvid=0). V(networkmanager) keeps whole seconds, all options
        of the bridge but O(mcast_igmp_version), O(mcast_mld_version), O(nf_call_iptables) and its siblings, and of ports O(ports[].priority),
        O(ports[].cost) and O(ports[].hairpin). V(netplan) keeps O(stp), the times, O(priority), O(ports[].priority) and O(ports[].cost), and,
        rendered for systemd-networkd, no O(mtu) but that of the ports. No VLANs.
    type: str
    choices: [auto, networkd, networkmanager, netplan, ifupdown, none]
  rollback_timeout:
    description:
      - Seconds within which the change must be confirmed, V(5) to V(3600), 60 where nothing is said.
      - A spanning tree needs twice O(forward_delay) before it forwards.
    type: int
  rollback_id:
    description:
      - Makes the change wait under this name for M(virtops.linux.bridge_confirm), which must come within O(rollback_timeout).
      - Without it the task confirms its own change.
    type: str
  stp:
    description: The spanning tree protocol. V(false), which every new bridge has, is usual for virtualization hosts.
    type: bool
  forward_delay:
    description:
      - Seconds for which a new port listens and learns before it forwards, with STP V(2) to V(30). Without it, where it may be V(0), a port
        forwards at once, whatever it is.
      - NetworkManager sets it, O(hello_time), O(max_age) and O(priority) with O(stp=true) only. Without, they are left as they are, with a warning.
      - As all times here, in steps of 0.02 seconds, which every kernel keeps exactly.
    type: float
  hello_time:
    description: Seconds between two hello packets of the spanning tree, V(1) to V(10).
    type: float
  max_age:
    description: Seconds after which a silent bridge of the spanning tree counts as gone, V(6) to V(40).
    type: float
  ageing_time:
    description: Seconds after which a silent address is forgotten, up to V(1000000). V(0) forgets at once.
    type: float
  priority:
    description: The bridge's priority in the spanning tree, V(0) to V(65535). The lowest becomes its root.
    type: int
  vlan_filtering:
    description: Let the bridge look at VLAN tags. Refused where the kernel was built without it.
    type: bool
  vlan_default_pvid:
    description: The VLAN of untagged frames on new ports, V(0) for none, up to V(4094). It has a meaning only with O(vlan_filtering=true).
    type: int
  vlan_protocol:
    description: The kind of VLAN tags that the bridge filters by.
    type: str
    choices: ['802.1Q', '802.1ad']
  vlan_stats_enabled:
    description: Count frames for each VLAN.
    type: bool
  vlans:
    description:
      - The VLANs of the bridge itself, all of them, in which the host's own addresses are. Others are removed, and an empty list removes all.
      - They have an effect only with O(vlan_filtering=true). A bridge in use begins to filter after its VLANs are right.
    type: list
    elements: dict
    suboptions:
      vid:
        description: A VLAN or a range of them, V(1) to V(4094), for example V(10) or V(20-29).
        type: str
        required: true
      pvid:
        description: The host's own frames, which have no tag, belong to this VLAN. At most one, and no range.
        type: bool
      untagged:
        description: The host gets frames of these VLANs without a tag.
        type: bool
  mcast_router:
    description: Whether the bridge is a multicast router, V(0) never, V(1) as it is seen, V(2) always.
    type: int
  mcast_igmp_version:
    description: The version of IGMP that the querier speaks, V(2) or V(3).
    type: int
  mcast_mld_version:
    description: The version of MLD that the querier speaks, V(1) or V(2).
    type: int
  group_address:
    description: The address that the spanning tree's packets go to, C(01:80:c2:00:00:0X) with X V(0) or V(4) to V(f).
    type: str
  nf_call_iptables:
    description: Have IPv4 packets that cross the bridge pass through iptables, for this bridge.
    type: bool
  nf_call_ip6tables:
    description: Have IPv6 packets that cross the bridge pass through ip6tables, for this bridge.
    type: bool
  nf_call_arptables:
    description: Have ARP packets that cross the bridge pass through arptables, for this bridge.
    type: bool
  mcast_snooping:
    description: Forward multicast only to ports that asked for it.
    type: bool
  mcast_querier:
    description: Ask for multicast members from the bridge itself, which snooping needs where no router does.
    type: bool
  group_fwd_mask:
    description:
      - The link-local protocols to forward, as a mask of the last digits of C(01:80:c2:00:00:0X), for example V(0x4000) for LLDP.
      - Bits 0 to 2 (STP, pause frames, LACP) are refused, as the kernel does.
    type: str
  force:
    description:
      - Do what may cut the connection or disturb guests, and is refused otherwise. These are to delete a bridge that holds the default route
        or has running guests plugged in, to take ports or addresses away from one that
        holds the default route where nobody watches over it, and to add an address of a network that another interface of the host is in.
    type: bool
    default: false
extends_documentation_fragment:
  - virtops.linux.attributes
  - virtops.linux.attributes.converge
  - virtops.linux.results
seealso:
  - name: ip-link(8)
    description: The options of bridges and ports in iproute2's own words.
    link: https://man7.org/linux/man-pages/man8/ip-link.8.html
"""

EXAMPLES = r"""
- name: Put the host's own network card and its address onto a bridge, or leave everything as it was
  virtops.linux.bridge:
    name: br0
    ports:
      - name: default_route
    confirm: gateway
    rollback_timeout: 90

- name: Have it after every reboot as well
  virtops.linux.bridge:
    name: br0
    persist: auto

- name: Build a bridge for guests over the second network card
  virtops.linux.bridge:
    name: br0
    mac_address: inherit
    ports:
      - name: eth1

- name: Give guests a network of their own, with the host as their gateway
  virtops.linux.bridge:
    name: guests0
    addresses:
      - 198.51.100.1/24
      - 2001:db8:1::1/64

- name: Keep tenants on one bridge apart
  virtops.linux.bridge:
    name: br0
    ports:
      - name: tenant1
        isolated: true
        guard: true
      - name: tenant2
        isolated: true
        guard: true

- name: Let a bridge have these ports only, and filter VLANs
  virtops.linux.bridge:
    name: trunk0
    vlan_filtering: true
    vlan_default_pvid: 0
    purge_ports: true
    ports:
      - name: eth2

- name: Sort guests into VLANs, with the trunk on one port and the host in VLAN 10
  virtops.linux.bridge:
    name: trunk0
    vlan_filtering: true
    vlan_default_pvid: 0
    vlans:
      - {vid: 10, pvid: true, untagged: true}
    ports:
      - name: eth2
        vlans: [{vid: 10-29}]
      - name: eth3
        vlans:
          - {vid: 20, pvid: true, untagged: true}
    persist: networkd

- name: Have the host's address from DHCP, and name servers of its own
  virtops.linux.bridge:
    name: br0
    ports:
      - name: eth1
    dhcp4: true
    accept_ra: false
    dns:
      nameservers: [203.0.113.53, "2001:db8::53"]
      search: [example.org]
    persist: networkd

- name: Delete a bridge
  virtops.linux.bridge:
    name: guests0
    state: absent
"""

RETURN = r"""
confirmed:
  description: Whether the change was confirmed over a new connection. Not returned for a change that was not watched over.
  returned: when the change may have cut the host off
  type: bool
  sample: true
rolled_back:
  description: Whether the change was undone.
  returned: when the change may have cut the host off
  type: bool
  sample: false
reason:
  description: Why the change was undone.
  returned: when the change was undone
  type: str
  sample: 203.0.113.1 did not answer the host
confirmed_after:
  description: Seconds from the end of the change to its confirmation.
  returned: when the change was confirmed
  type: float
  sample: 1.4
resource:
  description:
    - The bridge after the run, in the words of the options.
    - In check mode, values that the kernel chooses are those before the run, and missing for a bridge that is not there yet.
  returned: success
  type: dict
  contains:
    name:
      description: The bridge's name.
      type: str
    state:
      description: Whether it is there, V(present) or V(absent).
      type: str
    up:
      description: Whether it is switched on. Without a port that has a carrier, it has no carrier either.
      type: bool
    mac_address:
      description: Its MAC address.
      type: str
    mac_fixed:
      description: Whether the address stays when ports change. Returned with O(mac_address).
      type: bool
    mtu:
      description: Its MTU in bytes.
      type: int
    addresses:
      description: Its addresses, except link-local ones of IPv6 and those with a lifetime.
      type: list
      elements: str
    ports:
      description: All of its ports with their options, and with their C(vlans) where the bridge filters by them.
      type: list
      elements: dict
    vlans:
      description: The VLANs of the bridge itself, where it filters by them.
      type: list
      elements: dict
    dns:
      description: Its C(nameservers) and C(search) domains. Returned with O(dns).
      type: dict
    persistent:
      description: Whether it is there after a reboot.
      type: bool
    backend:
      description: What keeps it after a reboot, V(networkd), V(networkmanager), V(netplan), V(ifupdown) or V(none).
      type: str
    files:
      description: The files that do, by their paths, with the lines that were set aside in files of others. Returned where there are any.
      type: dict
  sample:
    name: br0
    state: present
    up: true
    mac_address: "52:54:00:12:34:56"
    mtu: 1500
    stp: false
    forward_delay: 0
    hello_time: 2
    max_age: 20
    ageing_time: 300
    priority: 32768
    vlan_filtering: false
    vlan_default_pvid: 1
    vlan_protocol: 802.1Q
    mcast_snooping: true
    mcast_querier: false
    mcast_router: 1
    mcast_igmp_version: 2
    mcast_mld_version: 1
    group_fwd_mask: "0x0"
    group_address: "01:80:c2:00:00:00"
    ports: [{name: eth1, priority: 32, cost: 4, guard: false, hairpin: false, fastleave: false, learning: true, flood: true,
             isolated: false, mcast_flood: true, neigh_suppress: false}]
    addresses: []
    persistent: false
    backend: none
"""

from ansible_collections.virtops.linux.plugins.module_utils.bridge.resource import RESOURCE
from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run


def main():
    run(RESOURCE)


if __name__ == "__main__":
    main()
