"""Holds a place for each call of a caller, lets some wait, and refuses the rest with 429."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.api.callers import scope_parts
from gateway.api.errors import StoreError
from gateway.api.exchange import Exchange, Principal, Proceed
from gateway.api.limits.board import Board, Shown
from gateway.api.limits.place import NAMESPACE
from gateway.api.messages import Response
from gateway.api.pause import pause
from gateway.api.policy import CheckContext, Complaint, Layer, Level
from gateway.api.ports import Scope, Store, is_local
from gateway.api.problem import RETRY_SOON, problem
from gateway.api.slots import Slots, share
from policies.concurrency.config import ConcurrencyConfig
from policies.concurrency.core import Key, consumer_finder, finder
from policies.concurrency.shared import SharedPlaces

LOOK_S = 0.05  # between two looks for a place of several processes
KEYS_KEPT = 32768


class Places:
    """Who holds places now: callers with none have no entry, so that memory is bounded by the calls under way."""

    def __init__(self) -> None:
        self.of: dict[Key, Slots] = {}

    def leave(self, key: Key, slots: Slots) -> None:
        slots.release()
        self.tidy(key, slots)

    def tidy(self, key: Key, slots: Slots) -> None:
        if slots.idle and self.of.get(key) is slots:
            del self.of[key]


def build(config: ConcurrencyConfig, scope: Scope) -> Layer:
    place = scope.shared(NAMESPACE)
    store = place.store(config.store)
    return ConcurrencyLayer(config, scope) if is_local(store) else SharedLayer(config, scope, place, store)


def check(config: ConcurrencyConfig, context: CheckContext) -> Iterator[Complaint]:
    if config.scope == "upstream" and context.route is not None and context.route.upstream is None:
        yield Complaint(("scope",), "scope: upstream on a route without an upstream; write route or gateway")
    if config.scope == "route" and context.level is Level.GLOBAL:
        yield Complaint(("scope",), "with scope: route under global every route counts for itself", "warning")


class _Base(Layer, Shown):
    """What is decided when the configuration is compiled, and what both kinds answer."""

    def __init__(self, config: ConcurrencyConfig, scope: Scope) -> None:
        # what a limit is called says which it is, whatever its figure; shadow counts beside the enforced ones
        parts = (scope.name, config.per, *scope_parts(config.scope, scope))
        self._find = finder(config, scope.route, parts)
        self._of = consumer_finder(config, scope.route, parts)
        self._queue = share(config.queue, scope.workers)
        self._queue_s = config.queue_timeout
        self._clock = scope.clock.monotonic
        self._shadow = scope.shadow
        self._label = scope.name
        self._allowed = scope.tally("allow")
        self._waited = scope.tally("wait")
        self._refused = scope.tally("refuse")
        self._board = scope.shared(NAMESPACE).state("board", Board)
        if not scope.shadow:
            self._board.limits.add(self)

    def _until(self, exchange: Exchange) -> float:
        """When waiting in the queue ends."""
        return min(exchange.deadline, self._clock() + self._queue_s) if self._queue_s else exchange.deadline

    def _refuse(self, exchange: Exchange) -> Response:
        self._refused.value += 1
        return problem(
            exchange,
            429,
            "concurrency.exceeded",
            f"The limit '{self._label}' of calls at a time is reached; end some, or try again soon.",
            RETRY_SOON,
        )

    def _entry(self, key: str, most: int, used: int, *, shared: bool) -> dict[str, Any]:
        return {
            "key": key,
            "policy": "concurrency",
            "limit": self._label,
            "shared": shared,
            "max": most,
            "in_use": used,
            "left": max(0, most - used),
        }


class ConcurrencyLayer(_Base):
    """A place is held until the exchange ends, its last byte sent."""

    def __init__(self, config: ConcurrencyConfig, scope: Scope) -> None:
        super().__init__(config, scope)
        self._places = scope.state(("places", scope.shadow), Places)
        self._workers = scope.workers

    async def around(self, exchange: Exchange, proceed: Proceed) -> Response:
        place = self._find(exchange)
        if place is not None:
            key, most = place
            places = self._places
            slots = places.of.get(key)
            if slots is None:
                slots = places.of[key] = Slots()
            limit = share(most, self._workers)
            if limit != slots.limit:
                slots.limit = limit
                slots.hand_on()  # one that has grown lets those that wait in, before this call
            if not slots.take_nowait():
                refusal = await self._over(exchange, key, slots)
                if refusal is not None:
                    return refusal
            exchange.on_close(lambda: places.leave(key, slots))
        self._allowed.value += 1
        return await proceed(exchange)

    async def _over(self, exchange: Exchange, key: Key, slots: Slots) -> Response | None:
        """All places are taken: the refusal, or None with a place."""
        if self._shadow:
            self._refused.value += 1
            exchange.note("shadow:concurrency.exceeded")
            slots.used.value += 1
            return None
        if self._queue:
            try:
                if await slots.wait(exchange, self._queue, self._until(exchange)) is None:
                    self._waited.value += 1
                    return None
            except BaseException:
                self._places.tidy(key, slots)
                raise
        return self._refuse(exchange)

    async def show(self, principal: Principal, *, reset: bool) -> dict[str, Any] | None:
        """Calls under way cannot be reset."""
        place = self._of(principal)
        if place is None:
            return None
        key, most = place
        slots = self._places.of.get(key)
        entry = self._entry("|".join(key), most, slots.used.value if slots else 0, shared=False)
        return entry | {"max": share(most, self._workers)} if self._workers > 1 else entry


class SharedLayer(_Base):
    """The same with places in a store: they count in all processes together."""

    def __init__(self, config: ConcurrencyConfig, scope: Scope, place: Scope, store: Store) -> None:
        super().__init__(config, scope)
        self._store = store.within("concurrency", "shadow") if scope.shadow else store.within("concurrency")
        self._places = place.state(("places", store), lambda: SharedPlaces(store, scope.workers))
        place.spawn(f"places {id(self._places):x}", self._places.run)
        self._keys: dict[Key, str] = {}
        self._waiting: dict[str, int] = {}

    async def around(self, exchange: Exchange, proceed: Proceed) -> Response:
        place = self._find(exchange)
        if place is not None:
            parts, most = place
            key = self._full_key(parts)
            if await self._places.take(key, most) or await self._wait(exchange, key, most):
                exchange.on_close(lambda: self._places.leave(key))
            elif not self._shadow:
                return self._refuse(exchange)
            else:
                self._refused.value += 1
                exchange.note("shadow:concurrency.exceeded")
        self._allowed.value += 1
        return await proceed(exchange)

    async def _wait(self, exchange: Exchange, key: str, most: int) -> bool:
        """Whether a place came free in time. Nobody tells when another process gives one back: it is looked for."""
        waiting = self._waiting.get(key, 0)
        if waiting >= self._queue or self._shadow:
            return False
        self._waiting[key] = waiting + 1
        try:
            until = self._until(exchange)
            while self._clock() + LOOK_S < until:
                await pause(exchange, LOOK_S)
                if await self._places.take(key, most):
                    self._waited.value += 1
                    return True
            return False
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key]

    async def show(self, principal: Principal, *, reset: bool) -> dict[str, Any] | None:
        place = self._of(principal)
        if place is None:
            return None
        parts, most = place
        key = self._full_key(parts)
        try:
            return self._entry(key, most, await self._places.look(key), shared=True)
        except StoreError:
            return {"key": key, "policy": "concurrency", "limit": self._label, "unknown": "the store is away"}

    def _full_key(self, parts: Key) -> str:
        key = self._keys.get(parts)
        if key is None:
            if len(self._keys) >= KEYS_KEPT:
                self._keys.clear()
            key = self._keys[parts] = self._store.within(*parts[:-1]).full_key(parts[-1])
        return key
