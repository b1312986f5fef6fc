# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is seen of long work before it ends. It goes on only when it was seen, so that no machine is too slow for this."""

from __future__ import annotations

import os
import random
import re
import subprocess
import threading

import pytest
import yaml
from support import target_python
from support.images import MIB, info, qemu_img, qemu_io, serving

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
LINE = re.compile(r"qcow2_image \[(?P<host>[^]]+)] (?P<path>\S+): (?P<step>\w+) (?P<percent>\d+) %(?: of (?P<total>[0-9.]+) MiB)?")
PATIENCE = 60  # seconds, for what takes two or three

#: The real qemu-img. The percents that its command WORD writes get no further than a test lets them: past the first two only when there is a file
#: for each. Which ones these are is qemu-img's affair: a commit leaps.
GATED = """\
#!/usr/bin/python3
import os, re, subprocess, sys, time
if "WORD" not in sys.argv:
    os.execv("/usr/bin/qemu-img", ["qemu-img", *sys.argv[1:]])
process = subprocess.Popen(["/usr/bin/qemu-img", *sys.argv[1:]], stdout=subprocess.PIPE)
gates, said, last = ["first", "second"], b"", 0
for piece in iter(lambda: process.stdout.read1(32), b""):
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
    said = (said + piece)[-40:]  # no percent is cut in two
    found = re.findall(rb"\\(([0-9.]+)/100%", said)
    if gates and found and int(float(found[-1])) > last:
        last, deadline = int(float(found[-1])), time.monotonic() + 60
        while not os.path.exists(os.path.join(os.path.dirname(__file__), gates[0])):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        del gates[0]
sys.exit(process.wait())
"""
#: Host → the command of qemu-img that waits, and what the step is called on the screen.
WAITS = {
    "vt-converts": ("convert", "converting"),
    "vt-flattens": ("rebase", "rebasing"),
    "vt-rebases": ("rebase", "rebasing"),
    "vt-commits": ("commit", "committing"),
}


def image_of_noise(path, size):
    noise = path.with_name("noise")
    noise.write_bytes(random.Random(3).randbytes(size * MIB))  # noqa: S311  # a seed that can be repeated
    qemu_img("create", "-q", "-f", "qcow2", path, "64M")
    qemu_io(path, f"write -q -s {noise} 1M {size}M")
    noise.unlink()
    return path


def overlay(path, base):
    """On base, of which it covers the second half."""
    qemu_img("create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", path)
    qemu_io(path, "write -q -P 5 32M 32M")
    return path


@pytest.fixture
def gates(tmp_path):
    """For each host that has one, a folder with a qemu-img that waits."""
    made = {name: tmp_path / f"{name}-gates" for name in WAITS}
    for name, folder in made.items():
        folder.mkdir()
        (folder / "qemu-img").write_text(GATED.replace("WORD", WAITS[name][0]))
        (folder / "qemu-img").chmod(0o755)
    return made


def gated(data, gates):
    """An answer to a request that waits at 40 and at 70 percent."""

    def answer(exchange):
        exchange.say(200, {"Content-Length": len(data), "ETag": '"one"'})
        for begin, end, gate in ((0, 40, gates[0]), (40, 70, gates[1]), (70, 100, None)):
            exchange.wfile.write(data[len(data) * begin // 100 : len(data) * end // 100])
            exchange.wfile.flush()
            assert gate is None or gate.wait(PATIENCE)

    return answer


def images(folder, source):
    """For each host with a qemu-img that waits, its options."""
    other = folder / "other.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", other, "64M")
    qemu_io(other, "write -q -P 6 0 48M")
    base = folder / "base.qcow2"
    base.write_bytes(source.read_bytes())
    for name, below in (("vt-flattens", source), ("vt-rebases", source), ("vt-commits", base)):
        overlay(folder / f"{name}.qcow2", below)
    return {
        "vt-converts": {"source": str(source), "cluster_size": "4K"},
        "vt-flattens": {"backing_file": "", "rebase": "safe"},
        "vt-rebases": {"backing_file": str(other), "rebase": "safe"},
        "vt-commits": {"state": "absent", "commit": True},
    }


def test_percents_rise_on_the_screen_before_the_end(tmp_path, gates):
    source = image_of_noise(tmp_path / "source.qcow2", 16)
    data = source.read_bytes()
    asked = [threading.Event(), threading.Event()]
    with serving() as server:
        url = server.serve("/base.qcow2", gated(data, asked))
        hosts = {name: {"image": image, "path": f"{gates[name]}:{PATH}"} for name, image in images(tmp_path, source).items()}
        hosts["vt-loads"] = {"image": {"source": url}, "path": PATH, "ansible_become": True, "ansible_become_method": "su"}
        for name, words in hosts.items():
            words.update(ansible_connection="local", ansible_python_interpreter=target_python.interpreter())
            words["image"].update(path=str(tmp_path / f"{name}.qcow2"), timeout=PATIENCE)
        task = {"virtops.linux.qcow2_image": "{{ image }}", "environment": {"PATH": "{{ path }}"}}
        (tmp_path / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
        (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
        seen = {name: [] for name in hosts}
        said = []
        argv = ["ansible-playbook", "-i", str(tmp_path / "inventory.yml"), str(tmp_path / "play.yml")]
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with subprocess.Popen(argv, env={**os.environ, "ANSIBLE_BECOME_ALLOW_SAME_USER": "1"}, text=True, **streams) as run:
            watchdog = threading.Timer(2 * PATIENCE, run.kill)
            watchdog.start()
            for line in run.stdout:
                said.append(line)
                found = LINE.match(line)
                step = "downloading" if found and found["host"] == "vt-loads" else found and WAITS[found["host"]][1]
                if found and found["step"] == step:  # a slow machine may show others as well, such as the copy that is rebased
                    seen[found["host"]].append(found)
                    gate = min(len({one["percent"] for one in seen[found["host"]]}), 2) - 1
                    if found["host"] == "vt-loads":
                        asked[gate].set()
                    else:
                        (gates[found["host"]] / ("first", "second")[gate]).touch()
            watchdog.cancel()
    assert run.wait() == 0, "".join(said)
    totals = {"vt-loads": len(data) / MIB, "vt-converts": 16}  # of rebases and commits qemu-img says percents alone
    for name in hosts:
        percents = [int(found["percent"]) for found in seen[name]]
        assert len(set(percents)) >= 2 and percents == sorted(percents), said
        assert {found["path"] for found in seen[name]} == {str(tmp_path / f"{name}.qcow2")}
        total = seen[name][0]["total"]
        assert (total is None) == (name not in totals) and abs(float(total or 0) - totals.get(name, 0)) < 1
        assert sum(f"changed: [{name}]" in line for line in said) == 1
        if name != "vt-commits":
            assert info(tmp_path / f"{name}.qcow2")["virtual-size"] == 64 * MIB
    assert "_virtops_progress" not in "".join(said)
