"""Open-loop arrivals: calls begin when they are due, whether or not earlier ones have been answered.

A closed loop asks less of a gateway that stalls and so hides the stall (coordinated omission). Here a call that finds every
connection busy waits its turn, and that wait counts: latency runs from the moment at which the call was due.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import gevent
from gevent.queue import Queue

LOOK_S = 0.1  # how long a change of the rate may go unseen


class Arrivals:
    """Puts due times (of time.perf_counter) into `due` at `rate()` a second, at random as independent callers arrive."""

    def __init__(self, rate: Callable[[], float], dice: random.Random) -> None:
        self.due: Queue[float] = Queue()
        self._rate = rate
        self._dice = dice

    def run(self) -> None:
        """For ever; ends when its greenlet is killed."""
        at = time.perf_counter()
        while True:
            rate = self._rate()
            if rate <= 0:
                gevent.sleep(LOOK_S)
                at = time.perf_counter()
                continue
            gap = self._dice.expovariate(rate)
            if gap > LOOK_S and self._waited(at + gap, rate):
                # A Poisson process has no memory: after a change of the rate it may begin anew.
                at = time.perf_counter()
                continue
            at += gap
            gevent.sleep(max(0.0, at - time.perf_counter()))  # sleep(0) too: whoever is late must still let others run
            self.due.put(at)

    def _waited(self, until: float, rate: float) -> bool:
        """Wait in short pieces; True when the rate changed on the way."""
        while (left := until - time.perf_counter()) > LOOK_S:
            gevent.sleep(min(left, LOOK_S))
            if self._rate() != rate:
                return True
        return False
