# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every definition of libvirt's own test data that the installed libvirt accepts, through our modules. Prints the figures.

For each: check, apply, apply again, check again; and, defined by libvirt alone, adopted by us without a change.
`make bench-corpus`, as root; KINDS='pools secrets' for some of them, EVERY=8 for every eighth file. What does not hold is told when it is
found, and again at the end. In a libvirtd of its own, with namespaces of its own: this machine's objects are neither seen nor touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests")]

from support.modules import Result, run_module  # noqa: E402
from support.private_libvirt import NAMESPACES, cover  # noqa: E402

from benchmarks.corpus.fetch import fetch, version  # noqa: E402
from benchmarks.corpus.kinds import KINDS, Kind, virsh  # noqa: E402
from benchmarks.corpus.reasons import REASONS  # noqa: E402

INSIDE = "VIRTOPS_CORPUS"
#: Of what must hold of all, and of what may have reasons.
LEAST = {"adopted": 0.98}
COLUMNS = ("predicted", "applied", "again", "check", "adopted")


@dataclass
class Row:
    files: int = 0
    accepted: int = 0
    held: Dict[str, int] = field(default_factory=lambda: dict.fromkeys(COLUMNS, 0))
    reasons: List[str] = field(default_factory=list)

    def count(self, column: str, holds: bool, what: str, reason: object) -> None:
        self.held[column] += holds
        if not holds:
            self.reasons.append(f"{what}: {column}: {reason}")
            print(self.reasons[-1], file=sys.stderr, flush=True)

    def good(self) -> bool:
        return all(self.held[column] >= LEAST.get(column, 1) * self.accepted for column in COLUMNS)


def _reason(result: Result) -> str:
    return str(result["msg"] if result["failed"] else result["actions"])


def measure(kind: Kind, tests: Path) -> Row:
    row = Row()
    for words in kind.prepare:
        assert virsh(*words)[0], words
    for path in kind.files(tests)[:: int(os.environ.get("EVERY", "1"))]:
        row.files += 1
        text = path.read_text()
        if kind.make(path)[0]:
            row.accepted += 1
            _measure(kind, row, f"{path.parent.name}/{path.name}", text)
    return row


def _measure(kind: Kind, row: Row, what: str, text: str) -> None:
    params = {**kind.options, "xml": text}
    handle = kind.handle(text)
    adopted = run_module(kind.module, params, check=True)
    why = REASONS.get(what.rpartition("/")[2].rpartition(".")[0], "nobody knows why yet")
    row.count("adopted", not adopted["failed"] and not adopted["changed"], what, f"{_reason(adopted)}: {why}")
    kind.remove(handle)
    before, applied = run_module(kind.module, params, check=True), run_module(kind.module, params)
    row.count("predicted", before.get("actions") == applied.get("actions"), what, (before.get("actions"), applied.get("actions")))
    row.count("applied", not applied["failed"], what, _reason(applied))
    again, after = run_module(kind.module, params), run_module(kind.module, params, check=True)
    row.count("again", not again["failed"] and not again["changed"], what, _reason(again))
    row.count("check", not after["failed"] and not after["changed"], what, _reason(after))
    kind.remove(handle)


def inside(names: List[str], tests: Path) -> int:
    """Behind the namespaces: libvirt's state on file systems of its own, and a libvirtd that knows nothing else."""
    cover()
    daemons = []
    for name in ("virtlogd", "libvirtd"):
        command = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin") or name
        daemons.append(subprocess.Popen([command, "--pid-file", f"/run/libvirt/{name}.pid"], stderr=subprocess.DEVNULL))
    try:
        deadline = time.monotonic() + 120
        while not virsh("uri")[0]:
            assert daemons[-1].poll() is None, "libvirtd ended"
            assert time.monotonic() < deadline, "libvirtd does not answer within two minutes"
            time.sleep(0.2)
        return report(names, tests)
    finally:
        for daemon in daemons:
            daemon.terminate()


def report(names: List[str], tests: Path) -> int:
    rows = {}
    print(f"libvirt {version()}")
    print(f"{'':10} {'files':>6} {'accepted':>9} " + " ".join(f"{column:>10}" for column in COLUMNS) + f" {'seconds':>8}", flush=True)
    for name in names:
        began = time.monotonic()
        row = rows[name] = measure(KINDS[name], tests)
        figures = " ".join(f"{row.held[column]:>10}" for column in COLUMNS)
        print(f"{name:10} {row.files:>6} {row.accepted:>9} {figures} {time.monotonic() - began:>8.0f}", flush=True)
    for name, row in rows.items():
        for reason in row.reasons:
            print(f"{name}: {reason}")
    return 0 if all(row.good() for row in rows.values()) else 1


def main() -> int:
    names = sys.argv[1:] or list(KINDS)
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        print(f"no such kind: {', '.join(unknown)}; there are {', '.join(KINDS)}", file=sys.stderr)
        return 2
    tests = fetch(ROOT / ".cache/corpus")
    if os.environ.get(INSIDE):
        return inside(names, tests)
    return subprocess.run([*NAMESPACES, sys.executable, __file__, *names], env={**os.environ, INSIDE: "1"}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
