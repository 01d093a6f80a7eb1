"""GCRA: a token bucket in one number, the time when it will be full again. Knows no keys, stores, HTTP or clock.

A bucket of `burst` tokens refilled at `rate` is full when that time is not in the future, and empty when it lies
`burst / rate` seconds ahead. Taking n tokens moves it by n / rate seconds (ITU-T I.371, virtual scheduling). What is
missing to a full bucket is called its debt here, in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

SLACK = 1e-6  # of a token: covers the rounding of binary fractions, and never adds up to a token


@dataclass(frozen=True, slots=True)
class Bucket:
    """The parameters of a bucket, applied to whatever time is stored for it: another rate refills nothing."""

    interval_s: float  # between two tokens
    tolerance_s: float  # the debt of an empty bucket
    ceiling_s: float  # the largest debt that is let through
    per_s: float  # tokens a second

    @classmethod
    def of(cls, rate_per_s: float, burst: float, *, share: int = 1, highest_cost: float = 1.0) -> Bucket:
        """One of `share` equal parts of a bucket, which still lets a call of `highest_cost` through."""
        interval_s = share / rate_per_s
        tolerance_s = max(burst / share, highest_cost) * interval_s
        return cls(interval_s, tolerance_s, tolerance_s + SLACK * interval_s, 1.0 / interval_s)

    def left(self, debt_s: float) -> int:
        """Whole tokens in a bucket with this debt."""
        return int((self.ceiling_s - debt_s) * self.per_s) if debt_s < self.ceiling_s else 0

    def wait_s(self, debt_s: float) -> int:
        """Whole seconds after which a call that would make this debt passes, if nobody else takes."""
        return max(1, ceil(debt_s - self.ceiling_s))


def debt_after(full_at: float | None, cost_s: float, now: float) -> float:
    """The debt once `cost_s` seconds' worth of tokens were taken. `full_at` None: nothing was ever taken."""
    return cost_s if full_at is None or full_at <= now else full_at - now + cost_s
