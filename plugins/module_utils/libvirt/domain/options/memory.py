# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rows: where memory comes from, NUMA, and what the guest may use of the host. Source: libvirt's formatdomain."""

from __future__ import annotations

from typing import Any, Mapping

from . import kinds as k
from .rows import Group, Row, Table


def _pages(options: Mapping[str, Any], name: str) -> None:
    if options["hugepages"] is False and options["pages"]:
        raise k.bad(f"{name}.hugepages", False, f"goes not with {name}.pages; leave one of them out")


def _placed(options: Mapping[str, Any], name: str) -> None:
    if options["placement"] == "auto" and options["nodeset"]:
        raise k.bad(f"{name}.nodeset", options["nodeset"], "goes not with placement auto; leave one of them out")


MEMORY: Table = (
    Row("max_memory", "maxMemory", k.SIZE, "How much there can be with memory modules that are plugged in. Needs O(memory_slots) and O(numa)."),
    Row("memory_slots", "maxMemory@slots", k.integer(1), "How many memory modules there can be. Needs O(max_memory)."),
    Group(
        "memory_devices",
        "devices/memory",
        "Memory modules, all of them. O(memory) counts them.",
        (
            Row(
                "model",
                "@model",
                k.choice("dimm", "nvdimm", "virtio-mem", "virtio-pmem"),
                "The kind. Libvirt tells modules apart by it.",
                required=True,
            ),
            Row("size", "target/size", k.SIZE, "Its size, with a unit.", required=True),
            Row("node", "target/node", k.NUMBER, "The NUMA cell of the guest that it belongs to."),
            Row("block", "target/block", k.SIZE, "The least that a V(virtio-mem) gives."),
            Row("requested", "target/requested", k.SIZE, "How much of a V(virtio-mem) the guest is to have."),
            Row("path", "source/path", k.FILE, "The file that backs a V(nvdimm) or V(virtio-pmem)."),
            Row("access", "@access", k.choice("shared", "private"), "Whether others see what the guest writes."),
        ),
        many=True,
    ),
    Group(
        "memory_backing",
        "memoryBacking",
        "What the guest's memory is on the host. An empty dictionary takes all of it away.",
        (
            Row("hugepages", "hugepages", k.PRESENT, "Whether it is of huge pages; of the default size unless O(memory_backing.pages) says others."),
            Group(
                "pages",
                "hugepages/page",
                "The sizes of huge pages.",
                (
                    Row("size", "@size", k.SIZE, "Their size, for example V(2M).", required=True),
                    Row("nodeset", "@nodeset", k.SET, "The NUMA cells of the guest that have them, as V(0-1)."),
                ),
                many=True,
            ),
            Row("nosharepages", "nosharepages", k.PRESENT, "Whether the host merges none of its pages with others."),
            Row("locked", "locked", k.PRESENT, "Whether the host never swaps it out."),
            Row("source", "source@type", k.choice("file", "anonymous", "memfd"), "The kind of memory. V(memfd) can be shared."),
            Row("access", "access@mode", k.choice("shared", "private"), "V(shared) is what virtiofs needs."),
            Row("allocation", "allocation@mode", k.choice("immediate", "ondemand"), "When it is taken from the host."),
            Row("allocation_threads", "allocation@threads", k.integer(1), "Threads that take it."),
            Row("discard", "discard", k.PRESENT, "Whether what is in it is thrown away when the guest ends."),
        ),
        check=_pages,
    ),
    Group(
        "numa",
        "cpu/numa",
        "The NUMA cells that the guest sees. An empty dictionary takes them away.",
        (
            Group(
                "cells",
                "cell",
                "The cells, all of them.",
                (
                    Row("id", "@id", k.NUMBER, "Its number, from 0.", required=True),
                    Row("cpus", "@cpus", k.SET, "Its vCPUs, as V(0-3)."),
                    Row("memory", "@memory", k.SIZE, "Its memory, with a unit. O(memory) is what they add up to.", required=True),
                    Row("mem_access", "@memAccess", k.choice("shared", "private"), "Whether others see what the guest writes."),
                    Row("discard", "@discard", k.YES_NO, "Whether what is in it is thrown away when the guest ends."),
                ),
                many=True,
            ),
        ),
    ),
    Group(
        "numatune",
        "numatune",
        "The NUMA nodes of the host that the memory comes from. An empty dictionary takes it away.",
        (
            Group(
                "memory",
                "memory",
                "For all of it.",
                (
                    Row(
                        "mode", "@mode", k.choice("strict", "interleave", "preferred", "restrictive"), "What becomes of it where they have none left."
                    ),
                    Row("nodeset", "@nodeset", k.SET, "The nodes, as V(0-1)."),
                    Row("placement", "@placement", k.choice("static", "auto"), "V(auto) asks numad for the nodes."),
                ),
                check=_placed,
            ),
            Group(
                "memnodes",
                "memnode",
                "For a cell of the guest, all of those that have their own.",
                (
                    Row("cellid", "@cellid", k.NUMBER, "The cell of O(numa).", required=True),
                    Row(
                        "mode", "@mode", k.choice("strict", "interleave", "preferred", "restrictive"), "What becomes of it where they have none left."
                    ),
                    Row("nodeset", "@nodeset", k.SET, "The nodes, as V(0-1).", required=True),
                ),
                many=True,
            ),
        ),
    ),
)
