"""HTTP/2 frames cut from octets (RFC 9113 §4.1), and GOAWAY read. Pure; what is in the others is h2's to know.

h2 is given frames one by one: it would take GOAWAY for the end of all streams.
"""

from __future__ import annotations

from gateway.upstream.wire import Violation

HEAD = 9  # octets
MAX_FRAME = 2**14  # octets that we allow (RFC 9113 §4.2); more is no HTTP/2, or an answer of HTTP/1.1
_GOAWAY = 7


class FrameCutter:
    """Feed it what arrives; it gives whole frames."""

    def __init__(self) -> None:
        self._input = bytearray()

    def feed(self, data: bytes) -> None:
        self._input += data

    def take(self) -> bytes | None:
        """The next whole frame, None when there is none. Raises Violation."""
        data = self._input
        if len(data) < HEAD:
            return None
        length = int.from_bytes(data[:3], "big")
        if length > MAX_FRAME:
            raise Violation("a frame longer than allowed, or no HTTP/2 at all")
        if len(data) < HEAD + length:
            return None
        frame = bytes(data[: HEAD + length])
        del data[: HEAD + length]
        return frame


def is_goaway(frame: bytes) -> bool:
    return frame[3] == _GOAWAY


def last_stream(goaway: bytes) -> int:
    """The last stream that the upstream may have processed (RFC 9113 §6.8). Raises Violation."""
    if len(goaway) < HEAD + 8 or goaway[5:9] != bytes(4):
        raise Violation("a GOAWAY that is none")
    return int.from_bytes(goaway[9:13], "big") & 0x7FFFFFFF
