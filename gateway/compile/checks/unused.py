"""What is written and nobody uses, and what works less well than it seems: warnings only."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.compile.checks.facts import Facts
from gateway.compile.plan import ConsumerPlan
from gateway.compile.source.yaml12 import WITH_LIBYAML
from gateway.compile.world import World


def check_unused(world: World, facts: Facts, consumers: Mapping[str, ConsumerPlan]) -> None:
    notes = world.notes.on(world.main)
    upstreams: set[str] = {route.config.upstream for _, route in world.routes if route.config and route.config.upstream}
    tiers = {plan.consumer.tier for plan in consumers.values()}
    tiers |= {issuer.config.tier for issuer in world.issuers.values() if issuer.config and issuer.config.tier}
    every_route_is_read = all(route.config for _, route in world.routes)
    for name, upstream in world.upstreams.items():
        if every_route_is_read and name not in upstreams:  # else the route that is wrong may be the one that uses it
            world.notes.on(upstream.unit).add(
                upstream.block.keys, "no route uses this upstream", "warning", at_key=True
            )
    for name, issuer in world.issuers.items():
        if name not in facts.issuers:
            notes.add(issuer.keys, "no route accepts tokens of this issuer", "warning", at_key=True)
        elif name in world.open_by_default:
            what = "no consumer names this issuer, so all its clients pass; write `unknown_consumer: allow` or `refuse`"
            notes.add(issuer.keys, what, "warning", at_key=True)
    for name in world.tiers:
        if name not in tiers:
            notes.add(("tiers", name), "no consumer and no issuer has this tier", "warning", at_key=True)
    if not WITH_LIBYAML:
        notes.add(
            (), "PyYAML was built without libyaml: large configurations take seven times as long to read", "warning"
        )
