"""The backend's answer as a response for the caller: content, fault, or the backend's mistake. Raises BadReply."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import orjson
from lxml import etree

from adapters.soap.attachments import json_message, lookup
from adapters.soap.codec.answers import Answer
from adapters.soap.codec.envelope import HEADERS, OperationCodec
from adapters.soap.codec.errors import Deviation
from adapters.soap.codec.faults import SoapFault, status_of
from adapters.soap.codec.media_types import media_type, parameters
from adapters.soap.codec.multipart import Part, root_and_rest, split_parts
from adapters.soap.codec.parsing import NotXml, parse
from adapters.soap.codec.parts_reader import BadMultipart
from adapters.soap.config import SoapConfig
from adapters.soap.paths import Step, select
from gateway.api.adapter import Reply
from gateway.api.errors import BadReply
from gateway.api.exchange import Exchange
from gateway.api.messages import Body, Headers, Response
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
        content_type = (reply.headers.get(b"content-type") or b"").decode("latin-1")
        parts: Mapping[str, Part] = {}
        if media_type(content_type) != "multipart/related" or not reply.body:
            root = Part({"content-type": content_type}, reply.body)
        else:
            try:
                root, parts = root_and_rest(split_parts(reply.body, content_type), content_type)
            except BadMultipart as exc:
                raise BadReply(f"status {reply.status}: the body: {exc}") from exc
        form = self.config.attachments
        find = lookup(parts, form)
        beside = {name: find(content_id) for name, content_id in self._named(list(parts)).items()} if parts else {}
        document = self.document(exchange, reply.status, reply.headers, root, find, beside)
        if isinstance(document, Response):
            return document
        return self.answered(reply.headers, *json_message(document, parts if form == "multipart" else {}))

    def document(
        self,
        exchange: Exchange,
        status: int,
        headers: Headers,
        root: Part,
        find: Callable[[str], object],
        beside: Mapping[str, object],
    ) -> Response | bytes:
        """The JSON that the caller gets; a response where there is none to give: a fault, nothing.

        `find` says what stands in it for an attachment, `beside` for the parts that mime:content names.
        """
        one_way = self.codec.operation.output is None
        if not root.content.strip(b" \t\r\n"):
            if one_way and 200 <= status < 300:
                return Response(202, Headers())
            raise BadReply(f"status {status} with an empty body")
        envelope = _parsed(status, headers, root)
        answer = Answer(strict=self.config.strict_answers, attachment=find)
        try:
            self.trust(exchange, envelope)
            content = self.codec.decode(envelope, answer)
            if content.fault is not None:
                return self._fault(exchange, content.fault)
            if status >= 300:
                raise BadReply(f"status {status} with an envelope that holds no fault")
            blocks = self.codec.decode_headers(envelope, answer, self.understood)
        except Deviation as deviation:
            raise BadReply(deviation.detail, where=deviation.where) from deviation
        if answer.overlooked:
            exchange.note("soap.answer-deviates")
        if one_way:
            return Response(202, Headers())
        return self._written(content.value, blocks, beside)

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
        return problem(
            exchange,
            status,
            "soap.fault",
            "The backend answered with a fault; see `fault` for what it says.",
            fault=shown,
        )

    def _written(self, value: object, blocks: dict[str, object], beside: Mapping[str, object]) -> bytes:
        if value is None and not self.codec.response:
            value = {}
        if self.selected:
            value = select(value, self.selected)
        elif type(value) is dict:
            if blocks:
                value = {HEADERS: blocks, **value}
            value = {**value, **beside}
        try:
            return orjson.dumps(value)
        except TypeError as exc:  # orjson's own bound, 254 levels
            raise BadReply("the answer is nested too deeply") from exc

    def answered(self, headers: Headers, content_type: bytes, body: bytes | Body) -> Response:
        fields = Headers([field for field in headers if field[0] in _KEPT])
        fields.add(b"content-type", content_type)
        return Response(200, fields, body)

    def _named(self, content_ids: list[str]) -> dict[str, str]:
        """SwA: which part is which of those that the WSDL names; those that no part is found for are left out."""
        naming = self.naming()
        return {name: content_id for content_id in content_ids if (name := naming(content_id)) is not None}

    @property
    def attached(self) -> tuple[str, ...]:
        """The parts that mime:content puts beside the envelope."""
        output = self.codec.operation.output
        return tuple(part.name for part in output.attached) if output is not None else ()

    def naming(self) -> Callable[[str], str | None]:
        """Says for each Content-ID, in the order in which they come, which of the WSDL's parts that is.

        WS-I Attachments Profile 1.0 §3.8: `name=UUID@domain`. Without such a name the order decides.
        """
        left = list(self.attached)

        def name_of(content_id: str) -> str | None:
            said = content_id.partition("=")[0]
            name = said if said in left else (left[0] if left else None)
            if name is not None:
                left.remove(name)
            return name

        return name_of


def _parsed(status: int, headers: Headers, root: Part) -> etree._Element:
    if (headers.get(b"content-encoding") or b"identity").lower() != b"identity":
        raise BadReply(f"status {status} with a content coding nobody asked for")
    content_type = root.headers.get("content-type", "text/xml")
    kind = media_type(content_type)
    if kind not in _XML and not kind.endswith("+xml"):
        raise BadReply(f"status {status} with a body that is no XML by its Content-Type")
    try:
        return parse(root.content, parameters(content_type).get("charset"))
    except NotXml as exc:
        raise BadReply(f"status {status}: the body {exc}") from exc
