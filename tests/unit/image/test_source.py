# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where an image comes from, and what is planned for it."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.image import actions as a
from ansible_collections.virtops.linux.plugins.module_utils.image import plan as p
from ansible_collections.virtops.linux.plugins.module_utils.image.fetch import fetched, refuse_changed
from ansible_collections.virtops.linux.plugins.module_utils.image.making import as_it_is
from ansible_collections.virtops.linux.plugins.module_utils.image.model import SPEC, Base, Busy, Desired, Image, Observed, Origin
from ansible_collections.virtops.linux.plugins.module_utils.image.options import DEFAULTS, Options
from ansible_collections.virtops.linux.plugins.module_utils.image.outside import Found
from ansible_collections.virtops.linux.plugins.module_utils.image.params import from_params
from ansible_collections.virtops.linux.plugins.module_utils.image.source import (
    Checksum,
    Digests,
    Place,
    find_checksum,
    parse_checksum,
    parse_place,
    same_source,
)
from ansible_collections.virtops.linux.plugins.module_utils.image.view import facts, view
from support.hosts import FakeHost, converged

GIB = 1024**3
PATH = "/images/disk.qcow2"
ONE, TWO = "1" * 64, "2" * 64
URL = Place(url="https://host/base.qcow2")
IMAGE = Image("qcow2", GIB, options=DEFAULTS, owner="root", group="root", mode="0600")
THERE = Observed(PATH, IMAGE)
NONE = Observed(PATH, free=100 * GIB)
ORIGIN = Origin(URL, Checksum("sha256", ONE))


def params(**given):
    options = {name: option.get("default") for name, option in SPEC["argument_spec"].items()}
    return {**options, "path": PATH, **given}


def refusal(action, code):
    with pytest.raises(Failure) as caught:
        action()
    assert caught.value.code == code, caught.value.message
    assert "\n" not in caught.value.message
    return caught.value.message


# Places and checksums


@pytest.mark.parametrize(
    ("text", "place", "shown", "name"),
    [
        ("/srv/base.qcow2", Place(path="/srv/base.qcow2"), "/srv/base.qcow2", "base.qcow2"),
        ("file:///srv/a%20b", Place(path="/srv/a b"), "/srv/a b", "a b"),
        ("file://localhost/srv/b", Place(path="/srv/b"), "/srv/b", "b"),
        ("https://me:secret@host:8443/x/base.qcow2?token=secret#here", None, "https://host:8443/x/base.qcow2", "base.qcow2"),
        ("http://[::1]/a%2Bb.img", None, "http://[::1]/a%2Bb.img", "a+b.img"),
    ],
)
def test_a_place(text, place, shown, name):
    found = parse_place(text, "source")
    assert place is None or found == place
    assert (found.shown, found.name) == (shown, name)
    assert "#" not in (found.url or "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " /x",
        "x",
        "ftp://h/x",
        "http://",
        "http:///x",
        "http://h",
        "http://h/",
        "http://h:99999/x",
        "http://h:0/x",
        "http://a b/x",
        "http://a..b/x",
        f"http://{'a' * 64}.b/x",
        "file://h/x",
        "file:x",
        "/x/",
        "file:///x%00y",
        "nbd://h/x",
        "json:{}",
        "https://h/\n",
        "data:,x",
    ],
)
def test_no_place(text):
    refusal(lambda: parse_place(text, "source"), "invalid_source")


def test_a_checksum():
    assert parse_checksum(f"SHA256:{'AB' * 32}") == Checksum("sha256", "ab" * 32)
    assert parse_checksum("sha512:https://host/SHA512SUMS") == Checksum("sha512", place=Place(url="https://host/SHA512SUMS"))
    assert parse_checksum("sha256:/srv/SUMS").shown == "sha256:/srv/SUMS"
    for text in ("", "sha256", ONE, "sha256:", "sha256:xyz", "sha256:" + ONE[1:], "sha512:" + ONE, "md5:" + "0" * 32, "sha1:" + "0" * 40, "crc:0"):
        refusal(lambda text=text: parse_checksum(text), "invalid_checksum")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{TWO}  other.qcow2\n{ONE}  base.qcow2\n", ONE),
        (f"{ONE} *images/base.qcow2\r\n", ONE),
        (f"# base.qcow2: 5 bytes\nSHA256 (base.qcow2) = {ONE}\n", ONE),
        (f"SHA512 (base.qcow2) = {ONE * 2}\nSHA256(base.qcow2)= {ONE.upper()}\n", ONE),
        (f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{ONE}  base.qcow2\n-----BEGIN PGP SIGNATURE-----\n", ONE),
        (f"{ONE}\n", ONE),
        (f"{ONE}\n{TWO}\n", None),
        (f"{ONE}  base.qcow2.asc\n", None),
        (f"{ONE * 2}  base.qcow2\n", None),
        ("", None),
        ("<html>404</html>", None),
    ],
)
def test_lists_of_checksums(text, found):
    assert find_checksum(text, "sha256", "base.qcow2") == found


def test_the_same_source():
    made = Digests("https://host/base.qcow2", {"sha256": ONE})
    other = Place(url="https://mirror/base.qcow2")
    assert same_source(made, other, f"sha256:{ONE}")  # the contents decide
    assert not same_source(made, URL, f"sha256:{TWO}")
    assert same_source(made, URL, "sha512:" + ONE * 2)  # where they cannot be compared, the address does
    assert not same_source(made, other, "sha512:" + ONE * 2)
    assert same_source(made, URL, None) and not same_source(made, other, None) and not same_source(None, URL, None)


# Options


def test_the_options_of_a_source():
    desired = from_params(
        params(source="https://host/x", checksum=f"sha256:{ONE}", source_format="raw", trusted=True, cache_dir="/c/./d/", timeout=5)
    )
    assert desired.origin == Origin(Place(url="https://host/x"), Checksum("sha256", ONE), "raw", True, "/c/d", 5)
    assert from_params(params(source="/x", cache_dir="")).origin.cache_dir is None


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"checksum": f"sha256:{ONE}"}, "invalid_option_combination"),
        ({"source_format": "raw"}, "invalid_option_combination"),
        ({"source": "/x", "backing_file": "/b"}, "invalid_option_combination"),
        ({"source": PATH}, "invalid_option_combination"),
        ({"source": "/x", "timeout": -1}, "invalid_timeout"),
        ({"source": "/x", "timeout": 10**11}, "invalid_timeout"),
        ({"source": "/x", "cache_dir": "a"}, "invalid_path"),
        ({"source": "/x", "cache_dir": "/a/../b"}, "invalid_path"),
        ({"format": "vmdk", "cluster_size": "64K"}, "invalid_option_combination"),
        ({"format": "vdi", "preallocation": "falloc"}, "invalid_option_combination"),
        ({"format": "vhdx", "backing_file": "/b"}, "invalid_option_combination"),
        ({"rebase": "safe"}, "invalid_option_combination"),
        ({"rebase": "unsafe", "backing_file": ""}, "invalid_option_combination"),
    ],
)
def test_bad_options(given, code):
    refusal(lambda: from_params(params(**given)), code)


# Planning


def imported(**given):
    values = {
        "source": URL.shown,
        "checksum": f"sha256:{ONE}",
        "format": "qcow2",
        "size": None,
        "options": {},
        "preallocation": None,
        "owner": None,
        "group": None,
        "mode": "0600",
        "because": None,
        "origin": ORIGIN,
    }
    return a.ImportImage(PATH, **{**values, **given})


def test_a_new_image_of_a_source():
    desired = Desired(PATH, origin=ORIGIN)
    plan = converged(p.plan, replace(NONE, checksum=f"sha256:{ONE}"), desired)
    assert plan.actions == (imported(),)
    assert "origin" not in plan.actions[0].describe()
    shown = view(plan.after, desired)
    assert shown == {
        "path": PATH,
        "state": "present",
        "format": "qcow2",
        "mode": "0600",
        "source": URL.shown,
        "checksum": f"sha256:{ONE}",
    }
    assert facts(plan.after) == {"source": URL.shown}
    read = replace(plan.after, image=replace(plan.after.image, size=GIB, options=DEFAULTS, actual_size=5))
    assert view(read, desired) == shown  # what the source brings could not be predicted
    assert facts(read)["size"] == GIB and facts(read)["cluster_size"] == 65536


def test_what_was_asked_for_is_predicted():
    desired = Desired(PATH, origin=ORIGIN, size=2 * GIB, format="raw", mode="0640")
    plan = converged(p.plan, NONE, desired)
    assert plan.actions == (imported(size=2 * GIB, format="raw", mode="0640"),)
    assert view(plan.after, desired)["size"] == 2 * GIB
    refusal(lambda: p.plan(replace(NONE, source_size=3 * GIB), desired), "size_below_source")


def test_an_image_that_is_there_is_left_alone():
    made = replace(THERE, image=replace(IMAGE, made_of=Digests("/other", {"sha256": TWO})), checksum=f"sha256:{ONE}")
    assert converged(p.plan, made, Desired(PATH, origin=ORIGIN)).actions == ()
    assert converged(p.plan, made, Desired(PATH, origin=ORIGIN, size=2 * GIB)).actions == (a.GrowImage(PATH, "qcow2", GIB, 2 * GIB),)


def test_recreate():
    desired = Desired(PATH, origin=ORIGIN, recreate=True)
    same = replace(THERE, image=replace(IMAGE, made_of=Digests("/other", {"sha256": ONE})), checksum=f"sha256:{ONE}")
    assert converged(p.plan, same, desired).actions == ()
    other = replace(same, image=replace(IMAGE, made_of=Digests("/other", {"sha256": TWO}), owner="web", mode="0640"))
    (action,) = converged(p.plan, other, desired).actions
    assert (action.owner, action.mode, action.because) == ("web", "0640", "it was made of /other, or that has changed")
    (action,) = converged(p.plan, replace(THERE, checksum=f"sha256:{ONE}"), desired).actions
    assert "something else" in action.because
    (action,) = converged(p.plan, replace(same, image=replace(same.image, broken="no good")), desired).actions
    assert "no good" in action.because
    refusal(lambda: p.plan(replace(other, remembers=False), desired), "cannot_remember_source")
    refusal(lambda: p.plan(replace(other, busy=Busy(PATH)), desired), "image_in_use")
    refusal(lambda: p.plan(replace(other, dependents=("/t",)), desired), "image_has_dependents")
    refusal(lambda: p.plan(replace(other, image=replace(other.image, symlink=True)), desired), "not_a_regular_file")
    assert converged(p.plan, replace(other, dependents=("/t",)), replace(desired, force=True)).actions


def test_recreate_an_empty_image():
    (action,) = converged(p.plan, THERE, Desired(PATH, options=Options(cluster_size=4096), recreate=True)).actions
    assert action.size == GIB and action.because == "cluster_size is 65536, and 4096 is asked for"
    (action,) = converged(p.plan, THERE, Desired(PATH, size=GIB // 2, recreate=True)).actions
    assert action.size == GIB // 2
    assert converged(p.plan, THERE, Desired(PATH, size=GIB, recreate=True)).actions == ()
    refusal(
        lambda: p.plan(replace(THERE, image=Image("raw", GIB)), Desired(PATH, options=Options(compat="1.1"), recreate=True)),
        "invalid_option_combination",
    )


def test_a_source_that_anybody_can_forge_is_warned_of():
    plain = Origin(Place(url="http://host/x"))
    assert "give checksum" in p.plan(NONE, Desired(PATH, origin=plain)).warnings[0]
    for origin in (ORIGIN, Origin(URL), Origin(Place(path="/x")), replace(plain, checksum=Checksum("sha256", ONE))):
        assert p.plan(NONE, Desired(PATH, origin=origin)).warnings == ()
    assert p.plan(THERE, Desired(PATH, origin=plain)).warnings == ()
    for scheme, words in (("http", "change both"), ("https", None)):
        listed = replace(plain, checksum=Checksum("sha256", place=Place(url=f"{scheme}://host/SHA256SUMS")))
        assert [words in warning for warning in p.plan(NONE, Desired(PATH, origin=listed)).warnings] == ([True] if words else [])


def test_rebase():
    on_old = replace(THERE, image=replace(IMAGE, backing_file="old", backing_format="qcow2", backing_path="/images/old"))
    new = replace(on_old, base=Base("/images/new", "raw"))
    desired = Desired(PATH, backing_file="new", rebase="safe")
    assert "say rebase: safe" in refusal(lambda: p.plan(new, replace(desired, rebase=None)), "cannot_change_in_place")
    assert converged(p.plan, new, desired).actions == (a.RebaseImage(PATH, "new", "raw", "old", True),)
    assert converged(p.plan, on_old, Desired(PATH, backing_file="", rebase="safe")).actions == (a.RebaseImage(PATH, "", None, "old", True),)
    assert converged(p.plan, THERE, Desired(PATH, backing_file="", rebase="safe")).actions == ()
    same = replace(on_old, base=Base("/images/old", "raw"))
    assert converged(p.plan, same, Desired(PATH, backing_file="/images/old", rebase="unsafe")).actions[0].backing_format == "raw"
    refusal(lambda: p.plan(replace(new, busy=Busy(PATH)), desired), "image_in_use")
    refusal(lambda: p.plan(replace(new, base=replace(new.base, busy=Busy("/b"))), desired), "image_in_use")
    refusal(lambda: p.plan(replace(new, image=Image("raw", GIB)), desired), "cannot_change_in_place")


# Making


@pytest.mark.parametrize(
    ("given", "found", "as_is"),
    [
        ({}, {}, True),
        ({"size": 2 * GIB}, {}, True),
        ({"options": {"cluster_size": 65536}}, {}, True),
        ({"options": {"cluster_size": 4096}}, {}, False),
        ({"preallocation": "off"}, {}, True),
        ({"preallocation": "full"}, {}, False),
        ({"format": "raw"}, {}, False),
        ({}, {"whole": False}, False),
        ({"format": "vmdk"}, {"format": "vmdk"}, True),
        ({"format": "vmdk", "size": 2 * GIB}, {"format": "vmdk"}, False),
    ],
)
def test_what_needs_no_conversion(given, found, as_is):
    assert as_it_is(imported(**given), Found(**{"format": "qcow2", "size": GIB, "options": DEFAULTS, "whole": True, **found})) is as_is


def test_a_source_that_changes_while_it_is_copied_is_not_used(tmp_path):
    host = FakeHost(tmp_path, {"/srv/base": "contents"})
    with fetched(host, PATH, Origin(Place(path="/srv/base"))) as file:
        refuse_changed(file)
        os.utime(host.path("/srv/base"), ns=(1, 1))
        assert "/srv/base" in refusal(lambda: refuse_changed(file), "source_changed")
