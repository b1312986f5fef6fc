# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.profile import with_profiles

PROFILES = {
    "small": {"memory": "512M", "vcpus": 1, "graphics": {"type": "vnc", "listen": "127.0.0.1"}, "state": "running"},
    "large": {"memory": "8G", "interfaces": [{"source": "default"}, {"type": "user"}]},
}


def merged(**given):
    return with_profiles({"name": "g", "profiles": PROFILES, "_ansible_check_mode": True, **given})


def test_the_task_goes_over_its_profiles_and_the_last_one_over_the_others():
    assert merged(profile=["small", "large"], vcpus=3, interfaces=[{"source": "other"}], graphics={"port": 5901}) == {
        "name": "g",
        "profile": ["small", "large"],
        "_ansible_check_mode": True,
        "memory": "8G",
        "vcpus": 3,
        "state": "running",
        "interfaces": [{"source": "other"}],
        "graphics": {"type": "vnc", "listen": "127.0.0.1", "port": 5901},
    }


def test_names_as_ansible_reads_lists():
    assert merged(profile="large, small")["memory"] == "512M" and merged(profile="large")["memory"] == "8G"


def test_a_null_takes_the_word_of_a_profile_away():
    options = merged(profile=["small"], vcpus=None, graphics={"listen": None})
    assert options["vcpus"] is None and options["graphics"] == {"type": "vnc", "listen": None}


def test_without_a_profile_nothing_comes_from_any():
    assert merged() == {"name": "g", "_ansible_check_mode": True}
    assert with_profiles({"name": "g", "profile": None}) == {"name": "g", "profile": None}


def test_profiles_are_left_as_they_are():
    before = repr(PROFILES)
    merged(profile=["small"], graphics={"port": 1})["graphics"]["port"] = 2
    assert repr(PROFILES) == before


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"profile": ["huge"]}, "unknown_profile"),
        ({"profile": ["small"], "profiles": None}, "unknown_profile"),
        ({"profile": ["small"], "profiles": "small"}, "unknown_profile"),
        ({"profile": ["a"], "profiles": {"a": ["memory"]}}, "invalid_profile"),
        ({"profile": ["a"], "profiles": {"a": None}}, "invalid_profile"),
        *(({"profile": ["a"], "profiles": {"a": {option: "x"}}}, "invalid_profile") for option in ("name", "uri", "profile", "colour", "_ansible_x")),
    ],
)
def test_what_is_no_profile_is_refused(given, code):
    with pytest.raises(Failure) as refusal:
        merged(**given)
    assert refusal.value.code == code
