# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kernel modules: what is wanted of one, and what is there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, FrozenSet, Mapping, Optional, Tuple

from ..engine.errors import Failure

AUTO = "auto"

#: The lines that keep a module out: none, C(blacklist) alone, or C(install NAME /bin/false) as well.
NO_BLACKLIST, ALIAS, INSTALL = "none", "alias", "install"

NEVER, IF_UNUSED, FORCE = "never", "if_unused", "force"

SPEC: Dict[str, Any] = {
    "argument_spec": {
        "name": {"type": "str", "default": AUTO},
        "state": {"type": "str", "choices": ["present", "absent", "reloaded"], "default": "present"},
        "parameters": {"type": "dict"},
        "reload": {"type": "str", "choices": [NEVER, IF_UNUSED, FORCE], "default": NEVER},
        "blacklist": {"type": "str", "choices": [NO_BLACKLIST, ALIAS, INSTALL]},
        "initramfs": {"type": "str", "choices": ["auto", "never"], "default": "auto"},
        "persistent": {"type": "bool", "default": True},
        "ignore_missing": {"type": "bool", "default": False},
    },
}

_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Desired:
    """name: folded (kvm_amd), or auto. parameters: None leaves alone, {} takes all of ours away.

    reloaded: present, and what runs is what the files say. reload: what may be done about parameters that only a reload changes.
    blacklist: None leaves alone. rebuild: whether initramfs images that hold the module are made again.
    """

    name: str
    present: bool = True
    parameters: Optional[Mapping[str, str]] = None
    persistent: bool = True
    ignore_missing: bool = False
    reloaded: bool = False
    reload: str = NEVER
    blacklist: Optional[str] = None
    rebuild: bool = True

    @property
    def may_unload(self) -> bool:
        return not self.present or self.reload != NEVER


@dataclass(frozen=True)
class Holder:
    """One thing that keeps a module from being unloaded.

    A process (pid, command, and the guest where it is one), another module, a network interface that is up, or a reason of the kernel's.
    """

    pid: Optional[int] = None
    command: Optional[str] = None
    guest: Optional[str] = None
    module: Optional[str] = None
    interface: Optional[str] = None
    kernel: Optional[str] = None

    def __str__(self) -> str:
        if self.pid is not None:
            return f"{f'guest {self.guest}, ' if self.guest else ''}{self.command} (pid {self.pid})"
        if self.module:
            return f"the module {self.module}"
        return f"the interface {self.interface}, which is up" if self.interface else str(self.kernel)

    def describe(self) -> Dict[str, Any]:
        return {key: value for key, value in vars(self).items() if value is not None}


#: What a line elsewhere does. FORBIDDEN is the kernel's own module_blacklist=, which nothing gets past.
OPTIONS, BLACKLIST, FALSE, AUTOLOAD, FORBIDDEN = "options", "blacklist", "install", "autoload", "forbidden"


@dataclass(frozen=True)
class Line:
    """A line about a module in a file that is not ours, or a word of the kernel command line.

    wins: it is read after our own file, so that its parameters count.
    """

    file: str
    line: int
    text: str
    kind: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    wins: bool = False

    def describe(self) -> Dict[str, Any]:
        return {"file": self.file, "line": self.line, "text": self.text}

    def __str__(self) -> str:
        return f"{self.file}:{self.line} says {self.text!r}"


@dataclass(frozen=True)
class Observed:
    """name: the module's real name, None where this host has no such module.

    loadable: whether this kernel loads modules at all.
    parameters: the running kernel's values. writable: those of them that take effect when written.
    types: what the module takes, parameter → type (int, bool, ...); None where nobody can say.
    autoload, options, blacklist: what the files that this collection owns say; options None without any.
    lines: what other files say of the module, in the order in which modprobe reads them.
    dependents: the loaded modules on top of it, in the order in which they can be unloaded. holders: what else stands against that.
    outdated: it runs from another build than the file that modprobe would load.
    images: initramfs images that hold the module and get old when our file changes.
    """

    name: Optional[str]
    loaded: bool = False
    builtin: bool = False
    loadable: bool = True
    reason: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    writable: FrozenSet[str] = frozenset()
    types: Optional[Mapping[str, str]] = None
    autoload: bool = False
    options: Optional[Mapping[str, str]] = None
    blacklist: str = NO_BLACKLIST
    lines: Tuple[Line, ...] = ()
    dependents: Tuple[str, ...] = ()
    holders: Tuple[Holder, ...] = ()
    outdated: bool = False
    images: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Kept:
    """What our modprobe.d file says. options: None where it says nothing of parameters."""

    options: Optional[Mapping[str, str]]
    blacklist: str

    @property
    def empty(self) -> bool:
        return self.options is None and self.blacklist == NO_BLACKLIST


def kept_after(before: Kept, desired: Desired) -> Kept:
    """What our file is to say. A module that is to be present is not kept out by us as well."""
    if not desired.persistent:
        return before
    if not desired.present:
        return Kept(None, before.blacklist if desired.blacklist is None else desired.blacklist)
    options = before.options if desired.parameters is None else (dict(desired.parameters) or None)
    return Kept(options, NO_BLACKLIST)


def fold(name: str) -> str:
    """The kernel treats - and _ in module names alike, and shows _."""
    return name.replace("-", "_")


def value(raw: Any) -> str:
    """A parameter's value as the kernel takes it. YAML's true and false are 1 and 0."""
    return str(int(raw)) if isinstance(raw, bool) else str(raw)


# Source: kstrtobool and kstrtoint in the kernel's lib/kstrtox.c.
_BOOLEANS = {"y": "1", "n": "0", "on": "1", "off": "0", "t": "1", "f": "0"}
_NUMBER = re.compile(r"[+-]?(0[xX][0-9a-fA-F]+|[0-9]+)")


def _canonical(text: str) -> str:
    if text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    if _NUMBER.fullmatch(text):
        digits = text.lstrip("+-")
        octal = digits[0] == "0" and digits.isdigit() and set(digits) <= set("01234567")
        number = int(digits, 8 if octal else 16 if digits[:2].lower() == "0x" else 10)
        return str(-number if text[0] == "-" else number)
    return text


def same(left: str, right: str) -> bool:
    """Whether two spellings of a parameter mean the same: the kernel shows booleans as Y and N, and takes 1, 0, on, off; 0x10 is 16."""
    return _canonical(left) == _canonical(right)


_INTEGERS = {"byte", "hexint", "short", "ushort", "int", "uint", "long", "ulong", "ullong"}


def fits(kind: str, text: str) -> bool:
    """Whether the kernel can read the value as this type of module parameters. Types that it does not know may be anything."""
    if kind in ("bool", "bint", "invbool"):
        return text.lower() in {"1", "0", *_BOOLEANS}
    if kind in _INTEGERS:
        return bool(_NUMBER.fullmatch(text)) and not (kind.startswith("u") and text[0] == "-")
    return True


def from_params(params: Mapping[str, Any]) -> Desired:
    name, state, blacklist = params["name"], params["state"], params["blacklist"]
    if not _NAME.fullmatch(name):
        raise Failure(f"name: {name!r} is not the name of a kernel module; use letters, digits, - and _", "invalid_name")
    parameters = params["parameters"]
    if parameters is not None:
        parameters = {key: value(raw) for key, raw in parameters.items()}
        for key, text in parameters.items():
            if not _NAME.fullmatch(key) or not text or re.search(r"[\s\"'#\\]", text):
                raise Failure(
                    f"parameters: {key}={text!r} cannot be written to a modprobe.d file; use a name and a value without spaces and quotes",
                    "invalid_parameter",
                )
        parameters = {fold(key): text for key, text in parameters.items()}
    if blacklist in (ALIAS, INSTALL) and state != "absent":
        raise Failure(f"{name}: blacklist: {blacklist} keeps the module out, and state: {state} wants it; set state: absent", "invalid_blacklist")
    if blacklist is not None and not params["persistent"]:
        raise Failure(f"{name}: blacklist is a line in a file, and persistent: false writes none; leave one of them out", "invalid_blacklist")
    reloaded = state == "reloaded"
    return Desired(
        fold(name),
        present=state != "absent",
        parameters=parameters,
        persistent=params["persistent"],
        ignore_missing=params["ignore_missing"],
        reloaded=reloaded,
        reload=FORCE if reloaded else params["reload"],
        blacklist=blacklist,
        rebuild=params["initramfs"] == "auto",
    )
