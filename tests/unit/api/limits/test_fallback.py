"""What a process does about limits while their store is away, and what the store knows afterwards."""

import asyncio
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.errors import StoreError
from gateway.api.limits.fallback import Fallback
from gateway.api.limits.operations import Amount, Forget, Take
from gateway.api.limits.pots import SharedPot
from gateway.api.ports import Tally
from gateway.testing.clock import FakeClock
from gateway.testing.store import RemoteStore, memory_store
from gateway.testing.turns import a_turn

BURST, RATE = 20, 10.0


def rate(key="k", cost=1, away="local"):
    return Amount(key, b"rate", cost / RATE, (BURST + 1e-6) / RATE, 0.0, away)


def window(key="w", bound=100, cost=1, away="local"):
    return Amount(key, b"window", cost, bound, 3600.0, away)


class Process:
    """One of several that share a store."""

    def __init__(self, remote, clock, processes=1):
        self.store = remote.scoped("limits")
        self.switches = Tally(), Tally()
        self.fallback = Fallback(self.store, memory_store(clock).times, processes, self.switches)
        self.pot = SharedPot(self.store, self.fallback)

    async def take(self, *amounts):
        return self.pot.take_nowait(amounts) or await self.pot.take(Take(amounts))

    async def passing(self, amount, most=1000):
        """How many calls pass in a row."""
        for count in range(most):
            if not (await self.take(amount)).all:
                return count
        return most


class Scene:
    def __init__(self, processes=1):
        self.clock = FakeClock()
        self.remote = RemoteStore(self.clock)
        self.processes = [Process(self.remote, self.clock, processes) for _ in range(processes)]

    async def back(self):
        """The store answers again, and every process has merged what it took."""
        self.remote.down = False
        runs = [asyncio.ensure_future(one.fallback.run()) for one in self.processes]
        for _ in range(50):
            await a_turn()
        for run in runs:
            run.cancel()
        await asyncio.wait(runs)


def play(scene):
    asyncio.run(scene())


def test_a_share_is_the_limit_divided_by_the_processes():
    async def scene():
        stage = Scene(processes=4)
        stage.remote.down = True
        assert [await one.passing(rate()) for one in stage.processes] == [5, 5, 5, 5]
        stage.clock.advance(0.4)
        assert [await one.passing(rate()) for one in stage.processes] == [1, 1, 1, 1]

    play(scene)


def test_a_share_starts_from_what_was_last_known():
    async def scene():
        stage = Scene(processes=2)
        one, other = stage.processes
        assert await one.passing(rate(), 16) == 16
        stage.remote.down = True
        assert await one.passing(rate()) == 2  # half of the four that were left
        assert await other.passing(rate()) == 10  # which had seen nothing of this key

    play(scene)


def test_a_small_burst_still_lets_each_process_call_once():
    async def scene():
        stage = Scene(processes=8)
        stage.remote.down = True
        tiny = Amount("k", b"rate", 1.0, 2.000001, 0.0)
        assert [await one.passing(tiny) for one in stage.processes] == [1] * 8

    play(scene)


def test_what_was_used_meanwhile_counts_afterwards():
    async def scene():
        stage = Scene(processes=2)
        one, other = stage.processes
        await one.passing(rate(), 10)
        stage.remote.down = True
        assert await one.passing(rate()) == 5
        assert await other.passing(rate(), 3) == 3
        await stage.back()
        assert not one.fallback.away
        assert await other.passing(rate()) == 2  # 20 - 10 - 5 - 3

    play(scene)


def test_a_store_that_came_back_empty_is_told_what_was_known():
    async def scene():
        stage = Scene(processes=2)
        one, other = stage.processes
        await one.passing(rate(), 10)
        stage.remote.down = True
        assert await one.passing(rate(), 4) == 4
        await stage.remote._memory.run(Forget(["k"]))
        await stage.back()
        assert await other.passing(rate()) == 6

    play(scene)


def test_windows_too():
    async def scene():
        stage = Scene(processes=2)
        one, other = stage.processes
        assert await one.passing(window(), 60) == 60
        stage.remote.down = True
        assert await one.passing(window()) == 20
        assert await other.passing(window()) == 50
        await stage.back()
        taken = await one.take(window(cost=0))
        assert taken.standing == [130]  # the other did not know what was used: never more than its share of all
        assert await one.passing(window()) == 0

    play(scene)


@pytest.mark.parametrize("kind", [rate, window])
def test_allow_lets_all_through_and_deny_none(kind):
    async def scene():
        stage = Scene()
        (one,) = stage.processes
        stage.remote.down = True
        assert await one.passing(kind(away="allow"), 500) == 500
        taken = await one.take(kind(away="deny"))
        assert (taken.all, taken.denied) == (False, True)
        await stage.back()
        assert await one.passing(kind(), 10) == 10

    play(scene)


def test_the_switch_is_logged_once_and_counted(caplog):
    async def scene():
        stage = Scene()
        (one,) = stage.processes
        stage.remote.down = True
        for _ in range(5):
            await one.take(rate())
        await stage.back()
        await one.take(rate())
        assert [tally.value for tally in one.switches] == [1, 1]

    with caplog.at_level(logging.INFO, "sluicegate.limits"):
        play(scene)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "share, 1/1" in caplog.text


def test_a_store_that_stumbles_is_told_of_once_in_a_while(caplog):
    async def scene():
        stage = Scene()
        (one,) = stage.processes
        for _ in range(5):
            one.fallback.begin()
            await stage.back()
            stage.clock.advance(1)

    with caplog.at_level(logging.INFO, "sluicegate.limits"):
        play(scene)
    assert len(caplog.records) == 2


def test_nothing_is_lost_when_merging_fails():
    async def scene():
        stage = Scene()
        (one,) = stage.processes
        stage.remote.down = True
        assert await one.passing(rate(), 12) == 12
        assert not await one.fallback._merge()
        assert one.fallback.away
        await stage.back()
        assert await one.passing(rate()) == 8

    play(scene)


def test_what_is_given_back_meanwhile_is_not_used():
    async def scene():
        stage = Scene()
        (one,) = stage.processes
        stage.remote.down = True
        for amount in (rate(), window()):
            await one.passing(amount, 5)
            one.pot.give_back([amount])
        await stage.back()
        assert (await one.take(window(cost=0))).standing == [4]
        assert await one.passing(rate()) == 16

    play(scene)


def test_what_could_not_be_given_back_is_given_back_later():
    async def scene():
        stage = Scene()
        (one,) = stage.processes
        await one.passing(window(), 5)
        stage.remote.down = True
        one.pot.give_back([window()])
        for _ in range(10):
            await a_turn()
        assert one.fallback.away
        await stage.back()
        assert (await one.take(window(cost=0))).standing == [4]

    play(scene)


STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["call", "call", "call", "away", "back"]), st.floats(0, 0.5)),
    max_size=60,
)


@given(STEPS)
def test_an_outage_admits_at_most_one_more_burst(steps):
    """Three processes, a store that goes and comes: over all time, at most rate * time + 2 bursts for each outage and one."""

    async def scene():
        stage = Scene(processes=3)
        began, admitted, outages = stage.clock.monotonic(), 0, 0
        for process, what, gap in steps:
            stage.clock.advance(gap)
            if what == "away":
                outages += not stage.remote.down
                stage.remote.down = True
            elif what == "back":
                await stage.back()
            else:
                admitted += (await stage.processes[process].take(rate())).all
        passed = stage.clock.monotonic() - began
        assert admitted <= RATE * passed + BURST * (1 + outages) + 3 * (1 + outages)

    play(scene)


class Stumbling(RemoteStore):
    """Does what it is asked, but its answers are lost while `mute` is set."""

    mute = False

    async def run(self, operation, namespace=None):
        done = await super().run(operation, namespace)
        if self.mute:
            raise StoreError("no answer within 10 ms")
        return done


@pytest.mark.parametrize("amount", [rate(), window(bound=20)])
def test_what_the_store_did_though_its_answer_was_lost_counts_once(amount):
    async def scene():
        stage = Scene()
        stage.remote = Stumbling(stage.clock)
        one = Process(stage.remote, stage.clock)
        stage.processes = [one]
        stage.remote.mute = True
        assert await one.passing(amount, 6) == 6  # the first was done by the store, the others by this process
        for _ in range(3):  # nor does what is merged count again and again
            assert not await one.fallback._merge()
        stage.remote.mute = False
        await stage.back()
        assert not one.fallback.away
        assert (await one.take(amount._replace(cost=0))).standing[0] == pytest.approx(6 * amount.cost)
        assert await one.passing(amount) == 14

    play(scene)


def test_a_lost_answer_of_a_store_that_did_nothing_counts_too():
    async def scene():
        stage = Scene()
        (one,) = stage.processes

        async def lost(operation, namespace=None):
            raise StoreError("the connection was lost")

        run, stage.remote.run = stage.remote.run, lost
        assert await one.passing(rate(), 1) == 1
        stage.remote.run = run
        await stage.back()
        assert await one.passing(rate()) == 19

    play(scene)
