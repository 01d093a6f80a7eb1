"""The store in a file: lasting, shared, one commit for what comes together, and clear about what goes wrong."""

import asyncio
import sqlite3
import stat
from dataclasses import dataclass

import pytest

from gateway.api.errors import StoreError
from gateway.stores.keys import scoped
from gateway.stores.open import lasting_url, open_store, state_folder
from gateway.stores.sqlite import SqliteStore
from gateway.testing.clock import FakeClock
from gateway.testing.turns import a_turn


@pytest.fixture
def clock():
    return FakeClock()


def store_at(tmp_path, clock, sync="normal"):
    return SqliteStore(tmp_path / "state" / "lasting.db", clock.time, sync)


@dataclass
class Run:
    """An operation of a test's making."""

    apply: object
    name: str = "run"
    lua: str = ""


def test_it_outlives_its_process_and_is_nobody_elses_to_read(tmp_path, clock):
    async def scenario():
        first = store_at(tmp_path, clock)
        await first.put("k", b"v", 10)
        await first.close()
        second = store_at(tmp_path, clock, "full")
        assert await second.get("k") == b"v"
        await second.close()

    asyncio.run(scenario())
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "state" / "lasting.db").stat().st_mode) == 0o600


def test_several_processes_share_it(tmp_path, clock):
    async def scenario():
        stores = [store_at(tmp_path, clock) for _ in range(3)]
        answers = await asyncio.gather(*(stores[n % 3].claim("k", b"%d" % n, 5) for n in range(60)))
        assert answers.count(None) == 1
        assert set(answers) - {None} == {b"%d" % answers.index(None)}
        for store in stores:
            await store.close()

    asyncio.run(scenario())


def test_a_new_file_that_another_process_has_locked_is_waited_for(tmp_path, clock):
    (tmp_path / "state").mkdir()
    other = sqlite3.connect(tmp_path / "state" / "lasting.db", isolation_level=None)
    other.execute("begin immediate")

    async def scenario():
        store = store_at(tmp_path, clock)
        put = asyncio.ensure_future(store.put("k", b"v", 5))
        assert (await asyncio.wait({put}, timeout=0.05))[1] == {put}
        other.execute("rollback")
        await put
        assert await store.get("k") == b"v"
        await store.close()

    asyncio.run(scenario())
    other.close()


def test_what_comes_in_one_turn_shares_a_transaction(tmp_path, clock, monkeypatch):
    begun = []
    transact = SqliteStore._transact
    monkeypatch.setattr(SqliteStore, "_transact", lambda *args: (begun.append(len(args[2])), transact(*args))[1])

    async def scenario():
        store = store_at(tmp_path, clock)
        await asyncio.gather(*(store.put(f"k{n}", b"v", 5) for n in range(64)))
        await store.close()

    asyncio.run(scenario())
    assert begun == [64]


def test_an_operation_sees_its_own_changes_and_a_bug_in_it_harms_no_other(tmp_path, clock):
    def change(table, now):
        table.set("a", b"1", now + 5)
        assert table.get("a") == b"1"
        table.set("a", b"2", now)
        assert table.get("a") is None
        table.set("b", b"3", now + 5)
        table.delete("b")
        return table.get("b")

    def broken(table, now):
        table.set("broken", b"1", now + 5)
        raise ZeroDivisionError

    async def scenario():
        store = store_at(tmp_path, clock)
        results = await asyncio.gather(
            store.run(Run(change), ""), store.run(Run(broken), ""), store.put("c", b"4", 5), return_exceptions=True
        )
        assert results[0] is None
        assert isinstance(results[1], ZeroDivisionError)
        assert [await store.get(key) for key in ("a", "b", "broken", "c")] == [None, None, None, b"4"]
        await store.close()

    asyncio.run(scenario())


def test_what_has_ended_is_swept(tmp_path, clock):
    async def scenario():
        store = store_at(tmp_path, clock)
        for n in range(5):
            await store.put(f"k{n}", b"v", 1)
        clock.advance(60)
        await store.put("new", b"v", 1)
        await store.close()

    asyncio.run(scenario())
    with sqlite3.connect(tmp_path / "state" / "lasting.db") as file:
        assert file.execute("select key from entries").fetchall() == [("new",)]
    file.close()


def test_trouble_is_said_and_it_recovers(tmp_path, clock, caplog):
    (tmp_path / "state").write_text("a file where the folder should be")

    async def scenario():
        store = store_at(tmp_path, clock)
        for _ in range(2):
            with pytest.raises(StoreError, match=r"lasting\.db"):
                await store.get("k")
        (tmp_path / "state").unlink()
        await store.put("k", b"v", 5)
        assert await store.get("k") == b"v"
        await store.close()

    asyncio.run(scenario())
    away, back = caplog.messages  # once each, however many operations failed
    assert away.startswith(f"store {tmp_path / 'state' / 'lasting.db'} is away: ")
    assert back == f"store {tmp_path / 'state' / 'lasting.db'} is back"


def test_a_file_of_another_layout_is_refused(tmp_path, clock):
    (tmp_path / "state").mkdir()
    with sqlite3.connect(tmp_path / "state" / "lasting.db") as file:
        file.execute("pragma user_version = 99")
    file.close()

    async def scenario():
        store = store_at(tmp_path, clock)
        with pytest.raises(StoreError, match="another version"):
            await store.get("k")
        await store.close()

    asyncio.run(scenario())


def test_a_caller_that_was_cancelled_is_not_answered(tmp_path, clock):
    async def scenario():
        store = store_at(tmp_path, clock)
        task = asyncio.ensure_future(store.put("k", b"v", 5))
        await a_turn()
        task.cancel()
        assert await store.get("k") == b"v"
        await store.close()
        await store.close()

    asyncio.run(scenario())


def test_urls(tmp_path, clock, monkeypatch):
    assert open_store("sqlite:///a/b%20c.db?sync=normal", clock).path.as_posix() == "/a/b c.db"
    assert open_store("sqlite:////a/b", clock).path.as_posix() == "/a/b"
    for wrong in ("sqlite", "sqlite://a/b", "sqlite:///a?sync=off"):
        with pytest.raises(ValueError, match="SQLite"):
            open_store(wrong, clock)
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/one:/var/lib/two")
    assert state_folder(None).as_posix() == "/var/lib/one"
    assert state_folder("/x").as_posix() == "/x"
    assert lasting_url(None, "/x y") == "sqlite:///x%20y/lasting.db"
    assert lasting_url("sqlite?sync=normal", "/x") == "sqlite:///x/lasting.db?sync=normal"
    assert lasting_url("memory", "/x") == "memory"


def test_a_value_that_cannot_be_kept_ends_no_thread(tmp_path):
    class Keep:
        name, lua = "keep", ""

        def __init__(self, value):
            self.value = value

        def keys(self):
            return ("k",)

        def arguments(self):
            return ()

        def apply(self, table, now):
            table.set("k", self.value, now + 60)

        def parse(self, reply):
            return reply

    async def scenario():
        store = scoped(SqliteStore(tmp_path / "s.db", FakeClock().time, "normal"), "p")
        with pytest.raises(StoreError):
            await store.run(Keep(2**70))  # more than SQLite's integers hold
        await store.run(Keep(1))
        assert await store.get("k") == 1
        await store.backend.close()

    asyncio.run(scenario())


def test_only_a_commit_that_failed_may_have_been_done(tmp_path, clock):
    async def scenario():
        store = store_at(tmp_path, clock)
        with pytest.raises(StoreError) as failed:
            await store.run(Run(lambda rows, now: rows._connection.execute("commit") and None))
        assert failed.value.asked
        store.path.rename(tmp_path / "away")
        store.path.mkdir()
        with pytest.raises(StoreError) as failed:
            await store.put("k", b"v", 10)
        assert not failed.value.asked
        await store.close()

    asyncio.run(scenario())
