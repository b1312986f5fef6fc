# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Libvirt's own test data, of the very version that is installed, from the distribution's source package."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import List

_SOURCES = Path("/etc/apt")


def _sources() -> str:
    """This machine's own package sources, asked for sources instead of binaries. Both notations of apt."""
    blocks: List[str] = []
    for path in sorted(_SOURCES.glob("sources.list.d/*.sources")):
        blocks += [re.sub(r"(?m)^Types:.*$", "Types: deb-src", block) for block in re.split(r"\n\s*\n", path.read_text()) if "Types:" in block]
    return "\n\n".join(blocks) + "\n"


def _lines() -> str:
    files = [_SOURCES / "sources.list", *sorted(_SOURCES.glob("sources.list.d/*.list"))]
    text = "".join(path.read_text() for path in files if path.exists())
    return "".join(f"{line}\n" for line in re.sub(r"(?m)^deb\s", "deb-src ", text).splitlines() if line.startswith("deb-src"))


def version() -> str:
    """The source version of the libvirt that is installed."""
    asked = ["dpkg-query", "-W", "-f", "${source:Version}", "libvirt0"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def fetch(folder: Path) -> Path:
    """The tests directory of libvirt's source, below folder; downloaded once. apt's own state is not touched."""
    wanted = version()
    tree = folder / f"libvirt-{wanted.replace(':', '_')}"
    if (tree / "tests").is_dir():
        return tree / "tests"
    parts = folder / "apt"
    for name in ("parts", "lists/partial", "archives/partial"):
        (parts / name).mkdir(parents=True, exist_ok=True)
    (parts / "parts/all.sources").write_text(_sources())
    (parts / "parts/all.list").write_text(_lines())
    settings = {
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": f"{parts}/parts",
        "Dir::State::lists": f"{parts}/lists",
        "Dir::Cache::archives": f"{parts}/archives",
        "Dir::Cache::srcpkgcache": "",
        "Dir::Cache::pkgcache": "",
        "APT::Sandbox::User": "root",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    subprocess.run(["apt-get", "-qq", *options, "update"], check=True)
    subprocess.run(["apt-get", "-qq", *options, "--download-only", "source", f"libvirt={wanted}"], check=True, cwd=parts)
    tar = next(parts.glob("libvirt_*.orig.tar.*"))
    unpacked = folder / "unpacking"
    unpacked.mkdir(exist_ok=True)
    subprocess.run(["tar", "-xf", str(tar), "-C", str(unpacked), "--strip-components=1", "--wildcards", "*/tests"], check=True)
    unpacked.rename(tree)
    return tree / "tests"
