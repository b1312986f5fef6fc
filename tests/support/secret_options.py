# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of secrets and their cases, and what becomes of a secret that is there already."""

from __future__ import annotations

from support.option_cases import Options

AT_ONCE = "A secret that is there gets it at once."
NEXT_START = "A secret that is there gets it at once, a pool or a guest that is active already at its next start."
FIXED = "It cannot change."
ONE_WAY = "A secret that is there gets it at once, and it cannot be undone."
#: Option → what its documentation says of when it takes effect.
EFFECTS = {
    "uuid": FIXED,
    "usage": FIXED,
    "description": AT_ONCE,
    "ephemeral": AT_ONCE,
    "private": ONE_WAY,
    "value": NEXT_START,
    "encoding": NEXT_START,
}

UUID = "d0c1a2b3-1111-4222-8333-76742d736563"
_USAGE = {"type": "ceph", "id": "vt secret"}
#: There and back.
CASES: dict[str, tuple[Options, Options]] = {
    "all that may change": (
        {"description": "one <two> & 'three'", "ephemeral": True, "value": "vt-hidden-1"},
        {"description": "", "ephemeral": False, "value": "vt-hidden-2"},
    ),
    "the same letters": ({"value": "dnQx", "encoding": "text"}, {"value": "dnQx", "encoding": "base64"}),
}
#: There, and the code of the refusal of the other.
REFUSED: dict[str, tuple[Options, Options, str]] = {
    "private": ({"uuid": UUID, "usage": _USAGE, "private": True}, {"uuid": UUID, "private": False}, "private_secret"),
    "usage": ({"uuid": UUID, "usage": _USAGE}, {"uuid": UUID, "usage": {"type": "iscsi", "id": "vt other"}}, "usage_differs"),
    "uuid": ({"uuid": UUID, "usage": _USAGE}, {"uuid": UUID[:-1] + "4", "usage": _USAGE}, "usage_in_use"),
}
