"""The chunked transfer coding (RFC 9112 §7.1), read strictly and in any pieces. Pure: knows no socket, no connection."""

from __future__ import annotations

import re

from gateway.api.messages import Headers
from gateway.http.hop_by_hop import may_trail
from gateway.upstream.wire import CONTROLS, Violation

MAX_LINE = 4 * 1024  # octets of a chunk's size with its extensions; llhttp 16 KiB, hyper 16 KiB for all of them
MAX_TRAILERS = 16 * 1024

# RFC 9112 §7.1: no sign, no 0x, no space before the CRLF; extensions are ignored (§7.1.1)
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?\r\n")
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\x00-\x08\x0a-\x1f\x7f]*")


class ChunkDecoder:
    """Feed it what arrives; it gives the body's octets, and says in `rest` what came after the end."""

    __slots__ = ("_in_trailers", "_left", "_needs_crlf", "_tail", "_trailers", "rest", "trailers")

    def __init__(self) -> None:
        self.rest: bytes | None = None  # None: the body has not ended
        self.trailers: Headers | None = None
        self._tail = b""  # an unfinished line
        self._left = 0  # octets of the chunk that are still to come
        self._needs_crlf = False
        self._in_trailers = False
        self._trailers = 0

    def feed(self, data: bytes) -> bytes:
        """The body's octets in `data`. Raises Violation when the coding is broken; not to be fed after that or the end."""
        if self._tail:
            data = self._tail + data
            self._tail = b""
        pieces: list[bytes] = []
        at = 0
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._needs_crlf = not self._left
            elif self._needs_crlf:
                ending = data[at : at + 2]
                if ending == b"\r":
                    self._tail = ending
                    break
                if ending != b"\r\n":
                    raise Violation("a chunk that is longer than its size")
                at += 2
                self._needs_crlf = False
            elif self._in_trailers:
                at = self._read_trailer(data, at)
                if self.rest is not None or self._tail:
                    break
            else:
                line = _SIZE_LINE.match(data, at)
                if line is None:
                    self._keep_line(data[at:])
                    break
                at = line.end()
                self._left = int(line[1], 16)
                self._in_trailers = not self._left
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _keep_line(self, tail: bytes) -> None:
        if b"\n" in tail or len(tail) > MAX_LINE:
            raise Violation("a bad chunk size")
        self._tail = tail

    def _read_trailer(self, data: bytes, at: int) -> int:
        """Trailer fields are checked; those that may be passed on are kept."""
        end = data.find(b"\r\n", at)
        if end < 0:
            tail = data[at:]
            if len(tail.translate(None, CONTROLS)) < len(tail.removesuffix(b"\r")) or len(tail) > MAX_TRAILERS:
                raise Violation("a bad trailer")
            self._tail = tail
            return at
        self._trailers += end - at
        if end == at:
            self.rest = data[end + 2 :]
            return end + 2
        if self._trailers > MAX_TRAILERS or _TRAILER.fullmatch(data, at, end) is None:
            raise Violation("a bad trailer")
        spelling, _, value = data[at:end].partition(b":")
        name = spelling.lower()
        if may_trail(name):
            self.trailers = self.trailers or Headers()
            self.trailers.append((name, value.strip(b" \t")))
        return end + 2
