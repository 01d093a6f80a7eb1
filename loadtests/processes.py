"""Processor time and memory of a process with all its children, from /proc. Linux only."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def process_tree(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parent = int(Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry))
    tree, queue = [], [pid]
    while queue:
        one = queue.pop()
        tree.append(one)
        queue += children.get(one, [])
    return tree


def cpu_and_rss(pid: int) -> tuple[float, float]:
    """Processor seconds and MiB of resident memory, summed over the process tree."""
    seconds = memory = 0.0
    for one in process_tree(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        seconds += sum(int(field) for field in fields[11:15]) / TICK  # its own and its reaped children's
        memory += int(fields[21]) * PAGE / 2**20
    return seconds, memory


def resident_bytes(pid: int) -> int:
    """Of this process alone. Raises OSError when it is gone."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def busy_seconds(cores: Collection[int]) -> float:
    """Processor seconds that these cores have spent on anything since the machine began."""
    busy = 0.0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cores:
            user, nice, system, _idle, _iowait, interrupts, soft, stolen = map(int, ticks[:8])
            busy += (user + nice + system + interrupts + soft + stolen) / TICK
    return busy
