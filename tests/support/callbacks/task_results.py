# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A callback for tests: what every task said, one JSON object a line, in the file that VIRTOPS_TASK_RESULTS names."""

from __future__ import annotations

DOCUMENTATION = """
name: task_results
type: notification
short_description: Write what every task said to a file
description: One JSON object a line, in the file that VIRTOPS_TASK_RESULTS names.
requirements: [enabled in configuration]
"""

import json
import os

from ansible.plugins.callback import CallbackBase

KEYS = ("changed", "skipped", "failed", "msg", "code", "actions", "diff", "pending", "resource", "warnings")
ROLLBACK = ("confirmed", "rolled_back", "reason", "confirmed_after", "unreachable")


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "task_results"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, result, **more):
        said = {key: result._result[key] for key in KEYS + ROLLBACK if key in result._result}
        line = {"task": result._task.get_name(), "action": result._task.action, "host": result._host.get_name(), **more, **said}
        with open(os.environ["VIRTOPS_TASK_RESULTS"], "a", encoding="utf-8") as stream:
            stream.write(json.dumps(line, default=str) + "\n")

    def v2_runner_on_ok(self, result):
        self._write(result)

    def v2_runner_on_unreachable(self, result):
        self._write(result, failed=True, unreachable=True)

    def v2_runner_on_skipped(self, result):
        self._write(result, skipped=True)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._write(result, failed=True)
