# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When an image may become smaller: where it is known that nothing would be lost."""

from __future__ import annotations

from typing import Optional

from ..engine.errors import Failure
from .model import Desired, Image, Observed
from .options import shown
from .plan_making import has_dependents


def shrinks(image: Optional[Image], desired: Desired) -> bool:
    """Whether the image is larger than it may be, and may be shrunk."""
    return bool(desired.allow_shrink and image and image.size and desired.size is not None and desired.size < image.size)


def check_shrink(observed: Observed, image: Image, desired: Desired) -> None:
    """Failure C(shrink_refused), C(image_has_snapshots), C(image_has_dependents), C(format_required)."""
    path, layout, size = observed.path, observed.layout, desired.size or 0
    if image.format == "raw" and desired.format is None:
        raise Failure(
            f"{path}: nothing in the file says that it is an image; if it is a raw one, say format: raw to have it shrink", "format_required"
        )
    if image.snapshots:
        raise Failure(f"{path}: has snapshots of its present size; remove them first with qemu-img snapshot -d", "image_has_snapshots")
    if observed.dependents:
        raise has_dependents(path, observed.dependents, ", which would lose what is behind; flatten those first")
    if layout is None:  # encrypted, corrupt: refused with that reason when the change is looked at as a whole
        return
    if layout.end is None:
        raise Failure(
            f"{path}: cannot be shrunk to {shown(size)}, since nobody can tell where its contents end: {layout.what}; "
            "copy what is in it to a smaller image",
            "shrink_refused",
        )
    if layout.end > size:
        raise Failure(
            f"{path}: {layout.what} ends at {shown(layout.end)}, and {shown(size)} would cut it off; shrink that first, from within a guest",
            "shrink_refused",
        )
