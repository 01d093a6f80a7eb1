"""One request and what becomes of it, as policies see it. Typed fields, no shared dictionary of strings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeVar

from gateway.api.consumers import NO_LIMITS, Consumer, Consumers, Limits
from gateway.api.messages import Abort, Body, OnInterim, Request, Response

T = TypeVar("T")

NO_CLAIMS: Mapping[str, Any] = MappingProxyType({})


class SnapshotView(Protocol):
    """What of the running configuration a request may read."""

    version: str
    problem_prefix: str  # "urn:sluicegate:problem:" or `problem_base`
    public_url: str | None
    consumers: Consumers

    async def buffer(self, exchange: Exchange, body: Body) -> bytes:
        """Read `body` whole, within `exchange.max_body`, the deadline and the worker's byte budget.

        Raises RequestRefused (408, 413, 503) or ClientGone.
        """
        ...


class Principal(NamedTuple):  # a frozen dataclass takes 1.5 µs more to make
    """Who is calling, once an authenticator believed it.

    `key` identifies the principal in stores: `consumer:NAME`, or `client:ISSUER:CLIENT` for an
    unknown consumer that its issuer allows. `claims` are the token's; they are never logged.
    """

    key: str
    consumer: Consumer | None
    issuer: str = ""
    client_id: str = ""
    tier: str = ""
    limits: Limits = NO_LIMITS
    claims: Mapping[str, Any] = NO_CLAIMS
    scopes: frozenset[str] = frozenset()
    expires: float | None = None  # Unix seconds; streams end then

    @property
    def name(self) -> str:
        return self.consumer.name if self.consumer is not None else self.client_id


class Exchange:
    """The request, the answer's side notes, and what must happen at the end."""

    __slots__ = (
        "attempt_s",
        "before_send",
        "bytes_out",
        "client_gone",
        "closers",
        "codes",
        "deadline",
        "keyed",
        "max_body",
        "on_interim",
        "params",
        "principal",
        "request",
        "request_id",
        "response_headers",
        "route",
        "runs_on",
        "sent",
        "snapshot",
        "started",
        "state",
        "trace_id",
        "tried",
        "upstream",
        "upstream_s",
    )

    def __init__(self, snapshot: SnapshotView, request: Request, request_id: str, started: float) -> None:
        self.snapshot = snapshot
        self.request = request
        self.request_id = request_id
        self.trace_id = ""
        self.started = started  # monotonic seconds (the event loop's clock)
        # Both defaults are those of the policy `timeout`, which sets them when a route is entered.
        self.deadline = started + 30.0  # monotonic seconds; after `timeout` it is only ever lowered
        self.attempt_s = 10.0  # seconds for one try, from its start to the answer's head
        self.route = ""  # the route's name, "" while none matched
        self.params: Mapping[str, str] = {}  # what {name} in the path matched, percent-decoded
        self.principal: Principal | None = None
        self.max_body: int | None = None  # octets; the tightest request_size so far
        self.response_headers: list[tuple[bytes, bytes]] = []  # added to whatever answer goes out
        self.codes: list[str] = []  # decisions worth a word in the access log
        self.closers: list[Callable[[], object]] | None = None
        self.state: dict[type, Any] | None = None
        self.upstream = ""
        self.tried: list[str] | None = None  # targets called so far, where a policy asked to know by setting it to []
        self.upstream_s = 0.0  # seconds until the upstream's head, all tries
        self.bytes_out = 0
        self.client_gone = False
        self.runs_on = False  # its upstream call is not ended when the caller leaves: somebody will ask for its outcome
        self.keyed = False  # it carries an idempotency key, in whichever field the route has it
        self.before_send: Callable[[], Awaitable[None]] | None = None  # of each UpstreamRequest: `before`
        self.on_interim: OnInterim | None = None  # of each UpstreamRequest, where the server has a way for them
        self.sent = False  # a byte of it may have left for an upstream, in whichever try

    def note(self, code: str) -> None:
        """Name a decision for the access log, e.g. `rate_limit.exceeded`."""
        self.codes.append(code)

    def on_close(self, close: Callable[[], object]) -> None:
        """Run `close` after the last byte, or when the exchange breaks; last in, first out. It must not raise."""
        if self.closers is None:
            self.closers = [close]
        else:
            self.closers.append(close)

    def on_slow(self, abort: Abort) -> None:
        """An upstream call takes long: the edge's own exchanges watch from now on whether the caller is still there."""

    async def read_body(self) -> bytes:
        """The request's body, whole; read when the first caller asks, and kept for the upstream."""
        body = self.request.body
        if body is None:
            return b""
        if not isinstance(body, bytes):
            body = self.request.body = await self.snapshot.buffer(self, body)
        return body

    def keep(self, value: object) -> None:
        """Keep a policy's own typed state for the time of the exchange."""
        if self.state is None:
            self.state = {}
        self.state[type(value)] = value

    def kept(self, kind: type[T]) -> T | None:
        return None if self.state is None else self.state.get(kind)


@dataclass(slots=True)
class Outcome:
    """How an exchange ended, for observers. `status` is 499 when the caller left before an answer."""

    status: int
    bytes_out: int
    total_s: float
    upstream_s: float
    complete: bool  # the whole body went out


Proceed = Callable[[Exchange], Awaitable[Response]]

__all__ = ["Body", "Exchange", "Outcome", "Principal", "Proceed", "Request", "Response", "SnapshotView"]
