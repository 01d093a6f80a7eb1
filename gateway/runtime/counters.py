"""What a worker tells the supervisor of itself, in pieces that hold up nobody. Counts nothing."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import Any

from gateway.telemetry.metrics import Report


@dataclass(frozen=True, slots=True)
class Counters:
    """One worker's, at one moment."""

    process: str  # tells it apart from every other that there was
    parts: tuple[bytes, ...]  # of the report, pickled one by one: in one piece it would hold the loop
    upstreams: dict[str, Any]  # statistics by upstream
    standings: dict[str, Any] = field(default_factory=dict)  # how their targets stand and why, by upstream

    def report(self) -> Report:
        whole = Report()
        for part in self.parts:
            whole.add(pickle.loads(part))  # noqa: S301 - made by a worker's plane, in a process that we started
        return whole
