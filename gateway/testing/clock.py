"""A clock that moves only when told to."""

from __future__ import annotations


class FakeClock:
    """Both clocks of `gateway.api.ports.Clock`, moved together by `advance`."""

    def __init__(self, monotonic_s: float = 1_000.0, time_s: float = 1_800_000_000.0) -> None:
        self._monotonic_s = monotonic_s
        self._time_s = time_s

    def monotonic(self) -> float:
        return self._monotonic_s

    def time(self) -> float:
        return self._time_s

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("a clock advances; to step the wall clock back use step_time")
        self._monotonic_s += seconds
        self._time_s += seconds

    def step_time(self, seconds: float) -> None:
        """Step the wall clock alone, either way, as NTP may."""
        self._time_s += seconds
