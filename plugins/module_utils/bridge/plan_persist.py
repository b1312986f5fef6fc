# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeping a bridge over the reboot: what is declared of it, and which files say so."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..engine.errors import Failure
from ..engine.plan import Action
from .fields import BRIDGE_FIELDS, PORT_FIELDS, Field, Value
from .model import Desired, Observed
from .persist import ifupdown, netplan, networkd, networkmanager
from .persist.model import AUTO, IFUPDOWN, NETPLAN, NETWORKD, NETWORKMANAGER, NONE, Kept, Stored, Wanted, Words
from .plan_actions import ReloadBackend, RemoveFile, WriteFile
from .plan_client import leased4
from .plan_move import possible, to_take

BACKENDS: Tuple[Tuple[str, Any], ...] = (
    (NETWORKD, networkd),
    (IFUPDOWN, ifupdown),
    (NETPLAN, netplan),
    (NETWORKMANAGER, networkmanager),
)
#: Kinds of interfaces that are there at boot by themselves; tap devices and container ends come with their guests.
_OF_HOST = ("", "bond", "vlan", "team")
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def heeded(observed: Observed, desired: Desired, warnings: List[str]) -> Desired:
    """Without what means nothing to the bridge, and what the back end would have at another value after the next start."""
    backend = dict(BACKENDS).get(target_of(desired, observed.stored, []))
    if backend is None or desired.options.get("stp", observed.options.get("stp", False)):
        return desired
    idle = [name for name in backend.only_with_stp(observed.stored) if name in desired.options]
    if not idle:
        return desired
    warnings.append(f"{desired.name}: NetworkManager sets {', '.join(idle)} with stp: true only, without which they mean nothing; left as they are")
    return replace(desired, options={name: value for name, value in desired.options.items() if name not in idle})


def persist(before: Observed, after: Observed, desired: Desired, actions: List[Action], warnings: List[str]) -> Observed:
    """Has the files say what the bridge is after this run. Returns what is there then."""
    stored = before.stored
    target = target_of(desired, stored, warnings) if desired.present else NONE
    kept = None if target == NONE else _kept(before, after, desired)
    files: Dict[str, str] = dict(stored.files)
    for name, backend in BACKENDS:
        if name == target and kept is not None:
            _refuse(desired.name, name, backend, kept, stored)
            warnings.extend(backend.warnings(desired.name, kept, stored))
        if _changes(files, backend.wanted(desired.name, kept if name == target else None, stored), actions, backend.MODE):
            actions.extend(ReloadBackend(name, argv) for argv in backend.reload(stored))
    return replace(after, stored=replace(stored, backend=target, files=files, kept=kept))


def shown(observed: Observed) -> Dict[str, str]:
    """The files that keep the bridge, with the lines that were set aside in those of others."""
    found = {path: text for _name, backend in BACKENDS for path, text in backend.shown(observed.name, observed.stored.files).items()}
    return dict(sorted(found.items()))


def target_of(desired: Desired, stored: Stored, warnings: List[str]) -> str:
    """Where nothing is said, what keeps the bridge already goes on doing so."""
    if desired.persist is None:
        return stored.backend
    target = desired.persist
    if target == AUTO:
        target = stored.backend if stored.backend != NONE else stored.found
        if target == NONE:
            warnings.append(f"{desired.name}: no network configuration that it could be kept in was found, so it is gone after a reboot")
    elif target not in (NONE, stored.found) and stored.found != NONE:
        warnings.append(f"{desired.name}: it is kept by {target}, but this host's network seems to be kept by {stored.found}")
    return target


def _refuse(bridge: str, name: str, backend: Any, kept: Kept, stored: Stored) -> None:
    for link in (bridge, *kept.ports):
        if not _SAFE.fullmatch(link):
            raise Failure(
                f"{link!r}: a name with such characters cannot be kept by {name}; use letters, digits, dots and dashes, or set persist: none",
                "invalid_name",
            )
    gaps = backend.gaps(kept, stored)
    if gaps:
        raise Failure(f"{bridge}: {name} cannot keep {', '.join(gaps)}; leave that out, or set persist: none", "unsupported_by_backend", gaps=gaps)


def _changes(files: Dict[str, str], wanted: Wanted, actions: List[Action], mode: int) -> bool:
    changed = False
    for path, text in sorted(wanted.items()):
        if files.get(path) == text:
            continue
        changed = True
        if text is None:
            actions.append(RemoveFile(path))
            files.pop(path)
        else:
            actions.append(WriteFile(path, text, mode))
            files[path] = text
    return changed


# What is declared: what earlier tasks said, with what this one says and does


def _kept(before: Observed, after: Observed, desired: Desired) -> Kept:
    old = before.stored.kept
    base = old or Kept()
    ours = [item for item in after.addresses if not item.automatic]
    if desired.addresses is not None:
        addresses = desired.addresses
    elif old is None:
        addresses = tuple(item.cidr for item in ours)
    else:
        addresses = _followed(base.addresses, [item.cidr for item in before.addresses], [item.cidr for item in ours])
    leased = leased4(before, desired) or (base.leased and desired.addresses is None)
    asks4 = _said(_said(desired.dhcp4, base.dhcp4), leased)
    ports = _ports(before, after, desired)
    port_vlans = {**base.port_vlans, **{before.links[port.name].name: port.vlans for port in desired.ports or () if port.vlans is not None}}
    vlans = base.vlans if desired.vlans is None else desired.vlans
    options = {**base.options, **desired.options}
    if after.options.get("vlan_filtering") and (vlans is not None or port_vlans):
        # Without these two, the lists would not mean the same.
        options = {**{name: after.options[name] for name in ("vlan_filtering", "vlan_default_pvid") if name in after.options}, **options}
    routes = tuple(filter(_lasting, after.routes)) if old is None else _followed(base.routes, before.routes, list(filter(_lasting, after.routes)))
    return Kept(
        mac=_mac(before, after, desired),
        mtu=desired.mtu or base.mtu,
        options=_ordered(BRIDGE_FIELDS, options),
        ports=ports,
        addresses=addresses,
        routes=routes if asks4 else tuple(possible(routes, addresses)),
        leased=leased,
        dhcp4=_said(desired.dhcp4, base.dhcp4),
        dhcp6=_said(desired.dhcp6, base.dhcp6),
        accept_ra=_said(desired.accept_ra, base.accept_ra),
        nameservers=_said(desired.nameservers, base.nameservers),
        search=_said(desired.search, base.search),
        vlans=vlans,
        port_vlans={name: port_vlans[name] for name in ports if name in port_vlans},
    )


def _said(now: Any, before: Any) -> Any:
    return before if now is None else now


def _followed(base: Tuple[Any, ...], before: Any, after: Any) -> Tuple[Any, ...]:
    """What was declared, without what this run takes away and with what it brings. What is only missing now stays declared."""
    kept = [item for item in base if item in after or item not in before]
    return tuple(dict.fromkeys([*kept, *(item for item in after if item not in before)]))


def _lasting(words: Words) -> bool:
    """Routes that somebody set. Those of clients and of routing daemons are theirs to make again."""
    proto = words[words.index("proto") + 1] if "proto" in words else "boot"
    return proto in ("boot", "static") and "expires" not in words


def _mac(before: Observed, after: Observed, desired: Desired) -> Optional[str]:
    if desired.mac is not None or to_take(before, desired):
        return after.mac
    if before.stored.kept is not None:
        return before.stored.kept.mac
    return before.mac if before.exists and before.mac_fixed else None


def _ports(before: Observed, after: Observed, desired: Desired) -> Dict[str, Mapping[str, Value]]:
    old = before.stored.kept
    there = {port.name for port in after.ports}
    released = {port.name for port in before.ports} - there
    found: Dict[str, Mapping[str, Value]] = {port.name: {} for port in after.ports if old is None and port.kind in _OF_HOST}
    found.update(
        {name: options for name, options in (old.ports if old else {}).items() if name not in released and (name in there or not desired.purge)}
    )
    for port in desired.ports or ():
        name = before.links[port.name].name
        found[name] = _ordered(PORT_FIELDS, {**found.get(name, {}), **port.options})
    return dict(sorted(found.items()))


def _ordered(fields: Tuple[Field, ...], options: Mapping[str, Value]) -> Dict[str, Value]:
    return {item.name: options[item.name] for item in fields if item.name in options}
