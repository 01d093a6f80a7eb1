"""`scripts/bench`: what it measures runs, and a slower machine is no regression."""

import pytest

from loadtests.bench import LIMIT, compared, main, ratios
from loadtests.micro.hot import BENCHES, CALIBRATION


@pytest.mark.parametrize("name", list(BENCHES))
def test_each_benchmark_runs(name):
    work = BENCHES[name][0]()
    work()
    work()


def test_a_slower_machine_is_no_regression_and_slower_code_is():
    medians = {CALIBRATION: 2e-6, "a": 4e-6, "b": 1e-6}
    slower_machine = {name: seconds * 3 for name, seconds in medians.items()}
    recorded = ratios(medians)
    assert recorded == {"a": 2.0, "b": 0.5}
    assert compared(ratios(slower_machine), recorded, slower_machine)[1]
    slower_code = {**medians, "b": medians["b"] * LIMIT * 1.01}
    rows, good = compared(ratios(slower_code), recorded, slower_code)
    assert not good
    assert [row.split()[0] for row in rows if "SLOWER" in row] == ["b"]


def test_what_was_never_recorded_is_no_regression():
    assert compared({"new": 1.0}, {}, {CALIBRATION: 1.0, "new": 1.0})[1]


def test_a_benchmark_that_does_not_exist_is_answered_with_those_that_do(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--bench", "GCRA"])
    assert ended.value.code == 2
    assert "gcra: a limit in memory" in capsys.readouterr().err
