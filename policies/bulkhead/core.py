"""A limit that follows latency: as many calls at a time as the upstream takes without becoming slower. Pure.

The gradient of Netflix' concurrency-limits: while calls take as long as they do without load, the limit grows by a small
allowance for queueing; when they take longer it shrinks in proportion, at most to half in one step. How long they take
without load is looked at again from time to time, with half the limit: averaged under load, it would creep up with the limit.
"""

from __future__ import annotations

from math import sqrt

FIRST = 20
LEAST = 2
MOST = 1000
TOLERANCE = 1.5  # latencies up to so many times the usual one are no reason to shrink
SMOOTHING = 0.2  # of each step that is taken
SAMPLES = 10  # calls in a step, at least
STEP_S = 0.1  # time of a step, at least
LOOK_STEPS = 300  # after so many steps the latency without load is looked at again: two steps with half the limit


class Adaptive:
    """The limit, and what it is made of. One call to observe() for each call that ended."""

    __slots__ = ("_base_s", "_busiest", "_count", "_left", "_resume", "_sum_s", "_until", "limit")

    def __init__(self, now: float) -> None:
        self.limit = float(FIRST)
        self._base_s = 0.0  # latency without load; 0 while unknown
        self._left = LOOK_STEPS  # steps until the next look; below 0 while looking
        self._resume = self.limit  # the limit after a look
        self._until = now + STEP_S
        self._begin()

    def _begin(self) -> None:
        self._sum_s = 0.0
        self._count = 0
        self._busiest = 0

    def observe(self, latency_s: float, in_use: int, now: float) -> bool:
        """A call took so long, and so many were under way when it ended; True when the limit is another now."""
        self._sum_s += latency_s
        self._count += 1
        self._busiest = max(self._busiest, in_use)
        if now < self._until or self._count < SAMPLES:
            return False
        before = int(self.limit)
        self._step(self._sum_s / self._count)
        self._until = now + STEP_S
        self._begin()
        return int(self.limit) != before

    def _step(self, short_s: float) -> None:
        if not self._base_s or short_s < self._base_s:
            self._base_s = short_s
        if self._left < 0:
            self._look(short_s)
            return
        if self._busiest < self.limit / 2:
            return  # the callers want less than they may: nothing is learned of the limit
        gradient = max(0.5, min(1.0, TOLERANCE * self._base_s / short_s)) if short_s > 0 else 1.0
        wanted = self.limit * gradient + sqrt(self.limit)
        self.limit = min(MOST, max(LEAST, self.limit + SMOOTHING * (wanted - self.limit)))
        self._left -= 1
        if self._left < 0:
            self._resume = self.limit
            self.limit = max(LEAST, self.limit / 2)

    def _look(self, short_s: float) -> None:
        """The first step lets end what was under way; the second is what is looked at."""
        if self._left == -1:
            self._left = -2
            return
        self._base_s = short_s
        self._left = LOOK_STEPS
        self.limit = self._resume
