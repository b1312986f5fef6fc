# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cases of options, held against an argument spec: which options change between two of them, and which no case changes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from support.modules import Result, cycle

Options = dict[str, Any]


def leaves(spec: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Each option that has no options of its own, by its whole name."""
    for name, option in spec.items():
        if option.get("options"):
            yield from leaves(option["options"], f"{above}{name}.")
        else:
            yield above + name


def told(spec: Mapping[str, Any], options: Options, above: str = "") -> dict[str, list[Any]]:
    """Option → all its values. A list, and an empty dictionary, say of all that is not in them that it is not there."""
    found: dict[str, list[Any]] = {}
    for name, value in options.items():
        path, below = above + name, spec[name].get("options")
        if not below:
            found[path] = [value]
            continue
        if isinstance(value, list) or not value:
            found.update((leaf, []) for leaf in leaves(below, path + "."))
        for member in value if isinstance(value, list) else [value]:
            for leaf, values in told(below, member, path + ".").items():
                found.setdefault(leaf, []).extend(values)
    return found


def changed(spec: Mapping[str, Any], one: Options, other: Options) -> set[str]:
    """The options that both say, and otherwise."""
    before, after = told(spec, one), told(spec, other)
    return {name for name in before if name in after and before[name] != after[name]}


def untried(spec: Mapping[str, Any], cases: Iterable[tuple[Options, Options]]) -> set[str]:
    """The options that no case changes."""
    return set(leaves(spec)).difference(*(changed(spec, one, other) for one, other in cases))


def by_path(table: Mapping[str, str], option: str) -> str:
    """What is said of an option, or of the nearest one above it."""
    while option not in table:
        option, dot, _name = option.rpartition(".")
        assert dot, "nothing is said of this option"
    return table[option]


def plain(label: str) -> str:
    """A field without the names of the elements in it."""
    return re.sub(r"\[[^]]*\]", "", label)


def concerns(labels: Iterable[str], path: str) -> bool:
    """Whether one of the fields is this one, in it, or has it in itself."""
    below = (path + "/", path + "@")
    return any(one == path or one.startswith(below) or path.startswith((one + "/", one + "@")) for one in map(plain, labels))


def there_and_back(module: str, base: Options, one: Options, other: Options) -> list[Result]:
    """One, the other, and back, each with a whole cycle."""
    return [cycle(module, {**base, **options}) for options in (one, other, one)]


def effects(documentation: Mapping[str, Any], option: str, beginnings: tuple[str, ...]) -> list[str]:
    """All that the documentation of an option and of those above it says of when it takes effect: lines that begin so."""
    found: Mapping[str, Any] = {"suboptions": documentation}
    lines: list[str] = []
    for name in option.split("."):
        found = found["suboptions"][name]
        lines += [found["description"]] if isinstance(found["description"], str) else found["description"]
    return [line for line in lines if line.startswith(beginnings)]
