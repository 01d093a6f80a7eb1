"""breaker in memory: workers of one machine that tell each other."""

import pytest

from gateway.api.errors import Cause, UpstreamError
from gateway.api.policy import Level
from gateway.testing.clock import FakeClock
from gateway.testing.exchange import FakeScope, close, make_exchange, run_layer
from policies.breaker import POLICY
from policies.breaker.config import BreakerConfig

RESET = UpstreamError(Cause.RESET, "head", sent=True)


class Worker:
    def __init__(self, clock, upstream="orders"):
        self.scope = FakeScope(policy="breaker", level=Level.UPSTREAM, clock=clock, upstream=upstream)
        self.layer = POLICY.build(BreakerConfig(failures=1, open=30.0), self.scope)
        self.breaker = self.layer._circuit

    def call(self, fault=None):
        exchange = make_exchange()
        try:
            return run_layer(self.layer, exchange, fault).status if fault else run_layer(self.layer, exchange).status
        except UpstreamError:
            return "reset"
        finally:
            close(exchange)


def spread(*workers):
    """Everybody hears what everybody else said, until nobody says more."""
    while any(worker.scope.orders for worker in workers):
        for worker in workers:
            orders, worker.scope.orders[:] = list(worker.scope.orders), []
            for order in orders:
                for other in workers:
                    if other is not worker:
                        assert other.breaker.carry_out(order) is None


@pytest.fixture
def clock():
    return FakeClock(1_000.0)


@pytest.fixture
def workers(clock):
    return Worker(clock), Worker(clock), Worker(clock)


def test_one_that_opens_opens_the_others_and_closes_them(workers, clock):
    one, *others = workers
    one.call(RESET)
    assert [other.call() for other in others] == [200, 200]
    spread(*workers)
    assert [worker.call() for worker in workers] == [503, 503, 503]
    clock.advance(31.0)
    assert [other.call() for other in others] == [503, 503], "only the owner sends probes"
    assert one.call() == 200
    spread(*workers)
    assert [worker.call() for worker in workers] == [200, 200, 200]


def test_a_probe_that_fails_keeps_all_of_them_open(workers, clock):
    one, other, _ = workers
    one.call(RESET)
    spread(*workers)
    clock.advance(31.0)
    assert one.call(RESET) == "reset"
    spread(*workers)
    clock.advance(29.0)
    assert (one.call(), other.call()) == (503, 503)


def test_when_the_owner_is_gone_another_probes_and_owns(workers, clock):
    one, other, third = workers
    one.call(RESET)
    spread(*workers)
    clock.advance(36.0)
    assert other.call() == 200
    spread(other, third)
    assert third.call() == 200


def test_two_that_open_at_once_have_one_owner(workers, clock):
    one, other, third = workers
    one.call(RESET)
    other.call(RESET)
    spread(*workers)
    clock.advance(31.0)
    assert sorted(worker.call(RESET) == "reset" for worker in workers) == [False, False, True]
    assert third.call() == 503


def test_breakers_of_other_upstreams_do_not_listen(workers, clock):
    one, *_ = workers
    another = Worker(clock, "customers")
    one.call(RESET)
    spread(one, another)
    assert another.call() == 200
    assert another.breaker.carry_out("another order") is None
