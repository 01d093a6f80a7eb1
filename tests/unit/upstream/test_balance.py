"""Balancing: shares by weight, evenly spread, away from load and from what is not allowed."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.balance import LeastRequest, Rendezvous, RoundRobin


@dataclass(eq=False)
class Target:
    url: str
    weight: int = 1
    load: int = 0
    latency_s: float = 0.0


def anything(_target: Target) -> bool:
    return True


def test_round_robin_spreads_by_weight() -> None:
    balancer = RoundRobin([Target("a", 2), Target("b", 1)])
    picked = [target.url for _ in range(6) if (target := balancer.pick(anything))]
    assert "".join(picked) == "abaaba"


@given(weights=st.lists(st.integers(1, 20), min_size=1, max_size=5))
def test_a_round_holds_each_as_often_as_its_weight(weights: list[int]) -> None:
    targets = [Target(str(number), weight) for number, weight in enumerate(weights)]
    balancer = RoundRobin(targets)
    picked = Counter(target.url for _ in range(sum(weights)) if (target := balancer.pick(anything)))
    assert picked == {target.url: target.weight for target in targets}


def test_round_robin_leaves_out_what_is_not_allowed() -> None:
    one, two = Target("a"), Target("b")
    balancer = RoundRobin([one, two])
    assert {balancer.pick(lambda target: target is two) for _ in range(4)} == {two}
    assert balancer.pick(lambda target: False) is None


def test_least_request_prefers_the_less_loaded() -> None:
    busy, free = Target("busy", load=10), Target("free")
    balancer = LeastRequest([busy, free], random.Random(1))
    picked = Counter(target.url for _ in range(1000) if (target := balancer.pick(anything)))
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


def test_least_request_prefers_the_faster_of_equally_loaded_in_proportion() -> None:
    slow, fast = Target("slow", latency_s=0.3), Target("fast", latency_s=0.1)
    balancer = LeastRequest([slow, fast], random.Random(1))
    picked = Counter(target.url for _ in range(4000) if (target := balancer.pick(anything)))
    assert 900 <= picked["slow"] <= 1100  # a quarter: never starved, or its figure would stay what it once was


def test_least_request_tries_what_it_does_not_know() -> None:
    known, new = Target("known", latency_s=0.1), Target("new")
    balancer = LeastRequest([known, new], random.Random(1))
    assert {balancer.pick(anything) for _ in range(50)} == {new}


def test_load_comes_before_latency() -> None:
    fast, slow = Target("fast", load=1, latency_s=0.001), Target("slow", latency_s=0.5)
    balancer = LeastRequest([fast, slow], random.Random(1))
    assert {balancer.pick(anything) for _ in range(50)} == {slow}


def test_no_targets() -> None:
    nobody: list[Target] = []
    assert LeastRequest(nobody).pick(anything) is None
    assert RoundRobin(nobody).pick(anything) is None
    assert Rendezvous(nobody, LeastRequest(nobody)).pick(anything, b"key") is None


KEYS = [b"%d" % number for number in range(6000)]


def hashed(targets: list[Target]) -> Rendezvous[Target]:
    return Rendezvous(targets, LeastRequest(targets, random.Random(1)))


def test_hash_spreads_by_weight() -> None:
    balancer = hashed([Target("http://a", 2), Target("http://b", 1), Target("http://c", 1)])
    picked = Counter(target.url for key in KEYS if (target := balancer.pick(anything, key)))
    assert 2850 <= picked["http://a"] <= 3150
    assert 1400 <= picked["http://b"] <= 1600


def test_hash_moves_only_the_share_of_a_target_that_goes() -> None:
    targets = [Target(f"http://10.0.0.{number}:8080") for number in range(5)]
    balancer, gone = hashed(targets), targets[3]
    before = {key: balancer.pick(anything, key) for key in KEYS}
    after = {key: balancer.pick(lambda target: target is not gone, key) for key in KEYS}
    moved = [key for key in KEYS if before[key] is not after[key]]
    assert {before[key] for key in moved} == {gone}
    assert len(moved) == Counter(before.values())[gone]
    heirs = Counter(after[key].url for key in moved if after[key])  # they are spread over all that stay
    assert len(heirs) == 4
    assert max(heirs.values()) < 2 * min(heirs.values())
    fewer = hashed([target for target in targets if target is not gone])  # as when the configuration loses it
    assert all(fewer.pick(anything, key) is after[key] for key in KEYS)


def test_hash_is_the_same_in_every_process() -> None:
    balancer = hashed([Target("http://a"), Target("http://b"), Target("http://c")])
    picked = "".join(target.url[-1] for number in range(12) if (target := balancer.pick(anything, b"%d" % number)))
    assert picked == "acbacccacaba"


def test_without_a_key_any_target_will_do() -> None:
    targets = [Target("http://a"), Target("http://b")]
    balancer = hashed(targets)
    assert {balancer.pick(anything) for _ in range(50)} == set(targets)
