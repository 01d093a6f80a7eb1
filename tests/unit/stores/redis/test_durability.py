"""What must last: only on a server that keeps it, and as many replicas as were asked for."""

import pytest

from gateway.api.errors import StoreError, UnfitStoreError
from gateway.api.standing import Durability
from gateway.stores.keys import scoped
from gateway.stores.open import Stores
from gateway.testing.clock import FakeClock
from tests.redis_servers import RedisServer
from tests.unit.stores.redis.scenes import PATIENT, fake_server, opened, sound, until


def test_a_server_that_drops_keys_is_refused_at_the_start(redis_program, play):
    async def scenario():
        with RedisServer(redis_program, "--maxmemory-policy", "allkeys-lru") as server:
            stores = Stores(FakeClock())
            url = f"{server.url}?{PATIENT}"
            stores.at(url, "shared")
            await stores.settled()  # for what may be lost it will do
            stores.at(url, "shared", lasting=True)
            with pytest.raises(UnfitStoreError, match=r"store shared: .* \(allkeys-lru\); set maxmemory-policy noevic"):
                await stores.settled()
            server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
            await until(lambda: all(standing.available for _, standing in stores.standings()))
            await stores.settled()
            await stores.close()

    play(scenario())


def test_one_that_began_to_drop_keys_while_it_was_away_is_not_used(redis_program, play):
    async def scenario():
        with RedisServer(redis_program) as server:
            async with opened(f"{server.url}?{PATIENT}", lasting=True) as backend:
                await scoped(backend, "policy").put("k", b"v", 60)
                server.stop()
                server.options = ("--maxmemory-policy", "volatile-ttl")
                server.start()
                await until(lambda: "volatile-ttl" in backend.standing.reason)
                with pytest.raises(StoreError, match="away"):
                    await scoped(backend, "policy").get("k")

    play(scenario())


@pytest.mark.parametrize(
    ("options", "durability", "loses"),
    [
        ((), Durability("noeviction", "off", 0), "since its last snapshot"),
        (("--appendonly", "yes"), Durability("noeviction", "everysec", 0), "up to a second"),
        (("--appendonly", "yes", "--appendfsync", "always"), Durability("noeviction", "always", 0), ""),
    ],
    ids=["no journal", "everysec", "always"],
)
def test_what_its_settings_promise_can_be_read(options, durability, loses, redis_program, play, caplog):
    async def scenario():
        with RedisServer(redis_program, *options) as server, caplog.at_level("WARNING"):
            async with opened(f"{server.url}?{PATIENT}", lasting=True) as backend:
                await backend.settled()
                assert backend.standing.durability == durability
                assert loses in caplog.text
                assert bool(loses) == ("a crash of Redis loses" in caplog.text)

    play(scenario())


def test_where_config_is_forbidden_info_says_it(play):
    memory = b"# Memory\r\nmaxmemory_policy:allkeys-lfu\r\n"

    def answer(words):
        if words[0] == b"CONFIG":
            return b"-NOPERM this user has no permissions to run the 'config|get' command\r\n"
        if words == [b"INFO", b"memory"]:
            return b"$%d\r\n%s\r\n" % (len(memory), memory)
        return sound(words)

    async def scenario():
        async with fake_server(answer) as url, opened(url, lasting=True) as backend:
            await backend.settled()
            assert "allkeys-lfu" in backend.standing.reason

    play(scenario())


def test_where_nothing_is_told_the_log_says_what_must_be_so(play, caplog):
    def answer(words):
        return b"-NOPERM no\r\n" if words[0] in (b"CONFIG", b"INFO") else sound(words)

    async def scenario():
        async with fake_server(answer) as url, opened(url, lasting=True) as backend:
            await backend.settled()
            assert backend.standing.available
            assert backend.standing.durability == Durability("", "", 0)

    play(scenario())
    assert "does not tell its maxmemory-policy; it must be noeviction" in caplog.text


def test_a_write_counts_when_a_replica_has_it(redis_program, play):
    async def scenario(server, replica):
        async with opened(f"{server.url}?timeout=2s&acks=1", lasting=True) as backend:
            await backend.settled()
            await until(lambda: backend.standing.available)
            store = scoped(backend, "policy")
            await store.put("k", b"v", 60)
            assert replica.ask("GET", store.full_key("k")) == b"v"
            assert await store.claim("k", b"w", 60) == b"v"
            replica.stop()
            with pytest.raises(StoreError, match=r"acknowledged by 0 of 1 replicas|away"):
                await store.put("k", b"w", 60)
            replica.start()
            await until(lambda: backend.standing.available)
            await store.put("k", b"x", 60)

    with (
        RedisServer(redis_program, "--repl-diskless-sync-delay", "0") as server,
        RedisServer(redis_program, "--replicaof", "127.0.0.1", str(server.port)) as replica,
    ):
        play(scenario(server, replica))
