"""The adapter of one route: built once from its configuration, then pure work per call but for nonce, id and clock."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from os import urandom
from secrets import token_hex

from lxml import etree

from adapters.soap.address import target_of
from adapters.soap.addressing import WSA, addressing_blocks, check_relation
from adapters.soap.answer import AnswerReader
from adapters.soap.attachments import MEDIA, as_attached, soap_message
from adapters.soap.codec.attachment import Attachment
from adapters.soap.codec.envelope import HEADERS, OperationCodec
from adapters.soap.codec.errors import Misfit
from adapters.soap.codec.multipart import Part
from adapters.soap.config import Security, SoapConfig
from adapters.soap.mapping import WITHOUT_BODY, Assignment, assign, blame, by_parameters, compile_assignments
from adapters.soap.paths import resolve
from adapters.soap.request import Incoming, read_request
from adapters.soap.schema.service_model import Port
from adapters.soap.security.header import WSSE, Moment, security_header, timestamp, username_token
from adapters.soap.security.signature import Signer, Verifier, check_timestamp
from adapters.soap.trees import content_root, headers_root
from gateway.api.adapter import Codec, Encoded, Reply
from gateway.api.errors import RequestRefused, Unmappable
from gateway.api.exchange import Exchange
from gateway.api.messages import Body, Response

Now = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Sent:
    """What the answer must relate to."""

    message_id: str


class SoapCodec(Codec):
    """JSON in front, one SOAP operation behind: messages that are there whole."""

    def __init__(
        self,
        config: SoapConfig,
        codec: OperationCodec,
        port: Port,
        read_file: Callable[[str], bytes],
        now: Now | None = None,
    ) -> None:
        self._codec = codec
        self._now = now or partial(datetime.now, UTC)
        operation = codec.operation
        schema = codec.wsdl.schema
        root = content_root(codec.request)
        self._assignments = compile_assignments(schema, root, config.request) if config.request is not None else None
        self._headers = compile_assignments(schema, headers_root(codec.header_elements), config.headers)
        self._by_parameters = by_parameters(root)
        self._open_headers = bool(codec.header_elements) and not config.headers
        self._attached = {part.name for part in operation.input.attached}
        self._target = target_of(config.address, port.address)
        self.action = operation.action
        self.version = operation.version
        if any(not " " <= char <= "~" or char in '"\\' for char in operation.action):
            raise ValueError("the operation's soapAction holds characters that no header field can carry")
        # SOAP 1.1 §6.1.1: quoted, empty when there is none; SOAP 1.2 part 2 §6.5.3: a parameter of the media type
        self._content_type = f"{MEDIA[operation.version]}; charset=utf-8"
        self._fields: tuple[tuple[bytes, bytes], ...] = ()
        if operation.version == "1.1":
            self._fields = ((b"soapaction", f'"{operation.action}"'.encode()),)
        elif operation.action:
            self._content_type += f'; action="{operation.action}"'
        self._security = _SecurityHeader(config.security, read_file)
        self._addressing = (operation.wsa_action, config.address or port.address) if config.addressing else None
        selected = (
            resolve(schema, content_root(codec.response), config.response.select) if config.response.select else ()
        )
        understood = frozenset(({WSSE} if self._security.wanted else set()) | ({WSA} if config.addressing else set()))
        trust = partial(_trust, self._security, self._now, config.addressing)  # no method: it would hold us for ever
        self.answers = AnswerReader(codec, config, selected, understood, trust)

    # --- out -----------------------------------------------------------------------------------------------

    def encode(self, exchange: Exchange, body: bytes) -> Encoded:
        incoming = read_request(exchange, body)
        octets, loose = self.written(exchange, incoming)
        if not incoming.attachments and not loose:
            return self.encoded(octets, self._content_type.encode())
        renamed, early = self.beside(loose)
        parts = {renamed.get(name, name): part for name, part in incoming.attachments.items()}
        attached = as_attached(parts) + as_attached({part.content_id: part for part in early})
        kind, message = soap_message(octets, self.version, self.action, attached, loose=bool(loose))
        return self.encoded(message, kind)

    def encoded(self, body: bytes | Body, content_type: bytes) -> Encoded:
        return Encoded(body, content_type, target=self._target, headers=self._fields)

    def written(self, exchange: Exchange, incoming: Incoming) -> tuple[bytes, dict[str, object]]:
        """The envelope, and the parts that mime:content sends beside it, by name."""
        security = self._security
        moment = Moment(self._now(), urandom(16), token_hex(8)) if security.wanted else None
        blocks = self._blocks(exchange, moment)
        try:
            content, headers = self._content(exchange, incoming)
            value, loose = self._loose(content)
            envelope = self._codec.encode(value, headers, blocks, moment.body_id if moment and security.signs else "")
        except Misfit as misfit:
            raise self._unmappable(misfit, exchange, incoming.value) from misfit
        return security.sign(envelope, moment) if moment and security.signs else envelope.encode(), loose

    def beside(self, loose: dict[str, object]) -> tuple[dict[str, str], list[Part]]:
        """For parts that mime:content names: the Content-IDs of attachments by the caller's, and parts made of strings."""
        renamed: dict[str, str] = {}
        early: list[Part] = []
        for name, value in loose.items():
            content_id = f"{name}={token_hex(8)}@sluicegate"  # WS-I Attachments Profile 1.0 §3.8
            if type(value) is Attachment:
                renamed[value.content_id] = content_id
            elif type(value) is str:
                fields = {"content-type": "text/plain; charset=utf-8", "content-id": f"<{content_id}>"}
                early.append(Part(fields, value.encode()))
            else:
                raise Unmappable("a string or an attachment is expected", pointer=f"/{name}")
        return renamed, early

    def _content(self, exchange: Exchange, incoming: Incoming) -> tuple[object, dict[str, object]]:
        value = incoming.value
        headers: dict[str, object] = {}
        if self._open_headers and type(value) is dict and HEADERS in value:
            given = value[HEADERS]
            if type(given) is not dict:
                raise Misfit("an object is expected", HEADERS)
            headers = given
            value = {key: inner for key, inner in value.items() if key != HEADERS}
        if self._headers:
            headers = assign(self._headers, exchange, incoming.value)
        if self._assignments is not None:
            value = assign(self._assignments, exchange, incoming.value)
        elif exchange.request.method in WITHOUT_BODY:
            try:
                value = self._by_parameters(exchange)
            except ValueError as exc:
                raise RequestRefused(400, "soap.bad-query", "The query has too many parameters; send fewer.") from exc
        return value, headers

    def _blocks(self, exchange: Exchange, moment: Moment | None) -> list[str]:
        blocks = self._security.blocks(moment) if moment is not None else []
        if self._addressing is not None:
            action, to = self._addressing
            message_id = f"urn:uuid:{uuid.uuid4()}"
            exchange.keep(Sent(message_id))
            blocks.append(addressing_blocks(action, to, message_id, answered=self._codec.operation.output is not None))
        return blocks

    def _loose(self, content: object) -> tuple[object, dict[str, object]]:
        """The content without the parts that mime:content sends beside the envelope (SwA), and those, by name."""
        if not self._attached or type(content) is not dict:
            return content, {}
        loose = {name: content[name] for name in self._attached if name in content}
        return {name: value for name, value in content.items() if name not in loose}, loose

    def _unmappable(self, misfit: Misfit, exchange: Exchange, body: object) -> Unmappable:
        lines: tuple[Assignment, ...] | None = self._assignments
        if misfit.path and misfit.path[-1] == HEADERS and self._headers:
            misfit.path.pop()
            lines = self._headers
        if lines is None:
            return Unmappable(misfit.detail, pointer=misfit.pointer)
        pointer, detail = blame(lines, misfit, exchange, body)
        return Unmappable(detail, pointer=pointer)

    # --- back ----------------------------------------------------------------------------------------------

    def decode(self, exchange: Exchange, reply: Reply) -> Response:
        return self.answers.read(exchange, reply)


def _trust(
    security: _SecurityHeader, now: Callable[[], datetime], related: bool, exchange: Exchange, root: etree._Element
) -> None:
    """An answer is signed and in time where the configuration says so, and is the answer to what was sent."""
    security.check(root, now)
    if related:
        sent = exchange.kept(Sent)
        if sent is not None:
            check_relation(root, sent.message_id)


class _SecurityHeader:
    """The configured parts of wsse:Security, ready to be written."""

    def __init__(self, config: Security, read_file: Callable[[str], bytes]) -> None:
        self._token = config.username_token
        self._lifetime_s = config.timestamp
        signature = config.signature
        self._signer: Signer | None = None
        self._verifier: Verifier | None = None
        if signature is not None:
            if (signature.cert is None) != (signature.key is None):
                raise ValueError("a signature needs both cert and key")
            if signature.cert is not None and signature.key is not None:
                self._signer = Signer(read_file(signature.cert), read_file(signature.key))
            if signature.verify is not None:
                self._verifier = Verifier(read_file(signature.verify))
        self.signs = self._signer is not None
        self.wanted = bool(self._token or self._lifetime_s or self._signer or self._verifier)

    def blocks(self, moment: Moment) -> list[str]:
        parts = []
        if self._lifetime_s:
            parts.append(timestamp(moment, self._lifetime_s))
        if self._token is not None:
            parts.append(
                username_token(moment, self._token.username, str(self._token.password), digest=self._token.digest)
            )
        return [security_header(*parts)] if parts or self.signs else []

    def sign(self, envelope: str, moment: Moment) -> bytes:
        assert self._signer is not None, "asked for only when it signs"
        signed = ("Body", "Timestamp") if self._lifetime_s else ("Body",)
        return self._signer.sign(envelope, moment.name("X509"), *map(moment.name, signed))

    def check(self, root: etree._Element, now: Now) -> None:
        if self._verifier is not None:
            self._verifier.verify(root, now())
            if self._lifetime_s:
                check_timestamp(root, now())
