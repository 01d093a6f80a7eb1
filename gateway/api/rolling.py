"""Counts over the last seconds. Pure: the time is an argument."""

from __future__ import annotations

PARTS = 10


class RollingCount:
    """Events of the last `window_s` seconds: counted in tenths, so what is between 90 and 100 % of the window old is in or out."""

    __slots__ = ("_counts", "_now_part", "_parts_per_s", "_total", "window_s")

    def __init__(self, window_s: float) -> None:
        self.window_s = window_s
        self._parts_per_s = PARTS / window_s
        self._counts = [0] * PARTS
        self._now_part = 0
        self._total = 0

    def add(self, now: float) -> None:
        part = int(now * self._parts_per_s)
        if part != self._now_part:
            self._turn(part)
        self._counts[part % PARTS] += 1
        self._total += 1

    def total(self, now: float) -> int:
        part = int(now * self._parts_per_s)
        if part != self._now_part:
            self._turn(part)
        return self._total

    def clear(self) -> None:
        self._counts = [0] * PARTS
        self._total = 0

    def _turn(self, part: int) -> None:
        for gone in range(max(self._now_part + 1, part - PARTS + 1), part + 1):
            self._total -= self._counts[gone % PARTS]
            self._counts[gone % PARTS] = 0
        self._now_part = max(part, self._now_part)
