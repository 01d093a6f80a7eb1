"""Mistakes in a rate_limit block that show only beside the rest of the configuration."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.api.policy import CheckContext, Complaint, Level
from policies.rate_limit.config import RateLimitConfig


def check(config: RateLimitConfig, context: CheckContext) -> Iterator[Complaint]:
    if config.scope == "upstream" and context.route is not None and context.route.upstream is None:
        yield Complaint(("scope",), "scope: upstream on a route without an upstream; write route or gateway")
    if config.scope == "route" and context.level is Level.GLOBAL:
        yield Complaint(("scope",), "with scope: route under global every route has its own bucket", "warning")
    if config.rate is not None:
        return
    for name, tier in (context.tiers or {}).items():
        burst = getattr(tier, "burst", None)
        if burst is not None and config.highest_cost > burst:
            yield Complaint(
                ("cost",), f"a call that costs {config.highest_cost} never passes the burst of {burst} of tier '{name}'"
            )
