# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rooms of this package, wired for the engine."""

from __future__ import annotations

from ...engine.run import Resource
from ..connection import open_connection
from .apply import apply
from .model import SPEC, from_params
from .plan import facts, nothing, plan, view
from .read import read

RESOURCE = Resource(
    spec=SPEC, from_params=from_params, read=read, plan=plan, apply=apply, view=view, nothing=nothing, open=open_connection, facts=facts
)
