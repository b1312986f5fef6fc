# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is planned for the passphrases of encrypted images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Iterator, Optional, Tuple

from ..engine.errors import Failure
from .actions import ChangeSecret
from .encryption import Encryption, Secret
from .model import Desired, Image, Observed


def locked(after: Observed, desired: Desired) -> Observed:
    """What the passphrases will do."""
    locking = desired.locking
    if not (after.image and after.image.encryption and locking and locking.secret):
        return replace(after, opens=None, old_opens=None)
    return replace(after, opens=True, old_opens=False if locking.old else None)


def other_encryption(has: Optional[Encryption], wanted: Encryption) -> Iterator[Tuple[str, Any, Any]]:
    if has is None or wanted.format is None:
        if has or wanted.format:
            yield "encryption", has and has.format, wanted.format
        return
    for name, value in wanted.given().items():
        if getattr(has, name) != value:
            yield f"encryption.{name}", getattr(has, name), value


def secret_of(image: Optional[Image], desired: Desired) -> Optional[Secret]:
    return desired.locking.secret if desired.locking and image and image.encryption else None


def change_secret(observed: Observed, desired: Desired) -> Iterator[ChangeSecret]:
    check_opens(observed, desired)
    locking = desired.locking
    if locking and locking.secret and locking.old and observed.old_opens:
        yield ChangeSecret(observed.path, not observed.opens, True, locking.secret, locking.old, locking.iter_time)


def check_opens(observed: Observed, desired: Desired) -> None:
    if observed.opens is False and not (observed.old_opens and desired.present):
        neither = "neither passphrase opens" if observed.old_opens is False else "the passphrase does not open"
        raise Failure(f"{observed.path}: {neither} it; give the right one, and as old_secret the one that secret takes the place of", "wrong_secret")


def check_secret_given(path: str, image: Optional[Image], desired: Desired) -> None:
    """Failure C(image_encrypted) where a change needs a passphrase that nobody has given."""
    if image is None or image.encryption is None:
        return
    if image.encryption.format != "luks":
        raise Failure(f"{path}: encrypted in a way that qemu has given up; convert it with qemu-img first", "image_encrypted")
    if secret_of(image, desired) is None:
        raise Failure(
            f"{path}: encrypted, and cannot be changed without its passphrase; add encryption with secret or secret_file", "image_encrypted"
        )


def check_bases_readable(observed: Observed) -> None:
    """What is below an image has a passphrase of its own. Failure C(image_encrypted)."""
    base, image = observed.base, observed.image
    if (base and base.encrypted) or (image and image.backing_encrypted):
        below = base.path if base and base.encrypted else image.backing_path if image else ""
        raise Failure(
            f"{observed.path}: {below} is encrypted, or stands on an image that is, and its own passphrase is not known here; use qemu-img for that",
            "image_encrypted",
        )
