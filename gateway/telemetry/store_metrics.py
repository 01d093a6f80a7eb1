"""What is reported of stores: whether each can be used, how often it went away, how many processes share it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.api.standing import Standing
from gateway.telemetry.metrics import Family, Labels

DEGRADED = Family(
    "sluicegate_store_degraded", "gauge", "1 while a store cannot be used, in any worker.", ("store",), merge="max"
)
SWITCHES = Family("sluicegate_store_switches_total", "counter", "Times a store went away.", ("store",))
PROCESSES = Family(
    "sluicegate_store_processes",
    "gauge",
    "Processes that share a store, as they were last known.",
    ("store",),
    merge="max",
)


def store_values(standings: Iterable[tuple[str, Standing]]) -> Iterator[tuple[Family, Labels, float]]:
    """A store that is open twice (for what may be lost, and for what must not) is reported as one."""
    together: dict[str, list[Standing]] = {}
    for name, standing in standings:
        together.setdefault(name, []).append(standing)
    for name, several in together.items():
        yield DEGRADED, (name,), float(not all(each.available for each in several))
        yield SWITCHES, (name,), sum(each.switches for each in several)
        yield PROCESSES, (name,), max(each.processes for each in several)
