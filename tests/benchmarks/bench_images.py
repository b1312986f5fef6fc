# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long qcow2_image takes to make an image from a source, against plain qemu-img convert doing the same.

The source has 20 GiB, of which 2 GiB are data that no compression shortens. The two take turns, so that a busy machine is as busy for
both, and each turn begins with nothing left to be written to the disk. The ratio is the median over the turns of the wall time of the
whole module run, from the start of its Python to its result, to that of the one qemu-img process. The module's file is on disk for good
when it ends, as an image has to be before it gets its name. Plain qemu-img leaves that to the kernel, and where memory is large its data may not
have reached the disk at all; its time with a sync of the file is printed as well, with the ratio to that.

bench_images.py [TURNS] [FOLDER]
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from support.images import MIB, qemu_img, qemu_io, spawned

LIMIT = 1.1
#: What is asked for: for people, of the module, of qemu-img convert.
CASES = (
    ("to raw", {"format": "raw"}, ["-O", "raw"]),
    ("to qcow2 with larger clusters", {"cluster_size": "128K"}, ["-O", "qcow2", "-o", "cluster_size=131072"]),
    ("to qcow2 as it is", {}, ["-O", "qcow2"]),
)


def make_source(path: Path) -> None:
    """Eight pieces of 256 MiB, spread over the disk."""
    noise = path.with_name("noise")
    seeded = random.Random(1)  # noqa: S311  # a seed that can be repeated
    noise.write_bytes(b"".join(seeded.randbytes(MIB) for _piece in range(256)))
    qemu_img("create", "-q", "-f", "qcow2", path, "20G")
    for number in range(8):
        qemu_io(path, f"write -q -s {noise} {number * 2560 + 13}M 256M")
    noise.unlink()


def timed(work: Callable[[], object]) -> float:
    os.sync()
    started = time.monotonic()
    work()
    return time.monotonic() - started


def module(source: Path, target: Path, options: dict) -> None:
    run = spawned("qcow2_image", {"path": str(target), "source": str(source), **options})
    assert run.wait() == 0, run.stdout.read()
    run.stdout.close()


def plain(source: Path, target: Path, words: List[str]) -> None:
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", *words, str(source), str(target)], check=True)


def turn(source: Path, folder: Path, options: dict, words: List[str], module_first: bool) -> Tuple[float, float, float]:
    """Seconds of the module, of plain qemu-img, and of that with a sync."""
    mine, theirs = folder / "mine", folder / "theirs"
    times = {}
    for name in ("module", "plain") if module_first else ("plain", "module"):
        if name == "module":
            times["module"] = timed(lambda: module(source, mine, options))
            mine.unlink()
        else:
            times["plain"] = timed(lambda: plain(source, theirs, words))
            started = time.monotonic()
            subprocess.run(["sync", str(theirs)], check=True)
            times["synced"] = times["plain"] + time.monotonic() - started
            theirs.unlink()
    return times["module"], times["plain"], times["synced"]


def main(turns: int, place: str) -> int:
    worst = 0.0
    with tempfile.TemporaryDirectory(prefix="vt-bench-", dir=place) as made:
        folder = Path(made)
        source = folder / "source.qcow2"
        make_source(source)
        for label, options, words in CASES:
            plain(source, folder / "warm", words)
            (folder / "warm").unlink()
            found = [turn(source, folder, options, words, bool(number % 2)) for number in range(turns)]
            ratio = statistics.median(mine / theirs for mine, theirs, _synced in found)
            synced = statistics.median(mine / durable for mine, _theirs, durable in found)
            middle = [statistics.median(column) for column in zip(*found)]
            print(
                f"{label}: module {middle[0]:.2f} s, qemu-img {middle[1]:.2f} s, with sync {middle[2]:.2f} s; "
                f"ratio {ratio:.2f} (with sync {synced:.2f}), medians of {turns} turns",
                flush=True,
            )
            worst = max(worst, ratio)
    print(f"worst ratio {worst:.2f}, at most {LIMIT} is wanted")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 7, sys.argv[2] if len(sys.argv) > 2 else tempfile.gettempdir()))
