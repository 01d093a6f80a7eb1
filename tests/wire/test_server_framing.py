"""What each server makes of odd framing before the edge sees it: the table of docs/servers.md. The edge refuses the rest."""

from __future__ import annotations

import pytest

from gateway.runtime.inprocess import Gateway
from tests.wire.test_servers import SERVERS, play, say

POST = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
GET = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
CHUNKED = POST + "Transfer-Encoding: chunked\r\n\r\n"

PASSED, REFUSED, CLOSED, BROKEN = "200", "400", "", "500"
# what is said, what becomes of it on Granian and on uvicorn; BROKEN: the stub saw http.disconnect in the body
TABLE = {
    "no host": ("GET /scope HTTP/1.1\r\nConnection: close\r\n\r\n", PASSED, PASSED),
    "two hosts": ("GET /scope HTTP/1.1\r\nConnection: close\r\nHost: a\r\nHost: b\r\n\r\n", PASSED, PASSED),
    "both framings": (POST + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", PASSED, REFUSED),
    "equal lengths": (POST + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", PASSED, REFUSED),
    "differing lengths": (POST + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", REFUSED, REFUSED),
    "listed length": (POST + "Content-Length: 3, 3\r\n\r\nabc", REFUSED, REFUSED),
    "signed length": (POST + "Content-Length: +3\r\n\r\nabc", REFUSED, REFUSED),
    "unknown coding": (POST + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", REFUSED, REFUSED),
    "chunked is not last": (POST + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", REFUSED, REFUSED),
    "a coding below chunked": (POST + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", PASSED, PASSED),
    "obsolete folding": (GET + "X: a\r\n b\r\n\r\n", REFUSED, REFUSED),
    "bare LF": (GET.replace("\r\n", "\n") + "\n", PASSED, REFUSED),
    "bare CR": (GET + "X: a\rb\r\n\r\n", REFUSED, REFUSED),
    "NUL": (GET + "X: a\0b\r\n\r\n", REFUSED, REFUSED),
    "blank before the colon": (GET + "X : a\r\n\r\n", REFUSED, REFUSED),
    "HTTP/2 preface": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", CLOSED, REFUSED),
    "fragment": (GET.replace("/ ", "/#x ", 1) + "\r\n", PASSED, PASSED),
    "authority-form": (GET.replace("/ ", "a:80 ", 1) + "\r\n", PASSED, REFUSED),
    "octets above 127": (GET.replace("/ ", "/é ", 1) + "\r\n", PASSED, REFUSED),
    "unknown method": (GET.replace("GET", "FROB", 1) + "\r\n", PASSED, REFUSED),
    "lower-case method": (GET.replace("GET", "get", 1) + "\r\n", PASSED, REFUSED),
    "NUL in a chunk extension": (CHUNKED + "1;a\0b\r\nx\r\n0\r\n\r\n", PASSED, REFUSED),
    "chunk extension": (CHUNKED + "1;a=b\r\nx\r\n0\r\n\r\n", PASSED, PASSED),
    "chunks ended by LF": (CHUNKED + "1\nx\n0\n\n", BROKEN, REFUSED),
    "endless chunk size": (CHUNKED + "fffffffffffffffff\r\nx", BROKEN, REFUSED),
    "trailers": (CHUNKED + "1\r\nx\r\n0\r\nX-T: 1\r\n\r\n", PASSED, PASSED),
    "h2c": (GET.replace("close", "close, Upgrade") + "Upgrade: h2c\r\n\r\n", PASSED, PASSED),
}


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("name", TABLE)
def test_odd_framing(server: str, name: str) -> None:
    said, *outcomes = TABLE[name]
    expected = outcomes[SERVERS.index(server)]

    async def scene(gateway: Gateway) -> None:
        answer = await say(gateway, said.encode())
        assert answer[9:12].decode() == expected, answer
        assert answer.count(b"HTTP/1.1 ") == (1 if expected else 0), "one request has one answer"

    play(server, scene)
