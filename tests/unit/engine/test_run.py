# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The run of a resource that is as simple as one can be: a file with a word in it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure, NotReady
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Host
from ansible_collections.virtops.linux.plugins.module_utils.engine.plan import HIDDEN, Action, Plan
from ansible_collections.virtops.linux.plugins.module_utils.engine.run import Resource, converge
from ansible_collections.virtops.linux.plugins.module_utils.engine.run_many import Item, Section, converge_all, items, ordered


@dataclass(frozen=True)
class WriteWord(Action):
    word: str
    secret: str = field(default="", metadata=HIDDEN)


def plan(observed, desired):
    return Plan((WriteWord("/word", desired, "hush"),) if observed != desired else (), desired)


def from_params(params):
    if not params["word"].isalpha():
        raise Failure(f"word: {params['word']!r} is no word", "invalid_word")
    return params["word"]


WORD = Resource(
    spec={"argument_spec": {"word": {"type": "str", "required": True}, "state": {"type": "str", "default": "present"}}},
    from_params=from_params,
    read=lambda host, desired: host.read("/word"),
    plan=plan,
    apply=lambda host, action: host.write(action.target, action.word),
    view=lambda observed, desired: {"word": observed} if observed else {},
    nothing=lambda desired: None,
)


@pytest.fixture
def host(tmp_path):
    return Host(str(tmp_path))


def test_check_predicts_and_touches_nothing(host):
    predicted = converge(WORD, host, {"word": "hello"}, check=True)
    assert host.read("/word") is None
    assert predicted == converge(WORD, host, {"word": "hello"}, check=False)
    assert predicted["actions"] == [{"action": "write_word", "target": "/word", "word": "hello"}]
    assert predicted["diff"] == {"before": "", "after": "word: hello\n"}
    assert not converge(WORD, host, {"word": "hello"}, check=False)["changed"]


def test_a_change_that_does_not_hold_is_an_error(host):
    stubborn = replace(WORD, apply=lambda host, action: None)
    with pytest.raises(Failure, match="still asks for: write_word /word") as caught:
        converge(stubborn, host, {"word": "hello"}, check=False)
    assert caught.value.code == "not_converged" and caught.value.details["changed"]


def test_what_arrives_later_is_waited_for(host):
    answers = iter([None, None, None, "hello"])
    slow = replace(WORD, read=lambda host, desired: next(answers), settle=lambda desired: 5.0)
    assert converge(slow, host, {"word": "hello"}, check=False)["changed"]


def test_a_refusal_half_way_is_waited_out(host):
    answers = iter([None, None, "hello"])

    def refusing(observed, desired):
        if seen and observed is None:
            raise Failure("not with this", "not_with_this")
        seen.append(observed)
        return plan(observed, desired)

    seen = []
    half_way = replace(WORD, read=lambda host, desired: next(answers), plan=refusing, settle=lambda desired: 5.0)
    assert converge(half_way, host, {"word": "hello"}, check=False)["changed"]
    with pytest.raises(Failure, match="not with this"):
        converge(replace(half_way, read=lambda host, desired: None, settle=lambda desired: 0.3), host, {"word": "hello"}, check=False)


def test_a_failure_tells_what_was_done_before(host):
    def apply(host, action):
        raise Failure("no", "no")

    with pytest.raises(Failure) as caught:
        converge(replace(WORD, apply=apply), host, {"word": "hello"}, check=False)
    assert caught.value.details == {"actions": [], "changed": False}


def test_a_failure_to_look_again_tells_what_was_done(host):
    seen = []

    def read(host, desired):
        seen.append(desired)
        if len(seen) > 1:
            raise Failure("no", "no")
        return WORD.read(host, desired)

    with pytest.raises(Failure) as caught:
        converge(replace(WORD, read=read), host, {"word": "hello"}, check=False)
    assert len(caught.value.details["actions"]) == 1 and caught.value.details["changed"]


def test_check_mode_starts_from_nothing_where_the_tool_is_missing(host):
    def read(host, desired):
        raise NotReady("wordd: not installed", "tool_missing")

    predicted = converge(replace(WORD, read=read), host, {"word": "hello"}, check=True)
    assert predicted["changed"] and "wordd: not installed" in predicted["warnings"][0]
    with pytest.raises(NotReady):
        converge(replace(WORD, read=read), host, {"word": "hello"}, check=False)


def test_all_mistakes_of_all_items_at_once():
    sections = (Section("words", lambda: WORD),)
    found, mistakes, secrets = items(sections, {"words": [{"word": "a"}, {"word": "1"}, {"wrod": "b"}]})
    assert [item.label for item in found] == ["words[0]", "words[1]", "words[2]"] and not secrets
    assert mistakes[0] == "words[1]: word: '1' is no word"
    assert any("wrod" in mistake for mistake in mistakes[1:])


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("vhost_net: this kernel loads no modules", "modules[1]: vhost_net: this kernel loads no modules"),
        ("module vhost_net: in use", "modules[1]: module vhost_net: in use"),
        ("reload: not possible for vhost_net", "modules[1] vhost_net: reload: not possible for vhost_net"),
        ("my_vhost_net: no such module", "modules[1] vhost_net: my_vhost_net: no such module"),
    ],
)
def test_an_object_is_named_once(message, said):
    assert Item("modules[1]", "vhost_net", Section("modules", lambda: WORD), {}).says(message) == said


def test_what_leaves_goes_first_and_backwards():
    sections = (Section("networks", lambda: WORD), Section("guests", lambda: WORD))
    gone = {"word": "a", "state": "absent"}
    found, mistakes, secrets = items(sections, {"networks": [gone, {"word": "b"}], "guests": [{"word": "c"}, gone]})
    assert [item.label for item in ordered(found)] == ["guests[1]", "networks[0]", "networks[1]", "guests[0]"]
    assert not mistakes and not secrets


def test_what_is_waited_for_is_no_change_and_check_mode_does_not_wait(host):
    waited = []
    patient = replace(WORD, wait=lambda host, desired: waited.append(desired) or {"heard": desired})
    assert "heard" not in converge(patient, host, {"word": "hello"}, check=True)["resource"] and not waited
    assert converge(patient, host, {"word": "hello"}, check=False)["resource"] == {"word": "hello", "heard": "hello"}
    assert not converge(patient, host, {"word": "hello"}, check=False)["changed"] and len(waited) == 2


def test_a_wait_in_vain_tells_what_was_done_before_it(host):
    def in_vain(host, desired):
        raise Failure("not heard", "wait_timeout")

    with pytest.raises(Failure) as caught:
        converge(replace(WORD, wait=in_vain), host, {"word": "hello"}, check=False)
    assert caught.value.details["changed"] and caught.value.details["actions"][0]["action"] == "write_word"


def test_all_begin_before_the_first_is_waited_for(host):
    order = []
    patient = replace(
        WORD,
        read=lambda host, desired: order.append(desired) or desired,
        wait=lambda host, desired: order.append(f"wait {desired}") or {"heard": desired},
    )
    params = {"words": [{"word": "a"}, {"word": "b"}]}
    result = converge_all(SimpleNamespace(check_mode=False, no_log_values=set()), host, params, (Section("words", lambda: patient),))
    assert order == ["a", "b", "wait a", "wait b"]
    assert [entry["heard"] for entry in result["resource"]["words"]] == ["a", "b"]
    converge_all(SimpleNamespace(check_mode=True, no_log_values=set()), host, params, (Section("words", lambda: patient),))
    assert order[4:] == ["a", "b"]

    def in_vain(host, desired):
        raise Failure("not heard", "wait_timeout")

    with pytest.raises(Failure, match=r"^words\[0\]: not heard$") as caught:
        converge_all(SimpleNamespace(check_mode=False, no_log_values=set()), host, params, (Section("words", lambda: replace(WORD, wait=in_vain)),))
    assert [step["item"] for step in caught.value.details["actions"]] == ["words[0]", "words[1]"] and caught.value.details["changed"]
