"""The WSDL as callers get it: every address is the route's own, every import is served by the route as well."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from lxml import etree

from adapters.soap.codec.markup import escape_attribute
from adapters.soap.codec.parsing import parse
from adapters.soap.schema.documents import WSDL, relative
from adapters.soap.schema.model import XSD
from adapters.soap.schema.services import SOAP_BINDINGS

_ADDRESSES: Final = frozenset(f"{{{namespace}}}address" for namespace in SOAP_BINDINGS)
_REFERRING: Final = {
    f"{{{WSDL}}}import": "location",
    f"{{{XSD}}}import": "schemaLocation",
    f"{{{XSD}}}include": "schemaLocation",
    f"{{{XSD}}}redefine": "schemaLocation",
}
_MARK: Final = "sluicegate-address-7f3b9c"  # stands where the address goes: nothing else in a WSDL says so


class ServedDocuments:
    """The documents of one WSDL, by number: `?wsdl` is the first, `?wsdl=1` what it refers to. Paths are told nobody."""

    def __init__(self, files: Iterable[str], read: Callable[[str], bytes]) -> None:
        listed = list(dict.fromkeys(files))
        numbers = {file: number for number, file in enumerate(listed)}
        self._pieces = [_rewritten(file, parse(read(file)), numbers).split(_MARK.encode()) for file in listed]

    def document(self, number: str, address: str) -> bytes | None:
        """The document called `number` in a query; None when there is none."""
        if number and not (number.isdecimal() and number.isascii() and len(number) < 4):
            return None
        index = int(number or 0)
        if index >= len(self._pieces):
            return None
        return escape_attribute(address).encode().join(self._pieces[index])


def _rewritten(file: str, root: etree._Element, numbers: dict[str, int]) -> bytes:
    for node in root.iter():
        if node.tag in _ADDRESSES:
            node.set("location", _MARK)
            continue
        attribute = _REFERRING.get(str(node.tag))
        where = node.get(attribute) if attribute else None
        if attribute and where:
            number = numbers.get(relative(file, where.strip()))
            if number is not None:  # else a document on the network, which stays where it is
                node.set(attribute, f"{_MARK}?wsdl={number}")
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)
