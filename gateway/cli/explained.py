"""What `sluicegate explain` prints, as text. Matches and compiles nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from gateway.api.consumers import Consumer, Limits
from gateway.api.policy import Slot
from gateway.cli.routes import callers, leads_to
from gateway.compile.plan import Plan, PolicyPlan, RoutePlan
from gateway.compile.registry import installed
from gateway.routing import Miss


def explained_miss(miss: Miss, method: str) -> str:
    if miss.status == 405:
        hint = "; methods are written in capitals" if method.upper() in miss.allow else ""  # RFC 9110 §9.1
        return f"405: no route takes {method} there; allowed are {', '.join(miss.allow)}{hint}"
    return "404: no route"


def explained_route(plan: Plan, route: RoutePlan, params: Mapping[str, str]) -> str:
    lines = [f"route      {route.name}    {route.place}"]
    lines += [f"           {{{name}}} = {value}" for name, value in params.items()]
    lines.append(f"leads to   {leads_to(route)}")
    upstream = plan.upstreams.get(route.config.upstream or "")
    if upstream is not None:
        lines += [f"           {target.url}" for target in upstream.config.targets]
    lines.append(f"callers    {callers(route)}")
    lines.append("policies, in the order in which a request meets them")
    return "\n".join([*lines, *_columns(_policy_rows(route.policies))])


def _policy_rows(policies: Iterable[PolicyPlan]) -> Iterator[tuple[str, ...]]:
    specs = installed().policies
    for each in sorted(policies, key=lambda each: specs[each.policy].slot(each.config)):
        slot: Slot = specs[each.policy].slot(each.config)
        written = each.config.model_dump(mode="json", exclude_unset=True)
        shown = ", ".join(f"{key}: {_value(value)}" for key, value in written.items()) or "defaults"
        name = each.policy if each.name == each.policy else f"{each.policy} ({each.name})"
        yield slot.name.lower(), name, shown, f"{each.level.value}, {each.place}"


def _value(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {_value(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_value, value)) + "]"
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)


def explained_consumer(consumer: Consumer, route: RoutePlan) -> str:
    lines = [f"consumer   {consumer.name}" + (f", tier {consumer.tier}" if consumer.tier else "")]
    lines += [f"           {line}" for line in _limits(consumer.limits)]
    own = consumer.route_limits.get(route.name)
    if own is not None:
        lines += [f"           on this route: {line}" for line in _limits(own)]
    if consumer.ip_allow:
        lines.append(f"           from {', '.join(consumer.ip_allow)}")
    if consumer.roles:
        lines.append(f"           roles {', '.join(sorted(consumer.roles))}")
    return "\n".join(lines)


def _limits(limits: Limits) -> Iterator[str]:
    if limits.rate is not None:
        yield f"rate {limits.rate.count:g} per {limits.rate.seconds:g} s, burst {limits.burst:g}"
    if limits.quota is not None:
        yield f"quota {limits.quota[0]} per {limits.quota[1]}"
    if limits.concurrency is not None:
        yield f"concurrency {limits.concurrency}"


def _columns(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    table = list(rows)
    widths = [max((len(row[column]) for row in table), default=0) for column in range(3)]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  " + "  ".join([*cells, row[-1]])
