"""The store in memory: ends, sweeping in slices, and its bound."""

import asyncio
import tracemalloc

import pytest

from gateway.stores.memory import CYCLE_S, SLICE_BUDGET, SLICES, MemoryStore, MemoryTimes
from gateway.stores.open import Stores, open_store
from gateway.testing.clock import FakeClock


def held(times: MemoryTimes, name: str, written: int) -> int:
    """How many of `name-0`, `name-1`, … are still there."""
    return sum(times.get(f"{name}-{n}") is not None for n in range(written))


def test_a_cycle_of_writes_drops_all_that_has_ended():
    clock = FakeClock()
    times = MemoryTimes(clock.monotonic)
    for n in range(5_000):
        times.set(f"short-{n}", clock.monotonic() + 1, clock.monotonic())
    for n in range(500):
        times.set(f"long-{n}", clock.monotonic() + 3600, clock.monotonic())
    assert times.statistics().keys == 5_500
    for n in range(2 * SLICES):
        clock.advance(CYCLE_S / SLICES)
        times.set(f"new-{n}", clock.monotonic() + 1e6, clock.monotonic())
    assert held(times, "short", 5_000) == 0
    assert held(times, "long", 500) == 500
    assert times.statistics().evicted == 0


def test_one_sweep_looks_at_no_more_than_its_budget():
    clock = FakeClock()
    times = MemoryTimes(clock.monotonic)
    for n in range(40_000):
        times.set(str(n), clock.monotonic() + 1, clock.monotonic())
    clock.advance(3600)
    before = times.statistics().keys
    times.sweep(clock.monotonic())
    dropped = before - times.statistics().keys
    assert 0 < dropped <= SLICE_BUDGET + before // 8  # the last slice is finished


def test_a_full_store_gives_up_those_nearest_to_their_end():
    clock = FakeClock()
    times = MemoryTimes(clock.monotonic, max_keys=16 * SLICES)
    for n in range(200):
        times.set(f"heavy-{n}", clock.monotonic() + 3600, clock.monotonic())
    for n in range(40 * SLICES):
        times.set(f"flood-{n}", clock.monotonic() + 1, clock.monotonic())
    statistics = times.statistics()
    assert statistics.keys <= 16 * SLICES
    assert statistics.evicted > 0
    assert held(times, "heavy", 200) == 200


def test_a_full_store_drops_what_has_ended_before_it_gives_anything_up():
    clock = FakeClock()
    times = MemoryTimes(clock.monotonic, max_keys=64 * SLICES)
    for n in range(24 * SLICES):
        times.set(f"old-{n}", clock.monotonic() + 1, clock.monotonic())
    clock.advance(2)
    for n in range(24 * SLICES):
        times.set(f"new-{n}", clock.monotonic() + 60, clock.monotonic())
    assert held(times, "new", 24 * SLICES) == 24 * SLICES
    assert times.statistics().evicted == 0


def test_a_point_of_time_moves_and_goes():
    clock = FakeClock()
    times = MemoryTimes(clock.monotonic)
    times.set("k", 5.0, 1.0)
    times.set("k", 7.0, 1.0)
    assert times.get("k") == 7.0
    times.delete("k")
    times.delete("k")
    assert times.get("k") is None


def test_a_key_takes_at_most_200_octets():
    clock = FakeClock()
    keys = 50_000  # the growth of dictionaries averages out well before
    tracemalloc.start()
    times = MemoryTimes(clock.monotonic)
    before = tracemalloc.get_traced_memory()[0]
    for n in range(keys):
        times.set(f"rate_limit:route:orders:consumer:consumer|consumer:partner-{n:06}"[-46:], 2_000.0 + n, 1_000.0)
    each = (tracemalloc.get_traced_memory()[0] - before) / keys
    tracemalloc.stop()
    assert each <= 200


def test_memory_is_given_back_after_a_flood():
    clock = FakeClock()
    store = MemoryStore(clock.monotonic)
    for n in range(20_000):
        store.times.set(f"{n}", clock.monotonic() + 1, clock.monotonic())
    clock.advance(60)
    while store.statistics()["times"].keys:
        clock.advance(CYCLE_S)
        store.times.sweep(clock.monotonic())
    assert all(len(slice_) == 0 and slice_.__sizeof__() < 200 for slice_ in store.times._slices)


def test_a_store_is_opened_once_and_a_kind_that_there_is_not_is_told():
    clock = FakeClock()
    stores = Stores(clock)
    opened = stores.at("memory")
    assert stores.at("memory") is opened
    asyncio.run(stores.close())
    assert stores.at("memory") is not opened
    with pytest.raises(ValueError, match="no store of kind 'valkey'; there is memory"):
        open_store("valkey://user:secret@cache:6379/0", clock)
