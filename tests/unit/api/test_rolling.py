"""rolling counts: what is in the window counts, what is older does not."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.api.rolling import RollingCount


@given(st.lists(st.floats(0, 5), max_size=200), st.floats(0.1, 60))
def test_property_between_nine_tenths_and_the_whole_window_is_counted(steps, window):
    count, now, events = RollingCount(window), 100.0, []
    for step in steps:
        now += step
        count.add(now)
        events.append(now)
        slack = 1e-6 * window
        assert sum(now - one < 0.9 * window - slack for one in events) <= count.total(now)
        assert count.total(now) <= sum(now - one < window + slack for one in events)


def test_it_begins_anew():
    count = RollingCount(10.0)
    count.add(1.0)
    count.clear()
    assert count.total(1.0) == 0
    assert count.total(500.0) == 0
