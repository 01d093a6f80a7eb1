"""Workers of one machine tell each other, where no store is shared, that a breaker opened or closed. Never on the path of a call.

Who opens first owns the opening and alone sends probes; the others stay open until it says that it closed. When they hear
nothing for some time after `open`, they send probes of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from secrets import token_hex
from weakref import ref

from gateway.api.ports import Clock
from policies.breaker.circuit import Circuit
from policies.breaker.core import grace


@dataclass(frozen=True, slots=True)
class News:
    """An order to the other workers: this breaker is open for so long, or closed."""

    breaker: Hashable
    by: str
    left_s: float | None


class Peers:
    """One breaker's part."""

    def __init__(self, circuit: Circuit, identity: Hashable, spread: Callable[[object], None], clock: Clock) -> None:
        self._circuit = ref(circuit)
        self._identity = identity
        self._spread = spread
        self._clock = clock.monotonic
        self._me = token_hex(8)
        self._follows = False
        self._told = False  # what changes now is what we were told

    def changed(self, new: str) -> None:
        """The breaker changed; told to the others unless it was they who said so."""
        circuit = self._circuit()
        if self._told or circuit is None:
            return
        self._follows = False  # the owner was not heard of in time: this worker probes for itself
        if new != "half-open":
            left_s = None if new == "closed" else max(0.0, circuit.open_until - self._clock())
            self._spread(News(self._identity, self._me, left_s))

    def hear(self, news: News) -> None:
        circuit = self._circuit()
        if circuit is None or news.breaker != self._identity:
            return
        self._told = True
        try:
            if news.left_s is None:
                if self._follows:
                    circuit.close()
                self._follows = False
            elif self._follows or circuit.closed or news.by < self._me:  # of two that opened at once one is the owner
                self._follows = True
                circuit.stay_open(self._clock() + news.left_s + grace(news.left_s))
        finally:
            self._told = False
