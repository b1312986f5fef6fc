# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure, NotReady
from ansible_collections.virtops.linux.plugins.module_utils.engine.host import Result
from ansible_collections.virtops.linux.plugins.module_utils.overlay import boot
from ansible_collections.virtops.linux.plugins.module_utils.overlay import mountinfo as mi
from ansible_collections.virtops.linux.plugins.module_utils.overlay import options as o
from ansible_collections.virtops.linux.plugins.module_utils.overlay import plan as p
from ansible_collections.virtops.linux.plugins.module_utils.overlay.apply import apply
from ansible_collections.virtops.linux.plugins.module_utils.overlay.model import Desired, Directory, Holder, Kept, Mount, Observed, from_params
from ansible_collections.virtops.linux.plugins.module_utils.overlay.read import is_modern
from support.hosts import FakeHost, converged

OK = Result(0, "", "")
PARAMS = {
    **dict.fromkeys(("lowerdir", "upperdir", "workdir", "options")),
    "path": "/m",
    "state": "mounted",
    "persistent": "auto",
    "recreate": "if_unused",
    "create_dirs": False,
}
DEFAULTS = o.kernel_defaults({"redirect_dir": "N", "redirect_always_follow": "Y", "index": "N", "nfs_export": "N", "metacopy": "N", "xino_auto": "N"})
LAYERS = o.Layers(("/a", "/b"), "/u", "/w")

# Linux 6.18, /proc/self/mountinfo
MOUNTINFO = r"""27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
42 27 0:39 / /srv/m rw,nodev,noatime shared:7 - overlay vt-x rw,lowerdir=/a:/b,upperdir=/u,workdir=/w,uuid=on
44 42 0:40 / /srv/m rw,relatime shared:8 - overlay vt-x ro,lowerdir=/srv/sp\040ace:/srv/co\134:lon:/srv/co\134\054mma:/srv/b\134\134s,redirect_dir=on
45 27 0:41 / /srv/sp\040ace rw master:8 - tmpfs none rw,size=4k
46 27 0:42 / /srv/one rw,relatime,nosymfollow - overlay vt-x ro,lowerdir+=/a,lowerdir+=/srv/co:lon,datadir+=/d,redirect_dir=on
"""


def entry(path: str) -> mi.Entry:
    return mi.stack(mi.parse(MOUNTINFO), path)[0]


def shown(options=None, flags=(), writable=True, **more) -> o.Shown:
    return o.Shown(options or {}, frozenset(flags), DEFAULTS, writable, **more)


def test_the_topmost_entry_counts():
    assert [found.id for found in mi.stack(mi.parse(MOUNTINFO), "/srv/m")] == [44, 42]
    assert mi.stack(mi.parse(MOUNTINFO), "/elsewhere") == ()


def test_escapes_of_mountinfo():
    assert o.parse_options(entry("/srv/m").words)[0].lower == ("/srv/sp ace", "/srv/co:lon", "/srv/co,mma", "/srv/b\\s")
    assert entry("/srv/sp ace").flags == {"strictatime"} and entry("/srv/sp ace").peers == {"8"}


def test_layers_given_one_by_one_and_layers_of_data():
    assert o.parse_options(entry("/srv/one").words)[0].lower == ("/a", "/srv/co:lon", "::/d")
    assert o.parse_options(["lowerdir=/a:/b::/d"])[0].lower == ("/a", "/b", "::/d")
    assert entry("/srv/one").flags == {"nosymfollow"} and entry("/srv/one").super_ro


def test_an_upper_directory_as_kernels_before_6_5_show_it():
    assert o.parse_options([mi.unmangle(word) for word in (r"lowerdir=/a", r"upperdir=/co\054mma")])[0].upper == "/co,mma"


@pytest.mark.parametrize("path", ["/plain", "/sp ace", "/co,mma", "/co:lon", "/back\\slash", "/end\\", "/\\,:\\:", "/tab\u00e4"])
def test_names_survive_the_way_through_fstab_and_units(path):
    kept = Kept(o.Layers((path, "/b"), path + "u", path + "w"), {"nodev": True, "x-a": "50%"})
    line = boot.fstab_line(path, kept)
    assert len(line.split()) == 6
    assert boot.parse_fstab(f"# c\nUUID=1 / ext4 rw 0 1\n{line}\n", o.normal(path)) == kept
    assert boot.parse_unit(boot.unit_text(path, kept), enabled=True) == kept


def test_fstab_is_changed_in_one_line():
    ours = "overlay /m/ overlay lowerdir=/x:/y 0 0\n", "overlay /m overlay lowerdir=/z:/y,noauto,defaults 0 0\n"
    text = f"# mine\n\nproc /proc proc defaults 0 0\n{ours[0]}/dev/a /m ext4 rw 0 0\n{ours[1]}"
    assert boot.parse_fstab(text, "/m") == Kept(o.Layers(("/z", "/y")), {}, enabled=False)
    assert boot.with_line(text, "/m", "NEW") == "# mine\n\nproc /proc proc defaults 0 0\nNEW\n/dev/a /m ext4 rw 0 0\n"
    assert boot.with_line(text, "/m", None) == "# mine\n\nproc /proc proc defaults 0 0\n/dev/a /m ext4 rw 0 0\n"
    assert boot.with_line("", "/m", "NEW") == "NEW\n"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/srv/a-b", "srv-a\\x2db.mount"),
        ("/.x/y z", "\\x2ex-y\\x20z.mount"),
        ("/\u00e4/b\\", "\\xc3\\xa4-b\\x5c.mount"),
        ("/a:b_c.d", "a:b_c.d.mount"),
    ],
)
def test_the_names_of_units(path, name):
    assert boot.unit_name(path) == name
    if shutil.which("systemd-escape"):
        told = subprocess.run(["systemd-escape", "--path", "--suffix=mount", path], check=True, capture_output=True, text=True).stdout
        assert told.strip() == name


def test_a_unit():
    text = boot.unit_text("/srv/m", Kept(o.Layers(("/a b", "/50%"), "/u", "/w"), {"_netdev": True}))
    assert 'RequiresMountsFor="/a b" "/50%%" "/u" "/w"\n' in text
    assert "Options=lowerdir=/a b:/50%%,upperdir=/u,workdir=/w,_netdev\n" in text
    assert "WantedBy=remote-fs.target\n" in text and "Environment=LIBMOUNT_FORCE_MOUNT2=always\n" in text
    assert "WantedBy=local-fs.target\n" in boot.unit_text("/srv/m", Kept(LAYERS, {}))


@pytest.mark.parametrize(
    ("now", "name", "wanted", "has"),
    [
        (shown({"uuid": "on"}), "index", "off", True),
        (shown({"uuid": "on"}), "index", "on", False),
        (shown(), "redirect_dir", "off", True),
        (shown(), "redirect_dir", "follow", True),
        (shown(), "redirect_dir", "nofollow", False),
        (shown({"redirect_dir": "on"}, writable=False), "redirect_dir", "follow", True),
        (shown({"redirect_dir": "on"}, writable=False), "redirect_dir", "nofollow", False),
        (shown(), "xino", "on", True),
        (shown(one_fs=False), "xino", "on", False),
        (shown({"uuid": "null"}, one_fs=False), "uuid", "off", True),
        (shown({"uuid": "null"}), "uuid", "off", False),
        (shown({"uuid": "on"}), "uuid", "auto", True),
        (shown({"volatile": True}), "volatile", True, True),
        (shown(flags=["ro"]), "ro", True, True),
        (shown(super_ro=True), "ro", False, False),
        (shown(super_ro=True, writable=False), "ro", False, True),
        (shown(), "x-anything", "1", True),
    ],
)
def test_what_the_kernel_shows(now, name, wanted, has):
    assert now.has(name, wanted) is has


def test_the_kernels_own_defaults_may_be_others():
    assert o.kernel_defaults({"index": "Y", "xino_auto": "Y", "redirect_always_follow": "N"}) == {
        **DEFAULTS,
        "index": "on",
        "xino": "auto",
        "redirect_dir": "nofollow",
    }
    assert o.parse_options(["fsync=volatile"])[1] == {"volatile": True}


def mounted(layers=LAYERS, **more) -> Observed:
    directories = {path: Directory() for path in ("/m", "/a", "/b", "/c", "/u", "/w")}
    return Observed(
        "/m", mount=Mount(5, layers, shown(writable=layers.upper is not None)), stacked=1, directories=directories, defaults=DEFAULTS, **more
    )


EMPTY = replace(mounted(), mount=None, stacked=0)
WANTED = Desired("/m", lower=("/a", "/b"), upper="/u", work="/w", persistent="none")


def test_mounting():
    plan = converged(p.plan, EMPTY, replace(WANTED, options={"index": "on", "nodev": True, "nofail": True}, persistent="auto"))
    text = "lowerdir=/a:/b,upperdir=/u,workdir=/w,index=on,nodev"
    assert plan.actions == (p.MountOverlay("/m", text), p.WriteFstab("/m", Kept(LAYERS, {"index": "on", "nodev": True, "nofail": True})))


def test_with_systemd_it_is_a_unit_and_never_both():
    line = Kept(LAYERS, {"noatime": True})
    desired = replace(WANTED, persistent="systemd")
    plan = converged(p.plan, mounted(systemd=True, fstab=line), desired)
    assert plan.actions == (p.RemoveFstab("/m"), p.WriteUnit("/m", line), p.EnableUnit("/m"))
    assert converged(p.plan, mounted(systemd=True, fstab=line), replace(WANTED, persistent="auto")).actions == ()
    assert converged(p.plan, mounted(systemd=True, unit=Kept(LAYERS, {}, enabled=False)), desired).actions == (p.EnableUnit("/m"),)
    with pytest.raises(Failure, match="systemd does not run"):
        p.plan(mounted(), desired)


def test_a_line_with_noauto_is_made_to_count():
    plan = converged(p.plan, mounted(fstab=Kept(LAYERS, {"x-mine": True}, enabled=False)), replace(WANTED, persistent="auto"))
    assert plan.actions == (p.WriteFstab("/m", Kept(LAYERS, {"x-mine": True})),)


def test_recreation():
    desired = replace(WANTED, lower=("/c", "/a"))
    plan = converged(p.plan, mounted(), desired)
    assert plan.actions == (p.Remount("/m", "lowerdir=/c:/a,upperdir=/u,workdir=/w", False, "lowerdir=/a:/b,upperdir=/u,workdir=/w"),)
    assert "previous" not in plan.actions[0].describe()
    busy = mounted(holders=(Holder(7, "sh", "works in it"),))
    for recreate in ("if_unused", "always"):
        with pytest.raises(Failure, match=r"7 \(sh: works in it\)") as caught:
            p.plan(busy, replace(desired, recreate=recreate))
        assert caught.value.code == "mount_busy"
    read_only = replace(desired, upper="", work="", recreate="always")
    assert converged(p.plan, busy, read_only).actions[0].lazy is True


def test_a_copy_in_another_namespace_stops_only_the_same_upper_directory():
    held = mounted(holders=(Holder(7, "sh", "has it mounted", elsewhere=True),))
    with pytest.raises(Failure):
        p.plan(held, replace(WANTED, lower=("/c",)))
    converged(p.plan, held, replace(WANTED, lower=("/c", "/b"), upper="", work=""))
    assert converged(p.plan, held, Desired("/m", state="unmounted")).actions == (p.Unmount("/m"),)


def test_never_recreated_is_pending():
    desired = replace(WANTED, lower=("/c",), recreate="never", persistent="fstab")
    plan = converged(p.plan, mounted(), desired)
    assert plan.pending == ("lowerdir",) and [action.kind for action in plan.actions] == ["write_fstab"]


def test_absent_takes_every_layer_and_what_is_kept_away():
    observed = replace(mounted(unit=Kept(LAYERS, {})), stacked=2)
    plan = converged(p.plan, observed, Desired("/m", state="absent"))
    assert plan.actions == (p.Unmount("/m"), p.Unmount("/m"), p.RemoveUnit("/m"))


@pytest.mark.parametrize(
    ("path", "fact", "code"),
    [
        ("/u", Directory(in_use="/other"), "upperdir_in_use"),
        ("/w", Directory(mount_id=9), "workdir_elsewhere"),
        ("/w", Directory(strays=("x",)), "workdir_not_empty"),
        ("/w", Directory(volatile=True), "workdir_volatile"),
        ("/a", Directory(""), "layer_missing"),
        ("/u", Directory(""), "directory_missing"),
        ("/m", Directory("other"), "not_a_directory"),
    ],
)
def test_directories_that_do_not_do(path, fact, code):
    with pytest.raises(Failure) as caught:
        p.plan(replace(EMPTY, directories={**EMPTY.directories, path: fact}), WANTED)
    assert caught.value.code == code and isinstance(caught.value, NotReady) == code.endswith("_missing")


def test_a_fresh_host_is_predicted():
    converged(p.plan, p.nothing(WANTED), WANTED)
    assert converged(p.plan, p.nothing(WANTED), Desired("/m", state="absent")).actions == ()


def test_fstab_and_long_layers_do_not_go_together_with_a_new_mount():
    long = Desired("/m", lower=tuple(f"/{letter * 100}" for letter in "abc"), upper="", persistent="fstab")
    assert "255 bytes" in p.plan(replace(EMPTY, modern_mount=True), long).warnings[0]
    assert not p.plan(EMPTY, long).warnings
    assert is_modern("mount from util-linux 2.41.5 (libmount 2.41.5: selinux)") and not is_modern("mount from util-linux 2.38.1 (libmount)")


def test_a_volatile_mount_is_no_good_for_a_boot():
    kept = replace(WANTED, options={"volatile": True}, persistent="fstab")
    assert "mounts a volatile overlay once" in converged(p.plan, EMPTY, kept).warnings[0]
    assert not p.plan(EMPTY, replace(kept, persistent="none")).warnings


def test_of_two_options_that_exclude_each_other_the_one_said_counts():
    plan = converged(p.plan, mounted(fstab=Kept(LAYERS, {"strictatime": True})), replace(WANTED, persistent="fstab", options={"noatime": True}))
    assert plan.actions == (p.SetFlags("/m", ("noatime",)), p.WriteFstab("/m", Kept(LAYERS, {"noatime": True})))


def test_options_as_yaml_has_them():
    found = from_params({**PARAMS, "lowerdir": ["/a//b/", "/c/."], "options": {"index": True, "redirect_dir": False, "xino": "auto", "ro": False}})
    assert found.lower == ("/a/b", "/c")
    assert found.options == {"index": "on", "redirect_dir": "off", "xino": "auto", "ro": False}


def test_the_files_and_commands_of_a_unit(tmp_path):
    script = [
        (["systemctl", "daemon-reload"], OK),
        (["systemctl", "reenable", "m.mount"], OK),
        (["systemctl", "disable", "m.mount"], OK),
        (["systemctl", "daemon-reload"], OK),
    ]
    host = FakeHost(tmp_path, {"/run/systemd/system/x": ""}, script)
    apply(host, p.WriteUnit("/m", Kept(LAYERS, {})))
    assert "Where=/m\n" in host.text("/etc/systemd/system/m.mount")
    apply(host, p.EnableUnit("/m"))
    apply(host, p.RemoveUnit("/m"))
    assert host.exhausted() and not host.exists("/etc/systemd/system/m.mount")


def test_the_commands_of_a_mount(tmp_path):
    base = ["env", "LIBMOUNT_FORCE_MOUNT2=always", "mount"]
    script = [
        ([*base, "-t", "overlay", "-o", "OPTIONS", "overlay", "/m"], OK),
        ([*base, "--options-mode=ignore", "-o", "remount,bind,rw,suid,nodev,exec,diratime,relatime", "/m"], OK),
        (["umount", "--lazy", "/m"], OK),
        ([*base, "-t", "overlay", "-o", "NEW", "overlay", "/m"], Result(32, "", "mount: wrong fs type\n")),
        ([*base, "-t", "overlay", "-o", "OLD", "overlay", "/m"], OK),
        (["umount", "/m"], Result(32, "", "umount: /m: target is busy.\n")),
        ([*base, "-t", "overlay", "-o", "X", "overlay", "/m"], Result(32, "", "mount: /m: unknown filesystem type 'overlay'.\n")),
    ]
    host = FakeHost(tmp_path, script=script)
    apply(host, p.MountOverlay("/m", "OPTIONS"))
    apply(host, p.SetFlags("/m", ("nodev",)))
    with pytest.raises(Failure, match="the previous mount is back"):
        apply(host, p.Remount("/m", "NEW", True, "OLD"))
    with pytest.raises(Failure, match="try again") as caught:
        apply(host, p.Unmount("/m"))
    assert caught.value.code == "mount_busy"
    with pytest.raises(NotReady, match="load the module overlay"):
        apply(host, p.MountOverlay("/m", "X"))
    assert host.exhausted()
