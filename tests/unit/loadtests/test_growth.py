"""What a soak judges: thirds against each other, and calls that were lost."""

import pytest

from loadtests.load import growth
from loadtests.load.recorder import Second, Tally
from loadtests.load.sampler import Sample

STILL = {"gateway bytes": 1e8, "gateway tasks": 14, "upstream connections": 7, "gateway descriptors": 90}


def samples(**grows: float) -> list[Sample]:
    """A sample a second of a run of 90 s; what grows does so by that much a second."""
    rises = {name.replace("_", " "): by for name, by in grows.items()}
    return [
        Sample(float(at), {name: value + at * rises.get(name, 0) for name, value in STILL.items()}) for at in range(90)
    ]


def test_what_stands_still_holds():
    assert [one for one in growth.verdicts(samples(), 0, 90) if not one.held] == []


@pytest.mark.parametrize(
    ("grows", "asked"),
    [
        ({"gateway_bytes": 1e5}, "resident memory of the workers"),
        ({"gateway_tasks": 0.1}, "tasks do not grow"),
        ({"upstream_connections": 0.1}, "connections to upstreams"),
        ({"gateway_descriptors": 0.1}, "files and sockets of the workers"),
    ],
)
def test_one_lost_with_each_reload_is_seen(grows, asked):
    (missed,) = [one for one in growth.verdicts(samples(**grows), 0, 90) if not one.held]
    assert missed.asked.startswith(asked)


def test_what_warms_up_in_the_first_third_is_no_growth():
    warming = [Sample(float(at), {**STILL, "gateway bytes": 1e8 + 1e6 * min(at, 30)}) for at in range(90)]
    assert all(one.held for one in growth.verdicts(warming, 0, 90))


def test_what_could_not_be_read_is_not_called_good():
    assert not any(one.held for one in growth.verdicts([Sample(float(at), {}) for at in range(90)], 0, 90))


def test_a_lost_request_is_counted_and_one_that_was_tried_again_is_not():
    went, again, lost = Tally(), Tally(), Tally()
    went.codes["200"] = 5
    again.codes["503"] = 1
    lost.codes["none"] = 1
    lost.failed["no answer"] = 1
    calls = {"create order": went, "create order, tried again": again}
    assert growth.nothing_lost([Second(0, calls)]).held
    assert growth.nothing_lost([Second(0, calls)]).seen == "0 of 6; 1 were tried again"
    assert not growth.nothing_lost([Second(0, {**calls, "read order": lost})]).held
