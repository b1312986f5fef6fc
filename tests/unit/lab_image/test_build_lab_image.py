# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the builder of the lab image keeps, makes and takes away. The building itself is what the scenarios in extensions/molecule/lab run on."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "roles/lab_image/files/build_lab_image.py"


@pytest.fixture
def builder():
    spec = importlib.util.spec_from_file_location("build_lab_image", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def image(cache: Path, name: str, days_old: float) -> Path:
    folder = cache / name
    folder.mkdir()
    (folder / "disk.qcow2").write_text("disk")
    then = time.time() - days_old * 86400
    os.utime(folder, (then, then))
    return folder


def test_an_image_that_is_there_is_found_and_counts_as_used(builder, tmp_path, monkeypatch):
    target = image(tmp_path, "bookworm-1", days_old=9)
    monkeypatch.setattr(builder, "make", lambda *_arguments: pytest.fail("built again"))
    assert builder.build({"folder": str(target), "release": "bookworm"}) is False
    assert time.time() - target.stat().st_mtime < 60


def test_only_idle_images_of_the_same_release_go(builder, tmp_path):
    target = image(tmp_path, "bookworm-new", days_old=0)
    idle = image(tmp_path, "bookworm-idle", days_old=2)
    recent = image(tmp_path, "bookworm-recent", days_old=0.5)
    other = image(tmp_path, "trixie-idle", days_old=2)
    running = image(tmp_path, "bookworm-running", days_old=2)
    with open(running / "disk.qcow2", encoding="ascii"):
        builder.prune(target, "bookworm")
    assert not idle.exists()
    assert all(kept.exists() for kept in (target, recent, other, running))


def test_an_image_appears_whole_or_not_at_all(builder, tmp_path, monkeypatch):
    target = tmp_path / "bookworm-1"
    recipe = {"folder": str(target), "release": "bookworm", "archive": ["qemu-utils"]}
    (tmp_path / ".bookworm-0.killed").mkdir()

    def fails_late(_recipe, _scratch, _tree, made):
        (made / "disk.qcow2").write_text("half")
        raise SystemExit("mke2fs failed")

    for step in ("bootstrap", "only_archive", "configure"):
        monkeypatch.setattr(builder, step, lambda *_arguments: None)
    monkeypatch.setattr(builder, "pack", fails_late)
    with pytest.raises(SystemExit):
        builder.build(recipe)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]

    def packs(_recipe, _scratch, _tree, made):
        for name in ("disk.qcow2", "ssh_key"):
            (made / name).write_text("whole")

    monkeypatch.setattr(builder, "pack", packs)
    assert builder.build(recipe) is True
    modes = {path.name: path.stat().st_mode & 0o777 for path in target.iterdir()}
    assert modes == {"disk.qcow2": 0o644, "ssh_key": 0o600} and target.stat().st_mode & 0o777 == 0o755


def test_what_a_used_server_has_comes_with_the_image(builder):
    rows = (
        ("libcap2", "libs", "amd64"),
        ("seabios", "misc", "all"),
        ("qemu-utils", "otherosfs", "amd64"),
        ("python3-libvirt", "python", "all"),
        ("libvirt0", "libs", "amd64"),
        ("libfree", "non-free/libs", "amd64"),
    )
    index = "\n\n".join(f"Package: {name}\nSection: {section}\nArchitecture: {kind}\nDescription: x" for name, section, kind in rows)
    assert builder.commons_of(index, ["qemu-utils", "python3-libvirt"]) == ["libcap2", "libfree", "seabios"]


def test_a_package_without_compression_is_the_same_package(builder, tmp_path):
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text("Package: vt-odd\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: of odd length\n")
    (tree / "file").write_text("contents " * 1000)
    package = tmp_path / "vt-odd.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zxz", "--build", tree, package], check=True, stdout=subprocess.DEVNULL)

    def seen():
        shown = [
            subprocess.run(["dpkg-deb", option, package], check=True, stdout=subprocess.PIPE).stdout
            for option in ("--contents", "--field", "--fsys-tarfile")
        ]
        return shown, [header[:16].rstrip() for header, _content in builder.members(package.read_bytes())]

    before, compressed = seen()
    builder.decompress(package)
    assert (compressed, seen()) == (
        [b"debian-binary", b"control.tar.xz", b"data.tar.xz"],
        (before, [b"debian-binary", b"control.tar", b"data.tar"]),
    )


def test_a_failing_tool_is_heard(builder):
    with pytest.raises(SystemExit) as failed:
        builder.run(["sh", "-c", "echo no space left; exit 3"])
    assert str(failed.value) == "sh failed with status 3:\nno space left\n"
