"""Requests that never wait share a task, and nothing else; a request that waits holds nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

import pytest

from gateway.runtime.turn import Turn

SAID: ContextVar[str] = ContextVar("SAID", default="nothing")


def play(scene: Callable[[Turn], Awaitable[None]]) -> None:
    async def run() -> None:
        turn = Turn(asyncio.get_running_loop())
        await scene(turn)
        if turn.tasks:
            await asyncio.wait(turn.tasks)
        await asyncio.sleep(0)
        assert not turn.tasks

    asyncio.run(run())


def test_those_that_never_wait_share_one_task_in_the_order_in_which_they_came() -> None:
    ran: list[tuple[int, asyncio.Task[None] | None]] = []

    async def request(number: int) -> None:
        ran.append((number, asyncio.current_task()))

    async def scene(turn: Turn) -> None:
        for number in range(5):
            turn.begin(request(number))
        assert not ran
        await asyncio.sleep(0)
        assert [number for number, _ in ran] == [0, 1, 2, 3, 4]
        assert len({task for _, task in ran}) == 1
        turn.begin(request(5))  # of the next turn
        await asyncio.sleep(0)
        assert ran[5][1] is not ran[0][1]

    play(scene)


def test_those_behind_one_that_waits_begin_at_once_each_in_its_own_task() -> None:
    ran: list[tuple[str, asyncio.Task[None] | None]] = []

    async def scene(turn: Turn) -> None:
        gate = asyncio.Event()

        async def waits(name: str) -> None:
            ran.append((name, asyncio.current_task()))
            await gate.wait()
            ran.append((f"{name} again", asyncio.current_task()))

        async def ends(name: str) -> None:
            ran.append((name, asyncio.current_task()))

        turn.begin(ends("a"))
        turn.begin(waits("b"))
        turn.begin(waits("c"))
        turn.begin(ends("d"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [name for name, _ in ran] == ["a", "b", "c", "d"]
        turn.begin(ends("e"))  # while they wait, and not in their tasks
        gate.set()
        await asyncio.wait(turn.tasks)
        tasks = dict(ran)
        assert tasks["a"] is tasks["b"]
        assert len({tasks[name] for name in "bcde"}) == 4
        assert (tasks["b again"], tasks["c again"]) == (tasks["b"], tasks["c"])

    play(scene)


def test_what_one_leaves_in_the_context_no_other_sees() -> None:
    seen = []

    async def request(name: str) -> None:
        seen.append(SAID.get())
        SAID.set(name)

    async def resets(name: str) -> None:
        SAID.reset(SAID.set(name))
        seen.append(SAID.get())

    async def scene(turn: Turn) -> None:
        for name in ("a", "b", "c"):
            turn.begin(request(name))
        turn.begin(resets("d"))
        turn.begin(request("e"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert seen == ["nothing"] * 5
        assert SAID.get() == "nothing"

    play(scene)


@pytest.mark.parametrize("begun", [False, True])
def test_cancelling_one_request_cancels_no_other(begun: bool) -> None:
    ended: list[str] = []

    async def request(name: str) -> None:
        try:
            await asyncio.sleep(0.01)
        finally:
            ended.append(name)

    async def scene(turn: Turn) -> None:
        turn.begin(request("a"))
        turn.begin(request("b"))
        if begun:
            await asyncio.sleep(0)
        (shared,) = (task for task in turn.tasks if "_share" in repr(task))
        shared.cancel()
        turn.begin(request("c"))
        while turn.tasks:
            await asyncio.wait(turn.tasks)
        assert sorted(ended) == ["a", "b", "c"]

    play(scene)
