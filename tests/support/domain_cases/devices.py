# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two values for each option of the devices."""

from __future__ import annotations

from typing import Any

from support.domain_cases.case import Case, Options

_IMAGE = {"path": "/srv/vt-a.img"}
_NIC = {"type": "network", "source": "vt-none", "mac": "52:54:00:ab:00:01"}
_DIRECT = {"type": "direct", "source": "vt-none0", "mac": "52:54:00:ab:00:02"}


def _disks(first: Options, scsi: Options, usb: Options) -> list[Options]:
    kinds = ({"bus": "virtio", "target": "vda"}, {"bus": "scsi", "target": "sda"}, {"bus": "usb", "target": "sdb"})
    return [{**_IMAGE, **kind, **more} for kind, more in zip(kinds, (first, scsi, usb))]


_UUID = "09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4"


def _server(protocol: str, name: str, **more: Any) -> Options:
    return {"network": {"protocol": protocol, "name": name, "hosts": [{"name": "203.0.113.5"}], **more}}


DEVICES: dict[str, Case] = {
    "disks": Case(
        {
            "disks": _disks(
                {
                    "cache": "none",
                    "io": "native",
                    "discard": "unmap",
                    "detect_zeroes": "on",
                    "error_policy": "stop",
                    "rerror_policy": "report",
                    "copy_on_read": True,
                    "iothread": 1,
                    "queues": 2,
                    "snapshot": "external",
                    "startup_policy": "optional",
                    "logical_block_size": 512,
                    "physical_block_size": 512,
                    "iotune": {"total_bytes_sec": "1M", "read_iops_sec": 10, "write_iops_sec": 20, "total_bytes_sec_max": "2M"},
                },
                {
                    "shareable": True,
                    "wwn": "5000c50015ea71aa",
                    "vendor": "ACME & Co"[:8],
                    "product": "DISK",
                    "rotation_rate": 7200,
                    "iotune": {
                        "read_bytes_sec": "1M",
                        "write_bytes_sec": "1000B",
                        "total_iops_sec": 7,
                        "read_bytes_sec_max": "4M",
                        "write_bytes_sec_max": "5M",
                    },
                },
                {"removable": True, "iotune": {"read_iops_sec": 5, "write_iops_sec": 5, "read_iops_sec_max": 50, "write_iops_sec_max": 60}},
            )
        },
        {
            "disks": _disks(
                {
                    "cache": "writethrough",
                    "io": "threads",
                    "discard": "ignore",
                    "detect_zeroes": "off",
                    "error_policy": "report",
                    "rerror_policy": "stop",
                    "copy_on_read": False,
                    "iothread": 2,
                    "queues": 0,
                    "snapshot": "internal",
                    "startup_policy": "mandatory",
                    "logical_block_size": 4096,
                    "physical_block_size": 4096,
                    "iotune": {"total_bytes_sec": "2M", "read_iops_sec": 11, "write_iops_sec": 21, "total_bytes_sec_max": "3M"},
                },
                {
                    "shareable": False,
                    "wwn": "",
                    "vendor": "OTHER",
                    "product": "DRIVE",
                    "rotation_rate": 1,
                    "iotune": {
                        "total_iops_sec": 8,
                        "read_bytes_sec": "2M",
                        "write_bytes_sec": "2M",
                        "read_bytes_sec_max": "6M",
                        "write_bytes_sec_max": "7M",
                    },
                },
                {"removable": False, "iotune": {"read_iops_sec": 6, "write_iops_sec": 6, "read_iops_sec_max": 51, "write_iops_sec_max": 61}},
            )
        },
        {"iothreads": 2},
    ),
    "drives": Case(
        {
            "disks": [
                {"device": "floppy"},
                {"device": "lun", "path": "/dev/vt-a"},
            ]
        },
        {
            "disks": [
                {"device": "floppy", "path": "/srv/vt.flp"},
                {"device": "lun", "path": "/dev/vt-b"},
            ]
        },
    ),
    "limits": Case(
        {"disks": [{**_IMAGE, "target": "vda", "iotune": {"total_iops_sec": 4, "total_iops_sec_max": 9}}]},
        {"disks": [{**_IMAGE, "target": "vda", "iotune": {"total_iops_sec": 5, "total_iops_sec_max": 8}}]},
    ),
    "disks of servers": Case(
        {
            "disks": [
                _server(
                    "rbd",
                    "vt-pool/a & b",
                    hosts=[{"name": "203.0.113.5", "port": 6789}, {"name": "b.example.org", "port": 6790}],
                    snapshot="one",
                    config="/srv/vt-a.conf",
                    auth={"username": "vt", "secret_usage": "a <b>"},
                ),
                _server("iscsi", "iqn.2026-01.example:a/1", initiator="iqn.2026-01.example:b", auth={"username": "vt", "secret_uuid": _UUID + "a"}),
                _server("nbd", "one", hosts=[{"transport": "unix", "socket": "/srv/vt-a.sock"}]),
                _server("nbd", "two", tls=True, hosts=[{"name": "203.0.113.6", "port": 10810, "transport": "tcp"}]),
                _server("https", "/a b.iso", query="c=d&e", verify=True, timeout=7),
            ]
        },
        {
            "disks": [
                _server(
                    "rbd",
                    "vt-pool/c",
                    hosts=[{"name": "203.0.113.7", "port": 6791}],
                    snapshot="",
                    config="/srv/vt-b.conf",
                    auth={"username": "tv", "secret_usage": "c"},
                ),
                _server("iscsi", "iqn.2026-01.example:c/2", initiator="iqn.2026-01.example:d", auth={"username": "vt", "secret_uuid": _UUID + "b"}),
                _server("nbd", "", hosts=[{"transport": "unix", "socket": "/srv/vt-b.sock"}]),
                _server("nbd", "three", tls=False, hosts=[{"transport": "unix", "socket": "/srv/vt-c.sock"}]),
                _server("ftps", "c.iso", verify=False, timeout=9),
            ]
        },
    ),
    "other disks of servers": Case(
        {
            "disks": [
                {**_server("iscsi", "iqn.2026-01.example:a"), "device": "lun", "bus": "scsi"},
                _server("rbd", "a/b", auth={"username": "vt", "secret_usage": "a"}),
                _server("https", "/a", query="b", hosts=[{"name": "a.example.org"}]),
            ]
        },
        {
            "disks": [
                {**_server("iscsi", "iqn.2026-01.example:b"), "device": "lun", "bus": "scsi"},
                _server("rbd", "a/b", auth={"username": "vt", "secret_uuid": _UUID + "a"}),
                _server("https", "/a", query="c", hosts=[{"name": "b.example.org"}]),
            ]
        },
    ),
    "interfaces": Case(
        {
            "interfaces": [
                {
                    **_NIC,
                    "portgroup": "a",
                    "target": "vt-op0",
                    "mtu": 1400,
                    "link": "down",
                    "queues": 4,
                    "driver": "vhost",
                    "isolated": True,
                    "trust_guest_rx_filters": True,
                    "filter": "clean-traffic",
                    "filter_parameters": {"IP": "198.51.100.4"},
                    "bandwidth": {
                        "inbound": {"average": 1000, "peak": 2000, "burst": 512, "floor": 100},
                        "outbound": {"average": 10, "peak": 20, "burst": 30},
                    },
                },
                {**_DIRECT, "mode": "bridge", "vlan": {"trunk": True, "tags": [{"id": 4}, {"id": 5, "native_mode": "tagged"}]}},
            ]
        },
        {
            "interfaces": [
                {
                    **_NIC,
                    "portgroup": "",
                    "target": "vt-op1",
                    "mtu": 0,
                    "link": "up",
                    "queues": 2,
                    "driver": "qemu",
                    "isolated": False,
                    "trust_guest_rx_filters": False,
                    "filter": "no-arp-spoofing",
                    "filter_parameters": {"IP": "198.51.100.5", "MAC": "52:54:00:ab:00:01"},
                    "bandwidth": {
                        "inbound": {"average": 1001, "peak": 2001, "burst": 513, "floor": 101},
                        "outbound": {"average": 11, "peak": 21, "burst": 31},
                    },
                },
                {**_DIRECT, "mode": "private", "vlan": {"trunk": False, "tags": [{"id": 6}]}},
            ]
        },
    ),
    "ports of switches": Case(
        {
            "interfaces": [
                {**_NIC, "virtualport": {"type": "openvswitch", "interfaceid": "09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f", "profileid": "a"}, "vlan": {}},
                {**_DIRECT, "vlan": {"trunk": True, "tags": [{"id": 7, "native_mode": "untagged"}]}},
            ]
        },
        {
            "interfaces": [
                {
                    **_NIC,
                    "virtualport": {"type": "openvswitch", "interfaceid": "09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4e", "profileid": "b"},
                    "vlan": {"tags": [{"id": 9}]},
                },
                {**_DIRECT, "vlan": {"trunk": True, "tags": [{"id": 8, "native_mode": "tagged"}]}},
            ]
        },
    ),
    "midonet": Case(
        {"interfaces": [{**_NIC, "virtualport": {"type": "midonet", "interfaceid": "09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f"}}]},
        {"interfaces": [{**_NIC, "virtualport": {"type": "openvswitch", "interfaceid": "09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4e"}}]},
    ),
    "serial": Case(
        {
            "serial": [
                {"type": "tcp", "mode": "bind", "host": "127.0.0.1", "service": 4555, "protocol": "telnet", "log": "/var/log/libvirt/vt-a.log"},
                {"type": "file", "path": "/srv/vt-a.out", "append": True, "target": "isa-serial"},
            ]
        },
        {
            "serial": [
                {"type": "tcp", "mode": "connect", "host": "127.0.0.2", "service": 4556, "protocol": "raw", "log": ""},
                {"type": "unix", "path": "/srv/vt-b.sock", "mode": "bind", "target": "pci-serial"},
            ]
        },
    ),
    "fewer serial": Case(
        {"serial": [{"type": "pty"}, {"type": "file", "path": "/srv/vt-a.out", "append": False}]},
        {"serial": [{"type": "file", "path": "/srv/b", "append": True}]},
    ),
    "no serial": Case({"serial": [{"type": "null"}]}, {"serial": []}),
    "devices": Case(
        {
            "video": {"model": "qxl", "vram": "64M", "ram": "64M", "vgamem": "16M", "heads": 1},
            "tpm": {"model": "tpm-tis", "type": "passthrough", "device": "/dev/tpm0"},
            "watchdog": {"model": "i6300esb", "action": "reset"},
            "vsock": {"model": "virtio", "cid": "auto"},
            "rng": {"model": "virtio", "backend": "/dev/urandom", "rate": {"bytes": 1024, "period": 500}},
            "channels": [
                {"name": "vt.a & b", "type": "unix", "path": "/srv/vt-a.sock", "mode": "bind"},
                {"name": "vt.c", "type": "pty"},
                {"name": "org.qemu.guest_agent.0", "type": "unix"},
            ],
            "memballoon_autodeflate": True,
            "memballoon_free_page_reporting": True,
            "memballoon_stats_period": 5,
            "hostdevs": [
                {
                    "type": "pci",
                    "address": "0000:01:00.0",
                    "managed": True,
                    "rom_bar": True,
                    "rom_file": "/srv/vt.rom",
                    "boot_order": 1,
                },
                {"type": "usb", "vendor": "0x1d6b", "product": "0002", "startup_policy": "optional", "managed": False},
            ],
            "filesystems": [
                {"target": "a", "source": "/srv/a", "driver": "path", "accessmode": "mapped", "fmode": "0600", "dmode": "0700", "readonly": True},
                {
                    "target": "b",
                    "source": "/srv/b",
                    "driver": "virtiofs",
                    "queue": 512,
                    "binary": "/usr/libexec/vt-a",
                    "xattr": True,
                    "cache": "always",
                },
            ],
        },
        {
            "video": {"model": "qxl", "vram": "32M", "ram": "32M", "vgamem": "8M", "heads": 2},
            "tpm": {"model": "tpm-crb", "type": "passthrough", "device": "/dev/tpm1"},
            "watchdog": {"model": "ib700", "action": "poweroff"},
            "vsock": {"model": "virtio-non-transitional", "cid": "17"},
            "rng": {"model": "virtio-transitional", "backend": "/dev/hwrng", "rate": {"bytes": 2048, "period": 600}},
            "channels": [
                {"name": "vt.a & b", "type": "unix", "path": "/srv/vt-b.sock", "mode": "connect"},
                {"name": "vt.d", "type": "null"},
                {"name": "org.qemu.guest_agent.0", "type": "unix"},
            ],
            "memballoon_autodeflate": False,
            "memballoon_free_page_reporting": False,
            "memballoon_stats_period": 6,
            "hostdevs": [
                {
                    "type": "pci",
                    "address": "0000:02:1f.7",
                    "managed": False,
                    "rom_bar": False,
                    "rom_file": "/srv/vt2.rom",
                    "boot_order": 0,
                },
                {"type": "usb", "vendor": "0x1d6c", "product": "0x0003", "startup_policy": "mandatory", "managed": False},
            ],
            "filesystems": [
                {"target": "c", "source": "/srv/c", "driver": "path", "accessmode": "squash", "readonly": False},
                {
                    "target": "b",
                    "source": "/srv/d",
                    "driver": "virtiofs",
                    "queue": 1024,
                    "binary": "/usr/libexec/vt-b",
                    "xattr": False,
                    "cache": "none",
                },
            ],
        },
        {"memballoon": True, "memory_backing": {"source": "memfd", "access": "shared"}},
    ),
    "other devices": Case(
        {
            "video": {"model": "virtio", "accel3d": True},
            "tpm": {},
            "watchdog": {"model": "i6300esb", "action": "none"},
            "vsock": {"cid": "9"},
            "rng": {"backend": "builtin"},
            "channels": [{"name": "com.redhat.spice.0", "type": "spicevmc"}],
            "hostdevs": [
                {"type": "usb", "address": "1.4"},
                {"type": "mdev", "uuid": _UUID + "a", "model": "vfio-pci", "display": True, "ramfb": True},
            ],
            "filesystems": [
                {"target": "s", "socket": "/srv/vt-a.sock", "driver": "virtiofs"},
                {"target": "m", "source": "/srv", "accessmode": "mapped", "fmode": "0644", "dmode": "0755"},
            ],
        },
        {
            "video": {"model": "virtio", "accel3d": False},
            "tpm": {"model": "tpm-tis", "type": "passthrough"},
            "watchdog": {},
            "vsock": {},
            "rng": {"backend": "/dev/urandom", "rate": {}},
            "channels": [],
            "hostdevs": [{"type": "usb", "address": "2.5"}],
            "filesystems": [
                {"target": "s", "socket": "/srv/vt-b.sock", "driver": "virtiofs"},
                {"target": "m", "source": "/srv", "accessmode": "mapped", "fmode": "0600", "dmode": "0700"},
            ],
        },
        {"memory_backing": {"source": "memfd", "access": "shared"}, "graphics": {"type": "spice", "listen": "127.0.0.1"}},
    ),
}
