# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""qcow2_image with a source: real files, real conversions, and a server that does everything wrong that servers do."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import os
import random
import subprocess
import time
from pathlib import Path

import pytest
from support.images import MIB, held, info, qemu_img, qemu_io, serving, spawned, temporaries, whole
from support.modules import apply, check, cycle, refused, run_module, settled

MODULE = "qcow2_image"


def sha256(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.fixture
def folder(tmp_path):
    """A folder of its own, in which nothing temporary may be left."""
    made = tmp_path / "vt-images"
    made.mkdir()
    yield made
    assert temporaries(made) == []


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A qcow2 image of 20 MiB with 1 MiB of data that no server and no compression shortens."""
    path = tmp_path_factory.mktemp("vt-base") / "base.qcow2"
    noise = path.with_name("noise")
    noise.write_bytes(random.Random(1).randbytes(MIB))  # noqa: S311  # a seed that can be repeated
    qemu_img("create", "-q", "-f", "qcow2", path, "20M")
    qemu_io(path, f"write -s {noise} 3M 1M")
    noise.unlink()
    return path


@pytest.fixture(scope="module")
def other(base):
    """Another image of the same size."""
    path = base.with_name("other.qcow2")
    qemu_img("create", "-q", "-f", "qcow2", path, "20M")
    qemu_io(path, "write -P 9 5M 2M")
    return path


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "vt-cache"


@pytest.fixture
def remote(folder, cache, server, base):
    """Options for an image from the server, whose checksum is known."""
    data = base.read_bytes()
    url = server.serve("/base.qcow2", whole(data))
    return {"path": str(folder / "disk.qcow2"), "source": url, "checksum": sha256(data), "cache_dir": str(cache), "timeout": 5}


def same(path, base, format_="qcow2"):
    """Whether a guest sees the same in both."""
    qemu_img("compare", "-f", "qcow2", "-F", format_, base, path)
    if format_ == "qcow2":
        qemu_img("check", "-q", "-f", "qcow2", path)


# Local sources


@pytest.mark.parametrize("format_", ["qcow2", "raw", "vmdk", "vdi", "vhdx"])
def test_every_format_from_and_to(folder, base, format_):
    path, back = folder / f"disk.{format_}", folder / "back.qcow2"
    result = cycle(MODULE, {"path": str(path), "source": str(base), "format": format_})
    assert result["resource"]["size"] == 20 * MIB and result["resource"]["format"] == format_
    same(path, base, format_)
    settled(MODULE, {"path": str(path), "format": format_, "size": "20M"})
    said = {"source_format": "raw"} if format_ == "raw" else {}
    cycle(MODULE, {"path": str(back), "source": str(path), **said})
    same(back, base)
    back.unlink()
    cycle(MODULE, {"path": str(back), "source": str(path), "size": "30M", "source_format": format_})
    assert info(back)["virtual-size"] == 30 * MIB
    larger = folder / "larger"
    cycle(MODULE, {"path": str(larger), "source": str(base), "format": format_, "size": "31M", "mode": "0640"})
    assert info(larger, format_)["virtual-size"] == 31 * MIB
    if format_ in ("vmdk", "vdi", "vhdx"):
        assert "size is 31 MiB" in refused(MODULE, {"path": str(larger), "format": format_, "size": "40M"}, "cannot_change_in_place")


@pytest.mark.parametrize("format_", ["vmdk", "vdi", "vhdx"])
def test_an_empty_image_of_another_format(folder, format_):
    params = {"path": str(folder / "disk"), "format": format_, "size": "10M"}
    assert cycle(MODULE, params)["resource"]["size"] == 10 * MIB
    refused(MODULE, {**params, "cluster_size": "64K"}, "invalid_option_combination")
    refused(MODULE, {**params, "preallocation": "full"}, "invalid_option_combination")
    refused(MODULE, {**params, "format": "qcow2"}, "cannot_change_in_place")


def test_every_compression(folder, base):
    data = base.read_bytes()
    packed = {
        "gz": gzip.compress(data, 1),
        "xz": lzma.compress(data, preset=0),
        "bz2": bz2.compress(data, 1),
        "zst": subprocess.run(["zstd", "-c", "-q"], input=data, capture_output=True, check=True).stdout,
    }
    for kind, content in packed.items():
        source = folder / f"base.qcow2.{kind}"
        source.write_bytes(content)
        path = folder / f"disk.{kind}"
        cycle(MODULE, {"path": str(path), "source": f"file://{source}", "checksum": sha256(content)})
        same(path, base)
        source.write_bytes(content[: len(content) // 2])
        assert kind in refused(MODULE, {"path": str(folder / "new"), "source": str(source)}, "archive_damaged")
        middle = len(content) // 2
        source.write_bytes(content[:middle] + bytes(byte ^ 0xFF for byte in content[middle : middle + 20]) + content[middle + 20 :])
        assert kind in refused(MODULE, {"path": str(folder / "new"), "source": str(source)}, "archive_damaged")
    twice = folder / "twice.gz"
    twice.write_bytes(gzip.compress(packed["gz"]))
    assert "begins like gz" in refused(MODULE, {"path": str(folder / "new"), "source": str(twice)}, "unsupported_format")
    assert not (folder / "new").exists()


def test_options_of_an_image_with_a_source(folder, base):
    for option, value, other in (
        ("cluster_size", "128K", "64K"),
        ("compat", "0.10", "1.1"),
        ("lazy_refcounts", True, False),
        ("refcount_bits", 8, 16),
    ):
        params = {"path": str(folder / option), "source": str(base)}
        cycle(MODULE, {**params, option: value})
        same(params["path"], base)
        if option in ("compat", "lazy_refcounts"):
            cycle(MODULE, {**params, option: other})
        else:
            refused(MODULE, {**params, option: other}, "cannot_change_in_place")
            cycle(MODULE, {**params, option: other, "recreate": True})
        same(params["path"], base)
    path = folder / "full.raw"
    cycle(MODULE, {"path": str(path), "source": str(base), "format": "raw", "preallocation": "full", "owner": "nobody", "group": "nogroup"})
    assert path.stat().st_blocks * 512 >= 20 * MIB and path.owner() == "nobody"
    same(path, base, "raw")


def test_size_with_a_source(folder, base):
    params = {"path": str(folder / "disk.qcow2"), "source": str(base)}
    for check_mode in (True, False):
        message = refused(MODULE, {**params, "size": "19M"}, "size_below_source", check_mode)
        assert "20 MiB (20971520 bytes)" in message
    cycle(MODULE, {**params, "size": "25M"})
    cycle(MODULE, {**params, "size": "26M"})
    refused(MODULE, {**params, "size": "20M"}, "shrink_refused")
    settled(MODULE, params)
    source = folder / "packed.gz"
    source.write_bytes(gzip.compress(base.read_bytes(), 1))
    params = {"path": str(folder / "second"), "source": str(source), "size": "19M"}
    assert check(MODULE, params)["changed"]  # nobody can know yet
    refused(MODULE, params, "size_below_source")
    assert not (folder / "second").exists()


# An image that is there


def test_an_image_that_is_there_is_left_alone(folder, base, other):
    params = {"path": str(folder / "disk.qcow2"), "source": str(base), "checksum": sha256(base.read_bytes())}
    cycle(MODULE, params)
    qemu_io(params["path"], "write -P 3 0 64K")  # the guest was here
    before = Path(params["path"]).read_bytes()
    settled(MODULE, {**params, "source": str(other), "checksum": sha256(other.read_bytes())})
    settled(MODULE, {**params, "source": str(folder / "gone")})
    settled(MODULE, {**params, "recreate": True})  # made of that very source
    assert Path(params["path"]).read_bytes() == before


def test_recreate_when_the_source_is_another_one(folder, base, other):
    params = {"path": str(folder / "disk.qcow2"), "source": str(base), "checksum": sha256(base.read_bytes()), "recreate": True}
    cycle(MODULE, {**params, "owner": "nobody", "mode": "0640"})
    result = cycle(MODULE, {**params, "source": str(other), "checksum": sha256(other.read_bytes())})
    assert "it was made of" in result["actions"][0]["because"]
    same(params["path"], other)
    path = Path(params["path"])
    assert path.owner() == "nobody" and path.stat().st_mode & 0o777 == 0o640  # kept
    cycle(MODULE, params)
    same(path, base)
    plain = {"path": str(path), "source": str(other), "recreate": True}
    cycle(MODULE, plain)  # told by the address, where there is no checksum
    settled(MODULE, {**plain, "checksum": sha256(other.read_bytes())})
    stranger = {**params, "path": str(folder / "stranger.qcow2")}
    apply(MODULE, {"path": stranger["path"], "size": "1M"})
    cycle(MODULE, stranger)


def test_a_list_of_checksums_says_what_is_new(folder, server, base, other, cache):
    names = {"/SHA256SUMS": f"{sha256(base.read_bytes())[7:]}  base.qcow2\n"}
    url = server.serve("/base.qcow2", whole(base.read_bytes()))
    sums = server.serve("/SHA256SUMS", lambda exchange: exchange.say(200, body=names["/SHA256SUMS"].encode()))
    params = {"path": str(folder / "disk.qcow2"), "source": url, "checksum": f"sha256:{sums}", "cache_dir": str(cache), "recreate": True}
    cycle(MODULE, params)
    settled(MODULE, params)
    server.serve("/base.qcow2", whole(other.read_bytes(), etag='"two"'))
    settled(MODULE, params)  # the list is what counts
    names["/SHA256SUMS"] = f"SHA256 (base.qcow2) = {sha256(other.read_bytes())[7:]}\n"
    cycle(MODULE, params)
    same(params["path"], other)
    names["/SHA256SUMS"] = "nothing of interest\n"
    assert "has no sha256 of base.qcow2" in refused(MODULE, params, "checksum_missing")
    same(params["path"], other)
    listed = folder / "SHA256SUMS"
    listed.write_text(f"{sha256(other.read_bytes())[7:]} *images/base.qcow2\n")
    settled(MODULE, {**params, "checksum": f"sha256:{listed}"})


def test_recreate_for_what_cannot_be_changed_in_place(folder, base):
    params = {"path": str(folder / "disk.qcow2"), "size": "10M"}
    apply(MODULE, params)
    assert (
        cycle(MODULE, {**params, "cluster_size": "4K", "recreate": True})["actions"][0]["because"] == "cluster_size is 65536, and 4096 is asked for"
    )
    cycle(MODULE, {**params, "size": "5M", "recreate": True})
    cycle(MODULE, {**params, "size": "5M", "format": "raw", "recreate": True})
    Path(params["path"]).write_bytes(b"QFI\xfb and nothing else")
    refused(MODULE, params, "image_unreadable")
    cycle(MODULE, {**params, "format": "qcow2", "recreate": True})
    apply(MODULE, {"path": str(folder / "top"), "backing_file": "disk.qcow2"})
    remade = {**params, "source": str(base), "size": None, "recreate": True}
    for check_mode in (True, False):
        assert "top" in refused(MODULE, remade, "image_has_dependents", check_mode)
    with held(params["path"]):
        for check_mode in (True, False):
            assert "vt-holder" in refused(MODULE, {**remade, "force": True}, "image_in_use", check_mode)
    cycle(MODULE, {**remade, "force": True})
    link = folder / "link"
    link.symlink_to("disk.qcow2")
    refused(MODULE, {**remade, "path": str(link), "cluster_size": "4K"}, "not_a_regular_file")


def test_a_file_system_that_remembers_nothing(folder, base):
    mounted = folder / "vt-ramfs"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "ramfs", "vt-ramfs", str(mounted)], check=True)
    try:
        params = {"path": str(mounted / "disk.qcow2"), "source": str(base)}
        refused(MODULE, {**params, "recreate": True}, "cannot_remember_source")
        check_first = check(MODULE, params)
        applied = apply(MODULE, params)
        assert check_first["diff"] == applied["diff"] and "source" not in applied["resource"]
        settled(MODULE, params)
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


# Servers


def test_an_image_from_a_server(remote, server, base, cache):
    assert check(MODULE, remote)["changed"] and server.seen == []  # nothing is asked for in check mode
    cycle(MODULE, remote)
    same(remote["path"], base)
    assert len(server.seen) == 1
    assert os.listdir(cache) == [remote["checksum"].replace(":", "-")]
    kept = cache / os.listdir(cache)[0]
    for left in (f"{kept.name}.part.json", f".{kept.name}.part.json.abcdefgh.tmp"):  # of runs that were killed at their last step
        (cache / left).write_text("{}")
    cycle(MODULE, {**remote, "path": remote["path"] + "2", "size": "30M"})
    assert len(server.seen) == 1 and os.listdir(cache) == [kept.name]  # out of the cache
    kept.write_bytes(b"something else")
    cycle(MODULE, {**remote, "path": remote["path"] + "3"})
    assert len(server.seen) == 2  # what has changed in the cache is not used
    same(remote["path"] + "3", base)
    assert sha256(kept.read_bytes()) == remote["checksum"] and len(os.listdir(cache)) == 1


def test_without_checksum_and_without_cache(remote, server, base, cache):
    plain = {**remote, "checksum": None}
    result = apply(MODULE, plain)
    assert "without checksum" in str(result["warnings"]) and not cache.exists()
    same(plain["path"], base)
    cycle(MODULE, {**remote, "path": remote["path"] + "2", "cache_dir": ""})
    assert not cache.exists()


def test_secrets_of_an_address_are_not_shown(remote, server, base):
    words = remote["source"].replace("http://", "http://me:geheim@") + "?token=geheim"
    result = cycle(MODULE, {**remote, "source": words})
    assert "geheim" not in json.dumps({key: value for key, value in result.items() if key != "invocation"})
    assert server.seen[0][1]["Authorization"] == "Basic bWU6Z2VoZWlt" and server.seen[0][0].endswith("?token=geheim")
    assert result["resource"]["source"] == remote["source"]


def test_a_connection_that_breaks_off_is_continued(remote, server, base):
    data = base.read_bytes()
    server.serve("/base.qcow2", whole(data, cut=500_000))
    cycle(MODULE, remote)
    same(remote["path"], base)
    assert server.ranges()[:3] == [None, "bytes=500000-", "bytes=1000000-"]
    assert {headers.get("If-Range") for _path, headers in server.seen[1:]} == {'"one"'}


def test_a_connection_that_breaks_off_where_nothing_can_be_continued(remote, server, base):
    data, answers = base.read_bytes(), []

    def answer(exchange):
        answers.append(1)
        whole(data, etag=None, cut=500_000 if len(answers) < 3 else None)(exchange)

    server.serve("/base.qcow2", answer)
    apply(MODULE, {**remote, "checksum": None})
    same(remote["path"], base)
    assert server.ranges() == [None, None, None]


def test_a_part_that_an_interrupted_run_left_is_continued(remote, server, base, cache):
    data = base.read_bytes()
    server.serve("/base.qcow2", whole(data, slow=0.05))
    with spawned(MODULE, remote) as run:
        while not any(path.suffix == ".part" and path.stat().st_size > 200_000 for path in cache.glob("*")):
            assert run.poll() is None
            time.sleep(0.01)
        run.kill()
    part = next(cache.glob("*.part")).stat().st_size
    server.seen.clear()
    server.serve("/base.qcow2", whole(data))
    cycle(MODULE, remote)
    assert server.ranges() == [f"bytes={part}-"]
    same(remote["path"], base)
    assert len(os.listdir(cache)) == 1


def test_a_part_of_something_else_is_thrown_away(remote, server, base, cache):
    data = base.read_bytes()
    cache.mkdir()
    name = remote["checksum"].replace(":", "-")
    (cache / f"{name}.part").write_bytes(b"x" * 1000)
    (cache / f"{name}.part.json").write_text(json.dumps({"source": "x", "validator": '"one"', "total": len(data)}))
    cycle(MODULE, remote)  # continued, found to be wrong, fetched again
    assert server.ranges() == ["bytes=1000-", None]
    for note in ("", "[]", '{"validator": 1}'):
        Path(remote["path"]).unlink()
        (cache / name).unlink()
        (cache / f"{name}.part").write_bytes(b"x" * 1000)
        (cache / f"{name}.part.json").write_text(note)
        apply(MODULE, remote)
    assert os.listdir(cache) == [name]


def test_two_runs_at_once_share_one_download(remote, server, base, cache):
    server.serve("/base.qcow2", whole(base.read_bytes(), slow=0.05))
    runs = [spawned(MODULE, {**remote, "path": f"{remote['path']}{number}"}) for number in range(2)]
    assert [run.wait(60) for run in runs] == [0, 0]
    assert len(server.seen) == 1
    for number in range(2):
        same(f"{remote['path']}{number}", base)


def old_image(remote):
    """An image that is there and is to be replaced: whatever goes wrong, it stays."""
    apply(MODULE, {"path": remote["path"], "size": "7M"})
    return {**remote, "recreate": True}


def cut_short(data):
    return whole(data, cut=700_000, resumes=False)


def lies_long(data):
    def answer(exchange):
        start = int(exchange.headers.get("Range", "bytes=0-")[6:-1])
        if start >= len(data):
            exchange.say(416)
            return
        headers = {
            "Content-Length": len(data) - start + 5000,
            "ETag": '"one"',
            "Content-Range": f"bytes {start}-{len(data) + 4999}/{len(data) + 5000}",
        }
        exchange.say(206 if start else 200, headers, data[start:])

    return answer


def lies_short(data):
    return lambda exchange: exchange.say(200, {"Content-Length": 300_000}, data)


def stalls(data):
    def answer(exchange):
        exchange.say(200, {"Content-Length": len(data)}, data[:1000])
        time.sleep(4)

    return answer


def trickles(data):
    def answer(exchange):
        exchange.say(200, {"Content-Length": len(data)})
        for position in range(100):
            exchange.wfile.write(data[position : position + 1])
            time.sleep(0.1)

    return answer


def changes(data):
    count = []

    def answer(exchange):
        count.append(1)
        whole(bytes([len(count)]) * 900_000, etag=f'"{len(count)}"', cut=300_000 + 1000 * len(count))(exchange)

    return answer


def changes_and_does_not_say(data):
    count = []

    def answer(exchange):
        count.append(1)
        start = int(exchange.headers.get("Range", "bytes=0-")[6:-1])
        etag = f'"{len(count)}"'
        headers = {"Content-Length": 900_000 - start, "ETag": etag, "Content-Range": f"bytes {start}-899999/900000"}
        exchange.say(206 if start else 200, headers, bytes([len(count)]) * 100_000)

    return answer


def says(status, headers=None, body=b""):
    return lambda data: lambda exchange: exchange.say(status, headers, body)


def counts_in_other_digits(data):
    return lambda exchange: exchange.say(200, {"Content-Length": "\u00b2"}, data[:-1])


def counts_without_end(data):
    def answer(exchange):
        start = int(exchange.headers.get("Range", "bytes=0-")[6:-1])
        length, total = ("9" * 5000, "9" * 5000) if start else (len(data), len(data))
        headers = {"Content-Length": length, "ETag": '"one"', "Content-Range": f"bytes {start}-{total}/{total}"}
        exchange.say(206 if start else 200, headers, data[start:][:700_000])

    return answer


def garbage(data):
    return lambda exchange: exchange.wfile.write(b"\x16\x03\x01 this is no http\r\n\r\n")


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (cut_short, "download_incomplete", "were announced"),
        (lies_long, "download_incomplete", "were announced"),
        (lies_short, "checksum_mismatch", "its sha256 is"),
        (stalls, "download_stalled", "nothing came for 1 seconds"),
        (trickles, "download_stalled", "nothing came for 1 seconds"),
        (changes, "source_changed", "changed while it was being downloaded"),
        (changes_and_does_not_say, "source_changed", "changed while it was being downloaded"),
        (lambda data: whole(data[:-1] + b"!"), "checksum_mismatch", "nothing was changed"),
        (says(404), "download_failed", "404 Not Found"),
        (says(503), "download_failed", "503 Service Unavailable"),
        (says(302, {"Location": "file:///etc/passwd"}), "download_failed", "302"),
        (says(302, {"Location": "ftp://127.0.0.1/base.qcow2"}), "download_failed", "sends us on to ftp"),
        (says(302, {"Location": "/base.qcow2"}), "download_failed", "302"),
        (says(302, {"Location": "http://a..b/base.qcow2"}), "download_failed", "the connection failed"),
        (says(302, {"Location": "http://[::1/base.qcow2"}), "download_failed", "the connection failed"),
        (says(416), "download_failed", "416"),
        (counts_in_other_digits, "checksum_mismatch", "its sha256 is"),
        (counts_without_end, "source_changed", "changed while it was being downloaded"),
        (garbage, "download_failed", "the connection failed"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_server_that_fails(remote, server, base, cache, fault, code, words):
    params = {**old_image(remote), "timeout": 1}
    before = Path(params["path"]).read_bytes()
    server.serve("/base.qcow2", fault(base.read_bytes()))
    assert words in refused(MODULE, params, code)
    assert Path(params["path"]).read_bytes() == before
    assert os.listdir(Path(params["path"]).parent) == ["disk.qcow2"]
    if code in ("checksum_mismatch", "source_changed"):
        assert os.listdir(cache) == []
    server.serve("/base.qcow2", whole(base.read_bytes()))
    cycle(MODULE, params)
    same(params["path"], base)
    assert len(os.listdir(cache)) == 1


def test_what_a_server_may_not_do_without_a_checksum(remote, server, base):
    plain = {**remote, "checksum": None, "timeout": 1}

    def endless(exchange):
        exchange.say(200, {"Content-Length": None}, base.read_bytes())

    server.serve("/base.qcow2", endless)
    assert "add checksum" in refused(MODULE, plain, "unknown_length")
    apply(MODULE, remote)  # with one, the end is known
    same(remote["path"], base)
    server.serve("/page.qcow2", lambda exchange: exchange.say(200, body=b"<!DOCTYPE html><p>Sorry!"))
    refused(MODULE, {**plain, "path": remote["path"] + "2", "source": server.url("/page.qcow2")}, "unsupported_format")
    refused(MODULE, {**plain, "path": remote["path"] + "2", "source": "http://127.0.0.1:1/x.qcow2"}, "download_failed")
    refused(MODULE, {**plain, "path": remote["path"] + "2", "source": "http://vt-no-such-host.invalid/x.qcow2"}, "download_failed")


def test_a_server_whose_file_is_another_one_in_the_next_run(remote, server, base, other, cache):
    """What is left of the first is not continued with the second."""
    server.serve("/base.qcow2", lambda exchange: exchange.say(200, {"Content-Length": 900_000, "ETag": '"two"'}, other.read_bytes()[:300_000]))
    refused(MODULE, {**remote, "timeout": 1}, "download_incomplete")
    assert [path.stat().st_size for path in cache.glob("*.part")] == [300_000]
    server.serve("/base.qcow2", whole(base.read_bytes()))
    server.seen.clear()
    cycle(MODULE, remote)
    assert server.ranges() == ["bytes=300000-"] and server.seen[0][1]["If-Range"] == '"two"'
    same(remote["path"], base)


def test_lists_of_checksums_from_a_server_that_fails(remote, server, base, cache):
    params = {**old_image(remote), "timeout": 1, "checksum": f"sha256:{server.url('/SHA256SUMS')}"}
    before = Path(params["path"]).read_bytes()
    line = f"{sha256(base.read_bytes())[7:]}  base.qcow2\n".encode()
    for answer, code in (
        (lambda exchange: exchange.say(200, {"Content-Length": 500}, line), "download_incomplete"),
        (lambda exchange: exchange.say(416), "download_failed"),
        (lambda exchange: exchange.say(404), "download_failed"),
        (lambda exchange: exchange.say(200, body=b"x" * 5 * MIB), "invalid_checksum_list"),
        (stalls(line * 20), "download_stalled"),
    ):
        server.serve("/SHA256SUMS", answer)
        refused(MODULE, params, code)
        assert Path(params["path"]).read_bytes() == before and not cache.exists()
    server.serve("/SHA256SUMS", lambda exchange: exchange.say(200, body=line))
    cycle(MODULE, params)


def test_an_address_that_is_not_ascii(remote, server, base):
    server.serve("/b%C3%A4se.qcow2", whole(base.read_bytes()))
    cycle(MODULE, {**remote, "source": server.url("/b\u00e4se.qcow2?\u00fc=1")})
    assert server.seen[0][0] == "/b%C3%A4se.qcow2?%C3%BC=1"
    same(remote["path"], base)


def test_a_source_that_is_another_one_while_it_is_used(folder, base, other, tmp_path, monkeypatch):
    """A link that leads elsewhere between the look at the source and the conversion, and back again."""
    secret, evil, link = tmp_path / "secret.raw", folder / "evil.qcow2", folder / "link.qcow2"
    secret.write_bytes(b"\x2a" * MIB)
    qemu_img("create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", evil)
    link.symlink_to(base)
    tools = tmp_path / "tools"
    tools.mkdir()
    turned = f'ln -sfn {evil} {link}; /usr/bin/qemu-img "$@"; said=$?; ln -sfn {base} {link}; exit $said'
    (tools / "qemu-img").write_text(f'#!/bin/sh\ncase "$*" in *convert*) {turned};; esac\nexec /usr/bin/qemu-img "$@"\n')
    (tools / "qemu-img").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    params = {"path": str(folder / "disk.qcow2"), "source": str(link), "cluster_size": "4K", "checksum": sha256(base.read_bytes())}
    result = run_module(MODULE, params, env={"PATH": os.environ["PATH"]})
    assert not result["failed"], result
    same(params["path"], base)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"source": "disk.qcow2"}, "invalid_source"),
        ({"source": "ftp://host/disk"}, "invalid_source"),
        ({"source": "file://elsewhere/disk"}, "invalid_source"),
        ({"source": "http://host"}, "invalid_source"),
        ({"source": "http:///x"}, "invalid_source"),
        ({"source": ""}, "invalid_source"),
        ({"source": "/etc"}, "not_a_regular_file"),
        ({"source": "/dev/zero"}, "not_a_regular_file"),
        ({"source": "/nonexistent/vt"}, "source_missing"),
        ({"checksum": "md5:d41d8cd98f00b204e9800998ecf8427e"}, "invalid_checksum"),
        ({"checksum": "sha256:12"}, "invalid_checksum"),
        ({"checksum": "12"}, "invalid_checksum"),
        ({"checksum": "sha256:SUMS"}, "invalid_checksum"),
        ({"checksum": "sha256:/nonexistent/SUMS"}, "source_missing"),
        ({"checksum": "sha256:" + "0" * 64}, "checksum_mismatch"),
        ({"timeout": 0}, "invalid_timeout"),
        ({"cache_dir": "here"}, "invalid_path"),
        ({"backing_file": "x"}, "invalid_option_combination"),
        ({"source": None, "checksum": "sha256:" + "0" * 64}, "invalid_option_combination"),
    ],
)
def test_refusals(folder, base, given, code):
    params = {"path": str(folder / "disk.qcow2"), "source": str(base), **given}
    refused(MODULE, params, code)
    assert os.listdir(folder) == []


def test_a_source_that_an_earlier_task_may_bring(folder):
    predicted = check(MODULE, {"path": str(folder / "disk"), "source": str(folder / "later.qcow2")})
    assert predicted["changed"] and "later.qcow2: does not exist" in str(predicted["warnings"])


def test_a_source_that_a_guest_writes_to(folder, base):
    source = folder / "source.qcow2"
    source.write_bytes(base.read_bytes())
    with held(source):
        assert "vt-holder" in refused(MODULE, {"path": str(folder / "disk"), "source": str(source)}, "image_in_use", check_mode=True)


# Full disks and interrupted runs


@pytest.fixture
def small(folder):
    """A file system of 3 MiB."""
    mounted = folder / "vt-small"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3M", "vt-small", str(mounted)], check=True)
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


def test_a_full_disk(small, folder, remote, server, base, cache):
    noise = folder / "noise.raw"
    noise.write_bytes(os.urandom(4 * MIB))
    packed = folder / "noise.gz"
    packed.write_bytes(gzip.compress(noise.read_bytes(), 1))
    image = small / "disk.qcow2"
    apply(MODULE, {"path": str(image), "size": "5M"})
    before = image.read_bytes()
    local = {"path": str(image), "source_format": "raw", "recreate": True}
    refused(MODULE, {**local, "source": str(noise)}, "no_space")  # measured
    refused(MODULE, {**local, "source": str(packed)}, "no_space")  # unpacking
    url = server.serve("/noise", whole(noise.read_bytes()))
    refused(MODULE, {**local, "source": url}, "no_space")  # downloading beside it
    refused(MODULE, {**local, "source": url, "checksum": sha256(noise.read_bytes()), "cache_dir": str(small / "cache")}, "no_space")
    assert os.listdir(small / "cache") == []
    (small / "cache").rmdir()
    assert image.read_bytes() == before and os.listdir(small) == ["disk.qcow2"]
    cycle(MODULE, {**remote, "path": str(image), "recreate": True})
    same(image, base)
