"""Limits without figures of their own take those of the caller's tier: does every caller have some, does anyone use them?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.api.settings.consumer import LimitFigures
from gateway.compile.checks.facts import Facts, from_tier, policy_of
from gateway.compile.decode.blocks import Remarks
from gateway.compile.decode.errors import Keys
from gateway.compile.plan import ConsumerPlan, PolicyPlan
from gateway.compile.world import World


def check_tiers(
    world: World, facts: Facts, unmatched: Iterable[PolicyPlan], consumers: Mapping[str, ConsumerPlan]
) -> None:
    applied = facts.figures | {from_tier(each) for each in unmatched}
    if "rate" in applied:
        _check_rates(world, facts.rated, consumers)
    notes = world.notes.on(world.main)
    for name, tier in world.tiers.items():
        _unapplied(tier, applied, notes, ("tiers", name))
    for owned in world.consumers.values():
        config = owned.block.config
        if config is not None and config.limits.model_fields_set:
            _unapplied(config.limits, applied, world.notes.on(owned.unit), (*owned.block.keys, "limits"))


def _unapplied(figures: LimitFigures, applied: set[str], notes: Remarks, at: Keys) -> None:
    for figure in ("rate", "quota", "concurrency"):
        if getattr(figures, figure) is not None and figure not in applied:
            what = f"no route applies this figure; a route does with `{policy_of(figure)}: {{per: consumer}}`"
            notes.add((*at, figure), what, "warning", at_key=True)


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
