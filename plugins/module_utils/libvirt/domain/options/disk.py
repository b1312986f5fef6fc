# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rows: disks, beneath what wish.py writes of them. Source: libvirt's formatdomain."""

from __future__ import annotations

from . import kinds as k
from .rows import Group, Row, Table

_LIMITS = [f"{which}_{what}_sec" for what in ("bytes", "iops") for which in ("total", "read", "write")]
_BURSTS = [f"{name}_max" for name in _LIMITS]

DISK: Table = (
    Row("cache", "driver@cache", k.choice("default", "none", "writethrough", "writeback", "directsync", "unsafe"), "How the host caches it."),
    Row("io", "driver@io", k.choice("threads", "native", "io_uring"), "How the host reads and writes it."),
    Row("discard", "driver@discard", k.choice("unmap", "ignore"), "Whether blocks that the guest gives up are given up on the host."),
    Row("detect_zeroes", "driver@detect_zeroes", k.choice("off", "on", "unmap"), "What becomes of zeroes that the guest writes."),
    Row("error_policy", "driver@error_policy", k.choice("stop", "report", "ignore", "enospace"), "What happens when writing fails."),
    Row("rerror_policy", "driver@rerror_policy", k.choice("stop", "report", "ignore"), "What happens when reading fails."),
    Row("copy_on_read", "driver@copy_on_read", k.ON_OFF, "Whether what is read of a backing file is kept."),
    Row("iothread", "driver@iothread", k.integer(0, 1000, clears=0), "The number of the thread of O(iothreads) that serves it."),
    Row("queues", "driver@queues", k.integer(0, 1024, clears=0), "How many queues a virtio disk has."),
    Row("shareable", "shareable", k.PRESENT, "Whether several guests may have it."),
    Row("snapshot", "@snapshot", k.choice("internal", "external", "manual", "no"), "How snapshots of it are made."),
    Row("startup_policy", "source@startupPolicy", k.choice("mandatory", "requisite", "optional"), "What happens when its file is missing."),
    Row("wwn", "wwn", k.TEXT, "The World Wide Name that the guest sees, 16 hexadecimal digits."),
    Row("vendor", "vendor", k.TEXT, "The vendor that the guest sees on the bus scsi."),
    Row("product", "product", k.TEXT, "The product that the guest sees on the bus scsi."),
    Row("rotation_rate", "target@rotation_rate", k.integer(0, 65534, clears=0), "Turns a minute that the guest sees; V(1) is none, as an SSD has."),
    Row("removable", "target@removable", k.ON_OFF, "Whether a disk on the bus usb can be taken out."),
    Row("logical_block_size", "blockio@logical_block_size", k.integer(512, 32768), "Bytes in a block that the guest sees."),
    Row("physical_block_size", "blockio@physical_block_size", k.integer(512, 32768), "Bytes in a block of the medium that the guest sees."),
    Group(
        "iotune",
        "iotune",
        "How much of it the guest may use. An empty dictionary takes it away.",
        (
            *(
                Row(name, name, k.RATE if "bytes" in name else k.LIMIT, f"{'Bytes, with a unit,' if 'bytes' in name else 'Requests'} a second.")
                for name in _LIMITS
            ),
            *(
                Row(
                    name,
                    name,
                    k.RATE if "bytes" in name else k.LIMIT,
                    f"{'Bytes, with a unit,' if 'bytes' in name else 'Requests'} a second in a burst.",
                )
                for name in _BURSTS
            ),
        ),
    ),
)
