"""What a worker uses of the machine, and what would show a leak. Memory and descriptors are told where /proc is, on Linux."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from time import process_time

from gateway.telemetry.metrics import Family, Labels

CPU = Family("sluicegate_worker_cpu_seconds_total", "counter", "Processor seconds that the workers used.")
RESIDENT = Family(
    "sluicegate_worker_resident_bytes", "gauge", "Resident memory of the workers; shared pages count in each."
)

DESCRIPTORS = Family("sluicegate_worker_open_descriptors", "gauge", "Files and sockets that the workers have open.")
TASKS = Family("sluicegate_worker_tasks", "gauge", "Tasks of the workers' event loops.")

_STATM = Path("/proc/self/statm")
_OPEN = "/proc/self/fd"


def process_values() -> Iterator[tuple[Family, Labels, float]]:
    """Called in the event loop of a worker."""
    yield CPU, (), process_time()
    yield TASKS, (), len(asyncio.all_tasks())
    try:
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
        descriptors = _descriptors()
    except OSError:
        return
    yield RESIDENT, (), pages * os.sysconf("SC_PAGE_SIZE")
    yield DESCRIPTORS, (), descriptors


def _descriptors() -> int:
    """Since Linux 6.2 the folder's size; listing ten thousand of them would hold up requests for milliseconds."""
    return os.stat(_OPEN).st_size or len(os.listdir(_OPEN)) - 1  # the listing has one of its own
