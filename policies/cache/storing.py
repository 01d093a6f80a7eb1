"""A body that is stored while its first caller reads it. Knows nothing of freshness."""

from __future__ import annotations

from collections.abc import Callable

from gateway.api.messages import Body


class StoringBody(Body):
    """Passes pieces on as they come, and keeps them while they are not too many."""

    __slots__ = ("_ended", "_limit", "_pieces", "_size", "_source", "length")

    def __init__(self, source: Body, limit_bytes: int, ended: Callable[[bytes | None, bool], object]) -> None:
        """`ended` is told once: the body, None when it is not whole; and whether it was only too long."""
        self.length = source.length
        self._source = source
        self._limit = limit_bytes
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended: Callable[[bytes | None, bool], object] | None = ended

    async def read(self) -> bytes:
        try:
            piece = await self._source.read()
        except BaseException:
            self._tell(None, too_long=False)
            raise
        if self._ended is not None:
            if not piece:
                whole = self.length is None or self.length == self._size
                self._tell(b"".join(self._pieces) if whole else None, too_long=False)
            else:
                self._size += len(piece)
                self._pieces.append(piece)
                if self._size > self._limit:
                    self._tell(None, too_long=True)
        return piece

    def close(self) -> None:
        self._source.close()
        self._tell(None, too_long=False)

    def _tell(self, body: bytes | None, *, too_long: bool) -> None:
        ended, self._ended = self._ended, None
        self._pieces = []
        if ended is not None:
            ended(body, too_long)
