"""A configuration that a worker has built and does not serve yet. Builds nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.api.settings.document import Settings
from gateway.api.settings.upstream import UpstreamConfig
from gateway.edge.snapshot import LiveRoute, Snapshot
from gateway.routing.pattern import RouteMatch
from gateway.runtime.consumers import ConsumerTable
from gateway.telemetry.access_log import AccessLog
from gateway.upstream.kinds import Client


@dataclass(frozen=True, slots=True)
class Bound:
    """A live route with what it takes to place and to keep it."""

    match: RouteMatch
    route: LiveRoute
    needs: frozenset[str]


@dataclass(slots=True)
class Prepared:
    """A configuration that is ready to serve."""

    snapshot: Snapshot
    consumers: ConsumerTable
    settings: Settings
    bound: dict[str, Bound]
    upstreams: dict[str, Client]
    configs: dict[str, UpstreamConfig]
    needs: frozenset[str]  # background work and stores
    fresh_upstreams: frozenset[str]
    reconfigured: dict[str, Any]  # what their clients prepared
    access_log: AccessLog | None
    gone_routes: frozenset[str]
