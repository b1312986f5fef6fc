# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every option that comes from a table, in libvirt itself: predicted, kept, changed, and back. Where libvirt cannot, one sentence."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.domain_options import CASES, changed, concerns, under
from support.domain_runs import Run, cycled, one_process
from support.modules import cycle
from support.virsh import clear, virsh

NAME = "vt-op-guest"
NEW = {"name": NAME, "type": "qemu", "machine": "q35", "memory": "256M"}


@pytest.fixture(scope="module")
def run(libvirtd: None) -> Iterator[Run]:
    with one_process() as found:
        yield found


@pytest.fixture(autouse=True)
def clean(libvirtd: None) -> Iterator[None]:
    clear(["undefine", "--nvram", NAME])
    yield
    clear(["undefine", "--nvram", NAME])


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_options_there_and_back(run, case):
    one, other = (under({**NEW, **case.beside}, options) for options in (case.one, case.other))
    first = run(one, check=False)
    if case.missing and first["failed"]:
        assert case.missing in first["msg"] and first["code"] == "unsupported_configuration" and "\n" not in first["msg"], first
        return
    assert not first["failed"] and not first["warnings"], first
    for there, back in ((one, other), (other, one)):
        applied = cycled(run, back)
        assert not applied["warnings"], applied
        changes = applied["actions"][0]["changes"]
        for name in changed(there, back):
            assert concerns(changes, name), f"{name} changed nothing: {changes}"


def test_other_namespaces_of_the_metadata_stay(run):
    cycle("libvirt_domain", {**NEW, "metadata": "<a:x xmlns:a='urn:vt:a' b='&lt;c&gt;'>d</a:x>"})
    cycled(run, {"name": NAME, "metadata": "<y xmlns='urn:vt:b'/>"})
    cycled(run, {"name": NAME, "metadata": "<a:x xmlns:a='urn:vt:a'/>"})
    assert "urn:vt:a" in virsh("dumpxml", NAME) and "urn:vt:b" in virsh("dumpxml", NAME)
    cycled(run, {"name": NAME, "metadata": ""})
    assert "urn:vt" not in virsh("dumpxml", NAME)
