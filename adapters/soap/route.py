"""The adapter of a JSON route as the gateway calls it: short messages whole, long ones with attachments as they arrive."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from secrets import token_hex
from typing import Final
from urllib.parse import unquote

from adapters.soap.adapter import SoapCodec
from adapters.soap.attachments import json_head, soap_head
from adapters.soap.catalogue import CATALOGUE, reader
from adapters.soap.codec.envelope import OperationCodec
from adapters.soap.codec.media_types import media_type, parameters
from adapters.soap.codec.multipart import Part, part_head
from adapters.soap.codec.multipart import root_id as root_id_of
from adapters.soap.codec.parts_reader import BadMultipart, PartHead
from adapters.soap.config import SoapConfig
from adapters.soap.listen.front import SoapFront
from adapters.soap.request import read_streamed
from adapters.soap.streams import Flow, PartStream, behind, carried, inlined, short_or_begun
from adapters.soap.work import worked
from gateway.api.adapter import MAX_REPLY, AdapterScope, CallAdapter, Calls, Encoded, read_reply
from gateway.api.errors import BadReply, Cause, RequestRefused, UpstreamError
from gateway.api.exchange import Exchange
from gateway.api.messages import Body, Headers, Request, Response

STREAMED_FROM: Final = 256 * 1024
"""Octets from which a multipart message streams. Below it is checked whole before anything of it is sent on, and goes
out with a Content-Length, which old servers understand better than chunks."""


def build(config: SoapConfig, scope: AdapterScope) -> SoapRoute | SoapFront:
    """Raises BadWsdl, LookupError, BadPath, PlaceholderError, OSError, ValueError; check() has shown all of them before."""
    shared = CATALOGUE.compiled(config.wsdl, scope.read_file, remote=config.remote)
    if config.listen is not None:
        return SoapFront(config, config.listen, shared, reader(scope.read_file, config.remote))
    assert config.operation is not None, "the configuration has been checked"
    port, operation = shared.wsdl.require(config.operation, service=config.service, port=config.port)
    codec = OperationCodec(shared.wsdl, operation, shared, numbers=config.numbers, unknown=config.unknown)
    return SoapRoute(SoapCodec(config, codec, port, scope.read_file))


class SoapRoute(CallAdapter):
    """Calls one SOAP operation."""

    def __init__(self, codec: SoapCodec) -> None:
        self.codec = codec

    async def call(self, exchange: Exchange, upstream: Calls) -> Response:
        request = exchange.request
        body = await _long(request) if _multipart(request) else None
        if body is not None:
            encoded = await self._request(exchange, body)
        else:
            octets = await exchange.read_body()
            encoded = await worked(len(octets), self.codec.encode, exchange, octets)
        response = await upstream.streamed(exchange, encoded)
        try:
            body = await _long(response) if _multipart(response) else None
            if body is not None:
                return await self._answer(exchange, response, body)
        except BaseException:
            if isinstance(response.body, Body):
                response.body.close()
            raise
        reply = await read_reply(response)
        return await worked(len(reply.body), self.codec.decode, exchange, reply)

    # --- out -----------------------------------------------------------------------------------------------

    async def _request(self, exchange: Exchange, body: Body) -> Encoded:
        content_type = _content_type(exchange.request.headers)
        try:
            parts = PartStream(body, content_type)
            root = await _first(parts, content_type)
        except BadMultipart as exc:
            raise _refused(exc) from exc
        incoming = read_streamed(root)
        octets, loose = await worked(len(root.content), self.codec.written, exchange, incoming)
        action, version = self.codec.action, self.codec.version
        left, boundary = parts.left, parts.boundary
        if left is not None and not loose and _usable(boundary, octets):
            # Only the root is exchanged, so that the length is known: many servers of that age cannot read chunks
            root_id = f"{token_hex(16)}.root@sluicegate"
            kind, root_kind = soap_head(version, action, boundary, root_id, loose=False)
            first = part_head(boundary, root_kind, root_id) + octets
            flow = behind(first, parts.untouched(incoming.referred))
            return self.codec.encoded(Flow(_as_refused(flow), body, len(first) + left), kind.encode())
        renamed, early = self.codec.beside(loose)
        boundary = token_hex(20)
        kind, root_kind = soap_head(version, action, boundary, root_id_of(boundary), loose=bool(loose))
        wanted = {renamed.get(name, name) for name in incoming.referred}
        flow = carried(boundary, octets, root_kind, early, parts, lambda head: _called(head, renamed), wanted)
        return self.codec.encoded(Flow(_as_refused(flow), body), kind.encode())

    # --- back ----------------------------------------------------------------------------------------------

    async def _answer(self, exchange: Exchange, response: Response, body: Body) -> Response:
        content_type = _content_type(response.headers)
        answers = self.codec.answers
        try:
            parts = PartStream(body, content_type)
            root = await _first(parts, content_type)
        except BadMultipart as exc:
            raise BadReply(f"status {response.status}: the body: {exc}") from exc
        inline = answers.config.attachments == "base64"
        mark = f"part-{token_hex(16)}-"
        names: list[str] = []

        def find(content_id: str) -> str:
            names.append(unquote(content_id))
            return f"{mark}{len(names) - 1}." if inline else f"cid:{names[-1]}"

        beside = {name: find(name) for name in answers.attached} if response.status < 300 else {}
        document = await worked(
            len(root.content), answers.document, exchange, response.status, response.headers, root, find, beside
        )
        if isinstance(document, Response):
            body.close()
            return document
        naming = answers.naming() if answers.attached else None

        def name_of(head: PartHead) -> str | None:
            return (naming(head.content_id) if naming is not None else None) or head.content_id or None

        if inline:
            pieces = re.split(f"{mark}([0-9]+)\\.".encode(), document)
            order = [names[int(number)] for number in pieces[1::2]]
            flow, kind = inlined(pieces[::2], order, parts, name_of, MAX_REPLY), b"application/json"
        else:
            boundary = token_hex(20)
            kind = json_head(boundary)
            flow = carried(boundary, document, "application/json", (), parts, name_of, set(names))
        return answers.answered(response.headers, kind, Flow(_as_upstreams(flow, exchange), body))


def _multipart(message: Request | Response) -> bool:
    return media_type(_content_type(message.headers)) == "multipart/related"


async def _long(message: Request | Response) -> Body | None:
    """A multipart body that is to be streamed. A short one is None, and the message's to keep if it had to be read."""
    body = message.body
    if not isinstance(body, Body):
        return None
    if body.length is None:
        begun = await short_or_begun(body, STREAMED_FROM)
        if isinstance(begun, Body):
            return begun
        message.body = begun
        return None
    return body if body.length > STREAMED_FROM else None


def _content_type(headers: Headers) -> str:
    return (headers.get(b"content-type") or b"").decode("latin-1")


async def _first(parts: PartStream, content_type: str) -> Part:
    """The root, which has to come first where the rest streams (RFC 2387 §3.2 lets `start` name another)."""
    head = await parts.next()
    if head is None:
        raise BadMultipart("the multipart message is empty")
    start = parameters(content_type).get("start", "").strip("<>")
    if start and head.content_id != start:
        raise BadMultipart("the part that `start` names has to be the first in a message of this length")
    return Part(head.headers, await parts.whole(MAX_REPLY))


def _usable(boundary: str, envelope: bytes) -> bool:
    """Whether a caller's boundary can stand in the message for the backend: nothing in the envelope may end a part early."""
    return not set('"\\') & set(boundary) and f"--{boundary}".encode() not in envelope


def _called(head: PartHead, renamed: dict[str, str]) -> str | None:
    return renamed.get(head.content_id, head.content_id) or None


def _refused(exc: BadMultipart) -> RequestRefused:
    return RequestRefused(
        400, "soap.bad-multipart", f"The body cannot be taken apart: {exc}; check its boundary and parts."
    )


async def _as_refused(flow: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """What is wrong with a message that is being sent on is its caller's fault."""
    try:
        async for piece in flow:
            yield piece
    except BadMultipart as exc:
        raise _refused(exc) from exc


async def _as_upstreams(flow: AsyncGenerator[bytes, None], exchange: Exchange) -> AsyncGenerator[bytes, None]:
    try:
        async for piece in flow:
            yield piece
    except BadMultipart as exc:
        raise UpstreamError(Cause.PROTOCOL, "body", sent=True, upstream=exchange.upstream, detail=str(exc)) from exc
