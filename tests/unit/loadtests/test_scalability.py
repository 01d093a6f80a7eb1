"""The Universal Scalability Law: what was put in comes out, and plans are the fewest processes that do."""

import math

import pytest

from loadtests.load.scalability import Law, fit, fits


@pytest.mark.parametrize("law", [Law(400, 0.05, 0.01), Law(1000, 0.0, 0.0), Law(250, 0.2, 0.0), Law(90, 0.0, 0.02)])
def test_a_law_is_found_again(law):
    found = fit({n: law.throughput(n) for n in (1, 2, 4)})
    assert found.rate == pytest.approx(law.rate)
    assert found.contention == pytest.approx(law.contention, abs=1e-6)
    assert found.coherence == pytest.approx(law.coherence, abs=1e-6)
    assert found.throughput(3) == pytest.approx(law.throughput(3))


def test_more_than_linear_is_taken_for_linear():
    found = fit({1: 100, 2: 210, 4: 440})
    assert (found.contention, found.coherence) == (0, 0)
    assert 100 < found.rate < 110


def test_the_knee_and_the_plan():
    law = Law(100, 0.1, 0.01)
    assert law.knee == pytest.approx(math.sqrt(90))
    planned = law.processes_for(300)
    assert law.throughput(planned) >= 300 > law.throughput(planned - 1)
    assert law.processes_for(10_000) is None
    assert Law(100, 0, 0).knee == math.inf


def test_each_choice_of_runs_is_fitted():
    assert len(fits({1: [100, 101], 2: [190], 4: [350, 360]})) == 4


@pytest.mark.parametrize("measured", [{1: 10, 2: 20}, {1: 10, 2: 0, 4: 30}])
def test_too_little_is_refused(measured):
    with pytest.raises(ValueError, match="at least three"):
        fit(measured)
