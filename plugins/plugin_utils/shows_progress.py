# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action of modules whose work may last: they run as every module does, and meanwhile the controller reads how far they are.

A thread reads, over a connection of its own: a copy of the task's, with the same address, user, options and become. The module's own
connection is busy until the module ends.
"""

from __future__ import annotations

import copy
import threading
import time
import uuid
from contextlib import contextmanager
from typing import Any, Dict, Iterator, Optional

from ansible.plugins.action.normal import ActionModule as Normal
from ansible.utils.display import Display
from ansible_collections.virtops.linux.plugins.module_utils.engine.progress import OPTION, folder
from ansible_collections.virtops.linux.plugins.plugin_utils.progress import FIRST, PERIOD, Story, parse

display = Display()

_SLOW = 4  # where reading is dear, it takes at most one part in so many of the time,
_RAREST = 10.0  # but is done every so many seconds
_TRIES = 3  # that fail, one after another
_PATIENCE = 2.0  # seconds that a reading which is under way holds up the end of the task


class ShowsProgress(Normal):
    """Lines on the controller's standard error, as of warnings, so that the output of callbacks stays what it is."""

    def _execute_module(self, module_name: Optional[str] = None, module_args: Optional[Dict[str, Any]] = None, **kwargs: Any) -> Dict[str, Any]:
        ours = module_name is None and module_args is None
        if not ours or self._task.async_val or self._task.check_mode:
            return super()._execute_module(module_name=module_name, module_args=module_args, **kwargs)
        with self._watched(kwargs.get("task_vars") or {}) as id_:
            result = super()._execute_module(module_args={**self._task.args, OPTION: id_}, **kwargs)
        fault = result.pop(OPTION, None)
        if fault:
            self._complain(fault)
        return result

    @contextmanager
    def _watched(self, task_vars: Dict[str, Any]) -> Iterator[str]:
        """Inside, what the module says under the id is shown."""
        id_, over = uuid.uuid4().hex, threading.Event()
        host = task_vars.get("inventory_hostname", "")
        if self._task.delegate_to:
            host = f"{host} -> {self._task.delegate_to}"
        story = Story(f"{self._task.action.rpartition('.')[2]} [{host}]", shows_names=not self._task.no_log)
        reader = threading.Thread(target=self._follow, args=(id_, story, over), daemon=True)
        reader.start()
        try:
            yield id_
        finally:
            over.set()
            reader.join(_PATIENCE)

    def _follow(self, id_: str, story: Story, over: threading.Event) -> None:
        wait, failures = FIRST, 0
        while failures < _TRIES and not over.wait(wait):
            began = time.monotonic()
            try:
                sample = parse(self._read(id_))
                line = story.line(sample, time.monotonic()) if sample else None
                failures = 0
                if line and not over.is_set():
                    display.display(line, stderr=True, screen_only=True)
            except Exception as error:  # whatever a connection plugin raises: the task goes on, only unseen
                failures += 1
                if not over.is_set():
                    self._complain(" ".join(str(error).split())[:300])
            wait = min(max(PERIOD, _SLOW * (time.monotonic() - began)), _RAREST)

    def _read(self, id_: str) -> str:
        """The file of the module's user; nothing where there is none."""
        aside = copy.copy(self)
        aside._connection = copy.copy(self._connection)
        # One that becomes somebody remembers by which word it knows that it has.
        aside._connection.become = copy.copy(self._connection.become)
        names = " ".join(f'"{place}/{id_}.json"' for place in (folder(0), "/run/user/$(id -u)/virtops/progress"))
        found = aside._low_level_execute_command(f"for f in {names}; do test ! -e $f || cat $f; done")
        if found["rc"]:
            raise ValueError(found["stderr"] or found["stdout"])
        return found["stdout"]

    def _complain(self, why: str) -> None:
        display.v(f"{self._task.action}: how far the work is cannot be shown: {why}", host=self._play_context.remote_addr)
