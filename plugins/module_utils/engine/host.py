# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The machine that a module runs on: commands, files, and nothing that knows of virtualization."""

from __future__ import annotations

import errno
import os
import selectors
import shutil
import stat
import subprocess
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any, Callable, Dict, Hashable, Iterator, List, Optional, Sequence, TypeVar, Union, cast

from . import temporary
from .errors import Failure, NotReady
from .progress import Progress

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
Opened = TypeVar("Opened")
_GONE = (errno.ENOENT, errno.ENOTDIR)


@dataclass(frozen=True)
class Result:
    """What a command said. stdout and stderr are text."""

    rc: int
    stdout: str
    stderr: str

    @property
    def complaint(self) -> str:
        """The tool's own message, on one line."""
        return " ".join((self.stderr.strip() or self.stdout.strip() or f"exit status {self.rc}").split())


def _environment() -> Dict[str, str]:
    return dict(os.environ, LC_ALL="C", PATH=os.pathsep.join((os.environ.get("PATH", ""), _PATH)))


@contextmanager
def explained(operation: str, path: str) -> Iterator[None]:
    """Turns an OSError into a sentence. Failure C(permission_denied), C(no_space) or C(io_error), with its errno."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "")
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise no_space(path, error.strerror, errno=name) from error
        denied = error.errno in (errno.EACCES, errno.EPERM)
        way_out = "; run the task with become: true" if denied and os.geteuid() else ""
        raise Failure(f"{path}: cannot {operation}: {error.strerror}{way_out}", "permission_denied" if denied else "io_error", errno=name) from error


def no_space(path: str, said: Optional[str] = None, **details: Any) -> Failure:
    """What to raise where a file does not fit. said: the system's own words."""
    directory = os.path.dirname(path)
    words = f" ({said})" if said else ""
    return Failure(f"{path}: the file system of {directory} has no room for it{words}; free space there, or put it elsewhere", "no_space", **details)


@contextmanager
def _startable(argv: Sequence[str]) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotReady(f"{argv[0]}: not installed on this host", "tool_missing") from error
    except OSError as error:
        raise Failure(f"{argv[0]}: cannot be run: {error.strerror}", "command_failed", argv=list(argv)) from error


class Host:
    """Access to one machine. root: a prefix for every path, so that tests work on a tree of their own. progress: where long work shows itself."""

    def __init__(self, root: str = "/", progress: Optional[Progress] = None) -> None:
        self.root = root.rstrip("/")
        self.progress = progress or Progress()
        self._session: Optional[ExitStack] = None
        self._open: Dict[Hashable, Any] = {}

    def path(self, path: str) -> str:
        return self.root + path

    # What one task opens once

    @contextmanager
    def session(self) -> Iterator[None]:
        """Within it, what is asked for with opened() stays open from one resource to the next. All of it is closed at the end."""
        with ExitStack() as self._session:
            try:
                yield
            finally:
                self._open.clear()
                self._session = None

    @contextmanager
    def opened(self, key: Hashable, make: Callable[[], AbstractContextManager[Opened]], good: Callable[[Opened], bool]) -> Iterator[Opened]:
        """What make() opens: in a session the same one for the same key, as long as it is good; else one for this once."""
        if self._session is None:
            with make() as fresh:
                yield fresh
            return
        if key not in self._open or not good(self._open[key]):
            self._open[key] = self._session.enter_context(make())
        yield self._open[key]

    # Commands

    def which(self, name: str) -> Optional[str]:
        """Where a command is, root's directories included, which an ordinary PATH leaves out."""
        return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), _PATH)))

    def require(self, name: str, package: str) -> str:
        """Where a command is. NotReady C(tool_missing) names the package that brings it."""
        found = self.which(name)
        if not found:
            raise NotReady(f"{name}: not installed on this host; install the package {package}", "tool_missing")
        return found

    def run(
        self, argv: Sequence[str], stdin: Optional[str] = None, timeout: Optional[float] = None, check: bool = True, inherit: Sequence[int] = ()
    ) -> Result:
        """Run a command without a shell and with LC_ALL=C.

        check: a non-zero exit is the Failure C(command_failed) with argv, rc and stderr.
        timeout: seconds, after which the command is killed: Failure C(command_timeout).
        inherit: descriptors that the command has under the same numbers.
        """
        try:
            with _startable(argv):
                # Not AnsibleModule.run_command: the engine runs without a module too, and needs a time limit.
                done = subprocess.run(  # pylint: disable=ansible-bad-function
                    list(argv),
                    input=stdin,
                    timeout=timeout,
                    env=_environment(),
                    capture_output=True,
                    text=True,
                    errors="replace",
                    check=False,
                    pass_fds=tuple(inherit),
                )
        except subprocess.TimeoutExpired as error:
            raise Failure(f"{argv[0]}: no answer within {timeout} seconds", "command_timeout", argv=list(argv)) from error
        result = Result(done.returncode, done.stdout, done.stderr)
        if check and result.rc:
            raise Failure(f"{argv[0]}: {result.complaint}", "command_failed", argv=list(argv), rc=result.rc, stderr=result.stderr)
        return result

    def follow(self, argv: Sequence[str], heard: Callable[[bytes], None], inherit: Sequence[int] = ()) -> Result:
        """Run a command that lasts, without a time limit. heard gets what it writes to standard output, as it comes; a failure is the caller's."""
        complaints = b""
        with _startable(argv):
            process = self.start(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=tuple(inherit))
        with process, selectors.DefaultSelector() as pipes:
            for pipe in (process.stdout, process.stderr):
                pipes.register(cast(IO[bytes], pipe), selectors.EVENT_READ)
            while pipes.get_map():
                for key, _events in pipes.select():
                    data = os.read(key.fd, 65536)
                    if not data:
                        pipes.unregister(key.fileobj)
                    elif key.fileobj is process.stdout:
                        heard(data)
                    else:
                        complaints += data
        return Result(process.returncode, "", complaints.decode("utf-8", "replace"))

    def start(self, argv: Sequence[str], **streams: Any) -> subprocess.Popen[bytes]:
        """Start a command that runs beside us; the caller ends it. streams: stdin, stdout and stderr, as subprocess takes them."""
        return subprocess.Popen(list(argv), env=_environment(), **streams)  # pylint: disable=ansible-bad-function,consider-using-with

    # Reading

    def read(self, path: str) -> Optional[str]:
        """A file's text, or None where there is no such file."""
        try:
            with open(self.path(path), encoding="utf-8", errors="replace") as handle:
                return handle.read()
        except OSError as error:
            if error.errno in _GONE:
                return None
            with explained("read", path):
                raise
        return None

    def head(self, path: str, size: int) -> bytes:
        """The first bytes of a regular file; none where they cannot be had."""
        try:
            if not os.path.isfile(self.path(path)):  # opening a pipe would wait for its other end
                return b""
            with open(self.path(path), "rb") as handle:
                return handle.read(size)
        except OSError:
            return b""

    def try_read(self, path: str) -> Optional[str]:
        """A file's text, or None where it cannot be had for any reason. For facts that may stay unknown."""
        try:
            return self.read(path)
        except Failure:
            return None

    def exists(self, path: str) -> bool:
        return os.path.exists(self.path(path))

    def is_dir(self, path: str) -> bool:
        return os.path.isdir(self.path(path))

    def list(self, path: str) -> List[str]:
        """The sorted names in a directory; empty where there is none."""
        try:
            return sorted(os.listdir(self.path(path)))
        except OSError as error:
            if error.errno in _GONE:
                return []
            with explained("list", path):
                raise
        return []

    def realpath(self, path: str) -> str:
        resolved = os.path.realpath(self.path(path))
        return resolved[len(self.root) :] if self.root and resolved.startswith(self.root) else resolved

    def is_writable(self, path: str) -> bool:
        """Whether the mode bits of the file let its owner write, which is what sysfs says of a parameter."""
        try:
            return bool(os.stat(self.path(path)).st_mode & stat.S_IWUSR)
        except OSError:
            return False

    # Writing

    def write(self, path: str, content: Union[str, bytes], mode: int = 0o644) -> None:
        """Replace a file as a whole: temporary name, fsync, rename. An old file's owner and mode are kept."""
        real = os.path.realpath(self.path(path))
        data = content.encode() if isinstance(content, str) else content
        with explained("write", path):
            os.makedirs(os.path.dirname(real), exist_ok=True)
            for left in temporary.left_behind(*os.path.split(real)):
                with suppress(OSError):  # somebody else's, of the same name
                    os.unlink(left)
            handle, new = temporary.open_beside(real)
            with temporary.closed_and_removed(handle, new):
                if os.path.exists(real):
                    shutil.copystat(real, new)
                    old = os.stat(real)
                    os.fchown(handle, old.st_uid, old.st_gid)
                else:
                    os.fchmod(handle, mode)
                view = memoryview(data)
                while view:
                    view = view[os.write(handle, view) :]
                temporary.rename(handle, new, real)

    def write_knob(self, path: str, text: str) -> None:
        """Write to a file of the kernel's (sysfs, cgroupfs, procfs), in the single write(2) that those expect."""
        with explained(f"write {text!r}", path):
            handle = os.open(self.path(path), os.O_WRONLY)
            try:
                os.write(handle, text.encode())
            finally:
                os.close(handle)

    def make_dir(self, path: str, mode: int = 0o755) -> None:
        with explained("make the directory", path):
            os.makedirs(self.path(path), mode=mode, exist_ok=True)

    def remove_dir(self, path: str) -> None:
        """Remove an empty directory (or a cgroup); one that is gone already is fine."""
        with explained("remove the directory", path), suppress(FileNotFoundError):
            os.rmdir(self.path(path))

    def remove(self, path: str) -> None:
        """Remove a file; one that is gone already is fine."""
        real = self.path(path)
        with explained("remove", path):
            try:
                os.unlink(real)
            except FileNotFoundError:
                return
            temporary.sync(os.path.dirname(real))
