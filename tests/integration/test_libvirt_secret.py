# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.secret.model import SPEC
from support.modules import apply, check, cycle, refused, run_module, settled
from support.option_cases import untried
from support.secret_options import CASES, REFUSED, UUID
from support.virsh import clear, virsh

MODULE = "libvirt_secret"
USAGE = {"type": "ceph", "id": "vt secret"}
VALUE = "vt-hidden-4711"
KEPT = f"/etc/libvirt/secrets/{UUID}"


def remove() -> None:
    for line in virsh("secret-list").splitlines():
        if "vt" in line.split() or "vt-" in line or UUID in line:
            clear(("secret-undefine", line.split()[0]))
    Path(f"{KEPT}.xml").unlink(missing_ok=True)  # libvirt 9.0 forgets it where the secret became ephemeral


@pytest.fixture(autouse=True)
def clean(libvirtd):
    remove()
    yield
    remove()


def steps(result: dict[str, Any]) -> list[str]:
    return [step["action"] for step in result["actions"]]


def value(uuid: str) -> bytes:
    return base64.b64decode(virsh("secret-get-value", uuid))


def test_the_life_of_a_secret():
    made = cycle(MODULE, {"usage": USAGE, "value": VALUE, "description": "for a test"})
    assert steps(made) == ["define_secret", "set_secret_value"] and value(made["resource"]["uuid"]) == VALUE.encode()
    assert steps(cycle(MODULE, {"usage": USAGE, "value": "another"})) == ["set_secret_value"]
    settled(MODULE, {"usage": USAGE, "value": VALUE, "update_value": "on_create"})
    settled(MODULE, {"usage": USAGE, "value": "another", "update_value": "always"})  # it can be compared
    assert steps(cycle(MODULE, {"usage": USAGE, "state": "absent"})) == ["undefine_secret"]


def test_the_value_is_nowhere():
    for options in ({}, {"private": True}, {"update_value": "always"}, {"state": "absent"}):
        for run in (check, apply):
            assert VALUE not in json.dumps(run(MODULE, {"usage": USAGE, "value": VALUE, **options}))


def test_bytes():
    data = bytes(range(256))
    apply(MODULE, {"usage": USAGE, "value": base64.b64encode(data).decode(), "encoding": "base64", "uuid": UUID})
    assert value(UUID) == data
    settled(MODULE, {"uuid": UUID, "value": base64.b64encode(data).decode(), "encoding": "base64"})


def test_a_private_secret_has_its_value_before_it_is_private():
    options = {"uuid": UUID, "usage": USAGE, "private": True, "value": VALUE}
    assert steps(cycle(MODULE, options)) == ["define_secret", "set_secret_value", "define_secret"]
    warned = settled(MODULE, {**options, "value": "another"})
    assert "whether it has this value cannot be seen" in str(warned["warnings"])
    assert steps(apply(MODULE, {**options, "update_value": "always"})) == ["set_secret_value"]


def test_what_an_interrupted_run_left_is_completed():
    apply(MODULE, {"uuid": UUID, "usage": USAGE})  # defined, without a value
    assert steps(cycle(MODULE, {"uuid": UUID, "private": True, "value": VALUE})) == ["set_secret_value", "define_secret"]


#: Options that tests of their own are about.
ELSEWHERE = {
    "uri": "test_where_libvirt_is_not_there_yet_check_mode_predicts",
    "state": "test_the_life_of_a_secret",
    "xml": "test_each_usage",
    "update_value": "test_the_life_of_a_secret",
}


def test_every_option_is_tried():
    cases = [*CASES.values(), *((one, other) for one, other, _code in REFUSED.values())]
    assert untried(SPEC["argument_spec"], cases) == set(ELSEWHERE)
    assert all(name in globals() for name in ELSEWHERE.values())


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_option_of_a_secret(case):
    apply(MODULE, {"uuid": UUID, "usage": USAGE, "value": VALUE})
    seen = []
    for options in (case[0], case[1], case[0]):
        changes = {name for step in cycle(MODULE, {"uuid": UUID, **options})["actions"] for name in step.get("changes", ())}
        assert changes == {name for name in ("description", "ephemeral") if name in options}
        seen.append(value(UUID))
        assert Path(f"{KEPT}.base64").exists() != options.get("ephemeral", False)
    assert seen[0] == seen[2] != seen[1]


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_cannot_change(case):
    one, other, code = case
    cycle(MODULE, one)
    refused(MODULE, other, code)
    refused(MODULE, other, code, check_mode=True)


@pytest.mark.parametrize("kind", ["ceph", "iscsi", "tls", "volume", "vtpm"])
def test_each_usage(kind):
    usage = {"type": kind, "id": "/vt/one" if kind == "volume" else "vt one"}
    made = cycle(MODULE, {"uuid": UUID, "usage": usage})
    assert made["resource"]["usage"] == usage
    settled(MODULE, {"xml": virsh("secret-dumpxml", UUID)})
    settled(MODULE, {"usage": usage})


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"uuid": "zz"}, "invalid_uuid"),
        ({"usage": {"type": "ceph", "id": " "}}, "invalid_value"),
        ({"uuid": UUID, "value": ""}, "invalid_value"),
        ({"uuid": UUID, "value": "***", "encoding": "base64"}, "invalid_value"),
        ({"xml": "<secret/>"}, "invalid_xml"),
        ({"xml": '<!DOCTYPE secret [<!ENTITY a "b">]><secret><uuid>&a;</uuid></secret>'}, "invalid_xml"),
        ({"xml": "<secret><usage type='none such'/></secret>"}, "invalid_xml"),
        ({}, "invalid_options"),
    ],
)
def test_bad_input_is_refused(options, code):
    refused(MODULE, options, code)


def test_where_libvirt_is_not_there_yet_check_mode_predicts():
    options = {"usage": USAGE, "value": VALUE, "uri": "qemu+unix:///system?socket=/nowhere"}
    assert steps(check(MODULE, options)) == ["define_secret", "set_secret_value"]
    assert run_module(MODULE, options)["code"] == "libvirt_unreachable"
