"""Leads a run: starts the generating processes, moves the level as the shape says, searches the limit, ends all in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loadtests.load.objectives import Objective, judge
from loadtests.load.plan import Plan, write_level
from loadtests.load.recorder import Notes, percentile, total
from loadtests.load.sampler import Sampler, saturation
from loadtests.load.shapes import Search, Shape
from loadtests.load.stage import ROOT, StageError, tail

TICK_S = 0.25
SETTLE_S = 2.0  # of a step, not judged
QUIET_S = 15.0  # that calls may take to end; a caller's patience is 10
FULL = 0.85  # a resource that is so full on the average of a step counts as saturated

Say = Callable[[str], None]


@contextmanager
def generators(folder: Path, plan: Plan, cores: set[int]) -> Iterator[list[int]]:
    """Locusts that follow the plan; their process ids. Raises StageError when one does not start."""
    plan.write(folder)
    write_level(folder, 0.0)
    users = -(-plan.connections // plan.processes)
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(ROOT / "loadtests" / "locustfile.py"),
        "--headless",
        "--host",
        plan.host,
    ]
    command += [
        "--users",
        str(users),
        "--spawn-rate",
        str(max(users, 100)),
        "--loglevel",
        "WARNING",
        "--exit-code-on-error",
        "0",
        "--only-summary",
    ]
    running: list[subprocess.Popen[bytes]] = []
    logs = [folder / f"locust-{number}.log" for number in range(plan.processes)]
    try:
        for number, log in enumerate(logs):
            environment = os.environ | {"LOADTEST_FOLDER": str(folder), "LOADTEST_PROCESS": str(number)}
            with log.open("wb") as out:
                process = subprocess.Popen(
                    command, cwd=ROOT, env=environment, stdout=out, stderr=out, start_new_session=True
                )
            os.sched_setaffinity(process.pid, cores)
            running.append(process)
        until = time.monotonic() + 60
        while not all((folder / f"ready-{number}").exists() for number in range(plan.processes)):
            for process, log in zip(running, logs, strict=True):
                if process.poll() is not None:
                    raise StageError(f"a generating process ended with {process.returncode}:\n{tail(log, 12)}")
            if time.monotonic() > until:
                raise StageError(f"the generating processes did not start within 60 s:\n{tail(logs[0], 12)}")
            time.sleep(0.05)
        yield [process.pid for process in running]
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Driver:
    """Moves the level and notes when. `levels` is (time, level) of each change."""

    def __init__(self, folder: Path, notes: Notes, say: Say) -> None:
        self.levels: list[tuple[float, float]] = []
        self._folder = folder
        self._notes = notes
        self._say = say

    def set(self, level: float) -> None:
        if not self.levels or self.levels[-1][1] != level:
            self.levels.append((time.time(), level))
            write_level(self._folder, level)

    def follow(self, shape: Shape, level: float, seconds: float) -> None:
        """The whole shape, once."""
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            self.set(level * shape.share(passed / seconds))
            self._progress(f"{passed:.0f} of {seconds:.0f} s")
            time.sleep(TICK_S)
        self.set(0.0)

    def quiet(self) -> None:
        """Wait until calls under way have ended, at most QUIET_S."""
        self.set(0.0)
        until = time.time() + QUIET_S
        while time.time() < until:
            time.sleep(0.5)
            self._notes.poll()
            if not self._notes.seconds(since=int(time.time()) - 2):
                return

    def find_limit(
        self,
        search: Search,
        step_s: float,
        objectives: Sequence[Objective],
        sampler: Sampler,
    ) -> Iterator[dict[str, Any]]:
        """Each step of the search, when it is over: level, whether it held, what was missed, how full what was."""
        while search.level is not None:
            level, began = search.level, time.time()
            self.set(level)
            while (passed := time.time() - began) < SETTLE_S + step_s:
                self._progress(f"step of {level:.0f}: {passed:.0f} of {SETTLE_S + step_s:.0f} s")
                time.sleep(TICK_S)
            self._notes.poll()
            now = time.time()
            seconds = self._notes.seconds(began + SETTLE_S, int(now))
            verdicts = judge(objectives, seconds)
            full = saturation([one for one in sampler.samples if began + SETTLE_S <= one.at <= now], sampler.cores)
            tally = total(seconds)
            held = all(verdict.held for verdict in verdicts) and not sum(tally.wrong.values())
            search.told(held)
            yield {
                "level": round(level, 1),
                "held": held,
                "answered_per_second": round(tally.calls / max(1, len(seconds)), 1),
                "p99_ms": round(percentile(tally.latencies, 0.99), 1),
                "missed": [f"{verdict.asked}: {verdict.seen}" for verdict in verdicts if not verdict.held],
                "full": {name: round(share, 2) for name, share in full.items()},
            }
            if not held:
                self.quiet()
        self.set(0.0)

    def _progress(self, where: str) -> None:
        self._notes.poll()
        last = int(time.time()) - 2  # the last second that every process has written
        tally = total(self._notes.seconds(last, last + 1))
        self._say(
            f"{where}   {self.levels[-1][1]:.0f} asked for, {tally.calls} answered a second, "
            f"p99 {percentile(tally.latencies, 0.99):.1f} ms, {tally.bad} failed"
        )


def saturated_first(steps: Sequence[dict[str, Any]]) -> str:
    """The fullest resource of the lowest step in which one was full; where none was, what came nearest in the step that broke first."""
    ordered = sorted(steps, key=lambda step: float(step["level"]))
    for step in ordered:
        full = {name: share for name, share in step["full"].items() if share >= FULL}
        if full:
            return f"{_fullest(full)} ({max(full.values()):.0%})"
    broke = next((step["full"] for step in ordered if not step["held"] and step["full"]), {})
    if not broke:
        return "unknown: nothing could be watched"
    return f"nothing that was watched; nearest to it: {_fullest(broke)} ({max(broke.values()):.0%})"


def _fullest(full: Mapping[str, float]) -> str:
    return max(full, key=lambda name: full[name])
