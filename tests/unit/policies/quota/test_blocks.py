"""Blocks of calls that processes draw from a store: together never more than the limit, whoever dies or stumbles."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from gateway.api.limits.fallback import Fallback
from gateway.api.limits.operations import Amount, Take
from gateway.api.ports import Tally
from gateway.testing.clock import FakeClock
from gateway.testing.store import RemoteStore, memory_store
from gateway.testing.turns import a_turn
from policies.quota.blocks import Blocks

STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["call", "call", "call", "calls", "back", "idle", "die", "pass"]),
    ),
    max_size=80,
)


@given(STEPS, st.sampled_from([1, 7, 60]))
def test_no_interleaving_spends_more_than_the_limit(steps, limit):
    async def scene():
        clock = FakeClock()
        store = RemoteStore(clock).scoped("limits")
        amount = Amount(store.full_key("acme"), b"window", 1, limit, 3600.0)

        def begin():
            return Blocks(store, Fallback(store, memory_store(clock).times, 3, (Tally(), Tally())), clock)

        async def call(process):
            taken = process.take_nowait((amount,)) or await process.take(Take((amount,)))
            return taken.all

        processes, spent, lost = [begin() for _ in range(3)], [0, 0, 0], 0
        for number, what in steps:
            process = processes[number]
            if what == "call":
                spent[number] += await call(process)
            elif what == "calls":
                spent[number] += sum(await asyncio.gather(*(call(process) for _ in range(6))))
            elif what == "back" and spent[number]:
                process.give_back((amount,))
                spent[number] -= 1
            elif what == "idle":
                await process.put_back()
            elif what == "die":  # what it had in hand counts as used
                lost += process.in_hand(amount.key)
                processes[number] = begin()
            elif what == "pass":
                clock.advance(0.4)
            for _ in range(4):
                await a_turn()
            assert sum(spent) + lost <= limit
        for process in processes:
            await process.put_back(everything=True)
        used = (await processes[0].look((amount,))).standing[0]
        assert used == sum(spent) + lost

    asyncio.run(scene())


def test_a_store_that_is_away_for_a_moment_costs_nobody_what_was_to_be_put_back():
    async def scene():
        clock = FakeClock()
        remote = RemoteStore(clock)
        store = remote.scoped("limits")
        amount = Amount(store.full_key("acme"), b"window", 1, 1000, 3600.0)
        blocks = Blocks(store, Fallback(store, memory_store(clock).times, 1, (Tally(), Tally())), clock)
        for _ in range(20):
            assert (blocks.take_nowait((amount,)) or await blocks.take(Take((amount,)))).all
        spare = blocks.in_hand(amount.key)
        assert spare > 1
        remote.down = True
        for _ in range(3):
            await blocks.put_back()
        assert blocks.in_hand(amount.key) == spare
        assert blocks.take_nowait((amount,)).standing == [21]
        remote.down = False
        for _ in range(2):
            await blocks.put_back()
        assert (await blocks.look((amount,))).standing == [21]

    asyncio.run(scene())


def test_what_is_kept_joins_what_was_drawn_meanwhile():
    async def scene():
        clock = FakeClock()
        store = RemoteStore(clock).scoped("limits")
        amount = Amount(store.full_key("acme"), b"window", 1, 1000, 3600.0)
        blocks = Blocks(store, Fallback(store, memory_store(clock).times, 1, (Tally(), Tally())), clock)
        for _ in range(20):
            assert (blocks.take_nowait((amount,)) or await blocks.take(Take((amount,)))).all
        spare = blocks._hands.pop(amount.key)
        assert (await blocks.take(Take((amount,)))).standing == [20 + spare.left + 1]
        blocks._keep(spare)
        await blocks.put_back(everything=True)
        assert (await blocks.look((amount,))).standing == [21]

    asyncio.run(scene())
