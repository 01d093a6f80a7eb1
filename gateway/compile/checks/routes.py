"""Routes beside each other: which are ambiguous, and bounds that never take effect."""

from __future__ import annotations

import re

from gateway.api.config import format_duration
from gateway.compile.checks.facts import Facts
from gateway.compile.world import World
from gateway.routing.conflicts import conflicts

_FOREIGN = re.compile(r"/(:[A-Za-z_]\w*|\*|<\w+>)(?=/|$)").search


def check_routes(world: World, facts: Facts) -> None:
    if not world.routes:
        world.notes.on(world.main).add((), "no routes: every request is answered with 404", "warning")
    matches = ((route.match, (unit, route)) for unit, route in world.routes if route.match is not None)
    for (_, first), (unit, second) in conflicts(matches):
        what = (
            f"route '{second.name}' and route '{first.name}' (at {first.place}) match the same requests equally well; "
            "give one of them a `priority`"
        )
        world.notes.on(unit).add((*second.keys, "match"), what, at_key=True)
    _check_placeholders(world)
    _check_timeouts(world, facts)


def _check_placeholders(world: World) -> None:
    """Other routers' words for "any segment" are text here; a route that has one looks right and answers nobody."""
    for unit, route in world.routes:
        foreign = None if route.config is None else _FOREIGN(route.config.match.path)
        if foreign is not None:
            what = f"'{foreign[1]}' matches only itself; write {{name}} for any one segment, or /** at the end for the rest"
            world.notes.on(unit).add((*route.keys, "match", "path"), what, "warning")


def _check_timeouts(world: World, facts: Facts) -> None:
    """An upstream that may take longer than any of its routes lets it is a mistake more often than not."""
    for name, total in facts.longest.items():
        upstream = world.upstreams[name]
        config = upstream.block.config
        if config is not None and config.timeout.first_byte > total:
            what = (
                f"first_byte {format_duration(config.timeout.first_byte)} never takes effect: `timeout.total` of its "
                f"routes is {format_duration(total)} at most"
            )
            world.notes.on(upstream.unit).add((*upstream.block.keys, "timeout"), what, "warning")
