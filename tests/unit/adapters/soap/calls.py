"""A route's adapter in a test: what a caller sends, what the backend sees, what it answers, what the caller gets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from adapters.soap import ADAPTER
from adapters.soap.route import SoapRoute
from gateway.api.adapter import AdapterScope, Codec, Encoded, Reply
from gateway.api.exchange import Exchange
from gateway.api.messages import Headers, Response
from gateway.edge.faults import answer
from gateway.testing.exchange import make_exchange

from .wsdls import FOLDER

XML = "text/xml; charset=utf-8"
S11 = "http://schemas.xmlsoap.org/soap/envelope/"
S12 = "http://www.w3.org/2003/05/soap-envelope"


def scope(folder: Path = FOLDER) -> AdapterScope:
    return AdapterScope("route", "upstream", lambda path: (folder / path).read_bytes())


def complaints(folder: Path = FOLDER, **config: Any) -> list[tuple[str, str]]:
    found = ADAPTER.check(ADAPTER.config(**config), scope(folder))
    return [(".".join(map(str, complaint.path)), complaint.message) for complaint in found]


def built(folder: Path = FOLDER, **config: Any) -> Codec:
    made = ADAPTER.build(ADAPTER.config(**config), scope(folder))
    assert isinstance(made, SoapRoute), "it has no `listen`"
    return made.codec


def exchange_of(
    method: str = "POST",
    target: str = "/",
    headers: Iterable[tuple[str, str]] = (("content-type", "application/json"),),
    params: Mapping[str, str] | None = None,
) -> Exchange:
    return make_exchange(method, target, headers, params=params)


def sent(codec: Codec, body: object = None, exchange: Exchange | None = None) -> Encoded:
    octets = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return codec.encode(exchange or exchange_of(), octets)


def refused(codec: Codec, body: object = None, exchange: Exchange | None = None) -> dict[str, Any]:
    """The problem that the caller gets instead of a call."""
    exchange = exchange or exchange_of()
    try:
        sent(codec, body, exchange)
    except Exception as fault:
        response = answer(exchange, fault)
        assert response is not None
        return problem_of(response)
    raise AssertionError("was sent")


def answered(
    codec: Codec, body: str | bytes, status: int = 200, content_type: str = XML, exchange: Exchange | None = None
) -> Response:
    """What the caller gets when the backend answers so."""
    exchange = exchange or exchange_of()
    octets = body.encode() if isinstance(body, str) else body
    try:
        return codec.decode(exchange, Reply(status, Headers([(b"content-type", content_type.encode())]), octets))
    except Exception as fault:
        response = answer(exchange, fault)
        assert response is not None
        return response


def problem_of(response: Response) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bytes(response.body))  # type: ignore[arg-type]  # problems are bytes
    return found


def json_of(response: Response) -> Any:
    assert isinstance(response.body, bytes)
    return json.loads(response.body)


def envelope(content: str, header: str = "", namespace: str = S11) -> str:
    block = f"<e:Header>{header}</e:Header>" if header else ""
    return f'<e:Envelope xmlns:e="{namespace}">{block}<e:Body>{content}</e:Body></e:Envelope>'
