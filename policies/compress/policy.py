"""Codes answers on their way out. What may be coded, and how, core.py says."""

from __future__ import annotations

import asyncio

from gateway.api.exchange import Exchange, Proceed
from gateway.api.messages import Headers, Response, content_length
from gateway.api.policy import Layer
from gateway.api.ports import Scope
from policies.compress.coding import CodedBody, coded_whole
from policies.compress.config import CompressConfig
from policies.compress.core import (
    asked_upstream,
    choose,
    coded_fields,
    forbids,
    knows_weakened,
    may_code,
    stands_for_coded,
    weakened,
)
from policies.compress.remembered import Remembered

OFF_LOOP = 64 * 1024  # beyond it a body is coded by a thread: about 1 ms
_VARY = (b"vary", b"Accept-Encoding")


class Compress(Layer):
    def __init__(self, config: CompressConfig, scope: Scope) -> None:
        self._offered = config.encodings
        self._min_size = config.min_size
        self._remembered = scope.state("remembered", Remembered)
        self._remembered.bound(self, config.max_size // max(1, scope.workers))
        self._shadow = scope.shadow
        self._coded = scope.tally("coded")
        self._from_memory = scope.tally("remembered")
        self._passed = scope.tally("pass")

    async def around(self, exchange: Exchange, proceed: Proceed) -> Response:
        request = exchange.request
        asked = request.headers
        if self._shadow:
            response = await proceed(exchange)
            codable = (
                self._may_code(request.method, response) and choose(self._accepted(asked), self._offered) is not None
            )
            (self._coded if codable else self._passed).value += 1
            return response
        upstream = asked_upstream(asked)
        if upstream is not None:
            request.headers = upstream
        response = await proceed(exchange)
        if response.status == 304:
            _name_as_known(response.headers, asked)
        if stands_for_coded(response.status, response.headers):
            exchange.response_headers.append(_VARY)
        if not self._may_code(request.method, response):
            self._passed.value += 1
            return response
        exchange.response_headers.append(_VARY)  # RFC 9110 §12.5.5: another caller would have had another answer
        coding = choose(self._accepted(asked), self._offered)
        if coding is None or any(name == b"cache-control" and forbids(value) for name, value in asked):
            self._passed.value += 1
            return response
        headers = response.headers
        response.headers = coded_fields(headers, coding.encode("ascii"))
        body = response.body
        if not isinstance(body, bytes):
            self._coded.value += 1
            response.body = CodedBody(body, coding)
        elif request.method == "HEAD":  # RFC 9110 §9.3.2: the fields of a GET, but for what only the body would tell
            self._coded.value += 1
            response.body = b""
        else:
            response.body = await self._whole(coding, body, headers)
        return response

    async def _whole(self, coding: str, body: bytes, headers: Headers) -> bytes:
        # What has a validator, or comes from a cache, is asked for again
        again = headers.get(b"etag") is not None or headers.get(b"age") is not None
        if again:
            remembered = self._remembered.get(coding, body)
            if remembered is not None:
                self._from_memory.value += 1
                return remembered
        self._coded.value += 1
        if len(body) <= OFF_LOOP:
            coded = coded_whole(coding, body)
        else:
            coded = await asyncio.to_thread(coded_whole, coding, body)
        if again:
            self._remembered.put(coding, body, coded)
        return coded

    def _may_code(self, method: str, response: Response) -> bool:
        body = response.body
        length = len(body) if isinstance(body, bytes) else body.length
        if length == 0 and method == "HEAD":  # RFC 9110 §8.6: the length that a GET would have, if the upstream says it
            length = content_length(response.headers)
        if length is not None and length < self._min_size:
            return False
        return may_code(response.status, response.headers)

    def _accepted(self, asked: Headers) -> tuple[bytes, ...]:
        return tuple(asked.get_all(b"accept-encoding"))


def _name_as_known(answer: Headers, asked: Headers) -> None:
    """RFC 9110 §15.4.5: a 304 carries the ETag that the caller's 200 had."""
    etag = answer.get(b"etag")
    if etag is not None and knows_weakened(asked, etag):
        answer.set(b"etag", weakened(etag))
