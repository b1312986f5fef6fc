# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Overlay mounts: what is wanted of one, and what is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Tuple

from ..engine.errors import Failure
from .options import FLAGS, Layers, Options, Shown, Value, normal, parse_option

AUTO, SYSTEMD, FSTAB, NONE = "auto", "systemd", "fstab", "none"
NEVER, IF_UNUSED, ALWAYS = "never", "if_unused", "always"
MOUNTED, UNMOUNTED, ABSENT = "mounted", "unmounted", "absent"

SPEC: Dict[str, Any] = {
    "argument_spec": {
        "path": {"type": "path", "required": True},
        "state": {"type": "str", "choices": [MOUNTED, UNMOUNTED, ABSENT], "default": MOUNTED},
        "lowerdir": {"type": "list", "elements": "path"},
        "upperdir": {"type": "path"},
        "workdir": {"type": "path"},
        "options": {"type": "dict"},
        "persistent": {"type": "str", "choices": [AUTO, SYSTEMD, FSTAB, NONE], "default": AUTO},
        "recreate": {"type": "str", "choices": [NEVER, IF_UNUSED, ALWAYS], "default": IF_UNUSED},
        "create_dirs": {"type": "bool", "default": False},
    },
    "required_if": [("state", MOUNTED, ("lowerdir",))],
    "required_together": [("upperdir", "workdir")],
}

#: Source: OVL_MAX_STACK in fs/overlayfs/ovl_entry.h.
MOST_LAYERS = 500


@dataclass(frozen=True)
class Desired:
    """lower: from the top down. upper, work: None leaves alone, "" is none. options: None leaves alone, {} is the kernel's defaults."""

    path: str
    state: str = MOUNTED
    lower: Tuple[str, ...] = ()
    upper: Optional[str] = None
    work: Optional[str] = None
    options: Optional[Options] = None
    persistent: str = AUTO
    recreate: str = IF_UNUSED
    create_dirs: bool = False

    def directories(self) -> Tuple[str, ...]:
        """Every directory that the user named, each once."""
        return tuple(dict.fromkeys(path for path in (self.path, *self.lower, self.upper, self.work) if path))


@dataclass(frozen=True)
class Mount:
    """The overlay that is mounted at the path, the topmost one there."""

    id: int
    layers: Layers
    shown: Shown


@dataclass(frozen=True)
class Kept:
    """What fstab or a unit has of it. enabled: whether it is mounted at boot (always true of fstab)."""

    layers: Layers
    options: Options
    enabled: bool = True


@dataclass(frozen=True)
class Directory:
    """A directory that the task names. kind: directory, other, or empty for missing.

    mount_id: the mount that it is on, or for a missing one would be. strays: what is in it but does not belong in a work directory.
    volatile: the work directory of a volatile mount that was never discarded.
    in_use: another overlay mount, by its path, that has it as its upper or work directory.
    """

    kind: str = "directory"
    mount_id: int = 0
    strays: Tuple[str, ...] = ()
    volatile: bool = False
    in_use: str = ""


@dataclass(frozen=True)
class Holder:
    """Who keeps the mount busy, or its file system alive. pid: 0 for another mount. what: for people.

    elsewhere: it does not stop the unmounting, but keeps the file system, and so the upper directory, in use after it.
    """

    pid: int
    command: str
    what: str
    elsewhere: bool = False

    def __str__(self) -> str:
        return f"{self.pid} ({self.command}: {self.what})" if self.pid else self.what


@dataclass(frozen=True)
class Observed:
    """path: without symbolic links. resolved: each directory the user named → the same without symbolic links.

    stacked: how many overlay mounts cover each other at the path. mount: the topmost of them.
    """

    path: str
    mount: Optional[Mount] = None
    stacked: int = 0
    resolved: Mapping[str, str] = field(default_factory=dict)
    directories: Mapping[str, Directory] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    holders: Tuple[Holder, ...] = ()
    fstab: Optional[Kept] = None
    unit: Optional[Kept] = None
    systemd: bool = False
    modern_mount: bool = False

    def real(self, path: str) -> str:
        return self.resolved.get(path, path)


def wanted_layers(observed: Observed, desired: Desired) -> Layers:
    """The layers that are to be mounted, without symbolic links. An upper directory that was not named stays as it is."""
    lower = tuple(observed.real(path) for path in desired.lower)
    if desired.upper is None:
        there = observed.mount or observed.unit or observed.fstab
        return Layers(lower, there.layers.upper if there else None, there.layers.work if there else None)
    upper, work = desired.upper, desired.work or ""
    return Layers(lower, observed.real(upper), observed.real(work)) if upper else Layers(lower)


def wanted_options(observed: Observed, desired: Desired) -> Dict[str, Value]:
    """The options to compare: those the user named, or for {} all that are not as the kernel has them by itself."""
    if desired.options or observed.mount is None:
        return dict(desired.options or {})
    if desired.options is None:
        return {}
    shown = observed.mount.shown
    return {name: shown.defaults.get(name, False) for name in (*shown.options, *shown.flags) if not shown.is_default(name)}


def different(observed: Observed, desired: Desired) -> Tuple[str, ...]:
    """The fields in which the mount is not as wanted, and which only mounting anew changes."""
    mount = observed.mount
    if mount is None:
        return ()
    layers = wanted_layers(observed, desired)
    pairs = (
        ("lowerdir", mount.layers.lower, layers.lower),
        ("upperdir", mount.layers.upper, layers.upper),
        ("workdir", mount.layers.work, layers.work),
    )
    found = [name for name, is_now, wanted in pairs if is_now != wanted]
    flags = different_flags(observed, desired)
    for name, value in wanted_options(observed, desired).items():
        if name not in flags and not mount.shown.has(name, value):
            found.append(f"options.{name}")
    return tuple(found)


def different_flags(observed: Observed, desired: Desired) -> Dict[str, bool]:
    """The flags that are not as wanted and change while it is in use. A file system that is read-only itself stays so."""
    if observed.mount is None:
        return {}
    shown = observed.mount.shown
    wanted = {name: bool(value) for name, value in wanted_options(observed, desired).items() if name in FLAGS and not shown.has(name, value)}
    if shown.super_ro and wanted.get("ro") is False:
        del wanted["ro"]
    return wanted


def from_params(params: Mapping[str, Any]) -> Desired:
    path = _path(params["path"], "path")
    if path == "/":
        raise Failure("path: / cannot be covered by an overlay while the system runs from it; choose another directory", "invalid_path")
    lower = tuple(_path(text, "lowerdir") for text in params["lowerdir"] or ())
    upper, work = _optional_path(params["upperdir"], "upperdir"), _optional_path(params["workdir"], "workdir")
    options = params["options"]
    if options is not None:
        options = {str(name): parse_option(str(name), raw) for name, raw in options.items()}
    if params["state"] == MOUNTED:
        _check_layers(lower, upper, work)
        _check_options(options or {})
    return Desired(path, params["state"], lower, upper, work, options, params["persistent"], params["recreate"], params["create_dirs"])


def _path(text: str, what: str) -> str:
    if not text.startswith("/") or ".." in text.split("/"):
        raise Failure(f"{what}: {text!r} is not an absolute path; write it from / on and without ..", "invalid_path")
    if not text.isprintable() or '"' in text:
        raise Failure(f"{what}: {text!r} has a quote or a control character, which mount(8) cannot take in its options; rename it", "invalid_path")
    return normal(text)


def _optional_path(text: Optional[str], what: str) -> Optional[str]:
    return _path(text, what) if text else text


def _check_layers(lower: Tuple[str, ...], upper: Optional[str], work: Optional[str]) -> None:
    if not lower:
        raise Failure("lowerdir: an overlay has at least one lower directory; name it", "missing_lowerdir")
    if len(lower) > MOST_LAYERS:
        raise Failure(f"lowerdir: {len(lower)} directories, and the kernel stacks {MOST_LAYERS}; merge some of them", "too_many_layers")
    if bool(upper) != bool(work):
        raise Failure("workdir: an upper directory needs a work directory and the other way round; name both, or neither", "missing_workdir")


def _check_options(options: Options) -> None:
    if options.get("noatime") is True and options.get("strictatime") is True:
        raise Failure("options: noatime and strictatime exclude each other; name one", "invalid_option")
    if options.get("nfs_export") == "on" and (options.get("index") == "off" or options.get("metacopy") == "on"):
        raise Failure("options: nfs_export needs index, and goes without metacopy; leave the other one out", "invalid_option")
    if options.get("metacopy") == "on" and options.get("redirect_dir") in ("off", "nofollow"):
        raise Failure("options: metacopy needs redirect_dir; leave redirect_dir out, or set it to true", "invalid_option")
