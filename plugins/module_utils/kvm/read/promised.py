# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What libvirt's guests are defined with, from the files in which libvirt keeps them."""

from __future__ import annotations

from typing import Dict, Optional, Tuple
from xml.etree import ElementTree

from ...engine.errors import Failure
from ...engine.host import Host
from ...engine.units import parse_size
from ..sections.system import Promised

DEFINED, RUNNING = "/etc/libvirt/qemu", "/run/libvirt/qemu"

#: Bytes of memory and virtual CPUs.
Share = Tuple[int, int]


def read_promised(host: Host) -> Tuple[Optional[Promised], str]:
    """None, and the reason, where this user may not see libvirt's files. No libvirt promised nothing."""
    guests: Dict[str, Share] = {}
    running = 0
    try:
        for folder in (DEFINED, RUNNING):  # a running guest has what its own definition says, and need not be defined at all
            for name in host.list(folder):
                if name.endswith(".xml"):
                    found = parse_guest(host.read(f"{folder}/{name}") or "", f"{folder}/{name}")
                    guests.update(found)
                    running += folder == RUNNING and bool(found)
    except Failure as failure:
        return None, failure.message
    return Promised(len(guests), running, sum(memory for memory, _vcpus in guests.values()), sum(vcpus for _memory, vcpus in guests.values())), ""


def parse_guest(text: str, path: str) -> Dict[str, Share]:
    """UUID → what a guest is promised. A running guest's file has the definition inside of its status; files of other kinds give nothing.

    Failure C(unexpected_output): it is no XML.
    """
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  # libvirt's own files, which root alone writes
    except ElementTree.ParseError as error:
        raise Failure(f"{path}: {error}", "unexpected_output") from error
    domain = root if root.tag == "domain" else root.find("domain")
    if domain is None:
        return {}
    memory = domain.find("memory")
    size = parse_size((memory.text or "0").strip(), path, memory.get("unit", "KiB")) if memory is not None else 0
    vcpus = (domain.findtext("vcpu") or "1").strip()
    return {domain.findtext("uuid") or path: (size, int(vcpus) if vcpus.isdigit() else 1)}
