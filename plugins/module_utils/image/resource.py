# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rooms of this package, wired for the engine."""

from __future__ import annotations

from typing import Any

from ..engine.host import Host
from ..engine.plan import Action
from ..engine.run import Resource
from .apply import apply
from .guests import Guests
from .model import SPEC, Desired, Observed
from .params import from_params
from .plan import nothing, plan
from .read import read
from .view import facts, view


def image_resource(guests: Guests) -> Resource[Host, Desired, Observed]:
    """guests: whoever knows whose disks the images are."""

    def read_here(host: Host, desired: Desired) -> Observed:
        return read(host, desired, guests)

    def apply_here(host: Host, action: Action) -> None:
        apply(host, action, guests)

    options: Any = {"from_params": from_params, "plan": plan, "view": view, "nothing": nothing, "facts": facts}
    return Resource(spec=SPEC, read=read_here, apply=apply_here, **options)
