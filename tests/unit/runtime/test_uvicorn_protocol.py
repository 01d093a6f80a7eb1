"""What the wire cannot show of uvicorn's side: what leaves when, within one turn of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.runtime.plane import App, Receive, Scope, Send
from gateway.runtime.turn import Turn
from gateway.runtime.uvicorn_protocol import BoundedProtocol, Bounds
from gateway.upstream.outbox import Outbox

REQUEST = b"GET /a%20b?c=d HTTP/1.1\r\nHost: a\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
TURNS = 5  # more than anything here takes


class Wire(asyncio.Transport):
    """A transport that writes down what happens to it, in a journal that several may share."""

    def __init__(self, journal: list[Any]) -> None:
        super().__init__()
        self.journal = journal
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.journal.append(bytes(data))

    def close(self) -> None:
        if not self.closed:
            self.journal.append("closed")
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.journal.append("paused")

    def resume_reading(self) -> None:
        self.journal.append("resumed")


Open = Callable[[], BoundedProtocol]


def play(app: App, scene: Callable[[Open, list[Any]], Awaitable[None]]) -> None:
    async def run() -> None:
        journal: list[Any] = []
        outbox = Outbox(asyncio.get_running_loop())
        config = Config(app, log_config=None, proxy_headers=False, interface="asgi3", lifespan="off", ws="none")  # type: ignore[arg-type]
        config.load()
        state = ServerState()
        turn = Turn(asyncio.get_running_loop())
        bounds = Bounds(1000, 10, 1.0, 1.0, 100, outbox, turn)

        def connect() -> BoundedProtocol:
            protocol = BoundedProtocol(bounds, config, state)
            protocol.connection_made(Wire(journal))
            return protocol

        await scene(connect, journal)
        assert not turn.tasks

    asyncio.run(run())


async def turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def ok(scope: Scope, receive: Receive, send: Send) -> None:
    fields = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": b"ok", "more_body": False})


def test_answers_of_one_turn_leave_together_when_it_is_over() -> None:
    journal_of_app: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await ok(scope, receive, send)
        journal_of_app.append(scope["path"])

    async def scene(connect: Open, journal: list[Any]) -> None:
        journal_of_app.clear()
        first, second = connect(), connect()
        first.data_received(REQUEST)
        second.data_received(REQUEST)
        await asyncio.sleep(0)
        assert journal_of_app == ["/a b", "/a b"]
        assert journal == []
        await turns()
        assert journal == [ANSWER, ANSWER]

    play(app, scene)


def test_a_caller_that_leaves_before_the_turn_is_over_is_sent_nothing() -> None:
    async def scene(connect: Open, journal: list[Any]) -> None:
        protocol = connect()
        protocol.data_received(REQUEST)
        await asyncio.sleep(0)
        protocol.connection_lost(None)
        await turns()
        assert journal == ["closed"]

    play(ok, scene)


def test_a_server_that_stops_before_the_turn_is_over_closes_behind_the_answer() -> None:
    async def scene(connect: Open, journal: list[Any]) -> None:
        protocol = connect()
        protocol.data_received(REQUEST)
        await asyncio.sleep(0)
        protocol.shutdown()
        await turns()
        assert journal == [ANSWER, "closed"]

    play(ok, scene)


def test_an_answer_that_breaks_off_or_was_never_given_ends_the_connection() -> None:
    async def halved(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"o", "more_body": True})
        raise OSError

    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    async def scene(connect: Open, journal: list[Any]) -> None:
        connect().data_received(REQUEST)
        await turns()
        assert journal[-1] == "closed"

    play(halved, scene)
    play(silent, scene)


def test_an_answer_is_sent_though_the_application_fails_behind_it() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await ok(scope, receive, send)
        raise RuntimeError

    async def scene(connect: Open, journal: list[Any]) -> None:
        connect().data_received(REQUEST)
        await turns()
        assert journal == [ANSWER]

    play(app, scene)


def test_a_body_of_many_pieces_is_handed_over_whole_and_reading_rests_meanwhile() -> None:
    bodies = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await turns()
        message = await receive()
        bodies.append((message["body"], message["more_body"]))
        await ok(scope, receive, send)
        assert (await receive())["type"] == "http.disconnect"

    async def scene(connect: Open, journal: list[Any]) -> None:
        protocol = connect()
        protocol.data_received(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n")
        await asyncio.sleep(0)
        for _ in range(70):
            protocol.data_received(b"x" * 1000)
        assert journal == ["paused"]
        await turns()
        await turns()
        assert bodies == [(b"x" * 70000, False)]
        assert journal == ["paused", "resumed", ANSWER]

    play(app, scene)
