"""How long to wait before a worker that ended is replaced. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.api.backoff import doubled_s

FIRST_S = 0.1
LONGEST_S = 10.0  # systemd gives up, Granian after two; a gateway goes on trying, slowly
STEADY_S = 30.0  # a worker that lived so long was well


@dataclass(slots=True)
class Backoff:
    """Doubles from FIRST_S to LONGEST_S while workers die young; the first replacement comes at once."""

    deaths: int = 0  # in a row, each younger than STEADY_S

    def after(self, lived_s: float) -> float:
        """Seconds to wait now that a worker ended at this age."""
        if lived_s >= STEADY_S:
            self.deaths = 0
        wait = doubled_s(self.deaths, FIRST_S, LONGEST_S)
        self.deaths += 1
        return wait
