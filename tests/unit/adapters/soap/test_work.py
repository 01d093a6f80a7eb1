"""Where work is done: types that a message is the first to need are compiled in a thread, never on the event loop."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from adapters.soap import ADAPTER
from adapters.soap.codec.compiling import NotCompiled
from adapters.soap.codec.envelope import WARM_TYPES, OperationCodec
from adapters.soap.codec.shared import Shared
from adapters.soap.work import OFFLOAD_BYTES, off_the_loop, worked
from gateway.api.adapter import Encoded, Reply
from gateway.api.exchange import Exchange
from gateway.api.messages import Headers, Response

from .calls import envelope, exchange_of, json_of, scope
from .wsdls import compiled, wsdl_of

DEEP = 3 * WARM_TYPES
LINKS = "".join(
    f'<x:complexType name="T{n}"><x:sequence><x:element name="text" type="x:string"/>'
    f'<x:element name="next" type="t:T{n + 1}" minOccurs="0"/></x:sequence></x:complexType>'
    for n in range(DEEP)
)
CHAIN = wsdl_of(
    f'{LINKS}<x:complexType name="T{DEEP}"><x:sequence/></x:complexType><x:element name="Chain" type="t:T0"/>', "Chain"
)


def chain(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {"text": "end"}
    for _ in range(depth):
        value = {"text": "link", "next": value}
    return value


def xml(depth: int) -> str:
    opening = "".join("<next><text>link</text>" if n else "<text>link</text>" for n in range(depth))
    inner = f"{opening}<next><text>end</text></next>" + "</next>" * (depth - 1)
    return envelope(f'<Chain xmlns="urn:t">{inner}</Chain>')


class Backend:
    def __init__(self) -> None:
        self.seen: list[bytes] = []

    async def streamed(self, exchange: Exchange, encoded: Encoded) -> Response:
        assert isinstance(encoded.body, bytes)
        self.seen.append(encoded.body)
        return Response(200, Headers([(b"content-type", b"text/xml")]), xml(DEEP - 2).encode())

    async def whole(self, exchange: Exchange, encoded: Encoded) -> Reply:
        raise AssertionError("SoapRoute reads answers as they come")


def test_a_message_that_needs_types_nobody_compiled_yet_is_worked_on_in_a_thread(tmp_path: Path) -> None:
    (tmp_path / "chain.wsdl").write_text(CHAIN)
    route = ADAPTER.build(ADAPTER.config(wsdl="chain.wsdl", operation="Chain"), scope(tmp_path))
    backend = Backend()
    body = b'{"text": "link", "next": ' * (DEEP - 2) + b'{"text": "end"}' + b"}" * (DEEP - 2)

    async def call() -> Response:
        with pytest.raises(NotCompiled):  # the codec by itself refuses on this thread
            route.codec.encode(exchange_of(), body)
        exchange = exchange_of()
        exchange.request.body = body
        response: Response = await route.call(exchange, backend)
        route.codec.encode(exchange_of(), body)  # they are compiled now
        return response

    assert json_of(asyncio.run(call())) == chain(DEEP - 2)
    assert backend.seen[0].count(b"<n0:next>") == DEEP - 2


def test_what_is_compiled_ahead_needs_no_thread() -> None:
    service = compiled(CHAIN)
    codec = OperationCodec(service, service.require("Chain")[1], Shared(service, lambda: False))
    assert codec.encode(chain(WARM_TYPES - 2)).count("<n0:next>") == WARM_TYPES - 2
    with pytest.raises(NotCompiled):
        codec.encode(chain(WARM_TYPES + 1))


def test_who_may_compile() -> None:
    async def on_the_loop() -> tuple[bool, bool]:
        return off_the_loop(), await asyncio.to_thread(off_the_loop)

    assert off_the_loop()
    assert asyncio.run(on_the_loop()) == (False, True)


@pytest.mark.parametrize(("size", "in_a_thread"), [(OFFLOAD_BYTES - 1, False), (OFFLOAD_BYTES, True)])
def test_long_messages_leave_the_event_loop(size: int, in_a_thread: bool) -> None:
    async def here() -> bool:
        return await worked(size, threading.get_ident) != threading.get_ident()

    assert asyncio.run(here()) is in_a_thread
