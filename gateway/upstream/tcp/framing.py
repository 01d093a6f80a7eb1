"""Where one message ends and the next begins on a TCP connection. Pure: knows no socket, no clock, no record.

A length in front counts what Framing says: the message, `extra` octets between length and message (IMS Connect's ZZ), and
itself where it `counts_itself`. Those extra octets are written as zeros, and ignored when they are read.
"""

from __future__ import annotations

from gateway.api.errors import Unmappable
from gateway.api.settings.upstream import Framing
from gateway.upstream.wire import Violation

MAX_MESSAGE = 16 * 2**20  # octets; as much as an adapter holds of an HTTP answer. IMS Connect 10 MB, MQ 4 MiB or 100 MB

Place = tuple[int, int, int]
"""Where a message begins and ends in what was read, and where the next one begins."""


class Frames:
    """One upstream's framing, worked out."""

    def __init__(self, config: Framing) -> None:
        self._prefix = config.length_prefix or 0
        self._little = config.endian == "little"
        self._extra = config.extra
        self._head = self._prefix + config.extra  # octets before the message
        self._counted = config.extra + (self._prefix if config.counts_itself else 0)  # beside the message
        self._delimiter = (config.delimiter or "").encode("latin-1")
        self._length = config.length or 0

    def wrap(self, message: bytes) -> bytes:
        """The octets to send for a message. Raises Unmappable for what would not come out as this one message."""
        size = len(message)
        if self._prefix:
            counted = size + self._counted
            if counted >= 1 << 8 * self._prefix or size > MAX_MESSAGE:
                raise Unmappable("the message is longer than its length can say")
            return counted.to_bytes(self._prefix, "little" if self._little else "big") + bytes(self._extra) + message
        if self._delimiter:
            if self._delimiter in message:
                raise Unmappable("the message holds the octets that end it on the wire")
            return message + self._delimiter
        if size != self._length:
            raise Unmappable(f"the message has {size} octets, and all on this connection have {self._length}")
        return message

    def find(self, data: bytes | bytearray, scanned: int = 0) -> Place | None:
        """The message that `data` begins with; None while it is not whole. `scanned` octets were looked at before.

        Raises Violation for a length that cannot be.
        """
        if self._prefix:
            if len(data) < self._prefix:
                return None
            size = int.from_bytes(data[: self._prefix], "little" if self._little else "big") - self._counted
            if size < 0:
                raise Violation("a length that is less than what it counts itself")
            if size > MAX_MESSAGE:
                raise Violation(f"a message of more than {MAX_MESSAGE} octets")
            end = self._head + size
            return (self._head, end, end) if len(data) >= end else None
        if self._delimiter:
            end = data.find(self._delimiter, max(0, scanned - len(self._delimiter) + 1))
            if end > MAX_MESSAGE or (end < 0 and len(data) > MAX_MESSAGE):
                raise Violation(f"a message of more than {MAX_MESSAGE} octets")
            return None if end < 0 else (0, end, end + len(self._delimiter))
        return (0, self._length, self._length) if len(data) >= self._length else None


class Messages:
    """Cuts what arrives, in whatever pieces, into messages."""

    __slots__ = ("_frames", "_held", "_scanned")

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._held = bytearray()
        self._scanned = 0

    @property
    def began(self) -> bool:
        """Something of a message is here."""
        return bool(self._held)

    def next(self, data: bytes = b"") -> bytes | None:
        """The next message with `data` added to what is here; None while it is not whole. Raises Violation."""
        held = self._held
        if not held:
            place = self._frames.find(data)
            if place is None:
                held += data
                self._scanned = len(held)
                return None
            begin, end, after = place
            held += data[after:]
            self._scanned = 0
            return data[begin:end]
        held += data
        place = self._frames.find(held, self._scanned)
        if place is None:
            self._scanned = len(held)
            return None
        begin, end, after = place
        message = bytes(held[begin:end])
        del held[:after]
        self._scanned = 0
        return message
