"""When streams must end, and why."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.api.exchange import Exchange, Principal
from gateway.api.orders import Revoke
from gateway.edge.streams import CHANGED, REVOKED, Streams
from gateway.testing.exchange import make_exchange

Scene = Callable[[Streams], Awaitable[None]]


def exchange_of(**claims: object) -> Exchange:
    return make_exchange(principal=Principal("consumer:acme", None, issuer="partners", claims=claims))


async def ended_by(streams: Streams, exchange: Exchange, then: Callable[[], object] = lambda: None) -> str:
    """What ends a stream that begins now; `then` happens while it runs."""
    async with asyncio.timeout(10):
        stream = streams.begin(exchange, "route", 60.0)
        try:
            then()
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
        finally:
            streams.end(stream)
        return stream.ended_by


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize(
    ("order", "claims"),
    [
        (Revoke("partners", "one", None, 100.0, 2e9), {"jti": "one", "iat": 500}),
        (Revoke("partners", None, "alice", 100.0, 2e9), {"sub": "alice", "iat": 99}),
        (Revoke("partners", None, "alice", 100.0, 2e9), {"sub": "alice"}),
    ],
    ids=["jti", "subject", "undated"],
)
def test_a_revoked_token_ends_its_streams_and_those_that_begin_later(
    order: Revoke, claims: dict[str, object], *, before: bool
) -> None:
    async def play() -> str:
        streams = Streams()
        if before:
            streams.carry_out(order)
        return await ended_by(streams, exchange_of(**claims), lambda: None if before else streams.carry_out(order))

    assert asyncio.run(play()) == REVOKED


@pytest.mark.parametrize(
    "order",
    [
        Revoke("others", "one", None, 100.0, 2e9),
        Revoke("partners", "two", None, 100.0, 2e9),
        Revoke("partners", None, "bob", 100.0, 2e9),
        Revoke("partners", None, "alice", 98.0, 2e9),
        "another order",
    ],
    ids=str,
)
def test_other_orders_end_nothing(order: object) -> None:
    async def play() -> None:
        streams = Streams()
        exchange = exchange_of(jti="one", sub="alice", iat=99)
        streams.grace_s = 0.01

        def then() -> None:
            streams.carry_out(order)
            streams.is_live = lambda exchange, route: False
            streams.reloaded()

        assert await ended_by(streams, exchange, then) == CHANGED

    asyncio.run(play())


def test_a_reload_while_the_head_was_awaited_counts() -> None:
    async def play() -> str:
        streams = Streams()
        streams.grace_s = 0.01
        streams.is_live = lambda exchange, route: route != "route"
        return await ended_by(streams, make_exchange())

    assert asyncio.run(play()) == CHANGED


def test_the_sooner_end_wins() -> None:
    async def play() -> str:
        streams = Streams()
        order = Revoke("partners", "one", None, 100.0, 2e9)

        def then() -> None:
            streams.carry_out(order)
            streams.is_live = lambda exchange, route: False
            streams.reloaded()

        return await ended_by(streams, exchange_of(jti="one"), then)

    assert asyncio.run(play()) == REVOKED
