"""Which target the next call goes to. Decides only: knows neither connections nor health, and keeps no count of its own."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from math import gcd
from typing import Generic, Protocol, TypeVar


class Candidate(Protocol):
    """A target as balancing sees it."""

    weight: int

    @property
    def load(self) -> int:
        """Calls that are under way or wait."""
        ...


T = TypeVar("T", bound=Candidate)


class Balancer(ABC, Generic[T]):
    """Chooses among the targets of one upstream."""

    def __init__(self, targets: Sequence[T]) -> None:
        self._targets = tuple(targets)
        self._shares = _spread(self._targets)

    @abstractmethod
    def pick(self, allowed: Callable[[T], bool]) -> T | None:
        """A target that is allowed, None when none is."""


class RoundRobin(Balancer[T]):
    """Each in turn, as often as its weight says, evenly spread."""

    def __init__(self, targets: Sequence[T]) -> None:
        super().__init__(targets)
        self._next = 0

    def pick(self, allowed: Callable[[T], bool]) -> T | None:
        shares = self._shares
        for _ in shares:
            target = shares[self._next]
            self._next = (self._next + 1) % len(shares)
            if allowed(target):
                return target
        return None


class LeastRequest(Balancer[T]):
    """The less loaded of two taken at random: nearly as even as comparing all, without the herd on the emptiest."""

    def __init__(self, targets: Sequence[T], rng: random.Random | None = None) -> None:
        super().__init__(targets)
        self._random = (rng or random.Random()).random  # noqa: S311  # nothing secret is drawn

    def pick(self, allowed: Callable[[T], bool]) -> T | None:
        shares, count = self._shares, len(self._shares)
        one = shares[int(self._random() * count)]
        other = shares[int(self._random() * count)]
        # a heavier target is drawn more often, so loads are compared relative to weights
        if other.load * one.weight < one.load * other.weight:
            one = other
        if allowed(one):
            return one
        usable = [target for target in self._targets if allowed(target)]
        return min(usable, key=lambda target: target.load / target.weight, default=None)


def _spread(targets: Sequence[T]) -> tuple[T, ...]:
    """Each target as often as its weight in lowest terms, smoothly: a, a, b, a and not a, a, a, b."""
    divisor = gcd(*(target.weight for target in targets))
    total = sum(target.weight for target in targets) // divisor
    credit = [0] * len(targets)
    order: list[T] = []
    for _ in range(total):
        for index, target in enumerate(targets):
            credit[index] += target.weight // divisor
        best = max(range(len(targets)), key=credit.__getitem__)
        credit[best] -= total
        order.append(targets[best])
    return tuple(order)
