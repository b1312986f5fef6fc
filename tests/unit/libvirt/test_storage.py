# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Planning of pools, volumes, secrets and filters, on data."""

from __future__ import annotations

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.virtops.linux.plugins.module_utils.engine.errors import Failure, NotReady
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.define import digest
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.nwfilter import model as nwfilter_model
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.nwfilter import plan as nwfilter
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.objects.model import Observed
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.pool import model as pool_model
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.pool import plan as pool
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.pool.rules import RULES, sanitized
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.record import split_record, with_record
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.secret import model as secret_model
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.secret import plan as secret
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.volume import model as volume_model
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.volume import plan as volume
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.xmlmerge import canonical
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.xmltree import parse, render
from support.hosts import converged

MIB = 1024**2
GIB = 1024**3


def desired(model, **given):
    checked = ArgumentSpecValidator(**model.SPEC).validate(given)
    assert not checked.error_messages, checked.error_messages
    return model.from_params(checked.validated_parameters)


def kinds(plan):
    return [action.kind for action in plan.actions]


# virsh pool-dumpxml of libvirt 9.0.0
POOL = """
<pool type='dir'>
  <name>p</name>
  <uuid>f1c4f7b6-6d2b-4a3f-9d13-8b3b0f4f8e51</uuid>
  <source>
  </source>
  <target>
    <path>/srv/p</path>
    <permissions>
      <mode>0711</mode>
    </permissions>
  </target>
</pool>"""


def a_pool(active=True, **known):
    tree = canonical(parse(POOL, "xml", "pool"), RULES)
    return pool_model.Observed(inactive=tree, active=tree if active else None, **known)


@pytest.mark.parametrize(("said", "kept"), [("/a//b/", "/a/b"), ("//a/b", "//a/b"), ("///a", "/a"), ("/", "/"), ("volume", "volume")])
def test_paths_as_libvirt_keeps_them(said, kept):
    assert sanitized(said) == kept


@pytest.mark.parametrize(
    ("observed", "options", "steps"),
    [
        (a_pool(), {"xml": POOL}, []),
        (a_pool(), {"type": "dir", "target": {"path": "/srv//p/", "mode": "711"}}, []),
        (a_pool(), {"target": {"path": "/srv/p", "mode": "700", "owner": 7}}, []),  # those of its directory are not a definition's
        (a_pool(), {"target": {"mode": "700"}}, []),
        (a_pool(), {"target": {"path": "/srv/q", "mode": "700"}}, ["define_pool"]),
        (a_pool(active=False, directory=True), {"target": {"mode": "700"}, "state": "present"}, ["define_pool"]),
        (a_pool(), {"state": "absent"}, ["stop_pool", "undefine_pool"]),
        (a_pool(), {"state": "absent", "delete": True}, ["stop_pool", "delete_pool", "undefine_pool"]),
        (a_pool(active=False, directory=True), {}, ["start_pool"]),
        (a_pool(active=False, directory=False), {"build": "missing"}, ["build_pool", "start_pool"]),
        (a_pool(active=False, directory=True), {"build": "overwrite", "state": "present"}, []),
        (pool_model.Observed(), {"type": "dir", "target": {"path": "/srv/p"}, "build": "missing"}, ["define_pool", "build_pool", "start_pool"]),
        (pool_model.Observed(directory=True), {"type": "dir", "target": {"path": "/srv/p"}, "build": "missing"}, ["define_pool", "start_pool"]),
    ],
)
def test_pools(observed, options, steps):
    assert kinds(converged(pool.plan, observed, desired(pool_model, name="p", **options))) == steps


@pytest.mark.parametrize(
    ("directory", "content", "build", "writes"),
    [
        (False, False, "missing", "missing"),
        (False, True, "missing", None),  # only the mount point is made
        (True, True, "overwrite", "overwrite"),
        (None, None, "missing", "missing"),
    ],
)
def test_what_a_build_may_write(directory, content, build, writes):
    wish = desired(pool_model, name="p", type="fs", source={"devices": ["/dev/vdz"]}, target={"path": "/srv/p"}, build=build)
    plan = converged(pool.plan, pool_model.Observed(directory=directory, content=content), wish)
    assert plan.actions[1].format == writes


def test_a_device_with_data_and_its_mount_point_is_built_already():
    wish = desired(pool_model, name="p", type="fs", source={"devices": ["/dev/vdz"]}, target={"path": "/srv/p"}, build="missing")
    assert kinds(converged(pool.plan, pool_model.Observed(directory=True, content=True), wish)) == ["define_pool", "start_pool"]


def test_a_volume_group_that_cannot_be_seen_is_not_deleted():
    tree = canonical(parse("<pool type='logical'><name>p</name></pool>", "xml", "pool"), RULES)
    with pytest.raises(Failure) as caught:
        pool.plan(pool_model.Observed(inactive=tree), desired(pool_model, name="p", state="absent", delete=True))
    assert caught.value.code == "pool_not_active"


def test_a_pool_without_its_directory_does_not_start():
    with pytest.raises(NotReady) as caught:
        pool.plan(a_pool(active=False, directory=False), desired(pool_model, name="p"))
    assert caught.value.code == "directory_missing"


DISK = volume_model.Volume(10 * GIB, "qcow2", path="/srv/p/v")


def seen(disk=DISK, **more):
    return volume_model.Observed(disk, **more)


FILE = volume_model.Source(5000, 2 * GIB, "qcow2")


@pytest.mark.parametrize(
    ("observed", "options", "steps"),
    [
        (seen(), {"capacity": "10GiB"}, []),
        (seen(), {"capacity": str(10 * GIB - 500)}, []),  # rounded up
        (seen(), {"capacity": "20G"}, ["resize_volume"]),
        (seen(), {"capacity": "5G", "allow_shrink": True}, ["resize_volume"]),
        (seen(), {"state": "absent", "wipe": "zero"}, ["wipe_volume", "delete_volume"]),
        (seen(None), {"capacity": "1G", "format": "qcow2"}, ["create_volume"]),
        (seen(None, source=FILE), {"source": "/a", "capacity": "2G"}, ["create_volume", "upload_volume"]),
        (seen(None, source=FILE), {"source": "/a", "capacity": "3G"}, ["create_volume", "upload_volume", "resize_volume"]),
        (seen(None, source=FILE), {"clone": {"volume": "a"}, "capacity": "3G"}, ["create_volume", "resize_volume"]),
        (seen(volume_model.Volume(0, "raw", unfinished=True), source=FILE), {"source": "/a"}, ["upload_volume"]),
        (seen(), {"source": "/a"}, []),
    ],
)
def test_volumes(observed, options, steps):
    assert kinds(converged(volume.plan, observed, desired(volume_model, pool="p", name="v", **options))) == steps


def test_a_volume_grows_under_the_guest_that_runs_with_it():
    there = seen(volume_model.Volume(GIB, guests=("web",), running=("web",), disk="vda"))
    plan = converged(volume.plan, there, desired(volume_model, pool="p", name="v", capacity="2G"))
    assert plan.actions == (volume.ResizeVolume("v", "p", 2 * GIB, guest="web", disk="vda"),)


@pytest.mark.parametrize(
    ("observed", "options", "code"),
    [
        (seen(), {"capacity": "5G"}, "shrink_refused"),
        (seen(), {"format": "raw"}, "format_differs"),
        (seen(), {"backing": {"path": "/b", "format": "raw"}}, "backing_differs"),
        (seen(volume_model.Volume(GIB, running=("web",))), {"capacity": "2G"}, "volume_in_use"),
        (seen(volume_model.Volume(GIB, running=("web",), disk="vda")), {"capacity": "500M", "allow_shrink": True}, "volume_in_use"),
        (seen(volume_model.Volume(GIB, "raw", unfinished=True)), {"capacity": "1G"}, "upload_unfinished"),
        (seen(None, source=FILE), {"source": "/a", "capacity": "1G"}, "too_small"),
        (seen(None, source=volume_model.Source(1, 1, running=("web",))), {"clone": {"volume": "a"}}, "volume_in_use"),
        (seen(None), {}, "missing_option"),
    ],
)
def test_volumes_that_cannot_be(observed, options, code):
    with pytest.raises(Failure) as caught:
        volume.plan(observed, desired(volume_model, pool="p", name="v", **options))
    assert caught.value.code == code and "\n" not in caught.value.message


UUID = "d0c1a2b3-1111-4222-8333-76742d736563"


def a_secret(value, private=False):
    return secret_model.Observed(secret_model.Secret(UUID, private=private, value=value))


@pytest.mark.parametrize(
    ("observed", "options", "steps"),
    [
        (secret_model.Observed(), {"value": "x"}, ["define_secret", "set_secret_value"]),
        (secret_model.Observed(), {"value": "x", "private": True}, ["define_secret", "set_secret_value", "define_secret"]),
        (a_secret(secret_model.NONE), {"value": "x", "private": True}, ["set_secret_value", "define_secret"]),
        (a_secret(secret_model.SAME), {"value": "x", "private": True}, ["define_secret"]),
        (a_secret(secret_model.SAME), {"value": "x", "update_value": "always"}, []),
        (a_secret(secret_model.OTHER), {"value": "x"}, ["set_secret_value"]),
        (a_secret(secret_model.OTHER), {"value": "x", "update_value": "on_create"}, []),
        (a_secret(secret_model.UNKNOWN, private=True), {"value": "x"}, []),
        (a_secret(secret_model.UNKNOWN, private=True), {"value": "x", "update_value": "always"}, ["set_secret_value"]),
    ],
)
def test_secrets(observed, options, steps):
    plan = converged(secret.plan, observed, desired(secret_model, uuid=UUID, **options))
    assert kinds(plan) == steps and "x" not in str([action.describe() for action in plan.actions]).replace("text", "")


def test_a_rule_says_all_of_itself():
    first = {"action": "accept", "direction": "in", "protocol": "tcp", "match": {"srcipaddr": "198.51.100.1", "dstportstart": "0x16"}}
    made = converged(nwfilter.plan, nwfilter_model.Observed(), desired(nwfilter_model, name="f", rules=[first]))
    other = {**first, "match": {"dstportstart": 22}}
    plan = converged(nwfilter.plan, made.after, desired(nwfilter_model, name="f", rules=[other]))
    assert plan.actions[0].changes == ("rule/tcp@dstportstart", "rule/tcp@srcipaddr")


def test_a_rule_may_match_all_of_a_protocol():
    rule = {"action": "drop", "direction": "in", "protocol": "icmp"}
    made = converged(nwfilter.plan, nwfilter_model.Observed(), desired(nwfilter_model, name="f", rules=[rule]))
    assert "<icmp" in render(made.actions[0].definition)


def test_the_record_of_a_request_comes_and_goes():
    tree = parse("<network><name>n</name><metadata><a xmlns='urn:a'/></metadata></network>", "xml", "network")
    noted = with_record(tree, ("one", "two"))
    assert split_record(noted) == (tree, ("one", "two")) and split_record(with_record(noted, ("three", "four")))[1] == ("three", "four")
    assert digest(tree) != digest(noted) and Observed().record == ()
