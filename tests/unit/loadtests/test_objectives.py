"""Objectives: how they are written, when they hold."""

import pytest

from loadtests.load import objectives
from loadtests.load.objectives import Objective, ObjectivesError
from loadtests.load.recorder import Second, Tally, step_of
from loadtests.load.stage import ROOT
from loadtests.scenarios import SCENARIOS


def seconds(good=990, slow=10, failed=0):
    tally = Tally()
    tally.latencies.update({step_of(5.0): good, step_of(400.0): slow})
    tally.codes.update({"200": good + slow, "503": failed})
    if failed:
        tally.failed["503"] = failed
    return [Second(1000, {"read": tally})]


def test_every_scenario_has_objectives():
    for scenario in SCENARIOS:
        assert objectives.read(ROOT / "loadtests" / "objectives.yaml", scenario)


@pytest.mark.parametrize(
    ("objective", "held"),
    [
        (Objective("read", 99.0, 200.0), True),
        (Objective("read", 99.1, 200.0), False),
        (Objective("read", 100.0, 500.0), True),
        (Objective("write", 50.0, 500.0), False),  # no such call: nothing was shown
        (Objective(errors=0.0), True),
    ],
)
def test_an_objective_holds_or_not(objective, held):
    assert objective.judge(seconds()).held is held


def test_a_call_that_failed_is_within_nothing():
    assert not Objective("read", 99.0, 500.0).judge(seconds(990, 0, failed=11)).held
    assert not Objective(errors=0.01).judge(seconds(990, 0, failed=11)).held
    assert Objective(errors=0.02).judge(seconds(990, 0, failed=11)).held


def test_without_calls_nothing_holds():
    assert not Objective(errors=0.5).judge([]).held


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{call: a, share: 99, within: 200ms}", "percentage"),
        ("{call: a, share: 99%, within: 200}", "duration"),
        ("{call: a, share: 101%, within: 2s}", "percentage"),
        ("{call: a}", "needs call, share and within"),
        ("fast", "write"),
    ],
)
def test_what_is_written_wrong_is_said(tmp_path, row, said):
    path = tmp_path / "objectives.yaml"
    path.write_text(f"partner:\n  - {row}\n")
    with pytest.raises(ObjectivesError, match=said):
        objectives.read(path, "partner")
    with pytest.raises(ObjectivesError, match="no objectives for sse"):
        objectives.read(path, "sse")
