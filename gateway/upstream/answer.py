"""Reads one answer after another from a connection's bytes, in whatever pieces they come. Pure: knows no socket, no clock."""

from __future__ import annotations

from gateway.api.messages import Headers
from gateway.upstream.chunks import ChunkDecoder
from gateway.upstream.wire import CHUNKED, HEAD_END, MAX_HEAD, UNTIL_CLOSE, Head, Violation, check_beginning, read_head

MAX_REMEMBERED = 2048  # octets of a head: each connection keeps one
MAX_INTERIM = 16  # 1xx answers before the final one; nobody needs more than a few (RFC 9110 §15.2)


class AnswerReader:
    """For each request: expect(), then head() until it says True, then body() until `ended`.

    After Violation it is not to be used again; nor is the connection.
    """

    __slots__ = (
        "_before",
        "_chunks",
        "_interim",
        "_left",
        "_partial",
        "_scanned",
        "_to_head",
        "alive",
        "clean",
        "ended",
        "headers",
        "interim",
        "keep_s",
        "length",
        "piece",
        "status",
        "trailers",
        "until_close",
    )

    status: int
    headers: Headers
    length: int | None
    """Octets of the body where Content-Length says so."""
    alive: bool
    """The upstream keeps the connection after this answer."""
    keep_s: float | None
    """Seconds for which it says to keep it idle."""
    until_close: bool
    """Only the connection's end is the body's (RFC 9112 §6.3 rule 8)."""
    piece: bytes
    """The body's octets that came with the head."""
    ended: bool
    """The answer is complete."""
    clean: bool
    """... and nothing came after it."""
    interim: list[tuple[int, Headers]] | None
    """Interim answers that came since whoever takes them set it to None; of 100, which nobody asked for, nothing is kept."""
    trailers: Headers | None
    """The fields that came after the body."""

    def __init__(self) -> None:
        self._chunks: ChunkDecoder | None = None
        self._left = 0
        self._partial: bytearray | None = None
        self._scanned = 0
        self._interim = 0
        self._to_head = False
        self._before: tuple[bytes, Head] | None = None  # the head before, and what it said
        self.interim = self.trailers = None

    @property
    def began(self) -> bool:
        """Something of the answer came, though its head is not complete."""
        return self._partial is not None or self._interim > 0

    def expect(self, to_head: bool) -> None:
        """The next answer; `to_head`: its request is a HEAD."""
        if to_head is not self._to_head:
            self._to_head = to_head
            self._before = None
        if self._chunks is not None:
            self._chunks = self.trailers = None
        self._interim = 0

    def head(self, data: bytes) -> bool:
        """True when the head is complete; then the fields above, but `clean` while not `ended`, hold."""
        if self._partial is not None:
            data = self._joined(self._partial, data)
        while True:
            end = data.find(HEAD_END, 0, MAX_HEAD + 4)
            if end < 0:
                self._keep(data)
                return False
            self._partial = None
            self._scanned = 0
            head = data[:end]
            if self._before is not None and self._before[0] == head:
                said = self._before[1]  # PERF: under load many in a row are the very same, which saves 2 µs of 3.6
            else:
                said = read_head(head, self._to_head)
                self._before = (head, said) if len(head) <= MAX_REMEMBERED else None
            status, headers, length, self.alive, self.keep_s = said
            self.headers = Headers(headers)
            data = data[end + 4 :]
            if status >= 200:
                break
            self._interim += 1
            if status == 101 or self._interim > MAX_INTERIM:
                # RFC 9110 §15.2.2: a switch of protocols that nobody asked for
                raise Violation("an unasked 101" if status == 101 else "too many interim answers")
            if status != 100:
                self.interim = [*(self.interim or ()), (status, self.headers)]
            if not data:
                return False
        self.status = status
        self.until_close = False
        if length >= 0:
            self.length = length
            self._left = length
            if len(data) == length:  # the usual case
                self.piece = data
                self.ended = self.clean = True
                return True
        else:
            self.length = None
            if length == CHUNKED:
                self._chunks = ChunkDecoder()
            self.until_close = length == UNTIL_CLOSE
        self.ended = False
        self.piece = self.body(data) if data else b""
        return True

    def body(self, data: bytes) -> bytes:
        """The body's octets in `data`."""
        if self._chunks is not None:
            piece = self._chunks.feed(data)
            if self._chunks.rest is not None:
                self.ended = True
                self.clean = not self._chunks.rest
                self.trailers = self._chunks.trailers
            return piece
        if self.until_close:
            return data
        piece = data[: self._left]
        self._left -= len(piece)
        if not self._left:
            self.ended = True
            self.clean = len(piece) == len(data)
        return piece

    def _joined(self, partial: bytearray, data: bytes) -> bytes:
        """What came of the head so far with `data`, but nothing while it has no end."""
        partial += data
        return bytes(partial) if partial.find(HEAD_END, max(0, self._scanned - 3)) >= 0 else b""

    def _keep(self, data: bytes) -> None:
        partial = self._partial
        if partial is None:
            partial = self._partial = bytearray(data)
        check_beginning(partial, self._scanned)
        self._scanned = len(partial)
