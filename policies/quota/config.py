"""The YAML block of quota."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from gateway.api.callers import PER, needs_caller
from gateway.api.config import PolicyBlock, QuotaField, Share


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; a path; a folder of the database
        raise ValueError(
            "there is no such time zone; write one of the IANA database, as in Europe/Berlin, or UTC"
        ) from None
    return name


class QuotaConfig(PolicyBlock):
    """A limit on the number of calls in a calendar window: of an hour, a day, a week or a month."""

    per: Annotated[str, Field(pattern=PER)] = "consumer"
    """Whose calls count together: consumer, ip (IPv6: a /64), route (all callers), header:NAME or claim:NAME."""
    limit: QuotaField | None = None
    """Most calls in a window, as in 10000/day. Left out, with `per: consumer`: the figure of the consumer or its tier, which
    counts over the whole gateway."""
    timezone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    """Where days, weeks (from Monday) and months begin: a name of the IANA database, as in Europe/Berlin."""
    count: Literal["forwarded", "all"] = "forwarded"
    """What counts: calls of which a byte may have reached an upstream, or all that no limit refused."""
    warn: Share = 0.8
    """Share of the limit at which a metric and a line in the log warn; once for each caller and window."""
    scope: Literal["route", "upstream", "gateway"] | None = None
    """Calls of what count together; the route's when left out, under `global` the gateway's."""
    store: str | None = None
    """Where the counts are, by name or URL; in SQLite under `state` when left out, or in the default store when it is Redis."""
    on_store_error: Literal["local", "allow", "deny"] = "local"
    """When the store is away: go on with this process's share of what was left, let all through, or refuse with 503."""

    @property
    def needs_caller(self) -> bool:
        return needs_caller(self.per)

    @model_validator(mode="after")
    def _figures_fit(self) -> QuotaConfig:
        if self.limit is None:
            if self.per != "consumer":
                raise ValueError(f"per: {self.per} needs `limit`; only consumers have figures of their own")
            if self.scope is not None:
                raise ValueError("scope without limit says nothing: a tier's quota counts over the whole gateway")
        return self
