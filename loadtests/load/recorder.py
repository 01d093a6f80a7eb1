"""What a generating process notes of its calls: a line of JSON for each second, with a histogram of latencies for each name.

Histograms, not samples: memory does not grow with the length of a run, and those of several processes can be added.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

# Steps of 2.5 %: a percentile is true to within that. 0.1 ms is step 0, a minute is step 539.
GROWTH = math.log(1.025)
SMALLEST_MS = 0.1


def step_of(latency_ms: float) -> int:
    return max(0, round(math.log(max(latency_ms, SMALLEST_MS) / SMALLEST_MS) / GROWTH))


def latency_of(step: int) -> float:
    """Milliseconds in the middle of a step."""
    return SMALLEST_MS * math.exp(step * GROWTH)


def percentile(histogram: Mapping[int, int], share: float) -> float:
    """Milliseconds that `share` of the calls (0 to 1) did not exceed; 0.0 without calls."""
    total = sum(histogram.values())
    passed = 0
    for step in sorted(histogram):
        passed += histogram[step]
        if passed >= share * total:
            return latency_of(step)
    return 0.0


@dataclass
class Tally:
    """The calls of one name in one second. `codes` has a status for each answer, `none` for each call without one.

    Latencies are those of the calls that went well: a quick refusal makes nothing look faster.
    """

    latencies: Counter[int] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        self.latencies.update(other.latencies)
        self.codes.update(other.codes)
        self.failed.update(other.failed)
        self.wrong.update(other.wrong)

    @property
    def calls(self) -> int:
        return sum(self.codes.values())

    @property
    def bad(self) -> int:
        return sum(self.failed.values()) + sum(self.wrong.values())


class Recorder:
    """Appends to `path`. `note` is called for each call, `flush` at least once a second and at the end."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("a", encoding="utf-8")
        self._second = int(time.time())
        self._tallies: dict[str, Tally] = {}

    def note(
        self, name: str, latency_ms: float, code: str, failed: str | None = None, wrong: str | None = None
    ) -> None:
        self.flush_past(int(time.time()))
        tally = self._tallies.get(name)
        if tally is None:
            tally = self._tallies[name] = Tally()
        tally.codes[code] += 1
        if wrong is not None:
            tally.wrong[wrong] += 1
        elif failed is not None:
            tally.failed[failed] += 1
        else:
            tally.latencies[step_of(latency_ms)] += 1

    def close(self) -> None:
        self.flush()
        self._file.close()

    def flush_past(self, second: int) -> None:
        if second != self._second:
            self.flush()
            self._second = second

    def flush(self) -> None:
        if self._tallies:
            calls = {name: vars(tally) for name, tally in self._tallies.items()}
            self._file.write(json.dumps({"second": self._second, "calls": calls}) + "\n")
            self._file.flush()
            self._tallies = {}


@dataclass
class Second:
    """What all processes noted in one second."""

    at: int
    calls: dict[str, Tally]


class Notes:
    """What the processes of a run have noted so far, added up; `poll` reads what is new."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._read = dict.fromkeys(paths, 0)
        self._seconds: dict[int, dict[str, Tally]] = {}

    def poll(self) -> None:
        """A line that is being written is left for the next time."""
        for path, read in self._read.items():
            if not path.exists():
                continue
            with path.open("rb") as lines:
                lines.seek(read)
                whole, newline, _ = lines.read().rpartition(b"\n")
            self._read[path] += len(whole) + len(newline)
            for line in whole.splitlines():
                noted = json.loads(line)
                calls = self._seconds.setdefault(noted["second"], {})
                for name, values in noted["calls"].items():
                    calls.setdefault(name, Tally()).add(_tally(values))

    def seconds(self, since: float = 0.0, until: float = math.inf) -> list[Second]:
        """In order; `since` and `until` as time.time() has them."""
        return [Second(at, self._seconds[at]) for at in sorted(self._seconds) if since <= at < until]


def total(seconds: Iterable[Second], names: Iterable[str] | None = None) -> Tally:
    """All calls of these names, or of all."""
    wanted = None if names is None else set(names)
    whole = Tally()
    for second in seconds:
        for name, tally in second.calls.items():
            if wanted is None or name in wanted:
                whole.add(tally)
    return whole


def _tally(values: Mapping[str, Any]) -> Tally:
    latencies = Counter({int(step): count for step, count in values["latencies"].items()})
    return Tally(latencies, Counter(values["codes"]), Counter(values["failed"]), Counter(values["wrong"]))
