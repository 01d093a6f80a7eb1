"""Which target the next call goes to. Decides only: knows neither connections nor health, and keeps no count of its own."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from hashlib import blake2b
from math import gcd, log
from typing import Generic, Protocol, TypeVar


class Candidate(Protocol):
    """A target as balancing sees it."""

    url: str
    weight: int
    latency_s: float
    """A moving average of the seconds to the head of its answers; 0.0 while nothing is known."""

    @property
    def load(self) -> int:
        """Calls that are under way or wait."""
        ...


T = TypeVar("T", bound=Candidate)


class Balancer(ABC, Generic[T]):
    """Chooses among targets."""

    def __init__(self, targets: Sequence[T]) -> None:
        self._targets = tuple(targets)

    @abstractmethod
    def pick(self, allowed: Callable[[T], bool], key: bytes | None = None) -> T | None:
        """A target that is allowed, None when none is. `key`: calls with the same one belong together."""


class RoundRobin(Balancer[T]):
    """Each in turn, as often as its weight says, evenly spread."""

    def __init__(self, targets: Sequence[T]) -> None:
        super().__init__(targets)
        self._shares = _spread(self._targets)
        self._next = 0

    def pick(self, allowed: Callable[[T], bool], key: bytes | None = None) -> T | None:
        shares = self._shares
        for _ in shares:
            target = shares[self._next]
            self._next = (self._next + 1) % len(shares)
            if allowed(target):
                return target
        return None


class LeastRequest(Balancer[T]):
    """The less loaded of two taken at random: nearly as even as comparing all, without the herd on the emptiest.

    Of two that are equally loaded the faster is the likelier, in proportion: a slow one is still called now and then,
    so that its figure does not stay what it once was.
    """

    def __init__(self, targets: Sequence[T], rng: random.Random | None = None) -> None:
        super().__init__(targets)
        self._shares = _spread(self._targets)
        self._random = (rng or random.Random()).random  # noqa: S311  # nothing secret is drawn

    def pick(self, allowed: Callable[[T], bool], key: bytes | None = None) -> T | None:
        shares, count, draw = self._shares, len(self._shares), self._random
        if count == 0:
            return None
        first = int(draw() * count)
        one = shares[first]
        if count > 1:
            other = shares[(first + 1 + int(draw() * (count - 1))) % count]
            # a heavier target is drawn more often, so loads are compared relative to weights
            mine, its = one.load * other.weight, other.load * one.weight
            if its < mine or (its == mine and one.latency_s > draw() * (one.latency_s + other.latency_s)):
                one = other
        if allowed(one):
            return one
        usable = [target for target in self._targets if allowed(target)]
        return min(usable, key=lambda target: target.load / target.weight, default=None)


class Rendezvous(Balancer[T]):
    """The same target for the same key, in every worker and after every start (highest random weight, by Thaler and Ravishankar).

    Each target has a score for each key, and the highest is taken: when a target goes, the keys it had go to their second
    best and no other key moves; when it comes back so do they. Weights hold exactly. About 0.5 µs a target.
    """

    def __init__(self, targets: Sequence[T], otherwise: Balancer[T]) -> None:
        """`otherwise` is for calls without a key."""
        super().__init__(targets)
        self._seeds = [(_digest(target.url.encode()), target.weight, target) for target in self._targets]
        self._otherwise = otherwise

    def pick(self, allowed: Callable[[T], bool], key: bytes | None = None) -> T | None:
        if key is None:
            return self._otherwise.pick(allowed)
        drawn = _digest(key)
        best: T | None = None
        least = 0.0
        for seed, weight, target in self._seeds:
            # an exponential variate of rate `weight`, drawn by key and target: the least is each one's by its weight
            variate = -log((_mix(drawn ^ seed) + 1) / 2.0**64) / weight
            if (best is None or variate < least) and allowed(target):
                best, least = target, variate
        return best


_WORD = 2**64 - 1


def _digest(text: bytes) -> int:
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


def _mix(word: int) -> int:
    """Every bit of the result depends on every bit of `word` (the finaliser of SplitMix64, by Steele, Lea and Flood)."""
    word = ((word ^ word >> 30) * 0xBF58476D1CE4E5B9) & _WORD
    word = ((word ^ word >> 27) * 0x94D049BB133111EB) & _WORD
    return word ^ word >> 31


def _spread(targets: Sequence[T]) -> tuple[T, ...]:
    """Each target as often as its weight in lowest terms, smoothly: a, a, b, a and not a, a, a, b."""
    divisor = gcd(*(target.weight for target in targets))
    total = sum(target.weight for target in targets) // (divisor or 1)
    credit = [0] * len(targets)
    order: list[T] = []
    for _ in range(total):
        for index, target in enumerate(targets):
            credit[index] += target.weight // divisor
        best = max(range(len(targets)), key=credit.__getitem__)
        credit[best] -= total
        order.append(targets[best])
    return tuple(order)
