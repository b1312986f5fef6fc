# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A secret as libvirt has it. Its value is compared here and goes no further."""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import Any, Optional

from ..connection import Connection
from ..xmltree import parse
from .model import NONE, OTHER, SAME, UNKNOWN, Desired, Observed, Secret, Usage, secret_of


def _usage_number(api: Any, usage: Usage) -> int:
    return int(getattr(api, f"VIR_SECRET_USAGE_TYPE_{usage.type.upper()}"))


def find(connection: Connection, desired: Desired) -> Any:
    """By uuid where the task says one, else by usage. None where there is none."""
    sentence = f"secret {desired.label}: cannot be read"
    if desired.uuid is not None:
        return connection.lookup(lambda: connection.virt.secretLookupByUUIDString(desired.uuid), sentence)
    return _by_usage(connection, desired.usage, sentence)


def _by_usage(connection: Connection, usage: Optional[Usage], sentence: str) -> Any:
    if usage is None:
        return None
    return connection.lookup(lambda: connection.virt.secretLookupByUsage(_usage_number(connection.api, usage), usage.id), sentence)


def read(connection: Connection, desired: Desired) -> Observed:
    found = find(connection, desired)
    sentence = f"secret {desired.label}: cannot be read"
    if found is None:
        other = _by_usage(connection, desired.usage, sentence) if desired.uuid else None
        return Observed(usage_holder=other.UUIDString() if other else None)
    with connection.explained(sentence):
        secret = secret_of(parse(found.XMLDesc(0), "libvirt's XML of a secret", "secret"))
        return Observed(replace(secret, value=_compared(connection, found, secret, desired)))


def _compared(connection: Connection, found: Any, secret: Secret, desired: Desired) -> str:
    if secret.private:
        return SAME if desired.written else UNKNOWN
    if desired.value is None:
        return NONE
    value = connection.lookup(lambda: found.value(0), f"secret {desired.label}: its value cannot be read")
    if value is None:
        return NONE
    return SAME if hmac.compare_digest(bytes(value), desired.value) else OTHER
