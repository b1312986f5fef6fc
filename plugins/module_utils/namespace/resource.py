# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rooms of this package, wired for the engine."""

from __future__ import annotations

from ..engine.run import Resource
from .apply import apply
from .model import SPEC, Desired, from_params
from .plan import facts, nothing, plan, view
from .read import read

# systemd says that a unit runs before its process has entered the namespaces.
_SETTLE_SECONDS = 10.0


def _settle(desired: Desired) -> float:
    return _SETTLE_SECONDS if desired.process and desired.process.args else 0.0


RESOURCE = Resource(spec=SPEC, from_params=from_params, read=read, plan=plan, apply=apply, view=view, nothing=nothing, facts=facts, settle=_settle)
