"""What must cost nothing and change nothing: bombs, external entities, injected markup, endless nesting."""

from __future__ import annotations

import json

import pytest

from adapters.soap.codec import parsing
from adapters.soap.codec.parsing import NotXml, parse

from .calls import answered, built, envelope, exchange_of, problem_of, refused, sent
from .wsdls import body_of

LOL = '<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'


@pytest.mark.parametrize(
    "document",
    [
        LOL + "<l>&c;</l>",
        '<?xml version="1.0"?><!-- c --><?pi x?>\n' + LOL + "<l>&c;</l>",
        '<!DOCTYPE l SYSTEM "file:///etc/passwd"><l/>',
        '<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]><l>&x;</l>',
        '<!DOCTYPE l [<!ENTITY % p SYSTEM "http://192.0.2.1/x.dtd"> %p;]><l/>',
        "<!DOCTYPE l><l/>",
        "<l>&undefined;</l>",
        "<a>" * 300 + "</a>" * 300,
        "<a>" + "x" * 10_500_000 + "</a>",
        "<a b='1' b='2'/>",
        "<p:a/>",
        "<a/><b/>",
        "<!-- never closed",
        "",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_dangerous_or_broken_xml_is_refused(document: str, encoding: str) -> None:
    with pytest.raises(NotXml) as refusal:
        parse(document.encode(encoding), None)
    assert "passwd" not in str(refusal.value)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (LOL + "<l>&c;</l>", "document type"),
        ("<!-- -->" * 1000 + "<!DOCTYPE l><l/>", "document type"),
        ("<l>" + "x" * 10_000_001 + "</l>", "text"),
        ("<l><m>" + "x" * 5_000_000 + "</m>" + "x" * 10_000_001 + "</l>", "text"),
        ("<l>" + "x" * 20_000_000, "text"),
    ],
)
def test_bombs_are_refused_before_the_parser_sees_them(
    monkeypatch: pytest.MonkeyPatch, document: str, said: str
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the parser was called")

    monkeypatch.setattr(parsing.etree, "fromstring", never)
    with pytest.raises(NotXml, match=said):
        parse(document.encode())


def test_long_documents_of_short_texts_are_none() -> None:
    assert len(parse(b"<a>" + (b"<b>" + b"x" * 9_999_000 + b"</b>") * 2 + b"</a>")) == 2


def test_the_word_doctype_in_content_is_only_a_word() -> None:
    assert parse(b"<a><![CDATA[<!DOCTYPE html>]]></a>").text == "<!DOCTYPE html>"
    assert parse(b"<!-- <!DOCTYPE --><a><!-- <!DOCTYPE --></a>").tag == "a"


def test_an_answer_with_a_bomb_is_the_backends_fault() -> None:
    codec = built(wsdl="orders/orders.wsdl", operation="GetOrder")
    assert answered(codec, LOL + envelope("<a>&c;</a>")).status == 502


def test_deep_recursion_is_refused_on_both_sides() -> None:
    codec = built(wsdl="shapes.wsdl", operation="Tree")
    body = b'{"Value": 1, "Node": [' * 400 + b'{"Value": 1}' + b"]}" * 400
    assert refused(codec, body)["status"] in (400, 422)
    node = "<Value>1</Value>" + "<Node><Value>1</Value>" * 200 + "</Node>" * 200
    response = answered(codec, envelope(f'<Tree xmlns="urn:example:shapes">{node}</Tree>'))
    assert response.status in (200, 502)


def test_references_that_multiply_are_cut_off() -> None:
    """SOAP encoding's own billion laughs: each struct refers twice to the next."""
    codec = built(wsdl="rpc_encoded.wsdl", operation="Draw")
    points = "".join(f'<item href="#p{index}"/>' for index in range(50)) * 10
    multi = "".join(f'<multiRef id="p{index}"><x>1</x><y>2</y></multiRef>' for index in range(50))
    rows = f'<t:DrawResponse xmlns:t="urn:example:rpc"><shape><name>n</name><points>{points * 50}</points></shape><labels/></t:DrawResponse>'
    problem = problem_of(answered(codec, envelope(rows + multi)))
    assert problem["status"] == 502


def test_a_reference_to_itself_ends() -> None:
    codec = built(wsdl="rpc_encoded.wsdl", operation="Draw")
    loop = '<t:DrawResponse xmlns:t="urn:example:rpc"><shape href="#a"/><labels/></t:DrawResponse><m id="a" href="#a"/>'
    assert answered(codec, envelope(loop)).status == 502
    turn = '<t:DrawResponse xmlns:t="urn:example:rpc"><shape id="a"><name>n</name><points href="#b"/></shape><labels/></t:DrawResponse><m id="b"><item href="#c"/></m><m id="c"><x href="#c"/></m>'
    assert answered(codec, envelope(turn)).status == 502


@pytest.mark.parametrize(
    "text",
    [
        "</n0:number><n0:verbose>true</n0:verbose><n0:number>",
        "]]><!--",
        "&lt;",
        "\r\n\t",
        '" onload="',
        "<![CDATA[x]]>",
        "\u2028",
    ],
)
def test_markup_in_values_stays_text(text: str) -> None:
    codec = built(wsdl="orders/orders.wsdl", operation="GetOrder")
    element = body_of(sent(codec, {"number": text}).body.decode())
    assert [child.text for child in element] == [text]


@pytest.mark.parametrize("text", ["\x00", "\x1b", "\ufffe", "\ud800"])
def test_characters_xml_cannot_carry_are_422(text: str) -> None:
    codec = built(wsdl="orders/orders.wsdl", operation="GetOrder")
    body = json.dumps({"number": f"a{text}b"}).encode()
    assert refused(codec, body)["pointer"] == "/number"


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        "a><x",
        "{urn:x}a b",
        "xmlns:x",
        "{http://www.w3.org/2000/xmlns/}x",
        "1a",
        "",
        "{urn:x",
        "{http://www.w3.org/XML/1998/namespace}a",
    ],
)
def test_names_that_callers_choose_are_names(name: str) -> None:
    codec = built(wsdl="shapes.wsdl", operation="Open")
    assert refused(codec, {"Id": 1, "$any": [{name: "x"}]})["status"] == 422
    nested = {"Id": 1, "$any": [{"{urn:x}a": {"$": [{name: "x"}]}}]}
    assert refused(codec, nested)["status"] == 422
    if "XML/1998" not in name:  # xml:… is an attribute's name
        assert refused(codec, {"Id": 1, "$any": [{"{urn:x}a": {f"@{name}": "x"}}]})["status"] == 422
        assert refused(codec, {"Id": 1, f"@{name}": "x"})["status"] == 422


def test_a_namespace_that_callers_choose_is_an_iri() -> None:
    codec = built(wsdl="shapes.wsdl", operation="Open")
    assert refused(codec, {"Id": 1, "$any": [{'{urn:"><x y="}a': "t"}]})["pointer"] == '/$any/0/{urn:"><x y="}a'
    element = body_of(sent(codec, {"Id": 1, "$any": [{"{urn:x?a&b='c'}a": "t"}]}).body.decode())
    assert [child.tag for child in element][1:] == ["{urn:x?a&b='c'}a"]


def test_types_that_callers_choose_are_of_the_schema() -> None:
    codec = built(wsdl="shapes.wsdl", operation="Zoo")
    for kind in ("Dig", "Node", "string", '"><x/>', 7, None, ["Dog"]):
        problem = refused(codec, {"Star": {"@xsi:type": kind, "Name": "x"}, "Car": "c"})
        assert problem["pointer"] == "/Star/@xsi:type"
    assert "Cat, Dog" in refused(codec, {"Star": {"Name": "x"}, "Car": "c"})["detail"]


def test_huge_numbers_are_refused_at_once() -> None:
    codec = built(wsdl="shapes.wsdl", operation="Choice")
    for number in (b"1e999999999", b"1e-999999999", b"-1E+99999"):
        assert refused(codec, b'{"Id": ' + number + b', "Card": "x"}')["pointer"] == "/Id"
        assert refused(codec, b'{"Id": 1, "Cash": [' + number + b"]}")["pointer"] == "/Cash/0"


def test_header_values_cannot_break_out_of_multipart() -> None:
    codec = built(wsdl="orders/orders.wsdl", operation="SubmitOrder")
    part = b'--B\r\nContent-Type: application/json\r\n\r\n{"order": {"Customer": 1, "Placed": "2031-01-31T12:00:00Z", "Lines": {}, "Document": "cid:a"}}\r\n--B\r\nContent-Type: x\xff/y\r\nContent-ID: <a>\r\n\r\nBIN\r\n--B--\r\n'
    exchange = exchange_of(headers=[("content-type", "multipart/related; boundary=B")])
    body = codec.encode(exchange, part).body
    assert b"Content-Type: x/y\r\n" in body
