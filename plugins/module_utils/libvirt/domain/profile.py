# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Named sets of options, under those that the task itself says. Pure."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from ...engine.errors import Failure
from .model import SPEC

#: What makes a guest this one, and so is nobody else's to say.
_OWN = {"name", "uri", "profile", "profiles"}


def with_profiles(given: Mapping[str, Any]) -> Dict[str, Any]:
    """The options that the task says, over those of its profiles, of which a later one has the last word."""
    base: Dict[str, Any] = {}
    profiles = given.get("profiles") or {}
    for name in _names(given.get("profile")):
        base = _over(base, _profile(profiles, name))
    return _over(base, {option: value for option, value in given.items() if option != "profiles"})


def _names(profile: Any) -> List[str]:
    if isinstance(profile, str):  # as Ansible reads a list
        return [name.strip() for name in profile.split(",")]
    return [str(name) for name in profile] if isinstance(profile, list) else []


def _profile(profiles: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(profiles, dict) or name not in profiles:
        known = ", ".join(map(str, profiles)) if isinstance(profiles, dict) and profiles else "none"
        raise Failure(f"profile: there is no {name!r} in profiles, which has {known}; correct profile, or add it to profiles", "unknown_profile")
    options = profiles[name]
    if not isinstance(options, dict):
        raise Failure(f"profiles: {name} is no dictionary; give it options of a guest", "invalid_profile")
    strange = sorted(str(option) for option in options if option in _OWN or option not in SPEC["argument_spec"])
    if strange:
        raise Failure(f"profiles: {name} says {', '.join(strange)}, which no profile can; leave that out", "invalid_profile")
    return options


def _over(base: Mapping[str, Any], top: Mapping[str, Any]) -> Dict[str, Any]:
    """Dictionaries merge; of everything else, lists too, the top one is taken as a whole. A null there takes the word of the base away."""
    both = {key: _over(base[key], value) for key, value in top.items() if isinstance(value, dict) and isinstance(base.get(key), dict)}
    return {**base, **top, **both}
