"""Which limits of a configuration each worker holds for itself, as its share of the figures. Counts nothing."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.compile.plan import Plan, PolicyPlan
from gateway.stores.open import kind

_LIMITS = ("concurrency", "quota", "rate_limit")


def held_in_memory(plan: Plan) -> list[str]:
    """The names of the policies that are limits and count in each worker's memory."""
    return sorted({one.policy for one in _policies(plan) if one.policy in _LIMITS and _in_memory(plan, one)})


def warning(plan: Plan, workers: int) -> str | None:
    """What operators of several workers should know."""
    held = held_in_memory(plan) if workers > 1 else []
    if not held:
        return None
    return (
        f"limits in memory ({', '.join(held)}): each of the {workers} workers holds its share of every figure; "
        "with a `store` in Redis all hold one"
    )


def _in_memory(plan: Plan, policy: PolicyPlan) -> bool:
    settings = plan.settings
    own: str | None = getattr(policy.config, "store", None)
    named = own or settings.store
    url = None if named is None else settings.stores.get(named, named)
    if url is None or (own is None and kind(url) == "sqlite"):
        return policy.policy != "quota"  # which lasts, in SQLite
    return kind(url) == "memory"


def _policies(plan: Plan) -> Iterator[PolicyPlan]:
    yield from plan.unmatched
    for route in plan.routes.values():
        yield from route.policies
