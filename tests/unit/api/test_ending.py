"""endings: whoever must know is told once, however a body ends."""

import asyncio

import pytest

from gateway.api.ending import when_ended
from gateway.api.errors import Cause, UpstreamError
from gateway.api.messages import Headers, Response
from gateway.testing.exchange import BytesBody, close, make_exchange, read_all

BROKEN = UpstreamError(Cause.RESET, "body", sent=True)


class Broken(BytesBody):
    async def read(self):
        raise BROKEN


def listening(body):
    exchange, response, told = make_exchange(), Response(200, Headers(), body), []
    for _ in range(2):  # a bulkhead and a breaker: the body is wrapped once
        when_ended(exchange, response, lambda fault, complete: told.append((fault, complete)))
    return exchange, response, told


def test_a_whole_body_has_ended_already():
    exchange, response, told = listening(b"ok")
    assert told == [(None, True)] * 2
    assert response.body == b"ok"
    assert not exchange.closers


def test_a_body_read_to_its_end():
    exchange, response, told = listening(BytesBody(b"a", b"b", announced=2))
    assert response.body.length == 2
    assert asyncio.run(read_all(response.body)) == b"ab"
    assert told == [(None, True)] * 2
    response.body.close()
    close(exchange)
    assert len(told) == 2


def test_a_body_that_breaks():
    _, response, told = listening(Broken())
    with pytest.raises(UpstreamError):
        asyncio.run(response.body.read())
    assert told == [(BROKEN, False)] * 2


@pytest.mark.parametrize("by", ["close", "exchange"])
def test_a_body_that_nobody_reads(by):
    source = BytesBody(b"a")
    exchange, response, told = listening(source)
    if by == "close":
        response.body.close()
    else:
        close(exchange)
    assert source.closed
    assert told == [(None, False)] * 2
