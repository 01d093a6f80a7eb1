"""Where amounts are taken from: memory, one store, and a cluster in which the keys of different owners lie apart."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.errors import StoreError
from gateway.api.limits.fallback import Fallback
from gateway.api.limits.operations import Amount, Take
from gateway.api.limits.pots import LocalPot, SharedPot
from gateway.api.ports import Tally
from gateway.testing.clock import FakeClock
from gateway.testing.store import RemoteStore, memory_store
from gateway.testing.turns import a_turn


class Cluster(RemoteStore):
    """Keys of different owners (what stands before the first `|`) lie apart."""

    def together(self, full_keys):
        return len({key.partition("|")[0] for key in full_keys}) == 1

    async def run(self, operation, namespace=None):
        assert self.together(operation.keys())
        return await super().run(operation, namespace)


def rate(owner, burst, cost=1):
    return Amount(f"{owner}|r", b"rate", float(cost), burst + 1e-6, 0.0)


def window(owner, bound, cost=1):
    return Amount(f"{owner}|w", b"window", cost, bound, 60.0)


class Scene:
    def __init__(self, kind=Cluster):
        self.clock = FakeClock()
        self.remote = kind(self.clock)
        store = self.remote.scoped("limits")
        self.fallback = Fallback(store, memory_store(self.clock).times, 1, (Tally(), Tally()))
        self.pot = SharedPot(store, self.fallback)

    async def settled(self):
        async with asyncio.timeout(10):
            while self.pot._returning is not None:
                await a_turn()


def play(scene):
    asyncio.run(scene())


def test_keys_that_lie_together_are_one_operation():
    async def scene():
        stage = Scene()
        taken = await stage.pot.take(Take([rate("a", 3), window("a", 5)]))
        assert (taken.all, taken.standing, stage.remote.operations) == (True, [1.0, 1], 1)

    play(scene)


def test_those_that_lie_apart_are_taken_narrowest_first_and_given_back():
    async def scene():
        stage = Scene()
        wide, narrow, apart = window("a", 100), rate("b", 2), window("c", 50)
        for count in range(1, 3):
            taken = await stage.pot.take(Take([wide, narrow, apart]))
            assert (taken.all, taken.standing) == (True, [count, float(count), count])
        before = stage.remote.operations
        refused = await stage.pot.take(Take([wide, narrow, apart]))
        assert (refused.all, refused.standing) == (
            False,
            [2, 3.0, 2],
        )  # a rate is told with this call, as in one operation
        assert stage.remote.operations == before + 3
        await stage.settled()
        await stage.pot.take(Take([apart._replace(cost=48)]))
        late = await stage.pot.take(Take([wide, rate("d", 9), apart]))
        assert not late.all
        await stage.settled()
        assert (await stage.pot.look([wide, rate("d", 9), apart])).standing == [2, 0.0, 50]

    play(scene)


def test_what_was_taken_is_given_back_when_a_place_does_not_answer():
    async def scene():
        stage = Scene()
        run = stage.remote.run

        async def partly(operation, namespace=None):
            if operation.keys()[0].startswith("b"):
                raise StoreError("its master is away", asked=False)
            return await run(operation, namespace)

        stage.remote.run = partly
        taken = await stage.pot.take(Take([rate("a", 3), rate("b", 30)]))
        assert (taken.all, taken.away) == (True, True)
        stage.remote.run = run
        leading = asyncio.ensure_future(stage.fallback.run())
        async with asyncio.timeout(10):
            while stage.fallback.away:
                await a_turn()
        leading.cancel()
        await asyncio.wait({leading})
        await stage.settled()
        looked = await stage.pot.look([rate("a", 3), rate("b", 30)])
        assert looked.standing == pytest.approx([1.0, 1.0])

    play(scene)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("cd"), st.floats(0, 2)), max_size=40))
def test_apart_never_admits_more_than_each_limit(calls):
    async def scene():
        stage = Scene()
        admitted = []
        for one, other, gap in calls:
            stage.clock.advance(gap)
            if (await stage.pot.take(Take([rate(one, 3), window(other, 7)]))).all:
                admitted.append((stage.clock.monotonic(), one, other))
            await stage.settled()
        for who in "cd":
            assert sum(other == who for _, _, other in admitted) <= 7 or stage.clock.monotonic() > 1060
        for who in "ab":
            times = [at for at, one, _ in admitted if one == who]
            for first, start in enumerate(times):
                assert all(count <= 3 + (at - start) + 1e-3 for count, at in enumerate(times[first:], 1))

    play(scene)


def test_memory_holds_both_kinds_and_gives_both_back():
    clock = FakeClock()
    pot = LocalPot(memory_store(clock))
    both = [rate("a", 3), window("a", 2)]
    assert [pot.take_nowait(both).all for _ in range(3)] == [True, True, False]
    assert pot.take_nowait(both).standing == [3.0, 2]
    pot.give_back(both)
    assert asyncio.run(pot.look(both)).standing == [1.0, 1]
    asyncio.run(pot.forget([one.key for one in both]))
    assert asyncio.run(pot.look(both)).standing == [0.0, 0]
    assert pot.take_nowait([rate("a", 3, cost=0)]).all


def test_what_is_looked_at_or_forgotten_in_a_store():
    async def scene():
        stage = Scene()
        both = [rate("a", 3), window("b", 2)]
        await stage.pot.take(Take(both))
        assert (await stage.pot.look(both)).standing == [1.0, 1]
        await stage.pot.forget([one.key for one in both])
        assert (await stage.pot.look(both)).standing == [0.0, 0]
        assert (await stage.pot.look([])).standing == []

    play(scene)
