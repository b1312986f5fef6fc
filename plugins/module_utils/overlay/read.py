# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The overlay mount as the kernel, fstab and systemd's units show it."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import Dict, List, Mapping, Optional, Tuple

from ..engine.errors import Failure
from ..engine.host import Host
from .boot import FSTAB_PATH, TYPE, UNIT_DIRECTORY, parse_fstab, parse_unit, target, unit_name, unit_path
from .holders import holders, identify, mount_id, users_of_directories
from .model import MOUNTED, Desired, Directory, Kept, Mount, Observed, different, wanted_layers
from .mountinfo import Entry, parse, stack
from .options import Layers, Shown, kernel_defaults, parse_options

_PARAMETERS = "/sys/module/overlay/parameters"

#: What the kernel itself makes in a work directory.
_WORK_OWN = {"work", "index"}
_VOLATILE = "work/incompat/volatile"


def read(host: Host, desired: Desired) -> Observed:
    host.require("mount", "mount")
    version = host.run(["mount", "--version"]).stdout
    path = host.realpath(desired.path)
    entries = parse(host.read("/proc/self/mountinfo") or "")
    covering = _covering(entries, path)
    top = covering[0] if covering else None
    parameters = {name: (host.try_read(f"{_PARAMETERS}/{name}") or "").strip() for name in host.list(_PARAMETERS)}
    defaults = kernel_defaults(parameters)
    observed = Observed(
        path,
        mount=_mount(host, top, defaults) if top else None,
        stacked=len(covering),
        resolved={name: host.realpath(name) for name in desired.directories()},
        defaults=defaults,
        fstab=parse_fstab(host.read(FSTAB_PATH) or "", path),
        unit=_unit(host, path),
        systemd=host.is_dir("/run/systemd/system"),
        modern_mount=is_modern(version),
    )
    if desired.state == MOUNTED and (observed.mount is None or different(observed, desired)):
        observed = replace(observed, directories=_directories(host, wanted_layers(observed, desired), entries, top, path))
    if top is not None and (desired.state != MOUNTED or different(observed, desired)):
        observed = replace(observed, holders=holders(host, top, entries))
    return observed


def is_modern(version: str) -> bool:
    """Whether mount(8) uses the kernel's newer interface (util-linux 2.39), by the text of mount --version."""
    match = re.search(r"util-linux (\d+)\.(\d+)", version)
    return bool(match) and (int(match[1]), int(match[2])) >= (2, 39) if match else False


def _covering(entries: List[Entry], path: str) -> Tuple[Entry, ...]:
    """The overlay mounts that cover each other on top of whatever else is mounted at the path."""
    found = []
    for entry in stack(entries, path):
        if entry.fs_type != TYPE:
            break
        found.append(entry)
    return tuple(found)


def _mount(host: Host, entry: Entry, defaults: Mapping[str, str]) -> Mount:
    layers, options = parse_options(entry.words)
    layers = Layers(
        tuple(_real(host, path) for path in layers.lower), layers.upper and _real(host, layers.upper), layers.work and _real(host, layers.work)
    )
    shown = {name: value for name, value in options.items() if name not in ("ro", "rw")}
    every = [path for path in (*layers.lower, layers.upper) if path]
    devices = {identity[0] for identity in (identify(host.path(path)) for path in every) if identity}
    return Mount(entry.id, layers, Shown(shown, entry.flags, defaults, layers.upper is not None, len(devices) <= 1, entry.super_ro))


def _real(host: Host, path: str) -> str:
    """A path of mountinfo without symbolic links; one that is relative stays, as nobody knows to what it was."""
    return host.realpath(path) if path.startswith("/") else path


def _unit(host: Host, path: str) -> Optional[Kept]:
    text = host.read(unit_path(path))
    if text is None:
        return None
    kept = parse_unit(text, enabled=False)
    return replace(kept, enabled=unit_name(path) in host.list(f"{UNIT_DIRECTORY}/{target(kept.options)}.wants"))


def _directories(host: Host, layers: Layers, entries: List[Entry], own: Optional[Entry], path: str) -> Dict[str, Directory]:
    writable = [name for name in (layers.upper, layers.work) if name]
    in_use = users_of_directories(host, entries, own) if writable else {}
    found = {}
    for name in (path, *layers.lower, *writable):
        real = host.path(name)
        kind = "directory" if os.path.isdir(real) else "other" if os.path.lexists(real) else ""
        found[name] = Directory(kind, _mount_below(real))
        if name in writable and kind:
            identity = identify(real)
            found[name] = replace(found[name], in_use=in_use.get(identity, "") if identity else "")
        if name == layers.work and kind == "directory":
            strays = tuple(item for item in host.list(name) if item not in _WORK_OWN)
            found[name] = replace(found[name], strays=strays, volatile=host.exists(f"{name}/{_VOLATILE}"))
    return found


def _mount_below(path: str) -> int:
    """The mount that a directory is on, or that it would be on once it is made."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    found = mount_id(path)
    if found is None:
        raise Failure(f"{path}: cannot be looked into; run the task with become: true", "permission_denied")
    return found
