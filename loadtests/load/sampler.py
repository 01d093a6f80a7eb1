"""What the gateway and its neighbours use while a run lasts: once a second, from `/metrics` and, of own processes, from /proc."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import httpx
from prometheus_client.parser import text_string_to_metric_families

from loadtests.processes import busy_seconds, cpu_and_rss, resident_bytes

EVERY_S = 1.0
SEEN = {
    "sluicegate_worker_cpu_seconds_total": "gateway cpu s",
    "sluicegate_worker_resident_bytes": "gateway bytes",
    "sluicegate_worker_open_descriptors": "gateway descriptors",
    "sluicegate_worker_tasks": "gateway tasks",
    "sluicegate_upstream_connections": "upstream connections",
    "sluicegate_in_flight_requests": "in flight",
    "sluicegate_upstream_waiting_calls": "waiting for a connection",
    "sluicegate_workers_alive": "workers",
}


@dataclass(frozen=True)
class Sample:
    """Values at a time of time.time(); seconds of processors count up."""

    at: float
    values: dict[str, float]


@dataclass(frozen=True)
class Cores:
    """Of this machine: those of a gateway that was started for the run, and those of all else."""

    gateway: frozenset[int] = frozenset()
    others: frozenset[int] = frozenset()
    gateway_share: float = 0.0
    """Cores that the gateway's workers may use together; 0 where that is not known."""


@dataclass
class Sampler:
    """A thread of its own, from `start` to `stop`. A scrape that fails leaves its values out, and is counted."""

    ops: str
    ops_token: str
    parts: Mapping[str, Sequence[int]]
    cores: Cores
    samples: list[Sample] = field(default_factory=list)
    failures: int = 0

    def start(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(5)

    def _run(self) -> None:
        headers = {"Authorization": f"Bearer {self.ops_token}"} if self.ops_token else {}
        with httpx.Client(headers=headers, timeout=5.0) as client:
            while not self._ended.is_set():
                values = {
                    f"{name} cpu s": sum(cpu_and_rss(pid)[0] for pid in pids)
                    for name, pids in self.parts.items()
                    if name != "gateway"  # it says so itself
                }
                values["gateway cores s"] = busy_seconds(self.cores.gateway)
                values["other cores s"] = busy_seconds(self.cores.others)
                values |= supervisor(self.parts.get("gateway", ()))
                if self.ops:
                    try:
                        values |= scraped(client.get(f"{self.ops}/metrics").raise_for_status().text)
                    except (httpx.HTTPError, ValueError):
                        self.failures += 1
                self.samples.append(Sample(time.time(), values))
                self._ended.wait(EVERY_S)


def supervisor(pids: Sequence[int]) -> dict[str, float]:
    """What the gateway's first process has, which is in no metric; nothing where it is not ours to see, or gone."""
    try:
        return (
            {
                "supervisor bytes": float(sum(resident_bytes(pid) for pid in pids)),
                "supervisor descriptors": float(sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)),
            }
            if pids
            else {}
        )
    except OSError:
        return {}


def scraped(text: str) -> dict[str, float]:
    """The families that SEEN names, summed over their labels."""
    values: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            if one.name in SEEN:
                values[SEEN[one.name]] = values.get(SEEN[one.name], 0.0) + one.value
    return values


def busy(samples: Sequence[Sample], value: str) -> Iterator[tuple[float, float]]:
    """(time, cores that were busy) between each two samples that have this value."""
    have = [sample for sample in samples if value in sample.values]
    for one, other in itertools.pairwise(have):
        yield other.at, max(0.0, other.values[value] - one.values[value]) / (other.at - one.at)


def series(samples: Sequence[Sample], value: str) -> Iterator[tuple[float, float]]:
    return ((sample.at, sample.values[value]) for sample in samples if value in sample.values)


FOREIGN = 0.15  # of a core: programs that have no part in the run and take more are told of
TOGETHER = ", together with other programs of this machine"


def saturation(samples: Sequence[Sample], cores: Cores) -> dict[str, float]:
    """How full each resource was on the average of these samples: 1.0 is full. Only what could be seen."""

    def mean(value: str) -> float | None:
        found = [amount for _, amount in busy(samples, value)]
        return sum(found) / len(found) if found else None

    full: dict[str, float] = {}
    others = 0.0
    for name, value in (("upstream", "upstreams cpu s"), ("Redis", "redis cpu s")):
        if (used := mean(value)) is not None:
            full[name] = used  # each has one core's worth of Python, or of Redis
            others += used
    if (used := mean("generators cpu s")) is not None and cores.others:
        full["load generator"] = used / len(cores.others)
        others += used
        _cores_of(full, "core of load, upstream and Redis", others, mean("other cores s"), len(cores.others))
    if (used := mean("gateway cpu s")) is not None:
        full["processor"] = used / (cores.gateway_share or 1.0)
        _cores_of(full, "", used, mean("gateway cores s"), len(cores.gateway))
    waiting = [amount for _, amount in series(samples, "waiting for a connection")]
    if waiting:
        full["connections"] = 1.0 if sum(waiting) / len(waiting) >= 1 else 0.0
    return full


def _cores_of(full: dict[str, float], name: str, ours: float, every: float | None, cores: int) -> None:
    """Cores that the run's own processes fill, or that others help to fill."""
    if name and cores:
        full[name] = ours / cores
    if every is not None and cores and every - ours > FOREIGN * cores:
        full[f"{name or 'processor'}{TOGETHER}"] = every / cores
