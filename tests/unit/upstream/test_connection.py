"""What a connection makes of an answer's bytes: every rule of RFC 9112 §6 and §7, in every cut of the bytes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api.errors import Cause, UpstreamError
from gateway.api.messages import Headers, Response, UpstreamRequest
from gateway.upstream.connection import Connection
from gateway.upstream.sweep import Sweep

# name, method, what the upstream sends, status, body, whether the connection is used again, Content-Length passed on
GOOD = [
    ("length", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", True, b"5"),
    ("no reason", "GET", b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", True, b"2"),
    ("empty reason", "GET", b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", 200, b"ok", True, b"2"),
    ("obs-text", "GET", b"HTTP/1.1 200 \xff\r\nX-A: \xe9\r\nContent-Length: 0\r\n\r\n", 200, b"", True, b"0"),
    ("no space", "GET", b"HTTP/1.1 200 OK\r\nContent-Length:2\r\n\r\nok", 200, b"ok", True, b"2"),
    ("spaces, tabs", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: \t 2 \t\r\n\r\nok", 200, b"ok", True, b"2"),
    ("empty value", "GET", b"HTTP/1.1 200 OK\r\nX-A:\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", True, b"2"),
    ("close", "GET", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False, b"2"),
    (
        "close wins",
        "GET",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        200,
        b"ok",
        False,
        b"2",
    ),
    ("1.0", "GET", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False, b"2"),
    (
        "1.0 keep-alive",
        "GET",
        b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok",
        200,
        b"ok",
        True,
        b"2",
    ),
    ("1.2", "GET", b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", True, b"2"),
    ("HEAD", "HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", 200, b"", True, b"5000"),
    ("HEAD chunked", "HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, b"", True, None),
    ("HEAD, no framing", "HEAD", b"HTTP/1.1 200 OK\r\n\r\n", 200, b"", True, None),
    ("304", "GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n", 304, b"", True, b"77"),
    ("204", "GET", b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True, None),
    ("204, length 0", "GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204, b"", True, None),
    ("204, a length", "GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n", 204, b"", False, None),
    ("204, a body", "GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nBODY", 204, b"", False, None),
    ("204 chunked", "GET", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 204, b"", False, None),
    ("extra bytes", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokEXTRA", 200, b"ok", False, b"2"),
    (
        "chunked",
        "GET",
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x="y"\r\n, somebody\r\n0\r\n\r\n',
        200,
        b"hello, somebody",
        True,
        None,
    ),
    (
        "trailers",
        "GET",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n1\r\nx\r\n000\r\nDigest: a\r\nX-B: c\r\n\r\n",
        200,
        b"x",
        True,
        None,
    ),
    (
        "bytes after chunks",
        "GET",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        200,
        b"x",
        False,
        None,
    ),
    (
        "interim answers",
        "GET",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        200,
        b"ok",
        True,
        b"2",
    ),
]


def answer(fields: bytes, body: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n" + body


def chunked(body: bytes) -> bytes:
    return answer(b"Transfer-Encoding: chunked", body)


BAD_HEADS = [
    ("both", answer(b"Content-Length: 3\r\nTransfer-Encoding: chunked", b"0\r\n\r\n")),
    ("both, other order", answer(b"Transfer-Encoding: chunked\r\nContent-Length: 5", b"0\r\n\r\n")),
    ("two lengths", answer(b"Content-Length: 3\r\nContent-Length: 5", b"hello")),
    ("two equal lengths", answer(b"Content-Length: 5\r\nContent-Length: 5", b"hello")),
    ("list of lengths", answer(b"Content-Length: 5, 5", b"hello")),
    ("negative length", answer(b"Content-Length: -1")),
    ("signed length", answer(b"Content-Length: +2", b"ok")),
    ("hex length", answer(b"Content-Length: 0x2", b"ok")),
    ("empty length", answer(b"Content-Length: ")),
    ("endless length", answer(b"Content-Length: " + b"9" * 40)),
    ("length with underscore", answer(b"Content-Length: 1_0", b"x" * 10)),
    ("unknown coding", answer(b"Transfer-Encoding: gzip, chunked")),
    ("identity", answer(b"Transfer-Encoding: identity")),
    ("chunked twice", answer(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")),
    ("chunked, chunked", answer(b"Transfer-Encoding: chunked, chunked")),
    ("quoted coding", answer(b'Transfer-Encoding: "chunked"')),
    ("coding in 1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("folding", answer(b"X-A: a\r\n b\r\nContent-Length: 0")),
    ("folding by tab", answer(b"X-A: a\r\n\tb\r\nContent-Length: 0")),
    ("folding first", answer(b" X-A: a\r\nContent-Length: 0")),
    ("bare CR", answer(b"X-A: a\rb\r\nContent-Length: 0")),
    ("bare CR at end", answer(b"X-A: a\r\r\nContent-Length: 0")),
    ("bare LF", answer(b"X-A: a\nX-Injected: 1\r\nContent-Length: 0")),
    ("LF only", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
    ("LF only, CRLFs in body", b"HTTP/1.1 200 OK\nContent-Length: 4\n\n\r\n\r\n"),
    ("NUL in value", answer(b"X-A: a\0b\r\nContent-Length: 0")),
    ("NUL in name", answer(b"X\0A: a\r\nContent-Length: 0")),
    ("control", answer(b"X-A: a\x0bb\r\nContent-Length: 0")),
    ("delete", answer(b"X-A: a\x7fb\r\nContent-Length: 0")),
    ("space before colon", answer(b"Content-Length : 0")),
    ("space in name", answer(b"X A: b\r\nContent-Length: 0")),
    ("no colon", answer(b"Server\r\nContent-Length: 0")),
    ("empty name", answer(b": b\r\nContent-Length: 0")),
    ("obs-text in name", answer(b"X-\xe9: b\r\nContent-Length: 0")),
    ("status of two digits", b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
    ("status of four digits", b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
    ("status 000", b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n"),
    ("status 600", b"HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n"),
    ("status word", b"HTTP/1.1 xyz what\r\nContent-Length: 1\r\n\r\nx"),
    ("two spaces", b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("space first", b" HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("empty line first", b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("lower case", b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("HTTP/2", b"HTTP/2 200\r\nContent-Length: 0\r\n\r\n"),
    ("HTTP/2.0", b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("ICY", b"ICY 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("a request", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("HTTP/0.9", b"just a body, and then the end"),
    ("TLS", b"\x16\x03\x01\x02\x00"),
    ("101", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\n\r\n"),
    ("interim with length", b"HTTP/1.1 103 Early Hints\r\nContent-Length: 3\r\n\r\nabc"),
    ("interim flood", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    ("endless head", b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 70_000),
    ("long head", answer(b"X-A: " + b"a" * 70_000 + b"\r\nContent-Length: 0")),
    ("many fields", answer(b"X: y\r\n" * 300 + b"Content-Length: 0")),
    ("chunk: no size", chunked(b"\r\nhello\r\n0\r\n\r\n")),
    ("chunk: bad size", chunked(b"zz\r\nhello\r\n0\r\n\r\n")),
    ("chunk: 0x", chunked(b"0x5\r\nhello\r\n0\r\n\r\n")),
    ("chunk: signed", chunked(b"+5\r\nhello\r\n0\r\n\r\n")),
    ("chunk: negative", chunked(b"-5\r\nhello\r\n0\r\n\r\n")),
    ("chunk: space first", chunked(b" 5\r\nhello\r\n0\r\n\r\n")),
    ("chunk: space after", chunked(b"5 \r\nhello\r\n0\r\n\r\n")),
    ("chunk: underscore", chunked(b"1_0\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n")),
    ("chunk: endless size", chunked(b"0" * 5000)),
    ("chunk: too large", chunked(b"f" * 17 + b"\r\nhello\r\n")),
    ("chunk: bare LF", chunked(b"5\nhello\n0\n\n")),
    ("chunk: LF in extension", chunked(b"5;a\nb\r\nhello\r\n0\r\n\r\n")),
    ("chunk: NUL in extension", chunked(b"5;a\0b\r\nhello\r\n0\r\n\r\n")),
    ("chunk: endless extension", chunked(b"5;" + b"a" * 5000)),
    ("chunk: longer than its size", chunked(b"3\r\nhello\r\n0\r\n\r\n")),
    ("chunk: CR without LF", chunked(b"5\r\nhello\rx0\r\n\r\n")),
    ("trailer: no colon", chunked(b"0\r\nbroken\r\n\r\n")),
    ("trailer: folded", chunked(b"0\r\nX-A: b\r\n c\r\n\r\n")),
    ("trailer: bare LF", chunked(b"0\r\nX-A: b\nX-B: c\r\n\r\n")),
    ("trailer: NUL", chunked(b"0\r\nX-A: \0\r\n\r\n")),
    ("trailer: endless", chunked(b"0\r\nX-A: " + b"a" * 20_000)),
    ("trailer: too many", chunked(b"0\r\n" + b"X-A: b\r\n" * 3000 + b"\r\n")),
]

BREAKS_OFF = [
    ("nothing", b"", "head"),
    ("in the status line", b"HTTP/1.1 20", "head"),
    ("in the fields", b"HTTP/1.1 200 OK\r\nContent-Le", "head"),
    ("after an interim answer", b"HTTP/1.1 100 Continue\r\n\r\n", "head"),
    ("after the head", answer(b"Content-Length: 5"), "body"),
    ("in the body", answer(b"Content-Length: 5", b"hel"), "body"),
    ("before the first chunk", chunked(b""), "body"),
    ("in a chunk", chunked(b"5\r\nhel"), "body"),
    ("between chunks", chunked(b"5\r\nhello\r\n"), "body"),
    ("before the last line", chunked(b"5\r\nhello\r\n0\r\n"), "body"),
]


class Wire:
    """A transport that records, over a real descriptor so that it can be polled."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.written = b""
        self.aborted = False
        self.reading = True

    def write(self, data: bytes) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> object:
        return self.ours if name == "socket" else None

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


class Place:
    """A pool of one connection."""

    upstream = "orders"
    first_byte_s = 10.0
    idle_body_s = 30.0

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.sweep = Sweep(loop)
        self.released = 0
        self.losses = 0
        self.failures: list[UpstreamError] = []
        self.kept_s: float | None = None
        self.idle_closes = 0
        self.ends: list[int] = []

    def release(self, connection: Connection) -> None:
        self.released += 1

    def lost(self, connection: Connection) -> None:
        self.losses += 1

    def streamed(self, status: int) -> None:
        self.ends.append(status)

    def failed(self, error: UpstreamError) -> None:
        self.failures.append(error)

    def announced(self, seconds: float) -> None:
        self.kept_s = seconds

    def closed_idle(self, connection: Connection) -> None:
        self.idle_closes += 1


class Scene:
    """One call on one connection; the loop never runs: every step is told."""

    def __init__(self, method: str = "GET", *, written: bool = True) -> None:
        self.loop = asyncio.new_event_loop()
        self.place = Place(self.loop)
        self.wire = Wire()
        self.connection = Connection(self.place, "address")
        self.connection.connection_made(self.wire)  # type: ignore[arg-type]
        request = UpstreamRequest(method, b"/", Headers([(b"host", b"h")]))
        self.answer = self.connection.call(request, b"request", self.loop.time(), self.loop.time() + 5)
        if written:
            self.connection.flush()

    def feed(self, *pieces: bytes) -> None:
        for piece in pieces:
            if piece and not self.connection.closed:
                self.connection.data_received(piece)

    def end(self) -> None:
        if not self.connection.closed:
            self.connection.eof_received()

    def body(self) -> bytes:
        """The body as far as it is there; raises what reading raises."""
        response: Response = self.answer.result()
        if isinstance(response.body, bytes):
            return response.body
        pieces = []
        while True:
            try:
                response.body.read().send(None)
            except StopIteration as piece:
                if not piece.value:
                    return b"".join(pieces)
                pieces.append(piece.value)
            else:
                raise AssertionError("the body has not ended")

    def fault(self) -> UpstreamError:
        """What went wrong with the call, or later with its body."""
        assert self.answer.done()
        if (error := self.answer.exception()) is None:
            with pytest.raises(UpstreamError) as caught:
                self.body()
            error = caught.value
        assert isinstance(error, UpstreamError)
        return error

    def close(self) -> None:
        self.place.sweep.close()
        self.wire.close()
        self.loop.close()


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.close()


Case = tuple[str, str, bytes, int, bytes, bool, bytes | None]


def check_good(case: Case, *pieces: bytes) -> None:
    _, method, _, status, body, reused, length = case
    scene = Scene(method)
    try:
        scene.feed(*pieces)
        assert scene.answer.result().status == status
        assert scene.body() == body
        headers = scene.answer.result().headers
        assert headers.get(b"content-length") == length
        assert headers.get(b"transfer-encoding") is headers.get(b"connection") is None
        assert scene.wire.aborted is not reused
        assert scene.place.losses == (0 if reused else 1)
        assert scene.place.released == 1 or not reused
        assert not scene.place.sweep.waiting
    finally:
        scene.close()


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case[0])
def test_good_answers_cut_anywhere(case: Case) -> None:
    for cut in range(len(case[2])):
        check_good(case, case[2][:cut], case[2][cut:])


@settings(max_examples=100, deadline=None)
@given(case=st.sampled_from(GOOD), cuts=st.lists(st.integers(0, 200), max_size=12))
def test_good_answers_in_any_pieces(case: Case, cuts: list[int]) -> None:
    raw = case[2]
    places = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    check_good(case, *(raw[start:stop] for start, stop in pairwise(places)))


@pytest.mark.parametrize(("name", "raw"), BAD_HEADS, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("size", [100_000, 1, 7])
def test_broken_answers(name: str, raw: bytes, size: int, scene: Scene) -> None:
    if size == 1 and len(raw) > 10_000:
        size = 997
    scene.feed(*(raw[at : at + size] for at in range(0, len(raw), size)))
    fault = scene.fault()
    assert fault.cause is Cause.PROTOCOL
    assert fault.sent
    assert scene.wire.aborted
    assert scene.place.losses == 1
    assert not scene.place.sweep.waiting


@pytest.mark.parametrize(
    ("name", "raw", "stage"), BREAKS_OFF, ids=lambda value: value if isinstance(value, str) else ""
)
@pytest.mark.parametrize("by", ["eof", "reset"])
def test_answers_that_break_off(name: str, raw: bytes, stage: str, by: str, scene: Scene) -> None:
    scene.feed(raw)
    if by == "eof":
        scene.end()
    else:
        scene.connection.connection_lost(ConnectionResetError())
    fault = scene.fault()
    assert (fault.cause, fault.stage) == (Cause.RESET, stage)
    assert scene.place.losses == 1


def test_a_body_until_close_ends_with_the_connection(scene: Scene) -> None:
    scene.feed(answer(b"X-A: b", b"until "), b"close")
    scene.end()
    assert scene.body() == b"until close"
    assert scene.answer.result().headers == [(b"x-a", b"b")]
    assert scene.place.losses == 1


def test_a_body_until_close_that_is_reset_is_broken(scene: Scene) -> None:
    scene.feed(answer(b"X-A: b", b"until "))
    scene.connection.connection_lost(ConnectionResetError())
    assert scene.fault().cause is Cause.RESET


def test_fields_are_lowered_kept_in_order_and_freed_of_this_hop(scene: Scene) -> None:
    scene.feed(
        answer(
            b"Set-Cookie: a=1\r\nConnection: X-Own, keep-alive\r\nX-Own: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\n"
            b"Trailer: X\r\nProxy-Authenticate: Basic\r\nSET-COOKIE: b=2\r\nContent-Length: 0\r\nX-Empty:"
        )
    )
    assert scene.answer.result().headers == [
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"content-length", b"0"),
        (b"x-empty", b""),
    ]


def test_no_piece_is_written_over_an_answer_that_waits_to_be_read(scene: Scene) -> None:
    early = answer(b"Content-Length: 5", b"early")
    scene.wire.theirs.send(early)
    writing = scene.connection.write(b"piece")
    writing.send(None)
    writing.send(None)
    assert scene.wire.written == b"request"
    scene.feed(scene.wire.ours.recv(4096))  # in life this ends the task that writes
    assert (scene.answer.result().status, scene.body()) == (200, b"early")
    writing.close()


def test_pieces_go_on_after_an_interim_answer_was_read(scene: Scene) -> None:
    scene.wire.theirs.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    writing = scene.connection.write(b"piece")
    writing.send(None)
    scene.feed(scene.wire.ours.recv(4096))
    with pytest.raises(StopIteration):
        writing.send(None)
    assert scene.wire.written == b"requestpiece"


def test_octets_on_an_idle_connection_close_it(scene: Scene) -> None:
    scene.feed(answer(b"Content-Length: 0"))
    assert scene.place.released == 1
    scene.feed(answer(b"Content-Length: 0"))
    assert scene.wire.aborted
    assert scene.place.losses == 1


def test_a_connection_with_something_to_read_is_not_usable(scene: Scene) -> None:
    scene.feed(answer(b"Content-Length: 0"))
    now = scene.loop.time()
    scene.connection.idle_since = now - 0.001
    assert scene.connection.usable(now, sure=True)
    scene.wire.theirs.close()
    assert not scene.connection.usable(now, sure=True)
    assert scene.connection.usable(now, sure=False), "what may be repeated is spared the system call"
    assert not scene.connection.usable(now + 1, sure=False)


def test_reading_pauses_while_nobody_takes_the_body(scene: Scene) -> None:
    scene.feed(answer(b"Content-Length: 300000", b"x" * 50_000), b"x" * 50_000)
    assert not scene.wire.reading
    body = scene.answer.result().body
    assert not isinstance(body, bytes)
    for _ in range(2):
        with pytest.raises(StopIteration):
            body.read().send(None)
    assert scene.wire.reading
    scene.feed(b"x" * 200_000)
    assert scene.wire.reading, "an answer that ended leaves the connection reading, or its end would go unnoticed"
    assert scene.place.released == 1


def test_closing_the_body_ends_the_connection(scene: Scene) -> None:
    scene.feed(answer(b"Content-Length: 5", b"he"))
    body = scene.answer.result().body
    assert not isinstance(body, bytes)
    body.close()
    body.close()
    assert scene.wire.aborted
    assert scene.place.losses == 1


def test_a_body_that_ended_may_be_closed_without_harm(scene: Scene) -> None:
    scene.feed(answer(b"Content-Length: 5", b"he"), b"llo")
    body = scene.answer.result().body
    assert not isinstance(body, bytes)
    body.close()
    assert not scene.wire.aborted
    assert scene.place.released == 1


def test_a_caller_that_left_as_the_answer_came_costs_no_other_call(scene: Scene) -> None:
    scene.answer.cancel()
    scene.feed(answer(b"Content-Length: 2", b"ok"))
    scene.connection.leave(scene.answer)
    assert scene.place.released == 1
    assert not scene.wire.aborted


def test_a_caller_that_left_as_a_long_answer_came_ends_the_connection(scene: Scene) -> None:
    scene.answer.cancel()
    scene.feed(answer(b"Content-Length: 200", b"ok"))
    scene.connection.leave(scene.answer)
    assert scene.wire.aborted
    assert scene.place.losses == 1
