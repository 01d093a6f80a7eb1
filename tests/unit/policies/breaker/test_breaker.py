"""breaker: what opens it, what it lets through half-open, what counts, what outlives a reload."""

import asyncio
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.api.errors import BadReply, Cause, ClientGone, RequestRefused, Unmappable, UpstreamError
from gateway.api.messages import Headers, Response
from gateway.api.policy import CheckContext, Level
from gateway.api.settings.upstream import UpstreamConfig
from gateway.testing.clock import FakeClock
from gateway.testing.exchange import BytesBody, FakeScope, close, make_exchange, read_all, run_layer
from gateway.testing.turns import a_turn, until
from policies.breaker import POLICY
from policies.breaker.config import BreakerConfig

OK = Response(200, Headers(), b"ok")
RESET = UpstreamError(Cause.RESET, "head", sent=True)


def status(number):
    return Response(number, Headers(), b"")


class Stage:
    """A breaker, its clock and its callers."""

    def __init__(self, level=Level.UPSTREAM, shadow=False, **config):
        self.clock = FakeClock(1_000.0)
        self.scope = FakeScope(policy="breaker", level=level, clock=self.clock, shadow=shadow)
        self.layer = self.build(**config)
        self.reached = 0

    def build(self, **config):
        return POLICY.build(BreakerConfig(**config), self.scope)

    def call(self, answer=OK):
        """The status of one call; the fault's name when it raises."""

        def upstream(exchange):
            self.reached += 1
            if isinstance(answer, BaseException):
                raise answer
            return Response(answer.status, Headers(answer.headers), answer.body)

        exchange = make_exchange()
        try:
            response = run_layer(self.layer, exchange, upstream)
        except (Exception, asyncio.CancelledError) as fault:
            return type(fault).__name__
        finally:
            close(exchange)
        return response.status

    def fail(self, times=1, answer=RESET):
        for _ in range(times):
            self.call(answer)

    @property
    def state(self):
        return {0: "closed", 1: "half-open", 2: "open"}[self.scope.gauges["breaker_state orders-api"].value]


def test_failures_in_a_row_open_it_without_min_requests():
    stage = Stage(failures=3, min_requests=100)
    stage.fail(2)
    stage.call()
    stage.fail(2)
    assert stage.state == "closed"
    stage.fail()
    assert stage.state == "open"


def test_the_error_rate_opens_it_only_with_enough_calls():
    stage = Stage(failures=100, error_rate=0.5, min_requests=10)
    for _ in range(4):
        stage.fail()
        stage.call()
    stage.fail()
    assert stage.state == "closed"  # 5 of 9
    stage.fail()
    assert stage.state == "open"  # 6 of 10


def test_what_is_older_than_the_window_does_not_count():
    stage = Stage(failures=100, error_rate=0.5, min_requests=4, window=10.0)
    stage.fail(3)
    stage.clock.advance(10.0)
    stage.fail(3)
    assert stage.state == "closed"
    stage.fail()
    assert stage.state == "open"


def test_open_refuses_with_the_time_left_and_never_touches_the_upstream():
    stage = Stage(failures=1, open=30.0)
    stage.fail()
    stage.clock.advance(9.5)
    exchange = make_exchange()
    refusal = run_layer(stage.layer, exchange, AssertionError("the upstream was called"))
    assert (refusal.status, refusal.headers.get(b"retry-after")) == (503, b"21")
    assert exchange.codes == ["breaker.open"]


@pytest.mark.parametrize("probes", [1, 3])
def test_half_open_admits_exactly_its_probes_however_many_arrive_at_once(probes):
    stage = Stage(failures=1, open=30.0, probes=probes)
    stage.fail()
    stage.clock.advance(30.0)

    async def scene():
        inside = 0
        leave = asyncio.Event()

        async def upstream(exchange):
            nonlocal inside
            inside += 1
            await leave.wait()
            return Response(200, Headers(), b"")

        calls = [asyncio.ensure_future(stage.layer.around(make_exchange(), upstream)) for _ in range(50)]
        await until(lambda: sum(call.done() for call in calls) == 50 - probes)
        assert inside == probes
        assert stage.state == "half-open"
        leave.set()
        answers = [response.status for response in await asyncio.gather(*calls)]
        assert answers.count(200) == probes
        assert answers.count(503) == 50 - probes

    asyncio.run(scene())
    assert stage.state == "closed"
    assert stage.call() == 200


def test_a_probe_that_fails_opens_it_again_for_the_whole_time():
    stage = Stage(failures=1, open=30.0)
    stage.fail()
    stage.clock.advance(30.0)
    stage.fail()
    stage.clock.advance(29.9)
    assert stage.call() == 503
    stage.clock.advance(0.2)
    assert stage.call() == 200


@pytest.mark.parametrize("nothing_learned", [ClientGone(), asyncio.CancelledError(), RequestRefused(413, "x", "y")])
def test_a_probe_whose_client_leaves_gives_no_verdict_and_frees_its_place(nothing_learned):
    stage = Stage(failures=1, open=30.0)
    stage.fail()
    stage.clock.advance(30.0)
    stage.fail(3, nothing_learned)
    assert stage.state == "half-open"
    assert stage.call() == 200
    assert stage.state == "closed"


@pytest.mark.parametrize(
    "harmless",
    [
        status(404),
        status(429),
        status(422),  # what the SOAP adapter makes of a fault of the code Client
        ClientGone(),
        asyncio.CancelledError(),
        RequestRefused(408, "request.body-timeout", ""),
        Unmappable("no", pointer="/a"),
        UpstreamError(Cause.OVERLOAD, "queue", sent=False),
    ],
    ids=repr,
)
def test_what_is_not_the_upstream_s_failure_never_counts(harmless):
    stage = Stage(failures=1, min_requests=1)
    stage.fail(10, harmless)
    assert stage.state == "closed"


@pytest.mark.parametrize(
    ("count", "failure"),
    [
        ("connect", UpstreamError(Cause.UNREACHABLE, "connect", sent=False)),
        ("reset", RESET),
        ("reset", UpstreamError(Cause.PROTOCOL, "head", sent=True)),
        ("timeout", UpstreamError(Cause.TIMEOUT, "head", sent=True)),
        ("5xx", status(500)),
        ("5xx", BadReply("no XML")),
        ("503", status(503)),
    ],
)
def test_what_counts_is_configured(count, failure):
    counting = Stage(failures=1, count=(count,))
    counting.fail(1, failure)
    assert counting.state == "open"
    others = tuple({"connect", "reset", "timeout", "501"} - {count})
    ignoring = Stage(failures=1, min_requests=1, count=others)
    ignoring.fail(3, failure)
    assert ignoring.state == "closed"


def test_a_status_may_be_written_as_a_number_and_no_4xx_can_be_counted():
    assert BreakerConfig(count=(503,)).count == ("503",)
    for wrong in ((404,), ("404",), ("4xx",), ()):
        with pytest.raises(ValidationError):
            BreakerConfig(count=wrong)


class BrokenBody(BytesBody):
    async def read(self):
        if self.pieces:
            return self.pieces.pop(0)
        raise UpstreamError(Cause.RESET, "body", sent=True)


def stream(stage, body):
    exchange = make_exchange()
    return exchange, run_layer(stage.layer, exchange, lambda _: Response(200, Headers(), body))


def test_a_body_that_breaks_off_is_a_failure():
    stage = Stage(failures=1)
    _, response = stream(stage, BrokenBody(b"half"))
    assert stage.state == "closed"
    with pytest.raises(UpstreamError):
        asyncio.run(read_all(response.body))
    assert stage.state == "open"


def test_a_probe_lasts_to_the_end_of_its_body():
    stage = Stage(failures=1, open=30.0)
    stage.fail()
    stage.clock.advance(30.0)
    _, response = stream(stage, BytesBody(b"a", b"b"))
    assert stage.call() == 503
    assert asyncio.run(read_all(response.body)) == b"ab"
    assert stage.state == "closed"


def test_a_probe_whose_body_nobody_reads_frees_its_place_with_its_exchange():
    stage = Stage(failures=1, open=30.0)
    stage.fail()
    stage.clock.advance(30.0)
    exchange, _ = stream(stage, BytesBody(b"a"))
    assert stage.call() == 503
    close(exchange)
    assert stage.state == "half-open"
    assert stage.call() == 200


def test_a_probe_that_still_streams_after_a_second_has_succeeded():
    stage = Stage(failures=1, open=30.0)
    stage.fail()
    stage.clock.advance(30.0)
    stream(stage, BytesBody(b"a"))
    stage.clock.advance(1.0)
    assert stage.call() == 200
    assert stage.state == "closed"


def test_calls_admitted_before_a_change_say_nothing_after_it():
    stage = Stage(failures=1, open=30.0)

    async def scene():
        fail = asyncio.Event()

        async def upstream(exchange):
            await fail.wait()
            raise UpstreamError(Cause.TIMEOUT, "head", sent=True)

        early = asyncio.ensure_future(stage.layer.around(make_exchange(), upstream))
        await a_turn()
        await asyncio.gather(stage.layer.around(make_exchange(), raising), return_exceptions=True)
        stage.clock.advance(30.0)

        async def good(exchange):
            fail.set()
            await asyncio.gather(early, return_exceptions=True)
            return Response(200, Headers(), b"")

        await stage.layer.around(make_exchange(), good)

    async def raising(exchange):
        raise UpstreamError(Cause.RESET, "head", sent=True)

    asyncio.run(scene())
    assert stage.state == "closed"


def test_a_reload_keeps_the_state_and_takes_the_new_figures():
    stage = Stage(failures=5)
    stage.fail(3)
    before = stage.layer
    stage.layer = stage.build(failures=4, open=10.0)
    stage.fail()
    assert stage.state == "open"
    stage.clock.advance(10.0)
    stage.layer = before
    assert stage.call() == 200


def test_another_window_keeps_the_row_of_failures():
    stage = Stage(failures=3)
    stage.fail(2)
    before = stage.layer
    stage.layer = stage.build(failures=3, window=60.0)
    stage.fail()
    assert stage.state == "open"
    assert before is not stage.layer


def test_on_an_upstream_it_is_shared_by_routes_and_on_a_route_its_own():
    for level, together in ((Level.UPSTREAM, True), (Level.DEFAULTS, True), (Level.ROUTE, False)):
        scope = FakeScope(policy="breaker", level=level, route="one")
        one = POLICY.build(BreakerConfig(failures=1), scope)
        other = POLICY.build(BreakerConfig(failures=1), scope.like(level=level, route="other"))
        with pytest.raises(UpstreamError):
            run_layer(one, make_exchange(), RESET)
        assert run_layer(one, make_exchange()).status == 503
        assert run_layer(other, make_exchange()).status == (503 if together else 200)


def test_a_route_without_an_upstream_inherits_none():
    assert POLICY.build(BreakerConfig(), FakeScope(policy="breaker", upstream="", level=Level.DEFAULTS)) == ()


def test_in_shadow_it_counts_and_refuses_nothing():
    stage = Stage(failures=1, shadow=True)
    stage.fail(2)
    assert stage.call() == 200
    assert stage.reached == 3
    assert stage.scope.counts() == {"open": 1, "allow": 1, "refuse": 2}
    assert not stage.scope.gauges


def test_changes_are_logged_counted_and_shown(caplog):
    caplog.set_level(logging.INFO, "sluicegate.breaker")
    stage = Stage(failures=1, open=30.0)
    stage.fail()
    stage.clock.advance(30.0)
    stage.call()
    assert [record.getMessage() for record in caplog.records] == [
        "breaker of upstream orders-api: open, was closed",
        "breaker of upstream orders-api: half-open, was open",
        "breaker of upstream orders-api: closed, was half-open",
    ]
    assert stage.scope.counts() == {
        "allow": 2,
        "breaker_changes_total orders-api open": 1,
        "breaker_changes_total orders-api half-open": 1,
        "breaker_changes_total orders-api closed": 1,
    }


def complaints(config, **upstream):
    context = CheckContext(Level.UPSTREAM, upstream=UpstreamConfig(targets=["http://a"], **upstream))
    return [(one.path, one.level) for one in POLICY.check(BreakerConfig(**config), context)]


def test_a_window_shorter_than_the_connect_timeout_is_a_warning():
    assert complaints({"window": 0.5}) == [(("window",), "warning")]
    assert complaints({"window": 1.0}) == []
    assert complaints({"window": 3.0}, timeout={"connect": 4.0}) == [(("window",), "warning")]


@given(
    st.lists(st.tuples(st.sampled_from(["good", "bad", "gone", "wait"]), st.floats(0, 20)), max_size=60),
    st.integers(1, 4),
    st.integers(1, 3),
)
def test_property_never_a_call_while_open_and_never_more_probes_than_allowed(play, failures, probes):
    """A model of one caller at a time: while open nothing reaches the upstream before `open` is over."""
    stage = Stage(failures=failures, probes=probes, open=10.0, min_requests=10_000)
    opened_at = None
    good_probes = row = 0
    for what, seconds in play:
        if what == "wait":
            stage.clock.advance(seconds)
            continue
        due = opened_at is None or stage.clock.monotonic() >= opened_at + 10.0
        reached = stage.reached
        stage.call({"good": OK, "bad": RESET, "gone": ClientGone()}[what])
        assert (stage.reached > reached) == due
        if not due or what == "gone":
            continue
        if opened_at is None:
            row = row + 1 if what == "bad" else 0
            if row >= failures:
                opened_at, good_probes = stage.clock.monotonic(), 0
        elif what == "bad":
            opened_at, good_probes = stage.clock.monotonic(), 0
        else:
            good_probes += 1
            if good_probes == probes:
                opened_at, row = None, 0
