# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel's modules as procfs, sysfs and modprobe's files show them."""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, Optional, Set, Tuple

from ..engine.host import Host
from .files import autoload_path, lines_elsewhere, options_path, parse_kept
from .holders import dependents, holders
from .initramfs import images_with
from .model import AUTO, NO_BLACKLIST, Desired, Kept, Observed, fold, kept_after

#: CPU flag → the module that drives it. Source: arch/x86/kvm/Kconfig.
VENDOR_MODULES = {"vmx": "kvm_intel", "svm": "kvm_amd"}


def cpu_flags(cpuinfo: str) -> Set[str]:
    """The flags of the first CPU in the text of /proc/cpuinfo."""
    match = re.search(r"^(?:flags|Features)\s*:(.*)$", cpuinfo, re.MULTILINE)
    return set(match[1].split()) if match else set()


def loaded_modules(proc_modules: str) -> Set[str]:
    """The names in the text of /proc/modules."""
    return {line.split()[0] for line in proc_modules.splitlines() if line.strip()}


def parse_types(listing: str) -> Dict[str, str]:
    """Parameter → type, from what modinfo --null --field parm says: C(nested: (int)), C(debug:Level (0=none) (int))."""
    types: Dict[str, str] = {}
    for field in listing.split("\0"):
        name, colon, about = field.strip().partition(":")
        kind = re.search(r"\(([^()]*)\)$", about.strip())
        if colon and name:
            types[fold(name)] = kind[1] if kind else ""
    return types


def read(host: Host, desired: Desired) -> Observed:
    loaded_text = host.read("/proc/modules")
    disabled = (host.try_read("/proc/sys/kernel/modules_disabled") or "0").strip() == "1"
    loadable = loaded_text is not None and not disabled
    name, reason = _resolve(host, desired.name, loadable)
    if name is None:
        return Observed(None, loadable=loadable, reason=reason)
    loaded = name in loaded_modules(loaded_text or "")
    in_kernel = host.is_dir(f"/sys/module/{name}")
    builtin = (in_kernel and not loaded) or name in _catalogue(host, "modules.builtin")
    known = loaded or builtin or (loadable and name in _catalogue(host, "modules.dep"))
    text = host.read(options_path(name))
    kept = Kept(None, NO_BLACKLIST) if text is None else parse_kept(text, name)
    parameters, writable = _parameters(host, name)
    above = dependents(host, name) if loaded else ()
    return Observed(
        name if known else None,
        loaded=loaded,
        builtin=builtin,
        loadable=loadable,
        reason="" if known else _missing(name, loadable, disabled),
        parameters=parameters,
        writable=writable,
        types=_types(host, name) if known and not builtin and (desired.parameters or desired.reloaded) else None,
        autoload=host.exists(autoload_path(name)),
        options=kept.options,
        blacklist=kept.blacklist,
        lines=lines_elsewhere(host, name),
        dependents=above,
        holders=holders(host, name, above) if loaded and (desired.may_unload or desired.parameters) else (),
        outdated=loaded and desired.reloaded and _outdated(host, name),
        images=() if builtin or kept == kept_after(kept, desired) else images_with(host, name),
    )


def _resolve(host: Host, name: str, loadable: bool) -> Tuple[Optional[str], str]:
    if name != AUTO:
        return name, ""
    flags = cpu_flags(host.read("/proc/cpuinfo") or "")
    for flag, module in VENDOR_MODULES.items():
        if flag in flags:
            return module, ""
    # No flag of a vendor: KVM may be part of the kernel all the same (arm64, or a paravirtual back end).
    if host.is_dir("/sys/module/kvm"):
        return "kvm", ""
    return None, (
        "this machine's CPU shows neither vmx nor svm; switch virtualization on in the firmware, "
        "or nested virtualization in the hypervisor that this machine runs under"
    )


def _missing(name: str, loadable: bool, disabled: bool) -> str:
    if loadable:
        return f"{name}: this kernel has no such module; check the name, or install the kernel's extra modules package"
    if disabled:
        return f"{name}: not loaded, and kernel.modules_disabled=1 forbids loading until the next boot"
    return f"{name}: this kernel loads no modules at all, and nothing shows that it has this one built in; where it is missed, boot another kernel"


def module_names(text: str) -> Set[str]:
    """The modules in the text of modules.builtin or modules.dep: "kernel/arch/x86/kvm/kvm-amd.ko.xz: ...", one a line."""
    paths = (line.split(":", 1)[0] for line in text.splitlines())
    return {fold(path.rsplit("/", 1)[-1].split(".ko", 1)[0]) for path in paths if path}


def _catalogue(host: Host, file: str) -> Set[str]:
    release = (host.try_read("/proc/sys/kernel/osrelease") or "").strip()
    return module_names(host.try_read(f"/lib/modules/{release}/{file}") or "")


def _parameters(host: Host, name: str) -> Tuple[Dict[str, str], FrozenSet[str]]:
    base = f"/sys/module/{name}/parameters"
    values = {key: (host.try_read(f"{base}/{key}") or "").strip() for key in host.list(base)}
    return values, frozenset(key for key in values if host.is_writable(f"{base}/{key}"))


def _types(host: Host, name: str) -> Optional[Dict[str, str]]:
    """What the module's file says that it takes; None where there is no modinfo, or no such file any more."""
    if not host.which("modinfo"):
        return None
    said = host.run(["modinfo", "--null", "--field", "parm", name], check=False)
    return None if said.rc else parse_types(said.stdout)


def _outdated(host: Host, name: str) -> bool:
    """Whether the running module is another build than its file. Not every module carries the checksum that tells."""
    running = (host.try_read(f"/sys/module/{name}/srcversion") or "").strip()
    if not running or not host.which("modinfo"):
        return False
    said = host.run(["modinfo", "--field", "srcversion", name], check=False)
    return not said.rc and said.stdout.strip() not in ("", running)
