"""retry: what is repeated and what never, where and when the next try goes, and what ends it."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.api.errors import BadReply, Cause, ClientGone, RequestRefused, UpstreamError
from gateway.api.messages import Headers, Response
from gateway.api.policy import CheckContext, Level
from gateway.api.settings.upstream import UpstreamConfig
from gateway.testing.clock import FakeClock
from gateway.testing.exchange import BytesBody, FakeScope, make_exchange
from gateway.testing.turns import until
from policies.retry import POLICY
from policies.retry.config import RetryConfig
from policies.retry.core import Backoff, Budget
from policies.retry.policy import RetryLayer
from policies.timeout.config import TimeoutConfig

REFUSED = UpstreamError(Cause.UNREACHABLE, "connect", sent=False)
RESET = UpstreamError(Cause.RESET, "head", sent=True)
UNSENT = UpstreamError(Cause.RESET, "write", sent=False)
TIMEOUT = UpstreamError(Cause.TIMEOUT, "head", sent=True)


def status(number, **headers):
    return Response(number, Headers((k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()), b"")


class Stage:
    """A retry with chance in its hands, and an upstream that gives the answers in turn."""

    def __init__(self, *, safe=None, honours=False, shadow=False, workers=1, chance=0.0, **config):
        self.clock = FakeClock(1_000.0)
        calls = UpstreamConfig(targets=["http://a"], honours_idempotency_key=honours)
        self.scope = FakeScope(
            policy="retry",
            clock=self.clock,
            calls=calls,
            safe=safe,
            shadow=shadow,
            workers=workers,
            level=Level.UPSTREAM,
        )
        self.layer = RetryLayer(RetryConfig(**config), self.scope, chance=lambda: chance)
        self.tries = 0

    def run(self, *answers, method="GET", exchange=None, called=True, **request):
        """What the caller gets, and how many tries it took. The last answer is given for ever."""
        exchange = exchange or make_exchange(method, **request)
        self.tries = 0

        async def upstream(passed):
            answer = answers[min(self.tries, len(answers) - 1)]
            self.tries += 1
            if called:
                passed.tried.append(f"http://{self.tries}")
            if isinstance(answer, BaseException):
                raise answer
            return Response(answer.status, Headers(answer.headers), answer.body)

        try:
            return asyncio.run(self.layer.around(exchange, upstream)).status, self.tries
        except (UpstreamError, BadReply) as fault:
            return fault, self.tries


@pytest.mark.parametrize("failure", [REFUSED, RESET, TIMEOUT, UNSENT, status(502), status(503), status(504)], ids=repr)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_safe_method_is_repeated_after_any_listed_failure(failure, method):
    assert Stage().run(failure, failure, status(200), method=method) == (200, 3)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("failure", "tries"),
    [(REFUSED, 2), (UNSENT, 2), (RESET, 1), (TIMEOUT, 1), (status(503), 1)],
    ids=repr,
)
def test_another_method_is_repeated_only_when_nothing_left(method, failure, tries):
    stage = Stage()
    stage.run(failure, status(200), method=method)
    assert stage.tries == tries


@pytest.mark.parametrize(
    ("honours", "key", "tries"), [(True, "k1", 2), (True, None, 1), (True, "", 1), (False, "k1", 1)]
)
def test_a_post_that_left_is_repeated_only_with_a_key_that_the_upstream_honours(honours, key, tries):
    stage = Stage(honours=honours)
    for failure in (RESET, status(503)):
        stage.run(failure, status(200), method="POST", headers=[] if key is None else [("Idempotency-Key", key)])
        assert stage.tries == tries


@pytest.mark.parametrize(("honours", "tries"), [(True, 2), (False, 1)])
def test_a_key_counts_in_whichever_field_the_route_has_it(honours, tries):
    exchange = make_exchange("POST", headers=[("X-Key", "k1")])
    exchange.keyed = True
    assert Stage(honours=honours).run(RESET, status(200), exchange=exchange)[1] == tries


@pytest.mark.parametrize(("safe", "tries"), [(False, 1), (True, 2)])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("failure", [RESET, status(502), BadReply("no XML")], ids=repr)
def test_on_an_adapter_s_route_the_adapter_says_what_is_safe(safe, tries, method, failure):
    stage = Stage(safe=safe)
    stage.run(failure, status(200), method=method)
    assert stage.tries == tries
    stage.run(REFUSED, status(200), method=method)
    assert stage.tries == 2


@pytest.mark.parametrize("fault", [RequestRefused(413, "x", "y"), ClientGone(), asyncio.CancelledError()], ids=repr)
def test_what_is_not_the_upstream_s_failure_is_never_retried(fault):
    stage = Stage()
    with pytest.raises(type(fault)):
        stage.run(fault)
    assert stage.tries == 1


def test_our_own_queue_is_not_asked_twice():
    overload = UpstreamError(Cause.OVERLOAD, "queue", sent=False)
    assert Stage().run(overload) == (overload, 1)


def test_the_gateway_s_own_refusals_are_given_as_they_are():
    """An open breaker or a full bulkhead: no target was called."""
    assert Stage().run(status(503), called=False) == (503, 1)


def test_it_ends_with_the_last_failure_after_its_attempts():
    assert Stage(attempts=4).run(RESET) == (RESET, 4)
    assert Stage(attempts=1).run(RESET) == (RESET, 1)
    assert Stage().run(status(503)) == (503, 3)
    assert Stage(on=("connect",)).run(status(503)) == (503, 1)
    assert Stage(on=("503",)).run(RESET) == (RESET, 1)


def test_a_body_in_memory_is_sent_again_and_one_that_streams_never():
    stage = Stage()
    exchange = make_exchange("POST")
    exchange.request.body = b"whole"
    assert stage.run(REFUSED, status(200), exchange=exchange) == (200, 2)
    for body in (BytesBody(b"a", b"b"), BytesBody(b"a", announced=1)):
        assert stage.run(REFUSED, status(200), method="POST", body=body) == (REFUSED, 1)


def test_an_abandoned_answer_is_closed():
    body = BytesBody(b"much")
    assert Stage().run(Response(503, Headers(), body), status(200)) == (200, 2)
    assert body.closed


def test_tries_are_known_by_target():
    stage = Stage()
    exchange = make_exchange()
    stage.run(RESET, RESET, status(200), exchange=exchange)
    assert exchange.tried == ["http://1", "http://2", "http://3"]


def test_nothing_is_begun_that_the_deadline_would_overtake():
    stage = Stage(backoff=10.0, max_backoff=10.0, chance=0.9)
    exchange = make_exchange(started=1_000.0)
    exchange.deadline = 1_009.0
    assert stage.run(RESET, exchange=exchange) == (RESET, 1)


@pytest.mark.parametrize("told", ["60", "Fri, 15 Jan 2027 08:01:00 GMT"])
def test_a_retry_after_beyond_the_deadline_gives_the_answer_itself(told):
    assert Stage().clock.time() == 1_800_000_000.0  # 2027-01-15 08:00:00
    assert Stage().run(status(503, retry_after=told)) == (503, 1)
    assert Stage(respect_retry_after=False).run(status(503, retry_after=told)) == (503, 3)


@pytest.mark.parametrize("told", ["0", "never", "Fri, 15 Jan 2027 07:00:00 GMT", "-1"])
def test_a_retry_after_that_is_over_or_nonsense_changes_nothing(told):
    assert Stage().run(status(503, retry_after=told), status(200)) == (200, 2)


class Watched:
    """Waits for the pause, as the edge's own exchange does."""

    def __init__(self, exchange):
        self.aborts = []
        self.exchange = exchange

    def __getattr__(self, name):
        return getattr(self.exchange, name)

    def on_slow(self, abort):
        self.aborts.append(abort)


def test_a_caller_that_leaves_ends_the_pause():
    stage = Stage(backoff=20.0, max_backoff=20.0, chance=0.99)

    async def upstream(passed):
        passed.tried.append("http://1")
        raise RESET

    async def scene():
        exchange = Watched(make_exchange())
        exchange.exchange.tried = []
        call = asyncio.ensure_future(stage.layer.around(exchange, upstream))
        await until(lambda: exchange.aborts)
        exchange.aborts[0](ClientGone())
        exchange.aborts[0](ClientGone())
        with pytest.raises(ClientGone):
            await call

    asyncio.run(scene())


def test_it_waits_as_long_as_the_answer_says():
    """By the loop's clock, which jumps: no time passes here."""
    stage = Stage()
    waits = []

    async def scene():
        loop = asyncio.get_running_loop()
        real = loop.call_later

        def call_later(delay, *args):
            waits.append(delay)
            return real(0, *args)

        loop.call_later = call_later
        answers = [status(503, retry_after="7"), status(200)]

        async def upstream(passed):
            passed.tried.append("http://1")
            return answers.pop(0)

        return await stage.layer.around(make_exchange(), upstream)

    assert asyncio.run(scene()).status == 200
    assert waits == [7.0]


def test_the_budget_ends_a_storm():
    stage = Stage()
    retries = 0
    for _ in range(500):
        stage.run(RESET)
        retries += stage.tries - 1
    assert retries == 10 + 100  # 20 % of 500 calls, and 10 beyond
    assert stage.scope.counts()["upstream_retries_total orders-api reset"] == 110
    assert stage.scope.counts()["budget-spent"] > 0
    assert stage.run(REFUSED, status(200)) == (200, 2)  # a refused connection costs nothing
    stage.clock.advance(10.0)
    assert stage.run(RESET, status(200)) == (200, 2)


def test_the_budget_is_the_upstream_s_whichever_route_spends_it():
    stage = Stage(budget=0.0)
    for _ in range(5):
        stage.run(RESET)
    other = RetryLayer(RetryConfig(budget=0.0), stage.scope.like(level=Level.ROUTE, route="b"), chance=lambda: 0.0)
    elsewhere = RetryLayer(
        RetryConfig(budget=0.0), stage.scope.like(level=Level.ROUTE, upstream="crm"), chance=lambda: 0.0
    )
    stage.layer = other
    assert stage.run(RESET) == (RESET, 1)
    stage.layer = elsewhere
    assert stage.run(RESET) == (RESET, 3)


def test_workers_share_what_goes_beyond_the_budget():
    stage = Stage(budget=0.0, workers=4)
    retries = 0
    for _ in range(20):
        stage.run(RESET)
        retries += stage.tries - 1
    assert retries == 2


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=300), st.floats(0, 1))
def test_property_no_ten_seconds_see_more_retries_than_allowed(play, share):
    budget, now = Budget(), 0.0
    calls, retries = [], []
    for seconds, retry in play:
        now += seconds
        calls.append(now)
        budget.calls.add(now)
        if retry and budget.take(share, 10, now):
            retries.append(now)
            assert sum(now - 10 < one <= now for one in retries) <= 10 + 1 + share * sum(
                now - 10 <= one for one in calls
            )


@given(st.integers(1, 9), st.floats(0, 1, exclude_max=True))
def test_property_jitter_is_full_and_bounded(retry, chance):
    backoff = Backoff(0.05, 1.0)
    assert 0 <= backoff.delay_s(retry, chance) < min(1.0, 0.05 * 2 ** (retry - 1)) + 1e-9
    assert backoff.delay_s(retry, 0.0) == 0


def test_in_shadow_it_counts_and_repeats_nothing():
    stage = Stage(shadow=True)
    exchange = make_exchange()
    assert stage.run(RESET, exchange=exchange) == (RESET, 1)
    assert stage.run(status(503)) == (503, 1)
    assert exchange.codes == []
    assert stage.scope.counts() == {"retry-reset": 1, "retry-503": 1}


def test_what_is_retried_is_noted_for_the_access_log():
    exchange = make_exchange()
    Stage().run(REFUSED, status(503), status(200), exchange=exchange)
    assert exchange.codes == ["retry.connect", "retry.503"]


def test_a_route_without_an_upstream_inherits_none():
    assert POLICY.build(RetryConfig(), FakeScope(policy="retry", upstream="", level=Level.DEFAULTS)) == ()


@pytest.mark.parametrize("wrong", [{"on": ("404",)}, {"on": ()}, {"attempts": 0}, {"backoff": 2.0, "max_backoff": 1.0}])
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        RetryConfig(**wrong)


def complaints(config, timeout=None, upstream_timeout=None):
    beside = {} if timeout is None else {"timeout": TimeoutConfig(**timeout)}
    context = CheckContext(
        Level.UPSTREAM, upstream=UpstreamConfig(targets=["http://a"], timeout=upstream_timeout or {}), beside=beside
    )
    return [(one.path, one.level) for one in POLICY.check(RetryConfig(**config), context)]


def test_a_backoff_beyond_the_deadline_is_a_warning():
    assert complaints({}) == []
    assert complaints({"backoff": 40.0, "max_backoff": 40.0}) == [(("backoff",), "warning")]
    assert complaints({}, timeout={"total": 0.05, "attempt": 0.01}) == [(("backoff",), "warning")]


def test_a_written_timeout_for_which_no_time_is_left_is_a_warning():
    slow = {"upstream_timeout": {"first_byte": 30.0}}
    short = {"total": 5.0, "attempt": 5.0}
    assert complaints({"on": ("timeout",)}, timeout=short, **slow) == [(("on",), "warning")]
    assert complaints({"on": ("timeout",)}, timeout=short) == [(("on",), "warning")]  # first_byte is 10 s
    assert complaints({"on": ("timeout",)}, timeout={"total": 20.0, "attempt": 20.0}) == []
    assert complaints({}, timeout=short, **slow) == []
