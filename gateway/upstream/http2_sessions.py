"""The HTTP/2 connections to one target: which one a call goes to, when another is opened. Sends nothing itself."""

from __future__ import annotations

import asyncio

from gateway.api.errors import Cause, UpstreamError
from gateway.upstream.dial import Tls, dial
from gateway.upstream.http2 import Session
from gateway.upstream.http2_stream import Http2Stream, StreamHome
from gateway.upstream.resolve import Address, Resolver

USUAL_STREAMS = 100  # taken for what an upstream allows until it was heard (RFC 9113 §6.5.2 recommends no less)


class NoRoom(Exception):
    """Every connection that may be opened is full; the call waits for another to end."""


class Sessions:
    """Fills one connection before it opens the next; of those being opened there is one at a time, for all that wait."""

    def __init__(self, upstream: str, resolver: Resolver, home: StreamHome) -> None:
        self._upstream = upstream
        self._resolver = resolver
        self._home = home
        self._loop = home.sweep.loop
        self._sessions: list[Session] = []
        self._opening: asyncio.Task[None] | None = None
        self._streams = USUAL_STREAMS  # allowed by the connection opened last

    def limit(self, connections: int) -> int:
        """How many calls may be under way at a time."""
        live = [session.max_streams for session in self._sessions if not session.going]
        return sum(live) + max(0, connections - len(live)) * self._streams

    @property
    def room(self) -> int:
        """Calls that fit on the connections that there are."""
        return sum(session.max_streams - len(session.places) for session in self._sessions if session.has_room)

    @property
    def connections(self) -> int:
        return len(self._sessions)

    async def open(self, connections: int, tls: Tls | None, connect_s: float, first: int) -> Http2Stream:
        """A place for a call, on one of at most `connections`.

        Raises UpstreamError with sent=False, and NoRoom.
        """
        while True:
            known = self._resolver.known
            fitting = [each for each in self._sessions if each.tls is tls and (not known or each.address in known)]
            for session in fitting:
                if session.has_room:
                    return session.place(self._home)
            if self._opening is None:
                if sum(not session.going for session in fitting) >= connections:
                    raise NoRoom
                self._opening = self._loop.create_task(self._open(tls, connect_s, first))
            opening = self._opening
            await asyncio.wait((opening,))
            if self._opening is opening:
                self._opening = None
            opening.result()

    def close(self) -> None:
        """Those without a call are closed; the others when theirs have ended."""
        for session in list(self._sessions):
            session.retire()

    async def _open(self, tls: Tls | None, connect_s: float, first: int) -> None:
        end = self._loop.time() + connect_s

        def make(address: Address) -> Session:
            return Session(self._loop, address, tls=tls, gone=self._forget)

        session = await dial(self._upstream, self._resolver, tls, connect_s, first, make)
        try:
            async with asyncio.timeout_at(end):
                obstacle = await asyncio.shield(session.ready)
        except TimeoutError as problem:
            session.close()
            raise self._failed(Cause.TIMEOUT, "no HTTP/2 SETTINGS in time") from problem
        if obstacle:
            raise self._failed(Cause.UNREACHABLE, obstacle)
        self._streams = max(1, session.max_streams)
        if session.max_streams < 1:
            session.close()
            raise self._failed(Cause.OVERLOAD, "the upstream allows no stream")
        session.idle_since = self._loop.time()  # whoever waits for it takes a place in the next turn
        self._sessions.append(session)
        self._home.sweep.keep_house(self._keep_house)

    def _keep_house(self, now: float) -> bool:
        """Close connections whose last call was given up and that nobody came back to."""
        for session in list(self._sessions):
            if not session.places and now - session.idle_since > 1.0:
                session.close()
        return bool(self._sessions)

    def _forget(self, session: Session) -> None:
        if session in self._sessions:
            self._sessions.remove(session)

    def _failed(self, cause: Cause, detail: str) -> UpstreamError:
        return UpstreamError(cause, "connect", sent=False, upstream=self._upstream, detail=detail)
