"""Refuses bodies that are too large: announced ones at once, others when their octets have come. Reads nothing itself."""

from __future__ import annotations

from gateway.api.config import format_size
from gateway.api.exchange import Exchange
from gateway.api.messages import Body, Response, content_length
from gateway.api.policy import Gate
from gateway.api.ports import Scope, Tally
from gateway.api.problem import problem
from policies.request_size.config import RequestSizeConfig

CODE = "request_size.exceeded"
"""Of the refusal, and of the one that the edge makes while a body streams beyond `exchange.max_body`."""


class RequestSize(Gate):
    def __init__(self, config: RequestSizeConfig, scope: Scope) -> None:
        self._max = config.max
        self._shadow = scope.shadow
        self._detail = f"The request's body is larger than {format_size(config.max)}; send a smaller one."
        self._allowed = scope.tally("allow")
        self._refused = scope.tally("refuse")

    def check(self, exchange: Exchange) -> Response | None:
        body = exchange.request.body
        if body is None:
            self._allowed.value += 1
            return None
        length = content_length(exchange.request.headers)
        if length is not None:
            if length > self._max:
                self._refused.value += 1
                # RFC 9110 §15.5.14: no Retry-After, the condition lasts
                return problem(exchange, 413, CODE, self._detail)
            self._allowed.value += 1
        elif self._shadow:
            if not isinstance(body, bytes):
                exchange.request.body = _Counted(body, self._max, self._allowed, self._refused)
            return None
        else:
            exchange.on_close(lambda: self._count(exchange))
        if not self._shadow and (exchange.max_body is None or exchange.max_body > self._max):
            exchange.max_body = self._max
        return None

    def _count(self, exchange: Exchange) -> None:
        """A body without a length is refused by the edge, while it streams; here is only counted what became of it."""
        tally = self._refused if CODE in exchange.codes else self._allowed
        tally.value += 1


class _Counted(Body):
    """A body of unknown length that passes whatever its size, and is counted at its end or when it grows too large."""

    __slots__ = ("_allowed", "_body", "_left", "_refused", "length")

    def __init__(self, body: Body, limit: int, allowed: Tally, refused: Tally) -> None:
        self.length = None
        self._body = body
        self._left = limit
        self._allowed = allowed
        self._refused: Tally | None = refused  # None once the body is counted

    async def read(self) -> bytes:
        piece = await self._body.read()
        if self._refused is not None:
            self._left -= len(piece)
            if self._left < 0:
                self._refused.value += 1
                self._refused = None
            elif not piece:
                self._allowed.value += 1
                self._refused = None
        return piece

    def close(self) -> None:
        self._body.close()
