# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import fcntl
import os
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure, NotReady
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Host, Result
from ansible_collections.virtops.linux.plugins.module_utils.image import actions as a
from ansible_collections.virtops.linux.plugins.module_utils.image import files, limits, locks, qemu_img
from ansible_collections.virtops.linux.plugins.module_utils.image import plan as p
from ansible_collections.virtops.linux.plugins.module_utils.image.apply import apply as apply_with
from ansible_collections.virtops.linux.plugins.module_utils.image.encryption import DEFAULT_ENCRYPTION
from ansible_collections.virtops.linux.plugins.module_utils.image.layout import Layout
from ansible_collections.virtops.linux.plugins.module_utils.image.model import (
    SPEC,
    Base,
    Busy,
    Desired,
    Image,
    Observed,
    User,
    is_plain,
    may_lead_to,
    resolve,
)
from ansible_collections.virtops.linux.plugins.module_utils.image.options import DEFAULTS, Options, check_size, largest
from ansible_collections.virtops.linux.plugins.module_utils.image.params import from_params
from ansible_collections.virtops.linux.plugins.module_utils.image.plan_changing import may_change
from ansible_collections.virtops.linux.plugins.module_utils.image.qemu_img import Info, explain, option_words, parse_info
from ansible_collections.virtops.linux.plugins.module_utils.image.read import read as read_with
from ansible_collections.virtops.linux.plugins.module_utils.image.view import view
from support.hosts import FakeHost, converged

DATA = Path(__file__).parent / "data"
MIB = 1024**2
GIB = 1024**3
PATH = "/images/disk.qcow2"
IMAGE = Image("qcow2", GIB, options=DEFAULTS, owner="root", group="root", mode="0600")
THERE = Observed(PATH, IMAGE)
NONE = Observed(PATH, free=100 * GIB)
READ = ["prlimit", "--as=1073741824", "--cpu=30", "--", "qemu-img", "info", "--force-share", "-f"]
CHANGE = ["prlimit", "--as=8589934592", "--cpu=600", "--", "qemu-img"]


def params(**given):
    options = {name: option.get("default") for name, option in SPEC["argument_spec"].items()}
    return {**options, "path": PATH, **given}


def info(name):
    return (DATA / f"qemu-img-7.2-info-{name}.json").read_text()


def header(name):
    return bytes.fromhex((DATA / f"qemu-img-7.2-header-{name}.hex").read_text()).ljust(MIB, b"\0")


class Nobody:
    """A host without libvirt."""

    def disk(self, host, uri, identity):
        return None

    def folders(self, host, uri):
        return ()


def read(host, desired):
    return read_with(host, desired, Nobody())


def apply(host, action):
    apply_with(host, action, Nobody())


def refusal(action, code):
    with pytest.raises(Failure) as caught:
        action()
    assert caught.value.code == code, caught.value.message
    assert "\n" not in caught.value.message
    return caught.value.message


# Options


def test_options_become_a_wish():
    desired = from_params(params(path="//images/./disk.qcow2", size="1000", cluster_size="4K", mode="640", backing_file=""))
    assert desired == Desired(PATH, size=1024, backing_file="", options=Options(cluster_size=4096), mode="0640")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"path": "disk.qcow2"}, "invalid_path"),
        ({"path": "json:{}"}, "invalid_path"),
        ({"path": "nbd://host/x"}, "invalid_path"),
        ({"path": "/images/../etc/shadow"}, "invalid_path"),
        ({"path": "/images/"}, "invalid_path"),
        ({"path": "/images/a\nb"}, "invalid_path"),
        ({"path": "/images/" + "x" * 242}, "invalid_path"),
        ({"size": "0"}, "invalid_size"),
        ({"size": "-1"}, "invalid_size"),
        ({"size": "1 parsec"}, "invalid_size"),
        ({"size": "8E"}, "invalid_size"),
        ({"cluster_size": "256"}, "invalid_cluster_size"),
        ({"cluster_size": "4M"}, "invalid_cluster_size"),
        ({"cluster_size": "5000"}, "invalid_cluster_size"),
        ({"cluster_size": "0"}, "invalid_cluster_size"),
        ({"mode": 420}, "invalid_mode"),
        ({"owner": ""}, "invalid_owner"),
        ({"owner": "4294967295"}, "invalid_owner"),
        ({"owner": "\u00b2"}, "invalid_owner"),
        ({"owner": "9" * 5000}, "invalid_owner"),
        ({"group": "a\0b"}, "invalid_group"),
        ({"mode": "rw"}, "invalid_mode"),
        ({"mode": "4755"}, "invalid_mode"),
        ({"backing_file": "disk.qcow2"}, "backing_loop"),
        ({"backing_file": "/images/sub/../disk.qcow2"}, "backing_loop"),
        ({"backing_file": 'json:{"driver": "nbd"}'}, "unsafe_backing_file"),
        ({"backing_file": "nbd://host/x"}, "unsafe_backing_file"),
        ({"backing_file": "fat:rw:/etc"}, "unsafe_backing_file"),
        ({"backing_file": "/" + "x" * 1023}, "invalid_path"),
        ({"backing_file": "", "backing_format": "raw"}, "invalid_option_combination"),
        ({"format": "raw", "cluster_size": "64K"}, "invalid_option_combination"),
        ({"format": "raw", "lazy_refcounts": False}, "invalid_option_combination"),
        ({"format": "raw", "backing_file": "base"}, "invalid_option_combination"),
        ({"format": "raw", "preallocation": "metadata"}, "invalid_option_combination"),
        ({"compat": "0.10", "lazy_refcounts": True}, "invalid_option_combination"),
        ({"compat": "0.10", "extended_l2": True}, "invalid_option_combination"),
        ({"compat": "0.10", "compression_type": "zstd"}, "invalid_option_combination"),
        ({"compat": "0.10", "refcount_bits": 8}, "invalid_option_combination"),
        ({"extended_l2": True, "cluster_size": "8K"}, "invalid_option_combination"),
        ({"backing_file": "base", "preallocation": "full"}, "invalid_option_combination"),
        ({"encryption": {"secret": "x"}}, "invalid_option_combination"),
        ({"encryption": {"format": "luks", "secret": "x", "secret_file": "/x"}}, "invalid_option_combination"),
        ({"encryption": {"format": "luks", "old_secret": "x"}}, "invalid_option_combination"),
        ({"encryption": {"format": "luks", "secret": "x", "old_secret": "x"}}, "invalid_option_combination"),
        ({"encryption": {"format": "luks", "cipher_alg": "aes-192"}}, "invalid_option_combination"),
        ({"encryption": {"format": "luks", "secret": ""}}, "invalid_secret"),
        ({"encryption": {"format": "luks", "secret": "a\0b"}}, "invalid_secret"),
        ({"encryption": {"format": "luks", "secret": "a\udc80"}}, "invalid_secret"),
        ({"encryption": {"format": "luks", "secret_file": "x"}}, "invalid_path"),
        ({"encryption": {"format": "luks", "iter_time": 0}}, "invalid_iter_time"),
        ({"encryption": {"format": "luks"}, "format": "raw"}, "invalid_option_combination"),
    ],
)
def test_bad_options(given, code):
    refusal(lambda: from_params(params(**given)), code)


def test_combinations_that_are_fine():
    for given in (
        {"compat": "0.10", "lazy_refcounts": False, "extended_l2": False, "compression_type": "zlib", "refcount_bits": 16},
        {"format": "raw", "preallocation": "full"},
        {"backing_file": "base", "preallocation": "off"},
        {"backing_file": "base", "preallocation": "metadata", "extended_l2": True},
        {"backing_file": "/dir/a:b,c"},
    ):
        assert from_params(params(**given)).present


def test_absent_looks_at_nothing_else():
    assert from_params(params(state="absent", size="nonsense", mode=1)) == Desired(PATH, present=False)


def test_names_that_qemu_takes_for_paths():
    assert all(map(is_plain, ("/a:b", "base.qcow2", "../base.qcow2", "dir/a:b")))
    assert not any(map(is_plain, ("json:{}", "nbd://h/x", "a:b", "file:/x", ":")))
    assert resolve("/images/top.qcow2", "../bases/b.qcow2") == "/images/../bases/b.qcow2"
    assert resolve("/images/top.qcow2", "/b.qcow2") == "/b.qcow2"


@pytest.mark.parametrize(
    ("options", "limit"),
    [  # where qemu-img 7.2 begins to refuse
        (Options(cluster_size=512), 128 * GIB),
        (Options(cluster_size=4096), 8 * 1024 * GIB),
        (DEFAULTS, 2 * 1024**2 * GIB),
        (replace(DEFAULTS, extended_l2=True), 1024**2 * GIB),
    ],
)
def test_the_cluster_size_limits_the_size(options, limit):
    assert largest(options, raw=False) == limit
    check_size(PATH, limit, options, raw=False)
    refusal(lambda: check_size(PATH, limit + 512, options, raw=False), "invalid_size")


# Planning


def test_a_new_image_with_every_default():
    plan = converged(p.plan, NONE, Desired(PATH, size=GIB))
    assert plan.actions == (a.CreateImage(PATH, "qcow2", GIB, None, None, DEFAULTS.given(), None, None, None, "0600"),)
    assert view(plan.after, Desired(PATH))["cluster_size"] == 65536


def test_a_new_raw_image_has_no_options():
    plan = converged(p.plan, NONE, Desired(PATH, size=GIB, format="raw", preallocation="full"))
    assert plan.actions[0].options == {}
    assert set(view(plan.after, Desired(PATH))) == {"path", "state", "format", "size", "human_size", "mode"}


def test_an_overlay_takes_size_and_format_of_its_backing_file():
    observed = replace(NONE, base=Base("/images/base", "raw", 3 * GIB))
    plan = converged(p.plan, observed, Desired(PATH, backing_file="base"))
    (create,) = plan.actions
    assert (create.size, create.backing_file, create.backing_format) == (3 * GIB, "base", "raw")
    assert converged(p.plan, observed, Desired(PATH, backing_file="base", size=4 * GIB)).actions[0].size == 4 * GIB
    refusal(lambda: p.plan(observed, Desired(PATH, backing_file="base", size=GIB)), "size_below_backing_file")


def test_a_prediction_where_the_backing_file_is_not_there_yet():
    desired = Desired(PATH, backing_file="base", owner="web", mode="0640")
    plan = converged(p.plan, p.nothing(desired), desired)
    assert plan.actions == (a.CreateImage(PATH, "qcow2", None, "base", None, DEFAULTS.given(), None, "web", None, "0640"),)
    assert "size" not in plan.actions[0].describe()


@pytest.mark.parametrize(
    ("observed", "desired", "code"),
    [
        (NONE, Desired(PATH), "size_required"),
        (NONE, Desired(PATH, size=GIB, backing_format="raw"), "invalid_option_combination"),
        (NONE, Desired(PATH, size=256 * GIB, options=Options(cluster_size=512)), "invalid_size"),
        (replace(NONE, free=GIB - 1), Desired(PATH, size=GIB, preallocation="falloc"), "no_space"),
        (replace(NONE, base=Base("/b", "raw", GIB, Busy("/b"))), Desired(PATH, backing_file="/b"), "image_in_use"),
        (THERE, Desired(PATH, size=GIB - 512), "shrink_refused"),
        (THERE, Desired(PATH, size=2**62), "invalid_size"),
        (THERE, Desired(PATH, format="raw"), "cannot_change_in_place"),
        (THERE, Desired(PATH, options=Options(cluster_size=4096)), "cannot_change_in_place"),
        (THERE, Desired(PATH, options=Options(refcount_bits=8)), "cannot_change_in_place"),
        (THERE, Desired(PATH, options=Options(extended_l2=True)), "cannot_change_in_place"),
        (THERE, Desired(PATH, options=Options(compression_type="zstd")), "cannot_change_in_place"),
        (replace(THERE, base=Base("/b", "raw")), Desired(PATH, backing_file="/b"), "cannot_change_in_place"),
        (replace(THERE, image=replace(IMAGE, backing_file="b")), Desired(PATH, backing_file=""), "cannot_change_in_place"),
        (THERE, Desired(PATH, backing_format="raw"), "cannot_change_in_place"),
        (replace(THERE, image=Image("raw", GIB)), Desired(PATH, options=Options(compat="1.1")), "cannot_change_in_place"),
        (replace(THERE, image=Image("raw", GIB)), Desired(PATH, size=2 * GIB), "format_required"),
        (replace(THERE, busy=Busy(PATH)), Desired(PATH, size=2 * GIB), "image_in_use"),
        (replace(THERE, busy=Busy(PATH)), Desired(PATH, options=Options(lazy_refcounts=True)), "image_in_use"),
        (replace(THERE, image=replace(IMAGE, encryption=DEFAULT_ENCRYPTION)), Desired(PATH, size=2 * GIB), "image_encrypted"),
        (replace(THERE, image=replace(IMAGE, corrupt=True)), Desired(PATH, size=2 * GIB), "image_corrupt"),
        (
            replace(THERE, image=replace(IMAGE, snapshots=1, options=replace(DEFAULTS, compat="0.10"))),
            Desired(PATH, size=2 * GIB),
            "image_has_snapshots",
        ),
        (
            replace(THERE, image=replace(IMAGE, options=replace(DEFAULTS, compat="0.10"))),
            Desired(PATH, options=Options(lazy_refcounts=True)),
            "invalid_option_combination",
        ),
        (
            replace(THERE, image=replace(IMAGE, options=replace(DEFAULTS, compression_type="zstd"))),
            Desired(PATH, options=Options(compat="0.10")),
            "cannot_change_in_place",
        ),
        (replace(THERE, busy=Busy(PATH)), Desired(PATH, present=False), "image_in_use"),
        (replace(THERE, busy=Busy(PATH)), Desired(PATH, present=False, force=True), "image_in_use"),
        (replace(THERE, dependents=("/images/top",)), Desired(PATH, present=False), "image_has_dependents"),
        (replace(THERE, dependents=("/images/top",)), Desired(PATH, size=2 * GIB), "image_has_dependents"),
        (replace(THERE, dependents=("/images/top",)), Desired(PATH, options=Options(lazy_refcounts=True)), "image_has_dependents"),
        (
            replace(THERE, dependents=("/images/top",), base=Base("/b", "raw")),
            Desired(PATH, backing_file="/b", rebase="unsafe"),
            "image_has_dependents",
        ),
        (replace(THERE, image=replace(IMAGE, symlink=True)), Desired(PATH, present=False), "not_a_regular_file"),
    ],
)
def test_refused(observed, desired, code):
    refusal(lambda: p.plan(observed, desired), code)


def test_what_others_stand_on_may_change_its_mode_or_all_where_that_is_said():
    depended_on = replace(THERE, dependents=("/images/top",))
    assert converged(p.plan, depended_on, Desired(PATH, size=GIB, mode="0640")).actions == (a.SetMode(PATH, "0640"),)
    assert converged(p.plan, depended_on, Desired(PATH, size=2 * GIB, force=True)).actions == (a.GrowImage(PATH, "qcow2", GIB, 2 * GIB),)


@pytest.mark.parametrize(
    ("wanted", "may"),
    [
        ({}, False),
        ({"size": GIB, "mode": "0640", "options": Options(compat="1.1")}, False),
        ({"size": 2 * GIB}, True),
        ({"options": Options(compat="0.10")}, True),
        ({"backing_file": "/b", "rebase": "safe"}, True),
    ],
)
def test_who_stands_on_an_image_is_asked_where_it_may_change(wanted, may):
    assert may_change(IMAGE, Desired(PATH, **wanted)) is may
    assert not may_change(None, Desired(PATH, **wanted))


def test_the_sentences_say_both_values():
    message = refusal(lambda: p.plan(THERE, Desired(PATH, options=Options(cluster_size=4096))), "cannot_change_in_place")
    assert "cluster_size is 65536 and cannot be changed to 4096" in message
    message = refusal(lambda: p.plan(THERE, Desired(PATH, size=GIB // 2)), "shrink_refused")
    assert "1 GiB (1073741824 bytes)" in message and "512 MiB (536870912 bytes)" in message
    holder = Busy(PATH, (User(7, "qemu-system-x86_64", "web1"), User(9, "qemu-nbd")))
    message = refusal(lambda: p.plan(replace(THERE, busy=holder), Desired(PATH, present=False)), "image_in_use")
    assert "the guest web1 (process 7, qemu-system-x86_64), the process 9 (qemu-nbd)" in message


def test_everything_at_once_in_order():
    desired = Desired(PATH, size=2 * GIB, options=Options(lazy_refcounts=True), owner="u", group="g", mode="0644")
    observed = replace(THERE, owner="u", group="g", leftovers=("/images/.disk.qcow2.aaaaaaaa.tmp",))
    assert converged(p.plan, observed, desired).actions == (
        a.RemoveLeftovers(PATH, ("/images/.disk.qcow2.aaaaaaaa.tmp",)),
        a.AmendImage(PATH, {"lazy_refcounts": True}),
        a.GrowImage(PATH, "qcow2", GIB, 2 * GIB),
        a.SetOwner(PATH, "u", "g"),
        a.SetMode(PATH, "0644"),
    )


def test_going_back_to_the_old_format_switches_lazy_refcounts_off():
    observed = replace(THERE, image=replace(IMAGE, options=replace(DEFAULTS, lazy_refcounts=True)))
    plan = converged(p.plan, observed, Desired(PATH, options=Options(compat="0.10")))
    assert plan.after.image.options == replace(DEFAULTS, compat="0.10", lazy_refcounts=False)


def test_what_is_in_use_may_stay_as_it_is_and_change_its_mode():
    observed = replace(THERE, busy=Busy(PATH))
    assert converged(p.plan, observed, Desired(PATH, size=GIB)).actions == ()
    assert converged(p.plan, observed, Desired(PATH, mode="0640")).actions == (a.SetMode(PATH, "0640"),)


def test_two_spellings_of_one_backing_file_are_the_same():
    observed = replace(THERE, image=replace(IMAGE, backing_file="base", backing_path="/images/base"), base=Base("/images/base", "qcow2"))
    assert converged(p.plan, observed, Desired(PATH, backing_file="/images/base")).actions == ()


def test_absent():
    assert converged(p.plan, THERE, Desired(PATH, present=False)).actions == (a.RemoveImage(PATH),)
    assert converged(p.plan, NONE, Desired(PATH, present=False)).actions == ()
    assert converged(p.plan, replace(THERE, dependents=("/x",)), Desired(PATH, present=False, force=True)).actions == (a.RemoveImage(PATH),)


# Reading


def test_the_answers_of_qemu_img():
    assert parse_info(info("over"), PATH) == Info(10 * MIB, "base.qcow2", "qcow2", Options(4096, "1.1", True, 16, False, "zlib"), corrupt=False)
    assert parse_info(info("old"), PATH).options == Options(65536, "0.10", False, 16, False, "zlib")
    assert parse_info(info("disk"), PATH) == Info(MIB, None, None, Options(), corrupt=False)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "qcow2", "virtual-size": 1}', '{"format": "raw", "virtual-size": null}'])
def test_an_answer_of_another_form(text):
    refusal(lambda: parse_info(text, PATH), "image_unreadable")


@pytest.mark.parametrize(
    ("stderr", "code"),
    [
        ("qemu-img: x: Could not write zeros for preallocation: No space left on device\n", "no_space"),
        ("qemu-img: Could not open 'x': Failed to get \"write\" lock\nIs another process using the image [x]?\n", "image_in_use"),
        ("qemu-img: x: Could not resize file: File too large\n", "file_too_large"),
        ("qemu-img: x: something else\n", "qemu_img_failed"),
    ],
)
def test_what_qemu_img_complains_of(stderr, code):
    failure = explain(PATH, "created", Result(1, "", stderr))
    assert failure.code == code and PATH in failure.message and "\n" not in failure.message


@pytest.fixture
def host(tmp_path):
    host = FakeHost(tmp_path, {"/images/base.qcow2": ""})
    Path(host.path("/images/base.qcow2")).write_bytes(header("over")[:8] + bytes(12) + header("over")[20:])  # no backing file
    return host


def test_an_overlay_is_read_without_its_format_being_guessed(host):
    Path(host.path(PATH)).write_bytes(header("over"))
    Path(host.path(PATH)).chmod(0o640)
    host.script = [([*READ, "qcow2", "--output=json", PATH], Result(0, info("over"), ""))]
    observed = read(host, Desired(PATH))
    assert host.exhausted()
    image = observed.image
    assert (image.format, image.size, image.backing_file, image.backing_path) == ("qcow2", 10 * MIB, "base.qcow2", "/images/base.qcow2")
    assert (image.mode, image.options.lazy_refcounts, image.symlink, observed.busy) == ("0640", True, False, None)


def test_the_backing_file_of_a_new_image_gives_its_size(host):
    host.script = [([*READ, "qcow2", "--output=json", "/images/base.qcow2"], Result(0, info("over"), ""))]
    observed = read(host, Desired(PATH, backing_file="base.qcow2"))
    assert observed.image is None
    assert observed.base == Base("/images/base.qcow2", "qcow2", 10 * MIB)


def test_what_is_missing_may_be_coming(host):
    with pytest.raises(NotReady, match=r"/none does not exist") as caught:
        read(host, Desired("/none/disk.qcow2", size=1024))
    assert caught.value.code == "directory_missing"
    with pytest.raises(NotReady, match=r"/images/other does not exist") as caught:
        read(host, Desired(PATH, backing_file="other"))
    assert caught.value.code == "backing_missing"


def test_without_qemu_img_the_package_is_named(host, monkeypatch):
    monkeypatch.setattr(host, "which", lambda name: None)
    with pytest.raises(NotReady, match="qemu-utils") as caught:
        read(host, Desired(PATH))
    assert caught.value.code == "tool_missing"


def test_absent_needs_no_qemu_img_and_no_sound_image(host):
    Path(host.path(PATH)).write_bytes(b"QFI\xfbbroken")
    observed = read(host, Desired(PATH, present=False))
    assert (observed.image.format, observed.dependents) == ("qcow2", ())


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("base.qcow2", ("base.qcow2",)),
        ("file:/srv/base", ("/srv/base",)),
        ('json:{"driver":"qcow2","file":{"driver":"file","filename":"/srv/base"}}', ("/srv/base",)),
        ('json:{"driver":"qcow2","file.filename":"/srv/base","backing":{"file":{"filename":"/srv/below"}}}', ("/srv/base", "/srv/below")),
        ('json:{"filename":"/srv/\\u0000"}', ()),
        ('json:{"filename":["/srv/base"]}', ()),
        ("json:[]", ()),
        ("json:" + '{"a":' * 900, ()),
        ("nbd://host/x", ()),
    ],
)
def test_what_a_name_may_lead_to(name, files):
    assert may_lead_to(name) == files


def test_dependents_are_the_overlays_beside_it(host):
    Path(host.path("/images/top.qcow2")).write_bytes(header("over"))
    Path(host.path("/images/broken.qcow2")).write_bytes(header("over")[:50])
    os.mkfifo(host.path("/images/pipe"))
    observed = read(host, Desired("/images/base.qcow2", present=False))
    assert observed.dependents == ("/images/top.qcow2",)


def test_leftovers_are_those_of_this_image_alone(tmp_path):
    ours = ["/d/.disk.abcd_123.tmp", "/d/.disk.zzzzzzzz.tmp"]
    others = ["/d/.disk.qcow2.abcd_123.tmp", "/d/.disk.short.tmp", "/d/disk", "/d/.disk.abcd_123.tmpx", "/d/x.disk.abcd_123.tmp"]
    assert list(files.leftovers(FakeHost(tmp_path, dict.fromkeys(ours + others, "")), "/d/disk")) == ours


def test_leftovers_are_also_beside_the_image_that_a_link_leads_to(tmp_path):
    host = FakeHost(tmp_path, {"/d/real": "", "/d/.real.abcd_123.tmp": "", "/links/.disk.abcd_123.tmp": ""})
    os.symlink(host.path("/d/real"), host.path("/links/disk"))
    assert files.leftovers(host, "/links/disk") == ("/links/.disk.abcd_123.tmp", "/d/.real.abcd_123.tmp")


def test_a_lock_of_qemu_and_its_holder(tmp_path):
    host = FakeHost(
        tmp_path, {PATH: "x", "/proc/4711/cmdline": "/usr/bin/qemu-system-x86_64\0-name\0guest=web1,debug-threads=on\0", "/proc/12/cmdline": "sh\0"}
    )
    for pid, target in (("4711", PATH), ("12", "/proc/12/cmdline")):
        Path(host.path(f"/proc/{pid}/fd")).mkdir()
        os.symlink(host.path(target), host.path(f"/proc/{pid}/fd/9"))
    entry = files.gate(host, PATH)
    assert locks.busy(host, PATH, entry) is None
    with open(host.path(PATH), "r+b") as holder:
        fcntl.fcntl(holder, 37, struct.pack("@hhqqi4x", fcntl.F_RDLCK, 0, 100, 1, 0))  # F_OFD_SETLK: consistent read
        assert locks.busy(host, PATH, entry) == Busy(PATH, (User(4711, "qemu-system-x86_64", "web1"),))
        assert locks.busy_writing(host, PATH, entry) is None
        fcntl.fcntl(holder, 37, struct.pack("@hhqqi4x", fcntl.F_RDLCK, 0, 101, 1, 0))  # write
        assert locks.busy_writing(host, PATH, entry) == Busy(PATH, (User(4711, "qemu-system-x86_64", "web1"),))
    assert locks.busy(host, PATH, entry) is None


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["qemu", "-name", "guest=web1,debug-threads=on"], "web1"),
        (["qemu", "-name", "web1"], "web1"),
        (["qemu", "-name", "debug-threads=on,guest=a,,b"], "a,b"),
        (["qemu", "-m", "1G"], None),
        (["qemu", "-name"], None),
        ([], None),
    ],
)
def test_the_guest_of_a_command_line(argv, name):
    assert locks.guest_name(argv) == name


# Applying

DONE = Result(0, "", "")


class Making(FakeHost):
    """A host whose qemu-img create writes what it is told to, and remembers how it was called."""

    def __init__(self, tmp_path, result=DONE):
        super().__init__(tmp_path, {"/images/other": ""})
        self.result = result

    def run(self, argv, stdin=None, timeout=None, check=True, inherit=()):
        self.argv = argv
        if not self.result.rc:
            Path(self.path(argv[-2])).write_text("made")
        return self.result


CREATE = a.CreateImage(PATH, "qcow2", GIB, "base", "raw", DEFAULTS.given(), None, "root", "root", "0640")


def test_a_new_image_gets_its_name_when_it_is_complete(tmp_path):
    host = Making(tmp_path)
    apply(host, replace(CREATE, owner=str(os.geteuid()), group=str(os.getegid())))
    assert host.text(PATH) == "made"
    assert os.stat(host.path(PATH)).st_mode & 0o7777 == 0o640
    assert host.list("/images") == ["disk.qcow2", "other"]
    assert files.leftovers(host, PATH) == () and host.argv[-2].startswith("/images/.disk.qcow2.")


def test_a_failure_leaves_nothing_behind(tmp_path):
    host = Making(tmp_path, Result(1, "", "qemu-img: No space left on device\n"))
    refusal(lambda: apply(host, CREATE), "no_space")
    assert host.list("/images") == ["other"]


def test_another_file_is_never_replaced(tmp_path):
    host = Making(tmp_path)
    Path(host.path(PATH)).write_text("precious")
    refusal(lambda: apply(host, replace(CREATE, owner=str(os.geteuid()), group=str(os.getegid()))), "already_exists")
    assert host.text(PATH) == "precious"
    assert host.list("/images") == ["disk.qcow2", "other"]


def test_the_command_that_creates(tmp_path):
    host = Making(tmp_path)
    apply(host, replace(CREATE, owner=str(os.geteuid()), group=str(os.getegid())))
    assert host.argv[3:-2] == [
        *("qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "base", "-F", "raw", "-o"),
        "cluster_size=65536,compat=1.1,lazy_refcounts=off,refcount_bits=16",
    ]
    assert host.argv[-1] == str(GIB)


def test_options_as_qemu_img_takes_them():
    assert option_words({}) == []
    assert option_words({}, "falloc") == ["-o", "preallocation=falloc"]
    assert option_words({"extended_l2": True, "compression_type": "zstd"}) == ["-o", "extended_l2=on,compression_type=zstd"]
    assert option_words({"extended_l2": False, "compression_type": "zlib"}) == []


def test_a_new_image_does_not_outlive_an_interrupted_run_as_a_process(tmp_path):
    host = Making(tmp_path)
    apply(host, replace(CREATE, owner=str(os.geteuid()), group=str(os.getegid())))
    assert host.argv[:5] == ["setpriv", "--pdeathsig", "KILL", "qemu-img", "create"]


def test_changes_run_under_limits(tmp_path):
    host = FakeHost(
        tmp_path,
        {PATH: ""},
        [
            ([*CHANGE, "amend", "-q", "-f", "qcow2", "-o", "compat=1.1,lazy_refcounts=on", PATH], Result(0, "", "")),
            ([*CHANGE, "resize", "-q", "-f", "raw", PATH, "1024"], Result(0, "", "")),
        ],
    )
    apply(host, a.AmendImage(PATH, {"compat": "1.1", "lazy_refcounts": True}))
    apply(host, a.GrowImage(PATH, "raw", 512, 1024))
    apply(host, a.SetMode(PATH, "0604"))
    assert host.exhausted() and os.stat(host.path(PATH)).st_mode & 0o7777 == 0o604
    apply(host, a.RemoveImage(PATH))
    assert host.list("/images") == []


@pytest.mark.parametrize("killed", [-9, -6, -24])
def test_what_the_limits_end_says_nothing_of_the_image(tmp_path, killed):
    check = [*READ[:5], "check", "-q", "--force-share", "-f", "qcow2", "--output=json", PATH]
    host = FakeHost(tmp_path, {PATH: ""}, [([*READ, "qcow2", "--output=json", PATH], Result(killed, "", "")), (check, Result(killed, "", ""))])
    assert "http://host/x" in refusal(lambda: qemu_img.info(host, PATH, "qcow2", "http://host/x"), "image_too_costly")
    assert PATH in refusal(lambda: qemu_img.verify(host, PATH, "qcow2", PATH), "image_too_costly")


def test_a_storage_that_hangs_is_named():
    message = refusal(lambda: limits.look(Host(), ["sleep", "60"], "/images/disk", 0.2), "image_too_costly")
    assert message.startswith("/images/disk: ") and "0.2 seconds" in message


# Smaller images, committed ones, and those of running guests


def test_shrinking_is_planned_where_contents_end_before():
    smaller = Desired(PATH, size=GIB // 2, allow_shrink=True)
    ends = replace(THERE, layout=Layout(GIB // 2, "partition 1 in it", backup_table=True))
    found = converged(p.plan, ends, smaller)
    assert found.actions == (a.ShrinkImage(PATH, "qcow2", GIB, GIB // 2, True),) and "sgdisk -e" in found.warnings[0]
    refusal(lambda: p.plan(ends, replace(smaller, size=GIB // 2 - 512)), "shrink_refused")
    refusal(lambda: p.plan(ends, replace(smaller, allow_shrink=False)), "shrink_refused")
    refusal(lambda: p.plan(replace(ends, layout=Layout(None, "it is empty")), smaller), "shrink_refused")
    refusal(lambda: p.plan(replace(ends, dependents=("/images/top",)), replace(smaller, force=True)), "image_has_dependents")
    refusal(lambda: p.plan(replace(ends, image=replace(IMAGE, snapshots=1)), smaller), "image_has_snapshots")
    refusal(lambda: p.plan(replace(THERE, image=replace(IMAGE, encryption=DEFAULT_ENCRYPTION)), smaller), "image_encrypted")
    refusal(lambda: p.plan(replace(THERE, busy=Busy(PATH)), smaller), "image_in_use")


def test_a_commit_is_planned_where_nobody_else_stands_on_the_backing_file():
    gone = Desired(PATH, present=False, commit=True)
    there = replace(THERE, base=Base("/images/base", "qcow2"))
    assert converged(p.plan, there, gone).actions == (a.CommitImage(PATH, "/images/base"), a.RemoveImage(PATH))
    refusal(lambda: p.plan(THERE, gone), "no_backing_file")
    refusal(lambda: p.plan(replace(there, base=replace(there.base, used=Busy("/images/base"))), gone), "image_in_use")
    shared = replace(there, base=replace(there.base, dependents=("/images/sister",)))
    refusal(lambda: p.plan(shared, gone), "image_has_dependents")
    assert len(p.plan(shared, replace(gone, force=True)).actions) == 2


def test_the_disk_of_a_running_guest_grows_through_libvirt_and_changes_in_no_other_way():
    larger = Desired(PATH, size=2 * GIB)
    live = replace(THERE, busy=Busy(PATH, (User(7, "qemu", "web"),), ("web", "vda")))
    found = p.plan(live, larger)
    assert found.actions == (a.GrowGuestDisk(PATH, "web", "vda", GIB, 2 * GIB, "qemu:///system"),)
    assert found.actions[0].describe() == {
        "action": "grow_guest_disk",
        "target": PATH,
        "guest": "web",
        "disk": "vda",
        "from_size": GIB,
        "size": 2 * GIB,
    }
    assert "the guest web" in refusal(lambda: p.plan(live, replace(larger, options=Options(lazy_refcounts=True))), "image_in_use")
    refusal(lambda: p.plan(replace(live, busy=replace(live.busy, disk=None)), larger), "image_in_use")
