# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How libvirt's API calls the same thing for each kind of object, and the object as libvirt has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from ..connection import Connection
from ..record import split_record
from ..xmlmerge import canonical
from ..xmltree import Node, parse
from .model import Desired, Kind, Observed


@dataclass(frozen=True)
class Access:
    """stem: what the calls of a connection begin with: networkLookupByName, networkDefineXML. lister: the bulk call.

    inactive_flag: the constant that asks for the definition; empty where a kind has no running state.
    """

    kind: Kind
    stem: str
    lister: str
    inactive_flag: str = ""

    def find(self, connection: Connection, name: str) -> Any:
        """The object, or None."""
        find = getattr(connection.virt, f"{self.stem}LookupByName")
        return connection.lookup(lambda: find(name), f"{self.kind.noun} {name}: cannot be read")

    def require(self, connection: Connection, name: str) -> Any:
        with connection.explained(f"{self.kind.noun} {name}: cannot be found again"):
            return getattr(connection.virt, f"{self.stem}LookupByName")(name)

    def find_by_uuid(self, connection: Connection, uuid: str) -> Any:
        find = getattr(connection.virt, f"{self.stem}LookupByUUIDString")
        return connection.lookup(lambda: find(uuid), f"{self.kind.noun} {uuid}: cannot be read")

    def define(self, connection: Connection, xml: str) -> Any:
        return getattr(connection.virt, f"{self.stem}DefineXML")(xml)

    def definition(self, connection: Connection, thing: Any) -> Node:
        """The persistent definition, in canonical form, our record included."""
        flags = getattr(connection.api, self.inactive_flag) if self.inactive_flag else 0
        return self._tree(connection, thing, flags)

    def _tree(self, connection: Connection, thing: Any, flags: int) -> Node:
        tree = parse(connection.understands(thing.XMLDesc, flags), f"libvirt's XML of {thing.name()}", self.kind.root)
        return canonical(tree.without(*self.kind.unseen), self.kind.rules)

    def observe(self, connection: Connection, thing: Any) -> Observed:
        inactive, record = split_record(self.definition(connection, thing))
        if not self.inactive_flag:
            return Observed(inactive=inactive, record=record)
        active, persistent = bool(thing.isActive()), bool(thing.isPersistent())
        return Observed(
            inactive=inactive,
            active=split_record(self._tree(connection, thing, 0))[0] if active else None,
            autostart=bool(thing.autostart()) if persistent else False,
            persistent=persistent,
            record=record,
        )

    def read(self, connection: Connection, desired: Desired) -> Observed:
        thing = self.find(connection, desired.name)
        with connection.explained(f"{self.kind.noun} {desired.name}: cannot be read"):
            if thing is not None:
                return self.observe(connection, thing)
            uuid: Optional[str] = desired.wish.get("uuid")
            holder = self.find_by_uuid(connection, uuid) if uuid else None
            return Observed(uuid_holder=holder.name() if holder else None)
