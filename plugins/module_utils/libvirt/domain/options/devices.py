# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rows: other devices. New ones are virtio where there is a choice. Source: libvirt's formatdomain."""

from __future__ import annotations

from typing import Any, Mapping

from . import kinds as k
from .rows import Group, Row, Table


def _needs(*options: str) -> Any:
    def check(values: Mapping[str, Any], name: str) -> None:
        for option in options:
            if values[option] is None:
                raise k.bad(f"{name}.{option}", None, f"is none; say which, or give {name} an empty dictionary to take it away")

    return check


def _mediated(values: Mapping[str, Any], name: str) -> None:
    mediated = values["type"] == "mdev"
    for option in ("uuid", "model"):
        if mediated and not values[option]:
            raise k.bad(f"{name}.{option}", values[option], "is what a mediated device needs; add it")
    for option in ("address", "vendor", "product") if mediated else ("uuid", "model", "display", "ramfb"):
        if values[option] is not None:
            raise k.bad(f"{name}.{option}", values[option], f"is not for type {values['type']}; leave it out")


def _host_device(values: Mapping[str, Any], name: str) -> None:
    _mediated(values, name)
    address, product = values["address"], values["vendor"] and values["product"]
    if values["type"] == "pci" and (not address or values["vendor"] or values["product"]):
        raise k.bad(f"{name}.address", address, "is what a PCI device needs, and no more; give for example 0000:01:00.0")
    if values["type"] == "usb" and bool(address) == bool(product):
        raise k.bad(f"{name}.address", address, "is what a USB device needs, as bus.device, or vendor and product; give one of them")
    if address and (":" in address) != (values["type"] == "pci"):
        raise k.bad(f"{name}.address", address, f"is no address of type {values['type']}; write 0000:01:00.0 for pci, and 1.4 for usb")


def _directory(values: Mapping[str, Any], name: str) -> None:
    if not values["source"] and not values["socket"]:
        raise k.bad(f"{name}.source", values["source"], "is no directory of the host; give one, or socket for virtiofs")
    if values["driver"] != "virtiofs":
        for option in ("socket", "binary", "cache", "queue", "xattr"):
            if values[option] not in (None, ""):
                raise k.bad(f"{name}.{option}", values[option], "is for the driver virtiofs; leave it out, or add driver virtiofs")


def _port(values: Mapping[str, Any], name: str) -> None:
    wanted = {"file": ("path",), "dev": ("path",), "pipe": ("path",), "unix": ("path",), "tcp": ("host", "service")}.get(values["type"], ())
    for option in wanted:
        if values[option] in (None, ""):
            raise k.bad(f"{name}.{option}", values[option], f"is what type {values['type']} needs; add it")


def _named(values: Mapping[str, Any], name: str) -> None:
    if values["type"] != "unix":
        for option in ("path", "mode"):
            if values[option] not in (None, ""):
                raise k.bad(f"{name}.{option}", values[option], "is for type unix; leave it out")


#: Serial ports, of which wish.py makes the guest's console as well.
SERIAL: Table = (
    Group(
        "serial",
        "devices/serial",
        "Serial ports, all of them, of which the first is the guest's console. Instead of O(console) and O(console_log).",
        (
            Row("type", "@type", k.choice("pty", "file", "unix", "tcp", "dev", "pipe", "null", "stdio"), "Where it leads to.", required=True),
            Row("path", "source@path", k.FILE, "The path of a V(file), V(unix), V(dev) or V(pipe)."),
            Row("append", "source@append", k.ON_OFF, "Whether a V(file) is kept and written on."),
            Row("mode", "source@mode", k.choice("bind", "connect"), "Whether the host listens at a V(unix) or V(tcp), or connects to it."),
            Row("host", "source@host", k.TEXT, "The address of a V(tcp)."),
            Row("service", "source@service", k.integer(1, 65535), "The port of a V(tcp)."),
            Row("protocol", "protocol@type", k.choice("raw", "telnet", "telnets", "tls"), "What is spoken at a V(tcp)."),
            Row("log", "log@file", k.FILE, "A file on the host that gets all that it says.", away="log"),
            Row("target", "target@type", k.WORD, "The device that the guest sees, for example V(isa-serial)."),
        ),
        many=True,
        check=_port,
    ),
)

DEVICES: Table = (
    *SERIAL,
    Group(
        "video",
        "devices/video",
        "The graphics card, the only one. An empty dictionary takes it away; libvirt gives one back to a guest with O(graphics).",
        (
            Row(
                "model",
                "model@type",
                k.choice("virtio", "qxl", "vga", "cirrus", "bochs", "ramfb", "vmvga", "none"),
                "The kind. A new one is V(virtio).",
            ),
            Row("vram", "model@vram", k.KIB, "Its memory, with a unit."),
            Row("ram", "model@ram", k.KIB, "The main memory of a V(qxl), with a unit."),
            Row("vgamem", "model@vgamem", k.KIB, "The VGA memory of a V(qxl), with a unit."),
            Row("heads", "model@heads", k.integer(1, 16), "How many screens."),
            Row("accel3d", "model/acceleration@accel3d", k.YES_NO, "Whether a V(virtio) draws in three dimensions."),
        ),
        only=True,
        initial=(("model@type", "virtio"),),
    ),
    Group(
        "tpm",
        "devices/tpm",
        "The Trusted Platform Module. An empty dictionary takes it away.",
        (
            Row("model", "@model", k.choice("tpm-tis", "tpm-crb", "tpm-spapr", "tpm-spapr-proxy"), "What the guest sees."),
            Row(
                "type",
                "backend@type",
                k.choice("emulator", "passthrough"),
                "V(emulator) is swtpm, V(passthrough) the host's own. A new one is emulated.",
            ),
            Row("version", "backend@version", k.choice("1.2", "2.0"), "The version of an emulated one."),
            Row("persistent_state", "backend@persistent_state", k.YES_NO, "Whether the state of an emulated one outlives a guest that does."),
            Row(
                "secret",
                "backend/encryption@secret",
                k.UUID,
                "The UUID of a secret of libvirt's that the state of an emulated one is encrypted with.",
                more=(("no_log", False),),
            ),
            Row("device", "backend/device@path", k.FILE, "The host's device for V(passthrough)."),
        ),
        only=True,
        initial=(("backend@type", "emulator"),),
    ),
    Group(
        "watchdog",
        "devices/watchdog",
        "The watchdog, the only one. An empty dictionary takes it away.",
        (
            Row("model", "@model", k.choice("i6300esb", "ib700", "diag288", "itco"), "What the guest sees. Must be given."),
            Row("action", "@action", k.choice("reset", "shutdown", "poweroff", "pause", "dump", "none", "inject-nmi"), "What it does."),
        ),
        only=True,
        check=_needs("model"),
    ),
    Group(
        "vsock",
        "devices/vsock",
        "A socket between the host and the guest. An empty dictionary takes it away.",
        (
            Row(
                "model",
                "@model",
                k.choice("virtio", "virtio-transitional", "virtio-non-transitional"),
                "What the guest sees. A new one is V(virtio).",
            ),
            Row("cid", "cid@address", k.CID, "The guest's number, from 3, or V(auto) for a free one at each start."),
        ),
        initial=(("@model", "virtio"),),
    ),
    Group(
        "rng",
        "devices/rng",
        "The source of random numbers, the only one. An empty dictionary takes it away.",
        (
            Row(
                "model",
                "@model",
                k.choice("virtio", "virtio-transitional", "virtio-non-transitional"),
                "What the guest sees. A new one is V(virtio).",
            ),
            Row(
                "backend", "backend", k.RANDOM, "The host's device that it reads, or V(builtin) for the emulator's own. A new one is V(/dev/urandom)."
            ),
            Group(
                "rate",
                "rate",
                "How much it gives. An empty dictionary takes the limit away.",
                (
                    Row("bytes", "@bytes", k.integer(1), "Bytes in a period. Must be given."),
                    Row("period", "@period", k.integer(1), "Milliseconds; libvirt takes 1000."),
                ),
                check=_needs("bytes"),
            ),
        ),
        only=True,
        initial=(("@model", "virtio"), ("backend@model", "random"), ("backend", "/dev/urandom")),
    ),
    Group(
        "channels",
        "devices/channel",
        "Virtio channels between the host and the guest, all of them; O(guest_agent=true) adds its own.",
        (
            Row("name", "target@name", k.CHANNEL, "What the guest calls it, for example V(com.redhat.spice.0).", required=True),
            Row(
                "type",
                "@type",
                k.choice("unix", "spicevmc", "qemu-vdagent", "pty", "null"),
                "Where it leads to: a socket, SPICE, the clipboard of VNC, a terminal.",
                required=True,
            ),
            Row("path", "source@path", k.FILE, "The path of a V(unix). Libvirt chooses one by itself."),
            Row("mode", "source@mode", k.choice("bind", "connect"), "Whether the host listens at a V(unix), or connects to it."),
        ),
        many=True,
        check=_named,
    ),
    Row(
        "memballoon_autodeflate", "devices/memballoon@autodeflate", k.ON_OFF, "Whether the balloon gives memory back before the guest runs out of it."
    ),
    Row("memballoon_free_page_reporting", "devices/memballoon@freePageReporting", k.ON_OFF, "Whether the guest gives free pages back by itself."),
    Row("memballoon_stats_period", "devices/memballoon/stats@period", k.NUMBER, "Seconds between the balloon's statistics; V(0) is never."),
    Group(
        "hostdevs",
        "devices/hostdev",
        "Devices of the host that the guest gets, all of them.",
        (
            Row("type", "@type", k.choice("pci", "usb", "mdev"), "The bus; V(mdev) is a mediated device, such as a part of a GPU.", required=True),
            Row(
                "address",
                "source/address",
                k.ADDRESS,
                "Where it is on the host: V(0000:01:00.0) for V(pci), and bus.device such as V(1.4) for V(usb).",
            ),
            Row("vendor", "source/vendor@id", k.USB_ID, "The vendor of a USB device, as lsusb tells it. Together with O(hostdevs[].product)."),
            Row("product", "source/product@id", k.USB_ID, "The product of a USB device."),
            Row("uuid", "source/address@uuid", k.UUID, "The UUID of a mediated device."),
            Row("model", "@model", k.choice("vfio-pci", "vfio-ccw", "vfio-ap"), "What the guest sees of a mediated device."),
            Row("display", "@display", k.ON_OFF, "Whether a mediated device shows the guest's screen."),
            Row("ramfb", "@ramfb", k.ON_OFF, "Whether it shows it before the guest's driver runs."),
            Row("managed", "@managed", k.YES_NO, "Whether libvirt takes it from the host's driver and gives it back. A new one is."),
            Row(
                "startup_policy", "source@startupPolicy", k.choice("mandatory", "requisite", "optional"), "What happens when a USB device is missing."
            ),
            Row("rom_bar", "rom@bar", k.ON_OFF, "Whether the guest sees the ROM of a PCI device."),
            Row("rom_file", "rom@file", k.FILE, "A file instead of its ROM."),
            Row(
                "boot_order",
                "boot@order",
                k.integer(0, 2**31 - 1, clears=0),
                "Its place among the devices to boot from. Not together with O(boot).",
                away="boot",
            ),
        ),
        many=True,
        fixed=(("mode", "subsystem"),),
        initial=(("@managed", "yes"),),
        check=_host_device,
    ),
    Group(
        "filesystems",
        "devices/filesystem",
        "Directories of the host that the guest can mount, all of them.",
        (
            Row("target", "target@dir", k.TEXT, "What the guest calls it.", required=True),
            Row("source", "source@dir", k.FILE, "The directory."),
            Row("driver", "driver@type", k.choice("path", "virtiofs"), "V(path) is 9p. V(virtiofs) needs O(memory_backing.access=shared)."),
            Row("accessmode", "@accessmode", k.choice("passthrough", "mapped", "squash"), "Whose the files are that the guest makes, with 9p."),
            Row("fmode", "@fmode", k.MODE, "The mode of new files with V(mapped), such as V(0600)."),
            Row("dmode", "@dmode", k.MODE, "The mode of new directories with V(mapped), such as V(0700)."),
            Row("readonly", "readonly", k.PRESENT, "Whether the guest only reads it, with 9p."),
            Row("socket", "source@socket", k.FILE, "The socket of a virtiofsd that somebody else runs, instead of O(filesystems[].source)."),
            Row("queue", "driver@queue", k.integer(1, 1024), "How many requests can wait."),
            Row("binary", "binary@path", k.FILE, "The path of virtiofsd."),
            Row("xattr", "binary@xattr", k.ON_OFF, "Whether virtiofsd keeps extended attributes."),
            Row("cache", "binary/cache@mode", k.choice("none", "always"), "What virtiofsd caches."),
        ),
        many=True,
        fixed=(("type", "mount"),),
        check=_directory,
    ),
)
