"""The terminal of a route with an adapter: read the body, encode, send, decode. Knows no format."""

from __future__ import annotations

import asyncio
import time
from functools import partial

from gateway.api.adapter import CallAdapter, Codec, Encoded, Reply, read_reply
from gateway.api.errors import ClientGone, body_late
from gateway.api.exchange import Exchange, Proceed
from gateway.api.messages import Body, Headers, Response
from gateway.api.off_loop import off_loop
from gateway.api.problem import PROBLEM_JSON
from gateway.edge import faults
from gateway.edge.forward import Forward


class Adapt:
    """Calls an upstream through an adapter; above a size a codec's work leaves the event loop."""

    def __init__(self, adapter: Codec | CallAdapter, forward: Forward) -> None:
        self._forward = forward
        # told apart once: to ask an abstract class costs a call of its own, each time
        self._caller = adapter if isinstance(adapter, CallAdapter) else None
        self._codec = adapter if isinstance(adapter, Codec) else None

    async def __call__(self, exchange: Exchange) -> Response:
        calls = UpstreamCalls(self._forward)
        if self._caller is not None:
            response = await self._caller.call(exchange, calls)
            calls.answered = True
            return response
        adapter = self._codec
        assert adapter is not None, "an adapter is one of the two"
        body = await exchange.read_body()
        if len(body) < adapter.offload_bytes:
            encoded = adapter.encode(exchange, body)
        else:
            encoded = await off_loop(partial(adapter.encode, exchange, body))
        response = await calls.streamed(exchange, encoded)
        reply = await read_reply(response)
        try:
            if len(reply.body) < adapter.offload_bytes:
                return adapter.decode(exchange, reply)
            return await off_loop(partial(adapter.decode, exchange, reply))
        except Exception:
            if not isinstance(response.body, bytes):
                response.body.set_aside()
            raise
        finally:
            _close(response)


class UpstreamCalls:
    """The route's upstream as the adapter calls it for one exchange. Implements gateway.api.adapter.Calls."""

    __slots__ = ("_forward", "answered")

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self.answered = False
        """Whether the adapter has given the caller's answer: what it reads from then on is a stream's rest."""

    async def whole(self, exchange: Exchange, encoded: Encoded) -> Reply:
        response = await self.streamed(exchange, encoded)
        try:
            return await read_reply(response)
        finally:
            _close(response)

    async def streamed(self, exchange: Exchange, encoded: Encoded) -> Response:
        own = encoded.headers  # a caller's own SOAPAction must not stand beside the adapter's
        dropped = _OF_THE_BODY.union([name for name, _ in own]) if own else _OF_THE_BODY
        headers = Headers([field for field in exchange.request.headers if field[0] not in dropped])
        if encoded.body is not None:
            headers.append((b"content-type", encoded.content_type))
        headers += own
        forward = self._forward
        target = encoded.target if encoded.target is not None else forward.target(exchange)
        response = await forward.call(exchange, encoded.method, target, headers, encoded.body, encoded.correlation)
        if not isinstance(response.body, bytes):
            response.body = _TimelyBody(response.body, exchange, self)
        return response


class _TimelyBody(Body):
    """An answer that arrives within the deadline, as far as the adapter needs it before the caller has an answer's head."""

    __slots__ = ("_calls", "_exchange", "_source", "length")

    def __init__(self, source: Body, exchange: Exchange, calls: UpstreamCalls) -> None:
        self.length = source.length
        self._source = source
        self._exchange = exchange
        self._calls = calls

    async def read(self) -> bytes:
        if self._calls.answered:
            return await self._source.read()
        try:
            async with asyncio.timeout(self._exchange.deadline - time.monotonic()):
                return await self._source.read()
        except TimeoutError:
            self._source.close()
            raise body_late(self._exchange.upstream) from None

    def close(self) -> None:
        self._source.close()

    def set_aside(self) -> None:
        self._source.set_aside()


def judges(adapter: Codec | CallAdapter) -> bool:
    """Whether each answer's body is closed or set aside once it is known what it was."""
    return adapter.judges if isinstance(adapter, CallAdapter) else True


def _close(response: Response) -> None:
    if not isinstance(response.body, bytes):  # of bytes an ABC would first ask its registry
        response.body.close()


def presented(adapter: CallAdapter, proceed: Proceed) -> Proceed:
    """The whole chain of a route whose callers do not speak problem+json: refusals as they know them."""

    async def handle(exchange: Exchange) -> Response:
        response: Response | None
        try:
            response = await proceed(exchange)
        except ClientGone:
            raise
        except Exception as fault:
            response = faults.answer(exchange, fault)
            fault.__traceback__ = None  # as in gateway/edge/app.py
            if response is None:
                raise
        if response.headers.get(b"content-type") == PROBLEM_JSON[1]:
            return adapter.present(exchange, response)
        return response

    return handle


# RFC 9110 §8.3 to §8.8, §12.5: they describe the caller's body, or ask for codings that the adapter cannot read
_OF_THE_BODY = frozenset(
    (
        b"content-type",
        b"content-encoding",
        b"content-language",
        b"content-md5",
        b"digest",
        b"accept",
        b"accept-encoding",
        b"soapaction",  # SOAP 1.1 §6.1.1; servers that speak 1.2 look at it too
    )
)
