"""One breaker's state: pybreaker's states, storage and listeners, with our admission and window in front (docs/adr/0008).

Its decisions read this process's memory only. What changes is told to `changed`, for whoever logs, counts and shares it.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

import pybreaker

from policies.breaker.core import Figures, Leases, Probe, Tallies

NEXT_PROBE_S = 1.0  # what callers are told to wait while probes are under way


class Circuit:
    """A breaker that several routes, and old and new versions of a configuration, share."""

    def __init__(self, window_s: float) -> None:
        self.epoch = 0  # a verdict on a call that was admitted before the last change says nothing any more
        self.closed = True
        self.open_until = 0.0
        self._leases = Leases()
        self._tallies = Tallies(window_s)
        self._storage = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
        self._breaker = pybreaker.CircuitBreaker(state_storage=self._storage, listeners=[_Told(self)])

    @property
    def state(self) -> str:
        return self._breaker.current_state

    def admit(self, figures: Figures, now: float) -> int | Probe | float:
        """The epoch (closed), a probe (half-open), or the seconds to wait, a float, for what is refused."""
        if self.closed:
            return self.epoch
        if self.state == pybreaker.STATE_OPEN:
            if now < self.open_until:
                return self.open_until - now
            self._breaker.half_open()
        probe = self._leases.take(self.epoch, figures.probes)
        if probe is None and (streaming := self._leases.streaming(now)):
            for one in streaming:
                self.settle(one, True, figures, now)
            if self.closed:
                return self.epoch
            probe = self._leases.take(self.epoch, figures.probes)
        return NEXT_PROBE_S if probe is None else probe

    def settle(self, admitted: int | Probe, verdict: bool | None, figures: Figures, now: float) -> None:
        """What became of an admitted call: True well, False a failure, None nothing to be learned. Once for each."""
        if isinstance(admitted, Probe):
            self._settle_probe(admitted, verdict, figures, now)
            return
        if verdict is None or admitted != self.epoch:
            return
        if self._tallies.calls.window_s != figures.window_s:
            self._tallies = Tallies(figures.window_s)
        self._tallies.calls.add(now)
        if verdict:
            if self._storage.counter:
                self._storage.reset_counter()
            return
        self._tallies.failed.add(now)
        self._storage.increment_counter()
        if self._storage.counter >= figures.failures or self._tallies.too_many(figures, now):
            self.open(now + figures.open_s)

    def open(self, until: float) -> None:
        self.open_until = until
        self._breaker.open()

    def stay_open(self, until: float) -> None:
        """Open, or open for longer: others say so."""
        if self.state == pybreaker.STATE_OPEN:
            self.open_until = max(self.open_until, until)
        else:
            self.open(until)

    def close(self) -> None:
        self._breaker.close()

    def _settle_probe(self, probe: Probe, verdict: bool | None, figures: Figures, now: float) -> None:
        if probe.epoch != self.epoch:
            return
        self._leases.end(probe, succeeded=verdict is True)
        if verdict is False:
            self.open(now + figures.open_s)
        elif self._leases.succeeded >= figures.probes:
            self.close()

    def changed(self, old: str, new: str) -> None:
        """The state was `old` and is `new`: "closed", "open" or "half-open"."""
        self.epoch += 1
        self.closed = new == pybreaker.STATE_CLOSED
        self._leases.clear()
        if self.closed:
            self._tallies.clear()


class _Told(pybreaker.CircuitBreakerListener):
    """Hands pybreaker's news on. Weakly: states and their breaker are a cycle, in which nothing of ours may hang."""

    def __init__(self, circuit: Circuit) -> None:
        self._circuit = ref(circuit)

    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
        circuit = self._circuit()
        if circuit is not None:
            circuit.changed(old_state.name, new_state.name)
