"""Answers that stream, and their bounds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import MutableMapping
from typing import Any

import pytest

from gateway.api.messages import Body, Headers, Response
from gateway.edge.send import CutOff, deliver
from gateway.edge.streams import Streams
from gateway.testing.exchange import make_exchange, make_principal


class Endless(Body):
    length = None

    def __init__(self) -> None:
        self.closed = False

    async def read(self) -> bytes:
        await asyncio.get_running_loop().create_future()
        return b""

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("expires_in", "max_s", "code"),
    [(0.05, 60.0, "streams.token-expired"), (60, 0.05, "streams.max"), (-5, 60.0, "streams.token-expired")],
)
def test_a_stream_ends_with_its_token_or_at_its_bound(expires_in: float, max_s: float, code: str) -> None:
    async def play() -> None:
        exchange = make_exchange()
        exchange.principal = make_principal()._replace(expires=time.time() + expires_in)
        body = Endless()

        async def send(message: MutableMapping[str, Any]) -> None:
            assert message["type"] == "http.response.start" or message["body"] == b""

        async with asyncio.timeout(10):
            answer = Response(200, Headers(), body)
            with pytest.raises(CutOff):
                await deliver(exchange, answer, send, Streams(), "route", draining=False, stream_max_s=max_s)
        assert body.closed
        assert exchange.codes == [code]

    asyncio.run(play())
