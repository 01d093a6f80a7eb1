"""Records that arrive in pieces, as from a connection. Holds what is not a whole record yet, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.fixed_width.codec.framing import Stream
from adapters.fixed_width.codec.records import WAIT, RecordCodec


class Incoming:
    """Feed it what arrives, then end() it. Raises RecordError with the record's number and position, as read() does."""

    def __init__(self, codec: RecordCodec) -> None:
        self._piece = b""
        self._stream = Stream(self, more=True)
        self._values = codec.values(self._stream)

    def read(self, size: int, /) -> bytes:
        """The stream's side: what was fed last, once."""
        piece, self._piece = self._piece, b""
        return piece

    def feed(self, piece: bytes) -> Iterator[Any]:
        """The values of the records that are whole by now."""
        self._piece = piece
        for value in self._values:
            if value is WAIT:
                return
            yield value

    def end(self) -> Iterator[Any]:
        """What is left. Raises RecordError when it is no whole record."""
        self._stream.more = False
        return self._values
