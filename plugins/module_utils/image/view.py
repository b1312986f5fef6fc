# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An image as results and diffs show it."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ..engine.units import human_size
from .model import Desired, Image, Observed


def view(observed: Observed, desired: Desired) -> Dict[str, Any]:
    """What was asked for, and what a new image gets otherwise: with a source, whose header nobody has read yet, that is little.
    The rest is in facts."""
    image, origin = observed.image, desired.origin
    result: Dict[str, Any] = {"path": observed.path, "state": "absent" if image is None else "present"}
    if image is not None:
        result["format"] = image.format
        if origin is None or desired.size is not None:
            result.update(_shown_size(image))
        result["backing_file"] = image.backing_file
        result["backing_format"] = image.backing_format
        result.update({name: value for name, value in image.options.given().items() if origin is None or name in desired.options.given()})
        result["encryption"] = _encryption(observed)
        result.update(owner=image.owner if desired.owner else None, group=image.group if desired.group else None, mode=image.mode)
        if observed.selinux:
            result.update({name: getattr(image.context, name, None) for name in desired.context.given()})
        if origin is not None and image.made_of is not None:
            result["source"] = image.made_of.source
            if origin.checksum and (origin.checksum.value or desired.recreate):
                sum_ = image.made_of.sums.get(origin.checksum.algorithm)
                result["checksum"] = f"{origin.checksum.algorithm}:{sum_}" if sum_ else None
    if observed.leftovers:
        result["leftovers"] = list(observed.leftovers)
    return {key: value for key, value in result.items() if value is not None}


def _encryption(observed: Observed) -> Optional[Dict[str, Any]]:
    """opened_by: of the passphrases that were given, those that open it."""
    if observed.image is None or observed.image.encryption is None:
        return None
    tried = [("secret", observed.opens), ("old_secret", observed.old_opens)]
    opened_by = [name for name, opens in tried if opens]
    return {**observed.image.encryption.given(), **({"opened_by": opened_by} if opened_by else {})}


def facts(observed: Observed) -> Dict[str, Any]:
    image = observed.image
    if image is None:
        return {}
    found = {**_shown_size(image), **image.options.given(), "actual_size": image.actual_size, "owner": image.owner, "group": image.group}
    if image.made_of is not None:
        found["source"] = image.made_of.source
    return {key: value for key, value in found.items() if value is not None}


def _shown_size(image: Image) -> Dict[str, Any]:
    return {"size": image.size, "human_size": None if image.size is None else human_size(image.size)}
