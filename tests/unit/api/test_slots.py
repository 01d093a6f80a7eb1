"""slots: places, the queue before them, and what ends a wait."""

import asyncio
import random

import pytest

from gateway.api.errors import ClientGone
from gateway.api.slots import Slots, share
from gateway.testing.turns import a_turn, until


class Caller:
    def __init__(self):
        self.abort = None

    def on_slow(self, abort):
        self.abort = abort


def scene(play, limit=1):
    async def run():
        slots = Slots()
        slots.limit = limit
        await play(slots)

    asyncio.run(run())


def never():
    return asyncio.get_running_loop().time() + 60


def wait(slots, caller=None, queue=10, seconds=60.0):
    end = asyncio.get_running_loop().time() + seconds
    return asyncio.ensure_future(slots.wait(caller or Caller(), queue, end))


def test_places_are_given_in_the_order_of_asking():
    async def play(slots):
        assert slots.take_nowait()
        first, second = wait(slots), wait(slots)
        await a_turn()
        assert not slots.take_nowait()
        slots.release()
        assert await first is None
        assert not second.done()
        assert not slots.take_nowait()  # nobody overtakes those who wait
        slots.release()
        assert await second is None
        slots.release()
        assert slots.idle

    scene(play)


def test_a_full_queue_refuses_at_once():
    async def play(slots):
        slots.take_nowait()
        first = wait(slots, queue=1)
        await a_turn()
        assert await slots.wait(Caller(), 1, never()) == "full"
        assert await slots.wait(Caller(), 0, never()) == "full"
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert slots.waiting.value == 0

    scene(play)


def test_a_wait_ends_with_its_time_and_leaves_nothing():
    async def play(slots):
        slots.take_nowait()
        late, patient = wait(slots, seconds=0.0), wait(slots)
        assert await late == "late"
        assert slots.waiting.value == 1
        slots.release()
        assert await patient is None

    scene(play)


def test_a_caller_that_leaves_ends_its_wait():
    async def play(slots):
        slots.take_nowait()
        caller = Caller()
        waiting = wait(slots, caller)
        await until(lambda: caller.abort)
        caller.abort(ClientGone())
        caller.abort(ClientGone())
        with pytest.raises(ClientGone):
            await waiting
        slots.release()
        assert slots.idle

    scene(play)


def test_a_place_given_in_the_turn_in_which_its_caller_was_cancelled_goes_to_the_next():
    async def play(slots):
        slots.take_nowait()
        cancelled, next_one = wait(slots), wait(slots)
        await a_turn()
        slots.release()
        cancelled.cancel()
        assert await next_one is None
        assert slots.used.value == 1

    scene(play)


def test_a_larger_limit_lets_those_in_who_wait():
    async def play(slots):
        slots.take_nowait()
        waiting = wait(slots)
        await a_turn()
        slots.limit = 2
        slots.hand_on()
        assert await waiting is None

    scene(play)


def test_a_smaller_limit_ends_nothing_and_lets_nobody_in():
    async def play(slots):
        assert slots.take_nowait()
        assert slots.take_nowait()
        slots.limit = 1
        slots.release()
        assert not slots.take_nowait()
        slots.release()
        assert slots.take_nowait()

    scene(play, limit=2)


def test_never_more_than_the_limit_and_nothing_is_lost_whatever_happens():
    chance = random.Random(7)

    async def play(slots):
        inside = most = ended = 0

        async def one():
            nonlocal inside, most, ended
            end = asyncio.get_running_loop().time() + chance.choice([0, 60])
            try:
                if not slots.take_nowait() and await slots.wait(Caller(), 20, end) is not None:
                    return
                inside += 1
                most = max(most, inside)
                try:
                    for _ in range(chance.randrange(5)):
                        await a_turn()
                finally:
                    inside -= 1
                    slots.release()
            finally:
                ended += 1

        calls = []
        for _ in range(300):
            calls.append(asyncio.ensure_future(one()))
            if chance.random() < 0.3:
                chance.choice(calls).cancel()
            if chance.random() < 0.5:
                await a_turn()
        await asyncio.gather(*calls, return_exceptions=True)
        assert most == 3
        assert slots.idle
        assert slots.waiting.value == 0

    scene(play, limit=3)


@pytest.mark.parametrize(("figure", "workers", "part"), [(100, 4, 25), (10, 4, 2), (3, 4, 1), (0, 4, 0), (5, 1, 5)])
def test_workers_share_a_figure(figure, workers, part):
    assert share(figure, workers) == part
