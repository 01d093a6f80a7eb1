"""The YAML block of concurrency."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gateway.api.callers import PER, needs_caller
from gateway.api.config import Duration, PolicyBlock


class ConcurrencyConfig(PolicyBlock):
    """At most so many calls of a caller are under way at a time; a bounded number waits, the rest is refused at once."""

    per: Annotated[str, Field(pattern=PER)] = "consumer"
    """Whose calls count together: consumer, ip (IPv6: a /64), route (all callers), header:NAME or claim:NAME."""
    max: Annotated[int, Field(ge=1)] | None = None
    """Most calls at a time, on the machine. Left out, with `per: consumer`: the figure of the consumer or its tier, which
    counts over the whole gateway."""
    queue: Annotated[int, Field(ge=0)] = 0
    """Most calls of a caller that wait for a place; none when left out."""
    queue_timeout: Duration = 0.0
    """Longest wait in the queue; 0s: only the call's deadline ends it."""
    scope: Literal["route", "upstream", "gateway"] | None = None
    """Calls of what count together; the route's when left out, under `global` the gateway's."""
    store: str | None = None
    """Where places are counted, by name or URL: in the memory of each process, or in Redis for several. While Redis is away
    each process goes by its share."""

    @property
    def needs_caller(self) -> bool:
        return needs_caller(self.per)

    @model_validator(mode="after")
    def _figures_fit(self) -> ConcurrencyConfig:
        if self.max is None:
            if self.per != "consumer":
                raise ValueError(f"per: {self.per} needs `max`; only consumers have figures of their own")
            if self.scope is not None:
                raise ValueError("scope without max says nothing: a tier's figure counts over the whole gateway")
        if self.queue_timeout and not self.queue:
            raise ValueError("queue_timeout without queue says nothing; add queue")
        return self
