# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of bridges and of their ports: one table for the argument spec, for checking, reading and writing.

Source: linux/if_link.h (IFLA_BR_*, IFLA_BRPORT_*) and ip-link(8), whose words these are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Dict, Optional, Tuple, Union

from ..engine.errors import Failure

Value = Union[bool, int, float, str]

# The kernel counts timers in hundredths of a second and keeps them in ticks of its own clock. At 250 Hz a tick is
# 0.4 hundredths, so that an odd number of hundredths comes back as the even one below; at 300 Hz every number comes
# back one too low. Steps of two hundredths survive both, and rounding an odd number up undoes the second.
_STEP = 2


@dataclass(frozen=True)
class Field:
    """An option of a bridge or a port.

    word: what ip calls it on its command line. shown: in its JSON, where that differs.
    form: flag, number, seconds, mask, word or group.
    lowest, highest: the range that the kernel takes, in the option's own unit.
    """

    name: str
    form: str
    word: str = ""
    lowest: int = 0
    highest: int = 0
    choices: Tuple[str, ...] = ()
    shown: str = ""

    @property
    def shown_as(self) -> str:
        return self.shown or self.key

    @property
    def key(self) -> str:
        return self.word or self.name

    def spec(self) -> Dict[str, Any]:
        """The option's entry in an argument spec."""
        types = {"flag": "bool", "number": "int", "seconds": "float"}
        found: Dict[str, Any] = {"type": types.get(self.form, "str")}
        return {**found, "choices": list(self.choices)} if self.choices else found

    def parse(self, raw: Any, what: str) -> Value:
        """What the user wrote → the value as it is compared and shown. Failure where the kernel takes no such value."""
        if self.form == "seconds":
            return self._seconds(raw, what)
        if self.form == "mask":
            return self._mask(raw, what)
        if self.form == "number":
            self._within(raw, str(raw), what)
            return int(raw)
        if self.form == "group":
            return self._group(raw, what)
        return bool(raw) if self.form == "flag" else str(raw)

    def read(self, raw: Any) -> Value:
        """What ip's JSON says → the value as it is compared and shown."""
        if self.form == "seconds":
            hundredths = int(raw)
            return _in_seconds(hundredths + hundredths % _STEP)
        if self.form == "mask":
            return f"{int(str(raw), 0):#x}"
        if self.form == "number":
            return int(raw)
        return bool(raw) if self.form == "flag" else str(raw)

    def write(self, value: Value) -> str:
        """A value → the text that ip takes."""
        if self.form == "seconds":
            return str(int(Fraction(str(value)) * 100))
        return str(int(value)) if self.form == "flag" else str(value)

    def _within(self, number: Union[int, Fraction], shown: str, what: str, unit: str = "") -> None:
        if not self.lowest <= number <= self.highest:
            raise Failure(f"{what}: {shown} is out of range; the kernel takes {self.lowest} to {self.highest}{unit}", "out_of_range")

    def _seconds(self, raw: Any, what: str) -> Value:
        try:
            hundredths = Fraction(str(raw)) * 100
        except ValueError:
            raise Failure(f"{what}: {raw} is not a number of seconds; write a number such as 15 or 0.5", "invalid_seconds") from None
        self._within(hundredths / 100, str(raw), what, " seconds")
        if hundredths % _STEP:
            raise Failure(f"{what}: {raw} seconds cannot be kept exactly by every kernel; use steps of 0.02 seconds", "invalid_seconds")
        return _in_seconds(int(hundredths))

    def _group(self, raw: Any, what: str) -> str:
        folded = str(raw).strip().lower().replace("-", ":")
        if not _GROUP.fullmatch(folded):
            raise Failure(f"{what}: {raw!r} is not a link-local group address; write it as 01:80:c2:00:00:0X", "invalid_mac_address")
        if folded[-1] in _GROUP_TAKEN:
            raise Failure(f"{what}: {raw} belongs to another protocol, which the kernel refuses; end it in 0 or in 4 to f", "out_of_range")
        return folded

    def _mask(self, raw: Any, what: str) -> str:
        try:
            mask = int(str(raw), 0)
        except ValueError:
            raise Failure(f"{what}: {raw!r} is not a mask; write a number such as 0x4000 or 16384", "invalid_mask") from None
        self._within(mask, str(raw), what)
        if mask & 0x7:
            raise Failure(
                f"{what}: {raw} forwards STP, pause or LACP frames (bits 0 to 2), which the kernel never does; leave those bits out", "out_of_range"
            )
        return f"{mask:#x}"


_GROUP = re.compile(r"01:80:c2:00:00:0[0-9a-f]")
# Source: is_link_local_ether_addr() and group_addr_store() in net/bridge/br_sysfs_br.c: pause frames, LACP, and 802.1X.
_GROUP_TAKEN = "123"


def _in_seconds(hundredths: int) -> Union[int, float]:
    return hundredths / 100 if hundredths % 100 else hundredths // 100


BRIDGE_FIELDS: Tuple[Field, ...] = (
    Field("stp", "flag", "stp_state"),
    # With STP the kernel takes 2 to 30 seconds and with STP off any time: the planner knows.
    Field("forward_delay", "seconds", highest=30),
    Field("hello_time", "seconds", lowest=1, highest=10),
    Field("max_age", "seconds", lowest=6, highest=40),
    Field("ageing_time", "seconds", highest=1000000),
    Field("priority", "number", highest=65535),
    Field("vlan_filtering", "flag"),
    Field("vlan_default_pvid", "number", highest=4094),
    Field("vlan_protocol", "word", choices=("802.1Q", "802.1ad")),
    Field("vlan_stats_enabled", "flag"),
    Field("mcast_snooping", "flag"),
    Field("mcast_querier", "flag"),
    Field("mcast_router", "number", highest=2),
    Field("mcast_igmp_version", "number", lowest=2, highest=3),
    Field("mcast_mld_version", "number", lowest=1, highest=2),
    Field("group_fwd_mask", "mask", highest=0xFFFF),
    Field("group_address", "group", shown="group_addr"),
    Field("nf_call_iptables", "flag"),
    Field("nf_call_ip6tables", "flag"),
    Field("nf_call_arptables", "flag"),
)

PORT_FIELDS: Tuple[Field, ...] = (
    Field("priority", "number", highest=63),
    Field("cost", "number", lowest=1, highest=65535),
    Field("guard", "flag"),
    Field("hairpin", "flag"),
    Field("fastleave", "flag"),
    Field("learning", "flag"),
    Field("flood", "flag"),
    Field("isolated", "flag"),
    Field("mcast_flood", "flag"),
    Field("bcast_flood", "flag"),
    Field("mcast_router", "number", highest=3, shown="multicast_router"),
    Field("mcast_to_unicast", "flag"),
    Field("neigh_suppress", "flag"),
    Field("root_block", "flag"),
    Field("locked", "flag"),
)

_BRIDGE = {field.name: field for field in BRIDGE_FIELDS}
_PORT = {field.name: field for field in PORT_FIELDS}


def bridge_field(name: str) -> Field:
    return _BRIDGE[name]


def port_field(name: str) -> Field:
    return _PORT[name]


def parsed(fields: Tuple[Field, ...], params: Any, what: str = "") -> Dict[str, Value]:
    """The options of the table that the user set, each checked. what: the place of a nested option, for errors."""
    given: Dict[str, Optional[Any]] = {field.name: params.get(field.name) for field in fields}
    return {field.name: field.parse(given[field.name], what + field.name) for field in fields if given[field.name] is not None}
