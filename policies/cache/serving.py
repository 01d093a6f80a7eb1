"""Makes callers' answers of stored ones, with Age and Cache-Status (RFC 9211), and counts them. Decides nothing."""

from __future__ import annotations

from gateway.api.exchange import Exchange
from gateway.api.messages import Headers, Response
from gateway.api.ports import Scope
from policies.cache import conditions
from policies.cache.asked import Asked
from policies.cache.core import Stored


class Serving:
    def __init__(self, scope: Scope) -> None:
        self._clock = scope.clock
        self._hits = scope.tally("hit")
        self._stale_hits = scope.tally("stale")

    def fresh(self, stored: Stored, now: float) -> Response:
        """To a plain request, a fresh answer."""
        self._hits.value += 1
        age = int(now - stored.born)
        face = stored.face
        if face.age != age:
            note = b"sluicegate; hit; ttl=%d" % (stored.lifetime_s - age)
            face.headers = Headers((*stored.headers, (b"age", b"%d" % age), (b"cache-status", note)))
            face.age = age
        return Response(stored.status, Headers(face.headers), stored.body)

    def hit(self, exchange: Exchange, asked: Asked, stored: Stored, now: float, *, collapsed: str = "") -> Response:
        """`collapsed`: why the request would have been forwarded, had it not waited for another's call."""
        age = stored.age_s(now)
        left = int(stored.lifetime_s) - int(age)
        if left >= 0:
            self._hits.value += 1
        else:
            self._stale_hits.value += 1
        status = b"sluicegate; hit; ttl=%d" % left
        if collapsed:
            status = b"sluicegate; fwd=%b; collapsed; ttl=%d" % (collapsed.encode("ascii"), left)
        return self.answer(exchange, asked, stored, age, status)

    def despite(self, exchange: Exchange, asked: Asked, stale: Stored, status: int | None) -> Response:
        """RFC 5861 §4: a stale answer in place of an error; `status` is the error's, where it has one."""
        self._stale_hits.value += 1
        age = stale.age_s(self._clock.monotonic())
        said = "" if status is None else f"; fwd-status={status}"
        note = f"sluicegate; fwd=stale{said}; ttl={int(stale.lifetime_s - age)}; detail=stale-if-error"
        return self.answer(exchange, asked, stale, age, note.encode("ascii"))

    def answer(self, exchange: Exchange, asked: Asked, stored: Stored, age: float, status: bytes) -> Response:
        if asked.conditional:
            response = conditions.answer(stored, exchange.request.headers, asked.method, self._clock.time())
        else:
            response = Response(stored.status, Headers(stored.headers), stored.body)
        response.headers += ((b"age", b"%d" % age), (b"cache-status", status))  # RFC 9111 §5.1
        return response
