"""The store against a real server that is stopped, paused, emptied: what callers see, and when."""

import asyncio
import logging
import signal
from contextlib import contextmanager

import pytest

from gateway.api.errors import StoreError
from gateway.api.limits.operations import Amount, Take
from gateway.stores.keys import scoped
from tests.redis_clock import RedisClock, clocked_store
from tests.redis_servers import RedisServer, free_port
from tests.unit.stores.redis.scenes import PATIENT, Ask, opened, until


@contextmanager
def written_to(backend):
    """The pieces that are written to the server meanwhile."""
    link = backend._server.link
    transport, written = link._transport, []

    class Spy:
        def write(self, data):
            written.append(data)
            transport.write(data)

    link._transport = Spy()
    try:
        yield written
    finally:
        link._transport = transport


def test_arguments_arrive_with_all_their_digits_and_keys_within_the_prefix(redis_server, play):
    async def scenario():
        async with opened(f"{redis_server.url}?{PATIENT}&prefix=mine:") as backend:
            store = scoped(backend, "policy").within("route", "a b")
            told = await store.run(Ask("return {KEYS[1], ARGV[1], ARGV[2], ARGV[3]}", (0.1 + 0.2, b"\xff", 7)))
            assert told == [b"mine:{policy|k}:route:a%20b", b"0.30000000000000004", b"\xff", b"7"]
            assert store.full_key("k") == "mine:{policy|k}:route:a%20b"
            assert await store.run_across(Ask("return KEYS[1]")) == b"k"
            seconds, micros = redis_server.ask("TIME")
            now = float(await store.run(Ask("return string.format('%.6f', now)")))
            assert 0 <= now - (seconds + micros / 1e6) < 5

    play(scenario())


def test_what_one_turn_asks_for_travels_together(redis_server, play):
    async def scenario():
        async with opened(f"{redis_server.url}?{PATIENT}") as backend:
            store = scoped(backend, "policy")
            await store.put("k", b"v", 5)  # the server knows the script from now on
            with written_to(backend) as written:
                await asyncio.gather(*(store.put(f"k{n}", b"v", 5) for n in range(64)))
            assert [data.count(b"EVALSHA") for data in written] == [64]

    play(scenario())


def test_what_comes_while_an_answer_is_awaited_leaves_together_with_it(redis_server, play):
    async def scenario():
        async with opened(f"{redis_server.url}?{PATIENT}") as backend:
            store = scoped(backend, "policy")
            await store.put("k", b"v", 5)
            with written_to(backend) as written:
                redis_server.pause()
                try:
                    asked = [asyncio.ensure_future(store.put("first", b"v", 5))]
                    await until(lambda: written)
                    for n in range(3):  # a turn each
                        asked.append(asyncio.ensure_future(store.put(f"k{n}", b"v", 5)))
                        await asyncio.sleep(0)
                        await asyncio.sleep(0)
                    assert len(written) == 1
                finally:
                    redis_server.go_on()
                await asyncio.gather(*asked)
            assert [data.count(b"EVALSHA") for data in written] == [1, 3]

    play(scenario())


def test_what_has_not_left_when_the_server_is_found_silent_was_never_asked(redis_server, play):
    async def scenario():
        async with opened(f"{redis_server.url}?timeout=50ms") as backend:
            store = scoped(backend, "policy")
            await store.put("k", b"v", 5)
            with written_to(backend) as written:
                redis_server.pause()
                try:
                    asked = asyncio.ensure_future(store.put("first", b"v", 5))
                    await until(lambda: written)
                    kept_back = asyncio.ensure_future(store.put("second", b"v", 5))
                    failed = await asyncio.gather(asked, kept_back, return_exceptions=True)
                    assert [type(one) for one in failed] == [StoreError, StoreError]
                    assert [one.asked for one in failed] == [True, False]
                finally:
                    redis_server.go_on()
            await until(lambda: backend.standing.available)
            assert await store.get("second") is None

    play(scenario())


def test_a_server_that_lost_its_scripts_is_told_them_again(redis_server, play):
    async def scenario():
        async with opened(f"{redis_server.url}?{PATIENT}") as backend:
            store = scoped(backend, "policy")
            await store.put("k", b"v", 60)
            redis_server.ask("SCRIPT", "FLUSH")
            assert await asyncio.gather(*(store.claim("k", b"w", 60) for _ in range(10))) == [b"v"] * 10
            assert backend.standing.available

    play(scenario())


def test_an_operation_that_is_kept_is_written_out_once_and_counts_each_time(redis_server, play):
    async def scenario():
        async with opened(f"{redis_server.url}?{PATIENT}") as backend:
            store = scoped(backend, "limits")
            take = Take((Amount(store.full_key("k"), b"window", 1, 3, 60),))
            assert (await store.run_across(take)).standing == [1]
            written = take.made
            assert written[2].count(b"EVALSHA") == 1
            redis_server.ask("SCRIPT", "FLUSH")
            assert [(await store.run_across(take)).standing for _ in range(3)] == [[2], [3], [3]]
            assert take.made is written

    play(scenario())


def test_a_script_that_fails_is_the_operations_own_trouble(redis_server, caplog, play):
    async def scenario():
        async with opened(f"{redis_server.url}?{PATIENT}") as backend:
            store = scoped(backend, "policy")
            bad, good = await asyncio.gather(
                store.run(Ask("return redis.call('LPUSH', KEYS[1]")), store.put("x", b"v", 5), return_exceptions=True
            )
            assert isinstance(bad, StoreError)
            assert good is None
            with pytest.raises(StoreError):
                await store.run(Ask("return redis.call('NOSUCH')"))
            assert backend.standing.available

    play(scenario())
    assert len(caplog.records) == 1  # one line, however often
    assert "refuses an operation" in caplog.text


def test_a_store_that_is_down_from_the_start_is_used_as_soon_as_it_is_there(redis_program, caplog, play):
    caplog.set_level(logging.WARNING, "sluicegate.store")
    port = free_port()

    async def scenario():
        async with opened(f"redis://127.0.0.1:{port}?{PATIENT}") as backend:
            store = scoped(backend, "policy")
            await backend.settled()
            assert not backend.standing.available
            with pytest.raises(StoreError, match="away"):
                await store.get("k")
            with RedisServer(redis_program, port=port):
                await until(lambda: backend.standing.available)
                await store.put("k", b"v", 5)
                assert await store.get("k") == b"v"

    play(scenario())
    assert "store shared is away" in caplog.records[0].getMessage()
    assert "store shared is back after" in caplog.records[-2].getMessage()
    assert "the connection was lost" in caplog.records[-1].getMessage()
    assert len(caplog.records) <= 4


def test_a_server_that_is_killed_costs_nothing_until_it_is_back(redis_program, caplog, play):
    class Follower:
        def __init__(self):
            self.news = []

        def changed(self, available):
            self.news.append(available)

    async def scenario():
        with RedisServer(redis_program) as server:
            async with opened(f"{server.url}?{PATIENT}") as backend:
                store = scoped(backend, "policy")
                follower = Follower()
                await store.put("k", b"v", 60)
                backend.standing.follow(follower.changed)
                server.stop()
                await until(lambda: not backend.standing.available)
                loop = asyncio.get_running_loop()
                began = loop.time()
                for _ in range(100):
                    with pytest.raises(StoreError, match="away"):
                        await store.get("k")
                assert loop.time() - began < 1.0  # 100 refusals without one wait
                server.start()
                began = loop.time()
                await until(lambda: backend.standing.available)
                assert loop.time() - began < 2.0
                assert await store.get("k") is None
                assert follower.news == [False, True]
                assert backend.standing.switches == 1

    play(scenario())
    assert caplog.records[0].getMessage().startswith("store shared is away: ")


def test_a_server_that_does_not_answer_is_waited_for_once(redis_program, play):
    async def scenario():
        with RedisServer(redis_program) as server:
            async with opened(f"{server.url}?timeout=50ms") as backend:
                store = scoped(backend, "policy")
                await until_it_answers(store)
                server.pause()
                loop = asyncio.get_running_loop()
                began = loop.time()
                answers = await asyncio.gather(*(store.get("k") for _ in range(20)), return_exceptions=True)
                assert loop.time() - began < 0.5  # ten times as long as they may take: the machine may be busy
                assert {str(answer) for answer in answers} == {"no answer within 50 ms"}
                await until(lambda: not backend.standing.available)  # a heartbeat was not answered either
                with pytest.raises(StoreError, match="away"):
                    await store.get("k")
                server.go_on()
                await until(lambda: backend.standing.available)
                await until_it_answers(store)

    async def until_it_answers(store):
        async with asyncio.timeout(10):
            while True:
                try:
                    return await store.put("k", b"v", 60)
                except StoreError:
                    await asyncio.sleep(0.01)

    play(scenario())


def test_one_late_answer_is_that_calls_trouble_alone(redis_program, play):
    async def scenario():
        with RedisServer(redis_program) as server:
            async with opened(f"{server.url}?timeout=2s") as backend:
                store = scoped(backend, "policy")
                await store.put("k", b"v", 60)
                server.pause()
                with pytest.raises(StoreError, match="no answer within 2000 ms"):
                    await store.get("k")
                server.go_on()
                assert await store.get("k") == b"v"
                assert backend.standing.switches == 0

    play(scenario())


def test_processes_that_share_a_store_know_how_many_they_are(redis_server, play):
    async def scenario():
        url = f"{redis_server.url}?{PATIENT}"
        async with opened(url, process="one") as one:
            await one.settled()
            assert one.standing.processes == 1
            async with opened(url, process="two") as two, opened(url, process="two", lasting=True) as lasting:
                await two.settled()
                await lasting.settled()
                assert two.standing.processes == lasting.standing.processes == 2
                await until(lambda: one.standing.processes == 2)
            await until(lambda: one.standing.processes == 1)  # the others have left

    play(scenario())


def test_a_process_that_dies_is_counted_for_some_seconds(redis_server, play):
    async def scenario():
        clock = RedisClock(redis_server)
        one, two = clocked_store(redis_server, process="one"), clocked_store(redis_server, process="two")
        await two.settled()
        two._server._task.cancel()  # without a word
        await one.settled()
        assert one.standing.processes == 2
        clock.advance(5)
        await until(lambda: one.standing.processes == 1)
        await one.close()
        await two.close()

    play(scenario())


def test_the_end_of_a_server_in_good_order_is_an_end_as_well(redis_program, play):
    async def scenario():
        with RedisServer(redis_program) as server:
            async with opened(f"{server.url}?{PATIENT}") as backend:
                await backend.settled()
                server.stop(signal.SIGTERM)
                await until(lambda: not backend.standing.available)
                assert backend.standing.reason

    play(scenario())
