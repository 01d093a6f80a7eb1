"""What stands elsewhere: SOAP encoding's references, XOP's attachments, the prefixes of qualified names."""

from __future__ import annotations

from typing import Final

from lxml import etree

from adapters.soap.codec.answers import Answer, path_of
from adapters.soap.codec.errors import Deviation
from adapters.soap.codec.lexical_form import Qualified
from adapters.soap.schema.model import SOAP_ENC_12, clark

MAX_REFERENCES: Final = 20_000  # SOAP 1.1 §5.2.1 multi-references: a few lines can otherwise expand to gigabytes


def collect_ids(root: etree._Element, answer: Answer) -> None:
    for node in root.iter():
        name = node.get("id") or node.get("{http://www.w3.org/2003/05/soap-encoding}id")
        if name:
            answer.ids.setdefault(name, node)


def dereference(node: etree._Element, answer: Answer) -> etree._Element:
    """SOAP 1.1 §5.2.1 href, SOAP 1.2 part 2 §3.1.5 ref: the element that carries the value."""
    for _ in range(16):
        reference = node.get("href") or node.get("ref") or node.get(clark(SOAP_ENC_12, "ref"))
        if not reference:
            return node
        target = answer.ids.get(reference.lstrip("#"))
        if target is None:
            answer.deviate(node, "refers to an element that is not there")
            return node
        answer.references += 1
        if answer.references > MAX_REFERENCES:
            raise Deviation(f"more than {MAX_REFERENCES} references", path_of(node))
        node = target
    raise Deviation("refers to itself", path_of(node))


def included(include: etree._Element, answer: Answer) -> object:
    """XOP 1.0 §3.2: the octets of the part that the cid: URI names."""
    href = include.get("href") or ""
    if answer.attachment is None or not href.startswith("cid:"):
        answer.deviate(include, "refers to an attachment, but the message has none")
        return ""
    found = answer.attachment(href[4:])
    if found is None:
        answer.deviate(include, "refers to an attachment that is not in the message")
        return ""
    return found


def expanded(node: etree._Element, value: object, answer: Answer) -> object:
    """A value with its qualified names, if it is or holds such, as {namespace}local."""
    if type(value) is list:
        return [expanded(node, entry, answer) for entry in value]
    return _expanded(node, value, answer) if type(value) is Qualified else value


def _expanded(node: etree._Element, text: str, answer: Answer) -> str:
    prefix, colon, local = text.strip().partition(":")
    namespace = node.nsmap.get(prefix if colon else None)
    if colon and namespace is None:
        answer.deviate(node, "is a qualified name whose prefix is not declared")
        return text
    return clark(namespace or "", local if colon else prefix)
