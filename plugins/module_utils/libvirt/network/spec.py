# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of networks, in libvirt's words. Source: formatnetwork."""

from __future__ import annotations

from typing import Any, Dict

from ..objects.model import COMMON

FORWARD_MODES = ["none", "nat", "route", "open", "bridge", "private", "vepa", "passthrough", "hostdev"]


def _list_of(**options: Any) -> Dict[str, Any]:
    return {"type": "list", "elements": "dict", "options": options}


def _dict_of(**options: Any) -> Dict[str, Any]:
    return {"type": "dict", "options": options}


_STR: Dict[str, Any] = {"type": "str"}
_INT: Dict[str, Any] = {"type": "int"}
_BOOL: Dict[str, Any] = {"type": "bool"}
_WORD: Dict[str, Any] = {"type": "str", "required": True}
_TEXTS: Dict[str, Any] = {"type": "list", "elements": "str"}
_RANGE = _dict_of(start=_STR, end=_STR)
_LEASE = _dict_of(expiry={"type": "int", "required": True}, unit={"type": "str", "choices": ["seconds", "minutes", "hours"], "default": "minutes"})
_RATE = _dict_of(average={"type": "int", "required": True}, peak=_INT, burst=_INT)
_TAG = _list_of(id={"type": "int", "required": True}, native_mode={"type": "str", "choices": ["tagged", "untagged"]})

#: What a network and a portgroup both have.
_PORT: Dict[str, Any] = {
    "vlan": _dict_of(trunk=_BOOL, tags=_TAG),
    "virtualport": _dict_of(type=_STR, parameters={"type": "dict"}),
    "bandwidth": _dict_of(inbound=_RATE, outbound=_RATE),
    "trust_guest_rx_filters": _BOOL,
}
_DHCP = _dict_of(
    ranges=_list_of(start=_WORD, end=_WORD, lease=_LEASE),
    hosts=_list_of(mac=_STR, id=_STR, name=_STR, ip=_WORD, lease=_LEASE),
    bootp=_dict_of(file=_STR, server=_STR),
)

SPEC: Dict[str, Any] = {
    "argument_spec": {
        **COMMON,
        "forward": _dict_of(
            mode={"type": "str", "choices": FORWARD_MODES},
            dev=_STR,
            interfaces=_TEXTS,
            nat=_dict_of(addresses=_RANGE, ports=_dict_of(start=_INT, end=_INT), ipv6=_BOOL),
            pf=_STR,
            addresses=_TEXTS,
            managed=_BOOL,
            driver=_STR,
        ),
        "bridge": _dict_of(name=_STR, stp=_BOOL, delay=_INT, zone=_STR, mac_table_manager={"type": "str", "choices": ["kernel", "libvirt"]}),
        "mac": _STR,
        "domain": _STR,
        "domain_local_only": _BOOL,
        "mtu": _INT,
        "ipv6": _BOOL,
        "isolated": _BOOL,
        **_PORT,
        "dns": _dict_of(
            enable=_BOOL,
            forward_plain_names=_BOOL,
            forwarders=_list_of(address=_STR, domain=_STR),
            hosts=_list_of(ip=_WORD, hostnames={"type": "list", "elements": "str", "required": True}),
            txt=_list_of(name=_WORD, value=_WORD),
            srv=_list_of(service=_WORD, protocol=_WORD, domain=_STR, target=_STR, port=_INT, priority=_INT, weight=_INT),
        ),
        "ips": _list_of(address=_WORD, prefix=_INT, local_ptr=_BOOL, tftp_root={"type": "str"}, dhcp=_DHCP),
        "routes": _list_of(address=_WORD, prefix=_INT, gateway=_WORD, metric=_INT),
        "portgroups": _list_of(name=_WORD, default=_BOOL, **_PORT),
        "dnsmasq_options": _TEXTS,
    },
    "required_one_of": [["name", "xml"]],
}
