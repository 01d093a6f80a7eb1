"""Answers preflights and tells browsers which pages may read an answer (Fetch §3.3).

CORS keeps nobody out but pages in browsers: a call from an origin that is not named is passed on, only without the fields
that would let the page read the answer.
"""

from __future__ import annotations

from gateway.api.exchange import Exchange, Proceed
from gateway.api.messages import Field, Headers, Response
from gateway.api.policy import Layer
from gateway.api.ports import Scope
from gateway.api.problem import problem
from policies.cors.config import CorsConfig
from policies.cors.core import Origins, requested_names

_FIELDS = frozenset(
    b"access-control-" + name
    for name in (
        b"allow-origin",
        b"allow-credentials",
        b"expose-headers",
        b"allow-methods",
        b"allow-headers",
        b"max-age",
    )
)
_VARY_ORIGIN = (b"vary", b"Origin")
# RFC 9110 §12.5.5: what a preflight's answer depends on
_VARY_PREFLIGHT = (b"vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers")


class Cors(Layer):
    def __init__(self, config: CorsConfig, scope: Scope) -> None:
        self._origins = Origins(config.origins)
        self._methods = None if config.methods is None else frozenset(name.encode() for name in config.methods)
        self._headers = None if config.headers == "*" else frozenset(name.lower().encode() for name in config.headers)
        self._shadow = scope.shadow
        self._constant: list[Field] = []
        if config.credentials:
            self._constant.append((b"access-control-allow-credentials", b"true"))
        self._exposed: list[Field] = []
        if config.expose:
            self._exposed.append((b"access-control-expose-headers", ", ".join(config.expose).encode()))
        self._max_age = (b"access-control-max-age", b"%d" % config.max_age)
        self._allowed = scope.tally("allow")
        self._refused = scope.tally("refuse")

    async def around(self, exchange: Exchange, proceed: Proceed) -> Response:
        headers = exchange.request.headers
        origin = headers.get(b"origin")
        if origin is not None and exchange.request.method == "OPTIONS":
            method = headers.get(b"access-control-request-method")
            if method is not None:  # Fetch §3.3.2: these three make a preflight
                answer = self._preflight(exchange, origin, method)
                if answer is not None:
                    return answer
                return await proceed(exchange)
        admitted = origin is not None and self._origins.admits(origin)
        if origin is not None:
            (self._allowed if admitted else self._refused).value += 1
        if self._shadow:
            return await proceed(exchange)
        # Side notes reach whatever answer goes out: a page must be able to read a 401 or a 502 too
        if origin is not None and admitted:
            exchange.response_headers += (self._allow_origin(origin), *self._constant, *self._exposed)
        if not self._origins.any:
            exchange.response_headers.append(
                _VARY_ORIGIN
            )  # also when the field is left out, or a cache would mix the two
        answer = await proceed(exchange)
        if any(field[0] in _FIELDS for field in answer.headers):  # twice, browsers refuse the answer
            answer.headers[:] = [field for field in answer.headers if field[0] not in _FIELDS]
        return answer

    def _preflight(self, exchange: Exchange, origin: bytes, method: bytes) -> Response | None:
        """The answer to a preflight; None in shadow, where it is only counted."""
        asked = requested_names(b",".join(exchange.request.headers.get_all(b"access-control-request-headers")))
        if not self._origins.admits(origin):
            code, detail = (
                "cors.origin-not-allowed",
                "Pages of this origin may not call this route; ask the operators to allow it.",
            )
        elif self._methods is not None and method not in self._methods:
            code, detail = (
                "cors.method-not-allowed",
                "Pages may not use this method here; ask the operators to allow it.",
            )
        elif asked is None or (self._headers is not None and not self._headers.issuperset(asked)):
            code, detail = (
                "cors.header-not-allowed",
                "Pages may not set one of these header fields here; ask the operators to allow it.",
            )
        else:
            self._allowed.value += 1
            return None if self._shadow else self._permit(origin, method, asked)
        self._refused.value += 1
        if self._shadow:
            exchange.note(f"shadow:{code}")
            return None
        return problem(exchange, 403, code, detail, (_VARY_PREFLIGHT,))

    def _permit(self, origin: bytes, method: bytes, asked: list[bytes]) -> Response:
        # Only what was asked for is confirmed: "*" would not cover Authorization, nor anything with credentials
        fields = Headers((self._allow_origin(origin), *self._constant, (b"access-control-allow-methods", method)))
        if asked:
            fields.append((b"access-control-allow-headers", b", ".join(asked)))
        fields += (self._max_age, _VARY_PREFLIGHT)
        return Response(204, fields)

    def _allow_origin(self, origin: bytes) -> Field:
        return (b"access-control-allow-origin", b"*" if self._origins.any else origin)
