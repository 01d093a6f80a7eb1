"""bulkhead: how many calls are let through, how long a place is held, and the limit that follows latency."""

import asyncio
import contextlib

import pytest
from pydantic import ValidationError

from gateway.api.errors import Cause, ClientGone, UpstreamError
from gateway.api.messages import Headers, Response
from gateway.api.policy import Level
from gateway.testing.clock import FakeClock
from gateway.testing.exchange import BytesBody, FakeScope, close, make_exchange, read_all, run_layer
from gateway.testing.turns import until
from policies.bulkhead import POLICY
from policies.bulkhead.config import BulkheadConfig
from policies.bulkhead.core import FIRST, MOST, Adaptive


class LoopClock(FakeClock):
    def monotonic(self):
        return asyncio.get_running_loop().time()


def build(config, scope=None, **changed):
    scope = scope or FakeScope(policy="bulkhead", level=Level.UPSTREAM, clock=LoopClock(), **changed)
    return POLICY.build(BulkheadConfig(**config), scope), scope


class Upstream:
    """Answers when it is told to."""

    def __init__(self):
        self.inside = 0
        self.leave = asyncio.Event()

    async def __call__(self, exchange):
        self.inside += 1
        try:
            await self.leave.wait()
        finally:
            self.inside -= 1
        return Response(200, Headers(), b"ok")


def patient():
    exchange = make_exchange()
    exchange.deadline = asyncio.get_running_loop().time() + 60
    return exchange


def statuses(calls):
    return sorted(call.result().status for call in calls)


def test_so_many_go_through_so_many_wait_and_the_rest_is_refused_at_once():
    async def scene():
        layer, scope = build({"max": 3, "queue": 2})
        upstream = Upstream()
        calls = [asyncio.ensure_future(layer.around(patient(), upstream)) for _ in range(10)]
        await until(lambda: sum(call.done() for call in calls) == 5)
        assert upstream.inside == 3
        assert scope.gauges["bulkhead_in_use orders-api"].value == 3
        assert scope.gauges["bulkhead_waiting orders-api"].value == 2
        refusal = calls[-1].result()
        assert (refusal.status, refusal.headers.get(b"retry-after")) == (503, b"1")
        upstream.leave.set()
        await asyncio.gather(*calls)
        assert statuses(calls) == [200] * 5 + [503] * 5
        assert scope.counts() == {"allow": 5, "wait": 2, "refuse": 5}
        assert scope.gauges["bulkhead_in_use orders-api"].value == 0

    asyncio.run(scene())


@pytest.mark.parametrize("bound", ["queue_timeout", "deadline"])
def test_a_wait_ends_with_its_own_time_or_the_deadline(bound):
    async def scene():
        layer, _ = build({"max": 1, "queue": 2, "queue_timeout": 0.02 if bound == "queue_timeout" else 0.0})
        upstream = Upstream()
        first = asyncio.ensure_future(layer.around(patient(), upstream))
        await until(lambda: upstream.inside)
        exchange = patient()
        if bound == "deadline":
            exchange.deadline = asyncio.get_running_loop().time() + 0.02
        refusal = await layer.around(exchange, upstream)
        assert (refusal.status, exchange.codes) == (503, ["bulkhead.queue-timeout"])
        upstream.leave.set()
        await first

    asyncio.run(scene())


def in_use(scope):
    return scope.gauges["bulkhead_in_use orders-api"].value


@pytest.mark.parametrize(
    "fault", [UpstreamError(Cause.RESET, "head", sent=True), ClientGone(), asyncio.CancelledError()]
)
@pytest.mark.parametrize("most", [1, "adaptive"])
def test_a_call_that_breaks_gives_its_place_back(fault, most):
    async def scene():
        layer, scope = build({"max": most})

        async def broken(exchange):
            assert in_use(scope) == 1
            raise fault

        with pytest.raises(type(fault)):
            await layer.around(patient(), broken)
        assert in_use(scope) == 0

    asyncio.run(scene())


@pytest.mark.parametrize("ending", ["read", "close", "exchange"])
def test_a_place_is_held_to_the_last_byte_of_a_stream(ending):
    async def scene():
        layer, scope = build({"max": 1})

        async def streaming(exchange):
            return Response(200, Headers(), BytesBody(b"a", b"b"))

        exchange = patient()
        response = await layer.around(exchange, streaming)
        assert await response.body.read() == b"a"
        assert in_use(scope) == 1
        assert (await layer.around(patient(), streaming)).status == 503
        if ending == "read":
            assert await read_all(response.body) == b"b"
        elif ending == "close":
            response.body.close()
        else:
            close(exchange)
        assert in_use(scope) == 0
        close(exchange)
        assert in_use(scope) == 0

    asyncio.run(scene())


def test_on_an_upstream_it_is_shared_and_on_a_route_its_own():
    async def scene(level, together):
        layer, scope = build({"max": 1}, FakeScope(policy="bulkhead", level=level, clock=LoopClock(), route="one"))
        other, _ = build({"max": 1}, scope.like(level=level, route="other"))
        upstream = Upstream()
        first = asyncio.ensure_future(layer.around(patient(), upstream))
        await until(lambda: upstream.inside)
        upstream.leave.set()
        assert (await other.around(patient(), upstream)).status == (503 if together else 200)
        await first

    for level, together in ((Level.UPSTREAM, True), (Level.DEFAULTS, True), (Level.ROUTE, False)):
        asyncio.run(scene(level, together))


def test_a_reload_counts_those_under_way_against_the_new_figure():
    async def scene():
        layer, scope = build({"max": 3})
        upstream = Upstream()
        calls = [asyncio.ensure_future(layer.around(patient(), upstream)) for _ in range(3)]
        await until(lambda: upstream.inside == 3)
        smaller, _ = build({"max": 2}, scope)
        assert (await smaller.around(patient(), upstream)).status == 503
        larger, _ = build({"max": 4}, scope)
        upstream.leave.set()
        assert (await larger.around(patient(), upstream)).status == 200
        await asyncio.gather(*calls)

    asyncio.run(scene())


def test_workers_share_the_figures():
    async def scene():
        layer, _ = build({"max": 10, "queue": 3}, workers=4)
        upstream = Upstream()
        calls = [asyncio.ensure_future(layer.around(patient(), upstream)) for _ in range(5)]
        await until(lambda: upstream.inside == 2)
        upstream.leave.set()
        await asyncio.gather(*calls)
        assert statuses(calls) == [200] * 3 + [503] * 2

    asyncio.run(scene())


def test_a_route_without_an_upstream_inherits_none():
    assert POLICY.build(BulkheadConfig(max=1), FakeScope(policy="bulkhead", upstream="")) == ()


def test_in_shadow_it_counts_and_refuses_nothing():
    async def scene():
        layer, scope = build({"max": 1}, shadow=True)
        upstream = Upstream()
        calls = [asyncio.ensure_future(layer.around(patient(), upstream)) for _ in range(3)]
        await until(lambda: upstream.inside == 3)
        upstream.leave.set()
        await asyncio.gather(*calls)
        assert scope.counts() == {"allow": 3, "refuse": 2}
        assert not scope.gauges

    asyncio.run(scene())


@pytest.mark.parametrize("wrong", [{}, {"max": 0}, {"max": "many"}, {"max": 1, "queue_timeout": 1.0}])
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        BulkheadConfig(**wrong)


def latency(in_use, capacity=40, least_s=0.02):
    """An upstream that serves `capacity` at a time and queues the rest."""
    return least_s * max(1.0, in_use / capacity)


def drive(adaptive, seconds, wanted=200, now=0.0, **upstream):
    end = now + seconds
    while now < end:
        busy = min(wanted, int(adaptive.limit))
        took = latency(busy, **upstream)
        for _ in range(busy):
            adaptive.observe(took, busy, now + took)
        now += took
    return now


def test_the_limit_grows_to_what_the_upstream_takes_and_no_further():
    adaptive = Adaptive(0.0)
    drive(adaptive, 60)
    assert 40 <= adaptive.limit <= 120


def test_the_limit_falls_when_the_upstream_becomes_slow_and_comes_back():
    adaptive = Adaptive(0.0)
    now = drive(adaptive, 30)
    before = adaptive.limit
    now = drive(adaptive, 10, now=now, capacity=5)
    assert adaptive.limit < before / 2
    drive(adaptive, 120, now=now)
    assert adaptive.limit > 40


def test_a_limit_that_is_not_used_says_nothing():
    adaptive = Adaptive(0.0)
    drive(adaptive, 30, wanted=3)
    assert adaptive.limit == FIRST


def test_the_limit_has_an_end():
    adaptive = Adaptive(0.0)
    drive(adaptive, 120, wanted=5000, capacity=100_000)
    assert adaptive.limit == MOST


def test_the_current_limit_is_shown():
    clock = FakeClock(0.0)
    scope = FakeScope(policy="bulkhead", level=Level.UPSTREAM, clock=clock)
    layer, _ = build({"max": "adaptive"}, scope)

    def slow(exchange):
        clock.advance(0.05)
        return Response(200, Headers(), b"")

    run_layer(layer, make_exchange(), slow)
    assert scope.gauges["bulkhead_limit orders-api"].value == FIRST


def test_the_limit_is_shown_before_any_call():
    scope = FakeScope(policy="bulkhead", level=Level.UPSTREAM)
    layer, _ = build({"max": 1}, scope)
    assert layer is not None
    assert scope.gauges["bulkhead_limit orders-api"].value == 1


@pytest.mark.parametrize(
    ("answer", "smaller"),
    [
        (Response(503, Headers(), b""), False),
        (UpstreamError(Cause.UNREACHABLE, "connect", sent=False), False),
        (Response(200, Headers(), b""), True),
        (UpstreamError(Cause.TIMEOUT, "head", sent=True), True),
    ],
    ids=repr,
)
def test_only_answers_and_timeouts_say_how_fast_the_upstream_is(answer, smaller):
    """20 calls at a time answer in 50 ms, then each takes long, or fails at once."""
    clock = FakeClock(0.0)
    scope = FakeScope(policy="bulkhead", level=Level.UPSTREAM, clock=clock)
    layer, _ = build({"max": "adaptive"}, scope)
    bulkhead = layer._bulkhead
    bulkhead.slots.used.value = 15  # others are under way

    def calls(number, seconds, answer):
        def upstream(exchange):
            clock.advance(seconds)
            if isinstance(answer, BaseException):
                raise answer
            return Response(answer.status, Headers(), b"")

        for _ in range(number):
            with contextlib.suppress(UpstreamError):
                run_layer(layer, make_exchange(), upstream)

    calls(40, 0.05, Response(200, Headers(), b""))
    before = bulkhead.adaptive.limit
    calls(40, 1.0 if smaller else 0.001, answer)
    assert (bulkhead.adaptive.limit < before) == smaller
    calls(40, 0.05, Response(200, Headers(), b""))
    assert bulkhead.adaptive.limit > before / 4
