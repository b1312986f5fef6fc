# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of volumes and their cases, and what becomes of a volume that is there already and was made otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from support.option_cases import Options

AT_ONCE = "A volume that is there gets it at once."
REFUSED = "Refused where a volume is there that has another one."
KEPT = "A volume that is there keeps what it has."
_AS_OPTIONS = "A volume that is there keeps what it has of this. What has an option takes effect as that option does."
#: Option → what its documentation says of a volume that is there.
EFFECTS = {
    "xml": _AS_OPTIONS,
    "capacity": AT_ONCE,
    "allocation": KEPT,
    "format": REFUSED,
    "backing": REFUSED,
    "backing.format": KEPT,
    "clone": KEPT,
    "source": KEPT,
}


#: Option → what libvirt shows of it.
FIELDS = {
    "capacity": "capacity",
    "allocation": "allocation",
    "format": "target/format@type",
    "backing.path": "backingStore/path",
    "backing.format": "backingStore/format@type",
}
FOLDER = "/var/lib/libvirt/vt-volumes"


@dataclass(frozen=True)
class Case:
    """A volume, and another. effect: what becomes of the one where it is there and the other is asked for. code: of a refusal."""

    one: Options
    other: Options
    effect: str
    code: str = ""


CASES: dict[str, Case] = {
    "capacity": Case({"capacity": "4M", "allow_shrink": True}, {"capacity": "5M", "allow_shrink": True}, AT_ONCE),
    "allocation": Case({"capacity": "4M", "allocation": "0"}, {"capacity": "4M", "allocation": "2M"}, KEPT),
    "format": Case({"capacity": "4M", "format": "raw"}, {"capacity": "4M", "format": "qcow2"}, REFUSED, "format_differs"),
    "backing": Case(
        {"capacity": "4M", "format": "qcow2", "backing": {"path": f"{FOLDER}/one", "format": "qcow2"}},
        {"capacity": "4M", "format": "qcow2", "backing": {"path": f"{FOLDER}/two", "format": "qcow2"}},
        REFUSED,
        "backing_differs",
    ),
    "the format of what it stands on": Case(
        {"capacity": "4M", "format": "qcow2", "backing": {"path": f"{FOLDER}/one", "format": "qcow2"}},
        {"capacity": "4M", "format": "qcow2", "backing": {"path": f"{FOLDER}/one", "format": "raw"}},
        KEPT,
    ),
}
