"""The YAML block of cache."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gateway.api.config import Block, Duration, PolicyBlock, Size

Status = Annotated[int, Field(ge=200, le=599)]
FieldName = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]


class KeyConfig(Block):
    """What tells requests apart, beside scheme, host and path."""

    query: Literal["all"] | tuple[str, ...] = "all"
    """Parameters of the query that count, by name and in any order; all: the query as it is written."""
    headers: tuple[FieldName, ...] = ()
    """Request fields that count although the upstream's Vary may not name them."""


class CacheConfig(PolicyBlock):
    """Answers are stored and served again as RFC 9111 has it for a shared cache."""

    default_ttl: Duration = 0.0
    """How long answers without any freshness of their own are fresh; 0s: by the heuristic of RFC 9111 §4.2.2, a tenth of
    the time since Last-Modified."""
    max_ttl: Duration = 86_400.0
    """No answer is fresh for longer than this, whatever it says."""
    negative: dict[Status, Duration] = Field(default={404: 10.0})
    """Lifetime by status where the answer itself gives none; also allows statuses that are otherwise never stored."""
    key: KeyConfig = KeyConfig()
    """What tells requests apart, beside scheme, host and path."""
    shared: Literal["auto", "by_consumer"] = "auto"
    """auto: answers to requests with credentials are for that caller alone unless marked public; by_consumer: those too."""
    stale_while_revalidate: Duration = 0.0
    """For so long a stale answer is served while it is validated, where the answer itself says nothing (RFC 5861)."""
    stale_if_error: Duration = 0.0
    """For so long a stale answer stands in for an upstream's fault, an open breaker among them (RFC 5861)."""
    collapse: bool = True
    """Callers of the same key wait for one upstream call instead of each making its own."""
    max_body: Size = 1024 * 1024
    """Longer answers are passed on, and not stored."""
    max_size: Annotated[Size, Field(gt=0)] = 256 * 1024 * 1024
    """Memory for stored answers on the machine, of all routes together; the largest figure of any route counts."""
    tags_header: FieldName = "Cache-Tag"
    """The answer's field with tags to purge by, separated by commas or blanks."""
    store: str | None = None
    """Where answers are kept beside each worker's memory: a name from `stores:` or a URL. Redis: shared by all who name it; SQLite: there
    again after a restart. The default is `store`, where that is Redis, else memory alone."""
    request_directives: Literal["obey", "ignore"] = "obey"
    """Whether a caller's Cache-Control and Pragma count; ignore: callers cannot make the upstream work."""
    cdn_cache_control: bool = False
    """Whether CDN-Cache-Control is meant for this cache too (RFC 9213); Sluicegate-Cache-Control always is."""

    @model_validator(mode="after")
    def _statuses_can_be_stored(self) -> CacheConfig:
        for status in (206, 304):
            if status in self.negative:
                raise ValueError(f"negative: {status} is no answer by itself; it can never be stored")
        return self
