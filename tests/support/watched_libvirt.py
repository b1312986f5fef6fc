# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A libvirt whose every call that could change anything is seen: to end the module there, which then has no result; or to end libvirtd.

It stands below libvirt's Python classes, where each method is a call by its name in libvirt's C API. What is not known to read is taken
for a change, so that a call of a later libvirt is one until somebody says otherwise.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any, Callable, NoReturn

_THING = "(Connect|Conn|Domain|DomainSnapshot|DomainCheckpoint|DomainBackup|DomainManagedSave|DomainSaveImage|DomainMigrate|Network|NetworkPort|"
_THING += "StoragePool|StorageVol|Secret|NWFilter|NWFilterBinding|NodeDevice|Interface|Node|Stream|)"
_READING = re.compile(
    f"vir{_THING}(Get|List|Num|Is|Has|Lookup)([A-Z].*)?"
    "|vir.*(Free|_pointer)"
    "|vir(Initialize|ResetLastError|ConnResetLastError|RegisterErrorHandler|ConnectOpen.*|ConnectClose|ConnectSetKeepAlive|ConnectDomainXML.*)"
    "|virDomain(InterfaceAddresses|InterfaceStats|MemoryStats|BlockStats.*)"
    "|virStorageVolDownload|virStream(New|Recv.*|Abort|Finish)"
    "|__.*"
)


class ChangingCall(BaseException):
    """No Exception, so that nothing takes it for a fault of libvirt."""


Call = Callable[..., Any]
Guard = Callable[[str, Call], Call]


class _Watched:
    def __init__(self, calls: Any, guard: Guard) -> None:
        self._calls = calls
        self._guard = guard

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._calls, name)
        return call if _READING.fullmatch(name) else self._guard(name, call)


def refusing(name: str, _call: Call) -> Call:
    def refuse(*_arguments: Any) -> NoReturn:
        raise ChangingCall(name)

    return refuse


def killing(count: int, pid_file: str) -> Guard:
    """Right after so many changing calls, the process of the file is killed and gone."""
    left = [count]

    def guard(_name: str, call: Call) -> Call:
        def last(*arguments: Any) -> Any:
            result = call(*arguments)
            left[0] -= 1
            if left[0] == 0:
                _kill(int(Path(pid_file).read_text()))
            return result

        return last

    return guard


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    while _lives(Path(f"/proc/{pid}")):
        time.sleep(0.01)


def _lives(process: Path) -> bool:
    """Any thread of it: the first one may be gone while another still holds the socket."""
    try:
        return any((thread / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX" for thread in (process / "task").iterdir())
    except OSError:
        return False


class _Finder(importlib.abc.MetaPathFinder):
    """Hands out the libvirt that is installed, watched, to whoever imports it first."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname != "libvirt":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_watched(module: Any) -> None:
            load(module)
            _watch(module, self.guard)

        spec.loader.exec_module = load_watched  # type: ignore[method-assign]
        return spec


def _watch(libvirt: Any, guard: Guard) -> None:
    if hasattr(libvirt, "libvirtmod"):  # a test may have put another libvirt in its place
        libvirt.libvirtmod = _Watched(libvirt.libvirtmod, guard)


def watch(guard: Guard = refusing) -> None:
    """From now on in this process."""
    if "libvirt" in sys.modules:
        _watch(sys.modules["libvirt"], guard)
    else:
        sys.meta_path.insert(0, _Finder(guard))
