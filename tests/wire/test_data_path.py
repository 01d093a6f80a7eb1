"""The data path as plays: the caller sends these bytes, the upstream must see exactly those, the caller gets exactly that."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gateway.testing.upstream import answering, ok
from tests.wire.conftest import Perform
from tests.wire.plays import TO_ALL, Server, Stage

ID = re.compile(rb"(?<=\r\nx-request-id: )[0-9a-f]{32}(?=\r\n)")
SAID = b"x-forwarded-for: 127.0.0.1\r\nx-forwarded-host: a\r\nx-forwarded-proto: http\r\n"
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def get(*fields: bytes, target: bytes = b"/", method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    lines = [b"%b %b HTTP/%b" % (method, target, version), b"Host: a", *fields, b"", b""]
    return b"\r\n".join(lines)


def post(*fields: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    return get(*fields, method=b"POST", version=version) + body


def seen(
    first: bytes, *fields: bytes, said: bytes = SAID, framing: bytes = b"", body: bytes = b"", via: bytes = b"1.1"
) -> bytes:
    """What the upstream must see; HOST and ID stand for what differs each time."""
    own = b"".join(line + b"\r\n" for line in fields)
    ours = b"x-request-id: ID\r\nvia: %b sluicegate\r\n" % via
    return b"%b HTTP/1.1\r\nhost: HOST\r\n%b%b%b%b\r\n%b" % (first, own, said, ours, framing, body)


def answer(*fields: bytes, first: bytes = b"200 OK", body: bytes = b"") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + first, *fields, b"", b""]) + body


def length(octets: int) -> bytes:
    return b"content-length: %d\r\n" % octets


CHUNKED = b"transfer-encoding: chunked\r\n"


@dataclass(frozen=True)
class Play:
    """One request and its answer."""

    name: str
    sends: bytes
    sees: bytes
    answers: bytes = ok()
    status: int = 200
    gets: list[tuple[bytes, bytes]] = field(default_factory=lambda: [(b"content-length", b"2")])
    body: bytes = b"ok"
    method: str = "GET"
    upstream: dict[str, Any] = field(default_factory=dict)
    route: dict[str, Any] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)
    on_granian: dict[str, Any] = field(default_factory=dict)  # where hyper decides otherwise


def trusting(header: str) -> dict[str, Any]:
    return {"proxy": {"trusted": ["127.0.0.1/32", "10.0.0.0/8"], "header": header}}


REQUESTS = [
    Play("order and duplicates are kept, names lowered",
         get(b"X-B: 1", b"X-A: 2", b"X-B: 3", b"Accept: */*", b"X-Empty:", b"Cookie: a=b; c", b"X-Utf: \xc3\xa9"),
         seen(b"GET /", b"x-b: 1", b"x-a: 2", b"x-b: 3", b"accept: */*", b"x-empty: ", b"cookie: a=b; c", b"x-utf: \xc3\xa9"),
         on_granian={"sees": seen(b"GET /", b"x-b: 1", b"x-b: 3", b"x-a: 2", b"accept: */*", b"x-empty: ", b"cookie: a=b; c", b"x-utf: \xc3\xa9")}),
    Play("white space around values is no part of them", get(b"X-A: \t b c \t"), seen(b"GET /", b"x-a: b c")),
    Play("hop-by-hop fields stay here",
         get(b"Connection: keep-alive", b"Keep-Alive: timeout=5", b"TE: trailers", b"Trailer: X-T", b"Proxy-Connection: close",
             b"Proxy-Authorization: Basic eDp5", b"Proxy-Authenticate: Basic", b"Proxy: http://evil", b"Upgrade: h2c", b"X-A: 1"),
         seen(b"GET /", b"x-a: 1")),
    Play("Connection removes what it names",
         get(b"Connection: X-Gone, close , x-AND", b"X-Gone: 1", b"x-and: 2", b"X-Stays: 3", b"X-Gone: 4"),
         seen(b"GET /", b"x-stays: 3")),
    Play("but neither Host nor Content-Length",
         post(b"Connection: host, content-length, transfer-encoding", b"Content-Length: 3", body=b"abc"),
         seen(b"POST /", framing=length(3), body=b"abc")),
    Play("h2c is not offered", get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMA"), seen(b"GET /")),
    Play("h2c with a body is not offered",
         post(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMA", b"Content-Length: 3", body=b"abc"),
         seen(b"POST /", framing=length(3), body=b"abc")),
    Play("nothing that a stranger says of addresses is believed",
         get(b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-Host: evil", b"X-Forwarded-Proto: https", b"Forwarded: for=1.2.3.4",
             b"X-Real-IP: 1.2.3.4", b"X-Forwarded-Port: 1", b"Client-Cert: :AAAA:", b"X-A: 1"),
         seen(b"GET /", b"x-a: 1")),
    Play("a trusted proxy is believed: X-Forwarded-*",
         get(b"X-Forwarded-For: 9.9.9.9, 8.8.8.8, 10.1.1.1", b"X-Forwarded-Proto: https", b"X-Forwarded-Host: shop.example", b"Forwarded: for=6.6.6.6"),
         seen(b"GET /", said=b"x-forwarded-for: 9.9.9.9, 8.8.8.8, 10.1.1.1, 127.0.0.1\r\nx-forwarded-host: shop.example\r\nx-forwarded-proto: https\r\n"),
         document=trusting("x-forwarded-for")),
    Play("a trusted proxy is believed: Forwarded",
         get(b'Forwarded: for=8.8.8.8;proto=https;host="shop.example"', b"X-Forwarded-For: 6.6.6.6"),
         seen(b"GET /", b'forwarded: for=8.8.8.8;proto=https;host="shop.example", for="127.0.0.1";proto=http',
              said=b"x-forwarded-for: 8.8.8.8, 127.0.0.1\r\nx-forwarded-host: shop.example\r\nx-forwarded-proto: https\r\n"),
         document=trusting("forwarded")),
    Play("Host: the upstream's own", get(), seen(b"GET /")),
    Play("Host: the caller's", get(), seen(b"GET /").replace(b"HOST", b"a"), upstream={"host": "client"}),
    Play("Host: a value", get(), seen(b"GET /").replace(b"HOST", b"api.internal:8443"), upstream={"host": "api.internal:8443"}),
    Play("a sane request id is kept", get(b"X-Request-Id: abc-123"), seen(b"GET /").replace(b": ID", b": abc-123")),
    Play("an insane request id is replaced", get(b"X-Request-Id: a b{}"), seen(b"GET /")),
    Play("a doubled request id is one", get(b"X-Request-Id: one", b"X-Request-Id: two"), seen(b"GET /").replace(b": ID", b": two")),
    Play("traceparent goes on", get(b"traceparent: " + TRACE, b"tracestate: a=b"), seen(b"GET /", b"traceparent: " + TRACE, b"tracestate: a=b")),
    Play("one form of the path, the query byte for byte",
         get(target=b"/a/./b//%7Ec/../d%2fe%20/?q=%7e&&x=%2f+;/../"), seen(b"GET /a/b/d%2Fe%20/?q=%7e&&x=%2f+;/../")),
    Play("an empty query is none", get(target=b"/a?"), seen(b"GET /a")),
    Play("what is matched is what is forwarded", get(target=b"/v1/%6Frders/./42?x"), seen(b"GET /orders/42?x"),
         route={"match": {"path": "/v1/orders/{id}"}, "rewrite": {"path": "/orders/{id}"}}),
    Play("absolute-form", get(target=b"http://a/x?y"), seen(b"GET /x?y")),
    Play("a body with a length", post(b"Content-Length: 5", body=b"hello"), seen(b"POST /", framing=length(5), body=b"hello")),
    Play("a body with length 0", post(b"Content-Length: 0"), seen(b"POST /", framing=length(0))),
    Play("no body at all", post(), seen(b"POST /", framing=length(0))),
    Play("a body of a GET", get(b"Content-Length: 2") + b"hi", seen(b"GET /", framing=length(2), body=b"hi")),
    Play("chunks", post(b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n"),
         seen(b"POST /", framing=CHUNKED, body=b"abcde")),
    Play("chunks with nothing in them", post(b"Transfer-Encoding: Chunked", body=b"0\r\n\r\n"), seen(b"POST /", framing=length(0))),
    Play("a trailer never becomes a field",
         post(b"Transfer-Encoding: chunked", body=b"1\r\nx\r\n0\r\nAuthorization: Basic eDp5\r\nHost: evil\r\nX-Request-Id: evil\r\n\r\n"),
         seen(b"POST /", framing=CHUNKED, body=b"x")),
    Play("Expect is ours", post(b"Expect: 100-continue", b"Content-Length: 2", body=b"hi"), seen(b"POST /", framing=length(2), body=b"hi")),
    Play("an unknown Expect too", post(b"Expect: miracles", b"Content-Length: 2", body=b"hi"), seen(b"POST /", framing=length(2), body=b"hi")),
    Play("HTTP/1.0", get(version=b"1.0"), seen(b"GET /", via=b"1.0")),
    Play("Via of earlier hops stays before ours", get(b"Via: 1.0 fred"), seen(b"GET /", b"via: 1.0 fred")),
    Play("HTTP/1.0 with a body", post(b"Content-Length: 2", body=b"hi", version=b"1.0"), seen(b"POST /", framing=length(2), body=b"hi", via=b"1.0")),
    Play("an extension method", get(method=b"PROPFIND"), seen(b"PROPFIND /")),
    Play("Max-Forwards of OPTIONS is counted", get(b"Max-Forwards: 3", method=b"OPTIONS"), seen(b"OPTIONS /", said=SAID + b"max-forwards: 2\r\n")),
    Play("Max-Forwards of OPTIONS beyond what we count", get(b"Max-Forwards: 12345678901", method=b"OPTIONS"),
         seen(b"OPTIONS /", said=SAID + b"max-forwards: 999999999\r\n")),
    Play("Max-Forwards of OPTIONS that is no number", get(b"Max-Forwards: -1", method=b"OPTIONS"), seen(b"OPTIONS /", b"max-forwards: -1")),
    Play("Max-Forwards of GET says nothing", get(b"Max-Forwards: 0"), seen(b"GET /", b"max-forwards: 0")),
    Play("an empty line before the request line", b"\r\n" + get(), seen(b"GET /")),
]  # fmt: skip

ANSWERS = [
    Play("order and duplicates are kept", get(), seen(b"GET /"),
         answer(b"X-B: 1", b"Set-Cookie: a=1", b"X-A: 2", b"Set-Cookie: b=2", b"Content-Length: 2", body=b"ok"),
         gets=[(b"x-b", b"1"), (b"set-cookie", b"a=1"), (b"x-a", b"2"), (b"set-cookie", b"b=2"), (b"content-length", b"2")],
         on_granian={"gets": [(b"x-b", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"x-a", b"2"), (b"content-length", b"2")]}),
    Play("hop-by-hop fields stay here", get(), seen(b"GET /"),
         answer(b"Connection: X-Gone, keep-alive", b"Keep-Alive: timeout=5", b"X-Gone: 1", b"Upgrade: h2c", b"Proxy-Connection: close",
                b"Trailer: X-T", b"TE: trailers", b"X-A: 1", b"Content-Length: 2", body=b"ok"),
         gets=[(b"x-a", b"1"), (b"content-length", b"2")]),
    Play("Server and X-Request-Id are ours, Date the upstream's", get(), seen(b"GET /"),
         answer(b"Server: secret/1.0", b"X-Request-Id: theirs", b"Content-Length: 2", body=b"ok")),
    Play("a status without a name", get(), seen(b"GET /"), answer(b"Content-Length: 2", first=b"299", body=b"ok"), status=299),
    Play("a refusal of the upstream's is the caller's", get(), seen(b"GET /"),
         answer(b"Content-Length: 2", b"Retry-After: 5", first=b"503 No", body=b"ok"), status=503,
         gets=[(b"content-length", b"2"), (b"retry-after", b"5")]),
    Play("a redirect is the caller's to follow", get(), seen(b"GET /"), answer(b"Location: /x", b"Content-Length: 0", first=b"302 Found"),
         status=302, gets=[(b"location", b"/x"), (b"content-length", b"0")], body=b""),
    Play("chunks stay chunks", get(), seen(b"GET /"),
         answer(b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n"), gets=[(b"transfer-encoding", b"chunked")], body=b"abcde"),
    Play("HEAD has the length and no body", get(method=b"HEAD"), seen(b"HEAD /"), answer(b"Content-Length: 4096"), method="HEAD",
         gets=[(b"content-length", b"4096")], body=b""),
    Play("HEAD of an unknown length", get(method=b"HEAD"), seen(b"HEAD /"), answer(b"Transfer-Encoding: chunked"), method="HEAD", gets=[], body=b""),
    Play("204", get(), seen(b"GET /"), answer(b"X-A: 1", first=b"204 No Content"), status=204, gets=[(b"x-a", b"1")], body=b""),
    Play("204 with a length", get(), seen(b"GET /"), answer(b"Content-Length: 0", first=b"204 No Content"), status=204, gets=[], body=b""),
    Play("304 with a length", get(), seen(b"GET /"), answer(b'ETag: "x"', b"Content-Length: 99", first=b"304 Not Modified"), status=304,
         gets=[(b"etag", b'"x"'), (b"content-length", b"99")], body=b"", on_granian={"gets": [(b"etag", b'"x"')]}),
    Play("304 without", get(), seen(b"GET /"), answer(b'ETag: "x"', first=b"304 Not Modified"), status=304, gets=[(b"etag", b'"x"')], body=b""),
    Play("interim answers end here", get(), seen(b"GET /"),
         answer(first=b"100 Continue") + answer(b"Link: </s>", first=b"103 Early Hints") + ok()),
    Play("an empty body", get(), seen(b"GET /"), answer(b"Content-Length: 0"), gets=[(b"content-length", b"0")], body=b""),
]  # fmt: skip


@pytest.mark.parametrize("case", REQUESTS + ANSWERS, ids=lambda case: case.name)
def test_play(play: Perform, server: Server, case: Play) -> None:
    if server == "granian":
        case = replace(case, **case.on_granian)

    async def scene(stage: Stage) -> None:
        got = await stage.ask(case.sends, case.method)
        saw = [dechunked(ID.sub(b"ID", raw.replace(stage.host, b"HOST"))) for raw in stage.upstream.requests]
        assert saw == [case.sees]
        assert (got.status, got.end_to_end, got.body) == (case.status, case.gets, case.body)
        assert got.get(b"x-request-id")[0] in stage.upstream.requests[0]

    play(scene, answering(case.answers), upstream=case.upstream, routes=[{**TO_ALL, **case.route}], **case.document)


def test_options_that_may_go_no_further_is_answered_here(play: Perform) -> None:
    async def scene(stage: Stage) -> None:
        got = await stage.ask(get(b"Max-Forwards: 0", method=b"OPTIONS"), "OPTIONS")
        assert (got.status, got.end_to_end) == (204, [])
        assert stage.upstream.requests == []

    play(scene)


def test_405_names_methods(play: Perform) -> None:
    """RFC 9110 §15.5.6, whoever refuses the method."""

    async def scene(stage: Stage) -> None:
        assert (await stage.ask(get(method=b"TRACE"))).get(b"allow") == [
            b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
        ]
        assert (await stage.ask(get(method=b"PUT"))).get(b"allow") == [b"GET, HEAD"]

    play(scene, routes=[{**TO_ALL, "match": {"path": "/**", "method": "GET"}}])


def dechunked(raw: bytes) -> bytes:
    """Chunks joined: how a body is cut is nobody's promise."""
    head, _, body = raw.partition(b"\r\n\r\n")
    if b"\r\ntransfer-encoding: chunked" not in head:
        return raw
    whole = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        if size == b"0":
            assert body == b"\r\n", "one body, and nothing after it"
            return head + b"\r\n\r\n" + whole
        whole, body = whole + body[: int(size, 16)], body[int(size, 16) + 2 :]
