"""timeout: the bounds that an exchange gets, and what is counted in shadow."""

import asyncio

import pytest
from pydantic import ValidationError

from gateway.testing.clock import FakeClock
from gateway.testing.exchange import OK, FakeScope, make_exchange, run_layer
from policies.timeout import POLICY
from policies.timeout.config import TimeoutConfig


@pytest.mark.parametrize(
    ("config", "deadline", "attempt_s"),
    [
        ({}, 1_030.0, 10.0),
        ({"total": "5s", "attempt": "2s"}, 1_005.0, 2.0),
        ({"total": "2m", "attempt": "1m"}, 1_120.0, 60.0),
        ({"total": "5s"}, 1_005.0, 5.0),
    ],
)
def test_the_route_s_bounds_replace_the_first_ones(config, deadline, attempt_s):
    exchange = make_exchange(started=1_000.0)
    assert POLICY.build(TimeoutConfig(**config), FakeScope()).check(exchange) is None
    assert (exchange.deadline, exchange.attempt_s) == (deadline, attempt_s)


def test_in_shadow_late_calls_are_counted_and_nothing_is_bounded():
    clock = FakeClock(1_000.0)
    scope = FakeScope(shadow=True, clock=clock)
    layer = POLICY.build(TimeoutConfig(total="5s"), scope)
    exchange = make_exchange(started=1_000.0)

    def slow(passed):
        clock.advance(6)
        return OK

    assert run_layer(layer, exchange, OK).status == 200
    assert run_layer(layer, exchange, slow).status == 200
    assert exchange.deadline == 1_030.0
    with pytest.raises(asyncio.CancelledError):
        run_layer(layer, exchange, asyncio.CancelledError())
    assert scope.counts() == {"allow": 1, "refuse": 2}


def test_no_time_at_all_is_a_mistake():
    with pytest.raises(ValidationError, match="greater than 0"):
        TimeoutConfig(total="0s")
