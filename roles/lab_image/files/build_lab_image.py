# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Build the disk, the kernel and the initramfs of a small Debian machine that boots fast under software emulation.

build_lab_image.py RECIPE makes RECIPE["folder"], at once or not at all:

  disk.qcow2           the root file system: ext4 without a partition table, for direct kernel boot; or, bootable, a disk with
                       one partition that a BIOS starts by itself, for cloud-init to set up
  vmlinuz initrd.img   its kernel
  cmdline              the kernel's arguments that every machine of this image needs
  ssh_key ssh_key.pub  how to log in as root
  ssh_host_key.pub     what the machine's SSH server proves itself with

RECIPE is JSON: folder, release, mirrors (lines of sources.list), packages (installed), archive (packages that come as
files, with all they need, so that apt installs them without a network), files (path in the image: file here), texts (path in the image:
text), authorized_keys, size, bootable.
"""

from __future__ import annotations

import fcntl
import json
import lzma
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

#: The folder inside the image that apt knows as its only source.
ARCHIVE = "/var/lib/lab/archive"

DAY = 86400

#: Timers and services that a machine of some minutes has no use for, and that cost seconds under emulation.
MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "systemd-networkd-wait-online.service",
    "systemd-pstore.service",
    "systemd-tmpfiles-clean.timer",
    "user@0.service",
    "modprobe@configfs.service",
    "modprobe@drm.service",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-binfmt.service",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
)

#: What the kernel needs to find its root file system, and nothing else.
INITRAMFS_MODULES = ("virtio_pci", "virtio_blk", "ext4")

#: Where the partition of a bootable disk begins: before it is room for the boot loader.
PARTITION = 1 << 20

SECTOR = 512

#: Retpolines, zeroed memory, trials of ciphers and their like only cost under emulation; a fixed clock spares calibration and its watchdog.
CMDLINE = (
    "rw rootfstype=ext4 fsck.mode=skip net.ifnames=0"
    " mitigations=off init_on_alloc=0 hardened_usercopy=off cryptomgr.notests"
    " tsc=reliable no_timer_check nowatchdog audit=0 random.trust_cpu=on rcupdate.rcu_expedited=1"
)

#: path in the image → text
FILES = {
    "etc/fstab": "",
    "etc/systemd/network/80-lab.network": (
        "[Match]\nName=eth* en*\n\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n\n[DHCPv4]\nClientIdentifier=mac\n"
    ),
    # udev would try it again and again.
    "etc/modprobe.d/lab.conf": "blacklist powernow_k8\nblacklist acpi_cpufreq\n",
    "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nStorage=volatile\nRuntimeMaxUse=32M\n",
    "etc/systemd/system.conf.d/lab.conf": "[Manager]\nDefaultTimeoutStartSec=300s\nDefaultTimeoutStopSec=30s\n",
    "etc/systemd/system/serial-getty@.service.d/lab.conf": (
        "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --keep-baud 115200 - $TERM\n"
    ),
    "etc/ssh/sshd_config.d/lab.conf": (
        "HostKey /etc/ssh/ssh_host_ed25519_key\nPermitRootLogin prohibit-password\nPasswordAuthentication no\nUseDNS no\nGSSAPIAuthentication no\n"
    ),
}

#: path in a bootable image → text. cloud-init looks for its seed where there is one, and does not ask all clouds of the world.
BOOTABLE_FILES = {
    "etc/cloud/cloud.cfg.d/90_lab.cfg": "datasource_list: [NoCloud]\n",
    # Empty: each machine gets an identity of its own at its first boot.
    "etc/machine-id": "",
}

#: Options of dpkg, kept in the image as well: no syncing, and none of the files that nobody needs in a lab.
DPKG_OPTIONS = (
    "force-unsafe-io",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*/LC_MESSAGES/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    # libvirt starts each emulator twice when it looks at them for the first time: some ten seconds for one that nobody uses.
    "path-exclude=/usr/bin/qemu-system-i386",
)


def run(argv: List[str], **options: Any) -> None:
    """Run; on failure, say what the command said."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False, **options)
    if done.returncode:
        raise SystemExit(f"{argv[0]} failed with status {done.returncode}:\n{done.stdout[-4000:]}")


def hook(path: Path, text: str) -> str:
    path.write_text("#!/bin/sh\nset -eu\n" + text)
    path.chmod(0o755)
    return str(path)


def bootstrap(recipe: Dict[str, Any], scratch: Path, tree: Path) -> None:
    """The release's packages, installed; those of the archive, downloaded."""
    before = hook(
        scratch / "before",
        # Small: only the drivers that are listed. It has to be there before the kernel's package makes its initramfs.
        'mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"\n'
        'printf "MODULES=list\\nCOMPRESS=gzip\\nRESUME=none\\nFSTYPE=ext4\\n" >"$1/etc/initramfs-tools/conf.d/lab"\n'
        f'printf "%s\\n" {" ".join(INITRAMFS_MODULES)} >"$1/usr/share/initramfs-tools/modules.d/lab"\n',
    )
    after = hook(
        scratch / "after",
        'export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"\n'
        'rm -f "$1"/var/cache/apt/archives/*.deb\n'
        f"apt-get -qq --yes --no-install-recommends --download-only install {' '.join(recipe['archive'])}\n"
        f'mkdir -p "$1{ARCHIVE}"\n'
        f'mv "$1"/var/cache/apt/archives/*.deb "$1{ARCHIVE}"\n'
        # The kernel as a file too: guests inside are made of it.
        "kernel=$(dpkg-query --admindir=\"$1/var/lib/dpkg\" --show --showformat '${db:Status-Status} ${Package}\\n' 'linux-image-*'"
        " | sed -n 's/^installed //p')\n"
        f'cd "$1{ARCHIVE}" && apt-get -qq -o APT::Sandbox::User=root download $kernel\n',
    )
    argv = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(recipe['packages'])}"]
    argv += [f"--dpkgopt={option}" for option in DPKG_OPTIONS]
    argv += ['--aptopt=Acquire::Languages "none"', '--aptopt=APT::Install-Recommends "false"']
    argv += [f"--essential-hook={before}"]
    if recipe["archive"]:
        argv += [f"--customize-hook={after}"]
    argv += [recipe["release"], str(tree)]
    run(argv + recipe["mirrors"])


def members(package: bytes) -> Iterator[Tuple[bytes, bytes]]:
    """The members of a package, which is an ar archive: each one's header of 60 bytes, and its contents."""
    position = 8
    while position < len(package):
        header = package[position : position + 60]
        size = int(header[48:58])
        yield header, package[position + 60 : position + 60 + size]
        position += 60 + size + size % 2


def decompress(path: Path) -> None:
    """Keep a package's files uncompressed: for an emulated CPU, xz is most of the work of an installation."""
    package = path.read_bytes()
    parts = [package[:8]]
    for header, content in members(package):
        name = header[:16].rstrip()
        if name.endswith(b".tar.xz"):
            name, content = name[:-3], lzma.decompress(content)
        parts += [name.ljust(16), header[16:48], str(len(content)).encode().ljust(10), header[58:], content, b"\n" * (len(content) % 2)]
    path.write_bytes(b"".join(parts))


def commons_of(index: str, named: List[str]) -> List[str]:
    """The libraries and the data that an archive's packages need, but not libvirt's own.

    They are installed with the image, as they are on a server that has been used: a package takes an emulated CPU more than a second,
    and there are eighty of them. named: what the roles install by name, which stays to be installed.
    """
    packages = [dict(line.split(": ", 1) for line in entry.splitlines() if ": " in line) for entry in index.split("\n\n")]
    common = (entry["Package"] for entry in packages if "libs" in entry.get("Section", "").split("/") or entry.get("Architecture") == "all")
    return sorted({name for name in common if not name.startswith("libvirt")}.difference(named))


def only_archive(tree: Path, named: List[str]) -> None:
    """The archive becomes the one source that apt inside knows. named: as in commons_of."""
    archive = tree / ARCHIVE.lstrip("/")
    with ThreadPoolExecutor() as pool:  # lzma works outside of Python's lock
        list(pool.map(decompress, archive.glob("*.deb")))
    # One checksum of each, because apt inside calculates all that it is told.
    hashes = [word for kind in ("MD5", "SHA1", "SHA512") for word in ("-o", f"APT::FTPArchive::{kind}=false")]
    index = subprocess.run(["apt-ftparchive", *hashes, "packages", "."], cwd=archive, stdout=subprocess.PIPE, check=True).stdout
    (archive / "Packages").write_bytes(index)
    release = subprocess.run(["apt-ftparchive", "release", "."], cwd=archive, stdout=subprocess.PIPE, check=True).stdout
    (archive / "Release").write_bytes(release)
    for extra in (tree / "etc/apt/sources.list.d").glob("*"):
        extra.unlink()
    (tree / "etc/apt/sources.list").write_text(f"deb [trusted=yes] file:{ARCHIVE} ./\n")
    # apt inside starts with a list of its one source, and needs no network to renew it.
    run(["chroot", str(tree), "apt-get", "-qq", "update"])
    commons = commons_of(index.decode(), named)
    if commons:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run(["chroot", str(tree), "apt-get", "-qq", "--yes", "--no-install-recommends", "install", *commons], env=quiet)


def write_files(tree: Path, files: Dict[str, str]) -> None:
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def configure(recipe: Dict[str, Any], tree: Path, made: Path) -> None:
    write_files(tree, {**FILES, **recipe["texts"]})
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "virtops.linux lab", "-f", str(made / "ssh_key")])
    keys = [(made / "ssh_key.pub").read_text().strip(), *recipe["authorized_keys"]]
    ssh = tree / "root/.ssh"
    ssh.mkdir(mode=0o700, exist_ok=True)
    (ssh / "authorized_keys").write_text("".join(f"{key}\n" for key in keys))
    for unused in (tree / "etc/ssh").glob("ssh_host_*"):
        if "ed25519" not in unused.name:
            unused.unlink()
    shutil.copyfile(tree / "etc/ssh/ssh_host_ed25519_key.pub", made / "ssh_host_key.pub")
    # A name and an identity of its own come to each machine on its kernel's command line. Not empty: that would mean a first boot.
    (tree / "etc/machine-id").write_text("0" * 31 + "1\n")
    (tree / "etc/hostname").unlink(missing_ok=True)
    if recipe["bootable"]:
        write_files(tree, BOOTABLE_FILES)
    for name, source in recipe["files"].items():
        path = tree / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, path)
    run(["chroot", str(tree), "systemctl", "--quiet", "enable", "systemd-networkd", "ssh"])
    run(["chroot", str(tree), "systemctl", "--quiet", "mask", *MASKED])
    run(["chroot", str(tree), "systemctl", "--quiet", "disable", "getty@tty1"])


def boot_loader(scratch: Path, kernel: str, initramfs: str) -> bytes:
    """What a BIOS starts from the sectors before the partition: GRUB's boot sector, and its core with all that it needs in it."""
    config, core = scratch / "grub.cfg", scratch / "core.img"
    config.write_text(f"set root=(hd0,msdos1)\nlinux /boot/{kernel} root=/dev/vda1 console=ttyS0 {CMDLINE}\ninitrd /boot/{initramfs}\nboot\n")
    modules = ["biosdisk", "part_msdos", "ext2", "linux", "boot"]
    run(["grub-mkimage", "-O", "i386-pc", "-p", "/boot/grub", "-c", str(config), "-o", str(core), *modules])
    # Its boot sector reads the core from the sectors right after itself, where nothing else is said.
    loader = Path("/usr/lib/grub/i386-pc/boot.img").read_bytes() + core.read_bytes()
    if len(loader) > PARTITION:
        raise SystemExit(f"the boot loader has {len(loader)} bytes; there is room for {PARTITION}")
    return loader


def partition_table(size: int) -> bytes:
    """The entry of one active Linux partition from PARTITION to the end, three empty ones, and the signature: the end of sector 0."""
    entry = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", PARTITION // SECTOR, (size - PARTITION) // SECTOR)
    return entry.ljust(64, b"\0") + b"\x55\xaa"


def pack(recipe: Dict[str, Any], scratch: Path, tree: Path, made: Path) -> None:
    (kernel,) = (tree / "boot").glob("vmlinuz-*")
    (initramfs,) = (tree / "boot").glob("initrd.img-*")
    shutil.copyfile(kernel, made / "vmlinuz")
    shutil.copyfile(initramfs, made / "initrd.img")
    (made / "cmdline").write_text(f"root=/dev/{'vda1' if recipe['bootable'] else 'vda'} {CMDLINE}\n")
    raw = scratch / "disk.raw"
    run(["qemu-img", "create", "-q", "-f", "raw", str(raw), recipe["size"]])
    size, start = raw.stat().st_size, PARTITION if recipe["bootable"] else 0
    options = f"lazy_itable_init=0,offset={start}"
    run(["mke2fs", "-q", "-F", "-t", "ext4", "-L", "lab", "-m", "0", "-E", options, "-d", str(tree), str(raw), f"{(size - start) // 1024}k"])
    if recipe["bootable"]:
        with raw.open("r+b") as disk:
            disk.write(boot_loader(scratch, kernel.name, initramfs.name))
            disk.seek(446)
            disk.write(partition_table(size))
    run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-o", "compat=1.1,lazy_refcounts=on", str(raw), str(made / "disk.qcow2")])


def in_use(folder: Path) -> bool:
    """Whether a process has a file of this folder open: a machine that runs from it."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link).startswith(f"{folder}/"):
                return True
        except OSError:  # closed meanwhile
            continue
    return False


def prune(target: Path, release: str) -> None:
    """Take away this release's images of other recipes that nobody asked for in a day and no machine runs from."""
    for old in target.parent.glob(f"{release}-*"):
        if old != target and time.time() - old.stat().st_mtime > DAY and not in_use(old):
            shutil.rmtree(old)


def make(recipe: Dict[str, Any], target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as name:
        scratch = Path(name)
        tree, made = scratch / "tree", scratch / "made"
        made.mkdir()
        bootstrap(recipe, scratch, tree)
        if recipe["archive"]:
            only_archive(tree, recipe["archive"])
        configure(recipe, tree, made)
        pack(recipe, scratch, tree, made)
        for path in made.iterdir():
            path.chmod(0o600 if path.name == "ssh_key" else 0o644)
        made.chmod(0o755)
        os.replace(made, target)


def found(target: Path) -> bool:
    if target.is_dir():
        os.utime(target)
        return True
    return False


def build(recipe: Dict[str, Any]) -> bool:
    """Make the image; False when it was there."""
    target = Path(recipe["folder"])
    target.parent.mkdir(parents=True, exist_ok=True)
    if found(target):  # whatever else is being built
        return False
    with open(target.parent / ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several machines ask for the same image at the same time: one builds, the others wait
        if found(target):
            return False
        for left in target.parent.glob(".*-*"):  # by a build that was killed: whoever has the lock is alone
            shutil.rmtree(left)
        make(recipe, target)
        prune(target, recipe["release"])
    return True


if __name__ == "__main__":
    print("built" if build(json.loads(sys.argv[1])) else "there")
