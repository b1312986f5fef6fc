# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the corpus has of each kind of object, and how libvirt is asked for it without us."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Tuple

#: The pool that the volumes are made in.
POOL = "vt-corpus"


def virsh(*words: str) -> Tuple[bool, str]:
    """Whether it went well, and what was said."""
    done = subprocess.run(["virsh", "-q", "-c", "qemu:///system", *words], capture_output=True, text=True, check=False)
    return done.returncode == 0, " ".join((done.stdout if done.returncode == 0 else done.stderr).split())


@dataclass(frozen=True)
class Kind:
    """A row of the table. One more kind of object is one more of these.

    folders: in libvirt's tests. define, undefine: virsh's words before the file, and before the name.
    named_by: the elements or @attributes, the first that is there, that undefine takes. options: of our module, besides xml.
    """

    name: str
    module: str
    folders: Tuple[str, ...]
    define: Tuple[str, ...]
    undefine: Tuple[str, ...]
    named_by: Tuple[str, ...] = ("name",)
    options: Dict[str, Any] = field(default_factory=lambda: {"state": "present"})
    prepare: Tuple[Tuple[str, ...], ...] = ()

    def files(self, tests: Path) -> List[Path]:
        return sorted(path for folder in self.folders for path in (tests / folder).glob("*.xml") if not path.is_symlink())

    def handle(self, text: str) -> str:
        """By what name virsh knows the object of a file."""
        tree = ET.fromstring(text)  # noqa: S314  # libvirt's own
        found = [tree.get(place[1:]) if place.startswith("@") else tree.findtext(place) for place in self.named_by]
        return next((name.strip() for name in found if name), "")

    def make(self, path: Path) -> Tuple[bool, str]:
        return virsh(*self.define, str(path))

    def remove(self, handle: str) -> None:
        virsh(*self.undefine, handle)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("networks", "libvirt_network", ("networkxml2xmlin",), ("net-define",), ("net-undefine",)),
        Kind("pools", "libvirt_pool", ("storagepoolxml2xmlin",), ("pool-define",), ("pool-undefine",), named_by=("name", "source/name")),
        Kind(
            "volumes",
            "libvirt_volume",
            ("storagevolxml2xmlin",),
            ("vol-create", POOL),
            ("vol-delete", "--pool", POOL),
            options={"state": "present", "pool": POOL},
            prepare=(("pool-create-as", POOL, "dir", "--target", "/var/lib/libvirt/images"),),
        ),
        Kind("secrets", "libvirt_secret", ("secretxml2xmlin",), ("secret-define",), ("secret-undefine",), named_by=("uuid",)),
        Kind("nwfilters", "libvirt_nwfilter", ("nwfilterxml2xmlin",), ("nwfilter-define",), ("nwfilter-undefine",), named_by=("@name",)),
        Kind(
            "domains",
            "libvirt_domain",
            ("qemuxml2argvdata",),
            ("define",),
            ("undefine", "--nvram", "--tpm"),
        ),
    )
}
