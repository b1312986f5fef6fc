# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kinds of values: how a task gives one, how libvirt's XML spells it, and how it is read back."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from ....engine.errors import Failure
from ....engine.units import parse_size
from ...spelling import members_of_set, set_of_numbers, uuid_text
from ...xmltree import plain_text

#: A value as attributes; the one with an empty name is the field that the row names.
Spelt = Dict[str, str]


@dataclass(frozen=True)
class Kind:
    """spec: its part of an argument spec. write: the value, given the option's whole name for the error. read: the value again, None
    where no value says it. flag: it is whether an element is there. clears: the value that takes the field away.
    """

    spec: Mapping[str, Any]
    write: Callable[[Any, str], Spelt]
    read: Callable[[Mapping[str, str]], Any]
    flag: bool = False
    clears: Tuple[Any, ...] = ()
    says: str = ""


def _plain(read: Callable[[str], Any]) -> Callable[[Mapping[str, str]], Any]:
    return lambda found: read(found[""]) if found.get("") else None


def bad(what: str, value: object, wanted: str) -> Failure:
    return Failure(f"{what}: {value!r} {wanted}", "invalid_value")


def _text(value: Any, what: str) -> Spelt:
    return {"": plain_text(value, what)}


#: Any text on one line.
TEXT = Kind({"type": "str"}, _text, _plain(str), clears=("",), says="An empty string takes it away.")


def _absolute(value: Any, what: str) -> Spelt:
    if not value.startswith("/"):
        raise bad(what, value, "is not an absolute path; start it with a slash")
    return _text(value, what)


#: A path on the host. As text, so that nothing in it is taken for a variable.
FILE = Kind({"type": "str"}, _absolute, _plain(lambda text: text if text.startswith("/") else None), clears=("",), says=TEXT.says)


def _word(value: Any, what: str) -> Spelt:
    if not re.fullmatch(r"[A-Za-z0-9_.:+-]+", value):
        raise bad(what, value, "is no name that libvirt knows; use letters, digits, dots and dashes")
    return {"": value}


#: A name out of libvirt's own, of which each version has more.
WORD = Kind({"type": "str"}, _word, _plain(str))


def choice(*words: str) -> Kind:
    return Kind({"type": "str", "choices": list(words)}, lambda value, what: {"": value}, _plain(lambda text: text if text in words else None))


def _switch(on: str, off: str) -> Kind:
    words = {on: True, off: False}
    return Kind({"type": "bool"}, lambda value, what: {"": on if value else off}, _plain(words.get))


YES_NO = _switch("yes", "no")
ON_OFF = _switch("on", "off")
#: Whether an element is there.
PRESENT = Kind({"type": "bool"}, lambda value, what: {}, lambda found: True, flag=True, clears=(False,))


def integer(least: int = 0, most: int = 2**63 - 1, clears: Optional[int] = None, base: int = 10) -> Kind:
    """clears: the number that takes the field away. base: 16 where libvirt prints it so."""

    def write(value: Any, what: str) -> Spelt:
        if not least <= value <= most:
            raise bad(what, value, f"is not between {least} and {most}" if most < 2**63 - 1 else f"is less than {least}")
        return {"": str(value) if base == 10 else f"0x{value:04x}"}

    def read(text: str) -> Optional[int]:
        try:
            return int(text, 0)
        except ValueError:
            return None

    says = "" if clears is None else f"V({clears}) takes it away."
    return Kind({"type": "int"}, write, _plain(read), clears=() if clears is None else (clears,), says=says)


NUMBER = integer()
#: A limit, of which 0 is none.
LIMIT = integer()
_UNITS = ("KiB", "MiB", "GiB", "TiB")


def size_of(kib: Optional[str]) -> Optional[str]:
    """In the largest unit that says it exactly."""
    if kib is None or not kib.isdigit():
        return None
    size, unit = int(kib), 0
    while size and size % 1024 == 0 and unit < len(_UNITS) - 1:
        size, unit = size // 1024, unit + 1
    return f"{size}{_UNITS[unit]}"


def _size(value: Any, what: str) -> Spelt:
    kib = str(-(-parse_size(value, what) // 1024))
    return {"": kib, "unit": "KiB"}


def _read_size(found: Mapping[str, str]) -> Optional[str]:
    return size_of(found.get("")) if found.get("unit", "KiB") == "KiB" else None


#: Memory, in KiB and with the unit beside it.
SIZE = Kind({"type": "str"}, _size, _read_size)
#: Memory, where KiB is the only unit and said nowhere.
KIB = Kind({"type": "str"}, lambda value, what: {"": _size(value, what)[""]}, _plain(size_of))


def _bytes(value: Any, what: str) -> Spelt:
    return {"": str(parse_size(value, what))}


def _read_bytes(text: str) -> Optional[str]:
    if not text.isdigit():
        return None
    return size_of(str(int(text) // 1024)) if int(text) % 1024 == 0 and int(text) else f"{text}B"


#: Bytes a second, as a size.
RATE = Kind({"type": "str"}, _bytes, _plain(_read_bytes))


def _cpuset(value: Any, what: str) -> Spelt:
    if not members_of_set(value):
        raise bad(what, value, "is no set of numbers; write for example 0-3,5")
    return {"": set_of_numbers(value)}


#: CPUs or NUMA nodes, as 0-3,5.
SET = Kind({"type": "str"}, _cpuset, _plain(lambda text: text if members_of_set(text) else None))
#: What is not printed unless it is so.
YES = replace(_switch("yes", "no"), clears=(False,))


def _uuid(value: Any, what: str) -> Spelt:
    return {"": uuid_text(value, what)}


UUID = Kind({"type": "str"}, _uuid, _plain(str))


def _mode(value: Any, what: str) -> Spelt:
    if not re.fullmatch("0?[0-7]{3}", value):
        raise bad(what, value, "is no mode of files; write it in octal, in quotes, for example '0640'")
    return {"": f"{int(value, 8):04o}"}


#: A file's mode, in octal.
MODE = Kind({"type": "str"}, _mode, _plain(lambda text: text if re.fullmatch("0[0-7]{3}", text) else None))


def _cid(value: Any, what: str) -> Spelt:
    if value == "auto":
        return {"auto": "yes"}
    if not re.fullmatch("[0-9]{1,10}", value) or not 3 <= int(value) < 2**32:
        raise bad(what, value, "is no number of a guest; use 3 to 4294967295, or auto")
    return {"": str(int(value)), "auto": "no"}


def _read_cid(found: Mapping[str, str]) -> Optional[str]:
    return "auto" if found.get("auto") == "yes" else found.get("")


CID = Kind({"type": "str"}, _cid, _read_cid)
_PCI = re.compile(r"(?:([0-9a-fA-F]{1,8}):)?([0-9a-fA-F]{1,2}):([01]?[0-9a-fA-F])\.([0-7])")
_PCI_PARTS = ("domain", "bus", "slot", "function")


def _address(value: Any, what: str) -> Spelt:
    usb = re.fullmatch(r"([0-9]{1,3})\.([0-9]{1,3})", value)
    if usb:
        return {"bus": str(int(usb[1])), "device": str(int(usb[2]))}
    match = _PCI.fullmatch(value)
    if not match:
        raise bad(what, value, "is no address of a device; write 0000:01:00.0 as lspci does, or bus.device of a USB device such as 1.4")
    return {name: f"0x{int(part or '0', 16):x}" for name, part in zip(_PCI_PARTS, match.groups())}


def _read_address(found: Mapping[str, str]) -> Optional[str]:
    try:
        if "device" in found:
            return f"{int(found['bus'])}.{int(found['device'])}"
        domain, bus, slot, function = (int(found[name], 0) for name in _PCI_PARTS)
    except (KeyError, ValueError):
        return None
    return f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"


#: Where a device of the host is: domain:bus:slot.function of PCI, bus.device of USB.
ADDRESS = Kind({"type": "str"}, _address, _read_address)


def _source_of_numbers(value: Any, what: str) -> Spelt:
    return {"model": "builtin"} if value == "builtin" else {"model": "random", **_absolute(value, what)}


def _read_source_of_numbers(found: Mapping[str, str]) -> Optional[str]:
    return "builtin" if found.get("model") == "builtin" else found.get("") if found.get("model") == "random" else None


#: Where random numbers come from: a device of the host, or the emulator itself.
RANDOM = Kind({"type": "str"}, _source_of_numbers, _read_source_of_numbers)


def _channel(value: Any, what: str) -> Spelt:
    if not value:
        raise bad(what, value, "is no name of a channel; give the one that the guest looks for, such as com.redhat.spice.0")
    return {**_text(value, what), "type": "virtio"}


#: The name of a virtio channel.
CHANNEL = Kind({"type": "str"}, _channel, lambda found: found.get("") if found.get("type") == "virtio" else None)


def _usb_id(value: Any, what: str) -> Spelt:
    if not re.fullmatch(r"(0x)?[0-9a-fA-F]{1,4}", value):
        raise bad(what, value, "is no USB ID; write four hexadecimal digits, for example 0x1d6b")
    return {"": f"0x{int(value, 16):04x}"}


#: Half of what lsusb calls an ID.
USB_ID = Kind({"type": "str"}, _usb_id, _plain(str))
