"""Binary parts beside the envelope: MTOM/XOP and SwA, both ways."""

from __future__ import annotations

import base64

import pytest

from adapters.soap.codec.media_types import parameters
from adapters.soap.codec.multipart import join_parts, root_and_rest, split_parts
from adapters.soap.codec.parts_reader import BadMultipart

from .calls import answered, built, envelope, exchange_of, json_of, refused, sent
from .wsdls import FOLDER

ORDER = {"Customer": 7, "Placed": "2031-01-31T12:00:00Z", "Lines": {"Line": []}}
T = 'xmlns="urn:example:orders:types"'
XOP = '<x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="cid:{}"/>'
BINARY = bytes(range(256)) + b"\r\n--B\r"


def mtom(content: str, *parts: tuple[str, bytes]) -> tuple[bytes, str]:
    body = join_parts(
        "BOUND",
        envelope(content).encode(),
        'application/xop+xml; type="text/xml"',
        [(i, "image/png", c) for i, c in parts],
    )
    return body, 'multipart/related; type="application/xop+xml"; start="<BOUND.root@sluicegate>"; boundary="BOUND"'


def order_answer(document: str) -> str:
    inner = f"<Customer>1</Customer><Placed>2031-01-31T12:00:00</Placed><Lines/><Document>{document}</Document>"
    return f"<GetOrderResponse {T}><order>{inner}</order></GetOrderResponse>"


def test_an_xop_answer_is_inlined_as_base64() -> None:
    codec = built(wsdl="orders/orders.wsdl", operation="GetOrder", attachments="base64")
    body, kind = mtom(order_answer(XOP.format("a%40b")), ("a@b", BINARY))
    order = json_of(answered(codec, body, content_type=kind))["order"][0]
    assert base64.b64decode(order["Document"]) == BINARY


def test_an_xop_answer_is_passed_on_as_multipart() -> None:
    codec = built(wsdl="orders/orders.wsdl", operation="GetOrder")
    body, kind = mtom(order_answer(XOP.format("a@b")), ("a@b", BINARY))
    response = answered(codec, body, content_type=kind)
    content_type = (response.headers.get(b"content-type") or b"").decode()
    assert parameters(content_type)["type"] == "application/json"
    root, rest = root_and_rest(split_parts(bytes(response.body), content_type), content_type)  # type: ignore[arg-type]
    assert b'"Document":"cid:a@b"' in root.content
    assert rest["a@b"].content == BINARY


@pytest.mark.parametrize(
    "document",
    [XOP.format("missing"), '<x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="http://192.0.2.1/"/>'],
)
def test_an_attachment_that_is_not_there_is_502(document: str) -> None:
    body, kind = mtom(order_answer(document), ("a@b", b""))
    assert answered(built(wsdl="orders/orders.wsdl", operation="GetOrder"), body, content_type=kind).status == 502


def test_a_caller_sends_multipart_and_the_backend_gets_mtom() -> None:
    codec = built(wsdl="orders/orders.wsdl", operation="SubmitOrder")
    document = b'{"order": {"Customer": 7, "Placed": "2031-01-31T12:00:00Z", "Lines": {}, "Document": "cid:scan"}}'
    body = join_parts("B1", document, "application/json", [("scan", "image/png", BINARY)])
    encoded = sent(codec, body, exchange_of(headers=[("content-type", "multipart/related; boundary=B1")]))
    kind = encoded.content_type.decode()
    assert parameters(kind)["start-info"] == "text/xml"
    root, rest = root_and_rest(split_parts(encoded.body, kind), kind)
    assert b'href="cid:scan"' in root.content
    assert rest["scan"].content == BINARY


def test_form_data_names_members() -> None:
    codec = built(wsdl="orders/orders.wsdl", operation="GetOrder")
    form = b'--B\r\nContent-Disposition: form-data; name="number"\r\n\r\nA-1\r\n--B\r\nContent-Disposition: form-data; name="verbose"\r\nContent-Type: application/json\r\n\r\ntrue\r\n--B--\r\n'
    encoded = sent(codec, form, exchange_of(headers=[("content-type", "multipart/form-data; boundary=B")]))
    assert b">A-1<" in encoded.body
    assert b">true<" in encoded.body


def test_an_attachment_where_text_belongs_is_422() -> None:
    codec = built(wsdl="orders/orders.wsdl", operation="GetOrder")
    body = join_parts("B1", b'{"number": "cid:scan"}', "application/json", [("scan", "image/png", BINARY)])
    assert (
        refused(codec, body, exchange_of(headers=[("content-type", "multipart/related; boundary=B1")]))["pointer"]
        == "/number"
    )


def test_swa_parts_go_beside_the_envelope(tmp_path: object) -> None:
    text = (FOLDER / "rpc_literal.wsdl").read_text()
    text = text.replace(
        '<part name="a" type="xs:int"/>', '<part name="a" type="xs:int"/><part name="scan" type="xs:base64Binary"/>'
    )
    mime = '<m:multipartRelated xmlns:m="http://schemas.xmlsoap.org/wsdl/mime/"><m:part><soap:body use="literal" namespace="urn:example:rpc"/></m:part><m:part><m:content part="scan" type="image/png"/></m:part></m:multipartRelated>'
    head, marker, tail = text.partition('<operation name="Add"><soap:operation')
    text = head + marker + tail.replace('<soap:body use="literal" namespace="urn:example:rpc"/>', mime, 2)
    from pathlib import Path  # noqa: PLC0415

    assert isinstance(tmp_path, Path)
    (tmp_path / "swa.wsdl").write_text(text)
    codec = built(tmp_path, wsdl="swa.wsdl", operation="Add")
    body = join_parts("B1", b'{"a": 1, "b": 2, "scan": "cid:s"}', "application/json", [("s", "image/png", BINARY)])
    encoded = sent(codec, body, exchange_of(headers=[("content-type", "multipart/related; boundary=B1")]))
    kind = encoded.content_type.decode()
    root, rest = root_and_rest(split_parts(encoded.body, kind), kind)
    assert b"scan" not in root.content
    (name,) = rest
    assert name.startswith("scan=")
    assert rest[name].content == BINARY
    reply = join_parts(
        "B2",
        envelope('<r:AddResponse xmlns:r="urn:example:rpc"><a>1</a><b>2</b></r:AddResponse>').encode(),
        "text/xml",
        [("scan=1@x", "image/png", b"hi")],
    )
    response = answered(
        built(tmp_path, wsdl="swa.wsdl", operation="Add", attachments="base64"),
        reply,
        content_type='multipart/related; boundary=B2; type="text/xml"',
    )
    assert json_of(response) == {"a": 1, "b": "2", "scan": "aGk="}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "multipart/related; boundary=B"),
        (b"--B\r\n\r\nx", "multipart/related; boundary=B"),
        (b"--B\r\n\r\nx\r\n--B--", "multipart/related"),
        (b"--B\r\nno colon\r\n\r\nx\r\n--B--", "multipart/related; boundary=B"),
        (b"--B\r\nA: b", "multipart/related; boundary=B"),
        (b"--Bjunk\r\n\r\nx\r\n--B--", "multipart/related; boundary=B"),
        (b"--B\r\n\r\n\r\n" * 300 + b"--B--", "multipart/related; boundary=B"),
        (b"--B\r\nContent-Transfer-Encoding: base64\r\n\r\n!\r\n--B--", "multipart/related; boundary=B"),
        (b"--B\r\nX: " + b"x" * 9000 + b"\r\n\r\nx\r\n--B--", "multipart/related; boundary=B"),
    ],
)
def test_multipart_that_is_none(body: bytes, content_type: str) -> None:
    try:
        parts = split_parts(body, content_type)
    except BadMultipart:
        parts = []
    assert len(parts) < 200
    problem = refused(
        built(wsdl="orders/orders.wsdl", operation="GetOrder"),
        body,
        exchange_of(headers=[("content-type", content_type)]),
    )
    assert problem["status"] in (400, 422)
