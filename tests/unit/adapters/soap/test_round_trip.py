"""Every message of every WSDL: JSON by the schema, to an envelope, judged by libxml2, and back to the same JSON."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from adapters.soap.codec.answers import Answer
from adapters.soap.codec.envelope import OperationCodec
from adapters.soap.codec.errors import Deviation, Misfit
from adapters.soap.codec.parsing import parse
from adapters.soap.description.json_schema import JsonSchemas
from gateway.http.exact_json import load_json

from .strategies import Values
from .wsdls import FILES, body_of, compiled, echo, judge, wsdl, wsdl_of

CASES = [
    pytest.param(file, operation.name, direction, id=f"{file}-{operation.name}-{direction}")
    for file in FILES
    for _, operation in wsdl(file).operations()
    for direction in ("input", "output")
    if direction == "input" or operation.output is not None
]


@pytest.mark.parametrize(("file", "name", "direction"), CASES)
def test_json_to_envelope_and_back(file: str, name: str, direction: str) -> None:
    service = wsdl(file)
    _, operation = service.require(name)
    codec = echo(service, operation, direction)
    (element,) = codec.request
    encoded = codec.operation.input.encoded
    values = Values(service.schema, encoded=encoded).element(element)
    schema = None if encoded else judge(file)
    schemas = JsonSchemas(service.schema, "#/$defs/")
    described = {**schemas.message(codec.operation.input), "$defs": schemas.definitions}
    Draft202012Validator.check_schema(described)
    by_schema = Draft202012Validator(described)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(values)
    def check(value: Any) -> None:
        sent = load_json(json.dumps(value).encode())
        by_schema.validate(value)
        envelope = codec.encode(sent)
        if schema is not None and not schema.validate(body_of(envelope)):
            raise AssertionError(f"{schema.error_log}\n{envelope}\n{value}")
        answer = codec.decode(parse(envelope.encode()), Answer()).value
        assert orjson.loads(orjson.dumps(answer)) == json.loads(json.dumps(value)), envelope

    check()


@given(st.text(max_size=30))
def test_text_never_changes_what_surrounds_it(text: str) -> None:
    """Whatever a string holds, the envelope has the elements it had; characters XML cannot carry are refused."""
    service = wsdl("orders/orders.wsdl")
    codec = echo(service, service.require("GetOrder")[1])
    if any((ord(char) < 32 and char not in "\t\r\n") or char in "\ufffe\uffff" for char in text):
        with pytest.raises(Misfit) as refusal:
            codec.encode({"number": text})
        assert refusal.value.pointer == "/number"
    else:
        envelope = codec.encode({"number": text})
        assert [child.tag for child in body_of(envelope)] == ["{urn:example:orders:types}number"]
        assert codec.decode(parse(envelope.encode()), Answer()).value == {"number": text}


def only(schema: str) -> OperationCodec:
    """The codec that echoes the element A of a schema."""
    service = compiled(wsdl_of(schema, "A"))
    assert not service.findings.errors
    return echo(service, service.require("A")[1])


@pytest.mark.parametrize(
    ("pattern", "written", "refused"), [("true|false", "true", "1"), ("0|1", "1", "true"), ("true", "true", False)]
)
def test_a_boolean_is_written_as_its_pattern_allows(pattern: str, written: str, refused: object) -> None:
    codec = only(
        f'<x:element name="A"><x:simpleType><x:restriction base="x:boolean"><x:pattern value="{pattern}"/>'
        "</x:restriction></x:simpleType></x:element>"
    )
    assert body_of(codec.encode(True)).text == written
    with pytest.raises(Misfit):
        codec.encode(refused)


def test_an_extension_that_adds_attributes_alone_keeps_simple_content() -> None:
    """XSD 1.0 part 1 §3.4.2: also where it is written with complexContent."""
    codec = only(
        '<x:complexType name="T"><x:simpleContent><x:extension base="x:int"><x:attribute name="id" type="x:int"/>'
        '</x:extension></x:simpleContent></x:complexType><x:element name="A"><x:complexType><x:complexContent>'
        '<x:extension base="t:T"><x:attribute name="main" type="x:boolean"/></x:extension></x:complexContent>'
        "</x:complexType></x:element>"
    )
    value = {"@id": 1, "@main": True, "$": 5}
    envelope = codec.encode(value)
    assert body_of(envelope).text == "5"
    assert codec.decode(parse(envelope.encode()), Answer()).value == value


@pytest.mark.parametrize(
    "day",
    ["2024-02-29", "2000-02-29Z", "2031-12-31", "2031-04-30+14:00", "-0044-03-15", "12031-01-01"],
)
def test_days_that_are(day: str) -> None:
    assert body_of(only('<x:element name="A" type="x:date"/>').encode(day)).text == day


@pytest.mark.parametrize(
    "day", ["2023-02-29", "1900-02-29", "2031-04-31", "0000-01-01", "2031-13-01", "2031-1-1", "20310101", "2031-W01-1"]
)
def test_days_that_are_not(day: str) -> None:
    with pytest.raises(Misfit, match="a date is expected"):
        only('<x:element name="A" type="x:date"/>').encode(day)


@pytest.mark.parametrize("day", ["--02-29", "--02-30", "--04-31", "--06-30", "--12-31", "--00-01", "--01-32"])
def test_days_of_no_year(day: str) -> None:
    codec = only('<x:element name="A" type="x:gMonthDay"/>')
    if day in ("--02-29", "--06-30", "--12-31"):
        assert body_of(codec.encode(day)).text == day
    else:
        with pytest.raises(Misfit, match="a month and day is expected"):
            codec.encode(day)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("007", "int", 7), (" 42\n", "int", 42), ("+3", "long", 3), ("-0", "int", 0),
        ("4294967295", "unsignedInt", 4294967295), ("255", "unsignedByte", 255),
    ],
)  # fmt: skip
def test_integers_are_read(text: str, kind: str, value: int) -> None:
    codec = only(
        f'<x:element name="A"><x:complexType><x:all><x:element name="n" type="x:{kind}"/></x:all></x:complexType></x:element>'
    )
    answer = codec.decode(parse(codec.encode({"n": 1}).replace(">1<", f">{text}<").encode()), Answer())
    assert answer.value == {"n": value}


@pytest.mark.parametrize(("text", "kind"), [("256", "unsignedByte"), ("-1", "unsignedInt"), ("٣", "int"), ("", "int"), ("1 2", "int"), ("0", "positiveInteger")])  # fmt: skip
def test_integers_that_are_none(text: str, kind: str) -> None:
    codec = only(
        f'<x:element name="A"><x:complexType><x:all><x:element name="n" type="x:{kind}"/></x:all></x:complexType></x:element>'
    )
    with pytest.raises(Deviation, match="A/n: "):
        codec.decode(parse(codec.encode({"n": 1}).replace(">1<", f">{text}<").encode()), Answer())


def test_markup_in_a_leaf_is_escaped() -> None:
    codec = only('<x:element name="A"><x:complexType><x:sequence><x:element name="s" type="x:string"/></x:sequence><x:attribute name="a"/></x:complexType></x:element>')  # fmt: skip
    envelope = codec.encode({"s": '&amp;<s>]]>\r\n"', "@a": '&"<\t\n\r'})
    assert body_of(envelope)[0].text == '&amp;<s>]]>\r\n"'
    assert codec.decode(parse(envelope.encode()), Answer()).value == {"s": '&amp;<s>]]>\r\n"', "@a": '&"<\t\n\r'}


def test_an_anonymous_type_may_hold_itself() -> None:
    """By a reference to the element that it is the type of: its description ends, and is right."""
    service = compiled(
        wsdl_of(
            '<x:element name="Part"><x:complexType><x:sequence><x:element name="id" type="x:int"/><x:element ref="t:Part" '
            'minOccurs="0" maxOccurs="unbounded"/></x:sequence></x:complexType></x:element><x:element name="A"><x:complexType>'
            '<x:sequence><x:element ref="t:Part"/></x:sequence></x:complexType></x:element>',
            "A",
        )
    )
    operation = service.require("A")[1]
    schemas = JsonSchemas(service.schema, "#/$defs/")
    described = {**schemas.message(operation.input), "$defs": schemas.definitions}
    assert list(schemas.definitions) == ["Part"]
    value = {"Part": {"id": 1, "Part": [{"id": 2, "Part": []}, {"id": 3, "Part": [{"id": 4, "Part": []}]}]}}
    by_schema = Draft202012Validator(described)
    by_schema.validate(value)
    assert not by_schema.is_valid({"Part": {"id": 1, "Part": [{"id": 2, "Part": [{"id": "x"}]}]}})
    codec = echo(service, operation)
    assert codec.decode(parse(codec.encode(value).encode()), Answer()).value == value


def test_a_derived_type_that_is_nothing_but_text_may_be_named() -> None:
    codec = only(
        '<x:complexType name="Base"><x:simpleContent><x:extension base="x:string"/></x:simpleContent></x:complexType>'
        '<x:complexType name="Short"><x:simpleContent><x:restriction base="t:Base"><x:maxLength value="3"/></x:restriction>'
        '</x:simpleContent></x:complexType><x:element name="A" type="t:Base"/>'
    )
    for value in ("long enough", {"@xsi:type": "Short", "$": "abc"}):
        assert codec.decode(parse(codec.encode(value).encode()), Answer()).value == value
    with pytest.raises(Misfit, match="at most 3 characters"):
        codec.encode({"@xsi:type": "Short", "$": "abcd"})
    with pytest.raises(Misfit, match="is written as"):
        codec.encode({"@xsi:type": "Short"})


@pytest.mark.parametrize(
    ("kind", "text", "read"),
    [
        ("token", "a\u00a0b\u2003c", "a\u00a0b\u2003c"),
        ("token", " a \n b ", "a b"),
        ("NMTOKENS", "a  b", ["a", "b"]),
        ("base64Binary", "QU\nJD", "QUJD"),
    ],
)
def test_white_space_is_what_xml_says(kind: str, text: str, read: object) -> None:
    codec = only(f'<x:element name="A" type="x:{kind}"/>')
    sent = codec.encode(read).replace(f">{' '.join(read) if isinstance(read, list) else read}<", f">{text}<")
    assert codec.decode(parse(sent.encode()), Answer()).value == read


def test_no_white_space_hides_in_a_list() -> None:
    codec = only(
        '<x:element name="A"><x:simpleType><x:list><x:simpleType><x:restriction base="x:string"/></x:simpleType></x:list></x:simpleType></x:element>'
    )
    assert codec.decode(parse(codec.encode(["a\u00a0b", "c"]).encode()), Answer()).value == ["a\u00a0b", "c"]
    for entry in ("\ra", "a b", ""):
        with pytest.raises(Misfit, match="white space"):
            codec.encode([entry])


def test_a_no_break_space_between_elements_is_text() -> None:
    codec = only('<x:element name="A"><x:complexType><x:sequence><x:element name="n" type="x:int"/></x:sequence></x:complexType></x:element>')  # fmt: skip
    envelope = codec.encode({"n": 1}).replace("</n0:n>", "</n0:n>\u00a0")
    with pytest.raises(Deviation, match="text between"):
        codec.decode(parse(envelope.encode()), Answer())


def test_a_control_character_is_no_white_space() -> None:
    with pytest.raises(Misfit, match="control character"):
        only('<x:element name="A" type="x:token"/>').encode("a\x1fb")


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ('<x:choice minOccurs="0">{a}{b}</x:choice>', {"b": 1}),
        ('<x:choice minOccurs="0" maxOccurs="unbounded">{a}{b}</x:choice>', {"a": [1], "b": [2, 3]}),
        ('<x:sequence><x:choice minOccurs="0"><x:sequence>{a}{b}</x:sequence>{c}</x:choice></x:sequence>', {"c": 1}),
        ('<x:choice minOccurs="2" maxOccurs="3">{a}{b}{c}</x:choice>', {"a": [], "b": [], "c": [1]}),
    ],
)
def test_an_alternative_that_may_be_empty_leaves_room_for_the_next(content: str, value: Any) -> None:
    optional = {key: f'<x:element name="{key}" type="x:int" minOccurs="0"/>' for key in "abc"}
    codec = only(f'<x:element name="A"><x:complexType>{content.format(**optional)}</x:complexType></x:element>')
    assert codec.decode(parse(codec.encode(value).encode()), Answer()).value == value


@pytest.mark.parametrize("least", ["0", "1"])
def test_mixed_content_may_hold_an_all_group(least: str) -> None:
    codec = only(
        f'<x:element name="A"><x:complexType mixed="true"><x:all minOccurs="{least}"><x:element name="a" type="x:int" minOccurs="0"/>'
        '<x:element name="b" type="x:int"/></x:all></x:complexType></x:element>'
    )
    value = {"$": ["x", {"b": 1}, {"a": 2}]}
    assert codec.decode(parse(codec.encode(value).encode()), Answer()).value == value
    with pytest.raises(Deviation, match="is not declared here"):
        codec.decode(parse(codec.encode(value).replace("n0:a", "n0:z").encode()), Answer())


def test_what_is_no_number_is_within_no_bounds() -> None:
    codec = only(
        '<x:element name="A"><x:simpleType><x:restriction base="x:double"><x:maxInclusive value="10"/></x:restriction></x:simpleType></x:element>'
    )
    sent = codec.encode("-INF")
    assert codec.decode(parse(sent.encode()), Answer()).value == "-INF"
    for special in ("NaN", "INF"):
        with pytest.raises(Misfit, match="must not be greater"):
            codec.encode(special)
        with pytest.raises(Deviation, match="must not be greater"):
            codec.decode(parse(sent.replace("-INF", special).encode()), Answer())


def test_no_number_may_be_one_of_those_listed() -> None:
    codec = only(
        '<x:element name="A"><x:simpleType><x:restriction base="x:float"><x:enumeration value="NaN"/></x:restriction></x:simpleType></x:element>'
    )
    assert codec.decode(parse(codec.encode("NaN").encode()), Answer()).value == "NaN"


def test_qualified_names_have_prefixes_wherever_they_stand() -> None:
    """XSD 1.0 part 2 §3.2.18: in an attribute, a list and a union as in an element."""
    schema = (
        '<x:element name="A"><x:complexType><x:sequence>'
        '<x:element name="l"><x:simpleType><x:list itemType="x:QName"/></x:simpleType></x:element>'
        '<x:element name="u" maxOccurs="2"><x:simpleType><x:union memberTypes="x:int x:QName"/></x:simpleType></x:element>'
        '</x:sequence><x:attribute name="q" type="x:QName"/></x:complexType></x:element>'
    )
    codec = only(schema)
    value = {"@q": "{urn:a}x", "l": ["{urn:a}x", "{urn:b}y", "z", "{urn:a}w"], "u": [5, "{urn:b}y"]}
    sent = codec.encode(value)
    assert "{" not in sent
    assert codec.decode(parse(sent.encode()), Answer()).value == value
    for member in ("@q", "u"):
        with pytest.raises(Misfit):
            codec.encode({**value, member: "a b" if member == "@q" else ["a b"]})
    with pytest.raises(Deviation, match="prefix is not declared"):
        codec.decode(parse(sent.replace('q="', 'q="z').encode()), Answer())


@pytest.mark.parametrize("named", ["x:int", "x:short", "t:Small"])
def test_a_type_derived_from_a_built_in_one_may_be_named_in_an_answer(named: str) -> None:
    codec = only(
        '<x:element name="A" type="x:integer"/><x:simpleType name="Small"><x:restriction base="x:byte"/></x:simpleType>'
    )
    declared = f' xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t" xsi:type="{named}"'
    sent = codec.encode(5).replace("<n0:A", f"<n0:A{declared}")
    assert codec.decode(parse(sent.encode()), Answer()).value == 5
    with pytest.raises(Deviation, match="does not derive"):
        codec.decode(parse(sent.replace(f'"{named}"', '"x:decimal"').encode()), Answer())


def test_declared_attributes_keep_their_schema_beside_open_ones() -> None:
    service = compiled(
        wsdl_of(
            '<x:element name="A"><x:complexType><x:attribute name="n.o" type="x:int"/><x:anyAttribute processContents="lax"/></x:complexType></x:element>',
            "A",
        )
    )
    schemas = JsonSchemas(service.schema, "#/$defs/")
    schema = {**schemas.message(service.require("A")[1].input), "$defs": schemas.definitions}
    judge = Draft202012Validator(schema)
    assert judge.is_valid({"@n.o": 1, "@{urn:x}free": "text", "@nlo": "text"})
    assert not judge.is_valid({"@n.o": "text"})
    assert not judge.is_valid({"@{urn:x}free": 1})


def test_fixed_values_are_values_and_hold_in_answers_too() -> None:
    """XSD 1.0 part 1 §3.3.4 and §3.2.4; what is written is the schema's own text."""
    codec = only(
        '<x:element name="A"><x:complexType><x:sequence><x:element name="d" type="x:decimal" fixed="1.50"/><x:element name="s" type="x:string" fixed="1"/>'
        '</x:sequence><x:attribute name="b" type="x:boolean" fixed="1"/></x:complexType></x:element>'
    )
    sent = codec.encode({"d": load_json(b"1.5"), "s": "1", "@b": True})
    assert 'b="1"><n0:d>1.50</n0:d>' in sent
    assert codec.decode(parse(sent.encode()), Answer()).value == {"@b": True, "d": "1.50", "s": "1"}
    assert codec.decode(parse(sent.replace('b="1"', 'b="true"').replace("1.50", "+1.5").encode()), Answer()).value
    for right, wrong in (("1.50", "1.51"), ('b="1"', 'b="0"'), ("<n0:s>1", "<n0:s>1.0")):
        with pytest.raises(Deviation, match="has the fixed value"):
            codec.decode(parse(sent.replace(right, wrong).encode()), Answer())
    for wrong in ({"d": 1, "s": "1"}, {"d": "1.5", "s": "1.0"}, {"d": "1.5", "s": "1", "@b": False}):
        with pytest.raises(Misfit, match="has the fixed value"):
            codec.encode(wrong)
