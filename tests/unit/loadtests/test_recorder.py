"""Notes of calls: true to 2.5 %, added up over processes, read while they are written."""

import pytest

from loadtests.load import recorder
from loadtests.load.recorder import Notes, Recorder, Tally, latency_of, percentile, step_of, total


@pytest.mark.parametrize("latency_ms", [0.1, 0.73, 5.0, 99.0, 12_345.0])
def test_a_latency_is_kept_to_within_a_step(latency_ms):
    assert latency_of(step_of(latency_ms)) == pytest.approx(latency_ms, rel=0.0125)


def test_percentiles():
    tally = Tally()
    for latency_ms in range(1, 1001):
        tally.latencies[step_of(latency_ms)] += 1
    assert percentile(tally.latencies, 0.5) == pytest.approx(500, rel=0.03)
    assert percentile(tally.latencies, 0.99) == pytest.approx(990, rel=0.03)
    assert percentile({}, 0.99) == 0.0


def test_processes_are_added_up_and_half_a_line_is_left_for_later(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder.time, "time", lambda: 1000.5)
    paths = [tmp_path / "calls-0.jsonl", tmp_path / "calls-1.jsonl", tmp_path / "not-yet.jsonl"]
    for path in paths[:2]:
        one = Recorder(path)
        one.note("read", 5.0, "200")
        one.note("read", 1.0, "503", failed="503 upstream.connect")
        one.note("read", 1.0, "200", wrong="another's")
        one.close()
    whole = paths[1].read_bytes()
    paths[1].write_bytes(whole[:20])
    notes = Notes(paths)
    notes.poll()
    assert total(notes.seconds()).calls == 3
    paths[1].write_bytes(whole)
    notes.poll()
    notes.poll()
    tally = total(notes.seconds(), ["read"])
    assert (tally.calls, tally.bad, sum(tally.latencies.values())) == (6, 4, 2)
    assert tally.codes == {"200": 4, "503": 2}
    assert notes.seconds(since=1001) == []
    assert total(notes.seconds(), ["other"]).calls == 0
