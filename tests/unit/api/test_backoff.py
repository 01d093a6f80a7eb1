"""Waits between tries."""

import pytest

from gateway.api.backoff import doubled_s
from gateway.api.problem import retry_after


@pytest.mark.parametrize(("failures", "wait_s"), [(0, 0.0), (1, 0.5), (2, 1.0), (3, 2.0), (4, 3.0), (10_000, 3.0)])
def test_waits_double(failures, wait_s):
    assert doubled_s(failures, 0.5, 3.0) == wait_s


@pytest.mark.parametrize(("seconds", "told"), [(0.0, b"1"), (0.2, b"1"), (1, b"1"), (1.2, b"2"), (30, b"30")])
def test_callers_are_told_whole_seconds_and_one_at_least(seconds, told):
    assert retry_after(seconds) == (b"retry-after", told)
