# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SELinux contexts as data, in four parts as Ansible's own file options have them."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import Any, Dict, Mapping, Optional

from ..engine.errors import Failure

SPEC: Dict[str, Any] = {name: {"type": "str"} for name in ("seuser", "serole", "setype", "selevel")}

_PART = re.compile(r"[A-Za-z0-9_.-]+")
_LEVEL = re.compile(r"[A-Za-z0-9_.:,-]+")


@dataclass(frozen=True)
class Context:
    """None: in a wish, leave alone; of a file, its policy has no such part."""

    seuser: Optional[str] = None
    serole: Optional[str] = None
    setype: Optional[str] = None
    selevel: Optional[str] = None

    def given(self) -> Dict[str, str]:
        return {item.name: getattr(self, item.name) for item in fields(self) if getattr(self, item.name) is not None}

    def over(self, other: Optional[Context]) -> Context:
        """This, and for what it leaves open the other."""
        return replace(other or Context(), **self.given())

    def text(self) -> Optional[str]:
        """As the kernel has it. None where a part is missing."""
        if not (self.seuser and self.serole and self.setype):
            return None
        return ":".join(self.given().values())


ANY = Context()


def parse_context(params: Mapping[str, Any]) -> Context:
    """Failure C(invalid_context)."""
    for name in SPEC:
        if params[name] is not None and not (_LEVEL if name == "selevel" else _PART).fullmatch(params[name]):
            raise Failure(
                f"{name}: {params[name]!r} is no part of an SELinux context; write one part by its name, for example virt_image_t", "invalid_context"
            )
    if "_default" in (params[name] for name in SPEC):
        raise Failure("_default: the policy is not asked for what it would choose; name the part, or leave it out", "invalid_context")
    return Context(**{name: params[name] for name in SPEC})


def split(text: str) -> Context:
    """The text of the kernel's, in which only the level may have colons."""
    return Context(*text.rstrip("\0").split(":", 3))
