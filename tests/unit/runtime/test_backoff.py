"""Workers that die young wait longer and longer, and never for ever."""

from __future__ import annotations

from gateway.runtime.backoff import FIRST_S, LONGEST_S, STEADY_S, Backoff


def test_the_first_replacement_comes_at_once() -> None:
    assert Backoff().after(1.0) == 0.0


def test_it_doubles_up_to_a_bound() -> None:
    backoff = Backoff()
    waits = [backoff.after(0.1) for _ in range(40)]
    assert waits[:5] == [0.0, FIRST_S, 2 * FIRST_S, 4 * FIRST_S, 8 * FIRST_S]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_S


def test_a_worker_that_lived_is_forgiven() -> None:
    backoff = Backoff()
    for _ in range(10):
        backoff.after(0.1)
    assert backoff.after(STEADY_S) == 0.0
    assert backoff.after(0.1) == FIRST_S
