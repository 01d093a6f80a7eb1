"""No exchange waits for the garbage collector, however it ended: it would keep its caller's connection open meanwhile."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from gateway.edge.served import ServedExchange
from gateway.testing.upstream import Peer, Script, answering, ok
from tests.wire.conftest import Perform
from tests.wire.plays import TO_ALL, Broken, Stage, holds

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
UPLOAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


async def unfinished(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
    await peer.gone()


async def early(peer: Peer) -> None:
    await peer.head()
    await peer.send(ok())
    await peer.gone()


async def silent(peer: Peer) -> None:
    await peer.head()
    await peer.gone()


# What the caller sends, what the upstream does; every play ends with the caller gone
ENDINGS: dict[str, tuple[bytes, Script]] = {
    "well": (GET, answering(ok())),
    "with a stream": (GET, answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n0\r\n\r\n")),
    "refused by the edge": (b"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", answering(ok())),
    "refused by a policy": (b"GET /private HTTP/1.1\r\nHost: a\r\n\r\n", answering(ok())),
    "a bad answer": (GET, answering(b"garbage\r\n\r\n")),
    "a reset": (GET, answering(then=Peer.reset)),
    "no answer": (GET, silent),
    "a body that breaks off": (GET, answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", then=Peer.close)),
    "a body that stops": (GET, unfinished),
    "an upload that stops": (UPLOAD + b"6\r\nabc", silent),
    "an upload that breaks": (UPLOAD + b"3\r\nabc\r\nzz\r\n", silent),
    "an early answer": (UPLOAD + b"6\r\nabc", early),
}


class Counted(ServedExchange):
    """An exchange that is counted while it lives."""

    __slots__ = ()
    alive = 0

    @classmethod
    def of(cls, *args: Any) -> ServedExchange:
        Counted.alive += 1
        return super().of(*args)

    def __del__(self) -> None:
        Counted.alive -= 1


@pytest.fixture
def exchanges(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Counted]]:
    monkeypatch.setattr("gateway.edge.receive.ServedExchange", Counted)
    Counted.alive = 0
    gc.disable()
    yield Counted
    gc.enable()


@pytest.mark.parametrize("name", ENDINGS)
@pytest.mark.parametrize("leaves", [False, True], ids=["stays", "leaves"])
def test_an_exchange_ends(play: Perform, exchanges: type[Counted], name: str, *, leaves: bool) -> None:
    said, script = ENDINGS[name]

    async def scene(stage: Stage) -> None:
        caller = await stage.caller()
        await caller.send(said)
        if leaves:
            await holds(lambda: stage.upstream.requests or stage.plane.in_flight() == 0)
        else:
            with suppress(Broken):
                await caller.answer(check=False)
        caller.close()
        await stage.quiet()
        await holds(lambda: exchanges.alive == 0)

    routes = [
        TO_ALL,
        {"name": "private", "match": {"path": "/private"}, "upstream": "orders", "policies": {"api_key": {}}},
    ]
    bounds = {"first_byte": "200ms", "idle": "200ms"}
    play(scene, script, routes=routes, listen={"body_timeout": "200ms"}, upstream={"timeout": bounds})
