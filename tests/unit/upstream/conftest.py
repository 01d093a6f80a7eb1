"""Runs plays on both event loops: a scripted upstream at one end, the client at the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import uvloop

from gateway.api.messages import Body, Correlation, Headers, OnSlow, Response, UpstreamRequest
from gateway.api.settings.upstream import UpstreamConfig
from gateway.upstream import Sweep, Upstream
from gateway.upstream.kinds import kind_of

PATIENCE_S = 20.0


@dataclass
class Caller:
    """Calls one upstream as the edge would."""

    upstream: Upstream
    sweep: Sweep

    async def call(
        self,
        method: str = "GET",
        target: bytes = b"/",
        body: bytes | Body | None = None,
        *,
        within_s: float = 5.0,
        replayable: bool = False,
        on_slow: OnSlow | None = None,
        fields: tuple[tuple[bytes, bytes], ...] = (),
        correlation: Correlation | None = None,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> Response:
        headers = Headers([(b"host", b"caller.example"), *fields])
        request = UpstreamRequest(method, target, headers, body, on_slow, correlation=correlation, before=before)
        deadline = asyncio.get_running_loop().time() + within_s
        return await self.upstream.send(request, deadline, replayable=replayable)

    def figures(self, url: str | None = None) -> dict[str, int]:
        statistics = self.upstream.statistics()
        return statistics[url] if url else next(iter(statistics.values()))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Turn the loop until `condition` holds."""
        loop = asyncio.get_running_loop()
        end = loop.time() + 5
        turns = 0
        while not condition():
            assert loop.time() < end, "the condition never came to hold"
            turn = loop.create_future()
            loop.call_later(0.001 if turns > 20 else 0, turn.set_result, None)
            await turn
            turns += 1


async def whole(response: Response) -> bytes:
    """The body, all of it."""
    if isinstance(response.body, bytes):
        return response.body
    pieces = []
    while piece := await response.body.read():
        pieces.append(piece)
    return b"".join(pieces)


@pytest.fixture
def read_whole() -> Callable[[Response], Awaitable[bytes]]:
    return whole


@pytest.fixture
def caller_of() -> Callable[..., Caller]:
    """Inside a play: a client of these targets, with further fields of the configuration."""

    def make(*urls: str, **config: Any) -> Caller:
        sweep = Sweep(asyncio.get_running_loop())
        model = UpstreamConfig.model_validate({"targets": list(urls), **config})
        return Caller(kind_of(model)("orders", model, sweep), sweep)

    return make


@pytest.fixture(params=["asyncio", "uvloop"])
def play(request: pytest.FixtureRequest) -> Callable[[Callable[[], Awaitable[None]]], None]:
    """Run a play to its end."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def run(scene: Callable[[], Awaitable[None]]) -> None:
        async def bounded() -> None:
            await asyncio.wait_for(scene(), PATIENCE_S)

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(bounded())

    return run
