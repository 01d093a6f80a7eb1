"""Looks up, serves, validates, stores, invalidates: the cache's part of an exchange. What is allowed core.py says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urljoin, urlsplit

from gateway.api.errors import GatewayFault, UpstreamError
from gateway.api.exchange import Exchange, Proceed
from gateway.api.messages import Headers, Response
from gateway.api.policy import CheckContext, Complaint, Layer
from gateway.api.ports import Scope
from gateway.api.problem import problem
from gateway.http.dates import format_date
from policies.cache import conditions
from policies.cache.collapse import Flight, Flights, Verdict
from policies.cache.config import CacheConfig
from policies.cache.core import (
    CDN_FIELD,
    ERRORS,
    OWN_FIELD,
    Action,
    Rules,
    Stored,
    decide,
    freshened,
    keep,
    outdated_by_head,
    serves_on_error,
    terms_of,
    why_not_stored,
)
from policies.cache.directives import Directives, parse_directives
from policies.cache.keys import CREDENTIALS, UNSAID, key_of, keyed, owner_of, url_by, url_of
from policies.cache.store import MOST_USES, Key, MemoryStore
from policies.cache.storing import StoringBody

_SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))  # RFC 9110 §9.2.1
_CONTROL = frozenset((b"cache-control", b"pragma"))


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


class _Background:
    """Validations that nobody waits for; one a key."""

    def __init__(self) -> None:
        self.tasks: dict[Key, asyncio.Task[None]] = {}


class _Asked:
    """What a request says to a cache. `said` are fields of its key, `owner` whose answers it may have."""

    __slots__ = ("authorization", "conditional", "directives", "key", "method", "owner", "public_key", "url")

    url: str
    key: Key
    public_key: Key
    method: str
    owner: str
    directives: Directives
    conditional: bool
    authorization: bool


class CacheLayer(Layer):
    def __init__(self, config: CacheConfig, scope: Scope) -> None:
        self._rules = Rules(
            config.default_ttl,
            config.max_ttl,
            dict(config.negative),
            config.stale_while_revalidate,
            config.stale_if_error,
            (OWN_FIELD, CDN_FIELD) if config.cdn_cache_control else (OWN_FIELD,),
            config.tags_header.lower().encode("ascii"),
        )
        place = "shadow" if scope.shadow else "served"
        self._store = scope.state(("store", place), MemoryStore)
        self._store.bound(self, max(1, config.max_size // max(1, scope.workers)))
        self._flights = scope.state(("flights", place), Flights)
        self._background = scope.state(("background", place), _Background)
        self._route = scope.route
        self._clock = scope.clock
        self._shadow = scope.shadow
        self._collapse = config.collapse and not scope.shadow
        self._max_body = config.max_body
        self._obey = config.request_directives == "obey"
        self._apart = config.shared == "by_consumer"
        query = config.key.query
        self._url_of = url_of if query == "all" else url_by(query)
        self._keyed = UNSAID | {name.lower().encode("ascii") for name in config.key.headers}
        self._interesting = self._keyed | CREDENTIALS | _CONTROL | conditions.CONDITIONS | conditions.ORIGIN_ONLY
        self._hits = scope.tally("hit")
        self._stale_hits = scope.tally("stale")
        self._misses = scope.tally("miss")
        self._validated = scope.tally("validated")
        self._collapsed = scope.tally("collapsed")
        self._bypassed = scope.tally("bypass")
        self._stored = scope.tally("store")

    async def around(self, exchange: Exchange, proceed: Proceed) -> Response:
        request = exchange.request
        method = request.method
        if method not in ("GET", "HEAD"):
            return await self._other(exchange, proceed)
        if request.body is not None:  # a GET with a body is answered by what no key holds
            return await self._pass(exchange, proceed, "bypass")
        asked = self._read(exchange)
        if asked is None:
            return await self._pass(exchange, proceed, "bypass")
        found, elsewhere = self._find(asked, request.headers)
        if self._shadow:
            return await self._in_shadow(exchange, proceed, asked, found)
        if found is None:
            return await self._missed(exchange, proceed, asked, None, "vary-miss" if elsewhere else "uri-miss")
        action, why = decide(found, asked.directives, self._clock.monotonic())
        if action is Action.VALIDATE:
            return await self._missed(exchange, proceed, asked, found, why)
        if action is Action.SERVE_AND_REFRESH:
            self._refresh(exchange, proceed, asked, found)
        return self._hit(exchange, asked, found)

    def _read(self, exchange: Exchange) -> _Asked | None:
        """None: the request is for the origin alone."""
        request = exchange.request
        headers = request.headers
        asked = _Asked()
        asked.method = request.method
        asked.directives = {}
        asked.conditional = asked.authorization = False
        isolated = exchange.principal is not None or bool(request.certificate)
        said = ""
        interesting = self._interesting
        if any(one[0] in interesting for one in headers):
            pragma = control = apart = False
            for name, _ in headers:
                if name not in interesting:
                    continue
                if name in CREDENTIALS:
                    isolated = True
                    asked.authorization |= name == b"authorization" and exchange.principal is None
                elif name in conditions.CONDITIONS:
                    asked.conditional = True
                elif name in conditions.ORIGIN_ONLY:
                    return None
                elif name == b"pragma":
                    pragma = True
                elif name == b"cache-control":
                    control = True
                if name in self._keyed:
                    apart = True
            if self._obey and control:
                asked.directives = parse_directives(headers.get_all(b"cache-control"))
            elif self._obey and pragma:  # RFC 9111 §5.4
                asked.directives = parse_directives(headers.get_all(b"pragma"))
            if apart:
                said = keyed(self._keyed, headers)
        asked.url = url = self._url_of(request)
        asked.owner = owner = owner_of(exchange, headers) if isolated else ""
        asked.public_key = key_of(url, self._route, "", said)
        asked.key = key_of(url, self._route, owner, said) if owner else asked.public_key
        return asked

    def _find(self, asked: _Asked, headers: Headers) -> tuple[Stored | None, bool]:
        """The stored answer that the request selects; and whether there are others of the same key."""
        pages = self._store.pages
        elsewhere = False
        page = pages.get(asked.key)
        if page is not None:
            if page.uses < MOST_USES:
                page.uses += 1
            for stored in page.variants:
                if stored.selector.selects(headers):
                    return stored, True
            elsewhere = True
        if asked.owner and not self._apart:
            page = pages.get(asked.public_key)
            if page is not None:
                for stored in page.variants:
                    if stored.terms.public and stored.selector.selects(headers):
                        page.uses = min(MOST_USES, page.uses + 1)
                        return stored, True
        return None, elsewhere

    def _hit(self, exchange: Exchange, asked: _Asked, stored: Stored, *, collapsed: str = "") -> Response:
        now = self._clock.monotonic()
        age = stored.age_s(now)
        left = int(stored.lifetime_s - age)
        if left >= 0:
            self._hits.value += 1
        else:
            self._stale_hits.value += 1
        status = b"sluicegate; hit; ttl=%d" % left
        if collapsed:
            status = b"sluicegate; fwd=%b; collapsed; ttl=%d" % (collapsed.encode("ascii"), left)
        return self._served(exchange, asked, stored, age, status)

    def _served(self, exchange: Exchange, asked: _Asked, stored: Stored, age: float, status: bytes) -> Response:
        if asked.conditional:
            response = conditions.answer(stored, exchange.request.headers, asked.method, self._clock.time())
        else:
            response = Response(stored.status, Headers(stored.headers), stored.body)
        response.headers.append((b"age", b"%d" % age))  # RFC 9111 §5.1
        response.headers.append((b"cache-status", status))
        return response

    async def _missed(
        self, exchange: Exchange, proceed: Proceed, asked: _Asked, stale: Stored | None, why: str
    ) -> Response:
        if b"only-if-cached" in asked.directives:  # RFC 9111 §5.2.1.7
            self._misses.value += 1
            detail = "No stored answer fits this request, and it asked for nothing else."
            return problem(
                exchange,
                504,
                "cache.only-if-cached",
                detail,
                ((b"cache-status", b"sluicegate; detail=only-if-cached"),),
            )
        alone = (
            not self._collapse
            or asked.method != "GET"
            or why == "request"
            or (asked.conditional and stale is None)
            or b"no-store" in asked.directives
        )
        flights = self._flights
        key = asked.key if stale is None or not stale.terms.public else asked.public_key
        if alone or flights.marked(key, self._clock.monotonic()):
            return await self._fetch(exchange, proceed, asked, stale, why, None)
        flight = flights.under_way.get(key)
        if flight is None:
            flight = flights.begin(key)
        else:
            self._collapsed.value += 1
            try:
                verdict = await flight.wait(exchange)
            except UpstreamError:
                if stale is None or not serves_on_error(stale, asked.directives, self._clock.monotonic()):
                    raise
                verdict = Verdict.ERROR
            allowed = stale is not None and serves_on_error(stale, asked.directives, self._clock.monotonic())
            if verdict is Verdict.ERROR and stale is not None and allowed:
                return self._despite(exchange, asked, stale, None)
            if verdict is Verdict.LATE:
                detail = "The upstream did not answer in time; the same question of another caller was waited for."
                return problem(exchange, 504, "cache.collapse-timeout", detail)
            if verdict is not Verdict.LEAD:
                found, _ = self._find(asked, exchange.request.headers)
                if found is not None and decide(found, asked.directives, self._clock.monotonic())[0] is Action.SERVE:
                    return self._hit(exchange, asked, found, collapsed=why)
                return await self._fetch(exchange, proceed, asked, found or stale, why, None)
        try:
            return await self._fetch(exchange, proceed, asked, stale, why, flight)
        except UpstreamError as fault:
            flight.fail(fault)
            raise
        except BaseException:
            flight.pass_on()
            raise

    async def _fetch(
        self, exchange: Exchange, proceed: Proceed, asked: _Asked, stale: Stored | None, why: str, flight: Flight | None
    ) -> Response:
        """Ask the upstream; with a stale answer at hand, whether that still holds."""
        request = exchange.request
        before = request.headers
        self._misses.value += 1
        validating = stale is not None and stale.has_validator
        clock = self._clock
        asked_at = clock.monotonic()
        try:
            request.headers = (
                conditions.conditional(before, (stale,)) if stale is not None and validating else Headers(before)
            )
            response = await proceed(exchange)
            if validating and response.status == 304 and stale is not None and not _about(stale, response):
                # RFC 9111 §4.3.4: it is about nothing that is stored, so it says nothing
                request.headers = Headers(one for one in before if one[0] not in conditions.CONDITIONS)
                validating, why = False, "stale"
                response = await proceed(exchange)
        except UpstreamError as fault:
            if stale is None or not serves_on_error(stale, asked.directives, clock.monotonic()):
                raise
            if flight is not None:
                flight.fail(fault)
            return self._despite(exchange, asked, stale, None)
        finally:
            request.headers = before
        now, wall = clock.monotonic(), clock.time()
        delay = max(0.0, now - asked_at)
        status = response.status
        if stale is not None and status in ERRORS and serves_on_error(stale, asked.directives, now):
            _give_up(response)
            if flight is not None:
                flight.disappoint()
            return self._despite(exchange, asked, stale, status)
        if status == 304 and validating and stale is not None:
            fresh = freshened(stale, response.headers, self._rules, now=now, wall=wall, delay_s=delay)
            self._put(asked, fresh, stale)
            if flight is not None:
                flight.land()
            self._validated.value += 1
            note = f"sluicegate; fwd={why}; fwd-status=304; stored; ttl={int(fresh.lifetime_s - fresh.initial_age_s)}"
            return self._served(exchange, asked, fresh, fresh.initial_age_s, note.encode("ascii"))
        if asked.method == "HEAD" and stale is not None and status == 200 and outdated_by_head(stale, response.headers):
            self._forget(asked, stale)
        return self._take(exchange, asked, response, before, why, flight, now, wall, delay)

    def _take(
        self,
        exchange: Exchange,
        asked: _Asked,
        response: Response,
        before: Headers,
        why: str,
        flight: Flight | None,
        now: float,
        wall: float,
        delay: float,
    ) -> Response:
        """Store the answer if it may be, at once or while it streams by."""
        headers, status = response.headers, response.status
        terms = terms_of(headers, wall, self._rules)
        reason = "method"
        if asked.method == "GET":
            reason = (
                why_not_stored(
                    asked.directives,
                    authorization=asked.authorization,
                    status=status,
                    headers=headers,
                    terms=terms,
                    rules=self._rules,
                )
                or ""
            )
        body = response.body
        known = len(body) if isinstance(body, bytes) else body.length
        if not reason and known is not None and known > self._max_body:
            reason = "max-body"

        def store(whole: bytes) -> bool:
            stored = keep(status, kept, whole, before, terms, self._rules, now=now, wall=wall, delay_s=delay)
            useful = stored.lifetime_s > stored.initial_age_s or stored.has_validator
            if not (useful and self._put(asked, stored, None)):
                return False
            self._stored.value += 1
            return stored.lifetime_s > stored.initial_age_s and not terms.no_cache

        stored_now = False
        if reason:
            if flight is not None:
                flight.scatter(now)
        else:
            kept = Headers(headers)
            stored_now = True
            if isinstance(body, bytes):
                shareable = store(body)
                if flight is not None:
                    flight.land() if shareable else flight.scatter(now)
            else:

                def ended(whole: bytes | None, too_long: bool) -> None:
                    if flight is not None and whole is None and not too_long:
                        flight.pass_on()
                    elif whole is not None and store(whole):
                        if flight is not None:
                            flight.land()
                    elif flight is not None:
                        flight.scatter(self._clock.monotonic())

                response.body = StoringBody(body, self._max_body, ended)
                exchange.on_close(response.body.close)
        if not self._shadow:
            headers.remove_all(OWN_FIELD)
            if headers.get(b"date") is None:  # RFC 9110 §6.6.1
                headers.append((b"date", format_date(wall)))
            note = f"sluicegate; fwd={why}; fwd-status={status}" + ("; stored" if stored_now else "")
            if reason not in ("", "method"):
                note += f"; detail={reason}"
            headers.append((b"cache-status", note.encode("ascii")))
        return response

    def _despite(self, exchange: Exchange, asked: _Asked, stale: Stored, status: int | None) -> Response:
        """RFC 5861 §4: a stale answer in place of an error."""
        self._stale_hits.value += 1
        age = stale.age_s(self._clock.monotonic())
        said = "" if status is None else f"; fwd-status={status}"
        note = f"sluicegate; fwd=stale{said}; ttl={int(stale.lifetime_s - age)}; detail=stale-if-error"
        return self._served(exchange, asked, stale, age, note.encode("ascii"))

    def _put(self, asked: _Asked, stored: Stored, replaced: Stored | None) -> bool:
        public = stored.terms.public and not self._apart
        return self._store.put(asked.public_key if public else asked.key, stored, replaced)

    def _forget(self, asked: _Asked, stored: Stored) -> None:
        self._store.drop(asked.key, stored)
        self._store.drop(asked.public_key, stored)

    def _refresh(self, exchange: Exchange, proceed: Proceed, asked: _Asked, stale: Stored) -> None:
        """RFC 5861 §3: validate in the background, once a key, with an exchange that outlives the caller's."""
        tasks = self._background.tasks
        if asked.key in tasks:
            return
        request = replace(exchange.request, headers=Headers(exchange.request.headers), method="GET", body=None)
        now = self._clock.monotonic()
        later = Exchange(exchange.snapshot, request, exchange.request_id, now)
        later.deadline = now + max(1.0, exchange.deadline - exchange.started)
        later.attempt_s = exchange.attempt_s
        later.route, later.params, later.principal = exchange.route, exchange.params, exchange.principal
        later.trace_id = exchange.trace_id

        async def run() -> None:
            try:
                response = await self._fetch(later, proceed, asked, stale, "stale", None)
                if not isinstance(response.body, bytes):
                    while await response.body.read():
                        pass
            except GatewayFault:
                pass  # the stale answer serves on while it may
            finally:
                for close in reversed(later.closers or []):
                    close()
                del tasks[asked.key]

        tasks[asked.key] = asyncio.get_running_loop().create_task(run())

    async def _other(self, exchange: Exchange, proceed: Proceed) -> Response:
        """RFC 9111 §4.4: what an unsafe request has changed is forgotten, unless it failed."""
        response = await self._pass(exchange, proceed, "method")
        request = exchange.request
        if request.method in _SAFE or not 200 <= response.status < 400:
            return response
        own = url_of(request)
        self._store.invalidate(self._url_of(request))
        for name in (b"location", b"content-location"):
            said = response.headers.get(name)
            if said is not None:
                try:
                    target = urljoin(own, said.decode("latin-1")).partition("#")[0]
                    same = urlsplit(target)[:2] == urlsplit(own)[:2]
                except ValueError:
                    continue
                if same:  # of the same origin only: others cannot be made to forget
                    self._store.invalidate(target)
        return response

    async def _pass(self, exchange: Exchange, proceed: Proceed, why: str) -> Response:
        self._bypassed.value += 1
        response = await proceed(exchange)
        if not self._shadow:
            note = f"sluicegate; fwd={why}; fwd-status={response.status}"
            response.headers.append((b"cache-status", note.encode("ascii")))
        return response

    async def _in_shadow(self, exchange: Exchange, proceed: Proceed, asked: _Asked, found: Stored | None) -> Response:
        """Count what would have been served, and store as if it were; the caller notices nothing."""
        now = self._clock.monotonic()
        if found is not None and decide(found, asked.directives, now)[0] is not Action.VALIDATE:
            self._hits.value += 1
            return await proceed(exchange)
        self._misses.value += 1
        before = Headers(exchange.request.headers)
        response = await proceed(exchange)
        after = self._clock.monotonic()
        return self._take(exchange, asked, response, before, "miss", None, after, self._clock.time(), after - now)


def _about(stale: Stored, response: Response) -> bool:
    """RFC 9111 §4.3.4: whether a 304 speaks of this stored answer."""
    etag = response.headers.get(b"etag")
    return etag is None or (stale.etag is not None and conditions.same_etag(etag, stale.etag))


def _give_up(response: Response) -> None:
    if not isinstance(response.body, bytes):
        response.body.close()
