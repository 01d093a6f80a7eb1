"""Content models: sequences, choices, groups and wildcards of XML Schema as particles (XSD 1.0 part 1 §3.7 to §3.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, cast

from lxml import etree

from adapters.soap.schema.documents import SchemaDocument, place
from adapters.soap.schema.model import UNBOUNDED, XSD, Group, Particle, Wildcard, local_name

if TYPE_CHECKING:
    from adapters.soap.schema.components import Compiler

_X: Final = f"{{{XSD}}}"
_GROUPS: Final = {_X + "sequence": "sequence", _X + "choice": "choice", _X + "all": "all"}
_IGNORED: Final = {_X + kind for kind in ("annotation", "import", "include", "redefine", "override", "notation")}


def content_of(compiler: Compiler, node: etree._Element, document: SchemaDocument) -> Particle | None:
    for child in node:
        if child.tag in _GROUPS or child.tag == _X + "group":
            return _particle(compiler, child, document)
    return None


def _particle(compiler: Compiler, node: etree._Element, document: SchemaDocument) -> Particle | None:
    low, high = _occurs(compiler, node, document)
    if high == 0:
        return None
    tag = node.tag
    if tag == _X + "element":
        return Particle(compiler.local_element(node, document), low, high)
    if tag == _X + "any":
        return Particle(wildcard_of(compiler, node, document), low, high)
    if tag == _X + "group":
        name, source = compiler.part("group", node, document)
        if source is None:
            compiler.unknown("group", name, place(node, document.file), compiler.sources["group"])
            return None
        compiler.group_depth += 1
        if compiler.group_depth > 50:
            compiler.findings.error(place(node, document.file), f"group {local_name(name)} contains itself")
            compiler.group_depth -= 1
            return None
        content = content_of(compiler, *source)
        compiler.group_depth -= 1
        if content is None or (low, high) == (1, 1):
            return content
        return Particle(Group("sequence", (content,)), low, high)
    particles = []
    for child in node:
        if child.tag in _GROUPS or child.tag in (_X + "element", _X + "any", _X + "group"):
            particle = _particle(compiler, child, document)
            if particle is not None:
                particles.append(particle)
        elif isinstance(child.tag, str) and child.tag not in _IGNORED:
            compiler.findings.error(
                place(child, document.file), f"{local_name(child.tag)} is not understood in a content model"
            )
    kind = cast(Literal["sequence", "choice", "all"], _GROUPS[tag])
    return Particle(Group(kind, tuple(particles)), low, high) if particles or kind == "choice" else None


def _occurs(compiler: Compiler, node: etree._Element, document: SchemaDocument) -> tuple[int, int]:
    low, high = node.get("minOccurs", "1").strip(), node.get("maxOccurs", "1").strip()
    if not low.isdigit() or not (high.isdigit() or high == "unbounded"):
        compiler.findings.error(
            place(node, document.file), "minOccurs and maxOccurs are whole numbers, or maxOccurs unbounded"
        )
        return 1, 1
    bounds = int(low), UNBOUNDED if high == "unbounded" else int(high)
    if bounds[0] > bounds[1]:
        compiler.findings.error(place(node, document.file), "minOccurs is greater than maxOccurs")
    return bounds


def wildcard_of(compiler: Compiler, node: etree._Element, document: SchemaDocument) -> Wildcard:
    text = node.get("namespace", "##any").split()
    process = node.get("processContents", "strict")
    checked: Literal["strict", "lax", "skip"] = process if process in ("lax", "skip") else "strict"  # type: ignore[assignment]  # narrowed by the test
    if text == ["##any"]:
        return Wildcard(process=checked)
    if text == ["##other"]:
        return Wildcard(excluded=frozenset((document.target, "")), process=checked)
    names = {"##targetNamespace": document.target, "##local": ""}
    return Wildcard(namespaces=frozenset(names.get(name, name) for name in text), process=checked)
