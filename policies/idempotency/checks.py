"""Mistakes in an idempotency block that show only beside the rest of the configuration."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.api.callers import needs_caller
from gateway.api.config import format_duration
from gateway.api.policy import CheckContext, Complaint, Level
from policies.idempotency.config import IdempotencyConfig

TOTAL_S = 30.0  # the default of timeout, which is always in force


def check(config: IdempotencyConfig, context: CheckContext) -> Iterator[Complaint]:
    written_here = context.level is Level.ROUTE
    if written_here and context.route is not None and context.route.upstream is None:
        yield Complaint((), "a key protects calls of an upstream; this route has none")
    total: float = getattr(context.beside.get("timeout"), "total", TOTAL_S)
    if config.lease <= total:
        yield Complaint(
            ("lease",),
            f"not longer than the route's deadline (timeout.total, {format_duration(total)}): calls under way would count "
            "as lost",
        )
    drain: float | None = None if context.settings is None else context.settings.drain.timeout
    if context.route is not None and drain is not None and total > drain:
        yield Complaint(
            (),
            f"calls may take longer (timeout.total, {format_duration(total)}) than a gateway that ends waits for them "
            f"(drain.timeout, {format_duration(drain)}): their outcomes would be unknown",
            "warning",
        )
    upstream = context.upstream
    if config.on_unknown == "retry" and upstream is not None and not upstream.honours_idempotency_key:
        yield Complaint(
            ("on_unknown",),
            "retry sends a call again that may have been executed; only an upstream with `honours_idempotency_key: true` "
            "executes it once",
        )
    if context.route is not None and not context.authenticated and needs_caller(config.scope):
        if "scope" in config.model_fields_set:
            yield Complaint(("scope",), f"{config.scope} needs an authenticator; this route has none")
        else:
            yield Complaint(
                (), "nobody is authenticated here, so all callers share their keys; write `scope`", "warning"
            )
    url, where = _store(config, context), ("store",) if config.store else ()
    if url.startswith("memory"):
        yield Complaint(where, "a restart forgets every key: calls may be executed twice", "warning")
    if url.startswith("redis") and "acks=" not in url:
        yield Complaint(
            where,
            "when Redis fails over to a replica, the last moments may be lost and calls executed twice; add `acks=N` to its URL, "
            "with as many replicas as there are (acks=0 where there are none), and set `appendfsync always`",
            "warning",
        )


def _store(config: IdempotencyConfig, context: CheckContext) -> str:
    """The URL of the store; "" when SQLite in the state folder is meant."""
    if context.settings is None:
        return config.store or ""
    named: str = config.store or context.settings.store or ""
    url: str = context.settings.stores.get(named, named)
    return url
