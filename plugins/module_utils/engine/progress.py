# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far long work is, in a small file for whoever watches it: a module cannot say anything before its end.

The file is C(ID.json) in a folder that nobody but its user enters. It is locked while its run lives, so that the next run can tell what a
killed one has left (see engine.temporary). Nothing here ever fails the work: why there is no file is kept in C(fault).

A thread writes it, once a second, so that work which hangs is seen as well.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from contextlib import contextmanager, suppress
from typing import Any, Callable, Dict, Iterator, Optional

from . import temporary

#: The option by which the controller asks for a file, and the key of the result that says why there was none. Neither is ever shown.
OPTION = "_virtops_progress"

_ID = re.compile("[0-9a-f]{32}")
_PERIOD = 1.0  # seconds between two writes, and before the first: short work writes nothing

#: Takes how much is done.
Report = Callable[[float], None]


def folder(uid: int) -> str:
    """Where the files of a user are. Both are gone after a reboot."""
    return f"/run/user/{uid}/virtops/progress" if uid else "/run/virtops/progress"


class Progress:
    """Of one task. id_: chosen by the controller; without one, nothing is ever written.

    about: what the work is about, a path or a name.
    """

    def __init__(self, id_: Any = None, directory: Optional[str] = None) -> None:
        self.about = ""
        self.fault: Optional[str] = None
        self._began = time.monotonic()
        self._handle: Optional[int] = None
        self._path: Optional[str] = None
        if isinstance(id_, str) and _ID.fullmatch(id_):
            directory = directory or folder(os.geteuid())
            self._path = os.path.join(directory, f"{id_}.json")
            _clear(directory)

    @contextmanager
    def step(self, what: str, total: Optional[float] = None, unit: str = "bytes", first: float = 0) -> Iterator[Report]:
        """Inside, what is given is called now and then with how much is done. One step at a time.

        what: a word such as C(downloading). total: None where nobody knows. unit: C(bytes) or C(percent). first: what is done already.
        """
        if self._path is None:
            yield lambda done: None
            return
        sample = {"step": what, "about": self.about, "unit": unit, "done": first, "total": total, "first": first}
        over = threading.Event()
        writer = threading.Thread(target=self._keep_writing, args=(sample, over), daemon=True)
        try:
            writer.start()
        except RuntimeError as error:  # a limit on processes
            self.fault, self._path = str(error), None
            yield lambda done: None
            return
        try:
            yield lambda done: sample.update(done=done)
        finally:
            over.set()
            writer.join()
            self._remove()

    def _keep_writing(self, sample: Dict[str, Any], over: threading.Event) -> None:
        started = time.monotonic()
        while self._path is not None and not over.wait(_PERIOD):
            now = time.monotonic()
            self._write(self._path, {**sample, "lasted": now - started, "age": now - self._began})

    def _write(self, path: str, sample: Dict[str, Any]) -> None:
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            handle, new = temporary.open_beside(path)
            try:
                os.write(handle, json.dumps(sample).encode())
                os.replace(new, path)
            except OSError:
                os.close(handle)
                with suppress(FileNotFoundError):
                    os.unlink(new)
                raise
        except FileNotFoundError:
            return  # another run has just taken it for a leftover; the next one will be there
        except OSError as error:
            self.fault, self._path = f"{path} cannot be written: {error.strerror}", None
            return
        self._let_go()
        self._handle = handle

    def _remove(self) -> None:
        if self._handle is not None and self._path is not None:
            with suppress(OSError):
                os.unlink(self._path)
        self._let_go()

    def _let_go(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _clear(directory: str) -> None:
    """Remove what killed runs have left."""
    try:
        found = os.listdir(directory)
    except OSError:  # there is none yet
        return
    for path in (os.path.join(directory, entry) for entry in found):
        if not temporary.locked(path):
            with suppress(OSError):  # another run was faster
                os.unlink(path)
