"""A store on a real Redis Cluster: every key at its master, wherever that is by now."""

import asyncio

import pytest

from gateway.api.errors import StoreError
from gateway.stores.keys import scoped
from gateway.stores.redis.address import parse
from gateway.stores.redis.cluster import ClusterStore
from gateway.stores.redis.slots import SLOTS, key_in, slot_of
from tests.redis_groups import RedisCluster
from tests.unit.stores.redis.scenes import Ask, until


@pytest.fixture(scope="module")
def cluster(redis_program):
    with RedisCluster(redis_program).running() as running:
        yield running


class Both(Ask):
    def __init__(self, *keys):
        super().__init__("return #KEYS")
        object.__setattr__(self, "named", keys)

    def keys(self):
        return self.named


async def answering(work):
    """The result, however long it takes until the store can give it."""
    async with asyncio.timeout(15):
        while True:
            try:
                return await work()
            except StoreError:
                await asyncio.sleep(0.02)


def opened(cluster, **options):
    return ClusterStore(parse(f"{cluster.url}?timeout=5s"), name="shared", process="one", **options)


def test_a_slot_is_that_of_the_tag(redis_server):
    # the specification's own example is foobar and {foo}bar; CLUSTER KEYSLOT needs no cluster mode to be judged by
    assert slot_of("123456789") == 0x31C3  # Cluster specification, appendix A
    assert slot_of("{user1000}.following") == slot_of("{user1000}.followers") == slot_of("user1000")
    assert slot_of("foo{}{bar}") == slot_of("foo{}{bar}")
    assert slot_of("foo{}{bar}") != slot_of("bar")
    assert slot_of("foo{{bar}}zap") == slot_of("{bar")
    assert slot_of(key_in(range(5000, 5001), "p")) == 5000


def test_every_key_is_found_and_owners_lie_together(cluster, play):
    async def scenario():
        backend = opened(cluster)
        store = scoped(backend, "policy")
        await asyncio.gather(*(store.put(f"owner{n}", b"%d" % n, 60) for n in range(200)))
        assert await asyncio.gather(*(store.get(f"owner{n}") for n in range(200))) == [b"%d" % n for n in range(200)]
        assert all(int(server.ask("DBSIZE")) > 30 for server in cluster.masters)
        assert backend.standing.available
        assert backend.standing.processes == 1
        mine = [store.within("route", "a").full_key("me"), store.within("tier").full_key("me")]
        assert store.together(mine)
        assert await store.run_across(Both(*mine)) == 2
        apart = [store.full_key("me"), store.full_key("you")]
        assert not store.together(apart)
        with pytest.raises(StoreError, match="CROSSSLOT"):
            await store.run_across(Both(*apart))
        await backend.close()

    play(scenario())


def test_processes_count_each_other_over_the_whole_cluster(cluster, play):
    async def scenario():
        one, two = opened(cluster), ClusterStore(parse(cluster.url), name="shared", process="two", lasting=True)
        await one.settled()
        await two.settled()
        await until(lambda: one.standing.processes == two.standing.processes == 2)
        await two.close()
        await until(lambda: one.standing.processes == 1)
        await one.close()

    play(scenario())


def test_slots_that_move_are_followed(cluster, play):
    def move(key, slot, source, target):
        names = [str(each.ask("CLUSTER", "MYID"), "ascii") for each in (source, target)]
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", names[0])
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", names[1])
        source.ask("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)
        yield  # now one key has gone ahead: ASK
        for server in (target, source):
            server.ask("CLUSTER", "SETSLOT", slot, "NODE", names[1])
        yield  # now all: MOVED

    async def scenario():
        backend = opened(cluster)
        store = scoped(backend, "policy")
        key = store.full_key("mover")
        slot = slot_of(key)
        home = next(n for n in range(3) if slot in cluster.slots_of(n))
        source, target = cluster.masters[home], cluster.masters[(home + 1) % 3]
        await store.put("mover", b"v", 60)
        steps = move(key, slot, source, target)
        next(steps)
        assert await store.get("mover") == b"v"
        await store.put("mover", b"w", 60)
        next(steps)
        assert await asyncio.gather(*(store.get("mover") for _ in range(20))) == [b"w"] * 20
        assert backend.standing.available
        await asyncio.to_thread(lambda: [None for _ in move(key, slot, target, source)])
        assert await answering(lambda: store.get("mover")) == b"w"
        await backend.close()

    play(scenario())


def test_a_master_that_falls_is_replaced_by_its_replica(redis_program, caplog):
    async def scenario(cluster):
        backend = opened(cluster)
        store = scoped(backend, "policy")
        fallen = cluster.masters[0]
        mine = next(f"o{n}" for n in range(SLOTS) if slot_of(store.full_key(f"o{n}")) in cluster.slots_of(0))
        other = next(f"o{n}" for n in range(SLOTS) if slot_of(store.full_key(f"o{n}")) in cluster.slots_of(1))
        await store.put(mine, b"v", 60)
        await store.put(other, b"w", 60)
        fallen.stop()
        await until(lambda: not backend.standing.available)
        with pytest.raises(StoreError):
            await store.get(mine)
        await until(lambda: backend.standing.available, 20)
        assert await store.get(mine) == b"v"
        assert await store.get(other) == b"w"
        await backend.close()

    with RedisCluster(redis_program, "--cluster-require-full-coverage", "no").running() as cluster:
        asyncio.run(scenario(cluster))
    assert f"127.0.0.1:{cluster.masters[0].port} is away" in caplog.text
    assert "store shared is back: every slot has a master that answers" in caplog.text


def test_what_is_no_cluster_is_away(redis_server, play, caplog):
    async def scenario():
        backend = ClusterStore(parse(f"redis+cluster://127.0.0.1:{redis_server.port}"), name="shared", process="one")
        with pytest.raises(StoreError, match="away: no node tells where the slots are"):
            await scoped(backend, "policy").get("k")
        await backend.close()

    play(scenario())
    assert "cluster support disabled" in caplog.text
