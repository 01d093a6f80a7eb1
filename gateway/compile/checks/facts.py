"""What the checks over all files ask of every route, gathered once a file: with 10,000 routes that is most of their time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.compile.decode.policies import ALWAYS_ON, issuers_of
from gateway.compile.plan import PolicyPlan, RoutePlan

# policy -> the field with its own figure, and what a tier calls it; without the figure the tier's is taken
_FIGURES = {"rate_limit": ("rate", "rate"), "quota": ("limit", "quota"), "concurrency": ("max", "concurrency")}


@dataclass(slots=True)
class Facts:
    """Of the routes of one file, or of all."""

    issuers: set[str] = field(default_factory=set)  # whose tokens are accepted
    policies: set[str] = field(default_factory=set)  # that apply to a route
    figures: set[str] = field(default_factory=set)  # of tiers, that are applied: rate, quota, concurrency
    rated: set[str] = field(default_factory=set)  # issuers whose callers meet a rate of their tier
    longest: dict[str, float] = field(default_factory=dict)  # upstream -> the longest that one of its routes may take

    def add(self, other: Facts) -> None:
        self.issuers |= other.issuers
        self.policies |= other.policies
        self.figures |= other.figures
        self.rated |= other.rated
        for name, total in other.longest.items():
            self.longest[name] = max(total, self.longest.get(name, 0.0))


def facts_of(routes: Iterable[RoutePlan]) -> Facts:
    facts = Facts()
    for route in routes:
        issuers = [name for each in route.policies for name in issuers_of(each.config)]
        figures = {figure for each in route.policies if (figure := from_tier(each))}
        facts.issuers.update(issuers)
        facts.policies.update(each.policy for each in route.policies)
        facts.figures |= figures
        if "rate" in figures:
            facts.rated.update(issuers)
        upstream = route.config.upstream
        if upstream is not None:
            for each in route.policies:
                total = getattr(each.config, "total", None) if each.policy == ALWAYS_ON else None
                if total is not None:
                    facts.longest[upstream] = max(total, facts.longest.get(upstream, 0.0))
    return facts


def from_tier(plan: PolicyPlan) -> str:
    """What of a tier a policy instance applies: rate, quota, concurrency, or nothing."""
    own, of_tier = _FIGURES.get(plan.policy, ("", ""))
    takes = own and getattr(plan.config, own, None) is None and getattr(plan.config, "per", "") == "consumer"
    return of_tier if takes else ""


def policy_of(figure: str) -> str:
    """The policy that applies a figure of a tier."""
    return next(policy for policy, (_, of_tier) in _FIGURES.items() if of_tier == figure)
