"""Opens an exchange from what the server hands over, and refuses what no route may ever see.

`open` cannot fail, so that every refusal that follows has an exchange to be written for; `settle` brings the target
to its normal form and checks the framing that is left to check (RFC 9112 §3.2, §6).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.api.errors import GatewayFault, RequestRefused
from gateway.api.messages import Request
from gateway.edge.body import BodySweep, Receive, RequestBody
from gateway.edge.served import ServedExchange
from gateway.edge.snapshot import Snapshot
from gateway.http.hop_by_hop import strip_request
from gateway.http.host import BadHost, parse_authority
from gateway.http.request_id import RequestIds
from gateway.http.target import PathRules, check_query, normal_path
from gateway.http.trace import trace_id_of
from gateway.telemetry.metrics import METHODS

# RFC 9110 §9.1: methods are case-sensitive. No method in use has a small letter, but some upstreams ignore case
_METHOD = re.compile(r"[A-Z][A-Z0-9_-]{0,31}").fullmatch


@dataclass(frozen=True, slots=True)
class ListenRules:
    """What one listener holds its callers to."""

    path: PathRules
    max_header: int = 16 * 1024  # octets of all fields; nginx 4x8K, node 16K, tomcat 8K
    max_headers: int = 100
    body_timeout_s: float = 30.0
    https_port: int | None = None  # where plain requests are sent instead of being answered; None: they are answered
    client_certificates: bool = False  # callers are asked for certificates


class PlainText(GatewayFault):
    """The request came over plain HTTP to a listener that only sends callers to https; not the fault of its bytes."""

    def __init__(self, port: int) -> None:
        super().__init__(f"to be repeated on port {port}")
        self.port = port


class Receiver:
    """Opens the exchanges of one listener."""

    def __init__(self, rules: ListenRules, ids: RequestIds, sweep: BodySweep) -> None:
        self.rules = rules  # swapped with the configuration
        self._ids = ids
        self._sweep = sweep

    def open(self, scope: Mapping[str, Any], receive: Receive, snapshot: Snapshot, now: float) -> ServedExchange:
        """An exchange that refusals can be written for. Cannot fail."""
        client = scope.get("client")
        peer = client[0] if client else ""
        request = Request(
            scope["method"],
            scope["scheme"],
            "",
            b"",
            "/",
            scope["query_string"],
            scope["headers"],
            scope["http_version"],
            peer,
            peer,
            None,
        )
        return ServedExchange.of(snapshot, request, self._ids.new(), now, receive)

    def settle(self, exchange: ServedExchange, scope: Mapping[str, Any], snapshot: Snapshot) -> None:
        """Fill in host, path, client, certificate and body. Raises RequestRefused (400, 405, 431, 501) or PlainText."""
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
                    raise RequestRefused(
                        400, "request.framing", "Content-Length is there twice with different values; send it once."
                    )
                length = value
            elif name == b"transfer-encoding":
                # RFC 9112 §6.1: what is coded below the chunks would go on as if it were not
                if chunked or value.lower() != b"chunked":
                    raise RequestRefused(
                        400,
                        "request.framing",
                        "The only Transfer-Encoding offered is one chunked; send that, or Content-Length.",
                    )
                chunked = True
            elif name == b"x-request-id":
                exchange.request_id = self._ids.choose(value)
            elif name == b"traceparent":
                exchange.trace_id = trace_id_of(value)
        rules = self.rules
        if size > rules.max_header or len(headers) > rules.max_headers:
            raise RequestRefused(
                431,
                "request.header-size",
                "The request's header fields are too many or too long; send fewer, or shorter ones.",
            )
        if request.method not in METHODS:
            _check_method(request.method)
        if host is None:
            raise BadHost("the request has no Host field")
        authority = parse_authority(host)
        request.path = normal_path(scope["raw_path"], rules.path)
        if request.query:
            check_query(request.query)
        request.headers = headers = strip_request(headers)
        caller = snapshot.proxy.apply(headers, request.peer, request.scheme, host)
        request.client, request.scheme, request.authority, trusted = caller
        request.host = authority.host if caller.authority == host else parse_authority(caller.authority).host
        if rules.client_certificates and "tls" in scope["extensions"]:
            request.certificate = scope["extensions"]["tls"]["client_cert_der"]
        certificate_of = snapshot.proxy.certificate_of
        if certificate_of is not None and trusted:  # what the proxy itself showed is not the caller's
            request.certificate = certificate_of(headers)

        if chunked or length is not None:
            if chunked and length is not None:  # RFC 9112 §6.1: both is how requests are smuggled
                raise RequestRefused(
                    400, "request.framing", "Content-Length and Transfer-Encoding exclude each other; send one of them."
                )
            if length is not None and not length.isdigit():
                raise RequestRefused(
                    400, "request.framing", "Content-Length is not a number; send that of the body's octets."
                )
            if length != b"0":
                octets = None if length is None else int(length)
                request.body = RequestBody(exchange.receive, exchange, octets, rules.body_timeout_s, self._sweep)
        if rules.https_port is not None and request.scheme != "https":
            raise PlainText(rules.https_port)


def _check_method(method: str) -> None:
    if method == "CONNECT":
        raise RequestRefused(501, "request.connect", "This gateway is not a tunnel; send the request itself.")
    if method == "TRACE":  # RFC 9110 §9.3.8: it would show the caller what intermediaries add
        raise RequestRefused(405, "request.trace", "TRACE is not answered here; use another method.")
    if not _METHOD(method):
        raise RequestRefused(
            400,
            "request.method",
            "The method is not up to 32 capital letters, digits, hyphens; check how it is written.",
        )
