# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One connection to libvirt, and libvirt's errors in our words."""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Hashable, Iterator, Mapping, Optional

from ..engine.errors import Failure, NotReady
from ..engine.host import Host
from .uri import driver, is_local, is_session

# libvirt's error code → ours. Names, not numbers, so that libvirt need not be there to read this.
# Source: virErrorNumber in libvirt/virterror.h.
_CODES = {
    "VIR_ERR_NO_DOMAIN": "domain_not_found",
    "VIR_ERR_NO_NETWORK": "network_not_found",
    "VIR_ERR_NO_STORAGE_POOL": "pool_not_found",
    "VIR_ERR_NO_STORAGE_VOL": "volume_not_found",
    "VIR_ERR_NO_SECRET": "secret_not_found",
    "VIR_ERR_NO_NWFILTER": "nwfilter_not_found",
    "VIR_ERR_NO_CONNECT": "libvirt_unreachable",
    "VIR_ERR_RPC": "libvirt_unreachable",
    "VIR_ERR_AUTH_DENIED": "permission_denied",
    "VIR_ERR_AUTH_FAILED": "permission_denied",
    "VIR_ERR_AUTH_CANCELLED": "permission_denied",
    "VIR_ERR_ACCESS_DENIED": "permission_denied",
    "VIR_ERR_OPERATION_DENIED": "permission_denied",
    "VIR_ERR_OPERATION_TIMEOUT": "libvirt_busy",
    "VIR_ERR_OPERATION_INVALID": "operation_invalid",
    "VIR_ERR_OPERATION_UNSUPPORTED": "unsupported",
    "VIR_ERR_NO_SUPPORT": "unsupported",
    "VIR_ERR_CONFIG_UNSUPPORTED": "unsupported_configuration",
    "VIR_ERR_XML_ERROR": "invalid_definition",
    "VIR_ERR_XML_DETAIL": "invalid_definition",
    "VIR_ERR_XML_INVALID_SCHEMA": "invalid_definition",
    "VIR_ERR_INVALID_DOMAIN_CHECKPOINT": "invalid_definition",
}


@dataclass(frozen=True)
class Connection:
    """virt: the virConnect. api: the libvirt module, for its constants. host: the machine that the module runs on.

    seen: what stays the same from one object of a task to the next.
    """

    virt: Any
    api: Any
    uri: str
    host: Host
    seen: Dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    def once(self, key: Hashable, ask: Callable[[], Any]) -> Any:
        """What ask() gave, asked once as long as the connection lives, or until forget()."""
        if key not in self.seen:
            self.seen[key] = ask()
        return self.seen[key]

    def forget(self) -> None:
        """After a change of what may have been seen."""
        self.seen.clear()

    def failure(self, error: Any, sentence: str, code: Optional[str] = None) -> Failure:
        """A libvirtError as a Failure: our sentence, libvirt's message, a stable code. The one place that does so."""
        failure = _failure(self.api, error, sentence, code)
        if is_session(self.uri) and "Operation not permitted" in failure.message:
            way_out = f"{self.uri} has no more rights than its user; use {driver(self.uri)}:///system for this"
            return Failure(f"{failure.message}; {way_out}", failure.code, **failure.details)
        if error.get_error_code() == self.api.VIR_ERR_NO_SUPPORT:
            return Failure(f"{failure.message}; use a URI whose driver has this, {self.uri} does not", failure.code, **failure.details)
        return failure

    def understands(self, ask: Callable[[int], Any], flags: int) -> Any:
        """What ask(flags) gives; what ask(0) gives where the driver knows no such flags, and so no such difference."""
        try:
            return ask(flags)
        except self.api.libvirtError as error:
            if not flags or error.get_error_code() != self.api.VIR_ERR_INVALID_ARG or "unsupported flags" not in _message(error):
                raise
            return ask(0)

    @contextmanager
    def explained(self, sentence: str, code: Optional[str] = None) -> Iterator[None]:
        """Whatever libvirt refuses inside becomes a Failure that starts with the sentence."""
        try:
            yield
        except self.api.libvirtError as error:
            raise self.failure(error, sentence, code) from error

    def lookup(self, find: Callable[[], Any], sentence: str) -> Any:
        """An object, or None where libvirt has no such thing."""
        try:
            return find()
        except self.api.libvirtError as error:
            if error.get_error_code() in [getattr(self.api, name) for name, code in _CODES.items() if code.endswith("_not_found")]:
                return None
            raise self.failure(error, sentence) from error


def _message(error: Any) -> str:
    return " ".join(str(error.get_error_message() or error).split())


def _broke(api: Any, error: Any) -> bool:
    """Whether the connection itself broke, whatever was asked. Source: virNetSocket, virNetClient."""
    return error.get_error_domain() == api.VIR_FROM_RPC and error.get_error_code() in (api.VIR_ERR_SYSTEM_ERROR, api.VIR_ERR_INTERNAL_ERROR)


def _failure(api: Any, error: Any, sentence: str, code: Optional[str] = None, connected: bool = True) -> Failure:
    known = {getattr(api, name): ours for name, ours in _CODES.items() if hasattr(api, name)}
    number = error.get_error_code()
    message = _message(error)
    if connected and _broke(api, error):
        way_out = "; libvirtd went away meanwhile: see that it runs, and run the task again, which goes on from here"
        return Failure(f"{sentence}: {message}{way_out}", "libvirt_unreachable", libvirt_message=message, libvirt_code=number)
    return Failure(f"{sentence}: {message}", code or known.get(number, "libvirt_error"), libvirt_message=message, libvirt_code=number)


@contextmanager
def open_connection(host: Host, params: Mapping[str, Any]) -> Iterator[Connection]:
    """The connection that a resource's options name: one for each URI in a task, however many objects it has. NotReady where there is none to
    be had."""
    uri = params["uri"]
    with host.opened(("libvirt", uri), lambda: _connected(host, uri), _is_alive) as connection:
        try:
            yield connection
        except connection.api.libvirtError as error:  # a call that no explained() surrounds
            raise _failure(connection.api, error, uri) from error


@contextmanager
def _connected(host: Host, uri: str) -> Iterator[Connection]:
    try:
        import libvirt
    except ImportError as error:
        raise NotReady(
            f"libvirt: {sys.executable} has no libvirt module; install the package python3-libvirt, "
            "or set ansible_python_interpreter to the Python that has it",
            "libvirt_python_missing",
        ) from error
    libvirt.registerErrorHandler(_quiet, None)
    try:
        virt = libvirt.open(uri)
    except libvirt.libvirtError as error:
        failure = _failure(libvirt, error, f"{uri}: cannot connect", connected=False)
        way_out = _way_out(uri, failure.code, error.get_error_code() == libvirt.VIR_ERR_NO_CONNECT)
        raise NotReady(f"{failure.message}; {way_out}", "libvirt_unreachable", **failure.details) from error
    try:
        yield Connection(virt, libvirt, uri, host)
    finally:
        with suppress(libvirt.libvirtError):  # a connection that broke is closed already
            virt.close()


def _way_out(uri: str, code: str, no_driver: bool) -> str:
    """no_driver: libvirt answers, and nothing in it takes such a URI."""
    if not is_local(uri):
        return "check the URI and that the other host lets this one in"
    if no_driver and driver(uri) != "qemu":
        return f"install libvirt's driver for {driver(uri)} (libvirt-daemon-driver-{driver(uri)}) and restart libvirtd, or check the URI"
    return "run the task with become: true" if code == "permission_denied" else "install libvirt-daemon-system and start libvirtd"


def _is_alive(connection: Connection) -> bool:
    try:
        return bool(connection.virt.isAlive())
    except connection.api.libvirtError:
        return False


def _quiet(context: Any, error: Any) -> None:
    """libvirt prints every error on standard error, unless someone takes it."""
