"""How the load of a run goes up and down, and the search for the level at which an objective breaks. Knows no clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

BREAKPOINT, SOAK = "breakpoint", "soak"


@dataclass(frozen=True)
class Shape:
    summary: str
    seconds: float
    """Of the whole run, unless --seconds says otherwise; of each step for `breakpoint`."""
    share: Callable[[float], float]
    """The share of the level that is asked for when this share of the run has passed."""


SHAPES: Mapping[str, Shape] = {
    "ramp": Shape("from nothing to the level, evenly", 60, lambda passed: passed),
    "steady": Shape("the level, all the time", 60, lambda passed: 1.0),
    "spike": Shape(
        "a fifth of the level, and all of it during the middle fifth",
        60,
        lambda passed: 1.0 if 0.4 <= passed < 0.6 else 0.2,
    ),
    SOAK: Shape(
        "the level for half an hour, while the configuration changes and upstreams are restarted; nothing may grow",
        1800,
        lambda passed: 1.0,
    ),
    BREAKPOINT: Shape(
        "steps up until an objective breaks, then halves the gap; names the limit", 10, lambda passed: 1.0
    ),
}

STEP_UP = 1.5
CLOSE = 1.05  # the search ends when the broken level is at most so many times the one that held


class Search:
    """`level` is to be tried next; None when the limit is known, or `most` held."""

    def __init__(self, first: float, most: float) -> None:
        self.level: float | None = first
        self.held = 0.0
        """The highest level at which every objective held."""
        self.broken: float | None = None
        self._most = most

    def told(self, held: bool) -> None:
        """What became of `level`."""
        assert self.level is not None, "the search is not over"
        if held:
            self.held = self.level
        else:
            self.broken = self.level
        if self.broken is None:
            self.level = None if self.held >= self._most else min(self._most, self.held * STEP_UP)
        elif self.held == 0.0:  # not even the first: look below it, though not for ever
            self.level = self.broken / 2 if self.broken > 1 else None
        else:
            self.level = (self.held + self.broken) / 2 if self.broken > self.held * CLOSE else None
