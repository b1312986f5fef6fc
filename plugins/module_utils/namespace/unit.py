# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The unit that makes a set of namespaces again at boot. Texts in, texts out."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, Optional

DIRECTORY = "/etc/systemd/system"
TARGET = "multi-user.target"
_DECLARED = "# declared: "


def unit_name(name: str) -> str:
    return f"virtops-namespace-{name}.service"


def unit_path(name: str) -> str:
    return f"{DIRECTORY}/{unit_name(name)}"


def unit_text(name: str, declared: Mapping[str, Any], start: List[List[str]], stop: List[List[str]]) -> str:
    lines = [
        "# Written by the Ansible collection virtops.linux; changes are overwritten.",
        _DECLARED + json.dumps(declared, sort_keys=True),
        "[Unit]",
        f"Description=Namespaces {name}",
        "After=network.target",
        *_devices(declared),
        # What made the set in this boot already is left alone.
        f"ConditionPathIsMountPoint=!/run/virtops/namespaces/{name}",
        "",
        "[Service]",
        "Type=oneshot",
        "RemainAfterExit=yes",
        *(f"ExecStart={_line(words)}" for words in start),
        # The init of a pid namespace hears no other signal.
        "KillSignal=SIGKILL",
        # Post: after a start that failed too, so that the next one can succeed.
        *(f"ExecStopPost=-{_line(words)}" for words in stop),
        "",
        "[Install]",
        f"WantedBy={TARGET}",
    ]
    return "\n".join(lines) + "\n"


def _devices(declared: Mapping[str, Any]) -> List[str]:
    """The bridges and links of the host come when whoever keeps them makes them, which network.target does not wait for."""
    interfaces = declared.get("interfaces") or []
    links = sorted({item[key] for item in interfaces for key in ("bridge", "link") if item.get(key)})
    units = " ".join(f"sys-subsystem-net-devices-{_escaped(link)}.device" for link in links)
    return [f"Wants={units}", f"After={units}"] if units else []


def _escaped(name: str) -> str:
    """A part of a path in the name of a unit. Source: systemd.unit(5), "string escaping for inclusion in unit names"."""
    kept = [char if (char.isascii() and char.isalnum()) or char in ":_" or (char == "." and place) else "" for place, char in enumerate(name)]
    return "".join(same or "".join(f"\\x{byte:02x}" for byte in char.encode()) for same, char in zip(kept, name))


def process_unit_name(name: str) -> str:
    return f"virtops-namespace-{name}-process.service"


def process_unit_path(name: str, boot: bool) -> str:
    """A unit that is not to be there after a boot is in /run."""
    return f"{DIRECTORY if boot else '/run/systemd/system'}/{process_unit_name(name)}"


def process_unit_text(name: str, declared: Mapping[str, Any], words: List[str], slice_name: str, boot: bool) -> str:
    # Where the set is not kept by a unit there is none to wait for.
    needs = [f"Requires={unit_name(name)}", f"After={unit_name(name)}"] if boot else []
    lines = [
        "# Written by the Ansible collection virtops.linux; changes are overwritten.",
        _DECLARED + json.dumps(declared, sort_keys=True),
        "[Unit]",
        f"Description=Process in the namespaces {name}",
        *needs,
        # At boot it may be a moment earlier than the init of its pid namespace.
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        f"ExecStart={_line(words)}",
        "Restart=always",
        "RestartSec=1",
        *([f"Slice={slice_name}"] if slice_name else []),
        "",
        "[Install]",
        f"WantedBy={TARGET}",
    ]
    return "\n".join(lines) + "\n"


def _line(words: List[str]) -> str:
    return " ".join(_word(word) for word in words)


def _word(word: str) -> str:
    """A word of a command line as systemd takes it. Source: systemd.service(5), "command lines"."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return escaped if escaped == word and not set(word) & set(" \t';") else f'"{escaped}"'


def declared(text: Optional[str]) -> Optional[Dict[str, Any]]:
    """What the text of a unit was made from; None where there is no such unit. One that was written by hand counts as empty."""
    if text is None:
        return None
    for line in text.splitlines():
        if line.startswith(_DECLARED):
            try:
                found = json.loads(line[len(_DECLARED) :])
            except ValueError:
                break
            return dict(found) if isinstance(found, dict) else {}
    return {}
