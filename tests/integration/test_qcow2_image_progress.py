# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is seen of downloads and conversions before they end. Each goes on only when it was seen, so that no machine is too slow for this."""

from __future__ import annotations

import os
import random
import re
import subprocess
import threading

import pytest
import yaml
from support.images import MIB, info, qemu_img, qemu_io, serving

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
LINE = re.compile(r"qcow2_image \[(?P<host>[^]]+)] (?P<path>\S+): (?P<step>\w+) (?P<percent>\d+) % of (?P<total>[0-9.]+) MiB")
PATIENCE = 60  # seconds, for what takes two or three

#: The real qemu-img. The percents that it writes get no further than a test lets them: past 40 and past 70 only when there is a file.
GATED = """\
#!/usr/bin/python3
import os, re, subprocess, sys, time
if "convert" not in sys.argv:
    os.execv("/usr/bin/qemu-img", ["qemu-img", *sys.argv[1:]])
process = subprocess.Popen(["/usr/bin/qemu-img", *sys.argv[1:]], stdout=subprocess.PIPE)
gates = [(40, "first"), (70, "second")]
for piece in iter(lambda: process.stdout.read1(32), b""):
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
    found = re.search(rb"([0-9.]+)/100%", piece)
    while gates and found and float(found[1]) >= gates[0][0]:
        deadline = time.monotonic() + 60
        while not os.path.exists(os.path.join(os.path.dirname(__file__), gates[0][1])):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        del gates[0]
sys.exit(process.wait())
"""


def image_of_noise(path, size):
    noise = path.with_name("noise")
    noise.write_bytes(random.Random(3).randbytes(size * MIB))  # noqa: S311  # a seed that can be repeated
    qemu_img("create", "-q", "-f", "qcow2", path, "64M")
    qemu_io(path, f"write -q -s {noise} 1M {size}M")
    noise.unlink()
    return path


@pytest.fixture
def gates(tmp_path):
    """A folder with a qemu-img that waits."""
    folder = tmp_path / "gates"
    folder.mkdir()
    (folder / "qemu-img").write_text(GATED)
    (folder / "qemu-img").chmod(0o755)
    return folder


def gated(data, gates):
    """An answer to a request that waits at 40 and at 70 percent."""

    def answer(exchange):
        exchange.say(200, {"Content-Length": len(data), "ETag": '"one"'})
        for begin, end, gate in ((0, 40, gates[0]), (40, 70, gates[1]), (70, 100, None)):
            exchange.wfile.write(data[len(data) * begin // 100 : len(data) * end // 100])
            exchange.wfile.flush()
            assert gate is None or gate.wait(PATIENCE)

    return answer


def test_percents_rise_on_the_screen_before_the_end(tmp_path, gates):
    source = image_of_noise(tmp_path / "source.qcow2", 16)
    data = source.read_bytes()
    asked = [threading.Event(), threading.Event()]
    with serving() as server:
        url = server.serve("/base.qcow2", gated(data, asked))
        hosts = {
            "vt-loads": {"image": {"source": url}, "path": PATH, "ansible_become": True, "ansible_become_method": "su"},
            "vt-converts": {"image": {"source": str(source), "cluster_size": "4K"}, "path": f"{gates}:{PATH}"},
        }
        for name, words in hosts.items():
            words.update(ansible_connection="local", ansible_python_interpreter="/usr/bin/python3")
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
                if found:
                    seen[found["host"]].append(found)
                    gate = min(len({one["percent"] for one in seen[found["host"]]}), 2) - 1
                    if found["host"] == "vt-loads":
                        asked[gate].set()
                    else:
                        (gates / ("first", "second")[gate]).touch()
            watchdog.cancel()
    assert run.wait() == 0, "".join(said)
    for name, step, total in (("vt-loads", "downloading", len(data) / MIB), ("vt-converts", "converting", 16)):
        percents = [int(found["percent"]) for found in seen[name]]
        assert len(set(percents)) >= 2 and percents == sorted(percents), said
        assert {(found["step"], found["path"]) for found in seen[name]} == {(step, str(tmp_path / f"{name}.qcow2"))}
        assert total - 1 < float(seen[name][0]["total"]) < total + 1
        assert info(tmp_path / f"{name}.qcow2")["virtual-size"] == 64 * MIB
        assert sum(f"changed: [{name}]" in line for line in said) == 1
    assert "_virtops_progress" not in "".join(said)
