"""Where a policy is being built: implements gateway.api.ports.Scope over a worker's resources."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Hashable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.api.consumers import Limits
from gateway.api.orders import Revoke
from gateway.api.policy import Level
from gateway.api.ports import Clock, Fetch, Gauge, Store, Tally
from gateway.api.settings.document import Settings
from gateway.api.settings.issuer import IssuerConfig
from gateway.api.settings.upstream import UpstreamConfig
from gateway.compile.plan import PolicyPlan
from gateway.runtime.resources import Resources
from gateway.stores.keys import scoped
from gateway.stores.open import kind, lasting_url
from gateway.telemetry.metrics import UNMATCHED

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What of a configuration the policies of any route may refer to."""

    settings: Settings
    issuers: Mapping[str, IssuerConfig]
    upstreams: Mapping[str, UpstreamConfig]


class BuildScope:
    """Handed to `build` only. `needs` gathers what the built policy asked for: background work by name, stores by place."""

    def __init__(
        self,
        resources: Resources,
        plan: PolicyPlan,
        route: str,
        upstream: str,
        surroundings: Surroundings,
        safe: bool | None = None,
        ready: Callable[[int], bool] = lambda others: True,
    ) -> None:
        self.policy = plan.policy
        self.name = plan.name
        # a rate and a quota of one route may have the same name: `ip`
        self._counted_as = plan.policy if plan.name == plan.policy else f"{plan.policy}.{plan.name}"
        self.route = route
        self.upstream = upstream
        self.calls = surroundings.upstreams.get(upstream)
        self.safe = safe
        self.ready = ready
        self.level: Level = plan.level
        self.shadow = plan.config.mode == "shadow"
        self.clock: Clock = resources.clock
        self.fetch: Fetch = resources.fetch
        self.workers = resources.workers
        self.spread = resources.spread
        self.needs: set[str] = set()
        self._plan = plan
        self._resources = resources
        self._surroundings = surroundings

    @property
    def secret(self) -> bytes:
        return hmac.digest(self._resources.secret, self._plan.policy.encode(), "sha256")

    def tally(self, decision: str) -> Tally:
        # what a policy in shadow would have done is counted apart from what the enforced ones did
        counted = f"shadow-{decision}" if self.shadow else decision
        return self._resources.metrics.decision(self.route or UNMATCHED, self._counted_as, counted)

    def counter(self, metric: str, *labels: str) -> Tally:
        return self._resources.policy_metrics.counter(metric, labels)

    def gauge(self, metric: str, *labels: str) -> Gauge:
        return self._resources.policy_metrics.gauge(metric, labels)

    def shared(self, name: str) -> BuildScope:
        beside = copy(self)
        beside.policy = name
        return beside

    def store(self, url: str | None, *, durable: bool = False) -> Store:
        written, name = self._written(url)
        if durable:
            written = written or "sqlite"
        elif kind(written or "memory") == "sqlite" and url is None:
            written = None  # as the default it holds what must last
        return self._open(lasting_url(written or "memory", self._surroundings.settings.state), name, lasting=False)

    def lasting_store(self, url: str | None) -> Store:
        written, name = self._written(url)
        return self._open(lasting_url(written, self._surroundings.settings.state), name, lasting=True)

    def _written(self, url: str | None) -> tuple[str | None, str | None]:
        """The URL of a policy's own or the default store, and its name where it has one."""
        settings = self._surroundings.settings
        named = url or settings.store
        if named is not None and named in settings.stores:
            return settings.stores[named], named
        return named, None

    def _open(self, url: str, name: str | None, *, lasting: bool) -> Store:
        stores = self._resources.stores
        self.needs.add(stores.place(url, lasting=lasting))
        return scoped(stores.at(url, name, lasting=lasting), self.policy)

    def state(self, identity: Hashable, make: Callable[[], T]) -> T:
        return self._resources.state((self.policy, identity), make)

    def revocations(self) -> Sequence[Revoke]:
        return self._resources.revocations

    def issuer(self, name: str) -> IssuerConfig:
        return self._surroundings.issuers[name]

    def tier(self, name: str) -> Limits:
        return self._surroundings.settings.tiers[name].limits()

    def grants(self) -> Mapping[str, frozenset[str] | None]:
        granted = {role: table.get(self.route) for role, table in self._surroundings.settings.roles.items()}
        return {
            role: None if methods == "all" else frozenset(methods)
            for role, methods in granted.items()
            if methods is not None
        }

    def spawn(self, name: str, run: Callable[[], Any]) -> None:
        self.needs.add(name)
        self._resources.spawn(name, run)
