# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure
from ansible_collections.virtops.linux.plugins.module_utils.engine.run import converge
from ansible_collections.virtops.linux.plugins.module_utils.memory_sharing import plan as p
from ansible_collections.virtops.linux.plugins.module_utils.memory_sharing.fields import BY_KEY, FIELDS, GROUPS
from ansible_collections.virtops.linux.plugins.module_utils.memory_sharing.model import KEPT_PATH, Desired, from_params, render
from ansible_collections.virtops.linux.plugins.module_utils.memory_sharing.read import parse_kept, read
from ansible_collections.virtops.linux.plugins.module_utils.memory_sharing.resource import RESOURCE
from support.hosts import FakeHost, converged

PARAMS = {"ksm": None, "transparent_hugepages": None, "khugepaged": None, "persistent": True}
KSM, THP = "/sys/kernel/mm/ksm", "/sys/kernel/mm/transparent_hugepage"

# Linux 6.1 (Debian 12), which knows no advisor and no smart_scan.
LINUX_6_1 = {
    f"{KSM}/run": "0\n",
    f"{KSM}/pages_to_scan": "100\n",
    f"{KSM}/sleep_millisecs": "20\n",
    f"{KSM}/merge_across_nodes": "1\n",
    f"{KSM}/max_page_sharing": "256\n",
    f"{KSM}/use_zero_pages": "0\n",
    f"{KSM}/pages_shared": "0\n",
    f"{KSM}/pages_sharing": "0\n",
    f"{KSM}/stable_node_chains_prune_millisecs": "2000\n",
    f"{THP}/enabled": "[always] madvise never\n",
    f"{THP}/defrag": "always defer defer+madvise [madvise] never\n",
    f"{THP}/shmem_enabled": "always within_size advise [never] deny force\n",
    f"{THP}/use_zero_page": "1\n",
    f"{THP}/hpage_pmd_size": "2097152\n",
    f"{THP}/khugepaged/defrag": "1\n",
    f"{THP}/khugepaged/pages_to_scan": "4096\n",
    f"{THP}/khugepaged/max_ptes_none": "511\n",
    "/proc/meminfo": "MemAvailable:    1048576 kB\n",
}
LINUX_6_12 = {
    **LINUX_6_1,
    f"{KSM}/smart_scan": "1\n",
    f"{KSM}/advisor_mode": "[none] scan-time\n",
    f"{KSM}/advisor_max_cpu": "70\n",
}


class Kernel(FakeHost):
    """Files that show a choice in brackets, as sysfs does, and the rules of ksm.c."""

    def write_knob(self, path, text):
        real = Path(self.path(path))
        shown = real.read_text()
        if "[" in shown:
            words = shown.replace("[", "").replace("]", "").split()
            text = " ".join(f"[{word}]" if word == text else word for word in words)
        if path.endswith(("merge_across_nodes", "max_page_sharing")) and self.text(f"{KSM}/pages_shared") != "0\n":
            raise Failure(f"{path}: cannot write: Device or resource busy", "io_error")
        if path.endswith("ksm/run") and text == "2":
            for name in ("pages_shared", "pages_sharing"):
                Path(self.path(f"{KSM}/{name}")).write_text("0\n")
        if path.endswith("advisor_mode"):
            Path(self.path(f"{KSM}/pages_to_scan")).write_text("100\n" if text.startswith("[none]") else "500\n")
        real.write_text(text + "\n")


def run(host, check=False, **params):
    return converge(RESOURCE, host, {**PARAMS, **params}, check)


def cycle(host, **params):
    first, applied = run(host, check=True, **params), run(host, **params)
    for key in ("changed", "actions", "diff", "pending"):
        assert first[key] == applied[key], key
    assert applied["changed"] and applied["diff"]["before"] != applied["diff"]["after"]
    for again in (run(host, check=True, **params), run(host, **params)):
        assert not again["changed"] and not again["actions"], again["actions"]
    return applied


def words(result):
    return [(action["action"], action["target"]) for action in result["actions"]]


def test_now_and_at_the_next_boot(tmp_path):
    host = Kernel(tmp_path, LINUX_6_1)
    cycle(host, ksm={"run": True, "pages_to_scan": 1000}, transparent_hugepages={"enabled": "madvise", "defrag": "defer+madvise"})
    assert host.text(f"{KSM}/run") == "1\n" and "[defer+madvise]" in host.text(f"{THP}/defrag")
    assert host.text(KEPT_PATH).splitlines()[1:] == [
        "w /sys/kernel/mm/ksm/pages_to_scan - - - - 1000",
        "w /sys/kernel/mm/ksm/run - - - - 1",
        "w /sys/kernel/mm/transparent_hugepage/enabled - - - - madvise",
        "w /sys/kernel/mm/transparent_hugepage/defrag - - - - defer+madvise",
    ]


def test_what_is_not_named_stays_and_an_empty_dictionary_forgets(tmp_path):
    host = Kernel(tmp_path, LINUX_6_1)
    cycle(host, ksm={"run": True})
    result = cycle(host, khugepaged={"defrag": False})
    assert result["resource"]["kept"] == {"ksm": {"run": True}, "khugepaged": {"defrag": False}}
    assert words(cycle(host, ksm={})) == [("keep_values", KEPT_PATH)]
    assert host.text(f"{KSM}/run") == "1\n"
    assert words(cycle(host, khugepaged={})) == [("forget_values", KEPT_PATH)]
    assert not host.exists(KEPT_PATH)


def test_not_persistent_leaves_the_file_alone(tmp_path):
    host = Kernel(tmp_path, LINUX_6_1)
    cycle(host, ksm={"run": True})
    assert words(cycle(host, ksm={"run": False}, persistent=False)) == [("set_value", "ksm.run")]
    assert parse_kept(host.text(KEPT_PATH)) == {"ksm.run": "1"}


def test_stopped_and_taken_apart_is_stopped(tmp_path):
    host = Kernel(tmp_path, {**LINUX_6_1, f"{KSM}/run": "2\n"})
    assert not run(host, ksm={"run": False}, persistent=False)["changed"]
    cycle(host, ksm={"run": True})


def merged(**more):
    return {**LINUX_6_1, f"{KSM}/run": "1\n", f"{KSM}/pages_shared": "10\n", f"{KSM}/pages_sharing": "1000\n", **more}


def test_pages_are_taken_apart_where_nothing_else_helps(tmp_path):
    host = Kernel(tmp_path, merged())
    result = cycle(host, ksm={"merge_across_nodes": False})
    assert words(result)[:3] == [("unmerge_pages", "ksm"), ("set_value", "ksm.merge_across_nodes"), ("set_value", "ksm.run")]
    assert host.text(f"{KSM}/run") == "1\n" and result["resource"]["saved_memory"] == 0


def test_and_stay_apart_where_merging_is_to_stop(tmp_path):
    host = Kernel(tmp_path, merged())
    cycle(host, ksm={"max_page_sharing": 16, "run": False})
    assert host.text(f"{KSM}/run") == "0\n"


def test_taking_apart_needs_memory(tmp_path):
    host = Kernel(tmp_path, merged(**{f"{KSM}/pages_sharing": "1000000\n"}))
    with pytest.raises(Failure, match=r"ksm\.merge_across_nodes: .* only 1\.0 GiB are available") as caught:
        run(host, ksm={"merge_across_nodes": False})
    assert caught.value.code == "not_enough_memory" and host.text(f"{KSM}/run") == "1\n"
    run(host, ksm={"pages_to_scan": 7})


def test_the_advisor_and_pages_to_scan(tmp_path):
    host = Kernel(tmp_path, LINUX_6_12)
    cycle(host, ksm={"advisor_mode": "scan-time", "advisor_max_cpu": 50})
    with pytest.raises(Failure, match="set that to none") as caught:
        run(host, ksm={"pages_to_scan": 500})
    assert caught.value.code == "advisor_in_charge"
    cycle(host, ksm={"advisor_mode": "none", "pages_to_scan": 500})
    assert host.text(f"{KSM}/pages_to_scan") == "500\n"


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"ksm": {"smart_scan": True}}, "setting_unsupported", r"no /sys/kernel/mm/ksm/smart_scan; leave it out"),
        ({"transparent_hugepages": {"shmem_enabled": "force"}}, "setting_unsupported", "takes no 'force'; it takes always, never"),
        ({"khugepaged": {"max_ptes_none": 512}}, "invalid_value", "use 0 to 511"),
    ],
)
def test_what_the_kernel_does_not_offer(tmp_path, options, code, message):
    host = Kernel(tmp_path, {**LINUX_6_1, f"{THP}/shmem_enabled": "always [never]\n"})
    with pytest.raises(Failure, match=message) as caught:
        run(host, **options)
    assert caught.value.code == code and not host.exists(KEPT_PATH)


def test_a_kernel_without_any_of_it(tmp_path):
    with pytest.raises(Failure, match="built with CONFIG_KSM"):
        run(Kernel(tmp_path), ksm={"run": True})


@pytest.mark.parametrize(
    ("group", "option", "value"),
    [("ksm", "sleep_millisecs", -1), ("ksm", "max_page_sharing", 1), ("ksm", "advisor_max_cpu", 0), ("khugepaged", "pages_to_scan", 0)],
)
def test_numbers_out_of_range(group, option, value):
    with pytest.raises(Failure, match=f"{group}.{option}: {value} is out of range") as caught:
        from_params({**PARAMS, group: {option: value}})
    assert caught.value.code == "invalid_value"


@pytest.mark.parametrize("key", BY_KEY)
def test_every_field_is_rendered_parsed_and_planned(key, tmp_path):
    field = BY_KEY[key]
    raw = {"flag": True, "number": 3, "word": field.choices[-1] if field.choices else ""}[field.form]
    desired = from_params({**PARAMS, field.group: {field.name: raw}})
    assert parse_kept(render(desired.values)) == dict(desired.values) == {key: field.text(raw)}
    observed = replace(read(FakeHost(tmp_path), desired), values={key: "0"}, offered={key: field.choices})
    plan = converged(p.plan, observed, desired)
    assert plan.actions[0] == p.SetValue(key, field.text(raw))
    assert p.view(plan.after, desired)[field.group] == {field.name: raw}
    assert p.view(p.nothing(desired), desired)[field.group] == {field.name: None}


def test_the_table_is_in_order():
    assert len(BY_KEY) == len(FIELDS) and [group.name for group in GROUPS] == ["ksm", "transparent_hugepages", "khugepaged"]
    assert list(BY_KEY).index("ksm.advisor_mode") < list(BY_KEY).index("ksm.pages_to_scan") < list(BY_KEY).index("ksm.run")


def test_nothing_asked_is_nothing_done(tmp_path):
    assert p.plan(read(Kernel(tmp_path, LINUX_6_1), Desired({})), Desired({})).actions == ()
