# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of an overlay mount: one table for what users may say, what the kernel shows, and what mount(8) takes.

Source: fs/overlayfs/params.c (ovl_show_options shows only what differs from the kernel's own default), mount(8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, Optional, Tuple, Union

from ..engine.errors import Failure

Value = Union[bool, str]
Options = Mapping[str, Value]

LAYERS = ("lowerdir", "lowerdir+", "datadir+", "upperdir", "workdir")


@dataclass(frozen=True)
class Switch:
    """An option of the file system with a value.

    default: its value where neither the user nor a module parameter says otherwise.
    parameter: the file in /sys/module/overlay/parameters with the kernel's own default.
    """

    name: str
    choices: Tuple[str, ...]
    default: str = "off"
    parameter: str = ""


_SWITCHES = {
    item.name: item
    for item in (
        Switch("redirect_dir", ("on", "off", "follow", "nofollow"), parameter="redirect_dir"),
        Switch("index", ("on", "off"), parameter="index"),
        Switch("nfs_export", ("on", "off"), parameter="nfs_export"),
        Switch("xino", ("on", "off", "auto"), parameter="xino_auto"),
        Switch("metacopy", ("on", "off"), parameter="metacopy"),
        Switch("uuid", ("on", "off", "null", "auto"), default="auto"),
        Switch("verity", ("on", "off", "require")),
    )
}

#: Options of the file system that are there or not.
_WORDS = ("volatile", "userxattr", "default_permissions")

#: Options of the mount: the kernel changes them while it is in use. Their opposites are what mount(8) takes to clear them.
FLAGS: Mapping[str, str] = {
    "ro": "rw",
    "nosuid": "suid",
    "nodev": "dev",
    "noexec": "exec",
    "nodiratime": "diratime",
    "noatime": "",
    "strictatime": "",
    "nosymfollow": "",
}

_OPPOSITES = {"rw": "ro", "suid": "nosuid", "dev": "nodev", "exec": "noexec", "diratime": "nodiratime", "relatime": "noatime", "atime": "noatime"}

#: Read by mount(8) and systemd only, never by the kernel.
_USERSPACE = ("_netdev", "nofail")

NAMES: Tuple[str, ...] = (*_SWITCHES, *_WORDS, *FLAGS, *_USERSPACE)


def is_flag(name: str) -> bool:
    return name in FLAGS


def is_userspace(name: str) -> bool:
    return name in _USERSPACE or name.startswith("x-")


def parse_option(name: str, raw: Any) -> Value:
    """What the user said of an option → on, off, follow, ... for one with values, True or False for one without."""
    what = f"options: {name}"
    if name in LAYERS:
        raise Failure(f"{what}: layers are no options; use lowerdir, upperdir and workdir of the task", "invalid_option")
    if name in _OPPOSITES:
        raise Failure(f"{what}: say it the other way round, {_OPPOSITES[name]}: {'true' if raw is False else 'false'}", "invalid_option")
    if name in _SWITCHES:
        text = {True: "on", False: "off"}.get(raw, raw) if isinstance(raw, bool) else str(raw)
        if text not in _SWITCHES[name].choices:
            raise Failure(f"{what}: {raw!r} is no value of it; use one of {', '.join(_SWITCHES[name].choices)}", "invalid_option")
        return str(text)
    if name.startswith("x-") and name.isprintable() and not set(name) & set(' ,"\\='):
        return _free(raw, what)
    if name not in NAMES:
        raise Failure(f"{what}: not an option of overlay mounts; use {', '.join(NAMES)} or x-NAME", "invalid_option")
    if not isinstance(raw, bool):
        raise Failure(f"{what}: it is there or it is not; write true or false instead of {raw!r}", "invalid_option")
    return raw


def _free(raw: Any, what: str) -> Value:
    if isinstance(raw, bool):
        return raw
    text = str(raw)
    if not text.isprintable() or set(text) & set(' ,"\\'):
        raise Failure(f"{what}: {text!r} cannot be written to fstab; leave spaces, commas, quotes and backslashes out", "invalid_option")
    return text


def escape(path: str, separator: str = "") -> str:
    """A path as the kernel's option parser takes it: commas and backslashes, and in a list of layers colons, behind a backslash."""
    return "".join("\\" + letter if letter in "\\," + separator else letter for letter in path)


def unescape(text: str) -> str:
    found, letters = [], iter(text)
    for letter in letters:
        found.append(next(letters, "") if letter == "\\" else letter)
    return "".join(found)


def split(text: str, separator: str) -> List[str]:
    """The parts between separators that no backslash stands before; the backslashes stay."""
    parts, escaped = [""], False
    for letter in text:
        if letter == separator and not escaped:
            parts.append("")
            continue
        parts[-1] += letter
        escaped = letter == "\\" and not escaped
    return parts


@dataclass(frozen=True)
class Layers:
    """lower: from the top down. upper, work: None for an overlay that is read-only."""

    lower: Tuple[str, ...]
    upper: Optional[str] = None
    work: Optional[str] = None


def parse_options(words: Iterable[str]) -> Tuple[Layers, Dict[str, Value]]:
    """The layers and the options in the words of mountinfo, of fstab or of a unit.

    Layers of data only ("lowerdir=/a::/b", "datadir+=") appear with two colons before them: no task asks for such a layer.
    """
    lower: List[str] = []
    found: Dict[str, Value] = {}
    upper = work = None
    for word in words:
        key, equals, value = word.partition("=")
        if key == "lowerdir":
            lower = _lower(value)
        elif key == "lowerdir+":
            lower.append(normal(unescape(value) if "\\" in value else value))
        elif key == "datadir+":
            lower.append("::" + normal(value))
        elif key == "upperdir":
            upper = normal(unescape(value))
        elif key == "workdir":
            work = normal(unescape(value))
        elif (key, value) == ("fsync", "volatile"):  # how kernels from 6.18 on spell it
            found["volatile"] = True
        elif key:
            found[key] = value if equals else True
    return Layers(tuple(lower), upper, work), found


def _lower(text: str) -> List[str]:
    found, data = [], ""
    for part in split(text, ":"):
        if part:
            found.append(data + normal(unescape(part)))
        elif found:
            data = "::"
    return found


def normal(path: str) -> str:
    """A path without doubled and trailing slashes. What is relative stays so: nobody knows to what."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return ("/" if path.startswith("/") else "") + "/".join(parts) or "."


def layer_options(layers: Layers) -> List[str]:
    words = ["lowerdir=" + ":".join(escape(path, ":") for path in layers.lower)]
    if layers.upper and layers.work:
        words += [f"upperdir={escape(layers.upper)}", f"workdir={escape(layers.work)}"]
    return words


def render(layers: Layers, options: Options, userspace: bool) -> str:
    """The string for mount -o, or with userspace for fstab and units."""
    words = layer_options(layers)
    for name in sorted(options):
        value = options[name]
        if value is not False and (userspace or not is_userspace(name)):
            words.append(name if value is True else f"{name}={value}")
    return ",".join(words)


def kernel_defaults(parameters: Mapping[str, str]) -> Dict[str, str]:
    """Name of a parameter → Y or N, as sysfs has them, → the value that each option has when nobody says it."""
    found = {}
    for item in _SWITCHES.values():
        on = parameters.get(item.parameter) == "Y"
        found[item.name] = ("auto" if item.name == "xino" else "on") if on else item.default
    if found["redirect_dir"] == "off":
        # Source: ovl_redirect_mode_def(): what is not "on" is follow or nofollow, and "off" is another word for one of them.
        found["redirect_dir"] = "nofollow" if parameters.get("redirect_always_follow") == "N" else "follow"
    return found


@dataclass(frozen=True)
class Shown:
    """What the kernel shows of a mount, and what is needed to read it.

    options: of the file system. flags: of the mount. defaults: the kernel's own, from kernel_defaults.
    writable: whether there is an upper layer. one_fs: whether all layers are on one file system.
    super_ro: whether the file system is read-only for good, whatever the flags say.
    """

    options: Options
    flags: FrozenSet[str]
    defaults: Mapping[str, str]
    writable: bool
    one_fs: bool = True
    super_ro: bool = False

    def value(self, name: str) -> Value:
        """The value that an option has now."""
        if name == "ro":
            return "ro" in self.flags or (self.super_ro and self.writable)
        if name in FLAGS:
            return name in self.flags
        if name not in _SWITCHES:
            return self.options.get(name, False)
        shown = self.options.get(name)
        return self._folded(name, str(shown)) if shown is not None else self._folded(name, self.defaults[name])

    def has(self, name: str, wanted: Value) -> bool:
        """Whether an option is as wanted, as far as the kernel tells."""
        if is_userspace(name):
            return True
        now = self.value(name)
        if name not in _SWITCHES:
            return now == wanted
        if name == "xino" and name not in self.options and self.one_fs:
            return True  # useless on one file system, so the kernel accepts it and shows nothing
        if name == "uuid" and (wanted == "auto" or ({now, wanted} == {"off", "null"} and not (self.one_fs and self.writable))):
            return True  # auto becomes on, off or null by itself; off becomes null on several file systems
        if name == "uuid" and now == "auto":
            return wanted == "on"  # auto that shows nothing has not been given up yet
        return now == self._folded(name, str(wanted))

    def is_default(self, name: str) -> bool:
        if name in _SWITCHES:
            return self.has(name, self.defaults[name]) or self.options.get(name) == self._implied().get(name)
        return self.value(name) is False

    def _folded(self, name: str, value: str) -> str:
        if name != "redirect_dir":
            return value
        if value == "off":
            value = "nofollow" if self.defaults[name] == "nofollow" else "follow"
        # Without an upper layer nothing is ever redirected: follow is shown as on.
        return "on" if value == "follow" and not self.writable else value

    def _implied(self) -> Dict[str, str]:
        """What the kernel shows although nobody said it."""
        found = {"uuid": "on"}
        if not self.writable or self.options.get("metacopy") == "on":
            found["redirect_dir"] = "on"
        if self.options.get("userxattr"):
            found["redirect_dir"] = "nofollow"
        if self.options.get("nfs_export") == "on":
            found["index"] = "on"
        return found

    def kept(self) -> Dict[str, Value]:
        """What a mount made anew must be given to be as this one, layers apart; what the kernel chose by itself is left out."""
        chosen = self._implied()
        kept = {name: value for name, value in self.options.items() if (name in _SWITCHES or name in _WORDS) and chosen.get(name) != value}
        return {**kept, **dict.fromkeys(self.flags, True)}


def flag_words(flags: FrozenSet[str]) -> str:
    """All flags of a mount, for mount -o remount,bind: what is not named there is off. The opposites serve newer versions of mount(8)."""
    words = [name if name in flags else opposite for name, opposite in FLAGS.items()]
    if not flags & {"noatime", "strictatime"}:
        words.append("relatime")
    return ",".join(word for word in words if word)
