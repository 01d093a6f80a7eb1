"""SOAP clients in front: what a JSON API behind sees of their envelopes, and what they get back."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from lxml import etree

from adapters.soap import ADAPTER
from adapters.soap.codec.media_types import parameters
from adapters.soap.codec.multipart import join_parts, root_and_rest, split_parts
from adapters.soap.listen.front import SoapFront
from gateway.api.adapter import Encoded, Reply
from gateway.api.errors import Cause, UpstreamError
from gateway.api.exchange import Exchange
from gateway.api.messages import Headers, Response
from gateway.api.problem import problem
from gateway.edge.adapt import presented
from gateway.testing.exchange import BytesBody, make_exchange

from .calls import S11, S12, XML, complaints, envelope, scope
from .wsdls import FOLDER, wsdl_of

T = "urn:example:orders:types"
GET = f'<GetOrder xmlns="{T}"><number>A-1 /?</number></GetOrder>'
LINE = {"@number": 1, "@gift": True, "Sku": "ABC-12", "Quantity": 2, "Price": "9.90", "Note": None}
ORDER = {"Customer": 7, "Placed": "2031-01-31T12:00:00", "Lines": {"Line": [LINE]}, "Tags": []}
ORDER_XML = (
    "<Customer>7</Customer><Placed>2031-01-31T12:00:00</Placed>"
    '<Lines><Line number="1" gift="true"><Sku>ABC-12</Sku><Quantity>2</Quantity><Price>9.90</Price>'
    '<Note xsi:nil="true" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"/></Line></Lines>'
)
OPERATIONS: dict[str, Any] = {
    "GetOrder": {"method": "GET", "path": "/orders/{body./number}", "query": {"verbose": "{body./verbose}", "v": 1}},
    "SubmitOrder": {"path": "/orders", "select": "order"},
    "Notify": {"path": "/notify"},
}


class Backend:
    """A JSON API in a test: what it was sent, and what it answers."""

    def __init__(self, status: int, body: object, content_type: str, fields: Mapping[str, str]) -> None:
        octets = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = [(name.encode(), value.encode()) for name, value in fields.items()]
        self._reply = Reply(status, Headers([(b"content-type", content_type.encode()), *named]), octets)
        self.sent: list[Encoded] = []

    async def whole(self, exchange: Exchange, encoded: Encoded) -> Reply:
        self.sent.append(encoded)
        return self._reply

    async def streamed(self, exchange: Exchange, encoded: Encoded) -> Response:
        raise AssertionError("answers are read whole")

    @property
    def call(self) -> tuple[str, str]:
        (encoded,) = self.sent
        return encoded.method, (encoded.target or b"").decode()

    @property
    def json(self) -> Any:
        (encoded,) = self.sent
        assert isinstance(encoded.body, bytes)
        return json.loads(encoded.body)


def front(wsdl: str = "orders/orders.wsdl", operations: Any = None, folder: Any = FOLDER, **more: Any) -> SoapFront:
    made = ADAPTER.build(
        ADAPTER.config(wsdl=wsdl, listen={"operations": operations or OPERATIONS}, **more), scope(folder)
    )
    assert isinstance(made, SoapFront)
    return made


def asked(
    adapter: SoapFront,
    body: str | bytes,
    status: int = 200,
    answer: object = None,
    *,
    content_type: str = XML,
    answer_type: str = "application/json",
    fields: Mapping[str, str] | None = None,
    method: str = "POST",
    target: str = "/soap",
) -> tuple[Response, Backend]:
    """What a SOAP client gets that sends `body`, when the JSON API answers so."""
    backend = Backend(status, answer, answer_type, fields or {})
    octets = body.encode() if isinstance(body, str) else body
    exchange = make_exchange(method, target, [("content-type", content_type)], body=body_of(octets))

    async def call(exchange: Exchange) -> Response:
        return await adapter.call(exchange, backend)

    async def handle() -> Response:
        return await presented(adapter, call)(exchange)

    return asyncio.run(handle()), backend


def body_of(octets: bytes) -> BytesBody | None:
    return BytesBody(octets) if octets else None


def fault_of(response: Response) -> etree._Element:
    assert isinstance(response.body, bytes)
    fault = etree.fromstring(response.body).find("{*}Body/{*}Fault")
    assert fault is not None
    return fault


def code_of(response: Response) -> str:
    fault = fault_of(response)
    return fault.findtext("faultcode") or "/".join(node.text or "" for node in fault.iterfind(".//{*}Value"))


def test_the_body_decides_the_operation_and_fills_path_and_query() -> None:
    response, backend = asked(front(), envelope(GET), answer={"order": [ORDER]})
    assert backend.call == ("GET", "/orders/A-1%20%2F%3F?v=1")
    assert backend.sent[0].body is None
    assert response.status == 200
    assert response.headers.get(b"content-type") == b"text/xml; charset=utf-8"
    answer = etree.fromstring(response.body).find(f"{{{S11}}}Body/{{{T}}}GetOrderResponse/{{{T}}}order")  # type: ignore[arg-type]
    assert answer is not None
    assert answer.findtext(f".//{{{T}}}Sku") == "ABC-12"


def test_soap_12_is_answered_in_soap_12() -> None:
    kind = 'application/soap+xml; charset=utf-8; action="urn:example:orders#GetOrder"'
    response, _ = asked(front(), envelope(GET, namespace=S12), answer={"order": [ORDER]}, content_type=kind)
    assert response.headers.get(b"content-type") == b"application/soap+xml; charset=utf-8"
    assert etree.fromstring(response.body).tag == f"{{{S12}}}Envelope"  # type: ignore[arg-type]


def test_a_part_of_the_content_is_sent() -> None:
    body = envelope(f'<SubmitOrder xmlns="{T}"><order>{ORDER_XML}</order></SubmitOrder>')
    operations = {"SubmitOrder": {"path": "/orders", "method": "PUT", "select": "order"}}
    response, backend = asked(front(operations=operations), body, 201, {"number": "A-9", "total": 12.5})
    assert backend.call == ("PUT", "/orders")
    assert backend.json == ORDER
    assert b">A-9</n" in response.body  # type: ignore[operator]
    assert b">12.5</n" in response.body  # type: ignore[operator]


def test_the_upstreams_json_may_be_a_part_of_the_answer() -> None:
    operations = {"GetOrder": {"method": "GET", "path": "/orders/{body./number}", "into": "order"}}
    response, _ = asked(front(operations=operations), envelope(GET), 200, ORDER)
    assert b"ABC-12" in response.body  # type: ignore[operator]


def test_header_blocks_go_to_placeholders_and_come_from_the_answer() -> None:
    operations = {"SubmitOrder": {"path": "/orders/{body./$headers/Tracking/Id}"}}
    header = f'<Tracking xmlns="{T}"><Id>T-1</Id></Tracking>'
    body = envelope(f'<SubmitOrder xmlns="{T}"><order>{ORDER_XML}</order></SubmitOrder>', header)
    answer = {"$headers": {"Tracking": {"Id": "T-2"}}, "number": "A-9", "total": "1"}
    response, backend = asked(front(operations=operations), body, 200, answer)
    assert backend.call == ("POST", "/orders/T-1")
    assert backend.json == {"order": ORDER}
    assert b"<env:Header>" in response.body  # type: ignore[operator]
    assert b">T-2<" in response.body  # type: ignore[operator]


def test_one_way_is_202() -> None:
    body = envelope(f'<Notify xmlns="{T}"><text>shipped</text></Notify>')
    response, backend = asked(front(), body, 204)
    assert (response.status, response.body) == (202, b"")
    assert backend.json == {"text": "shipped"}


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        ("<html/>", XML, 500, "env:Client"),
        ("no xml", XML, 500, "env:Client"),
        ("{}", "application/json", 415, "env:Client"),
        (envelope("<x/>"), XML, 500, "env:Client"),
        (envelope(""), XML, 500, "env:Client"),
        (f'<e:Envelope xmlns:e="{S11}"/>', XML, 500, "env:Client"),
        (envelope(GET.replace("number", "nummer")), XML, 500, "env:Client"),
        (envelope(GET, '<w:S xmlns:w="urn:w" e:mustUnderstand="1"/>'), XML, 500, "env:MustUnderstand"),
        (envelope(GET, namespace="urn:other"), XML, 500, "env:VersionMismatch"),
        (envelope(f'<e:Fault xmlns:e="{S11}"/>'), XML, 500, "env:Client"),
        ('<!DOCTYPE x [<!ENTITY a "b">]>' + envelope(GET), XML, 500, "env:Client"),
        (envelope(GET.replace("A-1 /?", "..")), XML, 500, "env:Client"),
        (envelope(GET.replace("nummer", ""), namespace=S12).replace("GetOrder", "Nope"), "application/soap+xml", 400, "env:Sender"),
    ],
)  # fmt: skip
def test_what_the_caller_gets_wrong_is_a_fault_and_calls_nobody(body: str, kind: str, status: int, code: str) -> None:
    response, backend = asked(front(), body, content_type=kind)
    assert backend.sent == []
    assert (response.status, code_of(response)) == (status, code)
    assert b"urn:ietf:rfc:7807" in response.body  # type: ignore[operator]


def test_a_header_block_for_somebody_else_is_not_ours() -> None:
    block = '<w:S xmlns:w="urn:w" e:mustUnderstand="1" e:actor="urn:auditor"/>'
    response, _ = asked(front(), envelope(GET, block), answer={"order": [ORDER]})
    assert response.status == 200


WSA = "http://www.w3.org/2005/08/addressing"
ADDRESSED = f'''<a:Action xmlns:a="{WSA}" e:mustUnderstand="1">urn:x</a:Action><a:MessageID xmlns:a="{WSA}">urn:uuid:&amp;1</a:MessageID>
  <a:ReplyTo xmlns:a="{WSA}"><a:Address> {WSA}/anonymous </a:Address></a:ReplyTo><a:To xmlns:a="{WSA}" e:mustUnderstand="1">http://x</a:To>'''


def related(response: Response) -> tuple[str | None, str | None]:
    """What the answer says that it is, and that it relates to."""
    assert isinstance(response.body, bytes)
    header = etree.fromstring(response.body).find("{*}Header")
    assert header is not None
    return header.findtext(f"{{{WSA}}}Action"), header.findtext(f"{{{WSA}}}RelatesTo")


@pytest.mark.parametrize("namespace", [S11, S12])
def test_who_speaks_ws_addressing_is_answered_in_it(namespace: str) -> None:
    kind = XML if namespace == S11 else "application/soap+xml"
    adapter = front("orders/orders.wsdl")
    response, _ = asked(adapter, envelope(GET, ADDRESSED, namespace), answer={"order": [ORDER]}, content_type=kind)
    assert response.status == 200
    assert related(response) == ("urn:example:orders:Orders:GetOrderResponse", "urn:uuid:&1")
    refused, _ = asked(adapter, envelope(GET, ADDRESSED, namespace), 404, {}, content_type=kind)
    assert related(refused) == (f"{WSA}/soap/fault", "urn:uuid:&1")
    wrong, _ = asked(adapter, envelope(GET.replace("number", "nummer"), ADDRESSED, namespace), content_type=kind)
    assert related(wrong) == (f"{WSA}/soap/fault", "urn:uuid:&1")


def test_who_does_not_speak_ws_addressing_hears_none() -> None:
    response, _ = asked(front(), envelope(GET), answer={"order": [ORDER]})
    assert b"addressing" not in response.body  # type: ignore[operator]


@pytest.mark.parametrize("block", ["ReplyTo", "FaultTo"])
def test_an_answer_cannot_go_elsewhere(block: str) -> None:
    there = f'<a:{block} xmlns:a="{WSA}"><a:Address>http://127.0.0.1/there</a:Address></a:{block}>'
    response, backend = asked(front(), envelope(GET, there))
    assert (code_of(response), backend.sent) == ("env:Client", [])
    assert b"soap.reply-elsewhere" in response.body  # type: ignore[operator]


def test_soap_12_names_the_blocks_that_are_not_understood() -> None:
    """SOAP 1.2 part 1 §5.4.8."""
    block = '<w:Security xmlns:w="urn:w" e:mustUnderstand="true"/><w:Other xmlns:w="urn:w"/><v:More xmlns:v="urn:v&amp;" e:mustUnderstand="1"/>'
    response, backend = asked(front(), envelope(GET, block, S12), content_type="application/soap+xml")
    assert (response.status, code_of(response), backend.sent) == (500, "env:MustUnderstand", [])
    root = etree.fromstring(response.body)  # type: ignore[arg-type]
    named = root.findall(f"{{{S12}}}Header/{{{S12}}}NotUnderstood")
    assert [(one.get("qname"), one.nsmap["q"]) for one in named] == [("q:Security", "urn:w"), ("q:More", "urn:v&")]


FAULTS = {"Client.NotFound": 404, "Client.OutOfStock": 409}


@pytest.mark.parametrize(
    ("status", "code", "http"),
    [(404, "env:Client.NotFound", 500), (409, "env:Client.OutOfStock", 500), (400, "env:Client", 500),
     (500, "env:Server", 500), (503, "env:Server", 503), (401, "env:Client", 401)],
)  # fmt: skip
def test_an_error_of_the_upstream_is_a_fault(status: int, code: str, http: int) -> None:
    response, _ = asked(front(faults=FAULTS), envelope(GET), status, {"detail": "secret"}, fields={"retry-after": "7"})
    assert (response.status, code_of(response)) == (http, code)
    assert b"secret" not in response.body  # type: ignore[operator]
    assert response.headers.get(b"retry-after") == b"7"
    named, _ = asked(front(faults=FAULTS, fault_detail="pass"), envelope(GET), status, {"detail": "no <such> order"})
    assert fault_of(named).findtext("faultstring") == "no <such> order"


def test_codes_of_soap_12_are_subcodes_in_the_wsdls_namespace() -> None:
    body, kind = envelope(GET, namespace=S12), "application/soap+xml"
    response, _ = asked(front(faults=FAULTS), body, 404, {}, content_type=kind)
    assert (response.status, code_of(response)) == (400, "env:Sender/f:NotFound")
    value = fault_of(response).find(".//{*}Subcode/{*}Value")
    assert value is not None
    assert value.nsmap["f"] == "urn:example:orders"


@pytest.mark.parametrize("nested", [True, False])
def test_declared_detail_is_typed(nested: bool) -> None:
    body = envelope(f'<SubmitOrder xmlns="{T}"><order>{ORDER_XML}</order></SubmitOrder>')
    detail = {"OutOfStock": {"sku": "ABC-12", "left": 0}}
    said = {"fault": {"detail": detail}} if nested else detail
    response, _ = asked(front(faults=FAULTS), body, 409, said)
    assert fault_of(response).findtext(f"detail/{{{T}}}OutOfStock/{{{T}}}sku") == "ABC-12"


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (200, {"order": "no order"}, "application/json"),
        (200, {"unheard": 1}, "application/json"),
        (200, b"<html>", "text/html"),
        (200, b"{", "application/json"),
        (302, {}, "application/json"),
    ],
)
def test_an_answer_that_does_not_fit_is_the_servers_fault(status: int, answer: object, kind: str) -> None:
    response, _ = asked(front(), envelope(GET), status, answer, answer_type=kind)
    assert (response.status, code_of(response)) == (500, "env:Server")
    assert fault_of(response).findtext("detail/{*}problem/{*}code") == "upstream.bad-answer"


def test_unknown_members_of_the_answer_are_dropped_on_request() -> None:
    response, _ = asked(front(unknown="drop"), envelope(GET), 200, {"order": [ORDER], "_links": {}})
    assert response.status == 200


def test_refusals_anywhere_in_the_chain_are_faults() -> None:
    adapter = front()

    def answer(refuse: Any) -> Response:
        exchange = make_exchange("POST", "/soap", [("content-type", XML)], body=body_of(envelope(GET).encode()))

        async def chain(exchange: Exchange) -> Response:
            return refuse(exchange)  # type: ignore[no-any-return]

        async def handle() -> Response:
            return await presented(adapter, chain)(exchange)

        return asyncio.run(handle())

    later = ((b"retry-after", b"9"),)
    limited = answer(lambda exchange: problem(exchange, 429, "rate_limit.exceeded", "Too many requests.", later))
    assert (limited.status, code_of(limited), limited.headers.get(b"retry-after")) == (429, "env:Client", b"9")

    def unreachable(exchange: Exchange) -> Response:
        raise UpstreamError(Cause.UNREACHABLE, "connect", sent=False, upstream="orders")

    down = answer(unreachable)
    assert (down.status, code_of(down)) == (500, "env:Server")
    assert fault_of(down).findtext("detail/{*}problem/{*}status") == "502"


def test_other_methods_are_405_and_get_without_wsdl_is_404() -> None:
    response, _ = asked(front(), "", method="PUT")
    assert (response.status, response.headers.get(b"allow")) == (405, b"GET, POST")
    assert asked(front(), "", method="GET")[0].status == 404
    assert asked(front(), "", method="GET", target="/soap?wsdl=99")[0].status == 404
    assert asked(front(), "", method="GET", target="/soap?wsdl=../gateway.yaml")[0].status == 404


def test_the_wsdl_names_this_route_and_serves_what_it_imports() -> None:
    response, _ = asked(front(), "", method="GET", target="/soap?WSDL")
    assert response.headers.get(b"content-type") == b"text/xml; charset=utf-8"
    root = etree.fromstring(response.body)  # type: ignore[arg-type]
    places = [node.get("location") for node in root.iterfind(".//{*}service/{*}port/{*}address")]
    assert places == ["https://api.example/soap"] * 2
    (imported,) = [node.get("schemaLocation") for node in root.iterfind(".//{*}schema/{*}import")]
    assert imported == "https://api.example/soap?wsdl=1"
    assert b"orders.internal" not in response.body  # type: ignore[operator]
    types, _ = asked(front(), "", method="GET", target="/soap?wsdl=1")
    below = [node.get("schemaLocation") for node in etree.fromstring(types.body)]  # type: ignore[arg-type]
    assert "https://api.example/soap?wsdl=2" in below


def test_binary_parts_go_to_json_and_come_back_as_mtom() -> None:
    octets = bytes(range(256))
    xop = '<x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="cid:a@b"/>'
    order = ORDER_XML + f"<Document>{xop}</Document>"
    content = envelope(f'<SubmitOrder xmlns="{T}"><order>{order}</order></SubmitOrder>').encode()
    body = join_parts("B", content, 'application/xop+xml; type="text/xml"', [("a@b", "image/png", octets)])
    kind = 'multipart/related; type="application/xop+xml"; start="<B.root@sluicegate>"; boundary="B"'
    _, backend = asked(front(attachments="base64"), body, 200, {"number": "1"}, content_type=kind)
    assert backend.json["Document"].startswith("AAECAw")
    _, backend = asked(front(), body, 200, {"number": "1"}, content_type=kind)
    (sent,) = backend.sent
    root, rest = root_and_rest(split_parts(sent.body, sent.content_type.decode()), sent.content_type.decode())  # type: ignore[arg-type]
    assert json.loads(root.content)["Document"] == "cid:a@b"
    assert rest["a@b"].content == octets
    document = json.dumps({"order": [{**ORDER, "Document": "cid:d"}]}).encode()
    answer = join_parts("B", document, "application/json", [("d", "image/png", octets)])
    response, _ = asked(front(), envelope(GET), 200, answer, answer_type="multipart/related; boundary=B")
    said = (response.headers.get(b"content-type") or b"").decode()
    assert parameters(said)["start-info"] == "text/xml"
    assert root_and_rest(split_parts(response.body, said), said)[1]["d"].content == octets  # type: ignore[arg-type]


def test_rpc_literal_is_answered_in_kind() -> None:
    call = envelope('<r:Add xmlns:r="urn:example:rpc"><a>1</a><b>2</b></r:Add>')
    response, backend = asked(front("rpc_literal.wsdl", {"Add": {"path": "/add"}}), call, 200, {"a": 3, "b": "4.50"})
    assert backend.json == {"a": 1, "b": "2"}
    assert b"AddResponse" in response.body  # type: ignore[operator]


def test_rpc_encoded_arrays_and_references_come_in_and_arrays_go_out() -> None:
    inner = (
        '<r:Draw xmlns:r="urn:example:rpc"><shape href="#s"/><labels href="#l"/></r:Draw>'
        '<m id="l" xmlns:c="http://schemas.xmlsoap.org/soap/encoding/"><item>a</item><item href="#b"/></m>'
        '<m id="s"><name>N</name><points><p href="#p"/><p><x>3</x><y>4</y></p></points></m>'
        '<m id="p"><x>1</x><y>2</y></m><m id="b">b</m>'
    )
    content = {"shape": {"name": "N", "points": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}, "labels": ["a", "b"]}
    response, backend = asked(front("rpc_encoded.wsdl", {"Draw": {"path": "/draw"}}), envelope(inner), 200, content)
    assert backend.json == content
    assert b'arrayType="xs:string[2]"' in response.body  # type: ignore[operator]


def test_an_operation_without_content_goes_both_ways() -> None:
    for file in ("rpc_literal.wsdl", "rpc_encoded.wsdl"):
        call = envelope('<r:Ping xmlns:r="urn:example:rpc"/>')
        response, backend = asked(front(file, {"Ping": {"path": "/ping"}}), call, 204)
        assert backend.json == {}
        assert b"PingResponse" in response.body  # type: ignore[operator]


def test_two_operations_with_one_message_are_told_apart_by_their_action(tmp_path: Any) -> None:
    text = wsdl_of('<x:element name="E" type="x:string"/>', "E")
    operation = re.compile('<operation name="E">.*?</operation>', re.DOTALL)
    both = operation.sub(
        lambda one: one[0] + one[0].replace('name="E"', 'name="F"').replace("urn:t#E", "urn:t#F"), text
    )
    (tmp_path / "twins.wsdl").write_text(both)
    adapter = front("twins.wsdl", {"E": {"path": "/e"}, "F": {"path": "/f"}}, tmp_path)
    backend = Backend(200, "x", "application/json", {})
    headers = [("content-type", XML), ("soapaction", '"urn:t#F"')]
    exchange = make_exchange("POST", "/soap", headers, body=body_of(envelope('<E xmlns="urn:t">v</E>').encode()))
    asyncio.run(adapter.call(exchange, backend))
    assert backend.call == ("POST", "/f")


def test_configurations_that_make_no_sense_are_complaints() -> None:
    def found(**operations: Any) -> list[tuple[str, str]]:
        return complaints(wsdl="orders/orders.wsdl", listen={"operations": operations})

    assert found(**OPERATIONS) == []
    assert "did you mean GetOrder" in found(GetOrdr={"path": "/"})[0][1]
    assert found(GetOrder={"path": "orders"})[0][0] == "listen.operations.GetOrder.path"
    assert found(GetOrder={"path": "/{boddy.x}"})[0][0] == "listen.operations.GetOrder.path"
    assert "'odrer' is not in" in found(SubmitOrder={"path": "/", "select": "odrer"})[0][1]
    assert found(Notify={"path": "/", "into": "x"})[0][0] == "listen.operations.Notify.into"
    assert found(GetOrder={"path": "/", "method": "GET", "select": "number"})[0][0].endswith("select")


@pytest.mark.parametrize(
    "more", [{}, {"operation": "GetOrder", "listen": {"operations": OPERATIONS}},
             {"listen": {"operations": OPERATIONS}, "address": "/x"}, {"listen": {"operations": {}}}],
)  # fmt: skip
def test_the_two_directions_do_not_mix(more: Any) -> None:
    with pytest.raises(ValueError, match=r"exactly one of|makes no sense|at least 1"):
        ADAPTER.config(wsdl="orders/orders.wsdl", **more)
