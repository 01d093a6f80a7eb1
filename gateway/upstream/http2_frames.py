"""HTTP/2 frames cut from octets (RFC 9113 §4.1), and GOAWAY read. Pure; what is in the others is h2's to know.

h2 is given frames one by one: it would take GOAWAY for the end of all streams.
"""

from __future__ import annotations

from gateway.upstream.wire import Violation

HEAD = 9  # octets
MAX_FRAME = 2**14  # octets that we allow (RFC 9113 §4.2); more is no HTTP/2, or an answer of HTTP/1.1
MAX_CHATTER = 1000  # frames in a row, within a second, that carry nothing of an answer; so many PINGs cost 66 ms
_DATA, _GOAWAY = 0, 7
_CARRYING = frozenset((1, 3, 8, 9))  # HEADERS, RST_STREAM, WINDOW_UPDATE, CONTINUATION


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


class Chatter:
    """Notices an upstream whose PING, SETTINGS, empty DATA and the like never end (RFC 9113 §10.5)."""

    def __init__(self) -> None:
        self._frames = 0
        self._since = 0.0

    def hear(self, frame: bytes, now: float) -> None:
        """Raises Violation."""
        if frame[3] in _CARRYING or (frame[3] == _DATA and (len(frame) > HEAD or frame[4] & 1)):
            self._frames = 0
            return
        if now > self._since + 1.0:
            self._frames, self._since = 0, now
        self._frames += 1
        if self._frames > MAX_CHATTER:
            raise Violation("frames without end that carry nothing")


def is_goaway(frame: bytes) -> bool:
    return frame[3] == _GOAWAY


def last_stream(goaway: bytes) -> int:
    """The last stream that the upstream may have processed (RFC 9113 §6.8). Raises Violation."""
    if len(goaway) < HEAD + 8 or goaway[5:9] != bytes(4):
        raise Violation("a GOAWAY that is none")
    return int.from_bytes(goaway[9:13], "big") & 0x7FFFFFFF
