"""Mistakes in a retry block that show only beside the rest of the configuration."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.api.config import format_duration
from gateway.api.policy import CheckContext, Complaint, Level
from policies.retry.config import RetryConfig

TOTAL_S, ATTEMPT_S = 30.0, 10.0  # the defaults of timeout, which is always in force


def check(config: RetryConfig, context: CheckContext) -> Iterator[Complaint]:
    if context.level is Level.ROUTE and context.route is not None and context.route.upstream is None:
        yield Complaint((), "a retry calls an upstream again; this route has none")
    timeout = context.beside.get("timeout")
    total: float = getattr(timeout, "total", TOTAL_S)
    attempt: float = getattr(timeout, "attempt", ATTEMPT_S)
    # The smallest time that the second try may have to wait for
    if config.backoff >= total:
        yield Complaint(
            ("backoff",),
            f"not shorter than the deadline (timeout.total, {format_duration(total)}): nothing is retried",
            "warning",
        )
    upstream = context.upstream
    if upstream is not None and "on" in config.model_fields_set and "timeout" in config.on:
        first_byte = upstream.timeout.first_byte
        if attempt >= total and first_byte >= total:
            yield Complaint(
                ("on",),
                f"a try may take timeout.attempt ({format_duration(attempt)}) and the upstream's timeout.first_byte "
                f"({format_duration(first_byte)}); both are at least timeout.total ({format_duration(total)}), so no time is left "
                "for another after a timeout",
                "warning",
            )
