# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of pools and their cases, one for each type, and when an active pool gets what changes."""

from __future__ import annotations

from dataclasses import dataclass

from support.option_cases import Options

#: Option → the field of the definition that it is. What has no row is a part of what the row above it says.
FIELDS = {
    "type": "@type",
    "source": "source",
    "source.name": "source/name",
    "source.hosts": "source/host",
    "source.devices": "source/device",
    "source.dir": "source/dir",
    "source.format": "source/format",
    "source.initiator": "source/initiator",
    "source.adapter": "source/adapter",
    "source.protocol_version": "source/protocol",
    "source.auth": "source/auth",
    "target": "target/path",
    "target.mode": "target/permissions/mode",
    "target.owner": "target/permissions/owner",
    "target.group": "target/permissions/group",
}
BUILT = "It is given to a directory that is built, and to no other."
#: Option → what its documentation says of when it takes effect. Nothing in an active pool changes before it starts again.
EFFECTS = {
    **dict.fromkeys(("type", "source", "target"), "An active pool gets it at its next start."),
    **dict.fromkeys(("target.mode", "target.owner", "target.group"), BUILT),
}

_HERE = "test_an_active_pool_has_pending_fields_until_it_is_restarted has one that is active"
_NO_SERVER = "there is no such server to start it with"
_NO_DEVICE = "starting it would write to devices of this machine, or takes some that it has not"
_ADDRESS = "203.0.113.9"
_UUID = "11111111-2222-3333-4444-555555555555"


@dataclass(frozen=True)
class Case:
    """one, other: the options. word: what libvirt must have got of the one. inactive: why the pool is defined and not started.

    unpacked: whether this machine's libvirt need not know the type, so that one of its own with more back ends is asked.
    missing: the words of libvirt's refusal where no Debian has the back end.
    """

    one: Options
    other: Options
    word: str
    inactive: str
    unpacked: bool = False
    missing: str = ""


CASES: dict[str, Case] = {
    "dir": Case(
        {"type": "dir", "target": {"path": "/srv/vt//one/", "mode": "711", "owner": 0, "group": 0}},
        {"type": "dir", "target": {"path": "/srv/vt/two", "mode": "0700", "owner": 7, "group": -1}},
        "<path>/srv/vt/one</path>",
        _HERE,
    ),
    "fs": Case(
        {"type": "fs", "source": {"devices": ["/dev/vt1"], "format": "auto"}, "target": {"path": "/srv/vt"}},
        {"type": "fs", "source": {"devices": ["/dev/vt2"], "format": "xfs"}},
        "<device path='/dev/vt1'/>",
        _HERE,
    ),
    "netfs": Case(
        {
            "type": "netfs",
            "source": {"hosts": [{"name": _ADDRESS}], "dir": "/export/", "format": "nfs", "protocol_version": ""},
            "target": {"path": "/srv/vt"},
        },
        {"type": "netfs", "source": {"hosts": [{"name": "203.0.113.10"}], "dir": "/other", "protocol_version": "4.2"}},
        "<format type='nfs'/>",
        _NO_SERVER,
    ),
    "logical": Case(
        {"type": "logical", "source": {"devices": ["/dev/vt1"], "name": "vt"}},
        {"type": "logical", "source": {"devices": ["/dev/vt1", "/dev/vt2"], "name": "vt2"}},
        "<path>/dev/vt</path>",
        _NO_DEVICE,
    ),
    "disk": Case(
        {"type": "disk", "source": {"devices": ["/dev/vt1"], "format": "gpt"}, "target": {"path": "/dev"}},
        {"type": "disk", "source": {"format": "dos"}},
        "<format type='gpt'/>",
        _NO_DEVICE,
    ),
    "iscsi": Case(
        {
            "type": "iscsi",
            "source": {
                "hosts": [{"name": _ADDRESS, "port": 3260}],
                "devices": ["iqn.2013-06.com.example:vt"],
                "initiator": "iqn.2013-06.com.example:me",
                "auth": {"type": "chap", "username": "me", "secret_usage": "vt"},
            },
            "target": {"path": "/dev/disk/by-path"},
        },
        {"type": "iscsi", "source": {"initiator": "", "auth": {"type": "chap", "username": "you", "secret": _UUID}}},
        "<secret usage='vt'/>",
        _NO_SERVER,
    ),
    "scsi": Case(
        {"type": "scsi", "source": {"adapter": "scsi_host77"}, "target": {"path": "/dev/disk/by-path"}},
        {"type": "scsi", "source": {"adapter": "scsi_host78"}},
        "name='scsi_host77'",
        _NO_DEVICE,
    ),
    "mpath": Case({"type": "mpath", "target": {"path": "/dev/mapper"}}, {"target": {"path": "/dev/vt"}}, "<path>/dev/mapper</path>", _NO_DEVICE),
    "another type": Case(
        {"type": "dir", "target": {"path": "/srv/vt"}},
        {"type": "netfs", "source": {"hosts": [{"name": _ADDRESS}], "dir": "/export"}, "target": {"path": "/srv/vt"}},
        "<pool type='dir'>",
        _HERE,
    ),
    "zfs": Case(
        {"type": "zfs", "source": {"name": "vt/one", "devices": ["/dev/vt1"]}},
        {"source": {"name": "vt/two", "devices": []}},
        "<name>vt/one</name>",
        _NO_DEVICE,
        unpacked=True,
    ),
    "rbd": Case(
        {
            "type": "rbd",
            "source": {
                "name": "vt",
                "hosts": [{"name": _ADDRESS, "port": 6789}, {"name": "203.0.113.10"}],
                "auth": {"type": "ceph", "username": "vt", "secret_usage": "a & b"},
            },
        },
        {
            "source": {
                "name": "other",
                "hosts": [{"name": "203.0.113.10", "port": 6790}],
                "auth": {"type": "ceph", "username": "you", "secret_usage": "c"},
            }
        },
        "<secret usage='a &amp; b'/>",
        _NO_SERVER,
        unpacked=True,
    ),
    "secrets by uuid": Case(
        {
            "type": "rbd",
            "source": {"name": "vt", "hosts": [{"name": _ADDRESS}], "auth": {"type": "ceph", "username": "vt", "secret": _UUID}},
        },
        {"source": {"auth": {"type": "chap", "username": "vt", "secret": _UUID[:-1] + "6"}}},
        f"<secret uuid='{_UUID}'/>",
        _NO_SERVER,
        unpacked=True,
    ),
    "gluster": Case(
        {"type": "gluster", "source": {"name": "vt", "hosts": [{"name": _ADDRESS}], "dir": "/"}},
        {"source": {"name": "other", "hosts": [{"name": "203.0.113.10"}], "dir": "/below"}},
        "<name>vt</name>",
        _NO_SERVER,
        unpacked=True,
    ),
    "iscsi-direct": Case(
        {
            "type": "iscsi-direct",
            "source": {
                "hosts": [{"name": _ADDRESS}],
                "devices": ["iqn.2013-06.com.example:vt"],
                "initiator": "iqn.2013-06.com.example:me",
                "auth": {"type": "chap", "username": "me", "secret_usage": "vt"},
            },
        },
        {"source": {"initiator": "iqn.2013-06.com.example:you", "devices": ["iqn.2013-06.com.example:other"]}},
        "<iqn name='iqn.2013-06.com.example:me'/>",
        _NO_SERVER,
        unpacked=True,
    ),
    "vstorage": Case(
        {"type": "vstorage", "source": {"name": "vt"}, "target": {"path": "/srv/vt"}}, {}, "", _NO_SERVER, missing="missing backend for pool type"
    ),
}
