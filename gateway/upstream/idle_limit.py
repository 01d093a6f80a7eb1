"""How long a target's idle connections may be used again: what ops wrote, it announced, or its closes taught. Pure.

A request on a connection that the upstream is just closing is lost, and if it may not be repeated that is a failure the
caller sees. So a connection is left alone a while before its upstream would close it.
"""

from __future__ import annotations

from math import inf

SHORTEST_S = 0.25  # closes at a younger age are those of a restart or of an overload, not of a timer
SAME_EVENT_S = 0.05  # closes this close together are one event, whatever their number: a restart closes all at once
AGREEMENT = 0.1  # two ages of which the greater is at most this share above the other agree; at least TICK_S apart
TICK_S = 0.1  # servers sweep idle connections in ticks; most in less than this
OUTLIVED = 1.5  # a connection that lives this many times longer than what was learned disproves it
FIRST_MARGIN = 0.2  # of the limit, at most one second: the time for the close to travel, and for coarse timers
MOST_MARGIN_S = 1.0


class IdleLimit:
    """The limit of one target. `limit_s` is for take(): older connections are not used again.

    A close is believed when two at different times agree on the age; it is disproved by a connection that is still open
    long after. Those beyond the limit are therefore kept open, unused, until the upstream closes them.
    """

    __slots__ = ("_announced", "_candidate", "_configured", "_event_at", "_learned", "limit_s")

    def __init__(self, configured_s: float) -> None:
        self._configured = configured_s
        self._announced = inf
        self._learned = inf
        self._candidate = 0.0  # the age of the last event
        self._event_at = -inf
        self._settle()

    @property
    def learned_s(self) -> float | None:
        """The upstream's own timeout as far as it is known."""
        known = min(self._announced, self._learned)
        return None if known == inf else known

    def configure(self, configured_s: float) -> None:
        self._configured = configured_s
        self._settle()

    def announce(self, seconds: float) -> None:
        """An answer said `Keep-Alive: timeout=`; the newest word holds."""
        if seconds != self._announced:
            self._announced = seconds
            self._settle()

    def closed(self, age: float, now: float) -> None:
        """The upstream closed a connection that had been idle for `age` seconds."""
        if age < SHORTEST_S:
            return
        apart = now - self._event_at > SAME_EVENT_S
        agrees = abs(age - self._candidate) <= max(TICK_S, AGREEMENT * min(age, self._candidate))
        if apart and agrees:
            self._learned = min(age, self._candidate)
            self._settle()
        if apart or age < self._candidate:
            self._candidate = age
        self._event_at = now

    def open_at(self, age: float) -> None:
        """A connection that has been idle for `age` seconds is still open."""
        if age > self._learned * OUTLIVED:
            self.forget()

    def forget(self) -> None:
        """The target was restarted, or behaves otherwise than was learned."""
        self._learned, self._candidate = inf, 0.0
        self._settle()

    def _settle(self) -> None:
        known = min(self._announced, self._learned)
        self.limit_s = min(self._configured, known - min(MOST_MARGIN_S, FIRST_MARGIN * known) if known < inf else inf)
