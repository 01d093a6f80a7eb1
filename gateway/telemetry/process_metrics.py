"""What a worker uses of the machine: processor time and resident memory. Memory is told where /proc is, on Linux."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from time import process_time

from gateway.telemetry.metrics import Family, Labels

CPU = Family("sluicegate_worker_cpu_seconds_total", "counter", "Processor seconds that the workers used.")
RESIDENT = Family(
    "sluicegate_worker_resident_bytes", "gauge", "Resident memory of the workers; shared pages count in each."
)

_STATM = Path("/proc/self/statm")


def process_values() -> Iterator[tuple[Family, Labels, float]]:
    yield CPU, (), process_time()
    try:
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
    except OSError:
        return
    yield RESIDENT, (), pages * os.sysconf("SC_PAGE_SIZE")
