"""Exchanges and scopes for unit tests of policies: everything real but the clock, the network and the configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from gateway.api.consumers import Consumer, Consumers, KeyEntry, Limits
from gateway.api.exchange import Exchange, Principal
from gateway.api.messages import Body, Headers, Request, Response
from gateway.api.orders import Revoke
from gateway.api.policy import Gate, Layer, Level
from gateway.api.ports import Clock, Fetched, Gauge, Store, Tally
from gateway.api.settings.upstream import UpstreamConfig
from gateway.testing.clock import FakeClock
from gateway.testing.store import memory_store

T = TypeVar("T")

OK = Response(200, Headers(), b"ok")


class NoConsumers:
    """A table of consumers with nobody in it."""

    def by_name(self, name: str) -> Consumer | None:
        return None

    def by_client(self, issuer: str, client_id: str) -> Consumer | None:
        return None

    def by_key_digest(self, sha256: bytes) -> KeyEntry | None:
        return None

    def by_certificate(self, sha256: bytes, subject: str) -> Consumer | None:
        return None

    def names_issuer(self, issuer: str) -> bool:
        return False


@dataclass
class FakeSnapshot:
    """What of a configuration a request may read."""

    version: str = "test"
    problem_prefix: str = "urn:sluicegate:problem:"
    public_url: str | None = None
    consumers: Consumers = field(default_factory=NoConsumers)

    async def buffer(self, exchange: Exchange, body: Body) -> bytes:
        return await read_all(body)


class BytesBody(Body):
    """A body that arrives in the given pieces. `announced` is its Content-Length, None for chunked."""

    __slots__ = ("closed", "length", "pieces")

    def __init__(self, *pieces: bytes, announced: int | None = None) -> None:
        self.pieces = list(pieces)
        self.length = announced
        self.closed = False

    async def read(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def close(self) -> None:
        self.closed = True


async def read_all(body: Body) -> bytes:
    whole = b""
    while piece := await body.read():
        whole += piece
    return whole


def make_exchange(
    method: str = "GET",
    target: str = "/",
    headers: Iterable[tuple[str, str]] = (),
    *,
    client: str = "192.0.2.1",
    body: Body | None = None,
    params: Mapping[str, str] | None = None,
    principal: Principal | None = None,
    route: str = "orders",
    started: float = 1_000.0,
) -> Exchange:
    """An exchange as a policy sees it. A body with a length announces it in Content-Length, another one is chunked."""
    fields = Headers((name.lower().encode(), value.encode("latin-1")) for name, value in headers)
    if body is not None:
        length = body.length
        fields.append((b"transfer-encoding", b"chunked") if length is None else (b"content-length", b"%d" % length))
    path, _, query = target.partition("?")
    request = Request(
        method=method,
        scheme="https",
        host="api.example",
        authority=b"api.example",
        path=path,
        query=query.encode(),
        headers=fields,
        http_version="1.1",
        peer=client,
        client=client,
        body=body,
    )
    exchange = Exchange(FakeSnapshot(), request, "request-1", started)
    exchange.route = route
    exchange.params = dict(params or {})
    exchange.principal = principal
    return exchange


def make_principal(name: str = "acme", *, claims: Mapping[str, Any] | None = None, **consumer: Any) -> Principal:
    """A known consumer, authenticated. `consumer` are fields of Consumer."""
    known = Consumer(name, **consumer)
    return Principal(
        f"consumer:{name}",
        known,
        issuer="partners",
        client_id=f"{name}-client",
        tier=known.tier,
        limits=known.limits,
        claims=dict(claims or {}),
    )


async def _no_network(*_: Any, **__: Any) -> Fetched:
    raise OSError("a unit test has no network")


@dataclass
class FakeScope:
    """Where a policy under test is built. Counters are in `tallies`; stores and state are shared by `like()`."""

    policy: str = "policy"
    name: str = "policy"
    route: str = "orders"
    upstream: str = "orders-api"
    calls: UpstreamConfig | None = None
    safe: bool | None = None
    level: Level = Level.ROUTE
    shadow: bool = False
    clock: Clock = field(default_factory=FakeClock)
    fetch: Any = _no_network
    workers: int = 1
    secret: bytes = b"shared by workers"
    orders: list[object] = field(default_factory=list)  # what the policy spread
    tallies: dict[str, Tally] = field(default_factory=dict)
    gauges: dict[str, Gauge] = field(default_factory=dict)
    stores: dict[str | None, Store] = field(default_factory=dict)
    states: MutableMapping[Hashable, Any] = field(default_factory=WeakValueDictionary)
    issuers: dict[str, Any] = field(default_factory=dict)
    tiers: dict[str, Limits] = field(default_factory=dict)
    role_grants: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    spawned: dict[str, Callable[[], Any]] = field(default_factory=dict)
    ready: Callable[[int], bool] = lambda others: True

    def spread(self, order: object) -> None:
        self.orders.append(order)

    def tally(self, decision: str) -> Tally:
        return self.tallies.setdefault(decision, Tally())

    def counter(self, metric: str, *labels: str) -> Tally:
        return self.tallies.setdefault(" ".join((metric, *labels)), Tally())

    def gauge(self, metric: str, *labels: str) -> Gauge:
        return self.gauges.setdefault(" ".join((metric, *labels)), Gauge())

    def shared(self, name: str) -> FakeScope:
        return replace(self, policy=name)

    def store(self, url: str | None, *, durable: bool = False) -> Store:
        if url not in self.stores:
            self.stores[url] = memory_store(self.clock, self.policy)
        return self.stores[url]

    def lasting_store(self, url: str | None) -> Store:
        return self.store(url)

    def state(self, identity: Hashable, make: Callable[[], T]) -> T:
        found: T | None = self.states.get(identity)
        if found is None:
            found = self.states[identity] = make()
        return found

    def revocations(self) -> Sequence[Revoke]:
        return ()

    def issuer(self, name: str) -> Any:
        return self.issuers[name]

    def tier(self, name: str) -> Limits:
        return self.tiers[name]

    def grants(self) -> Mapping[str, frozenset[str] | None]:
        return self.role_grants

    def spawn(self, name: str, run: Callable[[], Any]) -> None:
        self.spawned.setdefault(name, run)

    def like(self, **changed: Any) -> FakeScope:
        """Another place in the same gateway: own counters, the same clock, stores and state."""
        shared = {"clock": self.clock, "stores": self.stores, "states": self.states, "policy": self.policy}
        return FakeScope(**{**shared, **changed})

    def counts(self) -> dict[str, int]:
        return {decision: tally.value for decision, tally in self.tallies.items() if tally.value}


def run_layer(
    layer: Layer, exchange: Exchange, answer: Response | BaseException | Callable[[Exchange], Response] = OK
) -> Response:
    """Run `layer` around a terminal that gives `answer`, raises it, or asks it."""

    async def terminal(passed: Exchange) -> Response:
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, Response):
            return Response(answer.status, Headers(answer.headers), answer.body)
        return answer(passed)

    return asyncio.run(layer.around(exchange, terminal))


def run_policy(built: Gate | Layer, exchange: Exchange, answer: Response = OK) -> Response:
    """What the caller gets from a gate or layer before an upstream that gives `answer`."""
    if isinstance(built, Layer):
        return run_layer(built, exchange, answer)
    return built.check(exchange) or Response(answer.status, Headers(answer.headers), answer.body)


def close(exchange: Exchange) -> None:
    """End the exchange as the edge does: closers run, last in first out."""
    while exchange.closers:
        exchange.closers.pop()()
