# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Many resources in one task: one process on the target, whatever the number of objects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Callable, Dict, Iterable, List, Mapping, Sequence, Tuple

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .errors import Failure
from .host import Host
from .run import Module, Resource, begin, finish, guarded, options, secret_words, wait


@dataclass(frozen=True)
class Section:
    """A list option of the whole, whose items are options of one resource.

    load: gives the resource, and is called when a task has such items. secrets: whether options of the resource are secret.
    inherits: options of the whole that an item has unless it says otherwise, for example uri.
    """

    option: str
    load: Callable[[], Resource[Any, Any, Any]]
    inherits: Tuple[str, ...] = ()
    secrets: bool = False

    @cached_property
    def resource(self) -> Resource[Any, Any, Any]:
        return self.load()


@dataclass(frozen=True)
class Item:
    """One object of a section. place: C(guests[2]). name: its name or its path, where it has one."""

    place: str
    name: str
    section: Section
    params: Mapping[str, Any]

    @property
    def label(self) -> str:
        """For people, C(guests[2] web)."""
        return f"{self.place} {self.name}".strip()

    def says(self, message: str) -> str:
        """The message with the object before it, which is named once."""
        return f"{self.place if f' {self.name}: ' in f' {message}' else self.label}: {message}"

    @property
    def leaves(self) -> bool:
        return self.params.get("state") == "absent"


def run_many(common: Mapping[str, Any], sections: Sequence[Section]) -> None:
    """The main() of a module that converges lists of resources. common: the argument spec of what is no section."""
    module = Module(argument_spec={**common, **{section.option: _list_of(section) for section in sections}}, supports_check_mode=True)
    params = options(module)
    host = Host(progress=module.progress)
    with host.session():
        result = guarded(module, lambda: converge_all(module, host, params, sections))
    finish(module, result)


def _list_of(section: Section) -> Dict[str, Any]:
    """The list as an option. Where its items have secrets, Ansible must log none of it: it does not look into the items."""
    return {"type": "list", "elements": "dict", "default": [], "no_log": section.secrets}


def items(sections: Iterable[Section], params: Mapping[str, Any]) -> Tuple[List[Item], List[str], List[str]]:
    """Every object with its options checked and completed, the mistakes found in all of them, and the secrets among them."""
    found: List[Item] = []
    mistakes: List[str] = []
    secrets: List[str] = []
    for section in sections:
        for index, given in enumerate(params[section.option]):
            item = Item(f"{section.option}[{index}]", str(given.get("name") or given.get("path") or ""), section, given)
            inherited = {key: params[key] for key in section.inherits}
            try:
                completed = section.resource.complete({**inherited, **given})
            except Failure as failure:
                mistakes.append(item.says(failure.message))
                continue
            checked = ArgumentSpecValidator(**section.resource.spec).validate(dict(completed))
            secrets += secret_words(section.resource.spec["argument_spec"], checked.validated_parameters)
            mistakes += [item.says(message) for message in checked.error_messages]
            item = replace(item, params=checked.validated_parameters)
            if not checked.error_messages:
                mistakes += _mistake(item)
            found.append(item)
    return found, mistakes, secrets


def _mistake(item: Item) -> List[str]:
    try:
        item.section.resource.from_params(item.params)
    except Failure as failure:
        return [item.says(failure.message)]
    return []


def ordered(found: Sequence[Item]) -> List[Item]:
    """What leaves goes first and backwards (a guest before its network), then what stays, in the order of the sections."""
    return [item for item in reversed(found) if item.leaves] + [item for item in found if not item.leaves]


def converge_all(module: Module, host: Host, params: Mapping[str, Any], sections: Sequence[Section]) -> Dict[str, Any]:
    """All objects, in order; then what is waited for. In check mode nobody waits."""
    found, mistakes, secrets = items(sections, params)
    module.no_log_values.update(secrets)
    if mistakes:
        raise Failure("; ".join(mistakes), "invalid_options", mistakes=mistakes)
    total: Dict[str, Any] = {"changed": False, "actions": [], "pending": [], "warnings": [], "diff": []}
    resources: Dict[str, List[Any]] = {section.option: [] for section in sections}
    waiting: List[Tuple[Item, Dict[str, Any]]] = []
    for item in ordered(found):
        try:
            result = begin(item.section.resource, host, item.params, module.check_mode)
        except Failure as failure:
            raise _of(item, failure, total["actions"] + failure.details.pop("actions", [])) from failure
        resources[item.section.option].append(result["resource"])
        waiting.append((item, result))
        total["changed"] |= result["changed"]
        total["actions"] += [{"item": item.label, **action} for action in result["actions"]]
        total["pending"] += [f"{item.label}: {path}" for path in result["pending"]]
        total["warnings"] += [item.says(warning) for warning in result["warnings"]]
        if result["changed"]:
            total["diff"].append({**result["diff"], "before_header": item.label, "after_header": item.label})
    for item, result in waiting if not module.check_mode else ():
        try:
            wait(item.section.resource, host, item.params, result)
        except Failure as failure:
            raise _of(item, failure, total["actions"]) from failure
    return {**total, "restart_required": bool(total["pending"]), "resource": resources}


def _of(item: Item, failure: Failure, done: List[Dict[str, Any]]) -> Failure:
    return Failure(item.says(failure.message), failure.code, **{**failure.details, "item": item.label, "actions": done, "changed": bool(done)})
