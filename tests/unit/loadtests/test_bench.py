"""`scripts/bench`: what it measures runs, and a slower machine is no regression."""

import subprocess
from pathlib import Path

import pytest

from loadtests.bench import LIMIT, PEERS, compared, main, ratios
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


def test_peers_are_all_measured_whatever_failed(monkeypatch):
    ran = []

    def run(command, cwd):
        ran.append((Path(command[1]).name, *command[2:]))
        return subprocess.CompletedProcess(command, 3 if len(ran) == 1 else 0)

    monkeypatch.setattr(subprocess, "run", run)
    assert main(["peers", "--fast"]) == 3
    assert ran == [(*one, "--rounds", "1", "--seconds", "1") for one in PEERS]
    ran.clear()
    assert main(["peers", "--record"]) == 3
    assert ran == [(*one, "--record") for one in PEERS]


@pytest.mark.parametrize("more", [["--fast", "--record"], ["--bench", "gcra"]])
def test_what_peers_do_not_take(more, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["peers", *more])
    assert ended.value.code == 2
    assert more[0] in capsys.readouterr().err
