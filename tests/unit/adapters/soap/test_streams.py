"""Long messages with attachments: passed on while they arrive, whatever their pieces, never held, never taken for whole when cut."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.soap.codec.multipart import Part, join_parts, root_and_rest, split_parts
from adapters.soap.codec.parts_reader import BadMultipart, End, Event, PartHead, PartsReader
from adapters.soap.route import STREAMED_FROM, SoapRoute
from gateway.api.adapter import Encoded, Reply
from gateway.api.errors import BadReply, RequestRefused, Unmappable, UpstreamError
from gateway.api.exchange import Exchange
from gateway.api.messages import Body, Headers, Response
from gateway.testing.exchange import BytesBody, make_exchange, read_all

from . import calls
from .calls import envelope

T = 'xmlns="urn:example:orders:types"'
XOP = '<x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="cid:{}"/>'
LONG = bytes(range(256)) * 4096  # 1 MiB
OTHER = b"\r\n--B1--\r" * 60_000
ORDER = {"Customer": 7, "Placed": "2031-01-31T12:00:00Z", "Lines": {"Line": []}}


def route(operation: str, **config: Any) -> SoapRoute:
    made = calls.ADAPTER.build(
        calls.ADAPTER.config(wsdl="orders/orders.wsdl", operation=operation, **config), calls.scope()
    )
    assert isinstance(made, SoapRoute)
    return made


def in_pieces(octets: bytes, size: int = 65_537, *, announced: bool = False) -> BytesBody:
    pieces = (octets[at : at + size] for at in range(0, len(octets), size))
    return BytesBody(*pieces, announced=len(octets) if announced else None)


class Server:
    """A backend that reads what it is sent as it comes, and answers."""

    def __init__(self, body: Body | bytes = b"", content_type: str = "text/xml", status: int = 200) -> None:
        self.answer = Response(status, Headers([(b"content-type", content_type.encode())]), body)
        self.encoded: Encoded | None = None
        self.received = b""
        self.largest = 0

    async def streamed(self, exchange: Exchange, encoded: Encoded) -> Response:
        self.encoded = encoded
        if isinstance(encoded.body, Body):
            while piece := await encoded.body.read():
                self.largest = max(self.largest, len(piece))
                self.received += piece
        else:
            self.received = encoded.body or b""
        return self.answer

    async def whole(self, exchange: Exchange, encoded: Encoded) -> Reply:
        raise AssertionError("answers stream")

    @property
    def parts(self) -> tuple[Part, dict[str, Part]]:
        assert self.encoded is not None
        kind = self.encoded.content_type.decode()
        return root_and_rest(split_parts(self.received, kind), kind)


def submit(server: Server, body: bytes, *, announced: bool = False) -> Response:
    fields = [("content-type", "multipart/related; boundary=B1")]
    exchange = make_exchange("POST", "/", fields, body=in_pieces(body, announced=announced))
    return asyncio.run(route("SubmitOrder").call(exchange, server))


def message(order: object, *parts: tuple[str, bytes]) -> bytes:
    named = [(name, "image/png", content) for name, content in parts]
    return join_parts("B1", json.dumps({"order": order}).encode(), "application/json", named)


OK = envelope(f"<SubmitOrderResponse {T}><number>1</number><total>2</total></SubmitOrderResponse>").encode()


@pytest.mark.parametrize("announced", [True, False])
def test_a_long_request_streams_to_the_backend_as_mtom(announced: bool) -> None:
    server = Server(OK)
    body = message({**ORDER, "Document": "cid:scan"}, ("scan", LONG), ("more", OTHER.replace(b"B1", b"B2")))
    assert submit(server, body, announced=announced).status == 200
    assert server.encoded is not None
    assert isinstance(server.encoded.body, Body)
    assert server.encoded.body.length == (len(server.received) if announced else None)
    root, rest = server.parts
    assert b'href="cid:scan"' in root.content
    assert rest["scan"].content == LONG
    assert rest["scan"].content_type == "image/png"
    assert rest["more"].content == OTHER.replace(b"B1", b"B2")
    assert server.largest < 3 * 65_537


@pytest.mark.parametrize("announced", [STREAMED_FROM, None])
def test_a_short_one_is_sent_whole(announced: int | None) -> None:
    server = Server(OK)
    body = in_pieces(message({**ORDER, "Document": "cid:scan"}, ("scan", b"x" * 99_999)))
    body.length = announced
    exchange = make_exchange("POST", "/", [("content-type", "multipart/related; boundary=B1")], body=body)
    asyncio.run(route("SubmitOrder").call(exchange, server))
    assert server.encoded is not None
    assert isinstance(server.encoded.body, bytes)
    assert server.parts[1]["scan"].content == b"x" * 99_999


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (message({**ORDER, "Document": "cid:missing"}, ("scan", LONG)), RequestRefused),
        (message({**ORDER, "Document": "cid:scan"}, ("scan", LONG))[:-20], RequestRefused),
        (message({**ORDER, "Documnt": "cid:scan"}, ("scan", LONG)), Unmappable),
        (b"--B1\r\n\r\n{" + LONG, RequestRefused),
        (b"--B1--\r\n" + LONG, RequestRefused),
        (b"--B1\r\nno header\r\n\r\n" + LONG, RequestRefused),
    ],
)
@pytest.mark.parametrize("announced", [True, False])
def test_a_message_that_is_not_whole_is_never_ended_for_the_backend(
    body: bytes, fault: type[Exception], announced: bool
) -> None:
    server = Server(OK)
    with pytest.raises(fault):
        submit(server, body, announced=announced)
    assert not server.received.endswith(b"--\r\n")


def test_no_value_can_end_the_part_that_it_stands_in() -> None:
    """The boundary is the caller's as well: where it occurs in the envelope the message gets another."""
    server = Server(OK)
    order = {**ORDER, "Address": {"Street": "x\n--B1--\n", "City": "y"}}
    submit(server, message(order, ("scan", LONG)), announced=True)
    assert server.encoded is not None
    assert "B1" not in server.encoded.content_type.decode()
    assert server.parts[1]["scan"].content == LONG


def test_a_part_of_the_caller_cannot_pass_for_the_root() -> None:
    server = Server(OK)
    evil = b"<Envelope/>"
    body = message(ORDER, ("root@sluicegate", evil), ("B1.root@sluicegate", evil), ("scan", LONG))
    for announced in (True, False):
        submit(server, body, announced=announced)
        assert b"SubmitOrder" in server.parts[0].content


def got(operation: str, answer: bytes, content_type: str, size: int = 65_537, **config: Any) -> tuple[str, bytes]:
    """Content type and body of what the caller gets."""
    body = in_pieces(answer, size)
    server = Server(body, content_type)
    exchange = make_exchange("GET", "/?number=1")

    async def read() -> tuple[str, bytes]:
        response = await route(operation, **config).call(exchange, server)
        assert isinstance(response.body, Body)
        octets = await read_all(response.body)
        return (response.headers.get(b"content-type") or b"").decode(), octets

    return asyncio.run(read())


def orders(*documents: str) -> str:
    return "".join(
        f"<order><Customer>1</Customer><Placed>2031-01-31T12:00:00</Placed><Lines/><Document>{one}</Document></order>"
        for one in documents
    )


def mtom(content: str, *parts: tuple[str, bytes]) -> bytes:
    root = envelope(f"<GetOrderResponse {T}>{content}</GetOrderResponse>").encode()
    return join_parts("BOUND", root, 'application/xop+xml; type="text/xml"', [(i, "image/png", c) for i, c in parts])


KIND = 'multipart/related; type="application/xop+xml"; start="<BOUND.root@sluicegate>"; boundary="BOUND"'


def test_a_long_answer_streams_to_the_caller_as_multipart() -> None:
    kind, body = got("GetOrder", mtom(orders(XOP.format("a%40b")), ("a@b", LONG), ("c", OTHER)), KIND)
    root, rest = root_and_rest(split_parts(body, kind), kind)
    assert json.loads(root.content)["order"][0]["Document"] == "cid:a@b"
    assert (rest["a@b"].content, rest["c"].content) == (LONG, OTHER)


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a"), ("b", "x", "a")])
@pytest.mark.parametrize("references", [("a", "b"), ("a", "b", "a"), ("a", "a", "b")])
def test_or_as_base64_in_the_json_whatever_the_order(order: tuple[str, ...], references: tuple[str, ...]) -> None:
    contents = {"a": LONG[:-1], "b": OTHER, "x": b"nobody asked"}
    answer = mtom(orders(*map(XOP.format, references)), *((name, contents[name]) for name in order))
    kind, body = got("GetOrder", answer, KIND, attachments="base64")
    assert kind == "application/json"
    found = [base64.b64decode(one["Document"]) for one in json.loads(body)["order"]]
    assert found == [contents[name] for name in references]


@pytest.mark.parametrize("form", ["multipart", "base64"])
@pytest.mark.parametrize("cut", [lambda body: body[:-12], lambda body: body.replace(b"<a>", b"<z>")])
def test_an_answer_that_is_not_whole_is_broken_off(form: str, cut: Callable[[bytes], bytes]) -> None:
    answer = cut(mtom(orders(XOP.format("a")), ("a", LONG)))
    with pytest.raises(UpstreamError) as caught:
        got("GetOrder", answer, KIND, attachments=form)
    assert caught.value.stage == "body"


def test_a_short_answer_in_chunks_is_checked_whole() -> None:
    body = in_pieces(mtom(orders(XOP.format("missing")), ("a", b"x")))
    exchange = make_exchange("GET", "/?number=1")
    with pytest.raises(BadReply, match="not in the message"):
        asyncio.run(route("GetOrder").call(exchange, Server(body, KIND)))


def test_a_fault_ends_the_stream_at_once() -> None:
    fault = envelope("<e:Fault><faultcode>e:Client.Nope</faultcode><faultstring>x</faultstring></e:Fault>").encode()
    answer = in_pieces(join_parts("BOUND", fault, "text/xml", [("a", "image/png", LONG)]))
    exchange = make_exchange("GET", "/?number=1")
    response = asyncio.run(route("GetOrder").call(exchange, Server(answer, KIND.replace("start=", "x="), 500)))
    assert response.status == 422
    assert answer.closed


def test_an_answer_whose_root_comes_late_is_502() -> None:
    answer = in_pieces(mtom(orders("AA=="), ("a", LONG)))
    exchange = make_exchange("GET", "/?number=1")
    kind = KIND.replace("<BOUND.root@sluicegate>", "<a>")
    with pytest.raises(BadReply):
        asyncio.run(route("GetOrder").call(exchange, Server(answer, kind)))
    assert answer.closed


# --- the reader ------------------------------------------------------------------------------------------------


def taken(pieces: Iterator[bytes] | list[bytes], kind: str) -> list[tuple[dict[str, str], bytes]]:
    reader = PartsReader(kind)
    found: list[tuple[dict[str, str], bytes]] = []
    ends = 0
    for piece in pieces:
        event: Event
        for event in reader.feed(piece):
            if isinstance(event, PartHead):
                found.append((dict(event.headers), b""))
            elif event is End.PART:
                ends += 1
            else:
                assert isinstance(event, bytes)
                found[-1] = (found[-1][0], found[-1][1] + event)
    reader.close()
    assert ends == len(found)
    return found


CONTENTS = st.lists(
    st.binary(max_size=40) | st.sampled_from([b"", b"\r\n", b"\r\n--", b"\r\n--b", b"\r", b"--"]), max_size=4
)


@settings(max_examples=200)
@given(CONTENTS, st.lists(st.integers(0, 400), max_size=8), st.booleans())
def test_pieces_do_not_matter(contents: list[bytes], cuts: list[int], encoded: bool) -> None:
    contents = [content for content in contents if b"\r\n--B" not in b"\r\n" + content]  # RFC 2046 §5.1.1
    lines = [b"preamble"]
    for number, octets in enumerate(contents):
        content = octets
        head = b"Content-ID: <%d>\r\n" % number if number % 2 else b""
        if encoded:
            head += b"content-transfer-encoding: base64\r\n"
            content = base64.encodebytes(content).replace(b"\n", b"\r\n")
        lines.append(b"\r\n--B \t\r\n" + head + b"\r\n" + content)
    body = b"".join(lines) + b"\r\n--B--\r\nepilogue\r\n--B\r\n"
    if not contents:
        body = b"--B--"
    places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    found = taken([body[start:end] for start, end in pairwise(places)], "multipart/related; boundary=B")
    assert [content for _, content in found] == contents
    assert found == taken([bytes((one,)) for one in body], "multipart/related; boundary=B")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"--B", b"--B\r\n", b"--B\r\n\r\nx", b"--Bx\r\n\r\n--B--", b"--B" + b" " * 300 + b"\r\n\r\n\r\n--B--",
        b"--B\r\nX: y\r\n--B--", b"--B\r\n" + b"X" * 9000 + b"\r\n\r\n\r\n--B--", b"--B\r\nnope\r\n\r\n\r\n--B--",
        b"\r\n--B\r\n\r\n" * 201 + b"\r\n--B--",
        b"--B\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAAA\r\n--B--",
        b"--B\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + b"x" * 9000 + b"\r\n--B--",
    ],
)  # fmt: skip
def test_what_is_no_multipart_is_refused_in_whatever_pieces(body: bytes) -> None:
    for pieces in ([body], [bytes((one,)) for one in body]):
        with pytest.raises(BadMultipart):
            taken(pieces, "multipart/related; boundary=B")
