# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What integration tests say of a module: a line for each option.

The module runs as a process of its own under the distribution's Python, which has python3-libvirt, as on a target.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import ansible

TARGET_PYTHON = os.environ.get("VIRTOPS_TARGET_PYTHON", "/usr/bin/python3")
RUNNER = Path(__file__).with_name("module_process.py")
_COLLECTIONS = Path(os.environ["VIRTOPS_COLLECTIONS"])  # the folder above ansible_collections; the Makefile sets it
_SERVER_PYTHON = TARGET_PYTHON
_LONGEST_RUN = 300  # seconds

Result = Dict[str, Any]


def python_path() -> str:
    """The collection, and of the controller's packages ansible alone: a target has nothing else either."""
    source = Path(ansible.__file__).parent
    only_ansible = _COLLECTIONS / f"only-ansible-{hashlib.sha256(str(source).encode()).hexdigest()[:12]}"
    only_ansible.mkdir(exist_ok=True)
    link = only_ansible / "ansible"
    with suppress(FileExistsError):
        link.symlink_to(source)
    return f"{only_ansible}:{_COLLECTIONS}"


def runner_environment() -> Dict[str, str]:
    """What the runner needs to find the collection, and to compile it once for all tests."""
    return {"PYTHONPATH": python_path(), "VIRTOPS_COMPILED": str(_COLLECTIONS / "compiled")}


class _Server:
    """One process of the target's Python, from which every module run is forked. Under a prefix, which may watch it, it keeps nothing anywhere."""

    def __init__(self, *prefix: str) -> None:
        self.process = subprocess.Popen(
            [*prefix, _SERVER_PYTHON, str(RUNNER)],
            env={**os.environ, **(runner_environment() if not prefix else {"PYTHONPATH": python_path()})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self.close)

    def ask(self, request: Dict[str, Any]) -> Dict[str, str]:
        assert self.process.stdin and self.process.stdout
        print(json.dumps(request), file=self.process.stdin, flush=True)
        watchdog = threading.Timer(_LONGEST_RUN, self.process.kill)
        watchdog.start()
        try:
            line = self.process.stdout.readline()
        finally:
            watchdog.cancel()
        assert line, f"{request['module']} gave no answer within {_LONGEST_RUN} seconds"
        return json.loads(line)

    def close(self) -> None:
        if self.process.stdin:
            self.process.stdin.close()
        self.process.wait()


_server: List[_Server] = []


@contextmanager
def served_by(*command: str) -> Iterator[None]:
    """All runs within start from a process of their own, under a command such as strace."""
    outside, _server[:] = list(_server), [_Server(*command)]
    try:
        yield
    finally:
        _server.pop().close()
        _server[:] = outside


def run_module(name: str, params: Dict[str, Any], check: bool = False, env: Optional[Dict[str, str]] = None) -> Result:
    """A module's result; failed is always there. Raises AssertionError where it printed no result at all.

    env: further variables. With PYTHONPATH among them, or another TARGET_PYTHON, the module gets a Python of its own.
    """
    arguments = dict(params, _ansible_check_mode=check, _ansible_diff=True)
    if "PYTHONPATH" in (env or {}) or TARGET_PYTHON != _SERVER_PYTHON:
        return _result(name, *_alone(name, arguments, env or {}))
    if not _server or _server[0].process.poll() is not None:
        _server[:] = [_Server()]
    answer = _server[0].ask({"module": name, "arguments": arguments, "env": env or {}})
    return _result(name, answer["stdout"], answer["stderr"])


def _alone(name: str, arguments: Dict[str, Any], env: Dict[str, str]) -> Tuple[str, str]:
    done = subprocess.run(
        [TARGET_PYTHON, str(RUNNER), name],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        env={**os.environ, "PYTHONPATH": python_path(), **env},
        capture_output=True,
        text=True,
        timeout=_LONGEST_RUN,
        check=False,
    )
    return done.stdout, done.stderr


def _result(name: str, stdout: str, stderr: str) -> Result:
    try:
        result = json.loads(stdout)
    except ValueError:
        raise AssertionError(f"{name} gave no result: {stdout}\n{stderr}") from None
    result.setdefault("failed", False)
    return result


def apply(name: str, params: Dict[str, Any]) -> Result:
    """A real run that must succeed."""
    result = run_module(name, params)
    assert not result["failed"], result
    return result


def check(name: str, params: Dict[str, Any]) -> Result:
    """A run in check mode that must succeed."""
    result = run_module(name, params, check=True)
    assert not result["failed"], result
    return result


_PREDICTED = ("changed", "actions", "diff", "pending", "restart_required")


def cycle(name: str, params: Dict[str, Any]) -> Result:
    """check → check → apply → check → apply: changed, changed, changed, ok, ok.

    The second check shows that the first one changed nothing; the apply does what both said.
    Returns the result of the first apply.
    """
    first, second, applied = check(name, params), check(name, params), apply(name, params)
    for key in _PREDICTED:
        assert first[key] == second[key], f"check mode of {name} left a trace in {key}: {first[key]} then {second[key]}"
        assert first[key] == applied[key], f"check mode of {name} predicted {key}: {first[key]}, the run gave {applied[key]}"
    assert applied["changed"] and applied["actions"], f"{name} {params} changed nothing: {applied}"
    assert applied["diff"]["before"] != applied["diff"]["after"], applied
    settled(name, params)
    return applied


def settled(name: str, params: Dict[str, Any]) -> Result:
    """check → apply: ok, ok. Returns the result of the apply."""
    for result in (check(name, params), apply(name, params)):
        assert not result["changed"] and not result["actions"], f"{name} changes again: {result['actions']}"
        assert result["diff"]["before"] == result["diff"]["after"], result["diff"]
    return result


def option_cycle(name: str, base: Dict[str, Any], option: str, value: Any, other: Any) -> None:
    """An option of an existing resource: set it, change it, set it back, each with a whole cycle.

    option: a name, or a path such as resources.cpu.shares.
    """
    for setting in (value, other, value):
        cycle(name, with_option(base, option, setting))


def with_option(base: Dict[str, Any], option: str, value: Any) -> Dict[str, Any]:
    """A copy of the options with one more, at a dotted path."""
    head, dot, rest = option.partition(".")
    inner = with_option(base.get(head) or {}, rest, value) if dot else value
    return {**base, head: inner}


def refused(name: str, params: Dict[str, Any], code: str, check_mode: bool = False) -> str:
    """A run that must fail with this code and one sentence. Returns the sentence."""
    result = run_module(name, params, check=check_mode)
    assert result["failed"], f"{name} accepted {params}: {result}"
    assert result.get("code") == code, result
    assert "\n" not in result["msg"] and "Traceback" not in json.dumps(result), result
    return result["msg"]


if sys.version_info < (3, 10):  # the controller's side: ansible-core 2.16 needs 3.10
    raise RuntimeError("the tests need Python 3.10 or newer")
