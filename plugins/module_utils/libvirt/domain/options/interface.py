# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rows: network interfaces, beneath what wish.py writes of them. Source: libvirt's formatdomain."""

from __future__ import annotations

from . import kinds as k
from .rows import Group, Pairs, Row, Table

_RATES: Table = (
    Row("average", "@average", k.integer(1), "KiB a second, on average."),
    Row("peak", "@peak", k.integer(1), "KiB a second, at most."),
    Row("burst", "@burst", k.integer(1), "KiB that may come at the peak's speed."),
)

INTERFACE: Table = (
    Row("mode", "source@mode", k.choice("vepa", "bridge", "private", "passthrough"), "How O(interfaces[].type=direct) shares the host's interface."),
    Row("portgroup", "source@portgroup", k.TEXT, "A port group of the network."),
    Row("target", "target@dev", k.TEXT, "The name of the interface on the host's side. Libvirt gives it one by itself."),
    Row("mtu", "mtu@size", k.integer(0, 65535, clears=0), "The MTU, on networks and bridges.", away="mtu"),
    Row("link", "link@state", k.choice("up", "down"), "Whether the cable is plugged in."),
    Row("queues", "driver@queues", k.integer(0, 256, clears=0), "How many queues a virtio interface has."),
    Row("driver", "driver@name", k.choice("vhost", "qemu"), "Who moves the packets of a virtio interface: the kernel or the emulator."),
    Row("isolated", "port@isolated", k.YES, "Whether it reaches no other isolated interface of the same bridge.", away="port"),
    Row("trust_guest_rx_filters", "@trustGuestRxFilters", k.YES, "Whether the host follows what the guest says of its addresses."),
    Row("filter", "filterref@filter", k.TEXT, "A network filter, see M(virtops.linux.libvirt_nwfilter).", away="filterref"),
    Pairs("filter_parameters", "filterref/parameter", "name", "value", "Variables of O(interfaces[].filter)."),
    Group(
        "vlan",
        "vlan",
        "VLANs, where the network can do them. An empty dictionary takes them away.",
        (
            Row("trunk", "@trunk", k.YES, "Whether packets keep their tags."),
            Group(
                "tags",
                "tag",
                "The VLANs, all of them.",
                (
                    Row("id", "@id", k.integer(0, 4095), "The VLAN's number.", required=True),
                    Row("native_mode", "@nativeMode", k.choice("tagged", "untagged"), "Whether it is that of packets without a tag."),
                ),
                many=True,
            ),
        ),
    ),
    Group(
        "bandwidth",
        "bandwidth",
        "How much it may carry. An empty dictionary takes the limits away.",
        (
            Group(
                "inbound",
                "inbound",
                "Towards the guest.",
                (*_RATES, Row("floor", "@floor", k.integer(1), "KiB a second that it always gets on a network.")),
            ),
            Group("outbound", "outbound", "From the guest.", _RATES),
        ),
    ),
    Group(
        "virtualport",
        "virtualport",
        "The port of a switch such as Open vSwitch. An empty dictionary takes it away.",
        (
            Row("type", "@type", k.choice("openvswitch", "midonet", "802.1Qbg", "802.1Qbh"), "The kind of switch."),
            Row("interfaceid", "parameters@interfaceid", k.TEXT, "The UUID of the port. Libvirt makes one by itself."),
            Row("profileid", "parameters@profileid", k.TEXT, "The port's profile."),
        ),
    ),
)
