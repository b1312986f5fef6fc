# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When an image may be changed in place, beyond its owner, mode and context."""

from __future__ import annotations

from typing import Optional

from ..engine.errors import Failure
from .model import Desired, Image, Observed
from .plan_locking import check_secret_given
from .plan_making import has_dependents, in_use


def may_change(image: Optional[Image], desired: Desired) -> bool:
    """Whether what is asked for can lead to a change of the image itself, so that who stands on it has to be known."""
    if image is None:
        return False
    size = desired.size is not None and desired.size != image.size
    options = any(value != getattr(image.options, name) for name, value in desired.options.given().items())
    return size or options or desired.rebase is not None or bool(desired.locking and desired.locking.old)


def check_changeable(observed: Observed, image: Image, desired: Desired, purpose: str) -> None:
    """Failure C(image_in_use), C(image_has_dependents), C(image_encrypted), C(image_corrupt)."""
    path = observed.path
    if observed.busy:
        raise in_use(observed.busy, purpose)
    if observed.dependents and not desired.force:
        way_out = "flatten those first, or say force: true if they can bear it"
        raise has_dependents(path, observed.dependents, f", under which it is not changed; {way_out}")
    check_secret_given(path, image, desired)
    if image.corrupt:
        raise Failure(f"{path}: marked as corrupt; look at it with qemu-img check, and repair it with its -r all", "image_corrupt")
