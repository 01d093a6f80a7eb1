"""Attachments on the wire: what a caller sends is at the backend before it is whole, and the same on the way back. On both servers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx

from adapters.soap.codec.multipart import join_parts, root_and_rest, split_parts
from gateway.testing.upstream import Peer
from tests.wire.conftest import Perform
from tests.wire.plays import PATIENCE_S, Stage

WSDL = Path(__file__).parents[1] / "unit" / "adapters" / "soap" / "wsdl" / "orders" / "orders.wsdl"
OCTETS = bytes(range(256)) * 8192  # 2 MiB
ORDER = {"Customer": 7, "Placed": "2031-01-31T12:00:00Z", "Lines": {"Line": []}, "Document": "cid:scan"}
SENT = join_parts("B1", json.dumps({"order": ORDER}).encode(), "application/json", [("scan", "image/png", OCTETS)])
S = "http://schemas.xmlsoap.org/soap/envelope/"
T = "urn:example:orders:types"
XOP = '<x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="cid:a"/>'
ENVELOPE = (
    f'<e:Envelope xmlns:e="{S}"><e:Body><GetOrderResponse xmlns="{T}"><order><Customer>1</Customer>'
    f"<Placed>2031-01-31T12:00:00</Placed><Lines/><Document>{XOP}</Document></order></GetOrderResponse></e:Body></e:Envelope>"
).encode()
ANSWER = join_parts("B2", ENVELOPE, 'application/xop+xml; type="text/xml"', [("a", "image/png", OCTETS)])
DONE = (
    f'<e:Envelope xmlns:e="{S}"><e:Body><SubmitOrderResponse xmlns="{T}"><number>9</number><total>1</total>'
    "</SubmitOrderResponse></e:Body></e:Envelope>"
).encode()


def route(method: str, operation: str) -> dict[str, Any]:
    return {
        "name": method.lower(),
        "match": {"method": method, "path": "/orders"},
        "public": True,
        "upstream": "orders",
        "policies": {"request_size": {"max": "8MiB"}},
        "adapter": {"soap": {"wsdl": str(WSDL), "operation": operation}},
    }


def test_a_request_is_on_its_way_before_it_is_whole(play: Perform) -> None:
    async def backend(peer: Peer) -> None:
        raw = await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n" % len(DONE) + DONE)
        seen.append(raw)

    seen: list[bytes] = []

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        head = b"POST /orders HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/related; boundary=B1\r\n"
        half = len(SENT) // 2
        await caller.send(head + b"Content-Length: %d\r\n\r\n" % len(SENT), SENT[:half])
        async with asyncio.timeout(PATIENCE_S):
            await stage.upstream.seen.wait()
        await caller.send(SENT[half:])
        answer = await caller.answer()
        assert (answer.status, json.loads(answer.body)["number"]) == (200, "9")
        (raw,) = seen
        head, _, body = raw.partition(b"\r\n\r\n")
        assert b"content-length: " in head.lower()
        assert b'start-info="text/xml"' in head
        assert b'href="cid:scan"' in body

    play(scene, backend, routes=[route("POST", "SubmitOrder")])


def test_an_answer_is_on_its_way_before_it_is_whole(play: Perform) -> None:
    async def backend(peer: Peer) -> None:
        await peer.request()
        kind = b'multipart/related; type="application/xop+xml"; boundary=B2'
        half = len(ANSWER) // 2
        head = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (kind, len(ANSWER))
        await peer.send(head + ANSWER[:half])
        await going.wait()
        await peer.send(ANSWER[half:])

    going = asyncio.Event()

    async def scene(stage: Stage) -> None:
        body = b""
        async with (
            httpx.AsyncClient(base_url=stage.gateway.urls[0], timeout=PATIENCE_S) as client,
            client.stream("GET", "/orders?number=1") as answer,
        ):
            async for piece in answer.aiter_bytes():
                body += piece
                if b"cid:a" in body:  # the JSON is here, half of the answer has not been sent
                    going.set()
        kind = answer.headers["content-type"]
        root, rest = root_and_rest(split_parts(body, kind), kind)
        assert json.loads(root.content)["order"][0]["Document"] == "cid:a"
        assert rest["a"].content == OCTETS

    play(scene, backend, routes=[route("GET", "GetOrder")])
