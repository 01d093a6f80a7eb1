"""The report: everything in one folder, nothing from the network, what others sent is text."""

import json
import re

import pytest

from loadtests.load import report
from loadtests.load.drive import saturated_first
from loadtests.load.objectives import Verdict
from loadtests.load.plots import plot
from loadtests.load.recorder import Second, Tally, step_of
from loadtests.load.sampler import Cores, Sample, saturation, scraped


def a_run(held=True):
    tally = Tally()
    tally.latencies.update({step_of(5.0): 99})
    tally.codes.update({"200": 99, "429": 1})
    tally.failed["429 <script>"] = 1
    run = report.Run("partner", "steady", "http://gw", "calls/s", 100, 1000.0, 1002.0, "a machine")
    run.levels = [(1000.0, 100.0), (1002.0, 0.0)]
    run.seconds = [Second(1000, {"read": tally}), Second(1001, {"read": tally})]
    run.samples = [Sample(1000.0 + n, {"gateway cpu s": n * 0.5, "gateway bytes": 2.0**20}) for n in range(3)]
    run.verdicts = [Verdict("something", held, "seen")]
    return run


def test_a_report_is_one_folder_without_network(tmp_path):
    report.write(tmp_path / "out", a_run())
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<script" not in page
    assert not re.search(r"(src|href)=", page)
    assert page.count("<svg") == 5  # of calls in the gateway nothing was sampled
    assert "Nothing was seen of it" in page
    told = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert told["held"] is True
    assert told["calls"]["read"]["calls"] == 200
    assert told["calls"]["read"]["codes"] == {"200": 198, "429": 2}
    assert (tmp_path / "out" / "machine.txt").read_text() == "a machine\n"


def test_a_missed_objective_is_seen():
    assert "missed" in report.page(a_run(held=False))
    assert report.summary(a_run(held=False))["held"] is False


def test_what_is_recorded_has_machine_verdicts_and_the_steps_of_a_search():
    run = a_run(held=False)
    run.limit = {"held": 40, "steps": [
        {"level": 40, "held": True, "p99_ms": 12.0, "full": {"processor": 0.9, "Redis": 0.01}},
        {"level": 60, "held": False, "p99_ms": 900.0, "full": {"processor": 1.0}},
    ]}  # fmt: skip
    kept = report.recorded(report.summary(run))
    assert "a machine\n" in kept
    assert "| something | **missed** | seen |" in kept
    assert "| read | 200 |" in kept
    assert "| 40 | held | 12 | processor 90% |" in kept


@pytest.mark.parametrize(
    ("full", "said"),
    [
        ([{"processor": 0.5}, {"processor": 0.9, "Redis": 0.1}], "processor (90%)"),
        ([{"processor": 0.2}, {"processor": 0.6, "Redis": 0.1}], "nothing that was watched; nearest to it: processor (60%)"),
        ([{}, {}], "unknown: nothing could be watched"),
    ],
)  # fmt: skip
def test_what_saturated_first_is_named_whatever_was_seen(full, said):
    steps = [{"level": 10 * (n + 1), "held": n == 0, "full": one} for n, one in enumerate(full)]
    assert saturated_first(steps) == said


def test_other_programs_on_the_gateways_cores_are_told_of():
    samples = [
        Sample(0.0, {"gateway cpu s": 0.0, "gateway cores s": 0.0}),
        Sample(2.0, {"gateway cpu s": 0.8, "gateway cores s": 1.9}),
    ]
    full = saturation(samples, Cores(frozenset({0}), frozenset({1}), 1.0))
    assert full == {"processor": 0.4, "processor, together with other programs of this machine": 0.95}


def test_plots_take_what_comes():
    assert "<polyline" in plot("t", "ms", {"one": [(0.0, 0.0)]}, logarithmic=True)
    assert "<polyline" in plot("t", "ms", {"zero": [(0.0, 0.0), (1.0, 0.0)]})
    assert "<svg" not in plot("t", "ms", {})


def test_what_a_scrape_tells_and_what_is_full():
    text = "".join(
        f"# TYPE {name} {kind}\n{name}{labels} {value}\n"
        for name, kind, labels, value in (
            ("sluicegate_worker_cpu_seconds_total", "counter", "", 2.5),
            ("sluicegate_workers_alive", "gauge", "", 1),
            ("sluicegate_upstream_waiting_calls", "gauge", '{upstream="a",target="b"}', 3),
        )
    )
    assert scraped(text) == {"gateway cpu s": 2.5, "workers": 1.0, "waiting for a connection": 3.0}
    samples = [
        Sample(0.0, {"gateway cpu s": 0.0, "upstreams cpu s": 0.0, "waiting for a connection": 0}),
        Sample(2.0, {"gateway cpu s": 1.8, "upstreams cpu s": 0.2, "waiting for a connection": 0}),
    ]
    full = saturation(samples, Cores(frozenset({0}), frozenset({1}), 1.0))
    assert (round(full["processor"], 2), round(full["upstream"], 2), full["connections"]) == (0.9, 0.1, 0.0)
