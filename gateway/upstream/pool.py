"""The connections to one target: which one a call gets, who waits, when another is opened. Decides at once, in O(1)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from itertools import takewhile
from typing import TypeVar

from gateway.api.errors import Cause, UpstreamError
from gateway.upstream.connection import Connection
from gateway.upstream.dial import dial
from gateway.upstream.http2_sessions import NoRoom, Sessions
from gateway.upstream.idle_limit import IdleLimit
from gateway.upstream.pool_settings import PoolSettings
from gateway.upstream.resolve import Address, Resolver
from gateway.upstream.rotation import TargetStanding
from gateway.upstream.sweep import Sweep
from gateway.upstream.waiter import Call, Waiter

P = TypeVar("P", bound=asyncio.BaseProtocol)

PASSED_OVER_S = 1.0  # how long a target that could not be connected to is left out while another is there


class Pool:
    """Idle connections are used last in, first out, so that those not needed grow old and are closed.

    Calls that find none wait in order; each is given what comes first, a connection that became free or one that
    was opened for it or for another. Whoever cancels a call does not cancel the opening: the next call will use it.
    """

    def __init__(
        self,
        upstream: str,
        url: str,
        resolver: Resolver,
        settings: PoolSettings,
        sweep: Sweep,
        blame: Callable[[Pool, UpstreamError], None],
    ) -> None:
        """`blame` is told of every failure that was the target's."""
        self.upstream = upstream
        self.url = url
        self.sweep = sweep
        self.available_at = 0.0  # while this is in the future, other targets are preferred
        self.trouble = ""  # why that is so
        self.standing = TargetStanding()
        self.told = "in"  # the state that the log has
        self.latency_s = 0.0
        self.idle_limit = IdleLimit(settings.idle_s)
        self._blame = blame
        self.requests = 0
        self.errors = 0
        self._open = 0  # connections, those being opened included
        self._waits = 0
        self._resolver = resolver
        self._idle: dict[Connection, None] = {}
        self._all: set[Connection] = set()
        self._waiters: OrderedDict[Waiter, None] = OrderedDict()
        self._waiting = 0
        self._dials: set[asyncio.Task[None]] = set()
        self._dialed = 0
        self._addresses: tuple[Address, ...] = ()
        self._retired = False
        self._apply(settings)
        self.http2 = settings.http2
        self._sessions = Sessions(upstream, resolver, self) if settings.http2 else None

    def reconfigure(self, settings: PoolSettings) -> None:
        """New parameters for the living pool; with other TLS, connections are replaced as they become free."""
        if settings.tls != self._settings.tls:
            self._retire(list(self._all))
        self._resolver.refresh_s = settings.dns_refresh_s
        self._apply(settings)

    def _apply(self, settings: PoolSettings) -> None:
        self._settings = settings
        self.idle_limit.configure(settings.idle_s)
        self.weight = settings.weight
        self.host = settings.host
        self.first_byte_s = settings.first_byte_s
        self.idle_body_s = settings.idle_body_s
        self.idle_s = settings.idle_s

    @property
    def load(self) -> int:
        return len(self._all) - len(self._idle) + self._waiting

    @property
    def room(self) -> int:
        """Calls that would get a connection at once."""
        return len(self._idle) + (0 if self._sessions is None else self._sessions.room)

    @property
    def full(self) -> bool:
        """No connection is idle and none may be opened: a call would wait for another to end."""
        return self._open >= self._most and not self._idle

    @property
    def _most(self) -> int:
        """Connections, or calls on HTTP/2 connections, that there may be."""
        most = self._settings.connections
        return most if self._sessions is None else self._sessions.limit(most)

    def statistics(self) -> dict[str, int]:
        return {
            "open": len(self._all),
            "idle": len(self._idle),
            "opening": self._open - len(self._all),
            "waiting": self._waiting,
            "waits": self._waits,
            "requests": self.requests,
            "errors": self.errors,
            "ejections": self.standing.ejections,
        }

    def take(self, now: float, *, sure: bool) -> Connection | None:
        """An idle connection that the upstream has not closed and will not for a while, the one used last.

        `sure`: the call cannot be repeated, so ask the socket itself, however short the connection was idle.
        """
        idle = self._idle
        while idle:
            connection = idle.popitem()[0]
            if now - connection.idle_since >= self.idle_limit.limit_s:
                idle[connection] = None  # so are the others, which are older: what becomes of them teaches the limit
                return None
            if connection.usable(now, sure):
                return connection
            self.closed_idle(connection)
            connection.abort()
        return None

    async def acquire(self, call: Call, *, fresh: bool = False) -> Connection:
        """Wait for a connection; `fresh` asks for one that no call has used.

        Raises UpstreamError with sent=False: none became free (overload) or could be opened before the deadline.
        """
        waiter = Waiter(self.upstream, self.sweep, call, self.sweep.loop.time(), fresh=fresh)
        self._waiting += 1
        if fresh:
            self._dial(waiter)
        else:
            self._waiters[waiter] = None
            if self._open < self._most:
                self._dial(waiter)
            elif self._idle:
                # beyond the limit for idle ones; its place is dialled for the first waiter
                next(iter(self._idle)).abort()
            else:
                self._waits += 1
        self.sweep.add(waiter)
        try:
            return await waiter.connection
        except asyncio.CancelledError:
            given = waiter.connection
            if given.done() and not given.cancelled() and given.exception() is None:
                self.release(given.result())  # it came in the very turn in which the caller left
            raise
        finally:
            self._waiting -= 1
            self._waiters.pop(waiter, None)
            self.sweep.waiting.discard(waiter)

    async def dial_apart(self, make: Callable[[Address], P]) -> P:
        """A connection that is not the pool's: what is upgraded serves one call only. Raises UpstreamError, nothing sent."""
        settings = self._settings
        self._dialed += 1
        try:
            return await dial(self.upstream, self._resolver, settings.tls, settings.connect_s, self._dialed, make)
        except UpstreamError as error:
            self._unreachable(error)
            raise

    def release(self, connection: Connection) -> None:
        """A connection is free: the first that waits gets it."""
        if connection.closed:
            return
        while self._waiters:
            waiter = self._waiters.popitem(last=False)[0]
            if not waiter.connection.done():
                waiter.connection.set_result(connection)
                return
        if self._retired or connection.retiring or self._open > self._most:
            connection.abort()
            return
        connection.idle_since = self.sweep.loop.time()
        self._idle[connection] = None

    def lost(self, connection: Connection) -> None:
        """A connection ended: its place may go to one who waits."""
        self._open -= 1
        self._all.discard(connection)
        self._idle.pop(connection, None)
        self._dial_for_next()

    def streamed(self, status: int) -> None:
        if status < 500:
            self.standing.failures = 0

    def failed(self, error: UpstreamError) -> None:
        self.errors += 1
        self._blame(self, error)

    def _unreachable(self, error: UpstreamError) -> None:
        """Nothing was sent: calls go elsewhere for a moment."""
        self.available_at = self.sweep.loop.time() + PASSED_OVER_S
        self.trouble = f"{error.cause.value} at {error.stage}: {error.detail}"
        self.failed(error)

    def announced(self, seconds: float) -> None:
        self.idle_limit.announce(seconds)

    def closed_idle(self, connection: Connection) -> None:
        now = self.sweep.loop.time()
        self.idle_limit.closed(now - connection.idle_since, now)

    def close(self) -> None:
        """Retire: idle connections are closed now, the others when their calls and those waiting are done."""
        self._retired = True
        self._retire(list(self._all))
        if self._sessions is not None:
            self._sessions.close()

    def _retire(self, connections: list[Connection]) -> None:
        for connection in connections:
            if connection in self._idle:
                connection.abort()
            else:
                connection.retiring = True

    def _dial_for_next(self) -> None:
        if self._waiters and self._open < self._most:
            waiter = next((each for each in self._waiters if not each.dialing), None)
            if waiter is not None:
                self._dial(waiter)

    def _dial(self, waiter: Waiter) -> None:
        waiter.dialing = True
        self._open += 1
        task = self.sweep.loop.create_task(self._open_connection(waiter), name=f"connect {self.url}")
        self._dials.add(task)
        task.add_done_callback(self._dials.discard)

    async def _open_connection(self, waiter: Waiter) -> None:
        settings = self._settings
        self._dialed += 1
        try:
            connection: Connection
            if self._sessions is not None:
                most = settings.connections
                connection = await self._sessions.open(most, settings.tls, settings.connect_s, self._dialed)
            else:
                connection = await dial(
                    self.upstream, self._resolver, settings.tls, settings.connect_s, self._dialed, self._connection
                )
        except NoRoom:  # the upstream allows fewer streams than it might have: wait for one to end
            self._open -= 1
            waiter.dialing = False
            return
        except UpstreamError as error:
            self._open -= 1
            self._unreachable(error)
            self.idle_limit.forget()  # what closed before may have been its end, and not a timer
            if not waiter.connection.done():
                waiter.connection.set_exception(error)
            self._dial_for_next()
            return
        except BaseException:
            self._open -= 1
            raise
        self.sweep.keep_house(self._keep_house)
        if connection.closed:
            waiter.fail(Cause.UNREACHABLE, "connect", "the upstream closed the connection at once")
            return
        self._all.add(connection)
        connection.retiring = settings.tls != self._settings.tls
        if waiter.fresh and not waiter.connection.done():
            waiter.connection.set_result(connection)
        else:
            self.release(connection)

    def _connection(self, address: Address) -> Connection:
        return Connection(self, address)

    def _keep_house(self, now: float) -> bool:
        """Close what was idle for too long, and what leads to an address that DNS no longer gives."""
        oldest = now - self._settings.idle_s
        for connection in list(takewhile(lambda each: each.idle_since <= oldest, self._idle)):
            connection.abort()
        if self._idle:
            self.idle_limit.open_at(now - next(iter(self._idle)).idle_since)
        self._resolver.refresh_nowait(now)
        known = self._resolver.known
        if known is not self._addresses:
            self._addresses = known
            self._retire([each for each in self._all if each.address not in known])
        return bool(self._all)
