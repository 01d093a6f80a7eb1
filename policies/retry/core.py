"""Whether, and after how long, a call is tried again. Pure: time and chance are arguments.

A call is repeated only when that cannot do twice what it asks for (RFC 9110 §9.2.1, §9.2.2): its method is safe, or no byte of it
left, or it carries an idempotency key that the upstream honours.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.api.backoff import doubled_s
from gateway.api.errors import BadReply, Cause, UpstreamError
from gateway.api.rolling import RollingCount

SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))  # RFC 9110 §9.2.1
BUDGET_S = 10.0
BEYOND = 10  # retries in any BUDGET_S that go beyond the share: a quiet upstream would have none otherwise

_CAUSES = {
    Cause.UNREACHABLE: "connect",
    Cause.RESET: "reset",
    Cause.PROTOCOL: "reset",  # what came was no answer
    Cause.TIMEOUT: "timeout",
}


class Occasions:
    """The words of `on`: after what a call is tried again."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = frozenset(words)
        self.statuses = frozenset(int(word) for word in words if word.isdigit())

    def of_fault(self, fault: BaseException) -> str | None:
        """The word that applies; None: not tried again."""
        if isinstance(fault, UpstreamError):
            word = _CAUSES.get(fault.cause)
        elif isinstance(fault, BadReply):
            word = "502"
        else:
            return None
        return word if word in self._words else None


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential, with full jitter: waits of many callers spread over the whole span."""

    first_s: float
    longest_s: float

    def delay_s(self, retry: int, chance: float) -> float:
        """Before the retry with this number, from 1; `chance` is drawn from [0, 1)."""
        return chance * doubled_s(retry, self.first_s, self.longest_s)


class Budget:
    """Retries and calls of an upstream in the last BUDGET_S. Shared by its routes; lives as long as any uses it."""

    def __init__(self) -> None:
        self.calls = RollingCount(BUDGET_S)
        self._retries: deque[float] = deque()  # when each was; exact, so that no 10 s see more than allowed

    def take(self, share: float, beyond: int, now: float) -> bool:
        """Whether another retry is allowed; it is counted then."""
        retries = self._retries
        while retries and retries[0] <= now - BUDGET_S:
            retries.popleft()
        if len(retries) >= beyond + share * self.calls.total(now):
            return False
        retries.append(now)
        return True
