# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""XML as values: parsed without surprises, compared with ==, printed for people and for libvirt."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field, replace
from typing import Any, Dict, FrozenSet, Iterator, List, Mapping, Optional, Tuple

from ..engine.errors import Failure

#: Deeper than any XML of libvirt's, and far from the interpreter's recursion limit.
_DEEPEST = 64
# XML 1.0, production 2: what may stand in a document at all.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HIDDEN = "********"
#: What a diff shows of a secret that is not the wished one.
ANOTHER_SECRET = "******** (another)"  # noqa: S105
#: Attributes that hold secrets. Source: formatdomain, graphics.
SECRET_ATTRIBUTES = ("passwd", "password")

for _prefix, _uri in (
    ("qemu", "http://libvirt.org/schemas/domain/qemu/1.0"),
    ("libosinfo", "http://libosinfo.org/xmlns/libvirt/domain/1.0"),
    ("dnsmasq", "http://libvirt.org/schemas/network/dnsmasq/1.0"),
    ("fs", "http://libvirt.org/schemas/storagepool/fs/1.0"),
    ("rbd", "http://libvirt.org/schemas/storagepool/rbd/1.0"),
    ("virtops", "https://virtops.org/linux/1"),
):
    ET.register_namespace(_prefix, _uri)


@dataclass(frozen=True)
class Node:
    """One element. A tree is either a whole state (what libvirt has) or a wish: a part of one, with marks.

    tail: text behind the element, kept only where it is more than white space.

    Marks of a wish:
    owned: child tags (and @attributes, @* for all) of which no others than the wished ones may stay.
    absent: children that must not be there, as (tag, key).
    initial: what a new element has besides the wish; an existing one keeps what it has.
    """

    tag: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    children: Tuple[Node, ...] = ()
    tail: str = ""
    owned: FrozenSet[str] = frozenset()
    absent: FrozenSet[Tuple[str, str]] = frozenset()
    initial: Optional[Node] = None

    def all(self, tag: str) -> List[Node]:
        return [child for child in self.children if child.tag == tag]

    def find(self, path: str) -> Optional[Node]:
        """The first element at a path such as os/type."""
        found: Optional[Node] = self
        for tag in path.split("/"):
            found = next((child for child in found.children if child.tag == tag), None) if found else None
        return found

    def get(self, path: str) -> Optional[str]:
        """The text at os/type, or the attribute at os/type@machine; None where there is no such thing."""
        where, at, attribute = path.partition("@")
        found = self.find(where) if where else self
        if found is None:
            return None
        return found.attributes.get(attribute) if at else found.text

    def with_attributes(self, **attributes: str) -> Node:
        return replace(self, attributes={**self.attributes, **attributes})

    def without(self, *names: str) -> Node:
        """Without these children, and without these @attributes."""
        return replace(
            self,
            attributes={name: value for name, value in self.attributes.items() if "@" + name not in names},
            children=tuple(child for child in self.children if child.tag not in names),
        )

    def with_children(self, *children: Node) -> Node:
        return replace(self, children=(*self.children, *children))

    @property
    def only_takes_away(self) -> bool:
        """Whether it is wished for nothing but that something below it is not there. An element all of whose attributes are owned, as
        those of a match in a filter are, is there without any: <icmp/> is all of ICMP.
        """
        if self.attributes or self.text or self.initial or not (self.owned or self.absent or self.children):
            return False
        if "@*" in self.owned:
            return False
        return all(child.only_takes_away for child in self.children)

    @property
    def says_something(self) -> bool:
        return bool(self.attributes or self.text or self.children or self.owned or self.absent)


def element(tag: str, *children: Optional[Node], text: str = "", **attributes: Optional[str]) -> Node:
    """A Node, leaving out the attributes and children that are None. A trailing _ keeps names off Python's keywords."""
    said = {name.rstrip("_"): value for name, value in attributes.items() if value is not None}
    return Node(tag, said, text, tuple(child for child in children if child is not None))


def unmarked(node: Node) -> Node:
    """The plain state that a wish asks for where nothing is there: its initial parts filled in, without marks."""
    children = tuple(unmarked(child) for child in node.children if not child.only_takes_away)
    plain = Node(node.tag, dict(node.attributes), node.text, children, node.tail)
    if node.initial is None:
        return plain
    base = unmarked(node.initial)
    said = {child.tag for child in children}
    extra = tuple(child for child in base.children if child.tag not in said)
    return Node(plain.tag, {**base.attributes, **plain.attributes}, plain.text or base.text, (*children, *extra), plain.tail)


class _Builder(ET.TreeBuilder):
    """ElementTree's builder, without document types (and so without entities) and without bottomless nesting."""

    depth = 0

    def doctype(self, name: str, pubid: Optional[str], system: Optional[str]) -> None:
        raise Failure("has a document type declaration, which is not accepted; leave the <!DOCTYPE ...> out", "invalid_xml")

    def start(self, tag: Any, attrs: Any) -> Any:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise Failure(f"is nested deeper than {_DEEPEST} elements, which no definition of libvirt's is", "invalid_xml")
        return super().start(tag, attrs)

    def end(self, tag: Any) -> Any:
        self.depth -= 1
        return super().end(tag)


def parse(text: str, what: str, root: str) -> Node:
    """The tree of an XML text. what: for the error. root: what the outermost element must be called."""
    parser = ET.XMLParser(target=_Builder())  # noqa: S314  # the builder refuses what makes parsing dangerous
    try:
        parser.feed(text.strip())
        tree = parser.close()
    except Failure as failure:
        raise Failure(f"{what}: {failure.message}", failure.code) from None
    except (ET.ParseError, UnicodeError) as error:
        raise Failure(f"{what}: not well-formed XML: {error}", "invalid_xml") from error
    if tree.tag != root:
        raise Failure(f"{what}: the outermost element is <{tree.tag}>; it must be <{root}>", "invalid_xml")
    return _from_element(tree)


def _from_element(tree: ET.Element) -> Node:
    children = tuple(_from_element(child) for child in tree)
    text = tree.text or ""
    tail = tree.tail or ""
    return Node(tree.tag, dict(tree.attrib), text if text.strip() else "", children, tail if tail.strip() else "")


def _to_element(node: Node) -> ET.Element:
    tree = ET.Element(node.tag, dict(node.attributes))
    tree.text = node.text
    tree.tail = node.tail
    tree.extend([_to_element(child) for child in node.children])
    return tree


def render(node: Node) -> str:
    """XML for libvirt."""
    return ET.tostring(_to_element(node), encoding="unicode")


def pretty(node: Node) -> str:
    """XML for people: indented, and with passwords hidden."""
    tree = _to_element(node)
    _indent(tree, "\n")
    for item in tree.iter():
        for name in SECRET_ATTRIBUTES:
            if item.get(name) not in (None, ANOTHER_SECRET):
                item.set(name, _HIDDEN)
    return ET.tostring(tree, encoding="unicode")


def _indent(tree: ET.Element, newline: str) -> None:
    if not len(tree) or tree.text:
        return
    tree.text = newline + "  "
    for child in tree:
        _indent(child, newline + "  ")
        child.tail = (child.tail or "") + newline + "  "
    child.tail = child.tail[:-2] if child.tail else newline


def walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from walk(child)


def plain_text(text: str, what: str, lines: bool = False) -> str:
    """The text itself, refused where no XML can carry it. lines: whether it may have more than one."""
    if _FORBIDDEN.search(text) or (not lines and re.search(r"[\r\n]", text)):
        raise Failure(f"{what}: {text!r} has control characters; leave them out", "invalid_text")
    return text


def object_name(name: str, what: str) -> str:
    """The name of a libvirt object. Source: virXMLCheckIllegalChars and the qemu driver's file names: no slash, no newline."""
    if not name.strip() or "/" in name or name in (".", "..") or _FORBIDDEN.search(name) or re.search(r"[\r\n\t]", name):
        raise Failure(f"name: {name!r} cannot name a {what}; use a name without slashes and control characters", "invalid_name")
    return name


def attributes_of(values: Mapping[str, Optional[str]]) -> Dict[str, str]:
    """Those that are said."""
    return {name: value for name, value in values.items() if value is not None}
