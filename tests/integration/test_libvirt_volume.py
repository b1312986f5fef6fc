# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.volume.model import SPEC
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.xmltree import parse
from support.modules import apply, check, cycle, refused, run_module, settled
from support.option_cases import by_path, changed, there_and_back, untried
from support.virsh import clear, virsh
from support.volume_options import AT_ONCE, CASES, EFFECTS, FIELDS, KEPT, REFUSED

POOL = "vt-volumes"
NAME = "vt-volume"
MODULE = "libvirt_volume"
GUEST = "vt-volume-guest"
FOLDER = Path("/var/lib/libvirt/vt-volumes")
MIB = 1024**2


def remove() -> None:
    clear(
        ("destroy", GUEST),
        ("undefine", GUEST),
        ("pool-destroy", f"{POOL}-below"),
        ("pool-destroy", POOL),
        ("pool-undefine", POOL),
    )
    subprocess.run(["rm", "-rf", str(FOLDER)], check=True)


@pytest.fixture(autouse=True)
def pool(libvirtd):
    remove()
    FOLDER.mkdir()
    virsh("pool-create-as", POOL, "dir", "--target", str(FOLDER))
    yield
    remove()


@pytest.fixture
def raw(tmp_path):
    """A local file of 8 MiB and a bit, most of it holes."""
    path = tmp_path / "image.raw"
    with path.open("wb") as handle:
        handle.write(b"begin" + os.urandom(70_000))
        handle.seek(5 * MIB)
        handle.write(os.urandom(300_000))
        handle.truncate(8 * MIB + 513)
    return path


@pytest.fixture
def qcow2(tmp_path):
    path = tmp_path / "image.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "32M"], check=True)
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 2M", str(path)], capture_output=True, check=True)
    return path


def volume(**more: Any) -> dict[str, Any]:
    return {"pool": POOL, "name": NAME, **more}


def steps(result: dict[str, Any]) -> list[str]:
    return [step["action"] for step in result["actions"]]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def guest(running: bool = False, kind: str = "qcow2") -> None:
    disk = f"<disk type='volume'><driver type='{kind}'/><source pool='{POOL}' volume='{NAME}'/><target dev='vda'/></disk>"
    xml = f"<domain type='qemu'><name>{GUEST}</name><memory>65536</memory><os><type>hvm</type></os><devices>{disk}</devices></domain>"
    virsh("define", "/dev/stdin", stdin=xml)
    if running:
        virsh("start", GUEST, "--paused")


def test_the_life_of_a_volume():
    made = cycle(MODULE, volume(capacity="16MiB", format="qcow2"))
    assert made["resource"]["capacity"] == 16 * MIB and made["resource"]["path"] == f"{FOLDER}/{NAME}"
    assert settled(MODULE, volume(capacity="16 M"))["resource"]["format"] == "qcow2"
    assert steps(cycle(MODULE, volume(capacity=20_000_000))) == ["resize_volume"]  # qcow2 rounds up
    refused(MODULE, volume(capacity="8MiB"), "shrink_refused", check_mode=True)
    assert cycle(MODULE, volume(capacity="18MiB", allow_shrink=True))["actions"][0]["shrink"]
    assert steps(cycle(MODULE, volume(state="absent"))) == ["delete_volume"]
    settled(MODULE, volume(state="absent"))
    settled(MODULE, {"pool": "vt-none", "name": NAME, "state": "absent"})


@pytest.mark.parametrize(
    ("said", "size"), [("1GB", 1000**3), ("1 GiB", 1024**3), ("3145728", 3 * MIB), ("4096 KiB", 4 * MIB), ("1.5M", 3 * MIB // 2), ("2MB", 2_000_000)]
)
def test_all_units(said, size):
    apply(MODULE, volume(capacity=said, allocation="0"))
    assert (FOLDER / NAME).stat().st_size == size


#: Options that tests of their own are about.
ELSEWHERE = {
    "uri": "test_where_libvirt_is_not_there_yet_check_mode_predicts",
    "pool": "test_before_the_pool_is_there_check_mode_predicts",
    "name": "test_text_stays_text",
    "state": "test_the_life_of_a_volume",
    "xml": "test_xml_for_what_has_no_option",
    "clone.volume": "test_clone",
    "clone.pool": "test_a_clone_of_another_pools_volume",
    "source": "test_upload_of_a_raw_file",
    "allow_shrink": "test_the_life_of_a_volume",
    "wipe": "test_wipe",
}


def test_every_option_is_tried():
    assert untried(SPEC["argument_spec"], [(case.one, case.other) for case in CASES.values()]) == set(ELSEWHERE)
    assert all(name in globals() for name in ELSEWHERE.values())


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_option(case):
    """Made anew where one that is there cannot change."""
    virsh("vol-create-as", POOL, "one", "4M", "--format", "qcow2")
    virsh("vol-create-as", POOL, "two", "4M", "--format", "qcow2")
    if case.effect == AT_ONCE:
        there_and_back(MODULE, volume(), case.one, case.other)
    shown = []
    for options, other in ((case.one, case.other), (case.other, case.one), (case.one, case.other)):
        clear(("vol-delete", "--pool", POOL, NAME))
        cycle(MODULE, volume(**options))
        shown.append(parse(virsh("vol-dumpxml", "--pool", POOL, NAME), "xml", "volume"))
        if case.effect == KEPT:
            settled(MODULE, volume(**other))
        elif case.effect == REFUSED:
            refused(MODULE, volume(**other), case.code)
    for option in changed(SPEC["argument_spec"], case.one, case.other):
        assert by_path(EFFECTS, option) == case.effect
        first, second, third = (tree.get(FIELDS[option]) for tree in shown)
        assert first == third != second, f"{option} changed nothing"


def test_no_backing_file_is_put_beneath_and_none_that_is_in_use_goes():
    virsh("vol-create-as", POOL, "base", "4M", "--format", "qcow2")
    apply(MODULE, volume(backing={"path": f"{FOLDER}/base", "format": "qcow2"}, capacity="8M", format="qcow2"))
    assert NAME in refused(MODULE, {"pool": POOL, "name": "base", "state": "absent"}, "volume_in_use")
    refused(MODULE, {"pool": POOL, "name": "base", "backing": {"path": f"{FOLDER}/{NAME}", "format": "qcow2"}}, "backing_differs")


def test_a_clone_of_another_pools_volume():
    (FOLDER / "below").mkdir()
    virsh("pool-create-as", f"{POOL}-below", "dir", "--target", str(FOLDER / "below"))
    virsh("vol-create-as", f"{POOL}-below", "template", "5M", "--format", "qcow2")
    assert cycle(MODULE, volume(clone={"pool": f"{POOL}-below", "volume": "template"}))["resource"]["capacity"] == 5 * MIB
    settled(MODULE, volume(clone={"volume": "none-such"}))  # what is there is kept


def test_clone():
    virsh("vol-create-as", POOL, "template", "16M", "--format", "qcow2")
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 9 4M 1M", f"{FOLDER}/template"], capture_output=True, check=True)
    made = cycle(MODULE, volume(clone={"volume": "template"}, capacity="32M"))
    assert steps(made) == ["create_volume", "resize_volume"]
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "read -P 9 4M 1M", f"{FOLDER}/{NAME}"], capture_output=True, check=True)
    cycle(MODULE, {"pool": POOL, "name": "copy.raw", "clone": {"volume": NAME}, "format": "raw"})
    refused(MODULE, {"pool": POOL, "name": "other", "clone": {"volume": NAME}, "capacity": "1M"}, "too_small")
    refused(MODULE, {"pool": POOL, "name": "other", "clone": {"volume": "nowhere"}}, "volume_not_found")
    guest(running=True)
    assert GUEST in refused(MODULE, {"pool": POOL, "name": "other", "clone": {"volume": NAME}}, "volume_in_use", check_mode=True)


def test_upload_of_a_raw_file(raw):
    made = cycle(MODULE, volume(source=str(raw)))
    assert steps(made) == ["create_volume", "upload_volume"]
    assert digest(FOLDER / NAME) == digest(raw)
    assert (FOLDER / NAME).stat().st_blocks * 512 < 2 * MIB  # holes stayed holes
    raw.write_bytes(b"something else")
    settled(MODULE, volume(source=str(raw)))  # what is there is kept


@pytest.mark.parametrize("size", [1, 511, 512, 65536, 65537])
def test_upload_of_small_files(tmp_path, size):
    path = tmp_path / "small"
    path.write_bytes(os.urandom(size))
    apply(MODULE, volume(source=str(path)))
    assert digest(FOLDER / NAME) == digest(path)
    settled(MODULE, volume(source=str(path)))


def test_upload_of_qcow2_and_more_capacity(qcow2):
    made = cycle(MODULE, volume(source=str(qcow2), capacity="64M", format="qcow2"))
    assert steps(made) == ["create_volume", "upload_volume", "resize_volume"] and made["resource"]["capacity"] == 64 * MIB
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "read -P 7 1M 2M", f"{FOLDER}/{NAME}"], capture_output=True, check=True)
    refused(MODULE, {"pool": POOL, "name": "other", "source": str(qcow2), "capacity": "1M"}, "too_small")
    refused(MODULE, {"pool": POOL, "name": "other", "source": str(qcow2), "format": "raw"}, "format_differs")


def test_half_an_upload_never_looks_whole(qcow2):
    """What is there when the power goes, before the first byte and after some."""
    path = FOLDER / NAME
    virsh("vol-create-as", POOL, NAME, "0", "--allocation", "0")
    assert steps(cycle(MODULE, volume(source=str(qcow2)))) == ["upload_volume"]  # made, and not filled
    seal = b"virtops: this upload was not finished".ljust(512, b"\0")
    path.write_bytes(seal + qcow2.read_bytes()[512:100_000])
    virsh("pool-refresh", POOL)
    refused(MODULE, volume(capacity="1M"), "upload_unfinished")
    refused(MODULE, {"pool": POOL, "name": "other", "clone": {"volume": NAME}}, "upload_unfinished")
    resumed = cycle(MODULE, volume(source=str(qcow2)))
    assert steps(resumed) == ["upload_volume"] and digest(path) == digest(qcow2)


def test_a_failing_upload_leaves_its_seal(tmp_path):
    """The pool is full: it has 1 MiB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "vt-volumes", str(FOLDER)], check=True)
    try:
        path = tmp_path / "large"
        path.write_bytes(b"QFI\xfb" + os.urandom(3 * MIB))
        message = refused(MODULE, volume(source=str(path), format="qcow2"), "upload_failed")
        assert message.startswith(f"volume {POOL}/{NAME}: the upload of {path}")
        virsh("pool-refresh", POOL)
        assert "<format type='raw'/>" in virsh("vol-dumpxml", "--pool", POOL, NAME)
        assert steps(check(MODULE, volume(source=str(path)))) == ["upload_volume"]
        cycle(MODULE, volume(state="absent"))
    finally:
        clear(("pool-destroy", POOL))
        subprocess.run(["umount", str(FOLDER)], check=True)


def test_wipe(raw):
    keep = FOLDER / "keep"
    apply(MODULE, volume(source=str(raw)))
    os.link(FOLDER / NAME, keep)
    assert steps(cycle(MODULE, volume(state="absent", wipe="zero"))) == ["wipe_volume", "delete_volume"]
    assert not any(keep.read_bytes())


def test_a_volume_that_a_guest_has():
    apply(MODULE, volume(capacity="16M", format="qcow2"))
    guest()
    assert GUEST in refused(MODULE, volume(state="absent", wipe="zero"), "volume_in_use")
    assert GUEST in str(check(MODULE, volume(state="absent"))["warnings"])
    cycle(MODULE, volume(capacity="20M"))
    virsh("start", GUEST, "--paused")
    assert GUEST in refused(MODULE, volume(capacity="16M", allow_shrink=True), "volume_in_use", check_mode=True)
    settled(MODULE, volume(capacity="20M"))


@pytest.mark.parametrize(("kind", "capacity"), [("qcow2", 24 * MIB), ("raw", 20_000_001)])
def test_a_volume_grows_under_a_running_guest(kind, capacity):
    apply(MODULE, volume(capacity="16M", format=kind))
    guest(running=True, kind=kind)
    grown = cycle(MODULE, volume(capacity=capacity))
    assert grown["actions"] == [
        {"action": "resize_volume", "target": NAME, "pool": POOL, "capacity": capacity, "guest": GUEST, "disk": "vda"},
    ]
    assert re.search(r"Capacity: +(\d+)", virsh("domblkinfo", GUEST, "vda"))[1] == str(-(-capacity // 512) * 512)


def test_a_volume_beneath_the_image_of_a_running_guest_stays_as_it_is():
    apply(MODULE, volume(name="base", capacity="16M", format="qcow2"))
    apply(MODULE, volume(capacity="16M", format="qcow2", backing={"path": f"{FOLDER}/base", "format": "qcow2"}))
    guest(running=True)
    assert GUEST in refused(MODULE, volume(name="base", capacity="24M"), "volume_in_use", check_mode=True)


def test_xml_for_what_has_no_option():
    xml = "<volume><name>vt-volume</name><capacity unit='M'>8</capacity><target><format type='qcow2'/><compat>0.10</compat></target></volume>"
    cycle(MODULE, {"pool": POOL, "xml": xml})
    assert "compat: 0.10" in subprocess.run(["qemu-img", "info", f"{FOLDER}/{NAME}"], capture_output=True, text=True, check=True).stdout
    settled(MODULE, {"pool": POOL, "xml": virsh("vol-dumpxml", "--pool", POOL, NAME)})


def test_text_stays_text():
    name = "vt \"'<&>]]><format type='raw'>"
    cycle(MODULE, {"pool": POOL, "name": name, "capacity": "1M", "format": "qcow2"})
    assert (FOLDER / name).exists()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"name": "a/b"}, "invalid_name"),
        ({}, "missing_option"),
        ({"capacity": "lots"}, "invalid_size"),
        ({"capacity": "-1"}, "invalid_size"),
        ({"capacity": "1M", "format": "nosuch"}, "unsupported_configuration"),
        ({"capacity": "1M", "pool": "vt-none"}, "pool_not_found"),
        ({"source": "/nowhere"}, "source_not_found"),
        ({"source": "/etc"}, "source_not_found"),
        ({"backing": {"path": "relative", "format": "raw"}}, "invalid_path"),
        ({"wipe": "zero"}, "invalid_value"),
        ({"clone": {"volume": "a"}, "source": "/b"}, "invalid_options"),
        ({"xml": '<!DOCTYPE volume [<!ENTITY a "b">]><volume><name>&a;</name></volume>'}, "invalid_xml"),
        ({"xml": "<volume><name>other</name></volume>"}, "invalid_xml"),
        ({"xml": "<volume/>", "source": "/etc/passwd"}, "invalid_value"),
    ],
)
def test_bad_input_is_refused(options, code):
    refused(MODULE, volume(**options), code)


def test_an_empty_source(tmp_path):
    (tmp_path / "empty").touch()
    refused(MODULE, volume(source=str(tmp_path / "empty")), "invalid_source")


def test_where_libvirt_is_not_there_yet_check_mode_predicts():
    options = volume(capacity="1M", uri="qemu+unix:///system?socket=/nowhere")
    assert steps(check(MODULE, options)) == ["create_volume"]
    assert run_module(MODULE, options)["code"] == "libvirt_unreachable"


def test_before_the_pool_is_there_check_mode_predicts():
    options = {"pool": "vt-none", "name": NAME, "capacity": "1M"}
    predicted = check(MODULE, options)
    assert steps(predicted) == ["create_volume"] and "make it with libvirt_pool first" in str(predicted["warnings"])
    assert run_module(MODULE, options)["code"] == "pool_not_found"
