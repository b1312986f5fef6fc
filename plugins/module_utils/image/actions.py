# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that change images, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Tuple

from ..engine.plan import HIDDEN, Action
from .encryption import Locking, Secret
from .model import Origin


@dataclass(frozen=True)
class RemoveLeftovers(Action):
    """files: temporary files of interrupted runs."""

    files: Tuple[str, ...]


@dataclass(frozen=True)
class CreateImage(Action):
    """size: bytes; None where it will be that of a backing file that is not there yet. options: qemu-img's, by name.

    because: why an existing image is replaced; None where there is none. encryption: as options. locking: the same with its passphrase.
    context: of SELinux, as options.
    """

    format: str
    size: Optional[int]
    backing_file: Optional[str]
    backing_format: Optional[str]
    options: Mapping[str, Any]
    preallocation: Optional[str]
    owner: Optional[str]
    group: Optional[str]
    mode: str
    because: Optional[str] = None
    encryption: Optional[Mapping[str, str]] = None
    locking: Optional[Locking] = field(default=None, metadata=HIDDEN)
    context: Optional[Mapping[str, str]] = None


@dataclass(frozen=True)
class ImportImage(Action):
    """size: bytes; None for the source's own. options: those that were asked for. because, encryption, locking, context: as in CreateImage."""

    source: str
    checksum: Optional[str]
    format: str
    size: Optional[int]
    options: Mapping[str, Any]
    preallocation: Optional[str]
    owner: Optional[str]
    group: Optional[str]
    mode: str
    because: Optional[str]
    origin: Origin = field(metadata=HIDDEN)
    encryption: Optional[Mapping[str, str]] = None
    locking: Optional[Locking] = field(default=None, metadata=HIDDEN)
    context: Optional[Mapping[str, str]] = None


@dataclass(frozen=True)
class ChangeSecret(Action):
    """adds: the new passphrase opens the image from then on, and removes: the old one does not. iter_time: milliseconds."""

    adds: bool
    removes: bool
    secret: Secret = field(metadata=HIDDEN)
    old: Secret = field(metadata=HIDDEN)
    iter_time: Optional[int] = field(default=None, metadata=HIDDEN)


@dataclass(frozen=True)
class AmendImage(Action):
    """secret: here and below, what opens an image that is encrypted."""

    options: Mapping[str, Any]
    secret: Optional[Secret] = field(default=None, metadata=HIDDEN)


@dataclass(frozen=True)
class RebaseImage(Action):
    """backing_file: "" for none. copied: whether what the two backing files differ in goes into the image, so that a guest sees no difference."""

    backing_file: str
    backing_format: Optional[str]
    from_backing_file: Optional[str]
    copied: bool
    secret: Optional[Secret] = field(default=None, metadata=HIDDEN)


@dataclass(frozen=True)
class GrowImage(Action):
    """from_size, size: bytes, before and after."""

    format: str
    from_size: int
    size: int
    secret: Optional[Secret] = field(default=None, metadata=HIDDEN)


@dataclass(frozen=True)
class GrowGuestDisk(Action):
    """The image is the disk of a running guest, which sees it grow. from_size, size: bytes."""

    guest: str
    disk: str
    from_size: int
    size: int
    uri: str = field(metadata=HIDDEN)


@dataclass(frozen=True)
class ShrinkImage(Action):
    """from_size, size: bytes, before and after. loses_backup_table: the second copy of the partition table, at the end."""

    format: str
    from_size: int
    size: int
    loses_backup_table: bool
    secret: Optional[Secret] = field(default=None, metadata=HIDDEN)


@dataclass(frozen=True)
class CommitImage(Action):
    """What is in the image goes into its backing file. backing_file: the real path of that."""

    backing_file: str
    secret: Optional[Secret] = field(default=None, metadata=HIDDEN)


@dataclass(frozen=True)
class SetOwner(Action):
    owner: Optional[str]
    group: Optional[str]


@dataclass(frozen=True)
class SetMode(Action):
    mode: str


@dataclass(frozen=True)
class SetContext(Action):
    """context: the parts of its SELinux context that become others."""

    context: Mapping[str, str]


@dataclass(frozen=True)
class RemoveImage(Action):
    pass
