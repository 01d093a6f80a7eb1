"""The adapter of one route: JSON bodies to records and back. Compiled once from its configuration, then pure work a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import parse_qsl

from adapters.fixed_width.bulk import BulkAdapter
from adapters.fixed_width.codec.jsontext import dumps, loads, loads_raw
from adapters.fixed_width.codec.plan.literals import discriminator_values
from adapters.fixed_width.codec.records import RecordCodec
from adapters.fixed_width.config import FixedWidthConfig, RecordBlock
from adapters.fixed_width.correlation import Correlator
from adapters.fixed_width.errors import CopybookError, RecordError
from adapters.fixed_width.mapping import Assignment, assign, blame, compile_assignment
from adapters.fixed_width.media import JSON, OCTETS, check_media, is_receipt
from adapters.fixed_width.reading import read_layout, with_layout
from gateway.api.adapter import AdapterScope, Codec, Encoded, Reply
from gateway.api.errors import BadReply, RequestRefused, Unmappable
from gateway.api.exchange import Exchange
from gateway.api.messages import Headers, Response
from gateway.api.placeholder import PlaceholderError
from gateway.api.policy import Complaint
from gateway.api.problem import problem

_WITHOUT_BODY: Final = frozenset(("GET", "HEAD"))


def build(config: FixedWidthConfig, scope: AdapterScope) -> FixedWidthCodec | BulkAdapter:
    """Raises CopybookError, PlaceholderError, LookupError or ValueError; check() has shown all of them before."""
    request, response = (record_codec(config, side, scope.read_file) for side in ("request", "response"))
    return BulkAdapter(request, response) if config.bulk else FixedWidthCodec(config, request, response)


def check(config: FixedWidthConfig, scope: AdapterScope) -> Iterator[Complaint]:
    """Compile both layouts and everything that the route says about them."""
    sound = True
    for side in ("request", "response"):
        block: RecordBlock = getattr(config, side)
        try:
            codec = record_codec(config, side, scope.read_file)
        except (CopybookError, LookupError, ValueError) as exc:
            yield Complaint((side, _blamed(block, exc)), str(exc.args[0] if isinstance(exc, LookupError) else exc))
            sound = False
            continue
        lines = config.request.values if side == "request" else config.response.errors
        for field, value in (lines or {}).items():
            try:
                if side == "request":
                    compile_assignment(codec, field, value)
                else:
                    _return_code(codec, field, value)
            except (CopybookError, PlaceholderError) as exc:
                yield Complaint((side, "values" if side == "request" else "errors", field), str(exc))
    if sound and config.request.values is not None and config.bulk:
        yield Complaint(("request", "values"), "values fill one record, and bulk takes many")
    if sound and config.correlation is not None:
        if config.bulk:
            yield Complaint(("correlation",), "correlation is about one record, and bulk takes many")
            return
        try:
            _correlator(config, *(record_codec(config, side, scope.read_file) for side in ("request", "response")))
        except CopybookError as exc:
            yield Complaint(("correlation",), str(exc))


def _blamed(block: RecordBlock, exc: Exception) -> str:
    """The field of the block that the message is about."""
    text = str(exc)
    for word, field in (
        ("record format", "record_format"),
        ("length", "record_format"),
        ("code page", "codepage"),
        ("select", "select"),
        ("no record ", "record"),
    ):
        if word in text and getattr(block, field):
            return field
    return "copybook" if block.copybook is not None else "layout"


def files(config: FixedWidthConfig) -> Iterator[str]:
    """The layouts, and every member that they copy."""
    for block in (config.request, config.response):
        yield block.file
        try:
            layout = read_layout(block.file, dialect=block.dialect, form=block.source)
        except CopybookError:
            continue  # check() says what is wrong with it
        yield from layout.files


def record_codec(config: FixedWidthConfig, side: str, read_file: Callable[[str], bytes]) -> RecordCodec:
    """The codec of one direction. Raises CopybookError, LookupError or ValueError."""
    block: RecordBlock = config.request if side == "request" else config.response
    missing = "initial" if config.request.values is not None else config.request.missing
    options = block.options(unknown=config.unknown, missing=missing)
    layout = read_layout(block.file, dialect=block.dialect, form=block.source, read=read_file)
    return RecordCodec(layout, with_layout(options, layout))


class FixedWidthCodec(Codec):
    """JSON in front, records behind."""

    def __init__(self, config: FixedWidthConfig, request: RecordCodec, response: RecordCodec) -> None:
        self._request = request
        self._response = response
        self._correlator = _correlator(config, self._request, self._response)
        self._assignments: tuple[Assignment, ...] | None = None
        if config.request.values is not None:
            self._assignments = tuple(
                compile_assignment(self._request, field, value) for field, value in config.request.values.items()
            )
        self._errors = [
            _return_code(self._response, field, statuses) for field, statuses in config.response.errors.items()
        ]

    # --- out -----------------------------------------------------------------------------------------------

    def encode(self, exchange: Exchange, body: bytes) -> Encoded:
        value = self._value(exchange, body)
        correlator = self._correlator
        if correlator is not None:
            value = correlator.fill(value)
        try:
            record = self._request.one(value)
        except RecordError as exc:
            if self._assignments is not None:
                detail, pointer = blame(self._assignments, exc)
                raise Unmappable(detail, pointer=pointer) from exc
            exc.record = 0  # there is only one
            raise Unmappable(exc.told, pointer=exc.pointer) from exc
        return Encoded(record, OCTETS, correlation=None if correlator is None else correlator.of(record))

    def _value(self, exchange: Exchange, body: bytes) -> Any:
        """The record's value: by `values`, by parameters where there is no body, or the body itself."""
        parsed: Any = None
        if body or exchange.request.method not in _WITHOUT_BODY:
            check_media(exchange, JSON)
            if body or self._assignments is None:
                parsed = _json(body, loads_raw if self._assignments is None else loads)
        if self._assignments is not None:
            return assign(self._assignments, exchange, parsed)
        if parsed is None and exchange.request.method in _WITHOUT_BODY:
            try:
                query = parse_qsl(exchange.request.query.decode("latin-1"), keep_blank_values=True, max_num_fields=1000)
            except ValueError as exc:
                raise RequestRefused(
                    400, "fixed_width.bad-query", "The query has too many parameters; send fewer."
                ) from exc
            return {**exchange.params, **dict(query)}
        return parsed

    # --- back ----------------------------------------------------------------------------------------------

    def decode(self, exchange: Exchange, reply: Reply) -> Response:
        if is_receipt(reply.status, reply.headers):
            return Response(202, Headers([(b"content-type", JSON)]), reply.body)
        if not 200 <= reply.status < 300:
            raise BadReply(f"status {reply.status}, and no record is looked for in such an answer")
        try:
            record = self._response.only(reply.body)
            for field, read, statuses in self._errors:
                if (found := read(record)) in statuses:
                    written, status = statuses[found]
                    return problem(
                        exchange,
                        status,
                        "fixed_width.return-code",
                        f"The upstream answered with {field} {written}; see what it means in this API's description.",
                        fault={"field": field, "value": written},
                    )
            value = self._response.decode(record)
        except RecordError as exc:
            raise BadReply(exc.reason, where=exc.place) from exc
        return Response(200, Headers([(b"content-type", JSON)]), dumps(value))


def _correlator(config: FixedWidthConfig, request: RecordCodec, response: RecordCodec) -> Correlator | None:
    fields = config.correlation
    return None if fields is None else Correlator(request, response, (fields.request, fields.response))


ReturnCode = tuple[str, Callable[[bytes], Any], dict[object, tuple[str, int]]]


def _return_code(codec: RecordCodec, field: str, statuses: Any) -> ReturnCode:
    """The field's name, a function that reads it from a record, and statuses by what that gives."""
    item, read = codec.constant_field(field)
    return (
        item.name,
        read,
        {
            raw: (value, status)
            for value, status in statuses.items()
            for raw in discriminator_values(item, value, codec.options)
        },
    )


def _json(body: bytes, read: Callable[[bytes], Any]) -> Any:
    try:
        return read(body)
    except ValueError as exc:
        raise RequestRefused(
            400,
            "fixed_width.bad-json",
            "The body is not JSON, or has a member twice; send an object with each member once.",
        ) from exc
