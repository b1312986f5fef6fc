# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Why libvirt's own definition of a file is not what the file says, so that the same file is a change (and, once, a warning)."""

from __future__ import annotations

from typing import Dict

_DROPPED = "libvirt takes it without a word and does not keep it, because this kind of interface cannot have it"
_LABEL = "depends on the host: where no security driver with labels runs, libvirt makes another label of it"

REASONS: Dict[str, str] = {
    "channel-virtio-autoassign": "the bus of a virtio-serial address is always 0, and libvirt puts it so",
    "console-compat2": "the first console is the first serial port, whatever the file calls it",
    "metadata-duplicate": "elements of metadata that come more than once are kept once",
    "net-hostdev-fail": _DROPPED,
    "net-vhostuser-fail": _DROPPED,
    "numad-auto-memory-vcpu-no-cpuset-and-placement": "with memory placed by numad, libvirt places the CPUs by numad as well",
    "numavcpus-topology-mismatch": "CPUs in no cell are put into the first one",
    "seclabel-dynamic-none-relabel": _LABEL,
    "seclabel-dynamic-relabel": _LABEL,
    "tap-vhost-incorrect": _DROPPED,
}
