# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Text that looks like XML, in every text option of every module that makes XML: it stays text, or is refused. Generated from the argument specs."""

from __future__ import annotations

import contextlib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.domain.model import SPEC as DOMAIN
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.network.model import SPEC as NETWORK
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.nwfilter.model import SPEC as NWFILTER
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.pool.model import SPEC as POOL
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.secret.model import SPEC as SECRET
from ansible_collections.virtops.linux.plugins.module_utils.libvirt.volume.model import SPEC as VOLUME
from support import domain_options
from support.domain_options import FIELDS, in_every_text, under
from support.modules import apply, refused, run_module, settled
from support.virsh import clear, virsh

NAME = "vt-op-inert"
UUID = "d0c1a2b3-2222-4222-8333-76742d6f7001"
FOLDER = Path("/var/lib/libvirt/vt-op-inert")
#: It closes attributes, elements, CDATA sections and comments of either quotation, and brings an element, an attribute and entities of its own.
EVIL = "vt'\"]]>--><evil evil='1'/><!-- <![CDATA[ &lt; &evil; &#38;"
#: No slash can be in a name, and no long text in a password of VNC.
INSTEAD = {
    **{(kind, "name"): EVIL.replace("/", "") for kind in ("domain", "network", "pool", "volume", "nwfilter")},
    ("domain", "graphics.password"): "'\"<&>]]>",
}
#: What the text must begin with to be looked at.
PREFIX = {"path": "/srv/", "kernel": "/srv/", "initrd": "/srv/", "console_log": "/srv/", "dir": "/srv/"}
SPECS = {"domain": DOMAIN, "network": NETWORK, "pool": POOL, "volume": VOLUME, "secret": SECRET, "nwfilter": NWFILTER}
#: Options that become no XML: where libvirt is, XML itself (unit tests), names of option sets, and what a secret keeps.
NOT_XML = {"uri", "xml", "metadata", "profile", "profiles", "value"}
BASE: dict[str, dict[str, Any]] = {
    "domain": {"name": NAME, "type": "qemu", "memory": "64M"},
    "network": {"name": NAME, "state": "inactive", "bridge": {"name": "vt-op0"}},
    "pool": {"name": NAME, "state": "inactive", "type": "dir", "target": {"path": str(FOLDER)}},
    "volume": {"pool": NAME, "name": NAME, "capacity": "1M"},
    "secret": {"uuid": UUID, "usage": {"type": "volume", "id": "vt-op"}},
    "nwfilter": {"name": NAME},
}
_ADDRESS = {"address": "198.18.80.1", "prefix": 24}
_SRV = {"service": "sip", "protocol": "tcp", "domain": "example.org", "target": "a.example.org"}
_ROUTE = {"address": "198.18.81.0", "prefix": 24, "gateway": "198.18.80.9"}
_RANGE = {"start": "198.18.80.9", "end": "198.18.80.9"}
_PORT = {"type": "openvswitch", "parameters": {"profileid": "p"}}
_NETFS = {"type": "netfs", "source": {"hosts": [{"name": "203.0.113.9"}], "dir": "/export", "format": "nfs"}}
_ISCSI = {
    "type": "iscsi",
    "source": {"hosts": [{"name": "203.0.113.9"}], "devices": ["iqn.2026-01.example:a"]},
    "target": {"path": "/dev/disk/by-path"},
}
_AUTH = {"type": "chap", "username": "u", "secret_usage": "s"}
#: What has to be beside an option so that it is looked at.
BESIDE: dict[tuple[str, str], dict[str, Any]] = {
    ("domain", "cpu.model"): {"cpu": {"mode": "custom"}},
    ("domain", "disks.pool"): {"disks": [{"volume": "v"}]},
    ("domain", "disks.volume"): {"disks": [{"pool": "p"}]},
    **{("domain", f"disks.{name}"): {"disks": [{"path": "/srv/a"}]} for name in ("format", "target", "serial")},
    **{("domain", f"interfaces.{name}"): {"interfaces": [{"source": "n"}]} for name in ("mac", "model")},
    **{("domain", f"graphics.{name}"): {"graphics": {"type": "vnc"}} for name in ("listen", "password")},
    ("network", "ips.dhcp.ranges.start"): {"ips": [{**_ADDRESS, "dhcp": {"ranges": [{"end": "198.18.80.9"}]}}]},
    ("network", "ips.dhcp.ranges.end"): {"ips": [{**_ADDRESS, "dhcp": {"ranges": [{"start": "198.18.80.9"}]}}]},
    ("network", "ips.dhcp.hosts.mac"): {"ips": [{**_ADDRESS, "dhcp": {"hosts": [{"ip": "198.18.80.9"}]}}]},
    ("network", "ips.dhcp.hosts.name"): {"ips": [{**_ADDRESS, "dhcp": {"hosts": [{"ip": "198.18.80.9"}]}}]},
    ("network", "ips.dhcp.hosts.ip"): {"ips": [{**_ADDRESS, "dhcp": {"hosts": [{"name": "a"}]}}]},
    ("network", "forward.dev"): {"forward": {"mode": "nat"}, "ips": [_ADDRESS]},
    ("network", "dns.forwarders.domain"): {"dns": {"forwarders": [{"address": "198.18.80.9"}]}},
    ("network", "dns.hosts.ip"): {"dns": {"hosts": [{"hostnames": ["a"]}]}},
    ("network", "dns.hosts.hostnames"): {"dns": {"hosts": [{"ip": "198.18.80.9"}]}},
    ("network", "dns.txt.name"): {"dns": {"txt": [{"value": "v"}]}},
    ("network", "dns.txt.value"): {"dns": {"txt": [{"name": "a"}]}},
    **{("network", f"dns.srv.{name}"): {"dns": {"srv": [_SRV]}} for name in ("service", "protocol", "domain", "target")},
    ("network", "ips.tftp_root"): {"ips": [_ADDRESS]},
    ("network", "ips.dhcp.hosts.id"): {"ips": [{**_ADDRESS, "dhcp": {"hosts": [{"ip": "198.18.80.9"}]}}]},
    **{
        ("network", f"ips.dhcp.bootp.{name}"): {"ips": [{**_ADDRESS, "dhcp": {"ranges": [_RANGE], "bootp": {"file": "a"}}}]}
        for name in ("file", "server")
    },
    **{("network", f"routes.{name}"): {"ips": [_ADDRESS], "routes": [_ROUTE]} for name in ("address", "gateway")},
    ("network", "portgroups.virtualport.type"): {"portgroups": [{"name": "g"}]},
    ("network", "portgroups.virtualport.parameters"): {"portgroups": [{"name": "g", "virtualport": _PORT}]},
    ("pool", "source.name"): {"type": "logical", "source": {"devices": ["/dev/vt-none"]}},
    ("pool", "source.adapter"): {"type": "scsi", "target": {"path": "/dev/disk/by-path"}},
    **{("pool", f"source.{name}"): _NETFS for name in ("hosts.name", "dir", "format", "protocol_version")},
    **{("pool", f"source.{name}"): _ISCSI for name in ("devices", "initiator")},
    **{("pool", f"source.auth.{name}"): {**_ISCSI, "source": {**_ISCSI["source"], "auth": _AUTH}} for name in ("username", "secret_usage")},
    ("pool", "source.auth.secret"): {**_ISCSI, "source": {**_ISCSI["source"], "auth": {"type": "chap", "username": "u"}}},
    ("volume", "backing.path"): {"format": "qcow2", "backing": {"format": "raw"}},
    ("volume", "backing.format"): {"format": "qcow2", "backing": {"path": "/srv/a"}},
    ("volume", "clone.pool"): {"clone": {"volume": "v"}},
    ("secret", "usage.id"): {"usage": {"type": "volume"}},
    ("nwfilter", "filterrefs.filter"): {},
    ("nwfilter", "filterrefs.parameters"): {"filterrefs": [{"filter": "clean-traffic", "parameters": {"COMMENT": ""}}]},
    ("nwfilter", "rules.match"): {"rules": [{"action": "drop", "direction": "in", "protocol": "tcp"}]},
}


#: Where any text may stand. All others are refused.
STAYS = {
    (kind, path)
    for kind, paths in {
        "domain": "name title description cpu.model disks.path disks.pool "
        "disks.volume interfaces.source kernel initrd cmdline console_log graphics.password",
        "pool": "name source.name source.hosts.name source.devices source.dir "
        "source.initiator source.protocol_version source.auth.username source.auth.secret_usage target.path",
        "network": "name bridge.zone dns.forwarders.domain dns.hosts.hostnames dns.txt.value dns.srv.domain dns.srv.target "
        "ips.tftp_root ips.dhcp.bootp.file dnsmasq_options",
        "volume": "name",
        "secret": "usage.id description",
        "nwfilter": "rules.match",
    }.items()
    for path in paths.split()
}


def texts(spec: dict[str, Any], above: str = "") -> Iterator[str]:
    """The paths of all options that take any text."""
    for name, option in spec.items():
        kind = option.get("elements", "str") if option["type"] == "list" else option["type"]
        if kind == "dict" and "options" in option:
            yield from texts(option["options"], f"{above}{name}.")
        elif kind in ("str", "path", "dict") and "choices" not in option and above + name not in NOT_XML:
            yield above + name


#: But for the guest's options that come from tables, which are tried many at a time.
CASES = [(kind, path) for kind, spec in SPECS.items() for path in texts(spec["argument_spec"]) if kind != "domain" or path not in FIELDS]


def put(spec: dict[str, Any], values: dict[str, Any], path: str, text: str) -> dict[str, Any]:
    """The options with the text where the path says."""
    name, _dot, rest = path.partition(".")
    option, there = spec[name], values.get(name)
    if rest:
        inner = put(option["options"], there[0] if isinstance(there, list) else there or {}, rest, text)
    else:
        inner = {next(iter(there or {}), "comment"): text} if option.get("type") == "dict" else text
    return {**values, name: [inner] if option["type"] == "list" else inner}


def definition(kind: str, name: str) -> str:
    words = {"domain": "dumpxml", "network": "net-dumpxml", "pool": "pool-dumpxml", "nwfilter": "nwfilter-dumpxml"}
    if kind == "secret":
        return virsh("secret-dumpxml", UUID)
    if kind == "volume":
        return virsh("vol-dumpxml", "--pool", NAME, name)
    return virsh(words[kind], *(["--inactive"] if kind != "nwfilter" else []), *(["--security-info"] if kind == "domain" else []), name)


def remove(name: str) -> None:
    clear(
        ("undefine", name),
        ("net-undefine", name),
        ("nwfilter-undefine", name),
        ("secret-undefine", UUID),
        ("pool-destroy", name),
        ("pool-undefine", name),
    )
    with contextlib.suppress(OSError):
        for path in FOLDER.glob("*"):
            path.unlink()
        FOLDER.rmdir()


@pytest.fixture
def clean(libvirtd):
    remove(NAME)
    yield
    remove(NAME)


@pytest.mark.parametrize(("kind", "path"), CASES, ids=lambda value: value)
def test_text_that_looks_like_xml_stays_text(clean, kind, path):
    spec = SPECS[kind]["argument_spec"]
    text = INSTEAD.get((kind, path)) or PREFIX.get(path.rpartition(".")[2], "") + EVIL
    options = put(spec, {**BASE[kind], **BESIDE.get((kind, path), {})}, path, text)
    if kind == "volume":
        apply("libvirt_pool", {**BASE["pool"], "state": "active", "build": "missing"})
    name = text if path == "name" else NAME
    try:
        result = run_module(f"libvirt_{kind}", options)
        if result["failed"]:
            assert result["code"] not in ("internal_error", "not_converged", "libvirt_unreachable", "invalid_options"), result
            assert (kind, path) not in STAYS, result
            return
        found = [(node.tag, node.attrib, node.text) for node in ET.fromstring(definition(kind, name)).iter()]  # noqa: S314
        assert (kind, path) in STAYS
        assert not [tag for tag, attributes, _text in found if "evil" in tag or "evil" in attributes]
        assert any(text in (words, *attributes.values()) for _tag, attributes, words in found), "the text is not there as it was said"
        if kind != "volume":
            settled(f"libvirt_{kind}", options)
    finally:
        if name != NAME:
            remove(name)


#: The options from tables where any text may stand. All other texts are refused, as a unit test shows.
STAYS_IN_TABLES = {
    *("dtb", "loader.path", "nvram.path", "nvram.template", "clock.timezone", "memory_devices.path", "blkiotune.devices.path"),
    *("serial.path", "serial.host", "serial.log", "tpm.device", "hostdevs.rom_file", "interfaces.portgroup"),
    *("filesystems.target", "filesystems.source", "filesystems.socket", "filesystems.binary"),
    *("rng.backend", "channels.name", "channels.path", "disks.network.name", "disks.network.query", "disks.network.hosts.name"),
    *("disks.network.hosts.socket", "disks.network.snapshot", "disks.network.config", "disks.network.initiator"),
    *("disks.network.auth.username", "disks.network.auth.secret_usage"),
}
SEVERAL = {
    name: case for name, case in domain_options.CASES.items() if not case.missing and set(domain_options.told(case.one)) & set(STAYS_IN_TABLES)
}


@pytest.mark.parametrize("case", SEVERAL.values(), ids=SEVERAL)
def test_text_in_options_of_tables_stays_text(clean, case):
    options, texts_in = in_every_text(under({**BASE["domain"], "machine": "q35", **case.beside}, case.one), STAYS_IN_TABLES, EVIL)
    apply("libvirt_domain", options)
    found = [(node.tag, node.attrib, node.text) for node in ET.fromstring(definition("domain", NAME)).iter()]  # noqa: S314
    assert not [tag for tag, attributes, _text in found if "evil" in tag or "evil" in attributes]
    for option, text in texts_in.items():
        assert any(text in (words, *attributes.values()) for _tag, attributes, words in found), f"{option} is not there as it was said"
    settled("libvirt_domain", options)


def test_all_texts_of_tables_that_stay_are_tried():
    assert {option for case in SEVERAL.values() for option in domain_options.told(case.one)} >= STAYS_IN_TABLES


def test_what_is_said_of_an_option_is_said_of_one_that_there_is():
    assert set(BESIDE) | STAYS | set(INSTEAD) <= set(CASES)


HOSTILE_XML = {
    "entity": "<!DOCTYPE {0} [<!ENTITY e 'x'>]><{0}><name>vt-op-inert</name><title>&e;</title></{0}>",
    "external entity": "<!DOCTYPE {0} [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><{0}><name>vt-op-inert</name><title>&e;</title></{0}>",
    "parameter entity": "<!DOCTYPE {0} [<!ENTITY % e SYSTEM 'file:///etc/passwd'> %e;]><{0}><name>vt-op-inert</name></{0}>",
    "external subset": "<!DOCTYPE {0} SYSTEM 'file:///etc/passwd'><{0}><name>vt-op-inert</name></{0}>",
    "public subset": "<!DOCTYPE {0} PUBLIC '-//x' 'http://203.0.113.9/x.dtd'><{0}><name>vt-op-inert</name></{0}>",
    "unknown entity": "<{0}><name>vt-op-inert</name><title>&evil;</title></{0}>",
    "behind a declaration": "<?xml version='1.0' standalone='no'?>\n<!-- a -->\n<!DOCTYPE {0} []><{0}><name>vt-op-inert</name></{0}>",
}


@pytest.mark.parametrize("how", HOSTILE_XML)
def test_document_types_and_entities_are_refused(libvirtd, how):
    for kind, root in (*((kind, kind) for kind in SPECS if kind != "nwfilter"), ("nwfilter", "filter")):
        options = {"xml": HOSTILE_XML[how].format(root), **({"pool": "vt-op-none"} if kind == "volume" else {})}
        refused(f"libvirt_{kind}", options, "invalid_xml")
