# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of filters and two values of each. A filter has no state of its own: guests that run with it have it as it is."""

from __future__ import annotations

from support.option_cases import Options

#: Option → the field of the definition that it is. What has no row is a part of what the row above it says.
FIELDS = {
    "chain": "@chain",
    "priority": "@priority",
    "filterrefs.filter": "filterref@filter",
    "filterrefs.parameters": "filterref/parameter",
    "rules.action": "rule@action",
    "rules.direction": "rule@direction",
    "rules.priority": "rule@priority",
    "rules.statematch": "rule@statematch",
    "rules.protocol": "rule/udp",
    "rules.match": "rule/sctp@dstportstart",
}
#: Option → what its documentation says of when it takes effect.
EFFECTS = dict.fromkeys(("chain", "priority", "filterrefs", "rules"), "Running guests that refer to the filter get it at once.")

ONE: Options = {
    "chain": "root",
    "priority": 77,
    "filterrefs": [{"filter": "allow-arp"}, {"filter": "clean-traffic", "parameters": {"IP": ["203.0.113.7", "203.0.113.8"]}}],
    "rules": [
        {"action": "accept", "direction": "in", "statematch": False, "protocol": "tcp"},
        {"action": "drop", "direction": "inout", "protocol": "sctp", "match": {"dstportstart": 443}},
    ],
}
OTHER: Options = {
    "chain": "ipv4-vt",
    "priority": -300,
    "filterrefs": [{"filter": "allow-dhcp"}, {"filter": "clean-traffic", "parameters": {"IP": "203.0.113.9"}}],
    "rules": [
        {"action": "reject", "direction": "out", "priority": 7, "statematch": True, "protocol": "udp"},
        {"action": "drop", "direction": "inout", "protocol": "sctp", "match": {"dstportstart": 22}},
    ],
}
