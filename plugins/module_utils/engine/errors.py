# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one way to fail: a sentence for people, a stable word for programs."""

from __future__ import annotations

from typing import Any, Dict


class Failure(Exception):
    """A refusal or a fault that ends the task.

    message: one sentence with the object, what is wrong and the way out.
    code: a stable word such as C(image_in_use), for playbooks to match on.
    details: further result keys, for example C(stderr) of the underlying tool.
    """

    def __init__(self, message: str, code: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.details = details

    def as_result(self) -> Dict[str, Any]:
        return dict(self.details, msg=self.message, code=self.code)


class NotReady(Failure):
    """What the resource needs is not on the host yet: a tool, a service, a parent object.

    An error in a real run. In check mode the prediction starts from "nothing is there", because an earlier
    task of the same play may be about to bring it.
    """
