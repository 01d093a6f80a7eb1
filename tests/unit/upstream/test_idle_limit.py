"""What is learned of an upstream's idle timeout, and what disproves it."""

from __future__ import annotations

import pytest

from gateway.upstream.idle_limit import IdleLimit


def test_nothing_is_known_at_first() -> None:
    limit = IdleLimit(60.0)
    assert (limit.limit_s, limit.learned_s) == (60.0, None)


@pytest.mark.parametrize(("said", "used"), [(1.0, 0.8), (5.0, 4.0), (75.0, 74.0), (0.0, 0.0), (900.0, 60.0)])
def test_what_the_upstream_announces_with_a_margin(said: float, used: float) -> None:
    limit = IdleLimit(60.0)
    limit.announce(said)
    assert limit.limit_s == pytest.approx(min(used, 60.0))
    assert limit.learned_s == said


def test_the_newest_announcement_holds() -> None:
    limit = IdleLimit(60.0)
    limit.announce(5.0)
    limit.announce(30.0)
    assert limit.limit_s == 29.0


def test_two_closes_that_agree_teach() -> None:
    limit = IdleLimit(60.0)
    limit.closed(1.02, 10.0)
    assert limit.learned_s is None
    limit.closed(1.0, 14.0)
    assert limit.learned_s == 1.0
    assert limit.limit_s == pytest.approx(0.8)


def test_closes_of_one_moment_are_one_event() -> None:
    limit = IdleLimit(60.0)
    for age in (3.0, 3.0, 3.01, 2.99):  # a restart, after a burst that left them all idle at once
        limit.closed(age, 10.0)
    assert limit.learned_s is None


def test_closes_that_do_not_agree_teach_nothing() -> None:
    limit = IdleLimit(60.0)
    for now, age in enumerate((1.0, 4.0, 9.0, 2.0)):
        limit.closed(age, 10.0 * now)
    assert limit.learned_s is None


def test_connections_closed_while_nearly_busy_are_no_timer() -> None:
    limit = IdleLimit(60.0)
    for now in range(5):
        limit.closed(0.02, float(now))
    assert limit.learned_s is None


def test_a_connection_that_lives_on_disproves() -> None:
    limit = IdleLimit(60.0)
    limit.closed(2.0, 10.0)
    limit.closed(2.0, 20.0)
    limit.open_at(2.9)
    assert limit.learned_s == 2.0
    limit.open_at(3.1)
    assert (limit.learned_s, limit.limit_s) == (None, 60.0)


def test_a_restart_is_forgotten_and_announcements_are_not() -> None:
    limit = IdleLimit(60.0)
    limit.announce(30.0)
    limit.closed(2.0, 10.0)
    limit.closed(2.0, 20.0)
    assert limit.learned_s == 2.0
    limit.forget()
    assert limit.learned_s == 30.0
    limit.closed(2.0, 30.0)
    assert limit.learned_s == 30.0


def test_what_ops_wrote_is_never_exceeded() -> None:
    limit = IdleLimit(60.0)
    limit.announce(30.0)
    limit.configure(3.0)
    assert limit.limit_s == 3.0
