"""What one request reads of the running configuration, and the one cell in which configurations are swapped."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from gateway.api.consumers import Consumers
from gateway.api.exchange import Exchange, Proceed
from gateway.api.messages import Body
from gateway.api.policy import Observer
from gateway.edge.body import BodyBudget
from gateway.edge.streams import Streams
from gateway.edge.websocket import WebSocket
from gateway.http.forwarded import ProxyRules
from gateway.routing.table import RouteTable
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.metrics import Metrics, RouteMetrics


@dataclass(frozen=True, slots=True)
class LiveRoute:
    """A route, bound: everything that a request needs once it has matched."""

    name: str
    handle: Proceed
    observers: tuple[Observer, ...]
    metrics: RouteMetrics
    preflights: bool = False  # answers OPTIONS requests that announce another method


class Snapshot:
    """One configuration, live. Immutable but for the count of requests that still read it.

    Acyclic, so that it is freed at once when its last request ends: `gc.freeze()` would keep a cycle for ever.
    """

    __slots__ = (
        "_budget",
        "_on_idle",
        "consumers",
        "problem_prefix",
        "proxy",
        "public_url",
        "stream_max_s",
        "table",
        "unmatched",
        "users",
        "version",
    )

    def __init__(
        self,
        version: str,
        table: RouteTable[LiveRoute],
        unmatched: LiveRoute,
        consumers: Consumers,
        proxy: ProxyRules,
        budget: BodyBudget,
        *,
        problem_prefix: str = "urn:sluicegate:problem:",
        public_url: str | None = None,
        stream_max_s: float = 3600.0,
    ) -> None:
        self.version = version
        self.table = table
        self.unmatched = unmatched
        self.consumers = consumers
        self.proxy = proxy
        self.problem_prefix = problem_prefix
        self.public_url = public_url
        self.stream_max_s = stream_max_s
        self.users = 0
        self._budget = budget
        self._on_idle: Callable[[], None] | None = None

    def buffer(self, exchange: Exchange, body: Body) -> Coroutine[Any, Any, bytes]:
        return self._budget.read(exchange, body)

    def release(self) -> None:
        """One request fewer reads this snapshot."""
        self.users -= 1
        if not self.users and self._on_idle is not None:
            self._on_idle()
            self._on_idle = None

    def retire(self, on_idle: Callable[[], None]) -> None:
        """Call `on_idle` as soon as no request reads this snapshot any more."""
        if self.users:
            self._on_idle = on_idle
        else:
            on_idle()


class Cell:
    """The only mutable thing of the data plane's behaviour."""

    __slots__ = ("access_log", "current", "draining", "metrics", "streams", "websockets")

    def __init__(self, metrics: Metrics) -> None:
        self.current: Snapshot | None = None
        self.draining = False
        self.metrics = metrics
        self.access_log: AccessLog | None = None
        self.streams = Streams()
        self.websockets: set[WebSocket] = set()  # that are open or being opened
