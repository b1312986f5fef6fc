# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What one task opens once."""

from __future__ import annotations

from contextlib import contextmanager

from ansible_collections.virtops.linux.plugins.module_utils.libvirt import connection as c
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.actions import ResumeDomain
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.apply import apply
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.network.read import plugs_of
from support.hosts import FakeHost


def test_in_a_session_one_is_opened_for_each_key_and_closed_at_the_end(tmp_path):
    log = []

    @contextmanager
    def make():
        log.append("open")
        yield len(log)
        log.append("close")

    host = FakeHost(tmp_path)
    with host.session():
        for key in ("a", "a", "b", "a"):
            with host.opened(key, make, lambda one: True):
                pass
        assert log == ["open", "open"]
    assert log == ["open", "open", "close", "close"]
    for _turn in range(2):
        with host.opened("a", make, lambda one: True):
            pass
    assert log[4:] == ["open", "close"] * 2


def test_one_that_broke_is_opened_again(tmp_path):
    log = []

    @contextmanager
    def make():
        log.append("open")
        yield log

    host = FakeHost(tmp_path)
    with host.session():
        for good in (True, True, False, True):
            with host.opened("a", make, lambda one, good=good: good):
                pass
    assert log == ["open", "open"]


class Virt:
    """As much of libvirt as opening a connection needs."""

    class libvirtError(Exception):  # libvirt's name
        pass

    def __init__(self):
        self.log, self.alive = [], True

    def registerErrorHandler(self, handler, context):
        pass

    def open(self, uri):
        self.log.append(uri)
        return self

    def isAlive(self):
        return self.alive

    def close(self):
        self.log.append("close")


def test_one_connection_for_each_uri_of_a_task(tmp_path, monkeypatch):
    virt, host = Virt(), FakeHost(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "libvirt", virt)
    with host.session():
        for uri in ("qemu:///system", "qemu:///session", "qemu:///system"):
            with c.open_connection(host, {"uri": uri}) as connection:
                assert connection.uri == uri
        assert virt.log == ["qemu:///system", "qemu:///session"]
        virt.alive = False  # libvirtd was started again meanwhile
        with c.open_connection(host, {"uri": "qemu:///system"}):
            pass
    assert virt.log == ["qemu:///system", "qemu:///session", "qemu:///system", "close", "close", "close"]


class Guest:
    """A running guest on two networks, which counts how often it is read."""

    def __init__(self, number):
        self.number, self.read = number, 0

    def name(self):
        return f"g{self.number}"

    def UUIDString(self):
        return f"11111111-1111-1111-1111-11111111111{self.number % 10}"

    def ID(self):
        return self.number

    def resume(self):
        pass

    def XMLDesc(self, flags):
        self.read += 1
        nics = "".join(f"<interface type='network'><source network='n{n}'/><target dev='vnet{self.number}{n}'/></interface>" for n in (0, 1))
        return f"<domain><devices>{nics}</devices></domain>"


class Guests(Virt):
    VIR_CONNECT_LIST_DOMAINS_ACTIVE = 1

    def __init__(self, *guests):
        super().__init__()
        self.guests = guests

    def listAllDomains(self, flags):
        return list(self.guests)

    def lookupByName(self, name):
        return next(guest for guest in self.guests if guest.name() == name)


def test_running_guests_are_read_once_for_all_networks_of_a_task(tmp_path):
    guests = (Guest(1), Guest(2))
    virt = Guests(*guests)
    connection = c.Connection(virt, virt, "qemu:///system", FakeHost(tmp_path))
    for network in ("n0", "n1", "n2", "n0"):
        assert [plug.guest for plug in plugs_of(connection, network)] == ([] if network == "n2" else ["g1", "g2"])
    assert [guest.read for guest in guests] == [1, 1]
    virt.guests = (guests[0], Guest(12))  # the second one was started again, under another ID
    assert [plug.guest for plug in plugs_of(connection, "n0")] == ["g1", "g12"] and guests[0].read == 1
    apply(connection, ResumeDomain("g1"))  # whatever is done to a guest
    plugs_of(connection, "n0")
    assert guests[0].read == 2
