"""Orders go out, answers come back to who asked, and a dead worker fails everybody who waits."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from gateway.runtime.control import (
    Announce,
    Answer,
    Ask,
    Channel,
    Commit,
    Count,
    Link,
    Part,
    Prepare,
    WorkerFailedError,
)


def play(scene: Callable[[Link, Channel], Awaitable[None]]) -> None:
    async def run() -> None:
        ours, theirs = socket.socketpair()
        link, worker = Link(await Channel.over(ours)), await Channel.over(theirs)
        async with asyncio.timeout(10):
            await scene(link, worker)
            worker.close()
            await link.close()

    uvloop.run(run())


def test_answers_come_to_who_asked_in_any_order() -> None:
    async def scene(link: Link, worker: Channel) -> None:
        first = asyncio.ensure_future(link.ask(Count(), 5))
        second = asyncio.ensure_future(link.ask(Count(), 5))
        asked: list[Ask] = [await worker.receive(), await worker.receive()]
        await worker.send(Answer(asked[1].number, "second"), Answer(asked[0].number, "first"))
        assert (await first, await second) == ("first", "second")

    play(scene)


def test_parts_need_no_answer_and_keep_their_order() -> None:
    async def scene(link: Link, worker: Channel) -> None:
        orders = [Part(b"1"), Part(b"x" * 200_000), Announce()]
        telling = asyncio.ensure_future(link.tell(orders))
        assert [(await worker.receive()) for _ in orders] == [Ask(0, order) for order in orders]
        await telling

    play(scene)


def test_what_the_worker_could_not_do_is_raised() -> None:
    async def scene(link: Link, worker: Channel) -> None:
        asking = asyncio.ensure_future(link.ask(Prepare(), 5))
        await worker.send(Answer((await worker.receive()).number, None, "ValueError: no such file"))
        with pytest.raises(WorkerFailedError, match="no such file"):
            await asking

    play(scene)


def test_no_answer_in_time_is_a_failure_and_a_late_one_is_ignored() -> None:
    async def scene(link: Link, worker: Channel) -> None:
        with pytest.raises(WorkerFailedError, match=r"no answer to commit within 0\.01 s"):
            await link.ask(Commit(), 0.01)
        late: Ask = await worker.receive()
        asking = asyncio.ensure_future(link.ask(Count(), 5))
        await worker.send(Answer(late.number, "late"), Answer((await worker.receive()).number, 7))
        assert await asking == 7

    play(scene)


def test_a_dead_worker_fails_who_waits_and_who_asks_later() -> None:
    async def scene(link: Link, worker: Channel) -> None:
        asking = asyncio.ensure_future(link.ask(Count(), 5))
        await worker.receive()
        worker.close()
        with pytest.raises(WorkerFailedError, match="it died"):
            await asking
        await link.gone.wait()
        with pytest.raises(WorkerFailedError, match="it died"):
            await link.ask(Count(), 5)

    play(scene)
