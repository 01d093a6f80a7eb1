"""Limits without figures of their own take those of the caller's tier: does every caller have some, does anyone use them?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.compile.assemble import issuers_of
from gateway.compile.plan import ConsumerPlan, PolicyPlan, RoutePlan
from gateway.compile.world import World

# policy -> the field with its own figure, and what a tier calls it; without the figure the tier's is taken
_FIGURES = {"rate_limit": ("rate", "rate"), "quota": ("limit", "quota"), "concurrency": ("max", "concurrency")}


def from_tier(plan: PolicyPlan) -> str:
    """What of a tier a policy instance applies: rate, quota, concurrency, or nothing."""
    own, of_tier = _FIGURES.get(plan.policy, ("", ""))
    takes = own and getattr(plan.config, own, None) is None and getattr(plan.config, "per", "") == "consumer"
    return of_tier if takes else ""


def check_tiers(
    world: World,
    routes: Iterable[RoutePlan],
    unmatched: Iterable[PolicyPlan],
    consumers: Mapping[str, ConsumerPlan],
) -> None:
    applied = {from_tier(each) for each in unmatched}
    issuers: set[str] = set()  # whose callers meet a rate of their tier
    for route in routes:
        figures = {from_tier(each) for each in route.policies if each.policy in _FIGURES}
        if "rate" in figures:
            issuers.update(name for each in route.policies for name in issuers_of(each.config))
        applied |= figures
    if "rate" in applied:
        _check_rates(world, issuers, consumers)
    notes = world.notes.on(world.main)
    for name, tier in world.tiers.items():
        for figure in ("rate", "quota", "concurrency"):
            if getattr(tier, figure) is not None and figure not in applied:
                what = f"no route applies this figure; a route does with `{_policy_of(figure)}: {{per: consumer}}`"
                notes.add(("tiers", name, figure), what, "warning", at_key=True)


def _check_rates(world: World, issuers: Iterable[str], consumers: Mapping[str, ConsumerPlan]) -> None:
    for name, plan in consumers.items():
        if plan.consumer.limits.rate is None:
            owned = world.consumers[name]
            what = (
                "routes take their rate_limit from the tier, and this consumer has no rate: name a `tier` that has one"
            )
            world.notes.on(owned.unit).add(owned.block.keys, what, at_key=True)
    for name in issuers:
        issuer = world.issuers.get(name)
        config = issuer.config if issuer else None
        if config is None or config.unknown_consumer != "allow":
            continue
        tier = world.tiers.get(config.tier or "")
        if tier is None or tier.rate is None:
            what = "callers that are no consumer pass, and routes take their rate_limit from the tier: name a `tier` with a rate"
            world.notes.on(world.main).add(("issuers", name), what, at_key=True)


def _policy_of(figure: str) -> str:
    return next(policy for policy, (_, of_tier) in _FIGURES.items() if of_tier == figure)
