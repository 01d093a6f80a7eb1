"""Routes beside each other: which are ambiguous, and bounds that never take effect."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.api.config import format_duration
from gateway.compile.decode.policies import ALWAYS_ON
from gateway.compile.plan import RoutePlan
from gateway.compile.world import World
from gateway.routing.conflicts import conflicts


def check_routes(world: World, plans: Mapping[str, RoutePlan]) -> None:
    if not world.routes:
        world.notes.on(world.main).add((), "no routes: every request is answered with 404", "warning")
    matches = ((route.match, (unit, route)) for unit, route in world.routes if route.match is not None)
    for (_, first), (unit, second) in conflicts(matches):
        what = (
            f"route '{second.name}' and route '{first.name}' (at {first.place}) match the same requests equally well; "
            "give one of them a `priority`"
        )
        world.notes.on(unit).add((*second.keys, "match"), what, at_key=True)
    _check_timeouts(world, plans)


def _check_timeouts(world: World, plans: Mapping[str, RoutePlan]) -> None:
    """An upstream that may take longer than any of its routes lets it is a mistake more often than not."""
    longest: dict[str, float] = {}
    for plan in plans.values():
        name = plan.config.upstream
        if name is not None:
            total = next(
                (getattr(each.config, "total", None) for each in plan.policies if each.policy == ALWAYS_ON), None
            )
            if total is not None:
                longest[name] = max(longest.get(name, 0.0), total)
    for name, total in longest.items():
        upstream = world.upstreams[name]
        config = upstream.block.config
        if config is not None and config.timeout.first_byte > total:
            what = (
                f"first_byte {format_duration(config.timeout.first_byte)} never takes effect: `timeout.total` of its "
                f"routes is {format_duration(total)} at most"
            )
            world.notes.on(upstream.unit).add((*upstream.block.keys, "timeout"), what, "warning")
