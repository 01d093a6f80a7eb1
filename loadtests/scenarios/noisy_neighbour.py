"""One consumer calls ten times as often as its limit allows; the others keep within theirs and must not notice."""

from __future__ import annotations

from collections.abc import Callable

from loadtests.load.generator import Generator
from loadtests.load.known import FIRST_ORDER, same
from loadtests.scenarios.base import Scenario

TIMES = 10


def others(generator: Generator) -> float:
    return generator.level


def noise(generator: Generator) -> float:
    """Does not grow with the level: what is asked is whether the others notice."""
    return TIMES * sum(caller.rate for caller in generator.noisy) if generator.level > 0 else 0.0


class NoisyNeighbour(Scenario):
    @classmethod
    def rates(cls) -> tuple[Callable[[Generator], float], ...]:
        return others, noise

    def arrive(self, due: float) -> None:
        right = same(FIRST_ORDER, "order")
        if self.stream is self.generator.stream_of(self.generator.process):  # the first stream: the others
            self.call(
                "read order",
                "GET",
                "/orders/1001",
                self.generator.dice.choice(self.generator.partners),
                due,
                check=right,
            )
        else:
            caller = self.generator.dice.choice(self.generator.noisy)
            self.call("noisy", "GET", "/orders/1001", caller, due, statuses=(200, 429), check=right)
