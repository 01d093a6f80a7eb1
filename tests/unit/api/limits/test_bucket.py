"""GCRA itself: nothing admits more than the limit, nothing refuses below it, and waits are true."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.limits.bucket import SLACK, Bucket, debt_after

RATES = st.floats(0.01, 10_000)
BURSTS = st.integers(1, 50)
ARRIVALS = st.lists(st.tuples(st.floats(0, 5), st.integers(1, 3)), max_size=60)  # gap in emission intervals, cost


class Caller:
    """One caller at one bucket, as a gate drives it."""

    def __init__(self, bucket, now=1_000.0):
        self.bucket = bucket
        self.full_at = None
        self.now = now

    def call(self, cost=1):
        debt = debt_after(self.full_at, cost * self.bucket.interval_s, self.now)
        if debt > self.bucket.ceiling_s:
            return self.bucket.wait_s(debt)
        self.full_at = self.now + debt
        return 0


@given(RATES, BURSTS, ARRIVALS)
def test_no_window_admits_more_than_the_limit(rate, burst, arrivals):
    """Over every window: tokens taken <= rate * time + burst."""
    caller = Caller(Bucket.of(rate, burst, highest_cost=3))
    capacity = max(burst, 3)
    admitted = []
    for gap, cost in arrivals:
        caller.now += gap / rate
        if caller.call(cost) == 0:
            admitted.append((caller.now, cost))
    for first in range(len(admitted)):
        taken = 0
        for at, cost in admitted[first:]:
            taken += cost
            assert taken <= rate * (at - admitted[first][0]) + capacity + 1e-3


@given(RATES, BURSTS, ARRIVALS)
def test_a_token_bucket_decides_the_same(rate, burst, arrivals):
    """The textbook bucket, refilled step by step, admits and refuses the same calls (where rounding cannot decide)."""
    caller = Caller(Bucket.of(rate, burst))
    tokens, last = float(burst), caller.now
    for gap, cost in arrivals:
        if cost > burst:
            continue
        caller.now += gap / rate
        tokens = min(burst, tokens + (caller.now - last) * rate)
        last = caller.now
        if abs(tokens - cost) < 1e-4:
            return
        admitted = caller.call(cost) == 0
        assert admitted is (tokens >= cost)
        if admitted:
            tokens -= cost


@given(RATES, BURSTS, ARRIVALS)
def test_whoever_waits_as_told_passes(rate, burst, arrivals):
    caller = Caller(Bucket.of(rate, burst, highest_cost=3))
    for gap, cost in arrivals:
        caller.now += gap / rate
        wait_s = caller.call(cost)
        if wait_s:
            assert wait_s == int(wait_s) >= 1
            caller.now += wait_s
            assert caller.call(cost) == 0


@given(RATES, st.integers(1, 200))
def test_a_full_bucket_gives_exactly_its_burst_at_once(rate, burst):
    caller = Caller(Bucket.of(rate, burst))
    bucket = caller.bucket
    for taken in range(1, burst + 1):
        assert caller.call() == 0
        assert bucket.left(caller.full_at - caller.now) == burst - taken
    assert caller.call() > 0


@given(st.floats(0.1, 100), st.floats(0.1, 100), st.integers(1, 20), st.integers(1, 20))
def test_other_figures_refill_nothing(rate, other_rate, burst, other_burst):
    """Seconds of debt stay what they are, whatever the figures they are read with."""
    caller = Caller(Bucket.of(rate, burst))
    while caller.call() == 0:
        pass
    full_at = caller.full_at
    caller.bucket = Bucket.of(other_rate, other_burst)
    if caller.call() != 0:
        assert caller.full_at == full_at
    else:
        assert caller.full_at > full_at


@pytest.mark.parametrize(
    ("burst", "share", "cost", "tokens"), [(100, 4, 1, 25), (3, 2, 1, 1.5), (2, 8, 1, 1), (10, 8, 5, 5)]
)
def test_a_share_of_a_bucket_still_lets_one_call_through(burst, share, cost, tokens):
    bucket = Bucket.of(10.0, burst, share=share, highest_cost=cost)
    assert bucket.interval_s == pytest.approx(share / 10.0)
    assert bucket.tolerance_s == pytest.approx(tokens * bucket.interval_s)
    assert bucket.left(0.0) == int(tokens)


def test_a_debt_beyond_the_burst_leaves_nothing():
    bucket = Bucket.of(1.0, 5)
    assert bucket.left(7.0) == 0
    assert bucket.wait_s(7.0) == 2


def test_a_time_that_has_passed_counts_as_a_full_bucket():
    assert debt_after(None, 0.5, 10.0) == debt_after(9.0, 0.5, 10.0) == debt_after(10.0, 0.5, 10.0) == 0.5
    assert debt_after(12.0, 0.5, 10.0) == 2.5


def test_the_slack_never_adds_up_to_a_call():
    caller = Caller(Bucket.of(10.0, 1))
    admitted = 0
    for _ in range(5_000):
        caller.now += 0.1 * (1 - SLACK / 2)
        admitted += caller.call() == 0
    assert admitted <= 5_000 * (1 - SLACK / 2) + 1
