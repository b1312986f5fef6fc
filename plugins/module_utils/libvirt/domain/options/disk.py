# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rows: disks, beneath what wish.py writes of them. Source: libvirt's formatdomain."""

from __future__ import annotations

from typing import Any, Mapping

from . import kinds as k
from .rows import Group, Row, Table

_LIMITS = [f"{which}_{what}_sec" for what in ("bytes", "iops") for which in ("total", "read", "write")]
_BURSTS = [f"{name}_max" for name in _LIMITS]

#: Protocols whose servers ask who one is → the kind of secret that libvirt then takes. Source: virDomainDiskDefParseValidate.
SECRET_TYPES = {"rbd": "ceph", "iscsi": "iscsi"}
_PROTOCOLS = ("nbd", "rbd", "sheepdog", "gluster", "iscsi", "http", "https", "ftp", "ftps", "tftp", "ssh")


def _network(values: Mapping[str, Any], name: str) -> None:
    protocol, auth = values["protocol"], values["auth"]
    if auth and any(auth.values()):
        if protocol not in SECRET_TYPES:
            raise k.bad(f"{name}.auth", protocol, f"takes no user from libvirt; leave it out, or use {' or '.join(sorted(SECRET_TYPES))}")
        if not auth.get("username") or bool(auth.get("secret_usage")) == bool(auth.get("secret_uuid")):
            raise k.bad(f"{name}.auth", auth.get("username"), "needs a secret as well: username, and one of secret_usage and secret_uuid")
    for host in values["hosts"] or ():
        if (host.get("transport") == "unix") != bool(host.get("socket")) or bool(host.get("socket")) == bool(host.get("name")):
            raise k.bad(f"{name}.hosts", host.get("name") or host.get("socket"), "is no server; give a name, or transport unix and a socket")


_HOST: Table = (
    Row("name", "@name", k.TEXT, "Its name or address."),
    Row("port", "@port", k.integer(1, 65535), "Its port. Libvirt knows that of each protocol."),
    Row("transport", "@transport", k.choice("tcp", "unix", "rdma"), "How it is reached."),
    Row("socket", "@socket", k.FILE, "The path of its socket, for V(unix)."),
)
_NETWORK = Group(
    "network",
    "source",
    "An image on a server, instead of O(disks[].path). The emulator itself speaks to the server.",
    (
        Row("protocol", "@protocol", k.choice(*_PROTOCOLS), "What is spoken.", required=True),
        Row(
            "name",
            "@name",
            k.TEXT,
            "The image: C(pool/image) for V(rbd), the target's IQN and C(/) and the LUN for V(iscsi), the path for V(https), the export for V(nbd).",
        ),
        Row("query", "@query", k.TEXT, "What stands behind the question mark in a URL."),
        Group("hosts", "host", "The servers, all of them.", _HOST, many=True),
        Row("tls", "@tls", k.YES_NO, "Whether a V(nbd) is encrypted."),
        Row("verify", "ssl@verify", k.YES_NO, "Whether the certificate of V(https) and V(ftps) is verified."),
        Row("snapshot", "snapshot@name", k.TEXT, "A snapshot of a V(rbd).", away="snapshot"),
        Row("config", "config@file", k.FILE, "The configuration of a V(rbd).", away="config"),
        Row("initiator", "initiator/iqn@name", k.TEXT, "The IQN that the host has for a V(iscsi).", away="initiator"),
        Row("timeout", "timeout@seconds", k.integer(0, 2**31 - 1, clears=0), "Seconds that V(https) and the like wait.", away="timeout"),
        Group(
            "auth",
            "auth",
            "Who one is, for V(rbd) and V(iscsi). An empty dictionary takes it away.",
            (
                Row("username", "@username", k.TEXT, "The user's name."),
                Row(
                    "secret_usage",
                    "secret@usage",
                    k.TEXT,
                    "The usage of the secret, see M(virtops.linux.libvirt_secret).",
                    more=(("no_log", False),),
                ),
                Row("secret_uuid", "secret@uuid", k.UUID, "The UUID of the secret, instead of its usage.", more=(("no_log", False),)),
            ),
        ),
    ),
    stays=True,
    check=_network,
)

DISK: Table = (
    _NETWORK,
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
