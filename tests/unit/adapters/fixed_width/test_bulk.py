"""Bulk routes: lines and records pass in pieces, and what is wrong is told with its record, in whatever pieces it came."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.fixed_width import ADAPTER
from adapters.fixed_width.bulk import MAX_LINE, PIECE, BulkAdapter
from adapters.fixed_width.codec.incoming import Incoming
from adapters.fixed_width.codec.records import RecordCodec
from adapters.fixed_width.config import FixedWidthConfig
from adapters.fixed_width.copybook import parse_copybook
from adapters.fixed_width.errors import RecordError
from adapters.fixed_width.options import Options, parse_record_format
from gateway.api.adapter import AdapterScope, Encoded, Reply
from gateway.api.errors import BadReply, RequestRefused, Unmappable, UpstreamError
from gateway.api.exchange import Exchange
from gateway.api.messages import Body, Headers, Response
from gateway.testing.exchange import make_exchange

COPYBOOK = """\
       01  LINE-RECORD.
           05  RECORD-LENGTH  PIC 9(4).
           05  NUMBER-OF      PIC 9(6).
           05  PARTS-COUNT    PIC 9.
           05  PARTS PIC X(4) OCCURS 0 TO 5 DEPENDING ON PARTS-COUNT.
"""
FORMS = ["fixed", "rdw", "rdw:little:exclusive", "bdw", "delimiter:\\n", "odo", "length:RECORD-LENGTH"]


def codec_of(form: str) -> RecordCodec:
    return RecordCodec(parse_copybook(COPYBOOK), Options(record_format=parse_record_format(form)))


def value(number: int, parts: int, form: str) -> dict[str, Any]:
    made: dict[str, Any] = {"number_of": number, "parts": ["ABCD"] * parts}
    return made if form.startswith("length") else {"record_length": 0, **made}


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=30)
@given(parts=st.lists(st.integers(0, 5), max_size=8), data=st.data())
def test_pieces_do_not_matter(form: str, parts: list[int], data: st.DataObject) -> None:
    codec = codec_of(form)
    stream = b"".join(codec.write(value(number, count, form) for number, count in enumerate(parts)))
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=6).map(sorted))
    incoming = Incoming(codec)
    found: list[Any] = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += incoming.feed(stream[begin:end])
    found += incoming.end()
    assert found == list(codec.read(io.BytesIO(stream)))
    assert [one["number_of"] for one in found] == list(range(len(parts)))


def octet_by_octet(incoming: Incoming, stream: bytes) -> list[Any]:
    found: list[Any] = []
    for octet in stream:
        found += incoming.feed(bytes((octet,)))
    return [*found, *incoming.end()]


@pytest.mark.parametrize("form", [form for form in FORMS if not form.startswith("delimiter")])
def test_data_that_ends_in_a_record(form: str) -> None:
    codec = codec_of(form)
    stream = b"".join(codec.write(value(number, 3, form) for number in range(3)))
    with pytest.raises(RecordError) as at_once:
        list(codec.read(io.BytesIO(stream[:-2])))
    with pytest.raises(RecordError) as in_pieces:
        octet_by_octet(Incoming(codec), stream[:-2])
    assert (in_pieces.value.record, in_pieces.value.position) == (at_once.value.record, at_once.value.position)
    assert in_pieces.value.reason == at_once.value.reason


# --- the adapter


class Pieces(Body):
    """A body in these pieces; `read_away` tells how many were asked for."""

    def __init__(self, *pieces: bytes) -> None:
        self.length = None
        self.pieces = list(pieces)
        self.closed = False

    async def read(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def close(self) -> None:
        self.closed = True


class Upstream:
    """Takes what is sent, then gives its answer."""

    def __init__(self, body: bytes | Body = b"", status: int = 200, kind: bytes = b"application/octet-stream") -> None:
        self.answer = Response(status, Headers([(b"content-type", kind)]), body)
        self.sent: list[bytes] | None = None

    async def streamed(self, exchange: Exchange, encoded: Encoded) -> Response:
        if encoded.body is not None:
            assert isinstance(encoded.body, Body)
            self.sent = []
            while piece := await encoded.body.read():
                self.sent.append(piece)
        return self.answer

    def whole(self, exchange: Exchange, encoded: Encoded) -> Awaitable[Reply]:
        raise AssertionError("a bulk route holds nothing whole")


def adapter(tmp: Path, form: str = "rdw") -> BulkAdapter:
    (tmp / "line.cpy").write_text(COPYBOOK)
    side = {"copybook": str(tmp / "line.cpy"), "record_format": form}
    config = FixedWidthConfig.model_validate({"request": side, "response": side, "bulk": True})
    built = ADAPTER.build(config, AdapterScope("bulk", "files", lambda path: Path(path).read_bytes()))
    assert isinstance(built, BulkAdapter)
    return built


def call(made: BulkAdapter, upstream: Upstream, body: bytes | Body | None) -> tuple[int, bytes]:
    async def go() -> tuple[int, bytes]:
        exchange = make_exchange("POST", headers=[("content-type", "application/x-ndjson")])
        exchange.request.body = body
        response = await made.call(exchange, upstream)
        if isinstance(response.body, bytes):
            return response.status, response.body
        pieces = []
        while piece := await response.body.read():
            pieces.append(piece)
        return response.status, b"".join(pieces)

    return asyncio.run(go())


def lines(count: int) -> bytes:
    return b"".join(b'{"record_length":0,"number_of":%d,"parts":["AB"]}\n' % number for number in range(count))


def records(count: int) -> bytes:
    return b"".join(codec_of("rdw").write(value(number, 1, "rdw") for number in range(count)))


@pytest.mark.parametrize("count", [0, 1, 3, 5_000])
@pytest.mark.parametrize("size", [7, 1_000, 200_000])
def test_lines_out_and_in(tmp_path: Path, count: int, size: int) -> None:
    sent = lines(count).rstrip(b"\n") if count == 3 else lines(count)  # the last line may lack its end
    given, got = (
        Pieces(*(whole[at : at + size] for at in range(0, len(whole), size))) for whole in (sent, records(count))
    )
    upstream = Upstream(got)
    status, body = call(adapter(tmp_path), upstream, given)
    assert status == 200
    assert [json.loads(line)["number_of"] for line in body.splitlines()] == list(range(count))
    assert upstream.sent is not None
    assert b"".join(upstream.sent) == b"".join(
        codec_of("rdw").write({"record_length": 0, "number_of": n, "parts": ["AB"]} for n in range(count))
    )
    assert all(len(piece) <= 2 * PIECE for piece in upstream.sent)


def test_a_body_that_somebody_read_before(tmp_path: Path) -> None:
    upstream = Upstream(records(2))
    assert call(adapter(tmp_path), upstream, lines(2) + b"\n  \n")[1].count(b"\n") == 2
    assert upstream.sent is not None


def test_nothing_to_send(tmp_path: Path) -> None:
    """A GET asks for records; there may be none."""
    upstream = Upstream(records(1))
    assert call(adapter(tmp_path), upstream, None)[0] == 200
    assert upstream.sent is None
    assert call(adapter(tmp_path), Upstream(b"", 404), None)[0] == 404


def test_a_receipt_passes(tmp_path: Path) -> None:
    assert call(adapter(tmp_path), Upstream(b"{}", 202, b"application/json"), lines(1)) == (202, b"{}")


@pytest.mark.parametrize(
    ("bad", "detail", "pointer"),
    [
        (
            b'{"record_length":0,"number_of":1234567,"parts":[]}',
            "record 4, LINE-RECORD.NUMBER-OF at offset 4",
            "/number_of",
        ),
        (b'{"record_length":0,"number_of":1,"parts":[],"x":1}', "record 4, ", "/x"),
    ],
)
def test_a_line_that_does_not_fit(tmp_path: Path, bad: bytes, detail: str, pointer: str) -> None:
    with pytest.raises(Unmappable) as raised:
        call(adapter(tmp_path), Upstream(), Pieces(lines(3), bad + b"\n", lines(2)))
    assert raised.value.detail.startswith(detail)
    assert raised.value.pointer == pointer


@pytest.mark.parametrize("bad", [b"{", b'{"a":1,"a":2}', b"\xff", b"[" * 100_000])
def test_a_line_that_is_no_json(tmp_path: Path, bad: bytes) -> None:
    with pytest.raises(RequestRefused) as raised:
        call(adapter(tmp_path), Upstream(), Pieces(lines(3), bad + b"\n"))
    assert (raised.value.status, raised.value.code) == (400, "fixed_width.bad-json")
    assert "Record 4 " in raised.value.detail


def test_a_line_without_end(tmp_path: Path) -> None:
    with pytest.raises(RequestRefused) as raised:
        call(adapter(tmp_path), Upstream(), Pieces(*[b" " * PIECE] * (MAX_LINE // PIECE + 2)))
    assert raised.value.status == 413


def test_a_bad_first_record_is_502_and_a_later_one_breaks_off(tmp_path: Path) -> None:
    with pytest.raises(BadReply) as first:
        call(adapter(tmp_path), Upstream(Pieces(b"\0\3\0\0")), None)
    assert first.value.where.startswith("record 1, ")
    with pytest.raises(UpstreamError) as later:
        call(adapter(tmp_path), Upstream(Pieces(records(3), b"\0\3\0\0")), None)
    assert (later.value.stage, later.value.sent) == ("body", True)


def test_a_status_that_brings_no_records(tmp_path: Path) -> None:
    body = Pieces(b"oops")
    with pytest.raises(BadReply):
        call(adapter(tmp_path), Upstream(body, 500), lines(1))
    assert body.closed
