"""Work off the event loop: where it runs, and how long it keeps the interpreter meanwhile."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest

from gateway.api.off_loop import SWITCH_S, off_loop


def test_it_runs_in_a_thread_that_gives_way_often_and_leaves_the_interval_as_it_was() -> None:
    usual = sys.getswitchinterval()
    seen: list[tuple[bool, float]] = []
    both = threading.Barrier(2, timeout=10)

    def work() -> int:
        both.wait()
        seen.append((threading.current_thread() is threading.main_thread(), sys.getswitchinterval()))
        both.wait()
        return 7

    async def twice() -> list[int]:
        return await asyncio.gather(off_loop(work), off_loop(work))

    assert asyncio.run(twice()) == [7, 7]
    assert seen == [(False, pytest.approx(SWITCH_S))] * 2
    assert sys.getswitchinterval() == pytest.approx(usual)


def test_what_fails_there_fails_here_and_nothing_stays_changed() -> None:
    usual = sys.getswitchinterval()

    def work() -> None:
        raise LookupError("in the thread")

    with pytest.raises(LookupError, match="in the thread"):
        asyncio.run(off_loop(work))
    assert sys.getswitchinterval() == pytest.approx(usual)
