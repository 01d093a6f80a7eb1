"""xs:redefine: components written anew in terms of what they were (XSD 1.0 part 1 §4.2.2). Compiles none of them.

A component of an xs:redefine takes the place of the one of its name, for whoever names it, in the redefined document too.
What it was goes on without a name, and only for the reference to itself that the new one holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from lxml import etree

from adapters.soap.schema.documents import Redefinition, SchemaDocument, place
from adapters.soap.schema.model import XSD, clark, local_name, suggestion

if TYPE_CHECKING:
    from adapters.soap.schema.components import Compiler, Source

_X: Final = f"{{{XSD}}}"
_BASES: Final = {
    "complexType": tuple(
        f"{_X}{content}/{_X}{step}"
        for content in ("complexContent", "simpleContent")
        for step in ("extension", "restriction")
    ),
    "simpleType": (f"{_X}restriction",),
}
_KINDS: Final = (*_BASES, "group", "attributeGroup")


def redefined(
    compiler: Compiler, redefinitions: Iterable[Redefinition]
) -> dict[tuple[etree._Element, SchemaDocument], Source]:
    """Put what is redefined in its place among the compiler's sources.

    Returns what the references to themselves mean, by the node that holds the `base` or `ref` and its document. An
    xs:redefine builds upon those before it.
    """
    originals: dict[tuple[etree._Element, SchemaDocument], Source] = {}
    for redefinition in redefinitions:
        for node in redefinition.node:
            if isinstance(node.tag, str) and node.tag != f"{_X}annotation":
                _component(compiler, node, redefinition, originals)
    return originals


def _component(
    compiler: Compiler,
    node: etree._Element,
    redefinition: Redefinition,
    originals: dict[tuple[etree._Element, SchemaDocument], Source],
) -> None:
    document = redefinition.document
    here = place(node, document.file)
    kind, local = node.tag.removeprefix(_X), node.get("name") or ""
    if kind not in _KINDS:
        what = local_name(node.tag)
        compiler.findings.error(here, f"{what} cannot be redefined; types, groups and attribute groups can")
        return
    if not local:
        compiler.findings.error(here, f"xs:{kind} needs a name")
        return
    name, where = clark(document.target, local), redefinition.node.get("schemaLocation")
    known = compiler.sources[kind].get(name)
    if known is None:
        hint = suggestion(name, compiler.sources[kind])
        compiler.findings.error(here, f"{kind} {local} cannot be redefined: {where} does not declare it{hint}")
        return
    if known[1] not in redefinition.of:  # declared beside the redefinition, or redefined by somebody else already
        first = place(known[0], known[1].file)
        compiler.findings.error(
            here, f"{kind} {local} cannot be redefined: it is that of {first.file}:{first.line}, not that of {where}"
        )
        return
    itself = _references(compiler, node, kind, name, document)
    if kind in _BASES and not itself:  # src-redefine 5
        compiler.findings.error(here, f"{kind} {local} is redefined, so its base has to be {local} itself")
        return
    if len(itself) > 1 or any(
        part.get(bound, "1").strip() != "1" for part in itself for bound in ("minOccurs", "maxOccurs")
    ):
        # src-redefine 6.1, 7.1
        compiler.findings.error(here, f"{kind} {local} is redefined, so it may hold itself once only")
        return
    compiler.sources[kind][name] = (node, document)
    originals.update({(reference, document): known for reference in itself})


def _references(
    compiler: Compiler, node: etree._Element, kind: str, name: str, document: SchemaDocument
) -> list[etree._Element]:
    """Where a component names itself as its base, or as a part."""
    if kind in _BASES:
        attribute, candidates = "base", [step for path in _BASES[kind] for step in node.iterfind(path)]
    else:
        attribute, candidates = "ref", list(node.iterfind(f".//{_X}{kind}"))
    return [
        candidate
        for candidate in candidates
        if (text := candidate.get(attribute)) and compiler.qname(candidate, text, document) == name
    ]
