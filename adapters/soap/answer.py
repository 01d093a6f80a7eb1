"""The backend's answer as a response for the caller: content, fault, or the backend's mistake. Raises BadReply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import orjson
from lxml import etree

from adapters.soap.attachments import json_message, lookup
from adapters.soap.codec.answers import Answer
from adapters.soap.codec.envelope import HEADERS, OperationCodec
from adapters.soap.codec.errors import Deviation
from adapters.soap.codec.faults import SoapFault, status_of
from adapters.soap.codec.multipart import (
    BadMultipart,
    Part,
    media_type,
    parameters,
    root_and_rest,
    split_parts,
)
from adapters.soap.codec.parsing import NotXml, parse
from adapters.soap.config import SoapConfig
from adapters.soap.paths import Step, select
from gateway.api.adapter import Reply
from gateway.api.errors import BadReply
from gateway.api.exchange import Exchange
from gateway.api.messages import Headers, Response
from gateway.api.problem import problem

# RFC 7303 §9 and what servers send instead
_XML: Final = frozenset(
    (
        "",
        "text/xml",
        "application/xml",
        "application/soap+xml",
        "application/xop+xml",
        "text/plain",
        "application/octet-stream",
    )
)
_KEPT: Final = frozenset((b"cache-control", b"expires", b"retry-after"))

Trust = Callable[[Exchange, etree._Element], None]
"""What security and addressing have to say about an answer's envelope; raises Deviation."""


@dataclass(frozen=True, slots=True)
class AnswerReader:
    codec: OperationCodec
    config: SoapConfig
    selected: tuple[Step, ...]
    understood: frozenset[str]
    trust: Trust

    def read(self, exchange: Exchange, reply: Reply) -> Response:
        """The response for the caller. Raises BadReply when the answer cannot be one of this operation."""
        one_way = self.codec.operation.output is None
        if not reply.body.strip(b" \t\r\n"):
            if one_way and 200 <= reply.status < 300:
                return Response(202, Headers())
            raise BadReply(f"status {reply.status} with an empty body")
        root, parts = self._envelope(reply)
        answer = Answer(strict=self.config.strict_answers, attachment=lookup(parts, self.config.attachments))
        try:
            self.trust(exchange, root)
            content = self.codec.decode(root, answer)
            if content.fault is not None:
                return self._fault(exchange, content.fault)
            if reply.status >= 300:
                raise BadReply(f"status {reply.status} with an envelope that holds no fault")
            headers = self.codec.decode_headers(root, answer, self.understood)
        except Deviation as deviation:
            raise BadReply(deviation.detail, where=deviation.where) from deviation
        if answer.overlooked:
            exchange.note("soap.answer-deviates")
        if one_way:
            return Response(202, Headers())
        return self._response(reply, content.value, headers, parts)

    def _envelope(self, reply: Reply) -> tuple[etree._Element, dict[str, Part]]:
        content_type = (reply.headers.get(b"content-type") or b"").decode("latin-1")
        coding = (reply.headers.get(b"content-encoding") or b"identity").lower()
        if coding != b"identity":
            raise BadReply(f"status {reply.status} with a content coding nobody asked for")
        kind, body = media_type(content_type), reply.body
        parts: dict[str, Part] = {}
        try:
            if kind == "multipart/related":
                root_part, parts = root_and_rest(split_parts(body, content_type), content_type)
                content_type, body = root_part.headers.get("content-type", "text/xml"), root_part.content
                kind = media_type(content_type)
            if kind not in _XML and not kind.endswith("+xml"):
                raise BadReply(f"status {reply.status} with a body that is no XML by its Content-Type")
            return parse(body, parameters(content_type).get("charset")), parts
        except (NotXml, BadMultipart) as exc:
            raise BadReply(f"status {reply.status}: the body {exc}") from exc

    def _fault(self, exchange: Exchange, fault: SoapFault) -> Response:
        shown: dict[str, object] = {"code": fault.code}
        passed = self.config.fault_detail == "pass"
        if passed and fault.reason:
            shown["reason"] = fault.reason
        detail = dict(fault.detail)
        if passed:
            detail |= fault.undeclared
        if detail:
            shown["detail"] = detail
        status = status_of(fault, self.config.faults)
        return problem(exchange, status, "soap.fault", "The backend answered with a fault.", fault=shown)

    def _response(self, reply: Reply, value: object, headers: dict[str, object], parts: dict[str, Part]) -> Response:
        if value is None and not self.codec.response:
            value = {}
        if self.selected:
            value = select(value, self.selected)
        elif type(value) is dict:
            if headers:
                value = {HEADERS: headers, **value}
            value = self._with_loose_parts(value, parts)
        fields = Headers(field for field in reply.headers if field[0] in _KEPT)
        try:
            document = orjson.dumps(value)
        except TypeError as exc:  # orjson's own bound, 254 levels
            raise BadReply("the answer is nested too deeply") from exc
        content_type, body = json_message(document, parts if self.config.attachments == "multipart" else {})
        fields.add(b"content-type", content_type)
        return Response(200, fields, body)

    def _with_loose_parts(self, value: dict[str, object], parts: dict[str, Part]) -> dict[str, object]:
        """SwA: parts that the WSDL names go in as members. WS-I Attachments Profile 1.0 §3.8: `name=UUID@domain` is their id."""
        output = self.codec.operation.output
        if output is None or not output.attached or not parts:
            return value
        find = lookup(parts, self.config.attachments)
        added: dict[str, object] = {}
        loose = list(parts)
        for declared in output.attached:
            found = next(
                (name for name in loose if name.partition("=")[0] == declared.name), loose[0] if loose else None
            )
            if found is not None:
                loose.remove(found)
                added[declared.name] = find(found)
        return {**value, **added}
