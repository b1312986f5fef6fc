# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asking a container to shut down that was started a moment ago: no libvirt can be made to be that slow."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain import actions, apply


class NotYet(Exception):
    def __str__(self):
        return "Init process ID is not yet known"

    def get_error_code(self):
        return API.VIR_ERR_OPERATION_INVALID


API = SimpleNamespace(libvirtError=NotYet, VIR_ERR_OPERATION_INVALID=55)


class Guest:
    """It has an init from the third time on that it is asked, and ends as soon as that hears it."""

    def __init__(self) -> None:
        self.asked, self.off = 0, False

    def isActive(self):
        return not self.off

    def shutdown(self):
        self.asked += 1
        if self.asked < 3:
            raise NotYet
        self.off = True


@pytest.fixture
def asked(monkeypatch):
    def run(uri: str) -> Guest:
        guest = Guest()
        connection = SimpleNamespace(
            uri=uri,
            api=API,
            virt=SimpleNamespace(lookupByName=lambda _name: guest),
            failure=lambda error, what: Failure(f"{what}: {error}", "operation_invalid"),
            explained=lambda *_what: contextlib.nullcontext(),
        )
        monkeypatch.setattr(apply, "_POLL_SECONDS", 0.001)
        monkeypatch.setattr(apply, "_is_off", lambda guest, _connection: guest.off)
        apply._shut_down(actions.ShutDownDomain("vt-a", timeout=60, force=False), connection)
        return guest

    return run


def test_a_container_whose_init_is_not_known_yet_is_asked_again(asked):
    assert asked("lxc:///system").asked == 3


def test_a_guest_that_cannot_be_asked_says_why(asked):
    with pytest.raises(Failure, match=r"guest vt-a: cannot be asked to shut down: .*not yet known"):
        asked("qemu:///system")
