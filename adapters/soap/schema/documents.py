"""Finds and reads the files a WSDL consists of: its own, its imports and includes. Knows no component inside them."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, cast
from urllib.parse import urljoin

from lxml import etree

from adapters.soap.codec.parsing import NotXml, parse
from adapters.soap.schema.model import SOAP_ENC_11, SOAP_ENC_12, XSD, Place

WSDL: Final = "http://schemas.xmlsoap.org/wsdl/"
XML_NS: Final = "http://www.w3.org/XML/1998/namespace"
XMIME: Final = "http://www.w3.org/2005/05/xmlmime"
WSDL_20: Final = "http://www.w3.org/ns/wsdl"
BUILT_IN: Final = frozenset((XSD, WSDL, XML_NS, XMIME, SOAP_ENC_11, SOAP_ENC_12))
"""Namespaces that tools import from their home on the network, of which all that a schema can use is known without."""
MAX_DOCUMENTS: Final = 500  # a WSDL of a large ERP has about 200

Read = Callable[[str], bytes]
"""Returns the octets at a location (a path or, where remote ones are allowed, a URL); raises OSError."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a WSDL gets wrong, at its place."""

    place: Place
    message: str
    level: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{self.place.file}:{self.place.line}: {self.level}: {self.message}"


class Findings(list[Finding]):
    """Collected while reading, so that all of them are shown at once."""

    def error(self, place: Place, message: str) -> None:
        self.append(Finding(place, message))

    def warning(self, place: Place, message: str) -> None:
        self.append(Finding(place, message, "warning"))

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self if finding.level == "error"]


class BadWsdl(ValueError):
    """The WSDL cannot be used; `findings` says where and why."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = list(findings)
        super().__init__("; ".join(map(str, self.findings)))


@dataclass(frozen=True, slots=True, eq=False)
class SchemaDocument:
    """One xs:schema element. `target` is its effective namespace: a chameleon include takes its includer's."""

    root: etree._Element
    file: str
    target: str
    chameleon: bool = False


@dataclass(frozen=True, slots=True)
class Redefinition:
    """One xs:redefine: what stands in `node`, an element of `document`, replaces components of the schema `of`."""

    node: etree._Element
    document: SchemaDocument
    of: frozenset[SchemaDocument]  # the document that is named, with all that it includes


@dataclass(slots=True)
class Documents:
    """All documents reached from one WSDL (or one XSD)."""

    findings: Findings
    definitions: list[tuple[etree._Element, str]] = field(default_factory=list)
    schemas: list[SchemaDocument] = field(default_factory=list)
    redefinitions: list[Redefinition] = field(default_factory=list)  # each after those that it builds upon
    files: list[str] = field(default_factory=list)  # for --watch and fingerprints

    def forget(self) -> None:
        """Let go of the trees, once all is compiled: they are several times the size of what is kept."""
        self.definitions.clear()
        self.schemas.clear()
        self.redefinitions.clear()


def place(node: etree._Element, file: str) -> Place:
    return Place(file, cast(int, node.sourceline or 0))  # the stubs give it no type


def relative(base: str, location: str) -> str:
    """Where `location`, written in the document at `base`, leads."""
    if location.startswith(("http://", "https://")) or base.startswith(("http://", "https://")):
        return urljoin(base, location)
    return posixpath.normpath(
        posixpath.join(posixpath.dirname(base), location.split("#", maxsplit=1)[0].split("?", maxsplit=1)[0])
    )


def load(location: str, read: Read, *, remote: bool = False) -> Documents:
    """Read the WSDL at `location` and what it refers to. Problems are findings; nothing is raised."""
    documents = Documents(Findings())
    _Loader(documents, read, remote).wsdl(location, None)
    return documents


class _Loader:
    def __init__(self, documents: Documents, read: Read, remote: bool) -> None:
        self._documents = documents
        self._findings = documents.findings
        self._read = read
        self._remote = remote
        self._roots: dict[str, etree._Element | None] = {}
        self._wsdls: set[str] = set()
        self._schemas: dict[tuple[etree._Element, str], SchemaDocument] = {}
        self._included: dict[SchemaDocument, list[SchemaDocument]] = {}  # and redefined
        # positions and comments do not matter here, but ids and sizes do: a WSDL is trusted no more than an answer
        self._parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )

    def wsdl(self, location: str, importer: Place | None) -> None:
        if location in self._wsdls:
            return
        self._wsdls.add(location)
        root = self._root(location, importer)
        if root is None:
            return
        if root.tag == f"{{{XSD}}}schema":  # some WSDLs import a schema by wsdl:import
            self.schema(root, location, "")
            return
        if root.tag == f"{{{WSDL_20}}}description":
            self._findings.error(place(root, location), "this is WSDL 2.0; WSDL 1.1 is understood")
            return
        if root.tag != f"{{{WSDL}}}definitions":
            self._findings.error(place(root, location), "the root element is not wsdl:definitions; this is no WSDL 1.1")
            return
        self._documents.definitions.append((root, location))
        for node in root.iterfind(f"{{{WSDL}}}import"):
            where = node.get("location")
            if where:
                target = self._resolve(location, where, place(node, location))
                if target is not None:
                    self.wsdl(target, place(node, location))
            else:
                self._findings.error(place(node, location), "wsdl:import has no location")
        for types in root.iterfind(f"{{{WSDL}}}types"):
            for schema in types.iterfind(f"{{{XSD}}}schema"):
                self.schema(schema, location, "")

    def schema(self, root: etree._Element, file: str, includer: str) -> SchemaDocument:
        """`includer` is the namespace a schema without one takes on (XSD 1.0 part 1 §4.2.1)."""
        own = root.get("targetNamespace") or ""
        target = own or includer
        known = self._schemas.get((root, target))
        if known is not None:
            return known
        document = SchemaDocument(root, file, target, chameleon=not own and bool(includer))
        self._schemas[root, target] = document
        self._documents.schemas.append(document)
        included = self._included.setdefault(document, [])
        for node in root:
            kind = etree.QName(node).localname if isinstance(node.tag, str) else ""
            if kind not in ("import", "include", "redefine", "override") or etree.QName(node).namespace != XSD:
                continue
            found = self._referred(node, kind, document)
            if found is None:
                continue
            referred = self.schema(*found, "" if kind == "import" else target)
            if kind != "import":
                included.append(referred)
            if kind == "redefine":
                whole = frozenset(self._whole(referred) - {document})
                self._documents.redefinitions.append(Redefinition(node, document, whole))
        return document

    def _referred(self, node: etree._Element, kind: str, document: SchemaDocument) -> tuple[etree._Element, str] | None:
        """The schema that an import, include or redefine names, and where it is. None without one, which may be right."""
        here = place(node, document.file)
        if kind == "override":
            self._findings.error(here, "xs:override is not supported; write the changed types out")
            return None
        where = node.get("schemaLocation")
        if not where:
            if kind == "redefine":
                self._findings.error(here, "xs:redefine has no schemaLocation")
            return None  # the namespace is declared inline, or its absence shows where a name does not resolve
        if node.get("namespace") in BUILT_IN and where.strip().startswith(("http://", "https://")):
            return None
        location = self._resolve(document.file, where, here)
        if location is None:
            return None
        root = self._root(location, here)
        if root is None:
            return None
        if root.tag != f"{{{XSD}}}schema":
            self._findings.error(here, f"{where} is no XML Schema: its root element is not xs:schema")
            return None
        namespace = root.get("targetNamespace") or ""
        if kind == "import" and namespace != (node.get("namespace") or ""):
            self._findings.warning(here, f"{where} has another targetNamespace than this import says; its own is used")
        if kind == "include" and namespace not in ("", document.target):  # XSD 1.0 part 1 §4.2.1, src-include 2
            self._findings.warning(here, f"{where} has another targetNamespace than what includes it; its own is used")
        if kind == "redefine" and namespace not in ("", document.target):  # XSD 1.0 part 1 §4.2.2, src-redefine 3
            self._findings.error(
                here, f"{where} has another targetNamespace; only a schema of its own can be redefined"
            )
            return None
        return root, location

    def _whole(self, document: SchemaDocument) -> set[SchemaDocument]:
        """A schema document and all that it includes, directly or not."""
        found: set[SchemaDocument] = set()
        waiting = [document]
        while waiting:
            current = waiting.pop()
            if current not in found:
                found.add(current)
                waiting.extend(self._included[current])
        return found

    def _resolve(self, base: str, location: str, here: Place) -> str | None:
        location = location.strip()
        if location.startswith(("http://", "https://")) or base.startswith(("http://", "https://")):
            if not self._remote:
                self._findings.error(
                    here, f"{location} is on the network; keep a copy beside the WSDL, or allow it with remote: true"
                )
                return None
            return relative(base, location)
        if ":" in location.split("/")[0] or location.startswith("/") or "\\" in location:
            self._findings.error(here, f"{location} is not a relative path; keep a copy beside the WSDL")
            return None
        return relative(base, location)

    def _root(self, location: str, importer: Place | None) -> etree._Element | None:
        if location in self._roots:
            return self._roots[location]
        root: etree._Element | None = None
        where = importer or Place(location, 1)
        if len(self._roots) >= MAX_DOCUMENTS:
            self._findings.error(where, f"more than {MAX_DOCUMENTS} documents; is an import going round in circles?")
            return None
        try:
            self._documents.files.append(location)
            root = parse(self._read(location), parser=self._parser)
        except OSError as exc:
            self._findings.error(where, f"cannot read {location}: {exc.strerror or exc}")
        except NotXml as exc:
            self._findings.error(Place(location, 1), str(exc))
        self._roots[location] = root
        return root
