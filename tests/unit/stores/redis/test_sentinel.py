"""A store whose server sentinels name: found, followed when it falls, left when another one has taken its place."""

import pytest
import uvloop

from gateway.api.errors import StoreError
from gateway.stores.keys import scoped
from tests.redis_groups import SentinelGroup
from tests.redis_servers import RedisServer
from tests.unit.stores.redis.scenes import PATIENT, fake_server, opened, until


def test_the_master_falls_and_its_replica_takes_over(redis_program, caplog):
    async def scenario(group):
        async with opened(f"{group.url}?timeout=2s") as backend:
            store = scoped(backend, "policy")
            await store.put("k", b"v", 60)
            assert group.master.ask("GET", store.full_key("k")) == b"v"
            group.master.stop()
            await until(lambda: not backend.standing.available)
            await until(lambda: backend.standing.available, 20)
            assert backend._server._place == ("127.0.0.1", group.replica.port)
            assert await store.get("k") == b"v"
            await store.put("k", b"w", 60)

    with SentinelGroup(redis_program).running() as group:
        uvloop.run(scenario(group))
    assert "is away" in caplog.text
    assert "is back after" in caplog.text


def test_one_that_still_answers_is_left_when_the_sentinels_name_another(redis_program, redis_server, play):
    named = {"port": redis_server.port}

    def sentinel(words):
        assert words == [b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", b"main"]
        port = str(named["port"])
        return f"*2\r\n$9\r\n127.0.0.1\r\n${len(port)}\r\n{port}\r\n".encode()

    async def scenario(other):
        async with fake_server(sentinel) as url:
            place = url.removeprefix("redis://")
            async with opened(f"redis+sentinel://{place}/main?timeout=2s") as backend:
                store = scoped(backend, "policy")
                await store.put("k", b"v", 60)
                named["port"] = other.port
                await until(lambda: backend.standing.switches == 1)
                await until(lambda: backend.standing.available)
                await store.put("k", b"w", 60)
                assert other.ask("GET", store.full_key("k")) == b"w"

    with RedisServer(redis_program) as other:
        play(scenario(other))


def test_sentinels_that_are_silent_are_passed_over_and_asked_last_from_then_on(redis_server, play):
    asked = []

    def silent(words):
        asked.append(words)
        return b""

    def knowing(words):
        port = str(redis_server.port)
        return f"*2\r\n$9\r\n127.0.0.1\r\n${len(port)}\r\n{port}\r\n".encode()

    async def scenario():
        async with fake_server(silent) as one, fake_server(silent) as two, fake_server(knowing) as three:
            places = ",".join(url.removeprefix("redis://") for url in (one, two, three))
            async with opened(f"redis+sentinel://{places}/main?{PATIENT}") as backend:
                await backend.settled()
                assert backend.standing.available
                assert len(asked) == 2
                await backend._server._locate()
                assert len(asked) == 2

    play(scenario())


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"*-1\r\n", "knows no master 'main'"),
        (b"+OK\r\n", "is it a sentinel"),
        (b"HTTP/1.1 400\r\n", "answers nonsense"),
        (b"-ERR unknown command 'SENTINEL'\r\n", "unknown command"),
    ],
    ids=["unknown", "not a sentinel", "HTTP", "a plain Redis"],
)
def test_sentinels_that_are_of_no_use(answer, reason, play, caplog):
    async def scenario():
        async with fake_server(lambda words: answer) as url:
            place = url.removeprefix("redis://")
            async with opened(f"redis+sentinel://127.0.0.1:1,{place}/main") as backend:
                with pytest.raises(StoreError, match="away: no sentinel names the master"):
                    await scoped(backend, "policy").get("k")

    play(scenario())
    assert len(caplog.records) == 1
    assert reason in caplog.text
