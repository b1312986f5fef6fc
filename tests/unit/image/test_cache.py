# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.image import cache, cache_files
from ansible_collections.virtops.linux.plugins.module_utils.image.cache import Cached, Desired, Observed
from support.hosts import FakeHost, converged

DAY = 86400
NAME = "sha256-" + "ab" * 32
OLD, YOUNG, NEEDED = Cached(f"/cache/{NAME}", 10, 0), Cached("/cache/young", 20, 90 * DAY), Cached("/cache/needed", 30, 0, needed="it is needed by x")


def test_what_is_old_and_needed_by_nobody_goes():
    observed = Observed("/cache", (OLD, YOUNG, NEEDED), now=100 * DAY)
    found = converged(cache.plan, observed, Desired("/cache", 30 * DAY))
    assert [action.describe() for action in found.actions] == [
        {"action": "remove_cached", "target": f"/cache/{NAME}", "size": 10, "last_used": "1970-01-01T00:00:00Z", "finished": True}
    ]
    shown = cache.view(found.after, Desired("/cache", 30 * DAY))["files"]
    assert [entry["why"] for entry in shown] == ["it was used since", "it is needed by x"]
    assert "why" not in cache.view(observed, Desired("/cache", 30 * DAY))["files"][0]


@pytest.mark.parametrize(("text", "seconds"), [("0d", 0), ("90s", 90), ("5 m", 300), ("2h", 7200), ("30d", 30 * DAY), ("1w", 7 * DAY)])
def test_times(text, seconds):
    given = {"path": "/cache/", "unused_for": text, "dependents_in": ["/srv/"], "uri": "qemu:///system"}
    assert cache.from_params(given) == Desired("/cache", seconds, ("/srv",))


@pytest.mark.parametrize(
    "name", ["notes", "sha256-abc", NAME + ".tmp", "sha1-" + "a" * 40, "x" + NAME, f".{NAME}.part.json.abcdefgh.tmp", NAME.upper()]
)
def test_names_that_are_not_the_cache_s(name):
    assert cache.base_name(name) is None


def test_names_of_the_cache():
    assert cache.base_name(NAME) == (NAME, True)
    assert cache.base_name(NAME + ".part") == cache.base_name(NAME + ".part.json") == (NAME, False)


def test_what_was_used_since_the_plan_stays(tmp_path):
    host = FakeHost(tmp_path, {f"/cache/{NAME}": "data"})
    action = cache.plan(Observed("/cache", (OLD,), now=100 * DAY), Desired("/cache", DAY)).actions[0]
    with pytest.raises(Failure) as caught:
        cache_files.apply(host, action)
    assert caught.value.code == "cache_in_use" and host.list("/cache") == [NAME]
    cache_files.apply(host, replace(action, last_used="9999-01-01T00:00:00Z"))
    assert host.list("/cache") == []
