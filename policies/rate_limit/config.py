"""The YAML block of rate_limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from gateway.api.callers import PER, needs_caller
from gateway.api.config import PolicyBlock, RateField
from gateway.api.consumers import Rate


def _admits_something(rate: Rate) -> Rate:
    if rate.count <= 0:
        raise ValueError("a rate of zero lets nothing through; take the route away instead")
    return rate


Cost = Annotated[int, Field(ge=1)]
CostOfMethod = Annotated[int, Field(ge=0)]
Method = Annotated[str, Field(pattern=r"^[A-Z][A-Z_-]*$")]


class RateLimitConfig(PolicyBlock):
    """A limit on the rate of calls: a bucket that holds `burst` tokens and is refilled at `rate`."""

    per: Annotated[str, Field(pattern=PER)] = "consumer"
    """Who has a bucket: consumer, ip (IPv6: a /64), route (one for all callers), header:NAME or claim:NAME."""
    rate: Annotated[RateField, AfterValidator(_admits_something)] | None = None
    """Sustained calls, as in 50/s. Left out, with `per: consumer`: the figures of the consumer or its tier, whose one
    bucket counts over the whole gateway."""
    burst: Annotated[int, Field(ge=1)] | None = None
    """Most calls at once; one second's rate, at least 1, when left out."""
    cost: Cost | Mapping[Method, CostOfMethod] = 1
    """Tokens that a call takes: a number, or one for each method (1 for those left out, 0 is free)."""
    scope: Literal["route", "upstream", "gateway"] | None = None
    """Calls of what share a bucket; the route's when left out, under `global` the gateway's."""
    store: str | None = None
    """Where the buckets are, by name or URL; in memory when left out."""
    on_store_error: Literal["local", "allow", "deny"] = "local"
    """When the store is away: go on with this process's share, let all through, or refuse with 503."""

    @property
    def needs_caller(self) -> bool:
        return needs_caller(self.per)

    @property
    def highest_cost(self) -> int:
        return max(1, *self.cost.values()) if isinstance(self.cost, Mapping) else self.cost

    @model_validator(mode="after")
    def _figures_fit(self) -> RateLimitConfig:
        if self.rate is None:
            if self.per != "consumer":
                raise ValueError(f"per: {self.per} needs `rate`; only consumers have figures of their own")
            if self.burst is not None:
                raise ValueError("burst without rate says nothing; add rate")
            if self.scope is not None:
                raise ValueError("scope without rate says nothing: a tier's bucket counts over the whole gateway")
        elif self.highest_cost > burst_of(self.rate, self.burst):
            raise ValueError(
                f"a call that costs {self.highest_cost} never passes a burst of {burst_of(self.rate, self.burst):g}; "
                "raise burst"
            )
        return self


def burst_of(rate: Rate, burst: float | None) -> float:
    """`burst` left out is one second's rate, at least 1."""
    return max(1.0, rate.per_second) if burst is None else float(burst)
