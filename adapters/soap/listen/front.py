"""The adapter of a route that SOAP clients call: envelopes in, one call of a JSON API, envelopes out. GET gives the WSDL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

import orjson

from adapters.soap.attachments import JSON, as_attached, json_message, lookup, soap_message
from adapters.soap.codec.answers import Answer
from adapters.soap.codec.envelope import HEADERS, WARM_TYPES
from adapters.soap.codec.errors import Misfit
from adapters.soap.codec.media_types import media_type, parameters
from adapters.soap.codec.message import body_elements
from adapters.soap.codec.multipart import Part, root_and_rest, split_parts
from adapters.soap.codec.parsing import NotXml, parse
from adapters.soap.codec.parts_reader import BadMultipart
from adapters.soap.codec.shared import Shared
from adapters.soap.config import Listen, SoapConfig
from adapters.soap.listen.blocks import FAULT_ACTION, Addressed, NotUnderstood, addressed
from adapters.soap.listen.dispatch import AlienBlocks, Called, Dispatch
from adapters.soap.listen.faults import MEDIA, code_for, fault_response, problem_detail
from adapters.soap.listen.outgoing import BODILESS, Outgoing, compile_outgoing
from adapters.soap.listen.served import ServedDocuments
from adapters.soap.paths import Step, place, resolve
from adapters.soap.request import Incoming, read_message
from adapters.soap.schema.model import Element, local_name
from adapters.soap.schema.service_model import Version
from adapters.soap.trees import content_root
from adapters.soap.work import worked
from gateway.api.adapter import CallAdapter, Calls, Encoded, Reply
from gateway.api.errors import BadReply, RequestRefused
from gateway.api.exchange import Exchange
from gateway.api.messages import Headers, Response
from gateway.api.problem import problem
from gateway.http.exact_json import load_json

_XML: Final = frozenset(("text/xml", "application/xml", "application/soap+xml"))
_CODES: Final = {"soap.must-understand": "MustUnderstand", "soap.version-mismatch": "VersionMismatch"}


@dataclass(frozen=True, slots=True)
class Asked:
    """The call that a route was asked for, and what it sends the upstream."""

    called: Called
    outgoing: Outgoing
    encoded: Encoded


class SoapFront(CallAdapter):
    """SOAP in front, a JSON API behind."""

    presents = True

    def __init__(
        self,
        config: SoapConfig,
        listen: Listen,
        shared: Shared,
        read: Callable[[str], bytes],
        *,
        warm: int = WARM_TYPES,
    ) -> None:
        self._config = config
        self._shared = shared
        self._dispatch = Dispatch(shared, config, warm)
        self._documents = ServedDocuments(shared.wsdl.documents.files, read)
        self._address = listen.address
        self._outgoing = {name: outgoing_of(config, listen, shared, name) for name in listen.operations}

    async def call(self, exchange: Exchange, upstream: Calls) -> Response:
        if exchange.request.method in ("GET", "HEAD"):
            return self._wsdl(exchange)
        if exchange.request.method != "POST":
            detail = "SOAP is sent by POST; use that, or GET with ?wsdl for the description."
            return problem(exchange, 405, "soap.method", detail, ((b"allow", b"GET, POST"),))
        body = await exchange.read_body()
        asked = await worked(len(body), self._read, exchange, body)
        exchange.keep(asked.called)
        reply = await upstream.whole(exchange, asked.encoded)
        return await worked(len(reply.body), self._write, exchange, asked, reply)

    # --- in ------------------------------------------------------------------------------------------------

    def _read(self, exchange: Exchange, body: bytes) -> Asked:
        content_type = (exchange.request.headers.get(b"content-type") or b"").decode("latin-1")
        parts: dict[str, Part] = {}
        action = parameters(content_type).get("action", "")
        try:
            if media_type(content_type) == "multipart/related":
                root_part, parts = root_and_rest(split_parts(body, content_type), content_type)
                content_type, body = root_part.headers.get("content-type", "text/xml"), root_part.content
            kind = media_type(content_type)
            if kind not in _XML and not kind.endswith("+xml"):
                raise RequestRefused(415, "soap.media-type", "Send text/xml (SOAP 1.1) or application/soap+xml (1.2).")
            root = parse(body, parameters(content_type).get("charset"))
        except (NotXml, BadMultipart) as exc:
            raise RequestRefused(400, "soap.bad-envelope", f"The request {exc}; check what writes it.") from exc
        if not action:  # SOAP 1.1 §6.1.1
            action = (exchange.request.headers.get(b"soapaction") or b"").decode("latin-1").strip().strip('"')
        answer = Answer(attachment=lookup(parts, self._config.attachments))
        said = addressed(root)
        if said is not None:
            exchange.keep(said)
            action = action or said.action
        try:
            called = self._dispatch.called(root, action, answer)
        except AlienBlocks as refusal:
            exchange.keep(refusal.blocks)
            raise
        outgoing = self._outgoing[called.operation.name]
        return Asked(called, outgoing, self._encoded(exchange, called, outgoing, parts))

    def _encoded(self, exchange: Exchange, called: Called, outgoing: Outgoing, parts: dict[str, Part]) -> Encoded:
        content = called.content if called.content is not None else {}
        seen: object = None
        if outgoing.reads_content:  # placeholders take numbers as they are, not as they are written
            seen = load_json(orjson.dumps(called.whole))
        target = outgoing.target(exchange, seen)
        accept = ((b"accept", b"application/json, multipart/related;q=0.5"),)
        if outgoing.method in BODILESS:
            return Encoded(None, b"", outgoing.method, target, accept)
        carried = parts if self._config.attachments == "multipart" else {}
        content_type, body = json_message(orjson.dumps(outgoing.body(content)), carried)
        return Encoded(body, content_type, outgoing.method, target, accept)

    # --- back ----------------------------------------------------------------------------------------------

    def _write(self, exchange: Exchange, asked: Asked, reply: Reply) -> Response:
        if reply.status >= 300:
            return self._refused(exchange, asked.called, reply)
        called = asked.called
        if called.operation.output is None:
            return Response(202, Headers())
        incoming = _json_of(reply)
        content, headers = incoming.value, {}
        if asked.outgoing.into:
            wrapped: dict[str, object] = {}
            place(wrapped, asked.outgoing.into, content)
            content = wrapped
        elif type(content) is dict and type(content.get(HEADERS)) is dict:
            headers = content.pop(HEADERS)
        try:
            said = exchange.kept(Addressed)
            blocks = [said.answer(called.operation.wsa_answer)] if said is not None else []
            envelope = called.codec.encode(content, headers, blocks).encode()
        except Misfit as misfit:
            raise BadReply(misfit.detail, where=misfit.pointer) from misfit
        version = called.operation.version
        if not incoming.attachments:
            return Response(200, Headers([(b"content-type", MEDIA[version])]), envelope)
        content_type, body = soap_message(envelope, version, "", as_attached(incoming.attachments))
        return Response(200, Headers([(b"content-type", content_type)]), body)

    def _refused(self, exchange: Exchange, called: Called, reply: Reply) -> Response:
        """The upstream's error as a fault: its code by `faults` read backwards, its detail where the WSDL declares it."""
        if reply.status < 400:
            raise BadReply(f"status {reply.status}, which a SOAP client cannot follow")
        try:
            said = _json_of(reply).value
        except BadReply:
            said = None
        members = said if type(said) is dict else {}
        reason = "The request was refused." if reply.status < 500 else "The service failed."
        if self._config.fault_detail == "pass":
            given = members.get("detail") or members.get("title") or members.get("message")
            reason = given if type(given) is str else reason
        detail = self._detail(called, members)
        exchange.note("soap.fault")
        prefixes = self._shared.prefixes
        return _with_retry_after(
            fault_response(
                called.operation.version,
                reply.status,
                code_for(reply.status, self._config.faults),
                reason,
                header=_header(exchange),
                detail=detail,
                declarations=prefixes.declarations() if detail else "",
                target=self._shared.wsdl.target,
            ),
            reply.headers,
        )

    def _detail(self, called: Called, members: dict[str, object]) -> str:
        """Declared fault elements: as `fault.detail`, which is how our own JSON face gives them, or as members beside."""
        fault = members.get("fault")
        nested = fault.get("detail") if type(fault) is dict else None
        writers = self._shared.writers("drop", False)
        out: list[str] = []
        for part in called.operation.faults:
            element = part.element or Element(part.name, part.type)
            name = local_name(element.name)
            for place_of in (nested, members):
                if type(place_of) is dict and name in place_of:
                    written: list[str] = []
                    try:
                        writers.element(element)(place_of[name], written.append)
                    except Misfit:
                        continue  # a fault without its detail is still a fault
                    out += written
                    break
        return "".join(out)

    def present(self, exchange: Exchange, refusal: Response) -> Response:
        if exchange.request.method != "POST":
            return refusal
        assert isinstance(refusal.body, bytes), "problems are bytes"
        said = orjson.loads(refusal.body)
        code = _CODES.get(said["code"]) or ("Client" if refusal.status < 500 else "Server")
        version = self._version(exchange)
        alien = exchange.kept(NotUnderstood)
        blocks = _header(exchange) + (alien.block() if alien is not None and version == "1.2" else "")
        fault = fault_response(
            version, refusal.status, code, said["detail"], header=blocks, detail=problem_detail(said)
        )
        fault.headers.extend(field for field in refusal.headers if field[0] not in (b"content-type", b"cache-control"))
        return fault

    def _version(self, exchange: Exchange) -> Version:
        """The caller's, as far as it is known; an envelope of another version is answered in ours (SOAP 1.2 §2.8)."""
        called = exchange.kept(Called)
        if called is not None:
            return called.operation.version
        content_type = (exchange.request.headers.get(b"content-type") or b"").lower()
        wanted: Version = "1.2" if b"application/soap+xml" in content_type else "1.1"
        return wanted if wanted in self._dispatch.versions else min(self._dispatch.versions)

    # --- the description -----------------------------------------------------------------------------------

    def _wsdl(self, exchange: Exchange) -> Response:
        query = {
            name.lower(): value
            for name, value in parse_qsl(exchange.request.query[:200].decode("latin-1"), keep_blank_values=True)
        }
        document = None
        if "wsdl" in query:
            document = self._documents.document(query["wsdl"], self._place(exchange))
        if document is None:
            return problem(exchange, 404, "soap.no-document", "Ask for ?wsdl; operations are called by POST.")
        return Response(200, Headers([(b"content-type", b"text/xml; charset=utf-8")]), document)

    def _place(self, exchange: Exchange) -> str:
        if self._address is not None:
            return self._address
        request = exchange.request
        public = exchange.snapshot.public_url
        base = public.rstrip("/") if public else f"{request.scheme}://{request.authority.decode('latin-1')}"
        return base + request.path


def _header(exchange: Exchange) -> str:
    """The header blocks of a fault."""
    said = exchange.kept(Addressed)
    return said.answer(FAULT_ACTION) if said is not None else ""


def outgoing_of(config: SoapConfig, listen: Listen, shared: Shared, name: str) -> Outgoing:
    """Raises LookupError, BadPath, PlaceholderError, ValueError."""
    settings = listen.operations[name]
    _, operation = shared.wsdl.require(name, service=config.service, port=config.port)
    schema = shared.wsdl.schema
    selected: tuple[Step, ...] = ()
    into: tuple[Step, ...] = ()
    if settings.select is not None:
        selected = resolve(schema, content_root(body_elements(operation.input)), settings.select)
    if settings.into is not None and operation.output is not None:
        into = resolve(schema, content_root(body_elements(operation.output)), settings.into)
    return compile_outgoing(settings, selected, into)


def _json_of(reply: Reply) -> Incoming:
    content_type = (reply.headers.get(b"content-type") or JSON).decode("latin-1")
    if (reply.headers.get(b"content-encoding") or b"identity").lower() != b"identity":
        raise BadReply(f"status {reply.status} with a content coding nobody asked for")
    try:
        return read_message(content_type, reply.body)
    except RequestRefused as exc:
        raise BadReply(f"status {reply.status} with a body that is no JSON: {exc.detail}") from exc


def _with_retry_after(fault: Response, headers: Headers) -> Response:
    later = headers.get(b"retry-after")
    if later is not None:
        fault.headers.add(b"retry-after", later)
    return fault
