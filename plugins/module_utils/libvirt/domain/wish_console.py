# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A guest's consoles, of text and of graphics, as the XML that they wish for."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Set

from ...engine.errors import Failure
from ..xmltree import Node, element, plain_text
from .options.devices import SERIAL
from .options.write import Draft, write

#: Source: the VNC protocol's DES key.
_LONGEST_VNC_PASSWORD = 8


def console(params: Mapping[str, Any], owned: Set[str]) -> List[Optional[Node]]:
    """The first serial port, which libvirt makes the guest's console as well."""
    wanted, log = params["console"], params["console_log"]
    if params["serial"] is not None:
        if wanted is not None or log is not None:
            raise Failure("serial: its first port is the console; leave console and console_log out", "invalid_value")
        return _ports(params, owned)
    if wanted is False:
        if log:
            raise Failure("console_log: there is nothing to log with console: false; leave one of them out", "invalid_value")
        owned.update(("serial", "console"))
        return []
    if wanted is None and log is None:
        return []
    port = element("target", port="0")
    # libvirt keeps two records of the first port, a serial and a console, and the console's log would win.
    nodes = [element("serial", _log(log), port), element("console", _log(log), element("target", type="serial", port="0"))]
    gone = frozenset({"log"}) if log == "" else frozenset()
    return [replace(node, owned=gone, initial=element(node.tag, type="pty")) for node in nodes]


def _ports(params: Mapping[str, Any], owned: Set[str]) -> List[Optional[Node]]:
    """All serial ports. libvirt keeps the first one a second time, as a console."""
    draft = Draft("domain")
    write(SERIAL, params, draft)
    owned.update(("serial",) if params["serial"] else ("serial", "console"))
    ports: List[Optional[Node]] = []
    for number, child in enumerate(draft.at("devices").node().children):
        target = child.find("target") or Node("target")
        others = tuple(one for one in child.children if one.tag != "target")
        ports.append(replace(child, children=(*others, target.with_attributes(port=str(number)))))
        if not number:
            ports.append(replace(child, tag="console", children=(*others, element("target", type="serial", port="0"))))
    return ports


def _log(path: Optional[str]) -> Optional[Node]:
    if not path:
        return None
    if not path.startswith("/"):
        raise Failure(f"console_log: {path!r} is not an absolute path; start it with a slash", "invalid_value")
    return element("log", file=plain_text(path, "console_log"))


def graphics(options: Mapping[str, Any]) -> Optional[Node]:
    kind, listen, port, password = options["type"], options["listen"], options["port"], options["password"]
    if kind == "none":
        if listen is not None or port is not None or password is not None:
            raise Failure("graphics: type none listens nowhere; leave listen, port and password out", "invalid_value")
        return None
    children: List[Node] = []
    attributes: Dict[str, str] = {"type": kind}
    if password:
        if kind == "vnc" and len(password.encode()) > _LONGEST_VNC_PASSWORD:
            raise Failure(f"graphics.password: VNC has passwords of at most {_LONGEST_VNC_PASSWORD} bytes; choose a shorter one", "invalid_value")
        attributes["passwd"] = _secret_text(password)
    if listen is not None:
        try:
            address = str(ipaddress.ip_address(listen))
        except ValueError as error:
            raise Failure(f"graphics.listen: {error}", "invalid_address") from error
        attributes["listen"] = address
        children.append(element("listen", type="address", address=address))
    if port is not None:
        if port != -1 and not 0 < port < 65536:
            raise Failure(f"graphics.port: {port} is no TCP port; use 5900 to 65535, or -1 for a free one", "invalid_value")
        attributes.update(port=str(port), autoport="yes" if port == -1 else "no")
    owned = frozenset({"@passwd"}) if password == "" else frozenset()
    return replace(element("graphics", *children, **attributes), owned=owned, initial=element("graphics", port="-1", autoport="yes"))


def _secret_text(password: str) -> str:
    """The password, refused without being shown where no XML can carry it."""
    try:
        return plain_text(password, "graphics.password")
    except Failure:
        raise Failure("graphics.password: it has control characters; leave them out", "invalid_text") from None
