"""compress: what callers get, how streams flow, what is remembered."""

import asyncio
import gzip
import zlib

import brotli
import pytest
import zstandard

from gateway.api.errors import Cause, UpstreamError
from gateway.api.messages import Headers, Response
from gateway.testing.exchange import BytesBody, FakeScope, close, make_exchange, read_all
from policies.compress import POLICY
from policies.compress.coding import CODERS, CodedBody
from policies.compress.config import CompressConfig
from policies.compress.policy import OFF_LOOP
from policies.compress.remembered import Remembered

TEXT = b'{"hello": "world"}' * 200
JSON = ("content-type", "application/json")
VARY = (b"vary", b"Accept-Encoding")
DECODE = {"gzip": gzip.decompress, "br": brotli.decompress, "zstd": lambda raw: zstandard.ZstdDecompressor().decompressobj().decompress(raw)}  # fmt: skip


def reply(body=TEXT, status=200, fields=(JSON,)):
    return Response(status, Headers((name.encode(), value.encode()) for name, value in fields), body)


class Stage:
    def __init__(self, answer, **config):
        self.scope = FakeScope(policy="compress", name="compress", shadow=config.get("mode") == "shadow")
        self.layer = POLICY.build(CompressConfig(**config), self.scope)
        self.answer = answer
        self.seen = None

    def ask(self, accept="gzip", method="GET", headers=()):
        async def scene():
            fields = [*headers, *([("Accept-Encoding", accept)] if accept else [])]
            exchange = make_exchange(method, "/a", fields)

            async def upstream(exchange):
                self.seen = exchange.request.headers
                return Response(self.answer.status, Headers(self.answer.headers), self.answer.body)

            answer = await self.layer.around(exchange, upstream)
            if not isinstance(answer.body, bytes):
                answer.body = await read_all(answer.body)
            close(exchange)
            answer.headers += exchange.response_headers
            return answer

        return asyncio.run(scene())


@pytest.mark.parametrize("coding", DECODE)
@pytest.mark.parametrize("size", [1024, OFF_LOOP + 1])
def test_a_whole_body_is_coded(coding, size):
    body = (TEXT * (size // len(TEXT) + 1))[:size]
    answer = Stage(reply(body)).ask(coding)
    assert answer.headers.get(b"content-encoding") == coding.encode()
    assert VARY in answer.headers
    assert len(answer.body) < size
    assert DECODE[coding](answer.body) == body


@pytest.mark.parametrize("coding", DECODE)
def test_a_stream_is_coded(coding):
    answer = Stage(reply(BytesBody(*[TEXT] * 5))).ask(coding)
    assert DECODE[coding](answer.body) == TEXT * 5


@pytest.mark.parametrize("coding", DECODE)
def test_each_piece_goes_out_as_soon_as_it_came(coding):
    async def scene():
        body = CodedBody(BytesBody(b"first", b"second"), coding)
        assert body.length is None
        return await body.read()

    begun = asyncio.run(scene())
    decoders = {
        "gzip": lambda: zlib.decompressobj(31).decompress(begun),
        "br": lambda: brotli.Decompressor().process(begun),
        "zstd": lambda: zstandard.ZstdDecompressor().decompressobj().decompress(begun),
    }
    assert decoders[coding]() == b"first"


def test_a_stream_that_breaks_off_breaks_off_and_closing_closes_its_source():
    class Breaking(BytesBody):
        async def read(self):
            raise UpstreamError(Cause.RESET, "body", sent=True)

    with pytest.raises(UpstreamError):
        asyncio.run(CodedBody(Breaking(), "gzip").read())
    source = BytesBody(b"x")
    body = CodedBody(source, "gzip")
    body.close()
    assert source.closed
    assert asyncio.run(body.read()) == b""


@pytest.mark.parametrize("coding", CODERS)
def test_an_empty_stream_is_a_valid_coding_of_nothing(coding):
    assert DECODE[coding](asyncio.run(read_all(CodedBody(BytesBody(), coding)))) == b""


@pytest.mark.parametrize(
    ("answer", "ask", "varies"),
    [
        (reply(), {"accept": ""}, True),
        (reply(), {"accept": "deflate"}, True),
        (reply(), {"headers": [("Cache-Control", "no-transform")]}, True),
        (reply(TEXT[:1023]), {}, False),
        (reply(BytesBody(TEXT, announced=len(TEXT[:1023]))), {}, False),
        (reply(fields=[("content-type", "image/png")]), {}, False),
        (reply(fields=[("content-type", "text/event-stream")]), {}, False),
        (reply(fields=[JSON, ("content-encoding", "br")]), {}, False),
        (reply(status=206, fields=[JSON, ("content-range", "bytes 0-9/20")]), {}, True),
        (reply(status=206, fields=[("content-type", "image/png"), ("content-range", "bytes 0-9/20")]), {}, False),
        (reply(status=206, fields=[JSON, ("content-encoding", "br"), ("content-range", "bytes 0-9/20")]), {}, False),
        (reply(b"", 304, [("etag", '"a"')]), {"accept": ""}, True),
        (reply(b"", 304, [("etag", '"a"'), ("cache-control", "no-transform")]), {}, False),
        (reply(b"", 304, [("etag", '"a"'), ("content-type", "image/png")]), {}, False),
        (reply(b"", 204, []), {}, False),
        (reply(fields=[JSON, ("cache-control", "no-transform")]), {}, False),
    ],
)
def test_what_goes_out_as_it_is(answer, ask, varies):
    stage = Stage(answer)
    sent = stage.ask(**ask)
    assert sent.headers.get(b"content-encoding") == answer.headers.get(b"content-encoding")
    assert (VARY in sent.headers) is varies
    assert stage.scope.counts() == {"pass": 1}


def test_head_has_the_fields_of_a_get():
    fields = [JSON, ("etag", '"a"'), ("content-length", "4000")]
    for body in (b"", TEXT):
        answer = Stage(reply(body, fields=fields)).ask(method="HEAD")
        assert (answer.body, answer.headers.get(b"content-length")) == (b"", None)
        assert (answer.headers.get(b"content-encoding"), answer.headers.get(b"etag")) == (b"gzip", b'W/"a"')
    short = Stage(reply(b"", fields=[JSON, ("content-length", "9")])).ask(method="HEAD")
    assert short.headers.get(b"content-encoding") is None


def test_validators_go_up_in_the_strong_form_and_a_304_comes_back_in_the_weak_one():
    stage = Stage(reply(b"", 304, [("etag", '"a"')]))
    answer = stage.ask(headers=[("If-None-Match", 'W/"a"')])
    assert stage.seen.get(b"if-none-match") == b'W/"a", "a"'
    assert (answer.status, answer.headers.get(b"etag")) == (304, b'W/"a"')
    assert stage.ask(headers=[("If-None-Match", '"a"')]).headers.get(b"etag") == b'"a"'
    stage.ask(method="PUT", headers=[("If-Match", 'W/"a"')])
    assert stage.seen.get(b"if-match") == b'"a"'


@pytest.mark.parametrize("field", [("etag", '"a"'), ("age", "3")])
def test_what_is_asked_for_again_is_remembered(field):
    stage = Stage(reply(fields=[JSON, field]))
    first, second = stage.ask(), stage.ask()
    assert first.body is second.body
    assert stage.scope.counts() == {"coded": 1, "remembered": 1}
    stage.ask("br")
    assert stage.scope.counts()["coded"] == 2


def test_two_bodies_of_one_etag_are_never_mixed():
    stage = Stage(reply(fields=[JSON, ("etag", '"a"')]))
    stage.ask()
    stage.answer = reply(TEXT[::-1], fields=[JSON, ("etag", '"a"')])
    assert gzip.decompress(stage.ask().body) == TEXT[::-1]


def test_what_has_no_validator_is_not_remembered():
    stage = Stage(reply())
    stage.ask()
    stage.ask()
    assert stage.scope.counts() == {"coded": 2}


def test_memory_is_bounded_and_what_is_used_stays():
    memory = Remembered()
    holder = type("Holder", (), {})()
    memory.bound(holder, 1000)
    memory.put("gzip", b"x" * 200, b"y")  # an eighth is 125
    assert memory.size == 0
    for number in range(30):
        memory.put("gzip", b"%02d" % number + b"x" * 88, b"y" * 10)
        assert memory.get("gzip", b"00" + b"x" * 88) == b"y" * 10
    assert memory.size == 1000
    memory.put("gzip", b"00" + b"x" * 88, b"y" * 10)
    assert memory.size == 1000


def test_in_shadow_it_counts_and_changes_nothing():
    stage = Stage(reply(), mode="shadow")
    answer = stage.ask()
    assert (answer.body, list(answer.headers)) == (TEXT, [(b"content-type", b"application/json")])
    stage.ask("")
    assert stage.scope.counts() == {"coded": 1, "pass": 1}


def test_a_coding_named_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        CompressConfig(encodings=("br", "br"))
