"""The breaker's verdicts and its admission. Knows no clock, no store, no HTTP beyond a status.

Closed: everything passes; failures in a row, or the error rate of the window, open it. Open: nothing passes until its time is
over. Half-open: exactly `probes` calls pass, each a lease; all succeed: closed; one fails: open; one ends without a verdict:
its place is free again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.api.errors import BadReply, Cause, UpstreamError
from gateway.api.rolling import RollingCount

GRACE_S = 5.0
GOOD_HEAD_S = 1.0  # a probe whose answer still streams after this has succeeded: event streams end after hours


def grace(open_s: float) -> float:
    """How much longer others stay open than the one that probes: its probes take time, or it gets no call to try."""
    return min(GRACE_S, open_s / 2)


@dataclass(frozen=True, slots=True)
class Figures:
    """The parameters of a breaker, applied to whatever state it has."""

    failures: int
    error_rate: float
    window_s: float
    min_requests: int
    open_s: float
    probes: int


class Counted:
    """What counts as a failure."""

    def __init__(self, words: Iterable[str]) -> None:
        chosen = set(words)
        self.statuses = frozenset(status for status in range(500, 600) if "5xx" in chosen or str(status) in chosen)
        self._causes = {
            cause
            for word, causes in (
                ("connect", (Cause.UNREACHABLE,)),
                ("reset", (Cause.RESET, Cause.PROTOCOL)),
                ("timeout", (Cause.TIMEOUT,)),
            )
            for cause in causes
            if word in chosen
        }

    def verdict(self, fault: BaseException) -> bool | None:
        """False for a failure of the upstream; None when the fault says nothing of it (the caller's, the gateway's)."""
        if isinstance(fault, UpstreamError):
            if fault.cause is Cause.OVERLOAD:
                return None  # our own queue or connections: the upstream was not asked
            return fault.cause not in self._causes
        if isinstance(fault, BadReply):
            return 502 not in self.statuses
        return None


class Tallies:
    """Calls and failures of the window."""

    __slots__ = ("calls", "failed")

    def __init__(self, window_s: float) -> None:
        self.calls = RollingCount(window_s)
        self.failed = RollingCount(window_s)

    def too_many(self, figures: Figures, now: float) -> bool:
        calls = self.calls.total(now)
        return calls >= figures.min_requests and self.failed.total(now) >= figures.error_rate * calls

    def clear(self) -> None:
        self.calls.clear()
        self.failed.clear()


class Probe:
    """A lease of a half-open breaker; it ends with the exchange that holds it."""

    __slots__ = ("answered_at", "epoch")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.answered_at: float | None = None  # when its answer's head came and was no failure


class Leases:
    """The probes of one half-open phase."""

    def __init__(self) -> None:
        self._held: dict[Probe, None] = {}
        self.succeeded = 0

    def take(self, epoch: int, most: int) -> Probe | None:
        if self.succeeded + len(self._held) >= most:
            return None
        probe = Probe(epoch)
        self._held[probe] = None
        return probe

    def end(self, probe: Probe, *, succeeded: bool) -> None:
        """Free its place; a success takes it for good."""
        if self._held.pop(probe, probe) is None and succeeded:
            self.succeeded += 1

    def streaming(self, now: float) -> list[Probe]:
        """Probes whose answers began well, some time ago."""
        return [
            probe for probe in self._held if probe.answered_at is not None and now - probe.answered_at >= GOOD_HEAD_S
        ]

    def clear(self) -> None:
        self._held.clear()
        self.succeeded = 0
