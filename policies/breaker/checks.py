"""Mistakes in a breaker block that show only beside the rest of the configuration."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.api.config import format_duration
from gateway.api.policy import CheckContext, Complaint, Level
from policies.breaker.config import BreakerConfig


def check(config: BreakerConfig, context: CheckContext) -> Iterator[Complaint]:
    upstream = context.upstream
    if context.level is Level.ROUTE and context.route is not None and context.route.upstream is None:
        yield Complaint((), "a breaker stands before an upstream; this route has none")
    if upstream is not None and config.window < upstream.timeout.connect:
        yield Complaint(
            ("window",),
            f"shorter than the upstream's timeout.connect of {format_duration(upstream.timeout.connect)}: "
            "a failure to connect takes longer than the window lasts",
            "warning",
        )
