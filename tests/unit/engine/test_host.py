# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import errno
import os

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine import temporary
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure, NotReady
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Host


@pytest.fixture
def host(tmp_path):
    return Host(str(tmp_path))


def test_a_written_file_is_whole_and_leaves_no_litter(host, tmp_path):
    host.write("/etc/x/a.conf", "one\n", mode=0o600)
    assert host.read("/etc/x/a.conf") == "one\n"
    assert (tmp_path / "etc/x/a.conf").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path / "etc/x") == ["a.conf"]


def test_a_rewrite_keeps_the_mode_and_follows_a_link(host, tmp_path):
    host.write("/real", "one\n", mode=0o640)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    host.write("/link", "two\n", mode=0o644)
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "two\n"
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o640


def test_a_failed_write_keeps_the_old_file(host, tmp_path, monkeypatch):
    host.write("/a", "old")

    def full(*paths):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(Failure, match="No space left on device") as caught:
        host.write("/a", "new")
    assert caught.value.code == "no_space"
    assert host.read("/a") == "old" and os.listdir(tmp_path) == ["a"]


def test_what_a_killed_write_left_is_swept_and_a_living_one_is_not(host, tmp_path):
    handle, living = temporary.open_beside(str(tmp_path / "a"))
    others = [tmp_path / name for name in (".b.abcdefgh.tmp", ".a.ABCDEFGH.tmp", ".a.abcdefgh.tmp~")]
    for path in (*others, tmp_path / ".a.abc_efg1.tmp"):
        path.write_text("")
    (tmp_path / ".a.aaaaaaaa.tmp").mkdir()
    host.write("/a", "new")
    assert sorted(os.listdir(tmp_path)) == sorted(["a", ".a.aaaaaaaa.tmp", os.path.basename(living), *(path.name for path in others)])
    os.close(handle)
    host.write("/a", "newer")
    assert not os.path.exists(living)


def test_what_is_not_there(host):
    assert host.read("/nope") is None and host.list("/nope") == [] and not host.exists("/nope")
    host.remove("/nope")
    host.remove_dir("/nope")


def test_commands_speak_the_c_locale_and_no_shell(host):
    assert host.run(["printenv", "LC_ALL"]).stdout == "C\n"
    assert host.run(["echo", "$HOME; id"]).stdout == "$HOME; id\n"
    assert host.run(["cat"], stdin="hello").stdout == "hello"


def test_a_failing_command_tells_what_it_said(host):
    with pytest.raises(Failure, match="No such file") as caught:
        host.run(["ls", "/nonexistent"])
    assert caught.value.code == "command_failed" and caught.value.details["rc"] == 2
    assert host.run(["false"], check=False).rc == 1


def test_a_missing_command_is_not_ready(host):
    with pytest.raises(NotReady, match="install the package qemu-utils"):
        host.require("vt-no-such-tool", "qemu-utils")
    with pytest.raises(NotReady):
        host.run(["vt-no-such-tool"])


def test_a_command_without_an_end_is_ended(host):
    with pytest.raises(Failure) as caught:
        host.run(["sleep", "60"], timeout=0.1)
    assert caught.value.code == "command_timeout"
