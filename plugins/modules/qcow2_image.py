#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: qcow2_image
short_description: Create, import, grow, rebase and remove disk images
version_added: 0.1.0
description:
  - Makes disk images for guests, empty, as overlays on a backing file, or with the contents of a file or a download, grows them in place,
    puts overlays on other backing files, and keeps their owner, group and mode.
  - An existing image is compared by what its header says. Options that are not given are left as they are.
  - An image that is there keeps what is in it. It is shrunk only where O(allow_shrink) says so and nothing is lost, and made anew only where
    O(recreate) says so. What an image cannot change is an error that names the option and both values.
  - An image that a guest or another process has open is not changed or removed, but for the disk of a running guest of libvirt, which grows
    through libvirt, so that the guest sees it. The error names the guest and the process, in check mode too.
  - No existing file is opened before it is known to be a regular file, its format is never guessed from the contents of a guest's disk,
    and every backing file below it is looked at first. qemu-img reads it under limits of memory and time.
  - What comes from O(source) is not trusted. It is refused where it is not what it is said to be, where it needs any other file, where
    its disk is larger than 16 TiB, or where its header or its tables cannot be right. Its header is looked at before qemu-img opens it.
author:
  - virtops.linux contributors (@virtops)
options:
  path:
    description: The image, as an absolute path. Its directory must exist.
    type: path
    required: true
  state:
    description:
      - V(present) creates the image, or grows it.
      - V(absent) removes the file. All other options but O(commit), O(dependents_in) and O(force), and with O(commit) also O(encryption),
        are then without effect.
    type: str
    choices: [present, absent]
    default: present
  format:
    description:
      - The format of the image. A new one is V(qcow2) where nothing is said, an existing one keeps what it is.
      - Whatever does not begin like qcow2 counts as V(raw), or as V(vmdk), V(vdi) or V(vhdx) where this option says so and it begins like that.
        A raw file only grows where O(format=raw) says that it is an image.
      - Images of V(vmdk), V(vdi) and V(vhdx) have their size for good.
    type: str
    choices: [qcow2, raw, vmdk, vdi, vhdx]
  size:
    description:
      - The size of the guest's disk, for example V(20G), V(512MiB) or V(10 GB). K, M, G, T, P and E, alone or with iB, are powers of 1024,
        KB and so on powers of 1000, and a number alone counts bytes. It is rounded up to whole sectors of 512 bytes.
      - A new image without O(backing_file) and O(source) needs it. A new overlay has the size of its backing file where nothing is said,
        an imported image that of its source, and neither has less.
      - A larger size grows an existing image. Partitions and file systems in it stay as they are.
      - A smaller one is an error, unless O(allow_shrink) or O(recreate) says otherwise.
    type: str
  allow_shrink:
    description:
      - Whether an existing image of qcow2 or raw may become smaller, where everything in it ends before the new O(size).
      - Where it ends is told by the partition table (GPT or MBR), or where there is none by the file system
        (ext2 to ext4, xfs, btrfs, FAT, NTFS, ISO 9660), the swap space or the physical volume of LVM that fills the disk.
        What lies between or behind them counts for nothing. An image with anything else in it, or with nothing, is not shrunk.
      - Whatever ends later has to be shrunk first, in a guest. The second copy of a GPT is always at the end of a disk and is cut off,
        which is a warning. C(sgdisk -e) writes a new one.
      - Images with internal snapshots, with overlays on them, or in use are not shrunk.
    type: bool
    default: false
  commit:
    description:
      - With O(state=absent), whether what is in the image goes into its backing file first, which grows where it has to.
      - Interrupted at any instant, the image is still there, and through it a guest sees what it saw. The next run does the rest.
      - A backing file that others stand on as well is not changed, unless O(force) says so.
    type: bool
    default: false
  dependents_in:
    description:
      - Further directories in which images may have this one as their backing file, so that it is not removed, replaced, changed or
        committed to while they do. Its owner, mode and SELinux context may change. Directories in these are not entered.
      - Always looked at are the directory of O(path) and, where libvirt answers at O(uri), the directories of its pools and of the disks
        of its guests. Overlays anywhere else are not found.
    type: list
    elements: path
  uri:
    description:
      - The libvirt of this host that is asked for running guests and for directories with images. It need not be there.
    type: str
    default: qemu:///system
  source:
    description:
      - What a new image is made of, an absolute path or a URL with V(http), V(https) or V(file). It may be compressed
        (gz, xz and bz2, or zst where the host has the tool C(zstd)), which is told by looking.
      - It is converted where it is not yet what O(format) and the other options ask for. A qcow2 image that already is, is taken over
        as it is, with its internal snapshots.
      - An image that is there is left alone, whatever has become of the source, as a guest's disk should be. O(recreate) changes that.
      - An interrupted download is continued, in the same run and, with O(checksum), in the next one, where the server can do that.
      - In check mode nothing is downloaded, so that a prediction names the size and the options that are asked for, and no others.
      - Passwords and queries in a URL are not shown in results.
    type: str
  checksum:
    description:
      - The checksum of O(source) as it comes, before it is unpacked. An algorithm (V(sha224), V(sha256), V(sha384) or V(sha512)),
        a colon, and the digits.
      - In place of the digits, the path or URL of a list of checksums, as C(sha256sum) or BSD's tools write it, in which the file
        name of O(source) is looked up.
      - Nothing is replaced before the checksum was found to be right.
    type: str
  source_format:
    description:
      - The format of O(source). Where nothing is said it is told by looking.
      - A raw image that does not begin with a boot sector is only taken where V(raw) is said, so that a page that tells of an error is not.
      - A source that is said to be one format and begins like another is refused.
    type: str
    choices: [qcow2, raw, vmdk, vdi, vhdx]
  trusted:
    description:
      - Whether whoever made O(source) is trusted. Then it may have a backing file, which is copied with it, other files with its data,
        any size, and as a raw disk it may begin like another format.
      - Say this only of images that you made yourself. The owner of such an image can have any file of the host copied into the new one.
    type: bool
    default: false
  cache_dir:
    description:
      - Where downloads are kept that have O(checksum), under that. The same source is then downloaded once for any number of images.
        What is kept there is checked again before every use. Nothing is ever removed from there but what has become wrong, and what
        M(virtops.linux.qcow2_image_cache) is told to remove.
      - An empty string keeps nothing.
    type: str
    default: /var/cache/virtops/images
  timeout:
    description:
      - Seconds without anything new from a server, after which a download fails, at most V(86400).
        It may take as long as it takes while something comes.
    type: int
    default: 30
  recreate:
    description:
      - Whether an existing image may be made anew, which loses what is in it.
      - It is, where an option is asked for that it cannot change, where it is larger than O(size), where it cannot be used at all,
        or where it was made of another O(source) than this one. Otherwise it is left as it is.
      - What it was made of is remembered with its file, in an extended attribute. With O(checksum) the contents of the source decide,
        without it the address alone, so that new contents at an old address are only noticed with a checksum, or a list of them.
      - The old image stays until the new one is complete. Owner, group, mode and SELinux context are kept where nothing else is asked for.
    type: bool
    default: false
  backing_file:
    description:
      - The image that this one is an overlay on. A relative path starts at the directory of O(path) and is kept in the image as written.
      - An empty string is no backing file.
      - That of an existing image changes only with O(rebase).
    type: str
  backing_format:
    description:
      - The format of O(backing_file). Where nothing is said it is told by looking at the file. It is always written to the image.
      - Say V(raw) where O(backing_file) is a raw disk that a guest has written to, so that its contents cannot pass for qcow2.
    type: str
    choices: [qcow2, raw]
  rebase:
    description:
      - How an existing image may come onto another O(backing_file).
      - With V(safe), what the two backing files differ in is copied into the image, so that its guest sees no difference. Onto an empty
        O(backing_file), that is everything, and the image stands alone afterwards. It happens in a copy that then takes the place of
        the image, so that it needs room for both, and leaves the old one or the new one whenever it is interrupted.
      - With V(unsafe), nothing but the name is changed, for a backing file that was moved or renamed.
        A backing file with other contents destroys the image.
    type: str
    choices: [safe, unsafe]
  cluster_size:
    description: The size of a cluster, a power of two from V(512) to V(2M), with units as in O(size). A new image has V(64K).
    type: str
  compat:
    description:
      - The version of qcow2. V(0.10) is for qemu before 1.1, without any of the other options below. A new image has V(1.1).
        An existing one is amended. Write it in quotes.
      - Going to V(0.10) switches O(lazy_refcounts) off.
    type: str
    choices: ["0.10", "1.1"]
  lazy_refcounts:
    description: Whether updates of reference counts may be put off, which is faster and needs a repair after a crash. An existing image is amended.
    type: bool
  refcount_bits:
    description: The width of a reference count. A new image has V(16).
    type: int
    choices: [1, 2, 4, 8, 16, 32, 64]
  extended_l2:
    description:
      - Whether clusters are allocated in 32 parts, which makes an overlay with large clusters smaller and faster.
        It needs clusters of V(16K) at least.
    type: bool
  compression_type:
    description: How compressed clusters are compressed. A new image has V(zlib).
    type: str
    choices: [zlib, zstd]
  encryption:
    description:
      - How a qcow2 image is encrypted. An empty dictionary is no encryption. It is the image's for good, but for the passphrase.
      - A passphrase is in no argument, no environment and no file of its own, and no result shows it. qemu gets it through memory.
      - Wherever one is given, it is tried, which takes as long as O(encryption.iter_time) says. One that does not open the image is an error,
        also with O(recreate).
      - An image that is encrypted is resized, amended, rebased, committed and shrunk only with its passphrase. Without this option everything
        else about it is managed as always.
      - The backing file of an image may be encrypted too. Then only a guest or qemu-img changes what stands on it.
    type: dict
    suboptions:
      format:
        description: The format of the encryption. All others of this dictionary need it.
        type: str
        choices: [luks]
      secret:
        description: The passphrase, which libvirt knows as the value of a secret.
        type: str
      secret_file:
        description: A file on the host with the passphrase, as an absolute path. Its bytes are taken as they are, a newline at the end included.
        type: path
      old_secret:
        description:
          - The passphrase that O(encryption.secret) takes the place of. Whatever happens in between, one of the two opens the image.
          - Once it does not open the image any more, it is without effect.
        type: str
      old_secret_file:
        description: A file on the host with the old passphrase.
        type: path
      cipher_alg:
        description: The cipher. A new image has V(aes-256).
        type: str
        choices: [aes-128, aes-192, aes-256, serpent-128, serpent-192, serpent-256, twofish-128, twofish-192, twofish-256]
      cipher_mode:
        description: The mode of the cipher. A new image has V(xts).
        type: str
        choices: [cbc, xts]
      hash_alg:
        description: The hash by which the key is derived from the passphrase. A new image has V(sha256).
        type: str
        choices: [sha1, sha224, sha256, sha384, sha512]
      iter_time:
        description:
          - How many milliseconds every try of a passphrase takes, on this host. qemu has V(2000).
          - It counts where an image or a passphrase is new. Later it is without effect.
        type: int
  preallocation:
    description:
      - What a new image takes up from the start. V(metadata) is for qcow2 only, the others are for raw as well. V(falloc) reserves the whole size,
        V(full) writes it with zeros.
      - An overlay can have it only with O(extended_l2).
      - It counts only when the image is made. Later it is without effect.
    type: str
    choices: ["off", metadata, falloc, full]
  owner:
    description:
      - The user that owns the file, by name or number. A new image belongs to the user that the task runs as.
      - Libvirt itself gives the image of a running guest to its own user. Leave O(owner) and O(group) out for such images.
    type: str
  group:
    description: The group of the file, by name or number.
    type: str
  mode:
    description: The permissions of the file, octal and in quotes, for example V('0640'). A new image has V('0600').
    type: raw
  seuser:
    description:
      - The user of the file's SELinux context. Of what is not said, a new image has what the policy gives to files of its directory.
      - On a host without SELinux, this and the other three parts are without effect, which is a warning.
      - Libvirt itself labels the image of a running guest. Leave all four out for such images.
    type: str
  serole:
    description: The role of the file's SELinux context.
    type: str
  setype:
    description: The type of the file's SELinux context, for example V(virt_image_t).
    type: str
  selevel:
    description: The level of the file's SELinux context, for example V(s0).
    type: str
  force:
    description:
      - Remove the image with O(state=absent), replace it with O(recreate) or change it in place, even where others are known to have it as
        their backing file, or change the backing file with O(commit). Whether those can bear it is then yours to know.
      - An image that others stand on is not shrunk in any case.
    type: bool
    default: false
notes:
  - A new image is made as C(.NAME.xxxxxxxx.tmp) in its directory and gets its name when it is complete and on disk.
    It never takes the place of another file but with O(recreate), and then in one step, so that at every instant there is the old image
    or the new one. What an interrupted run has left is removed by the next run for the same image.
  - Downloads, conversions and whatever else lasts longer than three seconds show on the controller's screen how far they are, every two seconds
    or somewhat more rarely, for example C(converting 37 % of 2.0 GiB, 112.4 MiB/s, 11 s left). The lines go to standard error, as warnings do.
    With C(no_log) they do not name the image, and with C(async) there are none.
  - Proxies are taken from the environment of the task (C(http_proxy), C(https_proxy), C(no_proxy)).
extends_documentation_fragment:
  - virtops.linux.attributes
  - virtops.linux.attributes.converge
  - virtops.linux.results
requirements:
  - qemu-img (qemu-utils), but for O(state=absent) without O(commit)
  - qemu-io (qemu-utils), for O(allow_shrink)
  - zstd, for a source that is compressed with it
seealso:
  - module: virtops.linux.qcow2_image_info
  - module: virtops.linux.libvirt_domain
  - name: The qcow2 format
    description: What the options mean in the file.
    link: https://www.qemu.org/docs/master/interop/qcow2.html
  - name: qemu-img
    description: The tool that makes and changes the images.
    link: https://www.qemu.org/docs/master/tools/qemu-img.html
"""

EXAMPLES = r"""
- name: An empty disk of 20 GiB
  virtops.linux.qcow2_image:
    path: /var/lib/libvirt/images/data.qcow2
    size: 20G

- name: A guest's disk on top of a shared base image, with more room than that
  virtops.linux.qcow2_image:
    path: /var/lib/libvirt/images/web1.qcow2
    backing_file: debian-12.qcow2
    size: 40G
    owner: libvirt-qemu
    group: libvirt-qemu
    mode: "0640"

- name: The same disk, grown
  virtops.linux.qcow2_image:
    path: /var/lib/libvirt/images/web1.qcow2
    size: 60G

- name: A base image, downloaded once, checked, and exchanged when the list has another checksum for it
  virtops.linux.qcow2_image:
    path: /var/lib/libvirt/images/debian-12.qcow2
    source: https://cloud.debian.org/images/cloud/bookworm/latest/debian-12-generic-amd64.qcow2
    checksum: sha512:https://cloud.debian.org/images/cloud/bookworm/latest/SHA512SUMS
    recreate: true

- name: A guest's own disk, made of a compressed raw image and left alone from then on
  virtops.linux.qcow2_image:
    path: /var/lib/libvirt/images/appliance.qcow2
    source: /srv/images/appliance.img.xz
    source_format: raw
    size: 30G

- name: A disk that came from another hypervisor
  virtops.linux.qcow2_image:
    path: /var/lib/libvirt/images/moved.qcow2
    source: /srv/import/moved.vmdk
    source_format: vmdk

- name: A disk that does not need its backing file any more
  virtops.linux.qcow2_image:
    path: /var/lib/libvirt/images/web1.qcow2
    size: 60G
    backing_file: ""
    rebase: safe

- name: An overlay with large clusters, allocated in small parts
  virtops.linux.qcow2_image:
    path: /var/lib/libvirt/images/db1.qcow2
    backing_file: /var/lib/libvirt/images/debian-12.qcow2
    cluster_size: 128K
    extended_l2: true

- name: A raw disk whose whole size is reserved
  virtops.linux.qcow2_image:
    path: /var/lib/libvirt/images/log.img
    format: raw
    size: 4G
    preallocation: falloc

- name: An encrypted disk, whose passphrase libvirt has as a secret of its own
  virtops.linux.qcow2_image:
    path: /var/lib/libvirt/images/vault.qcow2
    size: 20G
    encryption:
      format: luks
      secret: "{{ vault_disk_passphrase | default('correct horse battery staple') }}"

- name: Its passphrase becomes another one
  virtops.linux.qcow2_image:
    path: /var/lib/libvirt/images/vault.qcow2
    size: 20G
    encryption:
      format: luks
      secret: "{{ new_disk_passphrase | default('battery staple correct horse') }}"
      old_secret: "{{ vault_disk_passphrase | default('correct horse battery staple') }}"

- name: A smaller disk, after the file system and the partition in it were made smaller
  virtops.linux.qcow2_image:
    path: /var/lib/libvirt/images/web1.qcow2
    size: 30G
    allow_shrink: true

- name: What a trial run has written is kept, in the image below it
  virtops.linux.qcow2_image:
    path: /var/lib/libvirt/images/trial.qcow2
    state: absent
    commit: true

- name: A base image, unless an overlay in one of these places stands on it
  virtops.linux.qcow2_image:
    path: /var/lib/libvirt/images/debian-11.qcow2
    state: absent
    dependents_in: [/srv/guests, /srv/templates]

- name: A disk that is not needed any more
  virtops.linux.qcow2_image:
    path: /var/lib/libvirt/images/web1.qcow2
    state: absent
"""

RETURN = r"""
resource:
  description: The image after the run.
  returned: success
  type: dict
  contains:
    path:
      description: Its path.
      type: str
    state:
      description: V(present) or V(absent). Of an absent one there is nothing but O(path).
      type: str
    format:
      description: Its format.
      type: str
    size:
      description: The size of the guest's disk, in bytes.
      type: int
    human_size:
      description: The same, rounded, for people.
      type: str
    actual_size:
      description: The bytes that the file takes up. A prediction of a new image does not have it, and with O(source) not what the source brings.
      type: int
    backing_file:
      description: The name of its backing file, as it stands in the image. Not there without one.
      type: str
    backing_format:
      description: The format of the backing file.
      type: str
    cluster_size:
      description: Of a qcow2 image, the size of a cluster in bytes.
      type: int
    compat:
      description: Of a qcow2 image, the version of the format.
      type: str
    lazy_refcounts:
      description: Of a qcow2 image, whether updates of reference counts may be put off.
      type: bool
    refcount_bits:
      description: Of a qcow2 image, the width of a reference count.
      type: int
    extended_l2:
      description: Of a qcow2 image, whether clusters are allocated in parts.
      type: bool
    compression_type:
      description: Of a qcow2 image, how compressed clusters are compressed.
      type: str
    encryption:
      description:
        - Of an encrypted image, its C(format), C(cipher_alg), C(cipher_mode) and C(hash_alg), and in C(opened_by) which of
          V(secret) and V(old_secret) open it, of those that were given.
      type: dict
    source:
      description: What it was made of, without passwords and queries. Only where that is remembered.
      type: str
    checksum:
      description: The checksum of that, where O(checksum) asks for it.
      type: str
    owner:
      description: The owner's name, or number where it has no name.
      type: str
    group:
      description: The group's name or number.
      type: str
    mode:
      description: The permissions, octal.
      type: str
    seuser:
      description: The user of its SELinux context, where O(seuser) asks for it and the host has SELinux. So are C(serole), C(setype) and C(selevel).
      type: str
  sample:
    path: /var/lib/libvirt/images/web1.qcow2
    state: present
    format: qcow2
    size: 42949672960
    human_size: 40.0 GiB
    backing_file: debian-12.qcow2
    backing_format: qcow2
    cluster_size: 65536
    compat: "1.1"
    lazy_refcounts: false
    refcount_bits: 16
    extended_l2: false
    compression_type: zlib
    owner: libvirt-qemu
    group: libvirt-qemu
    mode: "0640"
    actual_size: 200704
"""

from ansible_collections.virtops.linux.plugins.module_utils.engine.run import run
from ansible_collections.virtops.linux.plugins.module_utils.image.resource import image_resource
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.disks import LibvirtGuests


def main():
    run(image_resource(LibvirtGuests()))


if __name__ == "__main__":
    main()
