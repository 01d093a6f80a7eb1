"""Servers that are of no use, each in its own way: the store is away, says why, and comes back by itself."""

import asyncio

import pytest

from gateway.api.errors import StoreError
from gateway.stores.keys import scoped
from tests.redis_servers import RedisServer
from tests.unit.stores.redis.scenes import PATIENT, Ask, fake_server, opened, sound, until


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda words: b"HTTP/1.1 400 Bad Request\r\n\r\n", "answers nonsense"),
        (lambda words: b"+OK\r\n", "answers nonsense"),
        (lambda words: sound(words) * 2, "answers nonsense"),
        (lambda words: b":1\r\n" if words[0] != b"INFO" else b"$19\r\nredis_version:6.0.9\r\n", "6.0 is too old"),
        (lambda words: sound(words) if words[0] != b"EVALSHA" else b"$2\r\nno\r\n", "answers nonsense"),
        (lambda words: sound(words) if words[0] != b"EVALSHA" else b"$2\r\n12\r\n", "answers nonsense"),
        (lambda words: b"-LOADING Redis is loading the dataset in memory\r\n", "LOADING"),
        (lambda words: sound(words) if words[0] != b"EVALSHA" else b"-MISCONF no disk\r\n", "MISCONF no disk"),
    ],
    ids=["HTTP", "always OK", "doubled", "too old", "odd heartbeat", "odd number", "loading", "no disk"],
)
def test_what_is_no_redis_of_use_is_away_and_the_log_says_why(answer, reason, play, caplog):
    async def scenario():
        async with fake_server(answer) as url, opened(url) as backend:
            with pytest.raises(StoreError, match="away"):
                await scoped(backend, "policy").get("k")
            assert reason in backend.standing.reason

    play(scenario())
    assert len(caplog.records) == 1
    assert reason in caplog.text


def test_an_answer_that_is_none_of_the_operations_is_nonsense(play):
    answers = {"now": b"+OK\r\n"}

    def answer(words):
        return answers["now"] if words[0] == b"EVALSHA" and words[3].startswith(b"sluicegate:{policy") else sound(words)

    class Number(Ask):
        def parse(self, reply):
            return int(reply)

    async def scenario():
        async with fake_server(answer) as url, opened(f"{url}?{PATIENT}") as backend:
            store = scoped(backend, "policy")
            with pytest.raises(StoreError, match="answers nonsense"):
                await store.run(Number("return 1"))
            assert "answers nonsense" in backend.standing.reason
            answers["now"] = b":7\r\n"
            await until(lambda: backend.standing.available)
            assert await store.run(Number("return 1")) == 7
            with pytest.raises(StoreError, match="answers nonsense"):
                await store.get("k")

    play(scenario())


def test_a_server_without_memory_is_away_until_it_has_some(redis_program, play, caplog):
    async def scenario():
        with RedisServer(redis_program, "--maxmemory", "3mb", "--maxmemory-policy", "noeviction") as server:
            async with opened(f"{server.url}?{PATIENT}") as backend:
                store = scoped(backend, "policy")
                with pytest.raises(StoreError, match="OOM"):
                    await asyncio.gather(*(store.put(f"k{n}", b"x" * 100_000, 60) for n in range(100)))
                assert not backend.standing.available
                with pytest.raises(StoreError, match=r"away: .*OOM"):
                    await store.get("k1")
                server.ask("FLUSHALL")
                await until(lambda: backend.standing.available)
                await store.put("k", b"v", 60)

    play(scenario())
    assert "OOM" in caplog.records[0].getMessage()
    assert "back" in caplog.records[1].getMessage()


def test_a_server_that_became_a_replica_is_away(redis_program, redis_server, play):
    async def scenario():
        with RedisServer(redis_program) as server:
            async with opened(f"{server.url}?{PATIENT}") as backend:
                store = scoped(backend, "policy")
                await store.put("k", b"v", 60)
                server.ask("REPLICAOF", "127.0.0.1", redis_server.port)
                with pytest.raises(StoreError):
                    await store.put("k", b"v", 60)
                await until(lambda: "READONLY" in backend.standing.reason)
                server.ask("REPLICAOF", "NO", "ONE")
                await until(lambda: backend.standing.available)
                await store.put("k", b"v", 60)

    play(scenario())


def test_a_server_that_demands_a_password(redis_program, play, caplog):
    async def scenario():
        with RedisServer(redis_program) as server:
            place = f"127.0.0.1:{server.port}"
            async with opened(f"redis://{place}?{PATIENT}") as backend:
                store = scoped(backend, "policy")
                await store.put("k", b"v", 60)
                server.ask("CONFIG", "SET", "requirepass", "secret")
                await kill_connections(server)
                await until(lambda: "NOAUTH" in backend.standing.reason)
                with pytest.raises(StoreError, match="away"):
                    await store.get("k")
            async with opened(f"redis://:wrong@{place}?{PATIENT}") as backend:
                await backend.settled()
                assert "it refuses the password: WRONGPASS" in backend.standing.reason
            async with opened(f"redis://:secret@{place}?{PATIENT}") as backend:
                assert await scoped(backend, "policy").get("k") == b"v"

    async def kill_connections(server):
        import redis  # noqa: PLC0415

        with redis.Redis(port=server.port, password="secret") as client:
            client.client_kill_filter(_type="normal", skipme=True)

    play(scenario())
    assert "NOAUTH" in caplog.text
    assert "secret" not in caplog.text


def test_a_user_with_no_more_rights_than_the_page_names(redis_program, play):
    async def scenario():
        with RedisServer(redis_program) as server:
            rights = "on >pass ~sluicegate:* +@read +@write +@scripting +@connection +time +info +wait"
            server.ask("ACL", "SETUSER", "gateway", *rights.split())
            async with opened(f"redis://gateway:pass@127.0.0.1:{server.port}?{PATIENT}") as backend:
                store = scoped(backend, "policy")
                assert await store.claim("k", b"v", 60) is None
                assert backend.standing.available
            async with opened(f"redis://gateway:pass@127.0.0.1:{server.port}?{PATIENT}&prefix=other:") as backend:
                with pytest.raises(StoreError, match="away"):
                    await scoped(backend, "policy").get("k")
                assert "NOPERM" in backend.standing.reason

    play(scenario())


def test_a_database_that_is_not_there(redis_server, play):
    async def scenario():
        async with opened(f"redis://127.0.0.1:{redis_server.port}/99?{PATIENT}") as backend:
            await backend.settled()
            assert "out of range" in backend.standing.reason

    play(scenario())


def test_a_caller_that_leaves_disturbs_nobody(redis_server, play):
    async def scenario():
        async with opened(f"{redis_server.url}?{PATIENT}") as backend:
            store = scoped(backend, "policy")
            await store.put("k", b"v", 60)
            leaving = [asyncio.create_task(store.get("k")) for _ in range(5)]
            staying = [asyncio.create_task(store.get("k")) for _ in range(5)]
            await asyncio.sleep(0)
            for task in leaving:
                task.cancel()
            assert await asyncio.gather(*staying) == [b"v"] * 5
            assert all(task.cancelled() for task in leaving)
            assert await store.get("k") == b"v"

    play(scenario())


def test_a_host_that_cannot_be_a_name(play):
    async def scenario():
        async with opened("redis://a..b") as backend:
            with pytest.raises(StoreError, match="away"):
                await scoped(backend, "policy").get("k")

    play(scenario())
