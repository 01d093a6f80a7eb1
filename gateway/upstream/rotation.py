"""Which targets of an upstream are called: left out for failing calls or checks, led in slowly. Pure: time is an argument.

1. A target whose active checks fail is out, one whose calls fail is ejected for a while.
2. Ejections never leave fewer than `max_ejected` allows, and count those that are out by their checks.
3. Failing checks leave half of the targets in, those that went out last, so that one wrong idea of health cannot turn
   everything away; but when no target passes its checks, all are out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from gateway.api.settings.upstream import Outlier

LONGEST_TIMES = 10  # ejections in a row lengthen the next up to this; Envoy: 300 s, ten times its 30 s
RAMP_FLOOR = 0.1  # a target in slow start gets at least this part of its share, or it would never warm up


@dataclass(eq=False, slots=True)
class TargetStanding:
    """How one target does."""

    failures: int = 0
    """Failed calls in a row."""
    healthy: bool = True
    """As its active checks say."""
    ejected_until: float = -inf
    times: int = 0
    """Ejections in a row, the present one included."""
    ejections: int = 0
    """Ejections so far."""
    out: bool = False
    """Not called while others are there."""
    ramp_from: float = -inf
    since: float = 0.0
    """When it came to stand as it does."""
    why: str = ""
    """What the last verdict was about; for ops."""
    ejected: bool = False

    def share(self, now: float, slow_start_s: float) -> float:
        """The part of its calls that it gets, while it is led in."""
        elapsed = now - self.ramp_from
        return 1.0 if elapsed >= slow_start_s else max(RAMP_FLOOR, elapsed / slow_start_s)


class Rotation:
    """The standings of one upstream's targets, changed by what becomes of calls and checks.

    Methods that judge return whether the set of targets that are called has changed.
    """

    def __init__(self, outlier: Outlier | None, slow_start_s: float) -> None:
        self.members: Sequence[TargetStanding] = ()
        self.review_at = inf
        """When an ejection ends or a slow start does: call review() then."""
        self.slow_start_s = slow_start_s
        self._outlier = outlier

    def configure(
        self, outlier: Outlier | None, slow_start_s: float, members: Iterable[TargetStanding], now: float
    ) -> None:
        """Other parameters or other members; who newly joins those that serve already is led in slowly."""
        joined = set(members) - set(self.members) if self.members else set()
        self.members = list(members)
        self._outlier, self.slow_start_s = outlier, slow_start_s
        for one in joined:
            one.ramp_from = now
        for one in self.members:
            if one.ejected and (outlier is None or not self._room(without=one)):
                self._readmit(one, now)
        self._settle(now)

    def succeeded(self, one: TargetStanding) -> None:
        """A call was answered, to its last byte."""
        one.failures = 0

    def failed(self, one: TargetStanding, why: str, now: float) -> bool:
        """A call failed, and it was the target's fault."""
        one.failures += 1
        outlier = self._outlier
        if outlier is None or one.ejected or one.failures < outlier.failures or not self._room(without=one):
            return False
        # served well for as long as it was out the last time: the row of ejections is over
        last = outlier.eject * min(one.times, LONGEST_TIMES)
        one.times = one.times + 1 if now - one.ejected_until < last else 1
        one.ejections += 1
        one.ejected = True
        one.ejected_until = now + outlier.eject * min(one.times, LONGEST_TIMES)
        one.since, one.why = now, f"{one.failures} failed calls in a row, the last: {why}"
        return self._settle(now)

    def checked(self, one: TargetStanding, *, healthy: bool, why: str, now: float) -> bool:
        """Active checks came to another verdict. One that recovers is readmitted, if it was ejected too."""
        one.healthy = healthy
        one.since, one.why = now, why
        if healthy:
            if one.ejected:
                self._readmit(one, now)
            one.ramp_from = now
        return self._settle(now)

    def review(self, now: float) -> bool:
        """Let those return whose time is over."""
        for one in self.members:
            if one.ejected and one.ejected_until <= now:
                self._readmit(one, now)
        return self._settle(now)

    def ramping(self, now: float) -> bool:
        """Some target is led in slowly."""
        return any(one.ramp_from + self.slow_start_s > now for one in self.members)

    def state(self, one: TargetStanding, now: float) -> str:
        """A word for ops."""
        if not one.healthy:
            return "unhealthy"
        if one.ejected:
            return "ejected"
        return "slow_start" if one.ramp_from + self.slow_start_s > now else "in"

    def _room(self, *, without: TargetStanding) -> bool:
        """One more may be ejected."""
        if self._outlier is None:
            return False
        gone = sum(1 for one in self.members if one is not without and (one.ejected or not one.healthy))
        # rounded down: a single target is never ejected. A tiny allowance, because 1/3 of 3 is 1.
        return gone + 1 <= int(self._outlier.max_ejected * len(self.members) + 1e-9)

    def _readmit(self, one: TargetStanding, now: float) -> None:
        one.ejected = False
        one.ejected_until = min(one.ejected_until, now)
        one.ramp_from = one.since = now
        one.why = "back from ejection"

    def _settle(self, now: float) -> bool:
        """Decide who is out; whether that changed."""
        before = [one.out for one in self.members]
        for one in self.members:
            one.out = one.ejected or not one.healthy
        if any(one.healthy for one in self.members):
            lacking = -(-len(self.members) // 2) - sum(not one.out for one in self.members)
            if lacking > 0:
                for one in sorted((one for one in self.members if one.out), key=_least_bad)[:lacking]:
                    one.out = False
        ends = [one.ejected_until for one in self.members if one.ejected]
        ends += [end for one in self.members if (end := one.ramp_from + self.slow_start_s) > now]
        self.review_at = min(ends, default=inf)
        return before != [one.out for one in self.members]


def _least_bad(one: TargetStanding) -> tuple[bool, float]:
    return not one.healthy, -one.since
