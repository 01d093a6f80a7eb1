"""Bulk routes: JSON lines to records and records to JSON lines while they pass. Holds a piece of each, never a whole body."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, TypeVar

from adapters.fixed_width.codec.incoming import Incoming
from adapters.fixed_width.codec.jsontext import dumps, loads_raw
from adapters.fixed_width.codec.records import RecordCodec
from adapters.fixed_width.errors import RecordError
from adapters.fixed_width.media import NDJSON, OCTETS, check_media, is_receipt
from gateway.api.adapter import CallAdapter, Calls, Encoded
from gateway.api.errors import BadReply, Cause, RequestRefused, Unmappable, UpstreamError
from gateway.api.exchange import Exchange
from gateway.api.messages import Body, Headers, Response
from gateway.api.off_loop import off_loop
from gateway.api.problem import problem

T = TypeVar("T")

log = logging.getLogger("sluicegate.adapters")

PIECE: Final = 64 * 1024  # octets worked on at a time
INLINE: Final = 8 * 1024  # octets that take a millisecond or so; more leave the event loop
MAX_LINE: Final = 2**20  # octets of a line; the longest COBOL records have 32,760 bytes


class BulkAdapter(CallAdapter):
    """One line, one record, in both directions."""

    judges = True

    def __init__(self, request: RecordCodec, response: RecordCodec) -> None:
        self._request = request
        self._response = response

    async def call(self, exchange: Exchange, upstream: Calls) -> Response:
        check_media(exchange, NDJSON)
        body = exchange.request.body
        records = Records(self._request, body) if body else None
        answer = await upstream.streamed(exchange, Encoded(records, OCTETS))
        if is_receipt(answer.status, answer.headers):
            return answer
        if not 200 <= answer.status < 300:
            if isinstance(answer.body, Body):
                answer.body.close()
            if answer.status == 404 and records is None:
                return problem(
                    exchange, 404, "fixed_width.no-records", "There are no records to be had; ask again later."
                )
            raise BadReply(f"status {answer.status}, and no record is looked for in such an answer")
        lines = Lines(self._response, answer.body, exchange.upstream)
        try:
            first = await lines.begin()  # what is wrong with these is still told by the status
        except BaseException:
            lines.close()
            raise
        return Response(200, Headers([(b"content-type", NDJSON)]), first if lines.ended else lines)


class Records(Body):
    """The caller's lines as records."""

    __slots__ = ("_codec", "_next", "_rest", "_source", "_unread", "length")

    def __init__(self, codec: RecordCodec, source: Body | bytes) -> None:
        self.length = None
        self._codec = codec
        self._source: Body | None = source if isinstance(source, Body) else None
        self._unread = b"" if isinstance(source, Body) else source
        self._rest = b""
        self._next = 1  # number of the next record

    async def read(self) -> bytes:
        """Raises Unmappable with the record's number, and RequestRefused for what is no JSON."""
        while True:
            piece = self._unread[:PIECE]
            self._unread = self._unread[PIECE:]
            if not piece and self._source is not None:
                self._unread = await self._source.read()
                if not self._unread:
                    self._source = None
                continue
            lines, _, rest = (self._rest + piece).rpartition(b"\n")
            if not piece:
                lines, rest = self._rest, b""
            elif len(rest) > MAX_LINE:
                raise RequestRefused(
                    413, "fixed_width.line-too-long", f"A line has at most {MAX_LINE} octets; send shorter ones."
                )
            self._rest = rest
            if lines and (records := await _run(len(lines), partial(self._encode, lines))):
                return records
            if not piece:
                return b""

    def _encode(self, lines: bytes) -> bytes:
        values = [self._value(line, number) for number, line in enumerate(_written(lines), self._next)]
        try:
            records = b"".join(self._codec.write(values, self._next))
        except RecordError as exc:
            raise Unmappable(exc.told, pointer=exc.pointer) from exc
        self._next += len(values)
        return records

    def _value(self, line: bytes, number: int) -> object:
        try:
            return loads_raw(line)
        except ValueError as exc:
            raise RequestRefused(
                400,
                "fixed_width.bad-json",
                f"Record {number} is not JSON, or has a member twice; send an object with each member once.",
            ) from exc

    def close(self) -> None:
        """The caller's body is the edge's to close."""


class Lines(Body):
    """The upstream's records as lines."""

    __slots__ = ("_first", "_incoming", "_judged", "_source", "_unread", "_upstream", "length")

    def __init__(self, codec: RecordCodec, source: Body | bytes, upstream: str) -> None:
        self.length = None
        self._incoming = Incoming(codec)
        self._source: Body | None = source if isinstance(source, Body) else None
        self._unread = b"" if isinstance(source, Body) else source
        self._upstream = upstream
        self._judged = self._source  # until it is known whether it is what it should be
        self._first: bytes | None = None

    @property
    def ended(self) -> bool:
        """All lines were read."""
        return self._source is None and not self._unread

    async def begin(self) -> bytes:
        """The first lines, which read() gives once more; all of them when the answer came in one piece. Raises BadReply."""
        try:
            self._first = await self._lines()
            if self.ended:
                self._first += await self._lines()
            return self._first
        except RecordError as exc:
            self._set_aside()
            raise BadReply(exc.reason, where=f"record {exc.record}, {exc.place}") from exc

    async def read(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        try:
            return await self._lines()
        except RecordError as exc:  # the head is out: only breaking off tells
            self._set_aside()
            log.warning("upstream %s: answer does not fit: %s", self._upstream, exc)
            raise UpstreamError(
                Cause.PROTOCOL, "body", sent=True, upstream=self._upstream, detail=f"no record: {exc.reason}"
            ) from exc

    async def _lines(self) -> bytes:
        while True:
            piece = self._unread[:PIECE]
            self._unread = self._unread[PIECE:]
            if piece:
                lines = await _run(len(piece), partial(_written_as_lines, self._incoming.feed(piece)))
                if lines:
                    return lines
            elif self._source is not None:
                self._unread = await self._source.read()
                if not self._unread:
                    self._source = None
            else:
                lines = _written_as_lines(self._incoming.end())
                self.close()
                return lines

    def close(self) -> None:
        source, self._judged = self._judged, None
        if source is not None:
            self._source = None
            source.close()

    def _set_aside(self) -> None:
        source, self._judged = self._judged, None
        if source is not None:
            self._source = None
            source.set_aside()


def _written(lines: bytes) -> list[bytes]:
    """The lines that are not blank."""
    return [line for line in lines.split(b"\n") if line.strip()]


def _written_as_lines(values: Iterable[object]) -> bytes:
    return b"".join([dumps(value) + b"\n" for value in values])


async def _run(octets: int, work: Callable[[], T]) -> T:
    return work() if octets <= INLINE else await off_loop(work)
