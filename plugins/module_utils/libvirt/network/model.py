# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Virtual networks: what is wanted of one, and what libvirt has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional, Tuple

from ..objects import model as objects
from ..objects.model import Desired, name_and_wish
from .kind import NETWORK
from .spec import SPEC
from .wish import wish_from_options


@dataclass(frozen=True)
class Plug:
    """An interface of a running guest on the network. device: its name on the host. here: whether it is a tap of this machine.

    master: the bridge that it is plugged into. isolated: from the other guests. portgroup: that of the network which it has.
    """

    guest: str
    mac: str
    device: str
    here: bool = True
    master: Optional[str] = None
    isolated: bool = False
    portgroup: Optional[str] = None


@dataclass(frozen=True)
class Observed(objects.Observed):
    """plugs: of all running guests. A network that does not run has none that anyone could know of."""

    plugs: Tuple[Plug, ...] = ()


def from_params(params: Mapping[str, Any]) -> Desired:
    name, wish = name_and_wish(params, NETWORK, wish_from_options(params))
    return Desired(name, params["state"], wish, params["autostart"], params["restart"] == "if_required")


__all__ = ["SPEC", "Observed", "Plug", "from_params"]
