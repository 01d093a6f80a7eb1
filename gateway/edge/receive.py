"""Opens an exchange from what the server hands over, and refuses what no route may ever see.

`open_exchange` cannot fail, so that every refusal that follows has an exchange to be written for; `settle` brings the target
to its normal form and checks the framing that is left to check (RFC 9112 §3.2, §6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.api.errors import RequestRefused
from gateway.api.exchange import Exchange
from gateway.api.messages import Headers, Request
from gateway.edge.body import BodySweep, Receive, RequestBody
from gateway.edge.snapshot import Snapshot
from gateway.http.host import BadHost, parse_authority
from gateway.http.request_id import RequestIds, is_sane
from gateway.http.target import PathRules, check_query, normal_path
from gateway.http.trace import trace_id

AUTHORITY = "sluicegate.authority"
"""Scope extension in which our uvicorn protocol reports the authority of an absolute-form target."""


@dataclass(frozen=True, slots=True)
class ListenRules:
    """What one listener holds its callers to."""

    path: PathRules
    max_header: int = 16 * 1024  # octets of all fields; nginx 4x8K, node 16K, tomcat 8K
    max_headers: int = 100
    body_timeout_s: float = 30.0
    redirect_https: bool = False


def open_exchange(scope: Mapping[str, Any], snapshot: Snapshot, ids: RequestIds, now: float) -> Exchange:
    client = scope.get("client")
    peer = client[0] if client else ""
    headers = Headers(scope["headers"])
    request = Request(
        scope["method"],
        scope["scheme"],
        "",
        b"",
        "/",
        scope["query_string"],
        headers,
        scope["http_version"],
        peer,
        peer,
        None,
    )
    return Exchange(snapshot, request, ids.new(), now)


def settle(
    exchange: Exchange,
    scope: Mapping[str, Any],
    rules: ListenRules,
    receive: Receive,
    sweep: BodySweep,
    snapshot: Snapshot,
) -> None:
    """Fill in host, path, client and body. Raises RequestRefused: 400, 405, 413, 431, 501."""
    request = exchange.request
    headers = request.headers
    host: bytes | None = None
    length: bytes | None = None
    chunked = False
    size = 0
    for name, value in headers:
        size += len(name) + len(value) + 4
        if name == b"host":
            if host is not None:
                raise BadHost("the request has more than one Host field")
            host = value
        elif name == b"content-length":
            if length is not None and length != value:
                raise RequestRefused(400, "request.framing", "Content-Length is there twice with different values.")
            length = value
        elif name == b"transfer-encoding":
            chunked = True
        elif name == b"x-request-id":
            if is_sane(value):
                exchange.request_id = value.decode("ascii")
        elif name == b"traceparent":
            exchange.trace_id = trace_id(value)
    if size > rules.max_header or len(headers) > rules.max_headers:
        raise RequestRefused(431, "request.header-size", "The request's header fields are too many or too long.")
    if request.method == "CONNECT":
        raise RequestRefused(501, "request.connect", "This gateway is not a tunnel; send the request itself.")

    # RFC 9112 §3.2.2: the authority of an absolute-form target wins over Host, which must be there all the same
    if host is None:
        raise BadHost("the request has no Host field")
    extensions = scope.get("extensions")
    authority = (extensions.get(AUTHORITY) if extensions else None) or host
    request.authority = authority
    request.host = parse_authority(authority).host
    if authority is not host:
        parse_authority(host)
    request.path = normal_path(scope["raw_path"], rules.path)
    if request.query:
        check_query(request.query)
    snapshot.proxy.settle(request)

    if chunked or length is not None:
        if chunked and length is not None:  # RFC 9112 §6.1: both is how requests are smuggled
            raise RequestRefused(400, "request.framing", "Content-Length and Transfer-Encoding exclude each other.")
        if length is not None and not length.isdigit():
            raise RequestRefused(400, "request.framing", "Content-Length is not a number.")
        if chunked or length != b"0":
            request.body = RequestBody(
                receive, exchange, None if length is None else int(length), rules.body_timeout_s, sweep
            )
    if request.method == "TRACE":  # RFC 9110 §9.3.8: it would show the caller what intermediaries add
        raise RequestRefused(405, "request.trace", "TRACE is not answered here.")
