"""A cache's part of an exchange: look up, serve, wait for another's call, forward, forget. What is allowed core.py says."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.api.errors import StoreError, UpstreamError
from gateway.api.exchange import Exchange, Proceed
from gateway.api.messages import Headers, Response
from gateway.api.pause import pause
from gateway.api.policy import CheckContext, Complaint, Layer
from gateway.api.ports import Scope, is_local
from gateway.api.problem import problem
from policies.cache.asked import Asked, Reader
from policies.cache.collapse import Flight, Flights, Verdict
from policies.cache.config import CacheConfig
from policies.cache.core import Action, Stored, decide, serves_on_error
from policies.cache.keys import same_origin
from policies.cache.origin import Forwarded, Origin
from policies.cache.serving import Serving
from policies.cache.shared import MARKER, SharedStore
from policies.cache.shelf import Shelf
from policies.cache.store import MemoryStore

_SERVE = Action.SERVE
_LATE = "The upstream did not answer in time; the same question of another caller was waited for. Try again soon."
LEASE_LOOK_S = 0.02  # between two looks for the answer that another process asks for
MOST_FAULTS = 3  # one after another of a store that is there; a process that is short of time is late now and then
LEASE_GRACE_S = 1.0  # a lease outlives its call's deadline by so much: a process that died holds nobody for longer
_SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))  # RFC 9110 §9.2.1


def build(config: CacheConfig, scope: Scope) -> list[Layer]:
    """Nothing for a route whose adapter is not safe to call twice."""
    return [] if scope.safe is False else [CacheLayer(config, scope)]


def check(config: CacheConfig, context: CheckContext) -> Iterator[Complaint]:
    if config.max_body > config.max_size // 10:
        yield Complaint(
            ("max_body",), "an answer may take a tenth of max_size at most; longer ones are not stored", "warning"
        )
    if config.shared == "by_consumer" and context.route is not None and not context.authenticated:
        yield Complaint(
            ("shared",), "by_consumer on a route without an authenticator: nobody is known there", "warning"
        )


def _shared(config: CacheConfig, scope: Scope, memory: MemoryStore) -> SharedStore | None:
    """What is kept beside memory: nothing, unless a store is named or the default is one that processes share."""
    store = scope.store(config.store)
    if is_local(store):
        return None
    shared = scope.state(
        ("shared", store, scope.shadow),  # by the store itself: the default may be another one after a reload
        lambda: SharedStore(
            store.within("shadow" if scope.shadow else "served"), memory, scope.clock, scope.tally("unkept")
        ),
    )
    scope.spawn(f"cache purges {id(shared):x}", shared.follow)
    return shared


class CacheLayer(Layer):
    def __init__(self, config: CacheConfig, scope: Scope) -> None:
        self.store = scope.state(("store", scope.shadow), MemoryStore)
        self.store.bound(self, max(1, config.max_size // max(1, scope.workers)))
        self.flights = scope.state(("flights", scope.shadow), Flights)
        self._reader = Reader(config, scope.route)
        self.shared = _shared(config, scope, self.store)
        self._shelf = Shelf(self.store, self.shared, scope.spread, apart=config.shared == "by_consumer")
        self._serving = Serving(scope)
        self._origin = Origin(config, scope, self._shelf, self._serving)
        self._monotonic = scope.clock.monotonic
        self._time = scope.clock.time
        self._shadow = scope.shadow
        self._quick = not scope.shadow and (self.shared is None or self.shared.trusted)  # memory alone may answer
        self._collapse = config.collapse and not scope.shadow
        self._hits = scope.tally("hit")
        self._misses = scope.tally("miss")
        self._collapsed = scope.tally("collapsed")
        self._bypassed = scope.tally("bypass")

    async def around(self, exchange: Exchange, proceed: Proceed) -> Response:
        request = exchange.request
        method = request.method
        if method not in ("GET", "HEAD"):
            return await self._other(exchange, proceed)
        if request.body is not None:  # a GET with a body is answered by what no key holds
            return await self._pass(exchange, proceed, "bypass")
        if self._quick:
            key = self._reader.plain(exchange)
            if key is not None:
                now = self._monotonic()
                stored = self._shelf.fresh(key, request.headers, now)
                if stored is not None:
                    return self._serving.fresh(stored, now)
        asked = self._reader.read(exchange)
        if asked is None:
            return await self._pass(exchange, proceed, "bypass")
        found, elsewhere = self._shelf.find(asked, request.headers)
        if self.shared is not None and not (
            self.shared.trusted
            and found is not None
            and decide(found, asked.directives, self._monotonic())[0] is _SERVE
        ):
            try:
                await self.shared.refresh(asked, self._origin.rules)
            except StoreError:
                if not self.shared.trusted:  # what memory holds may have been forgotten by all others
                    if self._shadow:
                        return await self._pass(exchange, proceed, "bypass; detail=store")
                    return await self._missed(exchange, proceed, asked, None, "bypass; detail=store")
            found, elsewhere = self._shelf.find(asked, request.headers)
        if self._shadow:
            return await self._in_shadow(exchange, proceed, asked, found)
        if found is None:
            return await self._missed(exchange, proceed, asked, None, "vary-miss" if elsewhere else "uri-miss")
        now = self._monotonic()
        action, why = decide(found, asked.directives, now)
        if action is Action.VALIDATE:
            return await self._missed(exchange, proceed, asked, found, why)
        if action is Action.SERVE_AND_REFRESH:
            self._origin.refresh(exchange, proceed, asked, found)
        return self._serving.hit(exchange, asked, found, now)

    async def _missed(
        self, exchange: Exchange, proceed: Proceed, asked: Asked, stale: Stored | None, why: str
    ) -> Response:
        if b"only-if-cached" in asked.directives:  # RFC 9111 §5.2.1.7
            self._misses.value += 1
            detail = "No stored answer fits this request; send it without only-if-cached to have the upstream asked."
            note = (b"cache-status", b"sluicegate; detail=only-if-cached")
            return problem(exchange, 504, "cache.only-if-cached", detail, (note,))
        alone = (
            not self._collapse
            or asked.method != "GET"
            or why == "request"
            or (asked.conditional and stale is None)
            or b"no-store" in asked.directives
        )
        flights = self.flights
        key = asked.key if stale is None or not stale.kind.public else asked.public_key
        if alone or flights.marked(key, self._monotonic()):
            return await self._origin.fetch(exchange, proceed, asked, stale, why, None)
        flight = flights.under_way.get(key)
        if flight is None:
            flight = flights.begin(key)
        else:
            self._collapsed.value += 1
            answer = await self._wait(exchange, proceed, asked, stale, why, flight)
            if answer is not None:
                return answer
        if self.shared is not None and not self.shared.trusted:  # others may be asking
            answer = await self._lead(exchange, asked, why, flight)
            if answer is not None:
                return answer
        try:
            return await self._origin.fetch(exchange, proceed, asked, stale, why, flight)
        except UpstreamError as fault:
            flight.fail(fault)
            raise
        except BaseException:
            flight.pass_on()
            raise

    async def _lead(self, exchange: Exchange, asked: Asked, why: str, flight: Flight) -> Response | None:
        """What the call of another process brought; None: make it, with the lease of it where there is one to have."""
        shared, key = self.shared, flight.key
        assert shared is not None, "alone, every flight is led here"
        faults = 0
        try:
            while True:
                try:
                    ttl_s = max(1.0, exchange.deadline - self._monotonic()) + LEASE_GRACE_S
                    holder = await shared.claim(key, ttl_s)
                    if holder == MARKER:
                        flight.scatter(self._monotonic())
                        return None
                    if holder is None:
                        flight.on_end = lambda marked: shared.release(key, marked=marked)
                    await shared.refresh(asked, self._origin.rules)  # an answer is kept before its lease is given back
                    faults = 0
                except StoreError:
                    faults += 1
                    if faults == MOST_FAULTS or not shared.available:
                        return None  # each process for itself
                else:
                    found, _ = self._shelf.find(asked, exchange.request.headers)
                    now = self._monotonic()
                    if found is not None and decide(found, asked.directives, now)[0] is _SERVE:
                        self._collapsed.value += 1
                        flight.land()
                        return self._serving.hit(exchange, asked, found, now, collapsed=why)
                    if holder is None:
                        return None
                if self._monotonic() >= exchange.deadline:
                    flight.pass_on()
                    return problem(exchange, 504, "cache.collapse-timeout", _LATE)
                await pause(exchange, LEASE_LOOK_S)
        except BaseException:
            flight.pass_on()
            raise

    async def _wait(
        self, exchange: Exchange, proceed: Proceed, asked: Asked, stale: Stored | None, why: str, flight: Flight
    ) -> Response | None:
        """What another's call brought; None: it is this caller's turn to make it."""
        try:
            verdict = await flight.wait(exchange)
        except UpstreamError:
            if stale is None or not serves_on_error(stale, asked.directives, self._monotonic()):
                raise
            verdict = Verdict.ERROR
        now = self._monotonic()
        if verdict is Verdict.LEAD:
            return None
        if verdict is Verdict.ERROR and stale is not None and serves_on_error(stale, asked.directives, now):
            return self._serving.despite(exchange, asked, stale, None)
        if verdict is Verdict.LATE:
            return problem(exchange, 504, "cache.collapse-timeout", _LATE)
        found, _ = self._shelf.find(asked, exchange.request.headers)
        if found is not None and decide(found, asked.directives, now)[0] is Action.SERVE:
            return self._serving.hit(exchange, asked, found, now, collapsed=why)
        return await self._origin.fetch(exchange, proceed, asked, found or stale, why, None)

    async def _other(self, exchange: Exchange, proceed: Proceed) -> Response:
        """RFC 9111 §4.4: what an unsafe request has changed is forgotten, unless it failed."""
        response = await self._pass(exchange, proceed, "method")
        request = exchange.request
        if request.method in _SAFE or not 200 <= response.status < 400:
            return response
        self._shelf.invalidate(self._reader.url_of(request))
        for name in (b"location", b"content-location"):
            said = response.headers.get(name)
            named = None if said is None else same_origin(request, said)
            if named is not None:
                self._shelf.invalidate(self._reader.url_of(named))
        return response

    async def _pass(self, exchange: Exchange, proceed: Proceed, why: str) -> Response:
        self._bypassed.value += 1
        response = await proceed(exchange)
        if not self._shadow:
            note = f"sluicegate; fwd={why}; fwd-status={response.status}"
            response.headers.append((b"cache-status", note.encode("ascii")))
        return response

    async def _in_shadow(self, exchange: Exchange, proceed: Proceed, asked: Asked, found: Stored | None) -> Response:
        """Count what would have been served, and store as if it were; the caller notices nothing."""
        now = self._monotonic()
        if found is not None and decide(found, asked.directives, now)[0] is not Action.VALIDATE:
            self._hits.value += 1
            return await proceed(exchange)
        self._misses.value += 1
        before, changes = Headers(exchange.request.headers), self.store.changes
        response = await proceed(exchange)
        after = self._monotonic()
        return self._origin.take(
            exchange, asked, response, Forwarded("miss", before, changes, after, self._time(), after - now), None
        )
