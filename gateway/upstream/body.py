"""The body of an upstream's answer while it arrives: a small buffer between the connection and whoever reads."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from gateway.api.messages import Body, Headers

HIGH_WATER = 64 * 1024  # octets held before the connection stops reading; one read of the loop may add 256 KiB


class Feed(Protocol):
    """The connection, as its answer's body sees it."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def await_piece(self) -> None:
        """Bound the wait for the next piece by the upstream's idle timeout."""

    def abandon(self) -> None:
        """Nobody wants the rest: end the connection."""


class AnswerBody(Body):
    """Reads block until a piece is there; the connection pauses while more than HIGH_WATER octets wait."""

    __slots__ = ("_ended", "_error", "_feed", "_held", "_paused", "_pieces", "_reader", "length", "trailers")

    def __init__(self, feed: Feed | None, length: int | None) -> None:
        """`feed` is None when nothing is still to come."""
        self.length = length
        self.trailers: Headers | None = None
        self._feed: Feed | None = feed
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._paused = False
        self._ended = False
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None

    async def read(self) -> bytes:
        if not self._pieces and not self._ended and self._error is None:
            feed = self._feed
            if feed is None or self._reader is not None:
                raise RuntimeError("a body is read by one reader, and not after close()")
            self._reader = asyncio.get_running_loop().create_future()
            feed.await_piece()
            try:
                await self._reader
            finally:
                self._reader = None
        if self._pieces:
            piece = self._pieces.popleft()
            self._held -= len(piece)
            if self._paused and self._held <= HIGH_WATER and self._feed is not None:
                self._paused = False
                self._feed.resume()
            return piece
        if self._error is not None:
            raise self._error
        return b""

    def close(self) -> None:
        self._pieces.clear()
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.abandon()

    @property
    def awaited(self) -> bool:
        """Somebody waits for the next piece."""
        return self._reader is not None

    def put(self, piece: bytes) -> None:
        """The connection's side: a piece arrived."""
        self._pieces.append(piece)
        self._held += len(piece)
        if self._held > HIGH_WATER and not self._paused and self._feed is not None:
            self._paused = True
            self._feed.pause()
        self._wake()

    def end(self, *, last: bytes = b"", error: Exception | None = None, trailers: Headers | None = None) -> None:
        """The connection's side: `last` was the last piece, or `error` is why no more will come."""
        self.trailers = trailers
        if last:
            self._pieces.append(last)
        self._ended = error is None
        self._error = error
        self._feed = None
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


def trailed(piece: bytes, trailers: Headers) -> AnswerBody:
    """The body of an answer that came whole, with trailers."""
    body = AnswerBody(None, None)
    body.end(last=piece, trailers=trailers)
    return body
