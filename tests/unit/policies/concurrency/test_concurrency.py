"""concurrency: whose calls count together, how many there may be, and how long a place is held."""

import asyncio

import pytest
from pydantic import ValidationError

from gateway.api.consumers import Limits
from gateway.api.errors import StoreError
from gateway.api.messages import Headers, Response
from gateway.api.policy import CheckContext, Level, Slot
from gateway.testing.clock import FakeClock
from gateway.testing.exchange import FakeScope, close, make_exchange, make_principal
from gateway.testing.store import RemoteStore
from gateway.testing.turns import a_turn
from policies.concurrency import POLICY
from policies.concurrency.config import ConcurrencyConfig
from policies.concurrency.policy import Places


class LoopClock(FakeClock):
    def monotonic(self):
        return asyncio.get_running_loop().time()


class Stage:
    """A limit, and calls that stay under way until they are ended."""

    def __init__(self, place=None, **config):
        config = ConcurrencyConfig(**config)
        self.scope = place or FakeScope(policy="concurrency", name=config.name or config.per, clock=LoopClock())
        self.layer = POLICY.build(config, self.scope)

    @property
    def places(self):
        return self.scope.state(("places", False), Places)

    async def begin(self, **request):
        """The status, and the exchange, which is still under way."""
        exchange = make_exchange(**request)
        exchange.deadline = asyncio.get_running_loop().time() + 60

        async def upstream(passed):
            return Response(200, Headers(), b"")

        return (await self.layer.around(exchange, upstream)).status, exchange


def play(scene):
    asyncio.run(scene())


def test_a_place_is_held_until_the_exchange_ends():
    async def scene():
        stage = Stage(per="ip", max=2)
        under_way = [(await stage.begin())[1] for _ in range(2)]
        status, refused = await stage.begin()
        assert (status, refused.codes) == (429, ["concurrency.exceeded"])
        close(under_way.pop())
        assert (await stage.begin())[0] == 200

    play(scene)


def test_a_larger_figure_lets_those_that_wait_in_with_the_next_call():
    async def scene():
        stage = Stage(per="ip", max=1, queue=1)
        assert (await stage.begin())[0] == 200
        waiting = asyncio.ensure_future(stage.begin())
        await a_turn()
        larger = Stage(stage.scope, per="ip", max=3, queue=1)
        assert (await asyncio.wait_for(larger.begin(), 1.0))[0] == 200
        assert (await asyncio.wait_for(waiting, 1.0))[0] == 200
        third = asyncio.ensure_future(larger.begin())
        await a_turn()
        assert not third.done()
        third.cancel()

    play(scene)


def test_nothing_is_kept_of_callers_without_calls():
    async def scene():
        stage = Stage(per="ip", max=1)
        for number in range(100):
            _, exchange = await stage.begin(client=f"192.0.2.{number}")
            close(exchange)
        assert stage.places.of == {}

    play(scene)


@pytest.mark.parametrize(
    ("per", "one", "same", "other"),
    [
        ("ip", {"client": "2001:db8::1"}, {"client": "2001:db8::2"}, {"client": "2001:db8:1::1"}),
        ("route", {"client": "192.0.2.1"}, {"client": "192.0.2.2"}, None),
        ("header:X-Tenant", {"headers": [("x-tenant", "a")]}, {"headers": [("X-Tenant", "a")]}, {"headers": []}),
        (
            "claim:org",
            {"principal": make_principal("a", claims={"org": "x"})},
            {"principal": make_principal("b", claims={"org": "x"})},
            {"principal": make_principal("a", claims={"org": "y"})},
        ),
        (
            "consumer",
            {"principal": make_principal("a")},
            {"principal": make_principal("a")},
            {"principal": make_principal("b")},
        ),
    ],
)
def test_whose_calls_count_together(per, one, same, other):
    async def scene():
        stage = Stage(per=per, max=1)
        assert (await stage.begin(**one))[0] == 200
        assert (await stage.begin(**same))[0] == 429
        if other is not None:
            assert (await stage.begin(**other))[0] == 200

    play(scene)


def test_what_needs_no_caller_is_decided_before_anybody_is_believed():
    for per, slot in (
        ("ip", Slot.GUARD),
        ("route", Slot.GUARD),
        ("header:A", Slot.GUARD),
        ("consumer", Slot.LIMIT),
        ("claim:a", Slot.LIMIT),
    ):
        assert POLICY.slot(ConcurrencyConfig(per=per, max=1)) is slot


def test_a_tier_s_figure_counts_over_the_whole_gateway_and_a_route_s_own_beats_it():
    async def scene():
        stage = Stage()
        elsewhere = Stage(stage.scope.like(name="consumer", route="elsewhere"))
        own = Stage(stage.scope.like(name="consumer", route="own"), max=1)
        caller = {"principal": make_principal(limits=Limits(concurrency=1))}
        assert (await stage.begin(**caller))[0] == 200
        assert (await elsewhere.begin(**caller))[0] == 429
        assert (await own.begin(**caller))[0] == 200
        assert (await own.begin(**caller))[0] == 429
        without = {"principal": make_principal("rocket")}
        for _ in range(5):
            assert (await stage.begin(**without))[0] == 200

    play(scene)


def test_a_consumer_s_figure_for_this_route_beats_the_route_s():
    async def scene():
        stage = Stage(max=5)
        caller = {"principal": make_principal(route_limits={"orders": Limits(concurrency=1)})}
        assert (await stage.begin(**caller))[0] == 200
        assert (await stage.begin(**caller))[0] == 429

    play(scene)


@pytest.mark.parametrize(
    ("written", "level", "together"),
    [
        (None, Level.ROUTE, False),
        ("upstream", Level.ROUTE, True),
        ("gateway", Level.ROUTE, True),
        (None, Level.GLOBAL, True),
    ],
)
def test_calls_of_what_count_together(written, level, together):
    async def scene():
        stage = Stage(
            FakeScope(policy="concurrency", name="ip", level=level, clock=LoopClock()), per="ip", max=1, scope=written
        )
        other = Stage(stage.scope.like(name="ip", level=level, route="b"), per="ip", max=1, scope=written)
        await stage.begin()
        assert (await other.begin())[0] == (429 if together else 200)

    play(scene)


def test_some_wait_for_a_place_and_time_ends_the_wait():
    async def scene():
        stage = Stage(per="ip", max=1, queue=1, queue_timeout=30.0)
        _, first = await stage.begin()
        waiting = asyncio.ensure_future(stage.begin())
        await a_turn()
        assert (await stage.begin())[0] == 429
        close(first)
        status, second = await waiting
        assert status == 200
        close(second)
        assert stage.places.of == {}
        brief = Stage(per="ip", max=1, queue=1, queue_timeout=0.01)
        await brief.begin()
        assert (await brief.begin())[0] == 429
        assert brief.scope.counts() == {"allow": 1, "refuse": 1}

    play(scene)


def test_a_caller_that_leaves_the_queue_leaves_nothing():
    async def scene():
        stage = Stage(per="ip", max=1, queue=1)
        _, first = await stage.begin()
        waiting = asyncio.ensure_future(stage.begin())
        await a_turn()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        close(first)
        assert stage.places.of == {}

    play(scene)


def test_in_shadow_it_counts_beside_and_refuses_nothing():
    async def scene():
        stage = Stage(FakeScope(policy="concurrency", name="ip", shadow=True, clock=LoopClock()), per="ip", max=1)
        for _ in range(3):
            assert (await stage.begin())[0] == 200
        assert stage.scope.counts() == {"allow": 3, "refuse": 2}

    play(scene)


@pytest.mark.parametrize(
    "wrong",
    [{"per": "ip"}, {"scope": "route"}, {"per": "cookie:a", "max": 1}, {"max": 0}, {"max": 1, "queue_timeout": 1.0}],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        ConcurrencyConfig(**wrong)


def test_scope_route_under_global_is_a_warning():
    found = POLICY.check(ConcurrencyConfig(per="ip", max=1, scope="route"), CheckContext(Level.GLOBAL))
    assert [(one.path, one.level) for one in found] == [(("scope",), "warning")]


# --- places that several processes share


class Shared(Stage):
    """One process of several that share a store; its background work runs while the stage is used."""

    def __init__(self, remote, workers=1, **config):
        scope = FakeScope(policy="concurrency", name="ip", clock=LoopClock(), workers=workers)
        scope.stores["redis"] = remote.scoped("limits")
        super().__init__(scope, per="ip", store="redis", **config)
        self.shared = self.layer._places

    async def until(self, holds):
        async with asyncio.timeout(10):
            while not holds():
                await a_turn()


def test_processes_share_the_places():
    async def scene():
        remote = RemoteStore(LoopClock())
        one, other = Shared(remote, max=3), Shared(remote, max=3)
        answers = [await process.begin() for process in (one, other, one, other)]
        assert [status for status, _ in answers] == [200, 200, 200, 429]
        close(answers[0][1])
        await one.until(lambda: one.shared._telling is None)
        assert (await other.begin())[0] == 200
        assert (await one.begin())[0] == 429

    play(scene)


def test_nothing_is_kept_of_callers_without_calls_in_a_store_either():
    async def scene():
        remote = RemoteStore(LoopClock())
        stage = Shared(remote, max=1)
        exchanges = [(await stage.begin(client=f"192.0.2.{number}"))[1] for number in range(20)]
        for exchange in exchanges:
            close(exchange)
        await stage.until(lambda: stage.shared._telling is None)
        assert stage.shared.held == {}
        assert remote._memory.statistics()["values"].keys == 0

    play(scene)


def test_a_caller_waits_for_a_place_of_another_process():
    async def scene():
        remote = RemoteStore(LoopClock())
        one, other = Shared(remote, max=1), Shared(remote, max=1, queue=1, queue_timeout=10.0)
        _, first = await one.begin()
        waiting = asyncio.ensure_future(other.begin())
        await other.until(lambda: other.layer._waiting)
        assert (await other.begin())[0] == 429  # the queue is full
        close(first)
        assert (await waiting)[0] == 200
        assert other.scope.counts() == {"allow": 1, "wait": 1, "refuse": 1}

    play(scene)


def test_without_the_store_each_process_has_its_share_and_says_so_afterwards():
    async def scene():
        remote = RemoteStore(LoopClock())
        one, other = Shared(remote, workers=2, max=4), Shared(remote, workers=2, max=4)
        held = [await one.begin()]
        remote.down = True
        held += [await one.begin() for _ in range(3)]
        assert [status for status, _ in held] == [200, 200, 429, 429]
        assert [(await other.begin())[0] for _ in range(3)] == [200, 200, 429]
        remote.down = False
        runs = [asyncio.ensure_future(each.shared.run()) for each in (one, other)]
        key = next(iter(one.shared.held))
        async with asyncio.timeout(10):
            while await one.shared.look(key) != 4:
                await a_turn()
        assert (await one.begin())[0] == 429
        for run in runs:
            run.cancel()
        await asyncio.wait(runs)

    play(scene)


def test_a_lost_answer_mends_itself():
    async def scene():
        remote = RemoteStore(LoopClock())
        stage = Shared(remote, max=2)
        run = remote.run

        async def lost(operation, namespace=None):
            await run(operation, namespace)
            raise StoreError("no answer within 10 ms")

        remote.run = lost
        _, exchange = await stage.begin()
        close(exchange)
        await stage.until(lambda: stage.shared._telling is None)
        remote.run = run
        renewing = asyncio.ensure_future(stage.shared.run())
        await stage.until(lambda: not stage.shared._lost)
        assert [(await stage.begin())[0] for _ in range(3)] == [200, 200, 429]
        renewing.cancel()
        await asyncio.wait({renewing})

    play(scene)


def test_shared_places_in_shadow():
    async def scene():
        remote = RemoteStore(LoopClock())
        scope = FakeScope(policy="concurrency", name="ip", shadow=True, clock=LoopClock())
        scope.stores["redis"] = remote.scoped("limits")
        stage = Stage(scope, per="ip", max=1, store="redis")
        for _ in range(3):
            assert (await stage.begin())[0] == 200
        assert scope.counts() == {"allow": 3, "refuse": 2}

    play(scene)
