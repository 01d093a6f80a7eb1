"""Reading attributes of complex types, and those of elements that declare none. Parts of Readers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from lxml import etree

from adapters.soap.codec.answers import ENVELOPES, Answer
from adapters.soap.codec.errors import Odd
from adapters.soap.codec.lexical import equals
from adapters.soap.codec.lexical_form import Lexical
from adapters.soap.codec.naming import attribute_keys
from adapters.soap.codec.references import expanded
from adapters.soap.schema.model import SOAP_ENC_11, SOAP_ENC_12, XSI, ComplexType, local_name, split

if TYPE_CHECKING:
    from adapters.soap.codec.reading import Readers

_NOT_CONTENT: Final = frozenset((XSI, SOAP_ENC_11, SOAP_ENC_12, *ENVELOPES))  # attributes that speak about, not of
_ENCODING_PLAIN: Final = frozenset(("id", "href", "ref"))


def attributes_reader(
    readers: Readers, kind: ComplexType
) -> Callable[[etree._Element, Answer, dict[str, object]], None]:
    keys = attribute_keys(kind)
    compiled: dict[str, tuple[str, Lexical]] = {
        name: (keys[name], readers.lexical(attribute.type)) for name, attribute in kind.attributes.items()
    }
    fixed = {
        name: (attribute.fixed, equals(attribute.type, attribute.fixed))
        for name, attribute in kind.attributes.items()
        if attribute.fixed is not None
    }
    required = [] if readers.encoded else [name for name, attribute in kind.attributes.items() if attribute.required]
    wildcard = kind.any_attribute

    def read(node: etree._Element, answer: Answer, value: dict[str, object]) -> None:
        for name, text in node.items():
            known = compiled.get(str(name))
            if known is not None:
                key, lexical = known
                try:
                    inner = lexical.read(str(text))
                    value[key] = expanded(node, inner, answer) if lexical.qname else inner
                except Odd as odd:
                    answer.deviate(node, f"its attribute {key[1:]}: {odd.detail}")
                    value[key] = text
                else:
                    if name in fixed and not fixed[str(name)][1](str(text)):
                        answer.deviate(node, f"its attribute {key[1:]} has the fixed value {fixed[str(name)][0]}")
            elif _speaks_of_itself(str(name), readers.encoded):
                continue
            elif wildcard is not None and wildcard.allows(split(str(name))[0]):
                value["@" + str(name)] = text
            else:
                answer.deviate(node, f"has an attribute {local_name(str(name))} that is not declared")
        for name in required:
            if node.get(name) is None:
                answer.deviate(node, f"lacks the required attribute {local_name(name)}")

    return read


def _speaks_of_itself(name: str, encoded: bool) -> bool:
    namespace, local = split(name)
    return namespace in _NOT_CONTENT or (encoded and not namespace and local in _ENCODING_PLAIN)


def check_undeclared(node: etree._Element, answer: Answer) -> None:
    """For elements that declare none."""
    for name in node.keys():  # noqa: SIM118  # an element is not a dict: iterating it gives its children
        if not _speaks_of_itself(str(name), True):
            answer.deviate(node, f"has an attribute {local_name(str(name))} that is not declared")
