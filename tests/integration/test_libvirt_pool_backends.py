# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pools whose back ends this machine need not have: each type by its options, changed and back, in a libvirt of its own."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Tuple

import pytest
from support.modules import cycle, served_by, settled
from support.private_libvirt import PrivateLibvirt, private_libvirt
from support.unpacked import laid_over

NAME = "vt-backend"
MODULE = "libvirt_pool"
BACK_ENDS = [f"libvirt-daemon-driver-storage-{name}" for name in ("gluster", "iscsi-direct", "rbd", "zfs")]
UUID = "11111111-2222-3333-4444-555555555555"
Options = Dict[str, Any]

#: type → the options, two other values of the source, and a word of the definition that libvirt must have got.
TYPES: Dict[str, Tuple[Options, Tuple[Options, Options], str]] = {
    "zfs": (
        {"source": {"name": "vt/one", "devices": ["/dev/vt1"]}},
        ({"name": "vt/two", "devices": ["/dev/vt1", "/dev/vt2"]}, {"devices": []}),
        "<name>vt/one</name>",
    ),
    "rbd": (
        {
            "source": {
                "name": "vt",
                "hosts": [{"name": "203.0.113.9", "port": 6789}, {"name": "203.0.113.10"}],
                "auth": {"type": "ceph", "username": "vt", "secret_usage": "a & b"},
            }
        },
        (
            {"hosts": [{"name": "203.0.113.10", "port": 6790}], "auth": {"type": "ceph", "username": "vt", "secret": UUID}},
            {"name": "other", "auth": {"type": "ceph", "username": "you", "secret_usage": "c"}},
        ),
        "<secret usage='a &amp; b'/>",
    ),
    "gluster": (
        {"source": {"name": "vt", "hosts": [{"name": "203.0.113.9"}], "dir": "/"}},
        ({"dir": "/below"}, {"name": "other", "hosts": [{"name": "203.0.113.10"}]}),
        "<name>vt</name>",
    ),
    "iscsi-direct": (
        {
            "source": {
                "hosts": [{"name": "203.0.113.9"}],
                "devices": ["iqn.2013-06.com.example:vt"],
                "initiator": "iqn.2013-06.com.example:me",
                "auth": {"type": "chap", "username": "me", "secret_usage": "vt"},
            }
        },
        ({"initiator": "iqn.2013-06.com.example:you"}, {"devices": ["iqn.2013-06.com.example:other"]}),
        "<iqn name='iqn.2013-06.com.example:me'/>",
    ),
}


@pytest.fixture(scope="module")
def virt() -> Iterator[PrivateLibvirt]:
    with private_libvirt(laid_over("back-ends-of-pools", *BACK_ENDS)) as private, served_by(*private.enter):
        yield private


@pytest.mark.parametrize("kind", TYPES)
def test_each_type_and_its_options(virt: PrivateLibvirt, kind: str) -> None:
    options, changes, word = TYPES[kind]
    base = {"name": NAME, "state": "present"}
    cycle(MODULE, {**base, "type": kind, **options})
    assert word in virt.virsh("pool-dumpxml", NAME)
    for source in changes:
        cycle(MODULE, {**base, "source": source})
    settled(MODULE, {"state": "present", "xml": virt.virsh("pool-dumpxml", NAME)})
    cycle(MODULE, {"name": NAME, "state": "absent"})
