# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import base64
from dataclasses import replace

import pytest
import yaml
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure, NotReady
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Result
from ansible_collections.virtops.linux.plugins.module_utils.engine.run import secret_words
from ansible_collections.virtops.linux.plugins.module_utils.seed import iso, nocloud
from ansible_collections.virtops.linux.plugins.module_utils.seed import plan as p
from ansible_collections.virtops.linux.plugins.module_utils.seed.apply import apply
from ansible_collections.virtops.linux.plugins.module_utils.seed.model import SPEC, Attributes, Observed, Seed, from_params
from ansible_collections.virtops.linux.plugins.module_utils.seed.read import read
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hosts import FakeHost, converged

PARAMS = {name: option.get("default") for name, option in SPEC["argument_spec"].items()}
PATH = "/seeds/web.iso"
PRIVATE = Attributes("root", "root", "0600")
NEW = Observed(PATH, new_owner="root", new_group="root")


def desired(**given_options):
    return from_params({**PARAMS, "path": PATH, **given_options})


def existing(**contents):
    files = {"user-data": b"#cloud-config\n{}\n", "meta-data": b"instance-id: one\nlocal-hostname: web\n", **contents}
    return replace(NEW, seed=Seed({name.replace("_", "-"): data for name, data in files.items()}, (PRIVATE,)))


# Contents

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])) | st.floats(allow_nan=False, allow_infinity=False)
)
STRUCTURES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text("ab: -#\"'{}\n\x85\u2028", max_size=9), inner), max_leaves=12
)


@given(st.dictionaries(st.text(max_size=9).filter(lambda key: key.isprintable()), STRUCTURES))
@settings(max_examples=60, deadline=None)
def test_yaml_readers_read_what_was_written(structure):
    try:
        text = nocloud.as_json(structure, "user_data")
    except Failure as failure:
        assert failure.code == "invalid_number"
        return
    assert yaml.safe_load(text.encode()) == structure


@pytest.mark.parametrize("number", [1e-7, -1e20, float("nan"), float("inf")])
def test_numbers_that_yaml_takes_for_text_are_refused(number):
    with pytest.raises(Failure) as caught:
        nocloud.as_json({"a": [{"b": number}]}, "user_data")
    assert caught.value.code == "invalid_number"


def test_equal_structures_are_equal_text_however_they_are_ordered():
    assert nocloud.as_json({"a": 1, "b": 2}, "x") == nocloud.as_json({"b": 2, "a": 1}, "x")


@pytest.mark.parametrize(
    "text",
    [
        "#cloud-config\na: 1\n",
        "#cloud-config # comment\r\n",
        "#!/bin/sh\n",
        "## template: jinja\n#cloud-config\n",
        "#include\nhttps://example.com\n",
        "#cloud-config-archive\n[]\n",
        "Content-Type: multipart/mixed; boundary=x\nMIME-Version: 1.0\n\n--x--\n",
    ],
)
def test_headers_of_cloud_init(text):
    assert nocloud.user_data("user_data", text) == text.encode()


@pytest.mark.parametrize("text", ["a: 1\n", "#cloud-configuration\n", "\n#cloud-config\n", "# cloud-config\n", "#comment\nMIME-Version: 1.0\n"])
def test_text_that_cloud_init_would_ignore_is_refused(text):
    with pytest.raises(Failure) as caught:
        nocloud.user_data("user_data", text)
    assert caught.value.code == "invalid_user_data"


@pytest.mark.parametrize(
    "text", ["version: 2\nethernets: {}\n", "network:\n  version: 1\n  config: []\n", '{"version": 2, "ethernets": {}}', "a: 1\nversion: 2 # x"]
)
def test_network_configuration_as_text(text):
    assert nocloud.network_config(text) == text.encode()


@pytest.mark.parametrize(
    "value", ["version: 3\n", "ethernets: {}\n", "# version 2\n", {"version": "2"}, {"version": True}, {"network": {}}, {"network": 1}, []]
)
def test_network_configuration_without_version(value):
    with pytest.raises(Failure, match="version") as caught:
        nocloud.network_config(value)
    assert caught.value.code == "invalid_network_config"


@pytest.mark.parametrize(
    ("meta", "identity"),
    [
        (b'{"instance-id": "a b"}', "a b"),
        (b"instance-id: one\n", "one"),
        (b"x: 1\r\ninstance-id: 'one two' # c\r\n", "one two"),
        (b"instance-id: one # c\n", "one"),
        (b"local-hostname: web\n", None),
        (b"{}", None),
        (None, None),
    ],
)
def test_the_instance_id_of_existing_meta_data(meta, identity):
    assert nocloud.meta_value(meta, "instance-id") == identity


def test_another_instance_id_leaves_the_rest_alone():
    assert nocloud.with_instance_id(b"a: 1\r\ninstance-id: one # c\r\nb: 2\r\n", "two") == b'a: 1\r\ninstance-id: "two"\r\nb: 2\r\n'
    assert yaml.safe_load(nocloud.with_instance_id(b'{"a": "\xc3\xa4", "instance-id": "one"}', "two")) == {"a": "ä", "instance-id": "two"}
    with pytest.raises(Failure) as caught:
        nocloud.with_instance_id(b"local-hostname: web\n", "two")
    assert caught.value.code == "unreadable_meta_data"


# Options


def test_nothing_given_leaves_alone_and_empty_makes_empty():
    assert desired().contents == {} and desired().meta_data is None
    emptied = desired(user_data={}, vendor_data="", network_config={}, meta_data={})
    assert emptied.contents == {"user-data": b"#cloud-config\n{}\n", "vendor-data": None, "network-config": None}
    assert emptied.meta_data == {} and emptied.instance_id is None


def test_the_instance_id_may_stand_in_meta_data():
    wanted = desired(meta_data={"instance-id": 7, "a": 1})
    assert wanted.instance_id == "7" and wanted.meta_data == {"a": 1}
    assert desired(meta_data={"instance-id": 7}, instance_id="7").instance_id == "7"


def test_secret_structures_do_not_mask_their_scalars():
    spec = {**SPEC["argument_spec"], "password": {"type": "str", "no_log": True}}
    assert secret_words(spec, {"path": PATH, "user_data": {"cpus": 1}, "vendor_data": "#!x", "password": "p"}) == {"#!x", "p"}


# Plans


def test_a_new_seed_has_what_cloud_init_needs():
    plan = converged(p.plan, NEW, desired())
    (write,) = plan.actions
    assert (write.files, write.owner, write.mode) == (("meta-data", "user-data"), "root", "0600")
    assert write.contents["user-data"] == b"#cloud-config\n{}\n"
    assert yaml.safe_load(write.contents["meta-data"]) == {"instance-id": write.instance_id}


def test_secrets_are_in_no_description_and_no_view():
    plan = converged(p.plan, NEW, desired(user_data={"password": "hunter2"}, network_config={"version": 2, "psk": "hunter2"}))
    shown = f"{plan.actions[0].describe()} {p.view(plan.after, desired())} {plan!r} {desired(user_data={'password': 'hunter2'})!r}"
    assert "hunter2" not in shown and "sha256:" in shown


def test_what_was_not_given_stays():
    plan = converged(p.plan, existing(network_config=b"version: 2\n"), desired(user_data={"a": 1}))
    (write,) = plan.actions
    assert write.files == ("user-data",) and write.instance_id == "one"
    assert write.contents["network-config"] == b"version: 2\n" and b"local-hostname: web" in write.contents["meta-data"]
    assert converged(p.plan, existing(), desired()).actions == ()


def test_ignore_keeps_and_warns():
    plan = converged(p.plan, existing(), desired(user_data={"a": 1}, on_change="ignore", mode="0640"))
    assert plan.actions == (p.SetMode(PATH, "iso", "0640"),) and "user-data" in plan.warnings[0]


def test_ignore_does_not_protect_half_a_seed():
    half = replace(NEW, seed=Seed({"meta-data": b"instance-id: one\n"}, (PRIVATE,)))
    plan = converged(p.plan, half, desired(user_data={"a": 1}, on_change="ignore"))
    assert plan.actions[0].instance_id == "one" and plan.after.seed.complete


def test_a_new_instance_id_never_comes_back():
    ids, observed = [], NEW
    for number in (1, 2, 1, 2):
        plan = converged(p.plan, observed, desired(user_data={"a": number}, on_change="new_instance_id"))
        ids.append(plan.actions[0].instance_id)
        observed = plan.after
    assert len(set(ids)) == 4
    again = converged(p.plan, NEW, desired(user_data={"a": 1}, on_change="new_instance_id"))
    assert again.actions[0].instance_id == ids[0], "derived, and not drawn"


def test_an_interrupted_change_of_a_directory_gets_its_new_instance_id():
    """meta-data come first: a run that was killed after them leaves a difference for the next one."""
    wanted = desired(user_data={"a": 1}, format="directory", on_change="new_instance_id")
    before = replace(existing(), folder=PRIVATE)
    (write,) = converged(p.plan, before, wanted).actions
    assert next(iter(nocloud.FILES)) == "meta-data" and nocloud.FILES[-1] == "user-data" and write.files[0] == "meta-data"
    killed = replace(before, seed=Seed({**before.seed.contents, "meta-data": write.contents["meta-data"]}, (PRIVATE,)))
    assert converged(p.plan, killed, wanted).actions[0].instance_id not in ("one", write.instance_id)


def test_files_that_differ_become_alike():
    mixed = replace(NEW, folder=PRIVATE, seed=Seed(existing().seed.contents, (PRIVATE, Attributes("www", "root", "0644"))))
    assert p.view(mixed, desired(format="directory"))["mode"] == "0600, 0644"
    assert converged(p.plan, mixed, desired(format="directory")).actions == ()
    plan = converged(p.plan, replace(mixed, owner="www"), desired(format="directory", owner="www", mode="0644"))
    assert plan.actions == (p.SetOwner(PATH, "directory", "www", None), p.SetMode(PATH, "directory", "0644"))
    (write,) = converged(p.plan, mixed, desired(format="directory", user_data={"a": 1})).actions
    assert (write.owner, write.group, write.mode) == ("root", "root", "0600")


def test_a_new_seed_is_private_whatever_lies_there_already():
    public = replace(NEW, folder=PRIVATE, seed=Seed({"vendor-data": b"#!x"}, (Attributes("www", "www", "0644"),)))
    (write,) = converged(p.plan, public, desired(format="directory")).actions
    assert (write.owner, write.group, write.mode) == ("root", "root", "0600") and write.contents["vendor-data"] == b"#!x"


def test_absent():
    gone = desired(state="absent", format="directory")
    assert converged(p.plan, NEW, gone).actions == ()
    assert converged(p.plan, replace(NEW, folder=PRIVATE, leftovers=("/seeds/.web.iso.abcdefgh.tmp",)), gone).actions == (
        p.RemoveLeftovers(PATH, ("/seeds/.web.iso.abcdefgh.tmp",)),
        p.RemoveSeed(PATH, "directory"),
    )
    with pytest.raises(Failure, match=r"index\.html") as caught:
        p.plan(replace(existing(), folder=PRIVATE, others=("index.html",)), gone)
    assert caught.value.code == "directory_not_empty"


# ISOs

LISTING = """total 2
-r--r--r--    1 0        0               5 Jan  1  2000 'meta-data'
-r--r--r--    1 0        0               0 Jan  1  2000 'user-data'
drwxr-xr-x    1 0        0               0 Jan  1  2000 'vendor-data'
lr--r--r--    1 0        0               0 Jan  1  2000 'network-config' -> '/etc/shadow'
"""


def descriptor(label=b"cidata", blocks=18):
    sector = bytearray(2048)
    sector[:7], sector[40:72], sector[80:84] = b"\x01CD001\x01", label.ljust(32), blocks.to_bytes(4, "little")
    return bytes(sector)


def xorriso(*commands):
    limits = ["prlimit", "--as=1073741824", "--cpu=30", "--"]
    return [*limits, "xorriso", "-no_rc", "-report_about", "FAILURE", "-indev", f"stdio:{commands[0]}{PATH}", *commands[1:]]


def listing_then(root, *rest):
    return [(xorriso(root, "-lsl", "/"), Result(0, LISTING, "")), *rest]


def concat(root, answer):
    """Both files of the listing, in one run."""
    pipes = [word for name in ("meta-data", "user-data") for word in ("-concat", "pipe", "+", "base64", "+", f"/{name}", "--")]
    return xorriso(root, "-osirrox", "on", *pipes), answer


def lay(host, data):
    with open(host.path(PATH), "wb") as stream:
        stream.write(data)


@pytest.fixture
def host(tmp_path):
    (tmp_path / "seeds").mkdir()
    return FakeHost(tmp_path)


def test_an_iso_is_read(host, tmp_path):
    lay(host, bytes(16 * 2048) + descriptor(b"CIDATA") + bytes(2048))
    host.script = listing_then(tmp_path, concat(tmp_path, Result(0, base64.b64encode(b"\xff\r\n\0x").decode() + "\n", "")))
    observed = read(host, desired())
    assert observed.seed.contents == {"meta-data": b"\xff\r\n\0x", "user-data": b""} and host.exhausted()


@pytest.mark.parametrize(
    "answer", [Result(0, text, "") for text in ("AAAA", "not base64", "AAAAAAA=AAAA")] + [Result(5, "", "xorriso : FAILURE : Cannot read\n")]
)
def test_an_iso_that_cannot_be_read(host, tmp_path, answer):
    lay(host, bytes(16 * 2048) + descriptor() + bytes(2048))
    host.script = listing_then(tmp_path, concat(tmp_path, answer))
    with pytest.raises(Failure, match="cannot be read") as caught:
        read(host, desired())
    assert caught.value.code == "seed_unreadable" and host.exhausted()


@pytest.mark.parametrize("data", [b"", bytes(40000), bytes(16 * 2048) + descriptor(b"DEBIAN"), bytes(16 * 2048) + descriptor()[:100]])
def test_a_file_that_is_no_seed(host, data):
    lay(host, data)
    for state in ("present", "absent"):
        with pytest.raises(Failure) as caught:
            read(host, desired(state=state))
        assert caught.value.code == "not_a_seed"


def test_an_iso_that_was_cut_or_is_huge(host):
    lay(host, bytes(16 * 2048) + descriptor(blocks=1000))
    with pytest.raises(Failure, match="cut off"):
        read(host, desired())
    with open(host.path(PATH), "r+b") as stream:
        stream.truncate(2**32)
    with pytest.raises(Failure, match="more than a seed has"):
        read(host, desired())


def test_a_huge_file_in_a_directory_is_never_carried_over_in_part(host):
    host.make_dir(PATH)
    with open(host.path(f"{PATH}/vendor-data"), "wb") as stream:
        stream.truncate(nocloud.LARGEST_FILE + 1)
    with pytest.raises(Failure, match="vendor-data there is larger") as caught:
        read(host, desired(format="directory"))
    assert caught.value.code == "seed_unreadable"


def test_without_the_tool(host):
    host.which = lambda name: None
    with pytest.raises(NotReady, match="install the package xorriso"):
        read(host, desired())
    assert read(host, desired(state="absent")).seed is None


def test_an_iso_is_made_in_a_private_place_and_then_named(host, tmp_path):
    made = []

    def run(argv, **more):
        assert argv[:-3] == iso.build_command("xorriso", "", "")[:-3]
        out, folder = argv[-2], argv[-1]
        work = tmp_path / out.rsplit("/", 1)[0]
        assert {path.stat().st_mode & 0o777 for path in (work, *work.rglob("*")) if path.is_dir()} == {0o700}
        made.append({path.name: (path.read_bytes(), path.stat().st_mode & 0o777) for path in (tmp_path / folder).iterdir()})
        with open(out, "wb") as stream:
            stream.write(b"iso")
        return Result(0, "", "")

    host.run = run
    action = p.WriteSeed(PATH, "iso", ("user-data",), "one", "0", "0", "0640", {"user-data": b"u", "meta-data": b"m"})
    apply(host, action)
    assert made == [{"user-data": (b"u", 0o600), "meta-data": (b"m", 0o600)}]
    assert [(path.name, path.stat().st_mode & 0o777) for path in (tmp_path / "seeds").iterdir()] == [("web.iso", 0o640)]


@pytest.mark.parametrize(
    ("stderr", "code"),
    [
        ("xorriso : FAILURE : Image size 485s exceeds free space on media 437s\n", "no_space"),
        ("banner\nxorriso : FAILURE : Sorry, no\n", "xorriso_failed"),
    ],
)
def test_a_failed_iso_leaves_nothing(host, tmp_path, stderr, code):
    host.run = lambda argv, **more: Result(5, "", stderr)
    with pytest.raises(Failure) as caught:
        apply(host, p.WriteSeed(PATH, "iso", ("user-data",), "one", "0", "0", "0640", {"user-data": b"u"}))
    assert caught.value.code == code and "banner" not in caught.value.message
    assert not list((tmp_path / "seeds").iterdir())
