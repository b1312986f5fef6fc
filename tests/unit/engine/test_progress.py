# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Progress: the file that a run writes, and the lines that the controller makes of it."""

from __future__ import annotations

import json
import os
import stat
import time
from dataclasses import replace

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine import progress, temporary
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Host
from ansible_collections.virtops.linux.plugins.plugin_utils.progress import Sample, Story, parse

MIB = 1024**2
ID = "0123456789abcdef" * 2
START = Sample("converting", "/images/web.qcow2", "bytes", 0, 1000 * MIB, 0, 3, 4)


def later(sample, seconds, done):
    return replace(sample, done=done, lasted=sample.lasted + seconds, age=sample.age + seconds)


def story_of(*samples, **words):
    """What is said of samples that are read as soon as they are written."""
    story = Story("qcow2_image [web1]", **words)
    return [story.line(sample, sample.age) for sample in samples]


def test_a_line_has_the_percent_the_rate_and_what_is_left():
    assert story_of(later(START, 0, 300 * MIB), later(START, 2, 500 * MIB)) == [
        "qcow2_image [web1] /images/web.qcow2: converting 30 % of 1000.0 MiB, 100.0 MiB/s, 7 s left",
        "qcow2_image [web1] /images/web.qcow2: converting 50 % of 1000.0 MiB, 100.0 MiB/s, 5 s left",
    ]


def test_a_rate_is_that_of_the_last_seconds():
    slow = later(START, 7, 100 * MIB)
    assert story_of(START, slow, later(slow, 6, 700 * MIB))[-1].endswith("70 % of 1000.0 MiB, 100.0 MiB/s, 3 s left")


def test_what_was_there_at_the_beginning_is_no_rate():
    resumed = replace(START, step="downloading", first=500 * MIB)
    assert story_of(replace(resumed, done=530 * MIB))[0].endswith("downloading 53 % of 1000.0 MiB, 10.0 MiB/s, 47 s left")


def test_a_step_of_unknown_length_says_how_much_there_is():
    assert story_of(replace(START, step="downloading", total=None, done=30 * MIB))[0].endswith("downloading, 30.0 MiB so far, 10.0 MiB/s")


def test_percents_have_no_rate():
    assert story_of(Sample("rebasing", "/top", "percent", 20, 100, 0, 5, 5)) == ["qcow2_image [web1] /top: rebasing 20 %, 20 s left"]


@pytest.mark.parametrize(("left", "words"), [(89, "89 s left"), (119, "2 min left"), (90 * 60, "1 h 30 min left")])
def test_times_are_for_people(left, words):
    assert story_of(replace(START, done=100.0, total=100.0 + 100 / 3 * left))[0].endswith(words)


def test_short_work_is_not_mentioned():
    story, young = Story("qcow2_image [web1]"), replace(START, age=1.2, lasted=1, done=10 * MIB)
    assert story.line(young, 100) is None
    assert story.line(young, 102), "the sample is the same, yet the run is older"


def test_work_that_hangs_is_seen():
    hung = later(START, 2, 50 * MIB)
    lines = story_of(hung, later(hung, 9, hung.done), later(hung, 16, hung.done))
    assert [line.partition("MiB, ")[2] for line in lines] == ["10.0 MiB/s, 2 min left", "10.0 MiB/s, 86 s left", "nothing new for 16 s"]
    assert story_of(replace(START, lasted=11))[0].endswith("converting 0 % of 1000.0 MiB, nothing new for 11 s")


def test_news_that_are_always_rare_are_no_hang():
    """A percent of a large disk takes its time."""
    rare = [later(START, 20 * number, 10 * number * MIB) for number in (1, 2)]
    assert story_of(START, *rare, later(rare[1], 30, rare[1].done))[-1].endswith("converting 2 % of 1000.0 MiB, 512.0 KiB/s, 32 min left")


def test_a_step_that_begins_anew_has_a_new_rate():
    other = replace(START, step="unpacking", lasted=2, done=200 * MIB)
    again = replace(START, lasted=1, done=5 * MIB, age=20)
    lines = story_of(later(START, 7, 900 * MIB), replace(other, age=12), again)
    assert lines[1].endswith("100.0 MiB/s, 8 s left") and "5.0 MiB/s" in lines[2]


def test_names_are_not_shown_where_the_task_shows_nothing():
    assert story_of(later(START, 0, 300 * MIB), shows_names=False) == ["qcow2_image [web1]: converting 30 % of 1000.0 MiB, 100.0 MiB/s, 7 s left"]


def test_what_a_target_says_is_taken_with_care():
    assert parse(" \r\n") is None
    told = {"step": "x", "about": "/a\x1b[2J\n" + "b" * 999, "unit": "bytes", "done": 1, "total": None, "first": 0, "lasted": 1, "age": 1}
    found = parse(json.dumps(told))
    assert found.about.startswith("/a?[2J?b") and len(found.about) == 300
    for text in ("{", "[]", "null", json.dumps({**told, "done": "much"}), json.dumps({**told, "total": []})):
        with pytest.raises(ValueError, match="no sample"):
            parse(text)


# On the target


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(progress, "_PERIOD", 0.005)


def awaited(look):
    deadline = time.monotonic() + 60
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_run_writes_where_it_is_and_clears_up(tmp_path, quick):
    folder = tmp_path / "virtops" / "progress"
    path = folder / f"{ID}.json"
    run = progress.Progress(ID, str(folder))
    run.about = "/images/web.qcow2"
    with run.step("downloading", 200, first=50) as report:
        awaited(path.exists)
        report(100)
        awaited(lambda: parse(path.read_text()).done == 100)
        found = parse(path.read_text())
        assert (found.step, found.about, found.total, found.first) == ("downloading", "/images/web.qcow2", 200, 50)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert temporary.locked(str(path))
        progress.Progress(ID[::-1], str(folder))
        awaited(path.exists)
    assert os.listdir(folder) == [] and run.fault is None


def test_the_next_run_takes_away_what_a_killed_one_left(tmp_path):
    for name in (f"{ID}.json", f".{ID}.json.abcd1234.tmp"):
        (tmp_path / name).write_text("{}")
    progress.Progress(ID[::-1], str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_nobody_asked(tmp_path, quick):
    for nobody in (None, "", "../etc/passwd", ID + "\n", 7):
        run = progress.Progress(nobody, str(tmp_path / "none"))
        with run.step("downloading") as report:
            report(1)
            time.sleep(0.01)
    assert not (tmp_path / "none").exists()


def test_work_does_not_fail_because_nothing_can_be_written(tmp_path, quick):
    (tmp_path / "file").write_text("")
    run = progress.Progress(ID, str(tmp_path / "file"))
    with run.step("downloading") as report:
        awaited(lambda: run.fault)
        report(1)
    assert "cannot be written" in run.fault


def test_a_command_is_followed(tmp_path):
    heard = []
    script = "import os, sys; os.write(2, b'x' * 100000); print('one', flush=True); print('two'); sys.exit(3)"
    done = Host().follow(["/usr/bin/python3", "-c", script], heard.append)
    assert b"".join(heard) == b"one\ntwo\n" and done.rc == 3 and len(done.stderr) == 100000
