# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one procedure behind every module: read, plan, apply, verify. Nothing else knows of check or diff mode."""

from __future__ import annotations

import time
import traceback
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Callable, Dict, Generic, Iterator, List, Mapping, NoReturn, Optional, Set, Tuple, TypeVar

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .errors import Failure, NotReady
from .host import Host
from .plan import Action, Plan
from .progress import OPTION, Progress
from .yaml import to_yaml

Access = TypeVar("Access")
Desired = TypeVar("Desired")
Observed = TypeVar("Observed")

_POLL_SECONDS = 0.2


def _host_itself(host: Host, params: Mapping[str, Any]) -> AbstractContextManager[Any]:
    return nullcontext(host)


def _at_once(desired: Any) -> float:
    return 0.0


@dataclass(frozen=True)
class Resource(Generic[Access, Desired, Observed]):
    """Everything the engine needs to know of a kind of resource.

    spec: keyword arguments of AnsibleModule: argument_spec, required_if, ...
    from_params: options → desired state. None leaves alone, an empty list empties. Pure.
    read: the host, or what open gives → observed state.
    plan: observed, desired → Plan. Pure.
    apply: does one action.
    view: observed, desired → the plain data that results and diffs show. No secrets, nothing that cannot be predicted.
    nothing: the observed state of a host that has none of it, where check mode starts from when read is NotReady.
    open: what read and apply work on, when that is not the host: a connection.
    facts: observed → further keys of the result's resource that a prediction may not know: an assigned uuid.
    settle: desired → seconds that the host may take to get there once the actions are done.
    wait: what a real run waits for once all is as desired, which is no change → further keys of the result's resource: what was seen.
    complete: what the user wrote → the same with what it refers to filled in. Before the spec checks it and adds its defaults. Pure.
    """

    spec: Mapping[str, Any]
    from_params: Callable[[Mapping[str, Any]], Desired]
    read: Callable[[Access, Desired], Observed]
    plan: Callable[[Observed, Desired], Plan[Observed]]
    apply: Callable[[Access, Action], None]
    view: Callable[[Observed, Desired], Dict[str, Any]]
    nothing: Callable[[Desired], Observed]
    open: Callable[[Host, Mapping[str, Any]], AbstractContextManager[Access]] = _host_itself
    facts: Callable[[Observed], Dict[str, Any]] = lambda observed: {}
    settle: Callable[[Desired], float] = _at_once
    wait: Optional[Callable[[Access, Desired], Dict[str, Any]]] = None
    complete: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict


class Module(AnsibleModule):  # type: ignore[misc]  # ansible-core has no types
    """AnsibleModule whose own refusals (an unknown option, a wrong type) carry a code as ours do.

    complete: see Resource. What it refuses is kept until there is a module that can say it.
    """

    params: Dict[str, Any]

    def __init__(self, complete: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict, **spec: Any) -> None:
        self._complete = complete
        self.progress = Progress()
        self.refused: Optional[Failure] = None
        super().__init__(**spec)

    def _load_params(self) -> None:
        super()._load_params()
        self.progress = Progress(self.params.pop(OPTION, None))
        try:
            self.params = dict(self._complete(self.params))
        except Failure as failure:
            self.refused = failure

    def fail_json(self, msg: str, **details: Any) -> NoReturn:
        details.setdefault("code", "invalid_options")
        super().fail_json(msg, **details)
        raise SystemExit(1)


def run(resource: Resource[Any, Any, Any]) -> None:
    """The main() of a module: options in, exit_json or fail_json out."""
    module = Module(resource.complete, supports_check_mode=True, **resource.spec)
    if module.refused:
        module.fail_json(**module.refused.as_result())
    params = options(module)
    host = Host(progress=module.progress)
    with host.session():
        result = guarded(module, lambda: converge(resource, host, params, module.check_mode))
    finish(module, result)


def run_info(spec: Mapping[str, Any], gather: Callable[[Host, Mapping[str, Any]], Dict[str, Any]]) -> None:
    """The main() of a module that only reads."""
    module = Module(supports_check_mode=True, **spec)
    finish(module, guarded(module, lambda: {**gather(Host(), module.params), "changed": False}))


def converge(resource: Resource[Access, Desired, Observed], host: Host, params: Mapping[str, Any], check: bool) -> Dict[str, Any]:
    """One convergence, whole: the result with changed, actions, resource, diff, pending, restart_required, warnings."""
    result = begin(resource, host, params, check)
    if not check:
        wait(resource, host, params, result)
    return result


def begin(resource: Resource[Access, Desired, Observed], host: Host, params: Mapping[str, Any], check: bool) -> Dict[str, Any]:
    """A convergence without the wait at its end: of many objects, all begin before the first is waited for."""
    desired = resource.from_params(params)
    host.progress.about = ""
    try:
        with resource.open(host, params) as access:
            before = resource.read(access, desired)
            plan = resource.plan(before, desired)
            if check or not plan.actions:
                return _result(resource, desired, before, plan.after, plan, plan)
            return _apply(resource, host, access, desired, before, plan)
    except NotReady as not_ready:
        if not check:
            raise
        before = resource.nothing(desired)
        plan = resource.plan(before, desired)
        result = _result(resource, desired, before, plan.after, plan, plan)
        result["warnings"].append(f"{not_ready.message}. The prediction starts from a host that has nothing of this yet.")
        return result


def wait(resource: Resource[Access, Desired, Observed], host: Host, params: Mapping[str, Any], result: Dict[str, Any]) -> None:
    """For what the task waits for besides. The result gets what was seen."""
    if resource.wait is None:
        return
    try:
        with resource.open(host, params) as access:
            result["resource"].update(resource.wait(access, resource.from_params(params)))
    except Failure as failure:
        failure.details.update(actions=result["actions"], changed=result["changed"])
        raise


def _apply(
    resource: Resource[Access, Desired, Observed], host: Host, access: Access, desired: Desired, before: Observed, plan: Plan[Observed]
) -> Dict[str, Any]:
    done: List[Action] = []
    with _telling(done):
        for action in plan.actions:
            host.progress.about = action.target
            resource.apply(access, action)
            done.append(action)
    deadline = time.monotonic() + resource.settle(desired)
    with _telling(done):
        after, remaining = _settled(lambda: resource.read(access, desired), lambda found: resource.plan(found, desired), deadline)
    if not remaining.actions:
        return _result(resource, desired, before, after, plan, remaining)
    left = ", ".join(f"{action.kind} {action.target}" for action in remaining.actions)
    raise Failure(
        f"{plan.actions[0].target}: every step was done, yet reading it again still asks for: {left}",
        "not_converged",
        changed=True,
        actions=_describe(plan.actions),
        remaining=_describe(remaining.actions),
    )


def _settled(read: Callable[[], Observed], plan: Callable[[Observed], Plan[Observed]], deadline: float) -> Tuple[Observed, Plan[Observed]]:
    """The host as it is found again, once nothing is left to do or the time is over.

    Until then a refusal is no answer either: a daemon that was told of new files may be half way, with an address not yet there.
    """
    while True:
        over = time.monotonic() >= deadline
        try:
            after = read()
            remaining = plan(after)
            if over or not remaining.actions:
                return after, remaining
        except Failure:
            if over:
                raise
        time.sleep(_POLL_SECONDS)


@contextmanager
def _telling(done: List[Action]) -> Iterator[None]:
    """A failure tells what was done before it."""
    try:
        yield
    except Failure as failure:
        failure.details.setdefault("actions", _describe(done))
        failure.details.setdefault("changed", bool(done))
        raise


def _result(
    resource: Resource[Any, Desired, Observed], desired: Desired, before: Observed, after: Observed, plan: Plan[Observed], final: Plan[Observed]
) -> Dict[str, Any]:
    old, new = resource.view(before, desired), resource.view(after, desired)
    result: Dict[str, Any] = {
        "changed": bool(plan.actions),
        "actions": _describe(plan.actions),
        "resource": {**new, **resource.facts(after)},
        "diff": {"before": to_yaml(old), "after": to_yaml(new)},
        "warnings": list(dict.fromkeys((*plan.warnings, *final.warnings))),
    }
    if final.pending:
        result.update(pending=list(final.pending), restart_required=True)
    else:
        result.update(pending=[], restart_required=False)
    return result


def options(module: AnsibleModule) -> Dict[str, Any]:
    """The module's options, with secret structures taken out of what Ansible shows of the call.

    Ansible masks a no_log option by masking every scalar in it, wherever a result has it. For a text that is right. For a structure it is
    not: after C(cpus: 1), every 1 of the result would be asterisks. No resource returns such an option, so not showing it is enough.
    """
    params = dict(module.params)
    hidden = [name for name, option in module.argument_spec.items() if _is_secret_structure(option, params.get(name))]
    if hidden:
        module.no_log_values = secret_words(module.argument_spec, params)
        module.params.update(dict.fromkeys(hidden, "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"))
    return params


def secret_words(spec: Mapping[str, Any], params: Mapping[str, Any]) -> Set[str]:
    """The texts that are masked wherever a result has them: of all no_log options but the structures."""
    shown = {name: option for name, option in spec.items() if params.get(name) is not None and not _is_secret_structure(option, params[name])}
    checked = ArgumentSpecValidator(shown).validate({name: params[name] for name in shown})
    return set(checked._no_log_values)  # pylint: disable=protected-access  # has no public name


def _is_secret_structure(option: Mapping[str, Any], value: Any) -> bool:
    return bool(option.get("no_log")) and isinstance(value, (dict, list))


def _describe(actions: Tuple[Action, ...] | List[Action]) -> List[Dict[str, Any]]:
    return [action.describe() for action in actions]


def guarded(module: Module, work: Callable[[], Dict[str, Any]]) -> Dict[str, Any]:
    """The result of the work, or the end of the module in one fail_json."""
    try:
        return work()
    except Failure as failure:
        module.fail_json(**failure.as_result())
    except Exception as error:  # the last resort: a fault of ours still ends in a sentence
        module.fail_json(
            msg=f"{module._name}: unexpected {type(error).__name__}: {error}; this is a fault of the module, please report it with -vvv",
            code="internal_error",
            exception=traceback.format_exc(),
        )


def finish(module: Module, result: Dict[str, Any]) -> None:
    """exit_json, with warnings where Ansible shows them and the diff only where it was asked for."""
    for warning in result.pop("warnings", []):
        module.warn(warning)
    if not module._diff:  # pylint: disable=protected-access  # AnsibleModule has no public name for it
        result.pop("diff", None)
    if module.progress.fault:  # the controller takes it out again
        result[OPTION] = module.progress.fault
    module.exit_json(**result)
