"""rpc/encoded as servers of the time write it: references, loose types, arrays with names of their own."""

from __future__ import annotations

import pytest

from .calls import answered, built, envelope, json_of, problem_of, sent

ENC = "http://schemas.xmlsoap.org/soap/encoding/"
NS = f'xmlns:t="urn:example:rpc" xmlns:d="urn:example:rpc:types" xmlns:enc="{ENC}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
WANT = {"shape": {"name": "n", "points": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}, "labels": ["a", None]}


def test_a_request_says_its_types() -> None:
    body = sent(built(wsdl="rpc_encoded.wsdl", operation="Draw"), WANT).body.decode()
    assert f'<n1:Draw env:encodingStyle="{ENC}">' in body or f'env:encodingStyle="{ENC}"' in body
    assert '<name xsi:type="xs:string">n</name>' in body
    assert 'xsi:type="enc:Array" enc:arrayType="n0:Point[2]"' in body
    assert 'enc:arrayType="xs:string[2]"' in body
    assert '<item xsi:nil="true"/>' in body


@pytest.mark.parametrize(
    "content",
    [
        f'<t:DrawResponse {NS}><shape xsi:type="d:Shape"><name xsi:type="xsd:string">n</name><points enc:arrayType="d:Point[2]" xsi:type="enc:Array"><item><x>1</x><y>2</y></item><item><x>3</x><y>4</y></item></points></shape><labels xsi:type="d:Strings"><s>a</s><s xsi:nil="1"/></labels></t:DrawResponse>',
        f'<t:DrawResponse {NS}><labels href="#l"/><shape href="#s"/></t:DrawResponse><multiRef id="s" {NS} xsi:type="d:Shape"><points href="#p"/><name>n</name></multiRef><multiRef id="p" {NS}><i href="#p1"/><i><y>4</y><x>3</x></i></multiRef><multiRef id="p1" {NS}><x xsi:type="xsd:short">1</x><y>2</y></multiRef><multiRef id="l" {NS}><s xsi:type="enc:string">a</s><s xsi:nil="true"/></multiRef>',
        f'<t:AnyName {NS}><t:shape><d:name>n</d:name><d:points><d:Point><d:x>1</d:x><d:y>2</d:y></d:Point><d:Point><d:x>3</d:x><d:y>4</d:y></d:Point></d:points></t:shape><labels><item>a</item><item xsi:nil="true"/></labels></t:AnyName>',
    ],
)
def test_answers_in_every_style_read_the_same(content: str) -> None:
    assert json_of(answered(built(wsdl="rpc_encoded.wsdl", operation="Draw"), envelope(content))) == WANT


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (f'<t:DrawResponse {NS}><shape href="#no"/></t:DrawResponse>', "DrawResponse/shape"),
        (f'<t:DrawResponse {NS}><shape xsi:type="d:Nope"/></t:DrawResponse>', "DrawResponse/shape"),
        (f"<t:DrawResponse {NS}><other/></t:DrawResponse>", "DrawResponse/other"),
        (f'<t:DrawResponse {NS}><labels enc:offset="[2]"/></t:DrawResponse>', "DrawResponse/labels"),
    ],
)
def test_answers_that_make_no_sense_name_the_element(content: str, where: str) -> None:
    assert problem_of(answered(built(wsdl="rpc_encoded.wsdl", operation="Draw"), envelope(content)))["where"] == where
