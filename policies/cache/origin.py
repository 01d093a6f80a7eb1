"""Asks the upstream and stores what it says: validation, errors with a stale answer at hand, bodies that stream by."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import NamedTuple

from gateway.api.errors import GatewayFault, UpstreamError
from gateway.api.exchange import Exchange, Proceed
from gateway.api.messages import Headers, Response
from gateway.api.ports import Scope
from gateway.http.dates import format_date, parse_date
from policies.cache import conditions
from policies.cache.asked import Asked
from policies.cache.collapse import Flight
from policies.cache.config import CacheConfig
from policies.cache.core import ERRORS, Stored, freshened, keep, outdated_by_head, serves_on_error
from policies.cache.serving import Serving
from policies.cache.shelf import Shelf
from policies.cache.store import Key
from policies.cache.storing import StoringBody
from policies.cache.terms import (
    CDN_FIELD,
    OWN_FIELD,
    Rules,
    Terms,
    initial_age,
    lifetime_of,
    terms_of,
    why_not_stored,
)


def rules_of(config: CacheConfig) -> Rules:
    return Rules(
        config.default_ttl,
        config.max_ttl,
        dict(config.negative),
        config.stale_while_revalidate,
        config.stale_if_error,
        (OWN_FIELD, CDN_FIELD) if config.cdn_cache_control else (OWN_FIELD,),
        config.tags_header.lower().encode("ascii"),
    )


class Background:
    """Validations that nobody waits for; one a key."""

    def __init__(self) -> None:
        self.tasks: dict[Key, asyncio.Task[None]] = {}


class Forwarded(NamedTuple):
    """A request that went to the upstream, and when its answer came."""

    why: str  # RFC 9211 §2.2
    headers: Headers  # the caller's own
    changes: int  # invalidations that the store had seen by then
    at: float  # monotonic seconds of the answer's head
    wall: float
    delay_s: float


class Origin:
    """The upstream of one route, as its cache sees it."""

    def __init__(self, config: CacheConfig, scope: Scope, shelf: Shelf, serving: Serving) -> None:
        self.rules = rules_of(config)
        self._max_body = config.max_body
        self._shelf = shelf
        self._serving = serving
        self._clock = scope.clock
        self._shadow = scope.shadow
        self._background = scope.state(("background", scope.shadow), Background)
        self._misses = scope.tally("miss")
        self._validated = scope.tally("validated")
        self._stored = scope.tally("store")

    async def fetch(
        self, exchange: Exchange, proceed: Proceed, asked: Asked, stale: Stored | None, why: str, flight: Flight | None
    ) -> Response:
        """Ask the upstream; with a stale answer at hand, whether that still holds."""
        request = exchange.request
        before = request.headers
        self._misses.value += 1
        validating = stale is not None and stale.has_validator
        clock = self._clock
        asked_at, changes = clock.monotonic(), self._shelf.store.changes
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
            return self._serving.despite(exchange, asked, stale, None)
        finally:
            request.headers = before
        now = clock.monotonic()
        forwarded = Forwarded(why, before, changes, now, clock.time(), max(0.0, now - asked_at))
        status = response.status
        if stale is not None and status in ERRORS and serves_on_error(stale, asked.directives, now):
            _give_up(response)
            if flight is not None:
                flight.disappoint()
            return self._serving.despite(exchange, asked, stale, status)
        if status == 304 and validating and stale is not None:
            return self._freshen(exchange, asked, stale, response, forwarded, flight)
        if asked.method == "HEAD" and stale is not None and status == 200:  # RFC 9111 §4.3.5
            if outdated_by_head(stale, response.headers):
                self._shelf.forget(asked, stale)
            else:
                self._update(asked, stale, response.headers, forwarded)
        return self.take(exchange, asked, response, forwarded, flight)

    def take(
        self, exchange: Exchange, asked: Asked, response: Response, forwarded: Forwarded, flight: Flight | None
    ) -> Response:
        """Store the answer if it may be, at once or while it streams by."""
        headers, body = response.headers, response.body
        terms = terms_of(headers, forwarded.wall, self.rules)
        reason = self._why_not(asked, response, terms, forwarded)
        if reason:
            if flight is not None:
                flight.scatter(forwarded.at)
        else:
            kept = Headers(headers)
            if isinstance(body, bytes):
                shareable = self._keep(asked, response.status, kept, body, terms, forwarded)
                if flight is not None:
                    flight.land() if shareable else flight.scatter(forwarded.at)
            else:

                def ended(whole: bytes | None, too_long: bool) -> None:
                    if flight is not None and whole is None and not too_long:
                        flight.pass_on()
                    elif whole is not None and self._keep(asked, response.status, kept, whole, terms, forwarded):
                        if flight is not None:
                            flight.land()
                    elif flight is not None:
                        flight.scatter(self._clock.monotonic())

                response.body = StoringBody(body, self._max_body, ended)
                exchange.on_close(response.body.close)
        if not self._shadow:
            headers.remove_all(OWN_FIELD)
            if headers.get(b"date") is None:  # RFC 9110 §6.6.1
                headers.append((b"date", format_date(forwarded.wall)))
            note = f"sluicegate; fwd={forwarded.why}; fwd-status={response.status}"
            if not reason:
                note += "; stored"
            elif reason != "method":
                note += f"; detail={reason}"
            headers.append((b"cache-status", note.encode("ascii")))
        return response

    def refresh(self, exchange: Exchange, proceed: Proceed, asked: Asked, stale: Stored) -> None:
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
                response = await self.fetch(later, proceed, asked, stale, "stale", None)
                body, left = response.body, self._max_body
                if not isinstance(body, bytes):
                    # no caller reads it, and nobody leaves: a body without end would be read for ever
                    async with asyncio.timeout(later.deadline - self._clock.monotonic()):
                        while left >= 0 and (piece := await body.read()):
                            left -= len(piece)
            except (GatewayFault, TimeoutError):
                pass  # the stale answer serves on while it may
            finally:
                for close in reversed(later.closers or []):
                    close()
                del tasks[asked.key]

        tasks[asked.key] = asyncio.get_running_loop().create_task(run())

    def _freshen(
        self,
        exchange: Exchange,
        asked: Asked,
        stale: Stored,
        response: Response,
        forwarded: Forwarded,
        flight: Flight | None,
    ) -> Response:
        fresh, kept = self._update(asked, stale, response.headers, forwarded)
        if flight is not None:
            flight.land() if kept else flight.scatter(forwarded.at)
        self._validated.value += 1
        age = fresh.age_s(forwarded.at)
        ttl = int(fresh.lifetime_s) - int(age)
        note = f"sluicegate; fwd={forwarded.why}; fwd-status=304; {'stored; ' if kept else ''}ttl={ttl}"
        return self._serving.answer(exchange, asked, fresh, age, note.encode("ascii"))

    def _update(self, asked: Asked, stale: Stored, news: Headers, forwarded: Forwarded) -> tuple[Stored, bool]:
        """RFC 9111 §3.2: what is stored with newer fields, and whether it may still be stored."""
        fresh, terms = freshened(
            stale, news, self.rules, now=forwarded.at, wall=forwarded.wall, delay_s=forwarded.delay_s
        )
        if b"no-store" in asked.directives:  # §5.2.1.5: nothing of the answer to this request
            return fresh, False
        if self._forbidden(asked, fresh.kind.status, fresh.headers, terms):
            self._shelf.forget(asked, stale)
            return fresh, False
        return fresh, self._shelf.put(asked, fresh, stale, forwarded.changes)

    def _why_not(self, asked: Asked, response: Response, terms: Terms, forwarded: Forwarded) -> str | None:
        if asked.method != "GET":
            return "method"
        reason = self._forbidden(asked, response.status, response.headers, terms)
        body = response.body
        known = len(body) if isinstance(body, bytes) else body.length
        if reason is None and known is not None and known > self._max_body:
            reason = "max-body"
        if reason is None and not self._of_use(response, terms, forwarded):
            reason = "stale"
        return reason

    def _of_use(self, response: Response, terms: Terms, forwarded: Forwarded) -> bool:
        """Whether the answer can ever be served: it is fresh, or can be validated (RFC 9111 §4.2, §4.3.1)."""
        headers, wall = response.headers, forwarded.wall
        modified = headers.get(b"last-modified")
        if headers.get(b"etag") is not None or (modified is not None and parse_date(modified, wall) is not None):
            return True
        lifetime_s = lifetime_of(response.status, headers, terms, wall, self.rules)
        return lifetime_s > initial_age(headers, wall, forwarded.delay_s)

    def _forbidden(self, asked: Asked, status: int, headers: Headers, terms: Terms) -> str | None:
        return why_not_stored(
            asked.directives,
            authorization=asked.authorization,
            status=status,
            headers=headers,
            terms=terms,
            rules=self.rules,
        )

    def _keep(
        self, asked: Asked, status: int, headers: Headers, body: bytes, terms: Terms, forwarded: Forwarded
    ) -> bool:
        """Whether the stored answer serves others too."""
        stored = keep(
            status,
            headers,
            body,
            forwarded.headers,
            terms,
            self.rules,
            now=forwarded.at,
            wall=forwarded.wall,
            delay_s=forwarded.delay_s,
        )
        fresh = stored.lifetime_s > stored.age_s(forwarded.at)
        if not ((fresh or stored.has_validator) and self._shelf.put(asked, stored, None, forwarded.changes)):
            return False
        self._stored.value += 1
        return fresh and not terms.no_cache


def _about(stale: Stored, response: Response) -> bool:
    """RFC 9111 §4.3.4: whether a 304 speaks of this stored answer."""
    etag = response.headers.get(b"etag")
    return etag is None or (stale.etag is not None and conditions.same_etag(etag, stale.etag))


def _give_up(response: Response) -> None:
    if not isinstance(response.body, bytes):
        response.body.close()
