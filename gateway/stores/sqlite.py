"""State in a file that outlives processes and crashes, shared by the workers of one machine. Knows keys and ends, no policy.

One thread writes. What the requests of one event-loop turn ask for travels together and shares a transaction, and so one
wait for the disk; what comes while the disk is busy shares the next.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from gateway.api.errors import StoreError
from gateway.api.ports import Operation
from gateway.api.standing import Standing
from gateway.stores.keys import plain

T = TypeVar("T")

log = logging.getLogger("sluicegate.store")

Sync = Literal["full", "normal"]

LAYOUT = 1  # PRAGMA user_version; a file of another one is refused
BUSY_S = 5.0  # how long a writer waits for those of other processes
BUSY_LOOK_S = 0.005
SWEEP_S = 10.0  # between two looks for what has ended
SWEPT_AT_ONCE = 1000
BATCH = 512  # operations in one transaction at most

# Rows in the order in which they came: of one moment they share pages. Without rowid they lie where their keys do, and
# claim and outcome of a call take 12 µs more
_SCHEMA = """
create table if not exists entries (key text not null unique, value blob not null, expires real not null);
create index if not exists by_end on entries (expires);
"""


@dataclass(slots=True)
class _Job:
    """One operation on its way to the writer and back."""

    apply: Callable[[_Rows, float], Any]
    prefix: str
    reply: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None

    def deliver(self) -> None:
        if self.reply.done():  # its caller was cancelled
            return
        if self.error is None:
            self.reply.set_result(self.result)
        else:
            self.reply.set_exception(self.error)


class _Rows:
    """The table as one operation sees it; its changes are written when it has returned, or not at all."""

    def __init__(self, connection: sqlite3.Connection, prefix: str, now: float) -> None:
        self._connection = connection
        self._prefix = prefix
        self._now = now
        self._changes: dict[str, tuple[Any, float] | None] = {}
        self._ends: dict[str, float] = {}  # of rows that are there

    def get(self, key: str) -> Any:
        key = self._prefix + key
        if key in self._changes:
            changed = self._changes[key]
            return None if changed is None or changed[1] <= self._now else changed[0]
        row = self._connection.execute(
            "select value, expires from entries where key = ? and expires > ?", (_bound(key), self._now)
        ).fetchone()
        if row is None:
            return None
        self._ends[key] = row[1]
        return row[0]

    def set(self, key: str, value: Any, expires: float) -> None:
        self._changes[self._prefix + key] = (value, expires)

    def delete(self, key: str) -> None:
        self._changes[self._prefix + key] = None

    def write(self) -> None:
        for key, change in self._changes.items():
            if change is None:
                self._connection.execute("delete from entries where key = ?", (_bound(key),))
            elif self._ends.get(key) == change[1]:  # its place among the ends stays
                self._connection.execute("update entries set value = ? where key = ?", (change[0], _bound(key)))
            else:
                self._connection.execute("insert or replace into entries values (?, ?, ?)", (_bound(key), *change))


def _bound(key: str) -> str | bytes:
    """A key as SQLite takes it. A caller's name may hold half a surrogate pair, by JSON's \\u escapes: no text, so octets."""
    if not key.isascii():
        octets = key.encode("utf-8", "surrogatepass")
        if octets.decode("utf-8", "replace") != key:
            return octets
    return key


class SqliteStore:
    """A Backend. Values are octets (or what SQLite keeps as it is: numbers and text).

    `sync="full"`: what was answered is on the disk. `sync="normal"`: it survives the end of the process, however
    sudden; a power cut or a crash of the machine may lose the last moments (sqlite.org/pragma.html#pragma_synchronous).
    Ends are counted by the wall clock, because they must mean the same to other processes and after a restart.
    """

    waits_for_disk = True

    def __init__(self, path: Path, time: Callable[[], float], sync: Sync = "full") -> None:
        """Opens the file when it is first used."""
        self.path = path
        self.standing = Standing()
        self._time = time
        self._sync = sync
        self._jobs: queue.SimpleQueue[tuple[asyncio.AbstractEventLoop, list[_Job]] | None] = queue.SimpleQueue()
        self._turn: list[_Job] = []
        self._thread: threading.Thread | None = None
        self._sweep_at = 0.0
        self._committing = False
        self._usable = True  # as was seen last

    async def get(self, key: str) -> bytes | None:
        found: bytes | None = await self._ask(lambda rows, now: rows.get(key), "")
        return found

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        await self._ask(lambda rows, now: rows.set(key, value, now + ttl_s), "")

    async def claim(self, key: str, value: bytes, ttl_s: float) -> bytes | None:
        def apply(rows: _Rows, now: float) -> bytes | None:
            holder: bytes | None = rows.get(key)
            if holder is None:
                rows.set(key, value, now + ttl_s)
            return holder

        return await self._ask(apply, "")

    async def run(self, operation: Operation[T], namespace: str | None = None) -> T:
        return await self._ask(operation.apply, "" if namespace is None else plain(namespace, ""))

    def full_key(self, namespace: str, key: str) -> str:
        return plain(namespace, key)

    def together(self, full_keys: Sequence[str]) -> bool:
        return True

    async def settled(self) -> None:
        """It needs nobody."""

    async def close(self) -> None:
        """Everything that was asked for is written before the file is closed."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._hand_over()
            self._jobs.put(None)
            await asyncio.to_thread(thread.join)

    def _ask(self, apply: Callable[[_Rows, float], T], prefix: str) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[T] = loop.create_future()
        if not self._turn:
            loop.call_soon(self._hand_over)
        self._turn.append(_Job(apply, prefix, reply))
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, name=f"sqlite {self.path.name}", daemon=True)
            self._thread.start()
        return reply

    def _hand_over(self) -> None:
        if self._turn:
            jobs, self._turn = self._turn, []
            self._jobs.put((asyncio.get_running_loop(), jobs))

    # -- the writer's side

    def _write(self) -> None:
        connection: sqlite3.Connection | None = None
        ending = False
        while not ending:
            handed = [self._jobs.get()]
            while sum(len(one[1]) for one in handed if one) < BATCH:
                try:
                    handed.append(self._jobs.get_nowait())
                except queue.Empty:
                    break
            batches = [one for one in handed if one is not None]
            ending = len(batches) < len(handed)
            jobs = [job for _, batch in batches for job in batch]
            if jobs:
                self._committing = False
                try:
                    if connection is None:
                        connection = self._open()
                    self._transact(connection, jobs)
                    self._note(None)
                except Exception as problem:  # a bug, too, must not end the thread: everybody would wait for ever
                    self._note(problem)
                    for job in jobs:
                        # rolled back, unless it was the commit that failed
                        job.error = StoreError(f"{self.path}: {problem}", asked=self._committing)
                    if connection is not None:
                        connection.close()  # rolls back; opened anew, as the file may be replaced or its disk come back
                        connection = None
            for loop, batch in batches:
                _tell(loop, batch)
        if connection is not None:
            connection.close()

    def _note(self, problem: Exception | None) -> None:
        """Logs each change between usable and not, and no single operation."""
        if self._usable != (problem is None):
            self._usable = problem is None
            if problem is None:
                log.warning("store %s is back", self.path)
            else:
                log.warning("store %s is away: %s", self.path, problem)

    def _transact(self, connection: sqlite3.Connection, jobs: list[_Job]) -> None:
        connection.execute("begin immediate")
        now = self._time()  # within the lock: times never run against the order of the transactions of this machine
        for job in jobs:
            rows = _Rows(connection, job.prefix, now)
            try:
                job.result = job.apply(rows, now)
            except sqlite3.Error:
                raise
            except Exception as bug:  # an operation's own: the others of its turn are not to suffer
                job.error = bug
            else:
                rows.write()
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_S
            connection.execute(
                "delete from entries where key in (select key from entries where expires <= ? limit ?)",
                (now, SWEPT_AT_ONCE),
            )
        self._committing = True
        connection.execute("commit")
        self._committing = False

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):  # a second descriptor would end SQLite's locks when it is closed (fcntl(2))
            # answers are kept in it: nobody else's to read
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
        try:
            _use_wal(connection)
            connection.execute(f"pragma synchronous = {self._sync}")
            (layout,) = connection.execute("pragma user_version").fetchone()
            if layout not in (0, LAYOUT):
                raise OSError(f"made by another version (layout {layout}, this one writes {LAYOUT})")
            connection.executescript(_SCHEMA)
            connection.execute(f"pragma user_version = {LAYOUT}")
        except BaseException:
            connection.close()
            raise
        return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Several that open a new file at once all want this, and SQLite lets none of them wait here as it does elsewhere."""
    until = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
        time.sleep(BUSY_LOOK_S)


def _tell(loop: asyncio.AbstractEventLoop, jobs: list[_Job]) -> None:
    def deliver() -> None:
        for job in jobs:
            job.deliver()

    try:
        loop.call_soon_threadsafe(deliver)
    except RuntimeError:  # the loop was closed meanwhile: nobody waits any more
        return
