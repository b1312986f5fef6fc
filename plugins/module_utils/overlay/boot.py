# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What mounts an overlay at boot: a line of /etc/fstab, or a mount unit of systemd's. Texts in, texts out."""

from __future__ import annotations

import re
from typing import Dict, List, Optional

from .model import Kept
from .mountinfo import mangle, unmangle
from .options import Options, normal, parse_options, render, split

FSTAB_PATH = "/etc/fstab"
UNIT_DIRECTORY = "/etc/systemd/system"
TYPE = "overlay"

_HEADER = "# Written by the Ansible collection virtops.linux; changes are overwritten.\n"


def unit_name(path: str) -> str:
    """The unit that systemd has for a mount point. Source: systemd.unit(5), "string escaping for inclusion in unit names"."""
    text = path.strip("/")
    escaped = ["-" if letter == "/" else letter if re.match(r"[A-Za-z0-9:_.]", letter) else _bytes(letter) for letter in text]
    if escaped and escaped[0] == ".":
        escaped[0] = _bytes(".")
    return "".join(escaped) + ".mount"


def _bytes(letter: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in letter.encode())


def unit_path(path: str) -> str:
    return f"{UNIT_DIRECTORY}/{unit_name(path)}"


def target(options: Options) -> str:
    """What wants the unit at boot. A mount over the network would make the local ones wait for the network."""
    return "remote-fs.target" if options.get("_netdev") else "local-fs.target"


def unit_text(path: str, kept: Kept) -> str:
    layers = kept.layers
    needed = [word for word in (*layers.lower, layers.upper, layers.work) if word]
    lines = [
        "[Unit]",
        f"Description=Overlay at {_literal(path)}",
        f"RequiresMountsFor={' '.join(_word(word) for word in needed)}",
        "",
        "[Mount]",
        f"What={TYPE}",
        f"Where={_literal(path)}",
        f"Type={TYPE}",
        f"Options={_literal(render(layers, kept.options, userspace=True))}",
        # Newer versions of mount(8) use an interface of the kernel's that takes at most 255 bytes of lower directories.
        "Environment=LIBMOUNT_FORCE_MOUNT2=always",
        "",
        "[Install]",
        f"WantedBy={target(kept.options)}",
    ]
    return _HEADER + "\n".join(lines) + "\n"


def _literal(text: str) -> str:
    return text.replace("%", "%%")


def _word(text: str) -> str:
    return '"' + _literal(text).replace("\\", "\\\\") + '"'


def parse_unit(text: str, enabled: bool) -> Kept:
    found: Dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith(("#", ";")):
            found[key.strip()] = value.strip().replace("%%", "%")
    layers, options = parse_options(split(found.get("Options", ""), ","))
    return Kept(layers, options, enabled)


def fstab_line(path: str, kept: Kept) -> str:
    return " ".join((TYPE, mangle(path), TYPE, mangle(render(kept.layers, kept.options, userspace=True)), "0", "0"))


def parse_fstab(text: str, path: str) -> Optional[Kept]:
    """The overlay that the text of fstab has for a path. The last of several lines counts, as it is mounted over the others."""
    lines = [line.split() for line in text.splitlines() if _is_ours(line, path)]
    if not lines:
        return None
    layers, options = parse_options(split(unmangle(lines[-1][3]), ","))
    options.pop("defaults", None)
    return Kept(layers, options, enabled=not options.pop("noauto", False))


def with_line(text: str, path: str, line: Optional[str]) -> str:
    """The text of fstab with this line for the overlay at a path, or with none. Every other line stays as it is."""
    found: List[str] = []
    for old in text.splitlines():
        if not _is_ours(old, path):
            found.append(old)
        elif line is not None:
            found.append(line)
            line = None
    if line is not None:
        found.append(line)
    return "".join(f"{item}\n" for item in found)


def _is_ours(line: str, path: str) -> bool:
    words = line.split()
    return len(words) >= 4 and not words[0].startswith("#") and words[2] == TYPE and normal(unmangle(words[1])) == path
