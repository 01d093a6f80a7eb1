"""Balancing: shares by weight, evenly spread, away from load and from what is not allowed."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.balance import LeastRequest, RoundRobin


@dataclass(eq=False)
class Target:
    name: str
    weight: int = 1
    load: int = 0


def anything(_target: Target) -> bool:
    return True


def test_round_robin_spreads_by_weight() -> None:
    balancer = RoundRobin([Target("a", 2), Target("b", 1)])
    picked = [target.name for _ in range(6) if (target := balancer.pick(anything))]
    assert "".join(picked) == "abaaba"


@given(weights=st.lists(st.integers(1, 20), min_size=1, max_size=5))
def test_a_round_holds_each_as_often_as_its_weight(weights: list[int]) -> None:
    targets = [Target(str(number), weight) for number, weight in enumerate(weights)]
    balancer = RoundRobin(targets)
    picked = Counter(target.name for _ in range(sum(weights)) if (target := balancer.pick(anything)))
    assert picked == {target.name: target.weight for target in targets}


def test_round_robin_leaves_out_what_is_not_allowed() -> None:
    one, two = Target("a"), Target("b")
    balancer = RoundRobin([one, two])
    assert {balancer.pick(lambda target: target is two) for _ in range(4)} == {two}
    assert balancer.pick(lambda target: False) is None


def test_least_request_prefers_the_less_loaded() -> None:
    busy, free = Target("busy", load=10), Target("free")
    balancer = LeastRequest([busy, free], random.Random(1))
    picked = Counter(target.name for _ in range(1000) if (target := balancer.pick(anything)))
    assert picked["free"] > 700  # two draws miss it one time in four


def test_least_request_honours_weights() -> None:
    heavy, light = Target("heavy", weight=3), Target("light")
    balancer = LeastRequest([heavy, light], random.Random(1))
    for _ in range(400):
        target = balancer.pick(anything)
        assert target is not None
        target.load += 1
    assert 270 <= heavy.load <= 330


def test_least_request_falls_back_to_any_that_is_allowed() -> None:
    targets = [Target("a", load=5), Target("b", load=3), Target("c", load=1)]
    balancer = LeastRequest(targets, random.Random(1))
    assert {balancer.pick(lambda target: target is targets[0]) for _ in range(20)} == {targets[0]}
    assert balancer.pick(lambda target: False) is None
