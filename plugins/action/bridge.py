# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's half of a change to a bridge: connect anew, look whether everything still answers, and only then confirm.

The module arms a watchdog on the host before it touches anything. Whatever dies from then on (the module, the connection, this process),
the watchdog restores the host in time; nothing here is needed for that.
"""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from typing import Any, Dict, Optional

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()

_MODULE = "virtops.linux.bridge"
_CONFIRM = "virtops.linux.bridge_confirm"
_TIMEOUT = 60  # seconds, where the user gives none
_RESERVE = 0.25  # the part of the time that is left to the rollback on request, before the one in time
_GRACE = 60  # seconds after the time is over, in which a host that was cut off should answer again
_SILENCE = 10  # seconds after which a connection counts as dead
_CONNECT = 15  # seconds that a new connection may take, or longer where the user's timeout is for slow hosts
_PAUSE = 0.5  # seconds
_TRIES = 3

Result = Dict[str, Any]


class ActionModule(ActionBase):
    """Runs the module, then confirms over a connection of its own or says that the host went back, and why."""

    _requires_connection = True
    TRANSFERS_FILES = False
    _patience = _CONNECT

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Result:
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        if args.get("rollback_id") or args.get("confirm") == "none":
            return self._execute_module(module_name=_MODULE, module_args=args, task_vars=task_vars)
        # An alias or a template may have made a text of it; what is no number is the module's to refuse.
        timeout = _seconds(args.get("rollback_timeout"))
        if self._play_context.check_mode or self._task.check_mode:
            return self._execute_module(module_name=_MODULE, module_args={**args, "rollback_id": "check"}, task_vars=task_vars)
        return self._guarded({**args, "rollback_id": uuid.uuid4().hex[:12]}, timeout, task_vars)

    def _guarded(self, args: Result, timeout: float, task_vars: Any) -> Result:
        self._notice_silence()
        # A host that cannot be reached to begin with is unreachable, as with any task; nothing is to be undone there.
        self._reach()
        self._hurry(_CONNECT)  # also for what ansible tidies up over a connection that is no more
        started = time.monotonic()
        lost = None
        result: Result = {}
        try:
            result = self._execute_module(module_name=_MODULE, module_args=args, task_vars=task_vars)
        except AnsibleConnectionFailure as error:
            lost = f"the connection broke while the change was made ({_first_line(error)})"
        if not lost and result.get("unreachable"):
            lost = f"the connection broke while the change was made ({result.get('msg', '')})"
        if not lost and not _looks_whole(result):
            lost = "the module ended without a result"
        armed = any(action.get("action") == "arm_rollback" for action in result.get("actions", []))
        if not lost and not armed:
            return result
        if lost or result.get("failed"):
            why = lost or f"the change failed: {result.get('msg', '')}"
            return self._undone(args, result, why, started + timeout, task_vars)
        return self._confirmed(args, result, started + timeout, timeout, task_vars)

    def _confirmed(self, args: Result, result: Result, deadline: float, timeout: float, task_vars: Any) -> Result:
        """Confirm over a fresh connection, again and again until the time for it is over."""
        request = {"rollback_id": args["rollback_id"], "state": "confirmed", "verify_hosts": args.get("verify_hosts") or []}
        if args.get("confirm") == "gateway":
            request["confirm"] = "gateway"
        began, last, why = time.monotonic(), deadline - timeout * _RESERVE, "the host did not answer over a new connection"
        while time.monotonic() < last:
            self._connect_anew(last - time.monotonic())
            answer = self._ask(request, task_vars)
            if answer is None:
                time.sleep(_PAUSE)
                continue
            if not answer.get("failed"):
                return {**result, "confirmed": True, "rolled_back": False, "confirmed_after": round(time.monotonic() - began, 1)}
            why = answer.get("msg", "the host refused to confirm")
            if answer.get("code") in ("rolled_back", "no_such_change"):
                return self._undone(args, result, why, deadline, task_vars)
            if answer.get("code") == "no_answer":
                why = f"{' and '.join(answer.get('silent', []))} did not answer the host"
            break
        return self._undone(args, result, why, deadline, task_vars)

    def _undone(self, args: Result, result: Result, why: str, deadline: float, task_vars: Any) -> Result:
        """Wait until the host is as before, with our help where it can be reached and without it where not."""
        request = {"rollback_id": args["rollback_id"], "state": "rolled_back", "reason": why}
        failed: Result = {
            **{key: value for key, value in result.items() if key not in ("ansible_facts", "exception")},
            "failed": True,
            "changed": False,
            "confirmed": False,
            "rolled_back": False,
            "reason": why,
        }
        name = args.get("name")
        while time.monotonic() < deadline + _GRACE:
            self._connect_anew(self._patience)
            answer = self._ask(request, task_vars)
            if answer is not None and answer.get("code") == "no_such_change":
                # Refused, or dead, before anything was touched.
                failed.update(result if result.get("failed") else {"msg": f"{name}: {why}; nothing was changed", "code": "not_changed"})
                return failed
            if answer is not None and answer.get("code") == "confirmed":
                failed.update(msg=f"{name}: {answer.get('msg')}", code="confirmed", confirmed=True)
                return failed
            if answer is not None and not answer.get("failed"):
                reason = answer.get("resource", {}).get("reason") or why
                told = why if why in reason or reason.startswith("nobody confirmed") else reason
                failed.update(rolled_back=True, reason=told, code="rolled_back")
                failed["msg"] = f"{name}: the change was rolled back, because {told}; everything is as it was before"
                return failed
            time.sleep(_PAUSE)
        failed["msg"] = f"{name}: {why}, and the host does not answer on its old address either; look at its console (the watchdog's report is in "
        failed["msg"] += f"/var/lib/virtops/rollback/{args['rollback_id']})"
        failed["code"] = "host_lost"
        return failed

    # The connection

    def _notice_silence(self) -> None:
        """Have ssh end a connection over which nothing comes any more: by itself it would wait for many minutes."""
        with suppress(AnsibleError, KeyError, NotImplementedError):
            given = self._connection.get_option("ssh_args") or ""
            # First, because ssh takes the first value that it is given, and somebody who gave a longer one did not think of this task.
            self._connection.set_option("ssh_args", f"-o ServerAliveInterval=2 -o ServerAliveCountMax={_SILENCE // 2} {given}".strip())
        with suppress(AnsibleError, KeyError, TypeError, ValueError):
            self._patience = max(_CONNECT, int(self._connection.get_option("timeout")))
        self._reset()

    def _reach(self) -> None:
        """The connection that was just dropped may still be on its way out, and take the first new one along."""
        for left in range(_TRIES, 0, -1):
            try:
                self._low_level_execute_command("echo reached", sudoable=False)
                return
            except AnsibleConnectionFailure:
                if left == 1:
                    raise
                time.sleep(1)

    def _connect_anew(self, left: float) -> None:
        self._hurry(min(left, self._patience))
        self._reset()

    def _hurry(self, seconds: float) -> None:
        with suppress(AnsibleError, KeyError, NotImplementedError):
            self._connection.set_option("timeout", int(max(1, seconds)))

    def _reset(self) -> None:
        """No connection that was open before proves anything. Not every kind of connection can be reset."""
        with suppress(Exception):
            self._connection.reset()
        with suppress(AttributeError):
            # It may have been made over a connection that is no more, and is made anew.
            self._connection._shell.tmpdir = None

    def _ask(self, request: Result, task_vars: Any) -> Optional[Result]:
        """The answer of the host, or None where there is none."""
        try:
            answer = self._execute_module(module_name=_CONFIRM, module_args=request, task_vars=task_vars)
        except AnsibleError as error:
            display.vvv(f"bridge: {_first_line(error)}")
            return None
        return None if answer.get("unreachable") or not _looks_whole(answer) else answer


def _looks_whole(result: Result) -> bool:
    """Our modules end with their actions or with a code; anything else is what was left of one that was killed."""
    return "actions" in result or "code" in result


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _seconds(given: Any) -> float:
    try:
        return float(given) if given is not None else _TIMEOUT
    except (TypeError, ValueError):
        return _TIMEOUT
