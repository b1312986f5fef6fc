# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The playbook preflight: every host is reported, whatever becomes of it, and the report is one file of harmless text."""

from __future__ import annotations

import json
import os
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest
from support import target_python
from support.fleet import HOSTILE, fleet, hostile, reports, write_inventory

# One that nobody answers for (first, so that what is done once is done in its name), one without Python, one whose module says no, one that works.
INVENTORY = """
[all:vars]
ansible_python_interpreter={python}
[all]
vt-away ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1
vt-bare ansible_connection=local ansible_python_interpreter=/vt/no/python3
vt-odd ansible_connection=local preflight_disk_paths='["not/absolute"]'
vt-here ansible_connection=local
"""
RENDER = [
    {
        "name": "Report on what was found already",
        "hosts": "all",
        "gather_facts": False,
        "tasks": [{"name": "Report", "ansible.builtin.import_role": {"name": "virtops.linux.preflight", "tasks_from": "report"}}],
    }
]
VOID = {"meta", "input", "br", "img", "link"}


def ansible(inventory: Path, playbook: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    # a shell says by PWD where it is
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": os.environ["VIRTOPS_COLLECTIONS"],
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PIPELINING": "True",
        "PWD": str(inventory.parent),
    }
    argv = ["ansible-playbook", "-i", str(inventory), playbook, *arguments]
    return subprocess.run(argv, env=environment, cwd=inventory.parent, capture_output=True, text=True, check=False, timeout=600)


class Page(HTMLParser):
    """What a page is made of. Fails where its tags do not close each other."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: List[str] = []
        self.tags: List[Tuple[str, Dict[str, Optional[str]]]] = []
        self.words: List[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing, at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def attributes(self, name: str) -> List[str]:
        return [attributes[name] or "" for _tag, attributes in self.tags if name in attributes]


def self_contained(text: str) -> Page:
    """The page, once it was seen to fetch nothing."""
    page = Page(text)
    assert not {tag for tag, _attributes in page.tags} & {"img", "link", "iframe", "object", "embed", "base"}
    assert page.attributes("src") == []
    assert all(target.startswith("#host-") for target in page.attributes("href"))
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|https?://", text.replace(HOSTILE, ""))
    anchors = page.attributes("id")
    assert len(anchors) == len(set(anchors)) and {target[1:] for target in page.attributes("href")} <= set(anchors)
    return page


def table(output: str) -> List[str]:
    """The lines that the play ended with."""
    return json.loads(re.search(r'"msg": (\[.*?\n    \])', output, re.DOTALL)[1])  # type: ignore[index]


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    path = tmp_path / "inventory"
    path.write_text(INVENTORY.replace("{python}", target_python.interpreter()))
    return path


def test_every_host_is_reported(inventory: Path) -> None:
    done = ansible(inventory, "virtops.linux.preflight")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not re.search(r"changed=[1-9]", done.stdout)
    lines = table(done.stdout)
    assert lines[0].startswith("HOST ") and [line.split()[0].rstrip(":") for line in lines[1:5]] == ["vt-away", "vt-bare", "vt-odd", "vt-here"]
    assert "unreachable: " in lines[1] and "failed: " in lines[2] and "not an absolute path" in lines[3]
    assert lines[-1].endswith(str(inventory.parent / "preflight.html")), "the report is in the folder that the playbook was started from"
    text = (inventory.parent / "preflight.html").read_text()
    page = self_contained(text)
    assert {"vt-here", "vt-away", "vt-bare", "vt-odd"} <= set(page.words)
    assert "kvm.proof" in page.words and "not an absolute path" in text
    assert sum("host card" in name for name in page.attributes("class")) == 4


def test_the_report_goes_where_it_is_told(inventory: Path) -> None:
    variables = {"preflight_report": str(inventory.parent / "there.html"), "preflight_title": "Racks & rooms", "preflight_gather_subset": ["cpu"]}
    done = ansible(inventory, "virtops.linux.preflight", "--limit", "vt-here", "-e", json.dumps(variables))
    assert done.returncode == 0, done.stdout
    text = (inventory.parent / "there.html").read_text()
    assert "<title>Racks &amp; rooms</title>" in text and "cpu.virtualization" in text and "cgroup.mode" not in text
    assert self_contained(text).words.count("vt-here") >= 2, "in the table and by itself, and where it has findings"


def test_options_reach_the_module(inventory: Path) -> None:
    variables = {
        "preflight_report": "",
        "preflight_gather_subset": ["kvm"],
        "preflight_kvm_probe": False,
        "preflight_user": "vt-nobody-at-all",
        "preflight_requirements": {"min_vcpus": 100000},
        "preflight_reserve": {"vcpus": 1},
        "preflight_fail_on": "fail",
    }
    done = ansible(inventory, "virtops.linux.preflight", "-e", json.dumps(variables))
    assert done.returncode == 2, "hosts that do not pass fail, once all are reported"
    lines = table(done.stdout)
    assert len([line for line in lines if line.startswith("vt-")]) == 4 and "unknown" in lines[4]
    assert any(line.split()[0] == "requirement.min_vcpus" for line in lines if line.strip())
    assert "vt-here: " in done.stdout and "requirement.min_vcpus" in done.stdout and "kvm.user" in done.stdout
    failed = re.findall(r"^(vt-\w+) .*failed=1", done.stdout, re.MULTILINE)
    assert sorted(failed) == ["vt-away", "vt-bare", "vt-here", "vt-odd"]
    assert not (inventory.parent / "preflight.html").exists()


def test_check_mode_looks_and_writes_nothing(inventory: Path) -> None:
    done = ansible(inventory, "virtops.linux.preflight", "--check", "--limit", "vt-here")
    assert done.returncode == 0 and table(done.stdout)[1].startswith("vt-here ")
    assert not (inventory.parent / "preflight.html").exists()


def rendered(tmp_path: Path, hosts: Dict[str, Dict[str, Any]]) -> Tuple[str, List[str]]:
    playbook, page = tmp_path / "render.yml", tmp_path / "fleet.html"
    playbook.write_text(json.dumps(RENDER))
    done = ansible(write_inventory(tmp_path, hosts), str(playbook), "-e", f"preflight_report={page}")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return page.read_text(), table(done.stdout)


def test_a_fleet(tmp_path: Path) -> None:
    hosts = dict(fleet(64))
    text, lines = rendered(tmp_path, hosts)
    page = self_contained(text)
    verdicts = page.attributes("data-verdict")
    unseen = [name for name, result in hosts.items() if "checks" not in result]
    failing = [name for name, result in hosts.items() if any(check["status"] == "fail" for check in result.get("checks", []))]
    rows = [attributes["data-verdict"] for tag, attributes in page.tags if tag == "tr" and "data-verdict" in attributes]
    assert len(rows) == 64 and rows.count("unknown") == len(unseen) > 1 and rows.count("fail") == len(failing) > 5 and verdicts
    assert rows == sorted(rows, key=["fail", "unknown", "warn", "pass"].index), "what asks for something comes first"
    assert all(name in page.words for name in hosts)
    assert len([line for line in lines if line.startswith("kvm0")]) == 64
    assert all(float(width) <= 100 for width in re.findall(r"width:([0-9.]+)%", text))


def test_what_a_host_says_stays_text(tmp_path: Path) -> None:
    bad = hostile(reports()["intel"])
    hosts = {"vt-<b>bold</b>": bad, "vt-gone": {"unreachable": True, "msg": HOSTILE}, "vt-broken": {"failed": True, "msg": HOSTILE}}
    text, _lines = rendered(tmp_path, hosts)
    page = self_contained(text)
    assert "<script>alert" not in text and "<b>bold" not in text and "<img" not in text
    assert [tag for tag, _attributes in page.tags].count("script") == 1
    assert not [attributes for _tag, attributes in page.tags if any(name.startswith("on") for name in attributes)]
    assert HOSTILE in "".join(page.words)
