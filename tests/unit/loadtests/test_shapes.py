"""Shapes, and the search for the level at which an objective breaks."""

import pytest

from loadtests.load.shapes import CLOSE, SHAPES, Search


def test_shapes_begin_and_peak_as_they_say():
    assert [SHAPES["ramp"].share(passed) for passed in (0.0, 0.5, 1.0)] == [0.0, 0.5, 1.0]
    assert [SHAPES["spike"].share(passed) for passed in (0.0, 0.39, 0.4, 0.59, 0.6)] == [0.2, 0.2, 1.0, 1.0, 0.2]
    assert {SHAPES[name].share(0.3) for name in ("steady", "soak")} == {1.0}


@pytest.mark.parametrize("limit", [3, 40, 100, 101, 777, 1999])
def test_a_search_closes_in_on_the_limit(limit):
    search = Search(100, 2000)
    tried = []
    while search.level is not None:
        tried.append(search.level)
        search.told(search.level <= limit)
    assert search.held <= limit < search.broken <= search.held * CLOSE
    assert len(tried) < 20


def test_a_search_that_nothing_breaks_ends_at_the_most():
    search = Search(100, 300)
    tried = []
    while search.level is not None:
        tried.append(search.level)
        search.told(True)
    assert tried == [100, 150, 225, 300]
    assert (search.held, search.broken) == (300, None)


def test_a_search_in_which_nothing_holds_ends():
    search = Search(100, 300)
    while search.level is not None:
        search.told(False)
    assert search.held == 0.0
