"""Each scenario of the load tests for a moment, against a gateway, upstreams and a Redis that were started for it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from loadtests.load.objectives import Objective
from loadtests.load.options import parsed
from loadtests.load.recorder import total
from loadtests.load.run import load, new_run
from loadtests.load.stage import ROOT, own_stage
from loadtests.scenarios import SCENARIOS


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    with own_stage(tmp_path_factory.mktemp("stage"), 1, 2000) as started:
        yield started


@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_a_moment_of_each_scenario(scenario, stage, tmp_path):
    level = "4" if SCENARIOS[scenario].holds else "20"
    options = parsed([scenario, "steady", "--level", level, "--seconds", "2", "--connections", "8", "--processes", "1"])
    run = new_run(options)
    with ExitStack() as started:
        load(options, tmp_path, stage, [Objective(errors=0.0)], run, started)
    assert [verdict for verdict in run.verdicts if not verdict.held] == []
    assert total(run.seconds).calls >= 4
    assert any("gateway cpu s" in sample.values for sample in run.samples)


def test_a_short_soak_loses_nothing_and_watches_what_grows(stage, tmp_path):
    options = parsed(["partner", "soak", "--level", "20", "--seconds", "9", "--connections", "8", "--processes", "1"])
    run = new_run(options)
    with ExitStack() as started:
        load(options, tmp_path, stage, [Objective(errors=0.0)], run, started)
    # what so short a run says of memory means nothing, but that it could be read
    assert [one for one in run.verdicts if not one.held and "resident memory" not in one.asked] == []
    told = {one.asked: one.seen for one in run.verdicts}
    assert "could not be read" not in " ".join(told.values())
    assert len([asked for asked in told if "in the last third" in asked or "do not grow" in asked]) == 6
    reloads, restarts = re.findall(r"\d+", told["configurations and upstreams change while it runs"])
    assert int(reloads) >= 4
    assert int(restarts) >= 1


def test_ctrl_c_still_writes_the_report(tmp_path):
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "loadtests.load",
        "partner",
        "spike",
        "--level",
        "20",
        "--seconds",
        "60",
        "--connections",
        "8",
    ]
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(
            [*command, "--processes", "2", "--out", str(out)],
            cwd=ROOT, stdout=said, stderr=said, env=os.environ | {"TMPDIR": str(tmp_path)},
        )  # fmt: skip
    try:
        assert wait_for_calls(process, tmp_path), (tmp_path / "said").read_text()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130, (tmp_path / "said").read_text()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(30)
    told = json.loads((out / "summary.json").read_text())
    assert told["interrupted"] is True
    assert told["calls"]
    assert (out / "report.html").exists()


def wait_for_calls(process: subprocess.Popen[bytes], folder: Path, limit_s: float = 90) -> bool:
    """Until the generating processes have noted calls in the command's working folder."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until and process.poll() is None:
        if any(path.stat().st_size for path in folder.glob("sluicegate-load-*/calls-*.jsonl")):
            return True
        time.sleep(0.1)
    return False
