"""WSDLs and envelopes for loadtests/soap.py: 20 elements each way, 5,000 rows, and 2,000 types. Sends nothing."""

from __future__ import annotations

import re

ROWS = 5000
S = "http://schemas.xmlsoap.org/soap/envelope/"
NAMES = [f"Field{number:02}" for number in range(20)]
KINDS = ["xs:string", "xs:int", "xs:decimal", "xs:date", "xs:boolean"]
VALUES: list[object] = ["Some text & more", 4711, "1234.50", "2031-01-31", True]


def texts() -> dict[str, object]:
    return {name: VALUES[number % 5] for number, name in enumerate(NAMES)}


def markup() -> str:
    out = ""
    for name, value in texts().items():
        text = str(value).lower() if isinstance(value, bool) else str(value).replace("&", "&amp;")
        out += f"<{name}>{text}</{name}>"
    return out


def wsdl() -> str:
    """Two operations: one of 20 elements each way, one that answers rows."""
    fields = "".join(f'<xs:element name="{name}" type="{KINDS[n % 5]}"/>' for n, name in enumerate(NAMES))
    row = "".join(f'<xs:element name="{name}" type="{KINDS[n % 5]}"/>' for n, name in enumerate(NAMES[:6]))
    elements = {
        "Book": fields,
        "BookResponse": fields,
        "List": '<xs:element name="n" type="xs:int"/>',
        "ListResponse": f'<xs:element name="Row" maxOccurs="unbounded"><xs:complexType><xs:sequence>{row}</xs:sequence></xs:complexType></xs:element>',
    }
    return _wsdl("".join(_element(name, inner) for name, inner in elements.items()), ["Book", "List"])


def large_wsdl(types: int = 2000, operations: int = 500) -> str:
    """As a large CRM's: every type with 20 fields, documented, and references to others."""
    words = "What this means to those who keep the accounts, and to those who do not. "
    schema = ""
    for number in range(types):
        fields = "".join(
            f'<xs:element name="F{field}" type="{KINDS[field % 5]}" minOccurs="0" nillable="true"/>'
            for field in range(18)
        )
        other, next_one = (number * 7 + 1) % types, (number + 1) % types
        schema += (
            f'<xs:complexType name="T{number}"><xs:annotation><xs:documentation>{words * 11}</xs:documentation></xs:annotation><xs:sequence>{fields}'
            f'<xs:element name="One" type="t:T{other}" minOccurs="0"/><xs:element name="Many" type="t:T{next_one}" minOccurs="0" maxOccurs="unbounded"/>'
            f"</xs:sequence></xs:complexType>"
        )
    names = [f"Operation{number}" for number in range(operations)]
    for number, name in enumerate(names):
        inner = f'<xs:element name="in" type="t:T{number}"/>'
        schema += _element(name, inner) + _element(f"{name}Response", inner)
    return _wsdl(schema, names)


def _element(name: str, inner: str) -> str:
    return f'<xs:element name="{name}"><xs:complexType><xs:sequence>{inner}</xs:sequence></xs:complexType></xs:element>'


def _wsdl(schema: str, operations: list[str]) -> str:
    messages = "".join(
        f'<message name="{name}"><part name="p" element="t:{name}"/></message>'
        for operation in operations
        for name in (operation, f"{operation}Response")
    )
    abstract = "".join(
        f'<operation name="{name}"><input message="t:{name}"/><output message="t:{name}Response"/></operation>'
        for name in operations
    )
    bound = "".join(
        f'<operation name="{name}"><s:operation soapAction="{name}"/><input><s:body use="literal"/></input><output><s:body use="literal"/></output></operation>'
        for name in operations
    )
    return (
        '<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:t="urn:t" '
        'xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:t"><types>'
        f'<xs:schema targetNamespace="urn:t" elementFormDefault="qualified">{schema}</xs:schema></types>{messages}'
        f'<portType name="P">{abstract}</portType><binding name="B" type="t:P">'
        f'<s:binding transport="http://schemas.xmlsoap.org/soap/http"/>{bound}</binding>'
        '<service name="S"><port name="P" binding="t:B"><s:address location="http://x/soap"/></port></service></definitions>'
    )


def envelope(content: str) -> bytes:
    return f'<?xml version="1.0"?><s:Envelope xmlns:s="{S}"><s:Body>{content}</s:Body></s:Envelope>'.encode()


BOOK = envelope(f'<Book xmlns="urn:t">{markup()}</Book>')
ANSWERS = {
    b"<n0:Book ": envelope(f'<BookResponse xmlns="urn:t">{markup()}</BookResponse>'),
    b"<Book ": envelope(f'<BookResponse xmlns="urn:t">{markup()}</BookResponse>'),
}
_ROW = "".join(re.findall(r"<Field0[0-5]>.*?</Field0[0-5]>", markup()))
LISTED = envelope(f'<ListResponse xmlns="urn:t">{f"<Row>{_ROW}</Row>" * ROWS}</ListResponse>')
