"""Products by Zipf's law, as shops are read, and private answers, which must stay each caller's own."""

from __future__ import annotations

import bisect
import itertools
from typing import Any

from loadtests.load.known import product, same
from loadtests.scenarios.base import Scenario

PRODUCTS, SKEW, PRIVATE = 10_000, 0.9, 0.1
WEIGHTS = list(itertools.accumulate(1 / rank**SKEW for rank in range(1, PRODUCTS + 1)))


class CacheMix(Scenario):
    def arrive(self, due: float) -> None:
        dice = self.generator.dice
        caller = dice.choice(self.generator.partners)
        if dice.random() < PRIVATE:
            self.call(
                "profile", "GET", "/profile", caller, due, check=same({"caller": caller.name}, "caller's profile")
            )
            return
        number = bisect.bisect(WEIGHTS, dice.random() * WEIGHTS[-1])
        self.call(
            "product",
            "GET",
            f"/products/{number}",
            caller,
            due,
            check=same(product(number), "product"),
            named=hit_or_miss,
        )


def hit_or_miss(answer: Any) -> str:
    """By the gateway's own Cache-Status (RFC 9211 §2.1)."""
    status = answer.headers.get("cache-status", "")
    return "product, hit" if "hit" in status.replace(";", " ").split() else "product, miss"
