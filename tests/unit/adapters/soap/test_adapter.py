"""The adapter from the caller's request to the backend and back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml

import adapters.soap
from gateway.api.config import Secret
from gateway.api.errors import BadReply
from gateway.api.exchange import Exchange
from gateway.api.messages import Headers, Response
from gateway.edge.adapt import Adapt

from .calls import S12, XML, answered, built, complaints, envelope, exchange_of, json_of, problem_of, refused, sent
from .wsdls import wsdl_of

ORDERS = "orders/orders.wsdl"
T = 'xmlns="urn:example:orders:types"'
ORDER = {
    "Customer": 7,
    "Placed": "2031-01-31T12:00:00Z",
    "Lines": {"Line": [{"@number": 1, "Sku": "ABC-12", "Quantity": 2, "Price": "9.90", "Note": None}]},
}


def orders(**config: object) -> dict[str, object]:
    return {"wsdl": ORDERS, "operation": "SubmitOrder", **config}


def test_the_example_is_a_configuration_without_complaints() -> None:
    block = yaml.safe_load((Path(adapters.soap.__file__).parent / "example.yaml").read_text())["soap"]
    block["wsdl"] = ORDERS
    assert complaints(**block) == []


def test_a_call_goes_to_the_path_of_the_port_with_its_action() -> None:
    encoded = sent(built(**orders()), {"order": ORDER})
    assert encoded.method == "POST"
    assert encoded.target == b"/soap/orders?v=1"
    assert encoded.content_type == b"text/xml; charset=utf-8"
    assert dict(encoded.headers)[b"soapaction"] == b'"urn:example:orders#SubmitOrder"'


def test_soap_12_carries_the_action_in_the_media_type() -> None:
    encoded = sent(built(wsdl=ORDERS, operation="GetOrder", port="Orders12"), {"number": "A"})
    assert encoded.content_type == b'application/soap+xml; charset=utf-8; action="urn:example:orders#GetOrder"'
    assert encoded.target == b"/soap12/orders"
    assert not encoded.headers
    assert S12.encode() in encoded.body


@pytest.mark.parametrize("address", ["/elsewhere?a=1", "https://other.example/elsewhere?a=1"])
def test_address_replaces_path_and_query(address: str) -> None:
    assert sent(built(**orders(address=address)), {"order": ORDER}).target == b"/elsewhere?a=1"


def test_members_go_in_the_order_of_the_schema() -> None:
    shuffled = {"Lines": {"Line": []}, "Placed": ORDER["Placed"], "Customer": "7"}
    body = sent(built(**orders()), {"order": shuffled}).body.decode()
    assert body.index("Customer") < body.index("Placed") < body.index("Lines")


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"Customer": "x"}, "/order/Customer", "whole number"),
        ({"Customer": True}, "/order/Customer", "whole number"),
        ({"Customer": 2**63}, "/order/Customer", "not be greater"),
        ({"Placed": "2031-02-30T00:00:00"}, "/order/Placed", "date and time"),
        ({"Placed": None}, "/order/Placed", "null"),
        ({"Lines": []}, "/order/Lines", "object"),
        ({"Lines": {"Line": {}}}, "/order/Lines/Line", "array"),
        ({"Lines": {"Line": [{}]}}, "/order/Lines/Line/0/@number", "required"),
        ({"Priority": "MIDDLE"}, "/order/Priority", "LOW, HIGH"),
        ({"Tags": ["a"] * 6}, "/order/Tags", "at most 5"),
        ({"Document": "?"}, "/order/Document", "base64"),
        ({"Digest": "abc"}, "/order/Digest", "hexadecimal"),
        ({"Weight": "heavy"}, "/order/Weight", "number"),
        ({"Weight": 10**400}, "/order/Weight", "range"),
        ({"Express": "yes"}, "/order/Express", "true or false"),
        ({"Custmer": 1}, "/order/Custmer", "Customer"),
        ({"Address": {"Street": "", "City": ""}}, "/order/Address/City", "at least 1"),
        ({"Address": {"@country": "CZE", "Street": "", "City": "x"}}, "/order/Address/@country", "exactly 2"),
    ],
)
def test_what_does_not_fit_is_422_with_a_pointer(change: dict[str, object], pointer: str, words: str) -> None:
    problem = refused(built(**orders()), {"order": {**ORDER, **change}})
    assert (problem["status"], problem["pointer"]) == (422, pointer)
    assert words in problem["detail"]


@pytest.mark.parametrize(
    ("member", "value", "words"),
    [
        ("Price", "1234567890123.00", "at most 12 digits"),
        ("Price", "0.001", "at most 2 digits after"),
        ("Price", "1e400", "decimal number"),
        ("Price", "abc", "decimal number"),
        ("Discount", 100, "less than 100"),
        ("Discount", -1, "not be less than 0"),
        ("Quantity", 0, "not be less than 1"),
        ("Sku", "AB-1", "pattern"),
    ],
)
def test_facets(member: str, value: object, words: str) -> None:
    line = {"@number": 1, "Sku": "ABC-12", "Quantity": 2, "Price": "9.90", "Note": None, member: value}
    problem = refused(built(**orders()), {"order": {**ORDER, "Lines": {"Line": [line]}}})
    assert problem["pointer"] == f"/order/Lines/Line/0/{member}"
    assert words in problem["detail"]
    assert str(value) not in problem["detail"] or str(value) in words


def test_unknown_members_are_dropped_by_option() -> None:
    body = sent(built(**orders(unknown="drop")), {"order": {**ORDER, "Colour": "red"}}).body
    assert b"Colour" not in body


def test_numbers_keep_every_digit() -> None:
    codec = built(**orders())
    body = b'{"order": {"Customer": 7, "Placed": "2031-01-31T12:00:00Z", "Lines": {"Line": [{"@number": 1, "Sku": "ABC-12", "Quantity": 2, "Price": 1234567890.10, "Note": ""}]}}}'
    assert b">1234567890.10<" in sent(codec, body).body
    reply = envelope(
        f"<SubmitOrderResponse {T}><number>A</number><total>0.10</total><huge>123456789012345678901234567890</huge></SubmitOrderResponse>"
    )
    assert answered(codec, reply).body == b'{"number":"A","total":"0.10","huge":123456789012345678901234567890}'
    assert (
        answered(built(**orders(numbers="number")), reply).body
        == b'{"number":"A","total":0.10,"huge":123456789012345678901234567890}'
    )


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "soap.bad-json"),
        (b'{"a": 1, "a": 2}', 400, "soap.bad-json"),
        (b'{"a": NaN}', 400, "soap.bad-json"),
        (b"\xff", 400, "soap.bad-json"),
        (b"[" * 100_000, 400, "soap.bad-json"),
        (b'{"order": ' + b"9" * 5000 + b"}", 400, "soap.bad-json"),
        (b"[]", 422, "request.unmappable"),
        (b"null", 422, "request.unmappable"),
    ],
)
def test_bodies_that_are_no_content(body: bytes, status: int, code: str) -> None:
    problem = refused(built(**orders()), body)
    assert (problem["status"], problem["code"]) == (status, code)


def test_other_media_types_are_415() -> None:
    exchange = exchange_of(headers=[("content-type", "text/xml")])
    assert refused(built(**orders()), b"<x/>", exchange)["status"] == 415


# --- mapping ---------------------------------------------------------------------------------------------------


def test_get_maps_path_and_query_by_name() -> None:
    exchange = exchange_of("GET", "/orders/A-1?verbose=true", [], {"number": "A-1"})
    body = sent(built(wsdl=ORDERS, operation="GetOrder"), None, exchange).body
    assert b"<n0:number>A-1</n0:number><n0:verbose>true</n0:verbose>" in body


def test_get_refuses_parameters_it_does_not_know_or_gets_twice() -> None:
    codec = built(wsdl=ORDERS, operation="GetOrder")
    assert refused(codec, None, exchange_of("GET", "/?number=1&colour=red", []))["pointer"] == "/colour"
    assert refused(codec, None, exchange_of("GET", "/?number=1&number=2", []))["pointer"] == "/number"


def test_request_places_values_from_everywhere() -> None:
    codec = built(
        **orders(
            request={
                "order/Customer": "{header.X-Customer}",
                "order/Placed": "2031-01-31T12:00:00Z",
                "order/Lines/Line/@number": 1,
                "order/Lines/Line/Sku": "{query.sku}",
                "order/Lines/Line/Quantity": "{body./n}",
                "order/Lines/Line/Price": 9.90,
                "order/Lines/Line/Note": "{body./note}",
                "order/Tags": "{body./tags}",
            }
        )
    )
    exchange = exchange_of("POST", "/?sku=ABC-12", [("content-type", "application/json"), ("x-customer", "42")])
    body = sent(codec, {"n": 3, "note": "<b>", "tags": ["x", "y"]}, exchange).body.decode()
    assert "<n0:Customer>42<" in body
    assert '<n0:Line number="1"><n0:Sku>ABC-12</n0:Sku><n0:Quantity>3</n0:Quantity><n0:Price>9.9<' in body
    assert "<n0:Note>&lt;b&gt;<" in body
    assert "<n0:Tags>x</n0:Tags><n0:Tags>y</n0:Tags>" in body


def test_a_mapped_value_that_does_not_fit_points_at_where_it_came_from() -> None:
    codec = built(wsdl=ORDERS, operation="GetOrder", request={"number": "{body./a/b}", "verbose": "{query.v}"})
    assert refused(codec, {"a": {"b": 5}})["pointer"] == "/a/b"
    problem = refused(codec, {"a": {"b": "x"}}, exchange_of("POST", "/?v=maybe"))
    assert problem["pointer"] == ""
    assert "verbose, from {query.v}: true or false" in problem["detail"]


def test_select_gives_one_part() -> None:
    reply = envelope(f"<SubmitOrderResponse {T}><number>A</number><total>1.50</total></SubmitOrderResponse>")
    assert json_of(answered(built(**orders(response={"select": "total"})), reply)) == "1.50"
    assert json_of(answered(built(**orders(response={"select": "huge"})), reply)) is None


def test_headers_come_from_the_body_or_from_the_configuration() -> None:
    body = sent(built(**orders()), {"$headers": {"Tracking": {"Id": "T1"}}, "order": ORDER}).body
    assert b"<env:Header><n0:Tracking><n0:Id>T1</n0:Id></n0:Tracking></env:Header>" in body
    codec = built(**orders(headers={"Tracking/Id": "{header.X-Trace}", "Tracking/Level": 3}))
    exchange = exchange_of(headers=[("x-trace", "T2")])
    assert b"<n0:Id>T2</n0:Id><n0:Level>3<" in sent(codec, {"order": ORDER}, exchange).body
    assert refused(codec, {"$headers": {}, "order": ORDER})["status"] == 422
    problem = refused(built(**orders()), {"$headers": {"Tracking": {"Id": 1}}, "order": ORDER})
    assert problem["pointer"] == "/$headers/Tracking/Id"


def test_answer_headers_are_shown_and_what_must_be_understood_is() -> None:
    content = f"<SubmitOrderResponse {T}><number>A</number><total>1</total></SubmitOrderResponse>"
    header = f"<Tracking {T}><Id>T9</Id></Tracking>"
    assert json_of(answered(built(**orders()), envelope(content, header)))["$headers"] == {"Tracking": {"Id": "T9"}}
    strange = '<x:Odd xmlns:x="urn:odd" e:mustUnderstand="1"/>'
    assert problem_of(answered(built(**orders()), envelope(content, strange)))["where"] == "Odd"


# --- answers ---------------------------------------------------------------------------------------------------

GOOD = f"<SubmitOrderResponse {T}><number>A</number><total>1.50</total></SubmitOrderResponse>"


@pytest.mark.parametrize(
    ("body", "status", "content_type"),
    [
        ("\ufeff" + envelope(GOOD), 200, XML),
        (envelope(GOOD).encode("utf-16"), 200, "text/xml; charset=utf-16"),
        (
            ('<?xml version="1.0" encoding="ISO-8859-1"?>' + envelope(GOOD.replace(">A<", ">ä<"))).encode("latin-1"),
            200,
            "text/xml",
        ),
        (envelope(GOOD), 200, ""),
        (envelope(GOOD), 200, "application/octet-stream"),
        (envelope(GOOD.replace(">A<", "><![CDATA[A]]><")), 200, XML),
        (envelope(GOOD.replace(">A<", ">A<!-- b --><")), 200, XML),
    ],
)
def test_answers_in_many_dresses_are_read(body: str | bytes, status: int, content_type: str) -> None:
    response = answered(built(**orders()), body, status, content_type)
    assert response.status == 200
    assert json_of(response)["number"] in ("A", "ä")


@pytest.mark.parametrize(
    ("body", "status", "content_type", "where"),
    [
        ("", 200, XML, ""),
        ("", 202, XML, ""),
        ("", 500, XML, ""),
        ("<html>", 503, "text/html", ""),
        ("not xml", 200, XML, ""),
        ("<a/>", 200, XML, "a"),
        (f'<e:Envelope xmlns:e="{S12}"/>', 200, XML, "Envelope"),
        (envelope(GOOD, namespace=S12), 200, XML, "Envelope"),
        (envelope(GOOD), 500, XML, ""),
        (envelope(GOOD).encode(), 200, "text/xml; charset=rot13", ""),
        (envelope(GOOD.replace(">A<", ">ä<")).encode("latin-1"), 200, XML, ""),
        (envelope("<other/>"), 200, XML, "other"),
        (envelope(""), 200, XML, "Body"),
        (envelope(GOOD.replace("1.50", "x")), 200, XML, "SubmitOrderResponse/total"),
        (envelope(GOOD.replace("1.50", "1.505")), 200, XML, "SubmitOrderResponse/total"),
        (envelope(GOOD.replace("<number>A</number>", "")), 200, XML, "SubmitOrderResponse"),
        (envelope(GOOD.replace("</number>", "</number><number>B</number>")), 200, XML, "SubmitOrderResponse/number[2]"),
        (envelope(GOOD.replace("<number>", "<extra/><number>")), 200, XML, "SubmitOrderResponse/extra"),
        (envelope(GOOD.replace("<number>", '<number a="b">')), 200, XML, "SubmitOrderResponse/number"),
        (envelope(GOOD.replace("<number>", "text<number>")), 200, XML, "SubmitOrderResponse"),
        (
            envelope(f"<SubmitOrderResponse {T}><total>1</total><number>A</number></SubmitOrderResponse>"),
            200,
            XML,
            "SubmitOrderResponse/number",
        ),
    ],
)
def test_answers_that_are_none_are_502_and_name_the_element(
    body: str | bytes, status: int, content_type: str, where: str
) -> None:
    response = answered(built(**orders()), body, status, content_type)
    assert response.status == 502
    assert problem_of(response)["where"] == where


def test_lenient_answers_pass_and_leave_a_note() -> None:
    exchange = exchange_of()
    odd = GOOD.replace("<number>A</number>", "").replace("1.50", "about 2").replace("</Sub", "<extra/></Sub")
    response = answered(built(**orders(strict_answers=False)), envelope(odd), exchange=exchange)
    assert json_of(response) == {"total": "about 2"}
    assert "soap.answer-deviates" in exchange.codes


def test_one_way_is_202() -> None:
    codec = built(wsdl=ORDERS, operation="Notify")
    assert answered(codec, "", 202).status == 202
    assert answered(codec, "", 200).status == 202
    assert answered(codec, "", 500).status == 502
    assert answered(codec, fault11("Client"), 500).status == 422


def fault11(code: str, reason: str = "secret reason", detail: str = "") -> str:
    return envelope(f"<e:Fault><faultcode>e:{code}</faultcode><faultstring>{reason}</faultstring>{detail}</e:Fault>")


def fault12(code: str, sub: str = "") -> str:
    inner = f"<e:Subcode><e:Value xmlns:a='urn:a'>a:{sub}</e:Value></e:Subcode>" if sub else ""
    return envelope(
        f"<e:Fault><e:Code><e:Value>e:{code}</e:Value>{inner}</e:Code><e:Reason><e:Text xml:lang='de'>nein</e:Text>"
        "<e:Text xml:lang='en'>no</e:Text></e:Reason></e:Fault>",
        namespace=S12,
    )


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        (fault11("Client"), "Client", 422),
        (fault11("Server"), "Server", 502),
        (fault11("Client.NotFound"), "Client.NotFound", 404),
        (fault11("Client.NotFound.Deep"), "Client.NotFound.Deep", 404),
        (fault11("Client.NotFoundish"), "Client.NotFoundish", 422),
        (fault11("VersionMismatch"), "VersionMismatch", 502),
        (fault12("Sender"), "Sender", 422),
        (fault12("Receiver"), "Receiver", 502),
        (fault12("Sender", "NotFound"), "Sender/NotFound", 410),
    ],
)
@pytest.mark.parametrize("http_status", [200, 500])
def test_faults_have_statuses_of_their_own(body: str, code: str, status: int, http_status: int) -> None:
    codec = built(**orders(faults={"Client.NotFound": 404, "Sender/NotFound": 410}))
    problem = problem_of(answered(codec, body, http_status))
    assert (problem["status"], problem["code"], problem["fault"]) == (status, "soap.fault", {"code": code})


def test_detail_that_the_wsdl_declares_is_shown_and_the_rest_only_when_passed() -> None:
    detail = (
        f"<detail><OutOfStock {T}><sku>ABC-12</sku><left>3</left></OutOfStock><stack>at Main.java:7</stack></detail>"
    )
    shown = {"OutOfStock": {"sku": "ABC-12", "left": 3}}
    hidden = problem_of(answered(built(**orders()), fault11("Client", detail=detail), 500))["fault"]
    assert hidden == {"code": "Client", "detail": shown}
    passed = problem_of(answered(built(**orders(fault_detail="pass")), fault11("Client", detail=detail), 500))["fault"]
    assert passed == {"code": "Client", "reason": "secret reason", "detail": {**shown, "stack": "at Main.java:7"}}


def test_declared_detail_without_its_namespace_is_still_what_is_declared() -> None:
    detail = "<detail><OutOfStock><sku>ABC-12</sku><left>3</left></OutOfStock></detail>"
    shown = problem_of(answered(built(**orders()), fault11("Client", detail=detail), 500))["fault"]
    assert shown == {"code": "Client", "detail": {"OutOfStock": {"sku": "ABC-12", "left": 3}}}


# --- configuration ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "path", "words"),
    [
        ({"wsdl": "none.wsdl"}, "wsdl", "cannot read none.wsdl"),
        ({"operation": "SubmitOder"}, "operation", "did you mean SubmitOrder?"),
        ({"port": "Orders13"}, "port", "OrderService/Orders11"),
        ({"port": "Orders12"}, "operation", "no such operation"),
        ({"operation": "Zzz"}, "operation", "no such operation; there are: GetOrder"),
        ({"request": {"order/Custmer": 1}}, "request.order/Custmer", "did you mean 'Customer'?"),
        ({"request": {"order/Customer": "{bdy./x}"}}, "request.order/Customer", "did you mean 'body'?"),
        ({"headers": {"Trcking/Id": "x"}}, "headers.Trcking/Id", "Tracking"),
        ({"response": {"select": "totl"}}, "response.select", "did you mean 'total'?"),
        ({"faults": {"soap:Client": 400}}, "faults.soap:Client", "without its prefix"),
        ({"address": "no slash"}, "address", "slash"),
        (
            {"security": {"signature": {"cert": "orders/types.xsd", "key": "orders/types.xsd"}}},
            "security.signature",
            "",
        ),
        ({"security": {"signature": {"cert": "none.pem", "key": "none.pem"}}}, "security.signature", "cannot read"),
        ({"security": {"signature": {"cert": "none.pem"}}}, "security.signature", "both cert and key"),
    ],
)
def test_check_says_what_is_wrong_and_where(config: dict[str, object], path: str, words: str) -> None:
    found = complaints(**orders(**config))
    assert [at for at, _ in found] == [path]
    assert words in found[0][1]


def test_an_action_that_would_break_the_header_is_a_finding(tmp_path: Path) -> None:
    text = wsdl_of('<x:element name="A" type="x:string"/>', "A").replace("urn:t#A", "a&#10;X-Evil: 1")
    (tmp_path / "evil.wsdl").write_text(text)
    ((path, message),) = complaints(tmp_path, wsdl="evil.wsdl", operation="A")
    assert (path, "no header field can carry" in message) == ("operation", True)


def test_order_that_json_cannot_keep_is_a_warning() -> None:
    found = complaints(wsdl="shapes.wsdl", operation="Repeating")
    assert any("Blue, Key, Red, Val" in message or "Blue, Red" in message for _, message in found)


def test_wsdls_are_compiled_once_for_all_routes() -> None:
    one, two = built(**orders()), built(wsdl=ORDERS, operation="GetOrder")
    assert one._codec.wsdl is two._codec.wsdl  # type: ignore[attr-defined]  # how many there are cannot be seen from outside


# --- security and addressing -----------------------------------------------------------------------------------


def test_username_token_and_timestamp_are_sent_and_never_the_password_in_a_digest() -> None:
    token = {"username": "gateway", "password": Secret("s3cret", "${env:PASSWORD}")}
    body = sent(built(**orders(security={"username_token": token, "timestamp": "60s"})), {"order": ORDER}).body.decode()
    assert "PasswordDigest" in body
    assert "s3cret" not in body
    assert "wsu:Expires" in body
    plain = built(**orders(security={"username_token": {**token, "digest": False}}))
    assert ">s3cret<" in sent(plain, {"order": ORDER}).body.decode()
    first, second = (sent(plain, {"order": ORDER}).body for _ in range(2))
    assert first != second, "a nonce is used once"


def test_addressing_relates_the_answer_to_the_request() -> None:
    codec = built(**orders(addressing=True))
    exchange = exchange_of()
    body = sent(codec, {"order": ORDER}, exchange).body.decode()
    message_id = body.partition("urn:uuid:")[2].partition("<")[0]
    assert "urn:example:orders#SubmitOrder</wsa:Action>" in body
    wsa = 'xmlns:w="http://www.w3.org/2005/08/addressing"'
    mine = envelope(GOOD, f"<w:RelatesTo {wsa}>urn:uuid:{message_id}</w:RelatesTo>")
    other = envelope(GOOD, f"<w:RelatesTo {wsa}>urn:uuid:another</w:RelatesTo>")
    assert answered(codec, mine, exchange=exchange).status == 200
    assert problem_of(answered(codec, other, exchange=exchange))["where"] == "RelatesTo"


def test_a_callers_own_soapaction_never_reaches_the_backend() -> None:
    seen: list[Headers] = []

    class Forward:
        def target(self, exchange: Exchange) -> bytes:
            return b"/"

        async def call(
            self, exchange: Exchange, method: str, target: bytes, headers: Headers, *rest: object
        ) -> Response:
            seen.append(headers)
            return Response(202, Headers(), b"")

    for port in ("Orders11", "Orders12"):
        codec = built(wsdl=ORDERS, operation="GetOrder", port=port)
        exchange = exchange_of("GET", "/?number=1", [("soapaction", '"urn:evil"'), ("x-other", "kept")])
        with pytest.raises(BadReply):
            asyncio.run(Adapt(codec, Forward())(exchange))  # type: ignore[arg-type]  # all of Forward that is called
    assert [headers.get_all(b"soapaction") for headers in seen] == [[b'"urn:example:orders#GetOrder"'], []]
    assert all(headers.get(b"x-other") == b"kept" for headers in seen)
