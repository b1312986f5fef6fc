# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Build the smallest guest that proves a host: the distribution's kernel and its busybox in an initramfs.

build_tiny_guest.py FOLDER makes FOLDER/vmlinuz and FOLDER/initrd.img. The kernel package is downloaded and unpacked,
never installed, so the host's own boot stays as it is. Both files appear at once or not at all.
"""

from __future__ import annotations

import gzip
import lzma
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Dict, List, Tuple

#: Meta packages of small kernels with virtio drivers: Debian's, then Ubuntu's.
KERNELS = {"x86_64": ("linux-image-cloud-amd64", "linux-image-virtual"), "aarch64": ("linux-image-cloud-arm64", "linux-image-virtual")}

#: virtio devices (of which the console brings the channels of agents), and what turns a press of the power button into a shutdown.
DRIVERS = ("virtio_pci", "virtio_blk", "virtio_net", "virtio_rng", "virtio_balloon", "virtio_console", "button", "evdev")

INIT = """#!/bin/busybox sh
# The whole user space of the tiny guest.
/bin/busybox mkdir -p /proc /sys /dev /etc/acpi/PWRF /run /bin /sbin /usr/bin /usr/sbin
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev 2>/dev/null
/bin/busybox --install -s
while read -r driver; do insmod "$driver" 2>/dev/null; done </drivers
printf '#!/bin/sh\\npoweroff -f\\n' >/etc/acpi/PWRF/00000080
chmod +x /etc/acpi/PWRF/00000080
acpid -l /dev/null -p /run/acpid.pid # its own log file and pid file have no folder here
address=none
if ip link set eth0 up 2>/dev/null && udhcpc -i eth0 -q -n -t 20 -T 1 -s /udhcpc >/dev/null 2>&1; then
  address=$(ip -o -4 addr show dev eth0 | awk '{print $4}')
fi
disks=$(awk '$4 ~ /^vd[a-z]$/ {printf "%s%s:%dMiB", sep, $4, $3/1024; sep=","}' /proc/partitions)
echo "virtops-guest alive kernel=$(uname -r) cpus=$(nproc) memory=$(awk '/MemTotal/ {print int($2/1024)}' /proc/meminfo)MiB" \\
  "disks=${disks:-none} address=$address"
while :; do setsid cttyhack sh; done
"""

UDHCPC = """#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
[ -z "$router" ] || ip route add default via "${router%% *}"
"""


def output(argv: List[str]) -> str:
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout


def packages_of_kernel() -> List[str]:
    """The real packages behind the first meta package that this distribution has."""
    for meta in KERNELS[platform.machine()]:
        if subprocess.run(["apt-cache", "show", meta], capture_output=True, check=False).returncode == 0:
            depends = output(["apt-cache", "depends", "--recurse", "--important", "--no-recommends", "--no-suggests", meta])
            names = {line.strip() for line in depends.splitlines() if line and not line.startswith(" ")}
            return sorted(name for name in names if name.startswith(("linux-image-", "linux-modules-")) and any(c.isdigit() for c in name[12:]))
    raise SystemExit(f"no kernel package among {', '.join(KERNELS[platform.machine()])}: run apt-get update first")


class Kernel:
    """What is in the packages of a kernel. They are opened, not unpacked: of their thousands of files a guest needs a dozen."""

    def __init__(self, folder: Path) -> None:
        subprocess.run(["apt-get", "-o", "APT::Sandbox::User=root", "-qq", "download", *packages_of_kernel()], cwd=folder, check=True)
        self.folder = folder
        self.files: Dict[str, Tuple[tarfile.TarFile, tarfile.TarInfo]] = {}
        for package in sorted(folder.glob("*.deb")):
            tree = package.with_suffix(".tar")
            with tree.open("wb") as file:
                subprocess.run(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=file, check=True)
            archive = tarfile.open(tree)  # noqa: SIM115 # for as long as it takes
            self.files.update({Path(member.name).name: (archive, member) for member in archive if member.isfile()})

    def take(self, name: str) -> Path:
        path = self.folder / name
        archive, member = self.files[name]
        content = archive.extractfile(member)
        assert content is not None  # a regular file has one
        with path.open("wb") as file:
            shutil.copyfileobj(content, file)
        return path

    def vmlinuz(self) -> Path:
        return self.take(min(name for name in self.files if name.startswith("vmlinuz-")))

    def drivers(self) -> List[Path]:
        """The files of DRIVERS and of all that they need, in the order in which they load."""
        names = {name.split(".ko", 1)[0].replace("-", "_"): name for name in self.files if name.endswith(".ko") or ".ko." in name}
        found: Dict[str, Path] = {}

        def need(word: str) -> None:
            driver = word.replace("-", "_")
            if driver in found or driver not in names:  # not there: built into the kernel
                return
            path = self.take(names[driver])
            for other in output(["modinfo", "-F", "depends", str(path)]).strip().split(","):
                need(other)
            found[driver] = path

        for driver in DRIVERS:
            need(driver)
        return list(found.values())


def plain(path: Path) -> bytes:
    """A kernel module's content without its compression."""
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dc", str(path)], check=True, stdout=subprocess.PIPE).stdout
    return path.read_bytes()


def initramfs(tree: Path, modules: List[Path]) -> bytes:
    (tree / "bin").mkdir(parents=True)
    (tree / "dev").mkdir()
    (tree / "lib").mkdir()
    shutil.copy2("/bin/busybox", tree / "bin/busybox")
    names = []
    for module in modules:
        name = f"lib/{module.name.split('.ko', 1)[0]}.ko"
        (tree / name).write_bytes(plain(module))
        names.append(f"/{name}\n")
    (tree / "drivers").write_text("".join(names))
    for name, text in (("init", INIT), ("udhcpc", UDHCPC)):
        (tree / name).write_text(text)
        (tree / name).chmod(0o755)
    # The kernel opens /dev/console for init before devtmpfs is there.
    os.mknod(tree / "dev/console", 0o600 | 0o020000, os.makedev(5, 1))
    listing = "\n".join(sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))) + "\n"
    # Not compressed: some megabytes, which neither this host nor the guest then has to squeeze through an emulated CPU.
    return subprocess.run(
        ["busybox", "cpio", "-o", "-H", "newc"], cwd=tree, input=listing.encode(), check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ).stdout


def main() -> None:
    target = Path(sys.argv[1])
    if platform.machine() not in KERNELS:
        raise SystemExit(f"{platform.machine()}: no small kernel is known for this architecture; use one of {', '.join(KERNELS)}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tiny_guest.", dir=target.parent) as scratch:
        folder = Path(scratch)
        kernel = Kernel(folder)
        made = folder / "made"
        made.mkdir()
        (made / "initrd.img").write_bytes(initramfs(folder / "tree", kernel.drivers()))
        shutil.copyfile(kernel.vmlinuz(), made / "vmlinuz")
        made.chmod(0o755)
        os.replace(made, target)


if __name__ == "__main__":
    main()
