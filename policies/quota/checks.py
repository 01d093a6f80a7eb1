"""Mistakes in a quota block that show only beside the rest of the configuration."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.api.policy import CheckContext, Complaint, Level
from policies.quota.config import QuotaConfig


def check(config: QuotaConfig, context: CheckContext) -> Iterator[Complaint]:
    route = context.route
    if config.scope == "upstream" and route is not None and route.upstream is None:
        yield Complaint(("scope",), "scope: upstream on a route without an upstream; write route or gateway")
    if config.scope == "route" and context.level is Level.GLOBAL:
        yield Complaint(("scope",), "with scope: route under global every route counts for itself", "warning")
    if config.count == "forwarded" and context.level is Level.ROUTE and route is not None and route.upstream is None:
        yield Complaint(("count",), "this route forwards nothing, so nothing counts; write `count: all`", "warning")
    if config.store is not None and config.store.startswith("memory"):
        yield Complaint(("store",), "a restart forgets what was used", "warning")
