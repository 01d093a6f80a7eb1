"""What does not go together on one route, once it is settled which policies apply to it."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.api.policy import Level, Slot
from gateway.api.settings.route import Respond, RouteConfig
from gateway.compile.checks.fields import check_fields, latin
from gateway.compile.decode.blocks import Remarks
from gateway.compile.decode.policies import PolicyUnit
from gateway.compile.decode.units import RouteUnit
from gateway.compile.finding import listed, suggestion
from gateway.compile.world import World

_BODILESS = (204, 205, 304)  # RFC 9110 §15.3.5, §15.3.6, §15.4.5


def check_target(world: World, route: RouteUnit, config: RouteConfig, remarks: Remarks) -> None:
    keys = route.keys
    if config.upstream is None and config.respond is None:
        remarks.add(keys, "the route leads nowhere: name an `upstream`, or answer with `respond`")
    if config.upstream is not None and config.respond is not None:
        remarks.add((*keys, "respond"), "a route has an upstream or responds by itself, not both", at_key=True)
    if config.respond is not None:
        for word, there in (("adapter", route.wants_adapter), ("rewrite", config.rewrite is not None)):
            if there:
                remarks.add((*keys, word), f"{word} is for an upstream; this route responds by itself", at_key=True)
        check_respond(config.respond, route, remarks)
    if config.upstream is not None and config.upstream not in world.upstreams:
        what = f"there is no upstream '{config.upstream}'{suggestion(config.upstream, world.upstreams)}"
        remarks.add((*keys, "upstream"), what)
    called = world.upstreams.get(config.upstream or "")
    kind = "http" if called is None or called.block.config is None else called.block.config.kind
    spec = None if route.adapter is None else world.registry.adapters[route.adapter.adapter]
    if kind != "http" and (not route.wants_adapter or (spec is not None and not spec.messages)):
        able = [name for name, one in world.registry.adapters.items() if one.messages]
        scheme = "tcp:// and tls://" if kind == "tcp" else "file://"
        what = f"{scheme} targets carry no HTTP; the route needs an adapter that makes whole messages ({listed(able)})"
        remarks.add((*keys, "upstream"), what)
    if kind != "tcp" and spec is not None and route.adapter is not None and spec.correlates(route.adapter.config):
        what = "correlation is for tcp:// and tls:// targets, where calls share connections"
        remarks.add((*keys, "adapter", spec.name, "correlation"), what, at_key=True)
    if route.wants_adapter and config.rewrite is not None:
        remarks.add((*keys, "rewrite"), "an adapter writes the upstream's path itself", "warning", at_key=True)


def check_respond(respond: Respond, route: RouteUnit, remarks: Remarks) -> None:
    fields = {name: latin(value) for name, value in respond.headers.items()}
    check_fields(fields, (*route.keys, "respond", "headers"), remarks)
    if respond.body not in (None, "") and respond.status in _BODILESS:
        remarks.add((*route.keys, "respond", "body"), f"a {respond.status} has no body; leave it out", at_key=True)


def check_instances(effective: Iterable[PolicyUnit], route: RouteUnit, remarks: Remarks) -> None:
    seen: dict[tuple[str, str], PolicyUnit] = {}
    for each in effective:
        first = seen.setdefault((each.plan.policy, each.plan.name), each)
        if first is not each:
            what = f"two of {each.plan.policy} are called '{each.plan.name}'; give each a `name`; first at {first.plan.place}"
            remarks.add(each.keys if each.plan.level is Level.ROUTE else route.keys, what)


def check_shadow(world: World, route: RouteUnit, effective: Iterable[PolicyUnit], remarks: Remarks) -> None:
    shadowed = [each for each in effective if each.spec.authenticator and each.plan.config.mode == "shadow"]
    if not shadowed:
        return
    enforced = [
        each.plan.policy for each in effective if each.plan.config.mode == "enforce" and each.slot is Slot.AUTHORIZE
    ]
    if route.name in world.grants:
        enforced.append("roles")
    if enforced:
        what = f"an authenticator in shadow lets anyone pass, beside {listed(enforced, 'and')}, which is enforced"
        remarks.add((*route.keys, "policies"), what, at_key=True)
