# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What images want of whoever runs guests. This package knows no libvirt: a module brings somebody who does."""

from __future__ import annotations

from typing import Optional, Protocol, Tuple

from ..engine.host import Host


class Guests(Protocol):
    """uri: of the hypervisor's connection. Where nobody can be asked, nothing is known."""

    def disk(self, host: Host, uri: str, identity: Tuple[int, int]) -> Optional[Tuple[str, str]]:
        """The running guest whose own disk a file is (device and inode), and the name of that disk in the guest."""

    def resize(self, host: Host, uri: str, guest: str, disk: str, size: int) -> None:
        """Grow the disk of a running guest. size: bytes."""

    def folders(self, host: Host, uri: str) -> Tuple[str, ...]:
        """Where images of guests are: other folders in which an image may have dependents."""

    def disks(self, host: Host, uri: str) -> Tuple[Tuple[str, str], ...]:
        """Of all guests, running or not, the name and the file of each disk."""
